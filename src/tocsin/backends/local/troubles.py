"""What SQLite's errors mean to somebody who wants an incident declared."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.incidents.errors import Refused, Unavailable

_HELD = "Another program is holding the incident file {path}. Try again in a moment."
_SENTENCES = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_FULL: "The disk is full: nothing can be added to {path}. Free some space and try again.",
    sqlite3.SQLITE_READONLY: "The incident file {path} is read-only. Allow writing to it and to its folder.",
    sqlite3.SQLITE_CORRUPT: "The incident file {path} is damaged. It is left as it is: restore a backup.",
    sqlite3.SQLITE_NOTADB: "{path} is not an incident file. Left as it is: move it, or restore a backup.",
    sqlite3.SQLITE_CANTOPEN: "The incident file {path} cannot be opened. Check who may write to its folder.",
    sqlite3.SQLITE_PERM: "The incident file {path} may not be opened by this user. Check who owns it.",
    sqlite3.SQLITE_IOERR: "The disk failed while using {path}. Check the disk and try again.",
}
_WAIT = {sqlite3.SQLITE_BUSY: 1.0, sqlite3.SQLITE_LOCKED: 1.0}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into Unavailable, each kind in its own words."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        sentence = _SENTENCES.get(code, "The incident file {path} could not be used ({error}).")
        raise Unavailable(sentence.format(path=path, error=error), _WAIT.get(code)) from error
    except UnicodeDecodeError as error:
        # SQLite quotes a damaged schema in its complaint, and Python cannot read the quotation.
        raise Unavailable(_SENTENCES[sqlite3.SQLITE_CORRUPT].format(path=path)) from error
    except UnicodeEncodeError as error:
        raise Refused("The text has a broken character in it that cannot be kept. Remove it.") from error
