"""SQLite file that saves a workspace across restarts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import sqlite_utils

from slack_emulator.model import Json

KINDS = (
    "team",
    "people",
    "channels",
    "messages",
    "groups",
    "apps",
    "reads",
    "files",
    "scheduled",
    "tokens",
)


class Store:
    """A table for each kind of object, with its id and JSON. Every save is committed before it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self.path = path
        self._db = sqlite_utils.Database(path)
        self._db.enable_wal()
        for kind in KINDS:
            self._db.table(kind).create({"id": str, "body": str}, pk="id", if_not_exists=True)

    def save(self, kind: str, key: str, body: Json) -> None:
        self._db.table(kind).upsert({"id": key, "body": json.dumps(body)}, pk="id")

    def remove(self, kind: str, key: str) -> None:
        self._db.table(kind).delete_where("id = ?", [key])

    def load(self, kind: str) -> Iterator[tuple[str, Json]]:
        for row in self._db.table(kind).rows_where(order_by="rowid"):
            yield row["id"], json.loads(row["body"])

    def close(self) -> None:
        self._db.close()
