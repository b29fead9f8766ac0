"""Workflow engine on DBOS, which only this module, `earlier_formats` and `serialization` import."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, SetWorkflowID, StepInfo, WorkflowHandleAsync, WorkflowStatus
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import SOMEBODY
from tocsin.logs import trace, traced
from tocsin.storage.barrier import WriteBarrier, fail_fast, root_message, wait_for_database
from tocsin.storage.database import TABLES, Database, upsert
from tocsin.storage.earlier_formats import (
    EARLIER_FORMATS,
    FORMAT,
    UNFINISHED,
    WORKFLOW_FORMAT,
    being_taken_over,
    has_workflows,
    is_being_taken_over,
    take_over,
)
from tocsin.storage.installations import uninstalled
from tocsin.storage.postgresql import is_postgresql, postgresql_engine
from tocsin.storage.replicas import Replicas
from tocsin.storage.serialization import JSON, NotOurs, read_plainly, refuse_foreign
from tocsin.storage.sqlite import barred_engine, file_identity, file_of, fsync_wal, truncate
from tocsin.workflows.ports import Clock, FinishedWorkflow, own_by
from tocsin.workflows.retry import best_effort

log = structlog.get_logger()

# List of unfinished workflows, read from the database whether or not the bot runs.

STARTED_OR_QUEUED = ["PENDING", "ENQUEUED"]


@dataclass(frozen=True)
class Pending:
    """An unfinished declaration or change: its person (`by`), its start, and the reason why it waits."""

    key: str
    begun: datetime
    name: str
    by: str
    reference: str
    waits_for: str


async def fetch_pending(url: str) -> list[Pending]:
    """Return the unfinished workflows, oldest first; none if there is no database yet.

    Creates and changes nothing. Raises Unavailable, with a one-line reason, if the database cannot be used.
    """
    return await asyncio.to_thread(_pending, url)


def _pending(url: str) -> list[Pending]:
    file = file_of(url)
    if file is not None and not file.exists():
        return []
    try:
        if file is not None:
            _refuse_damaged(file)
        engine = postgresql_engine(url) if is_postgresql(url) else sa.create_engine(url)
        try:
            return _begun(engine)
        finally:
            engine.dispose()
    except (OSError, ImportError, NotOurs, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        raise Unavailable(f"The journal cannot be used ({root_message(error)}).") from error


def _begun(engine: sa.Engine) -> list[Pending]:
    if not has_workflows(engine):
        return []
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    read_plainly()
    with engine.connect() as connection:
        refuse_foreign(connection)
    client = DBOSClient(system_database_engine=engine, retry_connection_errors=False, serializer=JSON)
    try:
        found = client.list_workflows(status=STARTED_OR_QUEUED, load_output=False)
        found += being_taken_over(client)
        with engine.connect() as connection:
            left = uninstalled(connection)
        pending = [
            _read(workflow, client.list_workflow_steps(workflow.workflow_id), left) for workflow in found
        ]
    finally:
        client.destroy()
    return sorted(pending, key=lambda one: one.begun)


def _read(workflow: WorkflowStatus, steps: Sequence[StepInfo], left: Collection[str]) -> Pending:
    if isinstance(workflow.input, str):
        raise NotOurs
    arguments: Sequence[Any] = (workflow.input or {"args": ()})["args"]
    verb = str(arguments[0]) if arguments else ""
    command: dict[str, Any] = arguments[1] if len(arguments) > 1 else {}
    done = {step["function_name"]: step["output"] for step in steps}
    incident = _incident(done.values())
    by = _first(command.get(part) for part in ("declaration", "change", "request", "entry")) or command
    team = str(by.get("slack_team_id") or command.get("team") or "")
    person = _first(by.get(part) for part in ("automation", "reporter", "by", "done_by")) or {}
    return Pending(
        key=workflow.workflow_id,
        begun=datetime.fromtimestamp((workflow.created_at or 0) / 1000, UTC),
        name=str((command.get("declaration") or incident).get("name") or ""),
        by=str(person.get("name") or (SOMEBODY if person.get("slack_user_id") else "")),
        reference=str(incident.get("reference") or ""),
        waits_for=_not_past(verb, set(done), team, left),
    )


def _first(found: Iterable[Any]) -> dict[str, Any] | None:
    return next((one for one in found if isinstance(one, dict)), None)


def _incident(outputs: Iterable[Any]) -> dict[str, Any]:
    """Return the incident from the first step result that has one; empty if none has."""
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
    "add a follow-up": ("add the follow-up", "the backend has not added it"),
    "complete a follow-up": ("complete the follow-up", "the backend has not marked it as done"),
    "change a follow-up": ("change the follow-up", "the backend has not changed it"),
    "group alerts": ("find its incident", "the incident of these alerts is not declared"),
    "add tasks": ("add the tasks", "the backend has not added its actions and follow-ups"),
}
"""The step of each verb that changes the backend, and the reason to show while it is not done."""


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


# Keys and outcomes of deleted workflows: a late repeat of the same key must not run again.

_ended = sa.Table(
    "tocsin_ended",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    # The kind of its outcome and the incident's id, but nothing that people wrote.
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("incident_id", sa.Text, nullable=False),
)
# Built once, since each declaration asks: that takes longer than SQLite takes to answer.
_FIND = sa.select(_ended).where(_ended.c.key == sa.bindparam("key"))


class SqlFinishedWorkflows:
    """Store of the keys and outcomes of deleted workflows, in the same database as the workflows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key: str) -> FinishedWorkflow | None:
        row = await self._database.do(lambda connection: connection.execute(_FIND, {"key": key}).first())
        return None if row is None else FinishedWorkflow(kind=row.kind, incident_id=row.incident_id)

    async def save(self, endings: Mapping[str, FinishedWorkflow]) -> None:
        def keep(connection: sa.Connection) -> None:
            for key, ended in endings.items():
                upsert(connection, _ended, {"key": key}, {**ended.model_dump()}, replacing=False)

        await self._database.do(keep, synced=True)


