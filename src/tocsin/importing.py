"""`tocsin incidents import`: from the embedded files to PostgreSQL, and from incident.io to Tocsin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from sqlalchemy import Engine
from sqlite_utils import Database as SqliteFile

from tocsin.backends.incident_io.reader import AccountReader
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.choices import ruled_tables
from tocsin.backends.local.hosted import Brought, Ids, bring_choices, bring_incident, known_ids, own_id
from tocsin.backends.local.importing import SETTINGS, import_incidents
from tocsin.backends.local.postgresql import SESSION, PostgresqlDatabase
from tocsin.backends.local.sqlite import open_to_import
from tocsin.config import IncidentConfig
from tocsin.data_dir import (
    data_dir,
    folder_of,
    journal_url,
    now,
    only_one,
    open_backend,
    open_database,
    open_incident_config,
    secret,
)
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.hosted import HostedIncident
from tocsin.incidents.model import ChannelId, Incident
from tocsin.incidents.nudges import ALL, FOREVER
from tocsin.settings import ConfigurationError, Settings
from tocsin.storage.importing import copy_journal
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.postgresql import is_postgresql, postgresql_engine
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.storage.workflow_engine import fetch_pending
from tocsin.workflows.nudges import NudgeStore
from tocsin.workflows.retry import retry

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def import_file(settings: Settings, file: Path) -> str:
    """Bring an incident file, and the journal beside it, over into PostgreSQL; return a sentence about it.

    Raises ConfigurationError if the file or the database cannot be used, and Refused with the reason if
    nothing was imported.
    """
    url, config = _target_url(settings), open_incident_config(settings)
    journal = file.with_name("journal.db")
    with ExitStack() as stack:
        if (file.parent / "lock").exists():
            # A bot that still runs on the file would go on writing to it.
            stack.enter_context(only_one(file.parent))
        source = _open_source(file)
        stack.callback(source.conn.close)
        await _refuse_unfinished(journal)
        open_database(url).close()
        database = await _open_target(
            postgresql_engine(url, session={**SESSION, **SETTINGS}, autocommit=True)
        )
        also = partial(copy_journal, journal) if journal.exists() else None
        ruled = ruled_tables(config)
        try:
            done = await database.run(lambda db: import_incidents(db, source, file, now(), also, ruled))
        finally:
            await database.close()
    return done.sentence


def _target_url(settings: Settings) -> str:
    url = secret(settings.tocsin_database_url)
    if url is None or not is_postgresql(url):
        raise ConfigurationError(
            "TOCSIN_DATABASE_URL is not the address of a PostgreSQL database: set postgresql://… to import "
            "there."
        )
    return url


def _open_source(file: Path) -> SqliteFile:
    try:
        return open_to_import(file)
    except Unavailable as error:
        raise ConfigurationError(str(error)) from None


async def _refuse_unfinished(journal: Path) -> None:
    """Raise Refused if declarations or changes are unfinished: only a bot can finish them, in Slack."""
    unfinished = len(await fetch_pending(f"sqlite:///{journal}"))
    if unfinished:
        raise Refused(
            f"Unfinished in {journal}: {unfinished}. Nothing was imported: start Tocsin once more with the "
            "file and let them finish; `tocsin incidents pending` lists them."
        )


async def _open_target(engine: Engine) -> PostgresqlDatabase:
    try:
        return await PostgresqlDatabase.open(engine)
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error}") from None


# From incident.io to Tocsin.

AT_ONCE = 4
"""Incidents that are read side by side; the client keeps to incident.io's limit of requests a minute."""

PATIENCE = 600.0
"""Seconds for which one answer of incident.io is waited for."""

MOST_NAMED = 20
"""Incidents with another number that are named at the end."""

Say = Callable[[str], None]


async def import_account(settings: Settings, say: Say) -> str:
    """Bring everything of an incident.io account over into Tocsin's own database; return sentences about it.

    A second run goes on where the first one stopped. Nothing is sent to Slack.

    Raises ConfigurationError if a setting is missing or the database cannot be used, Refused if incident.io
    lets the key not read, and Unavailable if it cannot be asked.
    """
    given = settings.of_backend("incident_io")
    key = given.get("incident_io_api_key", "").strip()
    if not key:
        raise ConfigurationError(
            "INCIDENT_IO_API_KEY is not set: make a key that may view everything, private incidents too, and "
            "set it."
        )
    reader = AccountReader(given["incident_io_url"], key, now)
    try:
        async with _own_backend(settings) as target:
            return await _AccountImport(reader, target, open_incident_config(settings), say).run()
    finally:
        await reader.close()


