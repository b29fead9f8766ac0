"""The file of an SQLite journal: made for its owner alone, known again, and through to the disk."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy.engine import make_url

TRUNCATING_SECONDS = 5


def file_of(url: str) -> Path | None:
    """The file of an SQLite journal."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def identity(url: str) -> tuple[int, int] | None:
    """Which file stands there now; None where there is none, or where the journal is no file.

    What is written to a file that was deleted is gone with the process: nothing may be promised on it.
    """
    path = file_of(url)
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def cause(error: BaseException) -> str:
    """The first line of what went wrong, without the statement and the address it went wrong with."""
    at_heart = getattr(error, "orig", None) or error
    return (str(at_heart).strip().splitlines() or [type(at_heart).__name__])[0]


def through(url: str) -> None:
    """Have everything that was committed to an SQLite journal on the disk, whatever happens to the power.

    Raises OSError. Its commits alone leave that to the next checkpoint (SQLite, PRAGMA synchronous: NORMAL).
    """
    path = file_of(url)
    if path is None:
        return
    # No locks are held on the log itself, so that it may be opened and closed beside SQLite.
    with suppress(FileNotFoundError):
        log = os.open(f"{path}-wal", os.O_RDWR)
        try:
            os.fdatasync(log)
        finally:
            os.close(log)


def truncate(url: str) -> None:
    """Leave nothing in the log of an SQLite journal: what was deleted would stay there to be read."""
    path = file_of(url)
    if path is not None:
        with closing(sqlite3.connect(path, timeout=TRUNCATING_SECONDS)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def make_ready(url: str) -> None:
    """Create the file of an SQLite journal, for its owner's eyes only (0600), in write-ahead mode."""
    path = file_of(url)
    if path is None:
        return
    # Only a new file is opened here: closing one that SQLite has open would drop its locks (POSIX locks are
    # the process's), and the next program to look into the journal would take its write-ahead log away.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