# Durable workflows on DBOS.
#
# A workflow is committed before it starts, and each step is recorded when it is done. A workflow of a killed
# process is run again at the next start; its recorded steps return their recorded results. DBOS has one
# registry for the whole process, so only one engine can be open at a time.

Workflow = Callable[[dict[str, Any]], Awaitable[Any]]

ALONE = "tocsin"
"""Executor of the workflows in an SQLite file, which one process at a time has."""

RESULT_POLL_SECONDS = 0.05

FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
AT_ONCE = 100
"""Workflows to delete in one transaction, so that other writers do not wait for long."""

FINISH_SECONDS = 1.5
"""Seconds to wait at `close` for running workflows; the others are resumed at the next start."""

TRACE = "_trace"
"""Key in a stored command of the trace id of its Slack request, which a resumed workflow logs, too."""

THREADS = 48
"""Threads in which workflows wait concurrently for the database."""

_open: DbosEngine | None = None

# True in workflows that this process started; a resumed workflow runs in another context without it.
_begun_by_this_process: ContextVar[bool] = ContextVar("begun_by_this_process", default=False)


@DBOS.workflow(name="story", max_recovery_attempts=1_000_000)
async def _run_workflow(verb: str, command: dict[str, Any]) -> Any:
    if _open is None:
        raise RuntimeError("a workflow was begun with no journal open")
    wait_for_database()
    _open.in_hand()
    own_by(_open.check)
    command = dict(command)
    # A workflow of an older version has no trace id; its key stands in.
    with traced(command.pop(TRACE, "") or DBOS.workflow_id or ""):
        async with best_effort(f"{verb}, which stays unfinished"):
            return await _open.workflows[verb](command)
    # An unexpected exception must not end the workflow, which would lose it. It stays among the unfinished
    # ones and is resumed at the next start, perhaps by a version with the bug fixed.
    raise asyncio.CancelledError


