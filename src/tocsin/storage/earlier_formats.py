"""Unfinished workflows of earlier formats, which this version begins again under their keys.

DBOS identifies a recorded step by its number and name, and a format is a version of these. A workflow that
was begun in an earlier format is taken over before any workflow runs. Its command stays, and so do its
first steps, as far as this version has the same ones. The others are forgotten, and what they did is looked
for before it is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, WorkflowStatus

from tocsin.storage.replicas import DEAD_SECONDS
from tocsin.storage.serialization import JSON

FORMAT = 2
WORKFLOW_FORMAT = f"stories-{FORMAT}"
"""Version of the recorded steps. A new version of Tocsin that changes none of them keeps it."""

EARLIER_FORMATS = ["stories-1"]

UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]
"""DBOS puts a workflow that it resumes back into its queue first; it is unfinished there, too."""

CANCELLED = "CANCELLED"

FIRST_PARTS: Mapping[str, frozenset[str]] = {
    "declare": frozenset({"show the outcome", "answer the workflow"}),
    "change": frozenset({"bring what is shown up to date"}),
}
"""By verb: each step from which on the workflow has other steps now. Other verbs have the same as before."""

_TURN = 7466733
"""Key of PostgreSQL's advisory lock for the turn."""

BEING_TAKEN_OVER = "tocsin_being_taken_over"
"""Attribute of a workflow from before its cancellation on: DBOS rewinds only workflows that have ended."""


def take_over(engine: sa.Engine, executor: str) -> bool:
    """Begin the executor's unfinished workflows of earlier formats again; none of them may be running.

    If the process is killed midway, the next call does the rest. Returns False, and does nothing, while
    another process takes over.
    """
    if not has_workflows(engine) or not _has_earlier_ones(engine):
        return True
    with _turn(engine) as still_held:
        if still_held is None:
            return False
        client = DBOSClient(system_database_engine=engine, serializer=JSON)
        try:
            _begin_again(client, executor, still_held)
        finally:
            client.destroy()
    return True


def _begin_again(client: DBOSClient, executor: str, still_held: Callable[[], object]) -> None:
    for workflow in _listed(client, executor, UNFINISHED):
        still_held()
        client.update_workflow_attributes(workflow.workflow_id, {BEING_TAKEN_OVER: True}, merge=True)
        client.cancel_workflow(workflow.workflow_id)
    for workflow in being_taken_over(client, executor):
        key = workflow.workflow_id
        steps = {step["function_id"]: step["function_name"] for step in client.list_workflow_steps(key)}
        still_held()
        first = first_changed(_verb(workflow), steps)
        client.rewind_workflow(key, start_step=first, application_version=WORKFLOW_FORMAT)


@contextmanager
def _turn(engine: sa.Engine) -> Iterator[Callable[[], object] | None]:
    """Hold the turn of the one replica that takes over; yields a check of it, or None if another has it.

    Two at once would cancel what the other has begun again. PostgreSQL ends the turn of a process that is
    silent for DEAD_SECONDS, and the check raises SQLAlchemyError then. SQLite belongs to one process.
    """
    if engine.dialect.name == "sqlite":
        yield lambda: None
        return
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{DEAD_SECONDS:.0f}s'")
        is_ours = connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_TURN)))
        yield partial(connection.scalar, sa.select(1)) if is_ours else None


def has_workflows(engine: sa.Engine) -> bool:
    """True if DBOS has its tables in this database."""
    return sa.inspect(engine).has_table("workflow_status", schema=_schema(engine))


def _schema(engine: sa.Engine) -> str | None:
    return None if engine.dialect.name == "sqlite" else "dbos"


def _has_earlier_ones(engine: sa.Engine) -> bool:
    """True if there may be anything to take over: at nearly every start there is not."""
    status: sa.ColumnClause[str] = sa.column("status")
    version: sa.ColumnClause[str] = sa.column("application_version")
    workflows = sa.table("workflow_status", status, version, schema=_schema(engine))
    left = sa.and_(status.in_([*UNFINISHED, CANCELLED]), version.in_(EARLIER_FORMATS))
    asked = sa.select(version).select_from(workflows).where(left).limit(1)
    with engine.connect() as connection:
        return connection.execute(asked).first() is not None


def being_taken_over(client: DBOSClient, executor: str | None = None) -> list[WorkflowStatus]:
    """Return the workflows that a killed process was taking over: they are unfinished, too."""
    cancelled = _listed(client, executor, [CANCELLED])
    return [one for one in cancelled if is_being_taken_over(one)]


def is_being_taken_over(workflow: WorkflowStatus) -> bool:
    """True if a process cancelled the workflow to begin it again, and was killed or cut off before it did."""
    return BEING_TAKEN_OVER in (workflow.attributes or {})


def _listed(client: DBOSClient, executor: str | None, status: list[str]) -> list[WorkflowStatus]:
    return client.list_workflows(
        status=status, app_version=EARLIER_FORMATS, executor_id=executor, load_output=False
    )


def first_changed(verb: str, steps: Mapping[int, str]) -> int:
    """Return the number of the first recorded step of this verb whose record is not read any more."""
    parts, last = FIRST_PARTS.get(verb), max(steps, default=0)
    if parts is None:
        return last + 1
    # Steps that ran side by side may have been recorded without one before them.
    return next(number for number in range(1, last + 2) if steps.get(number) in {None, *parts})


def _verb(workflow: WorkflowStatus) -> str:
    arguments: Sequence[Any] = workflow.input["args"] if isinstance(workflow.input, dict) else ()
    return str(arguments[0]) if arguments else ""
