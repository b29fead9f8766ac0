"""A PostgreSQL server of the tests' own, or a reason why there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest

DEBIAN = Path("/usr/lib/postgresql")
TEMPLATE = "tocsin_template"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}
"""No machine loses its power here, and what is killed is a process."""

_names = count()


def find_programs() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest where Debian has several."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    return versions[-1].parent if versions else None


def required_programs() -> Path:
    """Skips the test where there is no server; fails it where CI=true says there must be one."""
    found = find_programs()
    if found is None:
        reason = "needs a PostgreSQL server: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@dataclass
class PostgresqlServer:
    """A server that listens on a socket in its own folder."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tocsin@/{database}?host={self.folder}"

    def start(self) -> None:
        command: list[str | Path] = [
            self.programs / "postgres",
            "-D",
            self.folder / "data",
            "-k",
            self.folder,
        ]
        command += [f"--{name}={value}" for name, value in SETTINGS.items()]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **_as_other_than_root())  # type: ignore[call-overload]
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stops it: SIGTERM waits for clients, SIGINT ends their sessions, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def create_database(self, template: str | None = None) -> str:
        """The address of a new database, empty or a copy of another."""
        name = f"tocsin_{os.getpid()}_{next(_names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            copied = f" TEMPLATE {template} STRATEGY file_copy" if template else ""
            connection.execute(f"CREATE DATABASE {name}{copied}")  # type: ignore[call-overload]
        return self.url(name)

    def _wait(self) -> None:
        assert self.process is not None
        while self.process.poll() is None:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url()).close()
                return
        pytest.fail("The PostgreSQL server did not start.")


@contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    programs = required_programs()
    folder = Path(
        tempfile.mkdtemp(prefix="tocsin-pg-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    )
    user = _as_other_than_root()
    if user:
        os.chown(folder, user["user"], user["group"])
    init = ["initdb", "-D", folder / "data", "-U", "tocsin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    made = [programs / init[0], *init[1:], "--no-sync"]
    server = PostgresqlServer(programs, folder)
    try:
        subprocess.run(made, check=True, capture_output=True, **user)  # type: ignore[call-overload]
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _as_other_than_root() -> dict[str, int]:
    """The user for the server's processes: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid}
    return {}