class DbosEngine:
    """WorkflowEngine of one process."""

    def __init__(self, database: Database, replicas: Replicas | None = None) -> None:
        self.url, self.is_shared = database.url, database.is_shared
        self._database = database
        self._replicas = replicas or Replicas(database, FORMAT)
        self.check = self._replicas.check
        """Raises Unavailable while other replicas may take over this one's workflows."""
        self.poll_seconds = 1.0
        """Seconds between DBOS's polls for notifications: Tocsin sends none, but `close` waits for a poll."""
        self.workflows: dict[str, Workflow] = {}
        self._identity: tuple[int, int] | None = None
        self._barrier: WriteBarrier | None = None
        self._own_engine: sa.Engine | None = None
        """DBOS's own for an SQLite file; in PostgreSQL it shares that of the stores."""
        self._running: dict[asyncio.Task[Any], str] = {}
        self._halted: set[str] = set()
        self._finished = SqlFinishedWorkflows(database)

    @property
    def workflows_in_hand(self) -> int:
        """Number of workflows that run in this process."""
        return len(self._running)

    def in_hand(self) -> None:
        """Record that the current task runs a workflow, for `finish` and `close` to wait for."""
        task = asyncio.current_task()
        if task is not None:
            self._running[task] = DBOS.workflow_id or ""
            task.add_done_callback(self._running.pop)

    def register(self, verb: str, workflow: Workflow) -> None:
        """Register the workflow of a verb; all verbs must be registered before `open`."""
        self.workflows[verb] = workflow

    def open(self) -> None:
        """Open the database and resume unfinished workflows; call it inside the running event loop.

        Resumed workflows run on this loop, to which the HTTP clients belong. Raises Unavailable.
        """
        global _open
        if _open is not None:
            raise RuntimeError("one journal is open in this process already")
        engine = self._database.open()
        self._identity = file_identity(self.url)
        library = logging.getLogger("dbos")
        library.setLevel(logging.WARNING)
        if not library.handlers:
            # Without a handler DBOS adds its own, which would bypass the redaction of secrets.
            library.addHandler(logging.NullHandler())
        config: DBOSConfig = {
            "name": "tocsin",
            "system_database_url": self.url,
            "application_version": WORKFLOW_FORMAT,
            "executor_id": self._replicas.id if self.is_shared else ALONE,
            "enable_otlp": False,
            "log_level": "WARNING",
            "max_executor_threads": THREADS,
            "notification_listener_polling_interval_sec": self.poll_seconds,
            "serializer": JSON,
        }
        if self._database.is_shared:
            self._barrier = self._database.barrier
        else:
            engine, self._barrier = barred_engine(self.url)
            self._own_engine = engine
            take_over(engine, ALONE)
        config["system_database_engine"] = engine
        read_plainly()
        _open = self
        try:
            DBOS(config=config)
            DBOS.launch()
        except SQLAlchemyError as error:
            _open = None
            raise Unavailable(f"the database cannot be used ({root_message(error)}).") from error

    @property
    def problem(self) -> str:
        """Reason why workflows cannot continue; empty if they can."""
        why = self._barrier.problem if self._barrier is not None else ""
        if why:
            return (
                f"Tocsin's journal cannot be written to ({why}). What is unfinished goes on when it can be."
            )
        if self._replicas.is_cut_off:
            return "Tocsin's database cannot be reached. What is unfinished goes on when it can be."
        return ""

    async def finish(self, seconds: float) -> None:
        """Wait for the running workflows and those that they start, at most so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._running and (left := until - loop.time()) > 0:
            await asyncio.wait(set(self._running), timeout=left)

    async def close(self) -> None:
        """Stop the engine; workflows that do not end within FINISH_SECONDS are resumed at the next start."""
        global _open
        await self.finish(FINISH_SECONDS)
        # DBOS would log each step of a cancelled workflow at length, though it is resumed later.
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        await self.abandon()
        if self._barrier is not None:
            self._barrier.close()
        if self._own_engine is not None:
            self._own_engine.dispose()
        await asyncio.to_thread(DBOS.destroy)
        # DBOS had replaced the loop's default executor by its own, which it has just shut down.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        _open = None

    async def abandon(self) -> None:
        """Stop the running workflows; the next process, or another replica, goes on with them."""
        for workflow in (cut := set(self._running)):
            workflow.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    async def take_over(self, alive: Collection[str]) -> None:
        """Go on with the workflows of replicas that are not alive, also of those of an earlier version."""
        with self._told("read"):
            begun = await DBOS.list_workflows_async(status=UNFINISHED, load_input=False, load_output=False)
            cancelled = await DBOS.list_workflows_async(
                status="CANCELLED", app_version=EARLIER_FORMATS, load_input=False, load_output=False
            )
        known = [*EARLIER_FORMATS, WORKFLOW_FORMAT]
        owners = {one.executor_id for one in begun if one.app_version in known and one.status == "PENDING"}
        owners |= {one.executor_id for one in begun if one.app_version in EARLIER_FORMATS}
        owners |= {one.executor_id for one in cancelled if is_being_taken_over(one)}
        if gone := sorted({owner for owner in owners if owner} - set(alive)):
            log.warning("takes over the workflows of replicas that are gone", replicas=gone)
            for executor in gone:
                if not await asyncio.to_thread(take_over, self._database.open(), executor):
                    return
            await asyncio.to_thread(DBOS._recover_pending_workflows, gone)
        await self._replicas.forget_dead()

    async def resume_halted(self) -> None:
        """Go on with own workflows that run no more, since the database took no record of theirs.

        Only those that did not run at the last call either: one that was just begun may not run yet.
        """
        with self._told("read"):
            begun = await DBOS.list_workflows_async(
                status="PENDING", executor_id=self._replicas.id, load_input=False, load_output=False
            )
        halted = {one.workflow_id for one in begun} - set(self._running.values())
        for key in halted & self._halted:
            log.warning("goes on with a workflow that came to a halt", key=key)
            await DBOS.resume_workflow_async(key)
        self._halted = halted

    async def start(self, verb: str, key: str, command: Mapping[str, Any]) -> bool:
        self.check()
        if await self.find_finished(key) is not None:
            return False
        is_new = True
        marked = _begun_by_this_process.set(True)
        try:
            with self._told("written to"):
                try:
                    with SetWorkflowID(key, workflow_id_reuse_policy="reject"):
                        await DBOS.start_workflow_async(_run_workflow, verb, {**command, TRACE: trace()})
                except dbos_error.DBOSWorkflowIDInUseError:
                    # The press that started it may still wait for the next line.
                    is_new = False
                await asyncio.to_thread(fsync_wal, self.url)
        finally:
            _begun_by_this_process.reset(marked)
        return is_new

    def is_resumed(self) -> bool:
        return not _begun_by_this_process.get()

    def step(self, name: str, act: Callable[[bool], Awaitable[Any]]) -> Awaitable[Any]:
        return DBOS.run_step_async({"name": name}, act, self.is_resumed())

    def is_running(self, key: str) -> bool:
        return key in self._running.values()

    async def find_command(self, key: str) -> Any:
        with self._told("read"):
            status = await DBOS.get_workflow_status_async(key)
        if status is None or not status.input:
            return None
        begun = dict(_understood(status.input)["args"][1])
        begun.pop(TRACE, None)
        return begun

    async def result(self, key: str) -> Any:
        with self._told("read"):
            status = await DBOS.get_workflow_status_async(key)
        return _understood(status.output) if status is not None and status.status == "SUCCESS" else None

    async def find_finished(self, key: str) -> FinishedWorkflow | None:
        return await self._finished.find(key)

    async def delete_finished(self, before: datetime) -> None:
        """Delete the workflows that finished before then, except their keys and outcomes.

        Raises Unavailable. If the process is killed midway, the next call deletes the rest.
        """
        with self._told("written to"):
            while found := await DBOS.list_workflows_async(
                status=FINISHED, completed_before=before.isoformat(), limit=AT_ONCE, load_input=False
            ):
                done = [workflow for workflow in found if workflow.status == "SUCCESS"]
                await self._finished.save(
                    {workflow.workflow_id: _ending(workflow.output) for workflow in done}
                )
                await DBOS.delete_workflows_async([workflow.workflow_id for workflow in found])
            await asyncio.to_thread(truncate, self.url)

    async def unfinished(self) -> list[str]:
        """Return the keys of the unfinished workflows, oldest first."""
        with self._told("read"):
            asked = _select_unfinished("dbos" if self.is_shared else None)
            return await self._database.do(lambda connection: list(connection.scalars(asked)))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Convert database errors in this block into Unavailable; raise it also if the file was replaced."""
        if file_identity(self.url) != self._identity:
            raise Unavailable("Tocsin's journal was moved or deleted; put it back and start Tocsin again.")
        try:
            with fail_fast():
                yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise Unavailable(f"Tocsin's journal cannot be {what} ({root_message(error)}).") from error

    async def settled(self) -> None:
        """Wait until no workflow is unfinished, including those that an earlier process left behind."""
        while waiting := await self.unfinished():
            workflow: WorkflowHandleAsync[Any] = await DBOS.retrieve_workflow_async(waiting[0])
            # The result is reported elsewhere; `wait` ignores an exception, which is an end as well.
            await asyncio.wait(
                {asyncio.ensure_future(workflow.get_result(polling_interval_sec=RESULT_POLL_SECONDS))}
            )