@dataclass(frozen=True)
class _Target:
    """Tocsin's own database, with the state of Slack and the snoozes of nudges."""

    backend: LocalBackend
    state: SqlSlackStateStore
    nudges: NudgeStore


@asynccontextmanager
async def _own_backend(settings: Settings) -> AsyncIterator[_Target]:
    """Open the local backend to write, whichever backend the settings name."""
    folder = folder_of(settings)
    url = journal_url(settings, folder)
    with ExitStack() as stack:
        if not is_postgresql(url):
            stack.enter_context(only_one(data_dir(folder)))
        database = open_database(url)
        stack.callback(database.close)
        store = SqlKeyValueStore(database)
        local = settings.model_copy(update={"tocsin_backend": "local"})
        backend = await open_backend(local, folder, store=store)
        assert isinstance(backend, LocalBackend)
        try:
            yield _Target(backend, SqlSlackStateStore(database), NudgeStore(store))
        finally:
            await backend.close()


@dataclass
class _AccountImport:
    """One run of the import."""

    reader: AccountReader
    target: _Target
    config: IncidentConfig
    say: Say
    ids: Ids = field(default_factory=dict)
    brought: list[Brought] = field(default_factory=list)
    were_there: int = 0

    async def run(self) -> str:
        form = await _patiently(self.reader.form)
        database = self.target.backend.database
        self.ids = await database.run(lambda db: bring_choices(db, form, self.config, now()))
        self.say(
            f"Severities: {len(form.severities)}, statuses: {len(form.statuses)}, "
            f"types: {len(form.incident_types)}, roles: {len(form.roles)}, "
            f"custom fields: {len(form.custom_fields)}, timestamps: {len(form.incident_timestamps)}."
        )
        after: str | None = None
        while True:
            page = await _patiently(self.reader.page, after)
            await self._bring_page(page.incidents, page.total)
            after = page.after
            if after is None or not page.incidents:
                return self._sentences()

    async def _bring_page(self, incidents: Sequence[Incident], total: int | None) -> None:
        ids = [incident.id for incident in incidents]
        there = await self.target.backend.database.run(lambda db: known_ids(db, ids))
        self.were_there += len(there)
        new = [incident for incident in incidents if incident.id not in there]
        for first in range(0, len(new), AT_ONCE):
            some = new[first : first + AT_ONCE]
            found = await asyncio.gather(*(_patiently(self.reader.details, one) for one in some))
            for hosted in found:
                await self._bring(hosted)
            of = f" of {total}" if total is not None else ""
            done = len(self.brought) + self.were_there
            self.say(f"{done}{of} incidents, as far as {some[-1].reference}.")

    async def _bring(self, hosted: HostedIncident) -> None:
        """Bring one incident, silenced before anybody can see it: no nudge is due by its import."""
        incident, database = hosted.incident, self.target.backend.database
        incident_id = own_id(incident)
        if incident.incident_status.is_open:
            await self.target.nudges.snooze(incident_id, ALL, FOREVER)
        if incident.slack_channel_id:
            await self.target.state.remember_channel(ChannelId(incident.slack_channel_id), incident_id)
        brought = await database.run(lambda db: bring_incident(db, hosted, self.ids, now()))
        self.brought.append(brought)

    def _sentences(self) -> str:
        said = [f"Incidents imported: {len(self.brought)}."]
        if self.were_there:
            said.append(f"Already there from an earlier run: {self.were_there}.")
        moved = [one for one in self.brought if one.reference != one.hosted_reference]
        if moved:
            named = ", ".join(f"{one.hosted_reference} is {one.reference}" for one in moved[:MOST_NAMED])
            more = " and so on" if len(moved) > MOST_NAMED else ""
            said.append(f"With another number, because theirs was taken: {len(moved)} ({named}{more}).")
        said += self.reader.unread
        return "\n".join(said)


async def _patiently(ask: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Return an answer of incident.io, asked again while it is unavailable. Raises Unavailable in the end."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await retry(ask, *args, attempts=None)
    except TimeoutError:
        raise Unavailable(
            "incident.io cannot be asked. What came so far is kept: run the command again to go on."
        ) from None
