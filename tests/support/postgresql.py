"""A PostgreSQL server of the tests' own, or a reason why there is none."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import os
import pkgutil
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.patience import LIMIT

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

SERVE = """
folder=$1; shift
"$@" & server=$!
(
    cat "$folder/gate" > "$folder/nothing"
    kill -QUIT $server
    while kill -0 $server; do sleep 0.01; done
    rm -rf "$folder"
) 2> /dev/null &
wait $server
"""
"""The server, for as long as a process has the pipe `gate` open: a run that is killed leaves none behind."""

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
    """A server that listens on a socket in its own folder, with a template that has all tables."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    """The shell that the server runs in, for the process that started it."""

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tocsin@/{database}?host={self.folder}"

    def start(self) -> None:
        command: list[str | Path] = [self.programs / "postgres", "-D", self.folder / "data"]
        command += ["-k", self.folder, *(f"--{name}={value}" for name, value in SETTINGS.items())]
        served = ["sh", "-c", SERVE, "sh", self.folder, *command]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(served, start_new_session=True, **quiet, **_as_other_than_root())  # type: ignore[call-overload]
        while self.process.poll() is None:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url()).close()
                return
        pytest.fail("The PostgreSQL server did not start.")

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stops it: SIGTERM waits for clients, SIGINT ends their sessions, SIGQUIT is a crash."""
        assert self.process is not None
        os.kill(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]), how)
        self.process.wait(LIMIT)

    def create_database(self, *, empty: bool = False) -> str:
        """The address of a new database, with all tables, or empty."""
        name = f"tocsin_{os.getpid()}_{next(_names)}"
        template = "template0" if empty else TEMPLATE
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def create_template(self) -> None:
        """Make the database that others are copies of: with the tables of Tocsin, its backend and DBOS."""
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        with ThreadPoolExecutor(1) as beside:
            beside.submit(lambda: asyncio.run(_create_tables(self.url(TEMPLATE)))).result()

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run a statement as the database's administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement)  # type: ignore[call-overload]
            return done.fetchall() if done.description else []


async def _create_tables(url: str) -> None:
    from dbos import DBOS

    import tocsin.storage
    from tocsin.backends.local.postgresql import SESSION, PostgresqlDatabase
    from tocsin.storage.database import Database
    from tocsin.storage.postgresql import postgresql_engine

    for module in pkgutil.iter_modules(tocsin.storage.__path__):
        importlib.import_module(f"tocsin.storage.{module.name}")
    database = Database(url)
    database.open()
    database.close()
    await (await PostgresqlDatabase.open(postgresql_engine(url, session=SESSION, autocommit=True))).close()
    DBOS.migrate(url)


@contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """A server for a test that stops it, or changes its settings."""
    server = _created()
    with open(server.folder / "gate", "r+b", buffering=0):
        server.start()
        server.create_template()
        yield server
    assert server.process is not None
    server.process.wait(LIMIT)


@contextmanager
def running_standby(primary: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """A server with everything that the other has; each commit there waits until it is here, too."""
    standby = _folder(primary.programs)
    copied = [primary.programs / "pg_basebackup", "-D", standby.folder / "data", "-h", primary.folder]
    user = _as_other_than_root()
    subprocess.run(
        [*copied, "-U", "tocsin", "-R", "-c", "fast", "--no-sync"],
        check=True,
        capture_output=True,
        **user,  # type: ignore[call-overload]
    )
    with open(standby.folder / "gate", "r+b", buffering=0):
        standby.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        yield standby
    assert standby.process is not None
    standby.process.wait(LIMIT)


@contextmanager
def shared_postgresql(root: Path) -> Iterator[PostgresqlServer]:
    """The one server of all processes that name this folder; it ends with the last of them."""
    known = root / "postgresql"
    with open(root / "postgresql.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        gate = _entered(known)
        if gate is None:
            server = _created()
            gate = os.open(server.folder / "gate", os.O_RDWR)
            server.start()
            server.create_template()
            known.write_text(str(server.folder))
        else:
            server = PostgresqlServer(required_programs(), Path(known.read_text()))
    try:
        yield server
    finally:
        os.close(gate)


def _entered(known: Path) -> int | None:
    """The gate of the server that runs already; None where none does."""
    with suppress(OSError):
        return os.open(Path(known.read_text()) / "gate", os.O_WRONLY | os.O_NONBLOCK)
    return None


def _folder(programs: Path) -> PostgresqlServer:
    """A server without files, in a folder of its own."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=memory))
    os.mkfifo(folder / "gate", 0o600)
    user = _as_other_than_root()
    if user:
        for path in (folder, folder / "gate"):
            os.chown(path, user["user"], user["group"])
    return PostgresqlServer(programs, folder)


def _created() -> PostgresqlServer:
    """A server that has its files, and does not run yet."""
    server, user = _folder(required_programs()), _as_other_than_root()
    made = [
        server.programs / "initdb",
        "-D",
        server.folder / "data",
        "-U",
        "tocsin",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    command = [*made, "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    subprocess.run(command, check=True, capture_output=True, **user)  # type: ignore[call-overload]
    return server


def _as_other_than_root() -> dict[str, int]:
    """The user for the server's processes: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid}
    return {}
