"""What a journal still has in hand, asked from outside, whether or not the bot runs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, StepInfo, WorkflowStatus

from tocsin.incidents.errors import Unavailable
from tocsin.journal.durable import cause, file_of
from tocsin.journal.vault import uninstalled

UNFINISHED = ["PENDING", "ENQUEUED"]


@dataclass(frozen=True)
class Pending:
    """A declaration that is saved and not finished: whose, since when, and what it has not come past."""

    key: str
    begun: datetime
    name: str
    by: str
    reference: str
    waits_for: str


async def fetch_pending(url: str) -> list[Pending]:
    """The unfinished stories, oldest first; none where there is no journal yet.

    Nothing is made or changed. Raises Unavailable in one line when the journal cannot be used.
    """
    return await asyncio.to_thread(_pending, url)


def _pending(url: str) -> list[Pending]:
    file = file_of(url)
    if file is not None and not file.exists():
        return []
    try:
        if file is not None:
            _refuse_damaged(file)
        engine = sa.create_engine(url)
        try:
            return _begun(engine)
        finally:
            engine.dispose()
    except (OSError, ImportError, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        raise Unavailable(f"The journal cannot be used ({cause(error)}).") from error


def _begun(engine: sa.Engine) -> list[Pending]:
    on_sqlite = engine.dialect.name == "sqlite"
    if not sa.inspect(engine).has_table("workflow_status", schema=None if on_sqlite else "dbos"):
        return []
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    client = DBOSClient(system_database_engine=engine, retry_connection_errors=False)
    try:
        found = client.list_workflows(status=UNFINISHED, load_output=False)
        with engine.connect() as connection:
            left = uninstalled(connection)
        pending = [_read(story, client.list_workflow_steps(story.workflow_id), left) for story in found]
    finally:
        client.destroy()
    return sorted(pending, key=lambda one: one.begun)


def _read(story: WorkflowStatus, steps: Sequence[StepInfo], left: Collection[str]) -> Pending:
    arguments: Sequence[Any] = (story.input or {"args": ()})["args"]
    order: dict[str, Any] = arguments[1] if len(arguments) > 1 else {}
    declaration = order.get("declaration") or {}
    reporter = declaration.get("reporter") or {}
    done = {step["function_name"]: step["output"] for step in steps}
    created = done.get("create the incident") or {}
    return Pending(
        key=story.workflow_id,
        begun=datetime.fromtimestamp((story.created_at or 0) / 1000, UTC),
        name=str(declaration.get("name") or ""),
        by=str(reporter.get("name") or reporter.get("slack_user_id") or ""),
        reference=str((created.get("incident") or {}).get("reference") or ""),
        waits_for=_not_past(set(done), str(declaration.get("slack_team_id") or ""), left),
    )


def _not_past(done: set[str], team: str, left: Collection[str]) -> str:
    if "create the incident" not in done:
        return "the backend has not created it"
    if team in left:
        return f"Tocsin was uninstalled from its workspace ({team}); it goes on once it is installed again"
    if "open the channel" not in done:
        return "Slack has not opened its channel"
    return "not everything is done in Slack"


def _refuse_damaged(file: Path) -> None:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1.5)
    try:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    finally:
        connection.close()
    if said != "ok":
        raise sqlite3.DatabaseError(said)
