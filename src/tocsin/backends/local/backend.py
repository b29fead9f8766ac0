"""Local backend: keeps incidents in one SQLite file that any SQLite tool can read, or in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tocsin.backends.local import changes, create, queries, updates
from tocsin.backends.local.attachments import Attachments
from tocsin.backends.local.catalogue import Catalogue
from tocsin.backends.local.choices import read_form, update_choices
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.deliveries import Deliveries
from tocsin.backends.local.insights import LocalInsights
from tocsin.backends.local.list_page import read_list_page
from tocsin.backends.local.outbox import EventBodies, Outbox
from tocsin.backends.local.postgresql import PostgresqlDatabase
from tocsin.backends.local.queries import incident_row, written, written_after
from tocsin.backends.local.reading import LocalReader
from tocsin.backends.local.sqlite import IncidentFile
from tocsin.config import IncidentConfig
from tocsin.incidents.insights import InsightSource
from tocsin.incidents.model import (
    AlertSummary,
    FieldOption,
    FollowUp,
    Form,
    Incident,
    Person,
    PersonId,
    TimelineEntry,
)
from tocsin.incidents.requests import (
    Declaration,
    FollowUpChange,
    FollowUpRequest,
    IncidentChange,
    IncidentFilter,
    IncidentQuery,
    ListedIncidents,
)
from tocsin.incidents.tasks import AssignedItem
from tocsin.incidents.timestamps import TimestampRule, measure
from tocsin.incidents.webhooks import Subscription
from tocsin.workflows.ports import Channel, CheckResult, Clock, FindPerson

MOST_ON_A_PAGE = 250  # incident.io, Incidents V2 List: page_size is at most 250


class LocalBackend:
    """The IncidentBackend over an incident file, or over PostgreSQL."""

    makes_channel = False
    is_remote = False
    cannot_filter_by: tuple[str, ...] = ()

    def __init__(
        self,
        database: IncidentFile | PostgresqlDatabase,
        config: IncidentConfig,
        *,
        public_url: str,
        clock: Clock,
        subscriptions: Sequence[Subscription] = (),
        bodies: EventBodies | None = None,
    ) -> None:
        """`subscriptions` are the events that are written for webhooks, with these bodies."""
        self.database = database
        self._config = config
        self._form = config.form()
        self.catalogue = Catalogue(database, config, clock)
        self.attachments = Attachments(database, clock)
        self._public_url = public_url
        self._clock = clock
        self._reading = asyncio.Lock()
        self._outbox = Outbox(subscriptions, bodies, self._one, create.ulid)
        self.deliveries = Deliveries(database)
        """Store of the webhooks that are to be sent."""

    @classmethod
    async def open(
        cls,
        where: Path | sa.Engine,
        config: IncidentConfig,
        *,
        public_url: str,
        clock: Clock,
        subscriptions: Sequence[Subscription] = (),
        bodies: EventBodies | None = None,
    ) -> LocalBackend:
        """Open or create the incidents and write the config there; `public_url` is the base of permalinks.

        Raises Unavailable with a one-line sentence if the file or the database cannot be used.
        """
        database = (
            await IncidentFile.open(where)
            if isinstance(where, Path)
            else await PostgresqlDatabase.open(where)
        )
        backend = cls(
            database, config, public_url=public_url, clock=clock, subscriptions=subscriptions, bodies=bodies
        )
        try:
            now = written(clock())
            await database.run(lambda db: update_choices(db, config, now))
            await backend.form()
        except BaseException:
            await database.close()
            raise
        return backend

    @classmethod
    async def read(
        cls, where: Path | sa.Engine, config: IncidentConfig, *, public_url: str, clock: Clock
    ) -> LocalBackend:
        """Open the incidents for reading only, unchanged; without a file, the backend has none.

        Raises Unavailable with a one-line sentence if the file cannot be used.
        """
        database = await IncidentFile.read(where) if isinstance(where, Path) else PostgresqlDatabase(where)
        return cls(database, config, public_url=public_url, clock=clock)

    @property
    def reader(self) -> LocalReader:
        """The reads of the API."""
        return LocalReader(self.database, self._read)

    @property
    def insights(self) -> InsightSource:
        """Counts of incidents by day."""
        return LocalInsights(self.database, self._config.duration_rules).source

    def set_directory(self, find_person: FindPerson) -> None:
        """Do nothing: people are kept as they were told of."""

    async def diagnose(self) -> Sequence[CheckResult]:
        """Find nothing: what is wrong with the file is said when it is opened."""
        return ()

    async def close(self) -> None:
        await self.database.close()

    async def form(self) -> Form:
        """Return the choices as the file and the database have them now; the same object if none changed."""
        # One after the other, so that an answer that came late is never taken for the newest.
        async with self._reading:
            form = await self.database.run(lambda db: read_form(db, self._config))
            if form != self._form:
                self._form = form
            return self._form

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """Return up to 100 options that contain every typed word.

        No field of this backend is marked `searched`, so the bot never needs to call this.
        """
        field, words = self._form.custom_field(field_id), typed.casefold().split()
        options = field.options if field is not None else ()
        return [o for o in options if all(word in o.value.casefold() for word in words)][:100]

    async def create(self, declaration: Declaration) -> Incident:
        now = self._clock()

        def work(db: SqlConnection) -> Incident:
            incident_id = create.declare(
                db, declaration, self._form, self._timestamp_rules, now, self._outbox
            )
            return self._one(db, incident_id)

        return await self.database.run(work)

    async def follow_through(self, declaration: Declaration, incident: Incident) -> None:
        """Do nothing: `create` has stored everything already."""

    async def find(self, reference: str) -> Incident | None:
        wanted = reference.strip()
        if number := queries.REFERENCE.fullmatch(wanted):
            return await self._find(queries.BY_NUMBER, int(number[1]))
        if queries.ID.fullmatch(wanted):
            return await self._find(queries.BY_ID, wanted)
        return None

    async def incidents(self, *, after: str | None = None, limit: int = 50) -> Sequence[Incident]:
        """Return incidents newest first, 250 at most; returns none if `after` is an unknown id."""
        limit = max(0, min(limit, MOST_ON_A_PAGE))
        if after is None:
            return await self._all(queries.NEWEST, [limit])
        return await self._all(queries.OLDER_THAN, [after, limit])

    async def set_channel(self, incident_id: str, channel: Channel) -> Incident:
        now = self._clock()

        def work(db: SqlConnection) -> Incident:
            with db.transaction(incident_id):
                row = incident_row(db, incident_id)
                if (row["slack_channel_id"], row["slack_channel_name"]) != (channel.id, channel.name):
                    updated_at = written_after(row["updated_at"], now)
                    db.execute(
                        "UPDATE incidents SET slack_channel_id = ?, slack_channel_name = ?, updated_at = ?"
                        " WHERE id = ?",
                        [channel.id, channel.name, updated_at, incident_id],
                    )
                    self._outbox.updated(db, incident_id, f"channel:{updated_at}", now)
            return self._one(db, incident_id)

        return await self.database.run(work)

    async def set_alerts(self, incident_id: str, alerts: AlertSummary) -> Incident:
        def work(db: SqlConnection) -> Incident:
            with db.transaction(incident_id):
                incident_row(db, incident_id)
                db.execute(
                    "UPDATE incidents SET alerts = ? WHERE id = ?", [alerts.model_dump_json(), incident_id]
                )
            return self._one(db, incident_id)

        return await self.database.run(work)

    async def note(self, incident_id: str, entry: TimelineEntry, key: str) -> None:
        def work(db: SqlConnection) -> None:
            with db.transaction(incident_id):
                incident_row(db, incident_id)
                create.add_to_timeline(db, incident_id, entry, key)

        await self.database.run(work)

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        now = self._clock()

        def work(db: SqlConnection) -> Incident:
            changes.change(db, incident_id, change, now, self._timestamp_rules, self._outbox)
            return self._one(db, incident_id)

        return await self.database.run(work)

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 50
    ) -> Sequence[Incident]:
        """Return matching incidents newest first, 250 at most; returns none if `after` is an unknown id."""
        limit = max(0, min(limit, MOST_ON_A_PAGE))

        def work(db: SqlConnection) -> list[Incident]:
            numbers = queries.matching_numbers(db, wanted, after, limit)
            query = queries.BY_NUMBERS.format(marks=queries.marks(numbers))
            return self._read(db, query, numbers) if numbers else []

        return await self.database.run(work)

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        """Return a page of 250 incidents at most, at a bounded cost whatever the filters are."""
        limited = wanted.model_copy(update={"limit": max(1, min(wanted.limit, MOST_ON_A_PAGE))})
        return await self.database.run(lambda db: read_list_page(db, limited, partial(self._read, db)))

    async def unnote(self, incident_id: str, key: str) -> None:
        def work(db: SqlConnection) -> None:
            with db.transaction(incident_id):
                create.take_out_of_timeline(db, incident_id, key)

        await self.database.run(work)

    async def add_follow_up(self, incident_id: str, request: FollowUpRequest) -> FollowUp:
        now = self._clock()

        def work(db: SqlConnection) -> FollowUp:
            incident_row(db, incident_id)
            return changes.add(db, incident_id, request, now, self._outbox)

        return await self.database.run(work)

    async def complete_follow_up(self, follow_up_id: str, by: Person, at: datetime, key: str) -> FollowUp:
        now = self._clock()
        return await self.database.run(
            lambda db: changes.complete(db, follow_up_id, by, at, key, now, self._outbox)
        )

    async def change_follow_up(self, follow_up_id: str, change: FollowUpChange) -> FollowUp:
        now = self._clock()
        return await self.database.run(
            lambda db: changes.change_follow_up(db, follow_up_id, change, now, self._outbox)
        )

    async def follow_ups(self, incident_id: str) -> Sequence[FollowUp]:
        query = changes.OF_INCIDENT
        found = await self.database.run(lambda db: changes.listed(db, query, incident_id))
        return [one for one in found if one.status != changes.DELETED]

    async def assigned_to(self, person: PersonId, limit: int) -> Sequence[AssignedItem]:
        """Return a person's open actions and follow-ups of any incident, private ones too, oldest first."""

        def work(db: SqlConnection) -> list[AssignedItem]:
            found = changes.listed(db, changes.OPEN_OF_PERSON, person, limit)
            incidents = {one: self._one(db, one) for one in {item.incident_id for item in found}}
            return [AssignedItem(item=item, incident=incidents[item.incident_id]) for item in found]

        return await self.database.run(work)

    async def version(self, incident_id: str) -> str | None:
        """Return a text that is another one when the incident has changed; None if there is none."""
        return await self.database.run(lambda db: updates.version_of(db, incident_id))

    async def merged_into(self, incident_id: str) -> str | None:
        return await self.database.run(lambda db: updates.merged_into(db, incident_id))

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        return await self.database.run(lambda db: queries.timeline(db, incident_id))

    async def remember_people(self, people: Iterable[Person]) -> None:
        """Store names for Slack ids, so that pages and lists name people instead of showing ids."""
        known, now = tuple(people), written(self._clock())

        def work(db: SqlConnection) -> None:
            with db.transaction("people"):
                for person in known:
                    create.remember_person(db, person, now)

        await self.database.run(work)

    @property
    def _timestamp_rules(self) -> list[TimestampRule]:
        """The rules for timestamps that there are."""
        rules = self._config.timestamp_rules
        return [rule for rule in rules if self._form.incident_timestamp(rule.id) is not None]

    async def _all(self, query: str, parameters: Sequence[Any]) -> Sequence[Incident]:
        return await self.database.run(lambda db: self._read(db, query, parameters))

    async def _find(self, query: str, value: str | int) -> Incident | None:
        return next(iter(await self._all(query, [value])), None)

    def _one(self, db: SqlConnection, incident_id: str) -> Incident:
        return self._read(db, queries.BY_ID, [incident_id])[0]

    def _read(self, db: SqlConnection, query: str, parameters: Sequence[Any]) -> list[Incident]:
        """Return the incidents that a query finds, with the durations that the configuration asks for."""
        rules = self._config.duration_rules
        return [
            found.model_copy(update={"duration_metrics": measure(rules, found.incident_timestamp_values)})
            for found in queries.incidents(db, query, parameters, self._public_url)
        ]
