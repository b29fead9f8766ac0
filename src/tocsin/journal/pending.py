"""What a journal still has in hand, asked from outside, whether or not the bot runs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, StepInfo, WorkflowStatus

from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import SOMEBODY
from tocsin.journal.files import cause, file_of
from tocsin.journal.serialization import JSON, NotOurs, read_plainly, refuse_foreign
from tocsin.journal.vault import uninstalled

UNFINISHED = ["PENDING", "ENQUEUED"]


@dataclass(frozen=True)
class Pending:
    """A declaration or a change that is saved and not finished: whose, since when, and what it waits for."""

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
    except (OSError, ImportError, NotOurs, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        raise Unavailable(f"The journal cannot be used ({cause(error)}).") from error


def _begun(engine: sa.Engine) -> list[Pending]:
    on_sqlite = engine.dialect.name == "sqlite"
    if not sa.inspect(engine).has_table("workflow_status", schema=None if on_sqlite else "dbos"):
        return []
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    read_plainly()
    with engine.connect() as connection:
        refuse_foreign(connection)
    client = DBOSClient(system_database_engine=engine, retry_connection_errors=False, serializer=JSON)
    try:
        found = client.list_workflows(status=UNFINISHED, load_output=False)
        with engine.connect() as connection:
            left = uninstalled(connection)
        pending = [_read(story, client.list_workflow_steps(story.workflow_id), left) for story in found]
    finally:
        client.destroy()
    return sorted(pending, key=lambda one: one.begun)


def _read(story: WorkflowStatus, steps: Sequence[StepInfo], left: Collection[str]) -> Pending:
    if isinstance(story.input, str):
        raise NotOurs
    arguments: Sequence[Any] = (story.input or {"args": ()})["args"]
    verb = str(arguments[0]) if arguments else ""
    order: dict[str, Any] = arguments[1] if len(arguments) > 1 else {}
    done = {step["function_name"]: step["output"] for step in steps}
    incident = _incident(done.values())
    by = _first(order.get(part) for part in ("declaration", "change", "request", "entry")) or order
    team = str(by.get("slack_team_id") or order.get("team") or "")
    person = _first(by.get(part) for part in ("reporter", "by", "done_by")) or {}
    return Pending(
        key=story.workflow_id,
        begun=datetime.fromtimestamp((story.created_at or 0) / 1000, UTC),
        name=str((order.get("declaration") or incident).get("name") or ""),
        by=str(person.get("name") or (SOMEBODY if person.get("slack_user_id") else "")),
        reference=str(incident.get("reference") or ""),
        waits_for=_not_past(verb, set(done), team, left),
    )


def _first(found: Iterable[Any]) -> dict[str, Any] | None:
    return next((one for one in found if isinstance(one, dict)), None)


def _incident(outputs: Iterable[Any]) -> dict[str, Any]:
    """The incident, as the first step that answered one tells it."""
    for output in outputs:
        if isinstance(output, dict):
            found = output.get("incident", output)
            if isinstance(found, dict) and "reference" in found:
                return found
    return {}


_KEEPING = {
    "declare": ("create the incident", "the backend has not created it"),
    "change": ("change the incident", "the backend has not changed it"),
    "note": ("note it", "the backend has not noted it"),
    "add a follow-up": ("add the follow-up", "the backend has not added what is to be done"),
    "complete a follow-up": ("complete the follow-up", "the backend has not marked it as done"),
}
"""The step of each verb that the backend does, and what is said while it is not done."""


def _not_past(verb: str, done: set[str], team: str, left: Collection[str]) -> str:
    step, said = _KEEPING.get(verb, ("", ""))
    if step and step not in done:
        return said
    if team in left:
        return f"Tocsin was uninstalled from its workspace ({team}); it goes on once it is installed again"
    if verb == "declare" and "open the channel" not in done:
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
