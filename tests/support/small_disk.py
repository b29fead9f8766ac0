"""A disk of a few megabytes for a database of a PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.postgresql import PostgresqlServer

SMALL, LARGE = 12, 100
"""Megabytes; a database with all tables has ten."""


@dataclass
class SmallDisk:
    """A disk in memory, with a tablespace of the server."""

    server: PostgresqlServer
    folder: Path

    def take(self, database: str) -> None:
        """Move a database there that has no session."""
        name = database.partition("@/")[2].partition("?")[0]
        self.server.execute(f"ALTER DATABASE {name} SET TABLESPACE small")

    def fill(self) -> None:
        """Leave no room on it."""
        with open(self.folder / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                return

    def clear(self) -> None:
        (self.folder / "ballast").unlink()

    def grow(self) -> None:
        assert _mounted(self.folder, f"remount,size={LARGE}m")


@contextmanager
def mounted_disk(server: PostgresqlServer) -> Iterator[SmallDisk]:
    """A small disk that the server may write to; only root can have one made, and others skip the test."""
    folder = server.folder / "small"
    folder.mkdir()
    if not _mounted(folder, f"size={SMALL}m"):
        pytest.skip("needs the right to mount a small disk")
    owner = server.folder.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    try:
        server.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        yield SmallDisk(server, folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _mounted(folder: Path, options: str) -> bool:
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    try:
        return subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