@cache
def _select_unfinished(schema: str | None) -> sa.Select[str]:
    """Return the query for their keys; that of DBOS reads all about each of them, and builds it anew."""
    key: sa.ColumnClause[str] = sa.column("workflow_uuid", sa.Text)
    status: sa.ColumnClause[str] = sa.column("status", sa.Text)
    begun: sa.ColumnClause[int] = sa.column("created_at", sa.BigInteger)
    workflows = sa.table("workflow_status", key, status, begun, schema=schema)
    return sa.select(key).select_from(workflows).where(status.in_(UNFINISHED)).order_by(begun)


def _understood(kept: Any) -> Any:
    """Return a value that DBOS read from a row. Raises Unavailable if it is text: DBOS could not parse it."""
    if isinstance(kept, str):
        raise Unavailable("Tocsin's journal has a row that is not Tocsin's, and is not read.")
    return kept


def _ending(output: Any) -> FinishedWorkflow:
    """Return the part of a workflow's result that is kept after its deletion."""
    result = output if isinstance(output, dict) else {}
    incident = result.get("incident") or {}
    return FinishedWorkflow(kind=str(result.get("kind", "")), incident_id=str(incident.get("id", "")))


# Loops beside the workflows.

HALTED_SECONDS = 5.0


async def keep_workflows_going(engine: DbosEngine) -> None:
    """Go on with workflows that a failing database brought to a halt, forever."""
    while engine.is_shared:
        await asyncio.sleep(HALTED_SECONDS)
        async with best_effort("look for workflows that came to a halt"):
            await engine.resume_halted()


# Retention: finished workflows, which contain what people wrote, are deleted after a while.

KEPT = timedelta(days=30)
"""Longer than a person leaves a form open or waits with *Fix and send*; incidents are stored elsewhere."""

FORGET_EVERY_SECONDS = 3600.0


async def forget_old_workflows(journal: DbosEngine, clock: Clock) -> None:
    """Delete finished workflows of more than 30 days ago, once an hour, forever."""
    while True:
        async with best_effort("forget what finished long ago"):
            await journal.delete_finished(clock() - KEPT)
        await asyncio.sleep(FORGET_EVERY_SECONDS)
