"""The Backend and Managing ports over DevRev."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from tocsin.backends.devrev import changes, mapping
from tocsin.backends.devrev.account import DevRevAccount, UserDirectory
from tocsin.backends.devrev.api_models import IncidentResponse, UpdateIncident
from tocsin.backends.devrev.changes import UNSUPPORTED, IncidentEditor
from tocsin.backends.devrev.client import DevRevClient, DevRevRefused
from tocsin.backends.devrev.create import IncidentCreation, KeyLocation, found_by_key, key_of
from tocsin.backends.devrev.diagnostics import diagnose
from tocsin.backends.devrev.form import block_of
from tocsin.backends.devrev.idempotency import CreateAttempt, IdempotentCreate
from tocsin.backends.devrev.mapping import ExtrasStore
from tocsin.backends.devrev.queries import CANNOT_FILTER_BY, IncidentReader
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import (
    AlertSummary,
    FieldOption,
    FollowUp,
    Form,
    Incident,
    Person,
    Role,
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
from tocsin.workflows.ports import Alerts, Channel, CheckResult, Clock, FindPerson, KeyValueStore

PRIVATE_REFUSAL: Final = UNSUPPORTED["private"]
SWEEP_SECONDS: Final = 60.0
READ_ONLY: Final = "Incidents can only be read here."

log = structlog.get_logger()


class DevRevBackend:
    """Incidents in DevRev. Without a `store` they can only be read."""

    cannot_filter_by = CANNOT_FILTER_BY
    kept_by: Final = "DevRev"
    makes_channel = False
    is_remote = True

    def __init__(
        self,
        client: DevRevClient,
        *,
        store: KeyValueStore | None,
        clock: Clock,
        roles: Sequence[Role],
        part: str | None = None,
        permalink: str | None = None,
        key_field: str | None = None,
        operator: Alerts | None = None,
    ) -> None:
        self._operator = operator
        self._client = client
        self._store = store
        self._clock = clock
        self._account = DevRevAccount(
            client=client,
            extras=ExtrasStore(store),
            clock=clock,
            roles=roles,
            part=part,
            permalink=permalink,
            key_field=key_field,
        )
        self._directory = UserDirectory(client, clock)
        self._reader = IncidentReader(self._account)
        self._form: Form | None = None
        self._create = IdempotentCreate(store, clock, client.seconds) if store is not None else None
        self._sweeper: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the sweep, which looks once a minute for duplicates of creates with an unknown outcome."""
        self._sweeper = asyncio.create_task(self._sweep_for_ever())

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._client.close()

    def set_directory(self, find_person: FindPerson) -> None:
        """Set the function that returns a workspace's user directory, for names and e-mail addresses."""
        self._directory.find_person = find_person

    async def form(self) -> Form:
        choices = await self._account.fresh_choices()
        self._form = Form(
            severities=choices.severities,
            statuses=choices.statuses,
            incident_types=choices.types,
            roles=tuple(self._account.roles),
            # People never fill the field that carries the key.
            custom_fields=tuple(field for field in choices.fields if field.id != self._account.key_field),
            backend_fields=choices.own_fields,
            severity_required=choices.severity_required,
            offers_private=False,
            private_refusal=PRIVATE_REFUSAL,
            lacks=UNSUPPORTED,
            as_of=self._clock(),
            kept_by=self.kept_by,
        )
        return self._form

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """Return the matching options; the choices `beside` do not restrict options in DevRev."""
        return await self._reader.options(field_id, typed)

    async def create(self, declaration: Declaration) -> Incident:
        """Create the incident; after an unknown outcome, look before sending again (see `idempotency`)."""
        if self._create is None or self._store is None:
            raise Refused(READ_ONLY)
        if declaration.visibility == "private":
            raise Refused(PRIVATE_REFUSAL, {"visibility": PRIVATE_REFUSAL})
        creation = IncidentCreation(
            self._account, KeyLocation(self._store, self._account.key_field), self._directory, declaration
        )

        async def keep(response: IncidentResponse) -> None:
            await self._account.extras.set(response.id, await creation.extras())

        try:
            response = await self._create.create(declaration.key, creation, keep)
        except DevRevRefused as refusal:
            raise self._in_the_form(refusal) from None
        return await self._account.incident(response)

    def _in_the_form(self, refusal: DevRevRefused) -> Refused:
        """Attach the refusal to the field it is about; without such a field the sentence alone names it."""
        block = block_of(refusal.field, self._account.choices)
        if block == mapping.BLOCKS["owned_by"] and self._account.lead is not None:
            block = f"incident_role_assignments.{self._account.lead.id}"
        return Refused(refusal.sentence, {block: refusal.sentence} if block else {})

    async def follow_through(self, declaration: Declaration, incident: Incident) -> None:
        """Do nothing: `create` has sent everything already."""

    async def find(self, reference: str) -> Incident | None:
        return await self._reader.find(reference)

    async def incidents(self, *, after: str | None = None, limit: int = 50) -> Sequence[Incident]:
        return await self._reader.matching(IncidentFilter(), after=after, limit=limit)

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 50
    ) -> Sequence[Incident]:
        return await self._reader.matching(wanted, after=after, limit=limit)

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        return await self._reader.listed(wanted)

    async def set_channel(self, incident_id: str, channel: Channel) -> Incident:
        """Store the channel, for which DevRev has no field, and comment where it was declared from."""
        response = await self._account.fetch_here(incident_id)
        kept = await self._account.extras.get(response.id)
        if (kept.channel_id, kept.channel_name) != (channel.id, channel.name):
            kept = kept.model_copy(
                update={"channel_id": channel.id, "channel_name": channel.name, "channel_at": self._clock()}
            )
            await self._account.extras.set(response.id, kept)
        if kept.source is not None and kept.source.permalink:
            entry = TimelineEntry(
                at=response.created_date or self._clock(),
                by=kept.reporter,
                verb="declared it from the message",
                text=kept.source.permalink,
            )
            await changes.note(self._client, response.id, entry, f"{response.id}:source")
        return await self._account.incident(response)

    async def set_alerts(self, incident_id: str, alerts: AlertSummary) -> Incident:
        """Store the summary, for which DevRev has no field."""
        response = await self._account.fetch_here(incident_id)
        kept = await self._account.extras.get(response.id)
        await self._account.extras.set(response.id, kept.model_copy(update={"alerts": alerts}))
        return await self._account.incident(response)

    async def note(self, incident_id: str, entry: TimelineEntry, key: str) -> None:
        try:
            await changes.note(self._client, incident_id, entry, key)
        except DevRevRefused as refusal:
            raise Refused(refusal.sentence) from None

    async def unnote(self, incident_id: str, key: str) -> None:
        await changes.unnote(self._client, incident_id, key)

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        response = await self._account.fetch(incident_id)
        return (
            []
            if response is None
            else await changes.timeline(self._client, await self._account.incident(response))
        )

    async def merged_into(self, incident_id: str) -> str | None:
        """Return None: DevRev merges no incidents."""

    async def remember_people(self, people: Iterable[Person]) -> None:
        """Do nothing: DevRev has its own users' names; names from Slack are stored with the incident."""

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        if self._store is None:
            raise Refused(READ_ONLY)
        form = self._form or await self.form()
        return await IncidentEditor(self._account, self._directory, self._store).change(
            form, incident_id, change
        )

    async def add_follow_up(self, incident_id: str, request: FollowUpRequest) -> FollowUp:
        raise Refused(UNSUPPORTED["action" if request.kind == "action" else "follow-up"])

    async def complete_follow_up(self, follow_up_id: str, by: Person, at: datetime, key: str) -> FollowUp:
        raise Refused(UNSUPPORTED["follow-up"])

    async def change_follow_up(self, follow_up_id: str, change: FollowUpChange) -> FollowUp:
        raise Refused(UNSUPPORTED["follow-up"])

    async def follow_ups(self, incident_id: str) -> Sequence[FollowUp]:
        return ()

    async def diagnose(self) -> Sequence[CheckResult]:
        return await diagnose(self._account)

    async def sweep(self) -> Sequence[Incident]:
        """Look for duplicates, and mark all but the incident that Slack shows.

        Returns the incidents that were marked.
        """
        marked: list[Incident] = []
        if self._create is None:
            return marked
        for key in await self._create.due():
            attempt = await self._create.attempt(key)
            if attempt is not None:
                marked += await self._marked_duplicates(key, attempt)
            if attempt is None or attempt.state in {"made", "refused"}:
                await self._create.swept(key)
        return marked

    async def _marked_duplicates(self, key: str, attempt: CreateAttempt) -> list[Incident]:
        found = await found_by_key(self._account, attempt.mark, key_of(key), attempt.first)
        kept = next((response for response in found if response.id == attempt.incident_id), None)
        if kept is None and attempt.state == "made":
            kept = await self._account.fetch(attempt.incident_id or "")
        marked = []
        for response in found:
            if attempt.state not in {"made", "refused"} or response.id == attempt.incident_id:
                continue
            if not response.title.startswith(mapping.DUPLICATE):
                marked.append(await self._account.incident(await self._mark(response, kept)))
        return marked

    async def _mark(self, response: IncidentResponse, kept: IncidentResponse | None) -> IncidentResponse:
        """Name the incident to keep in the title and in a comment, and alert the operator.

        People decide about the duplicate's stage.
        """
        of = mapping.reference_of(kept) if kept else "a declaration that was refused"
        title = f"{mapping.DUPLICATE}{of}: {response.title}"
        said = f"made this and {of} from one declaration, because an answer was lost. Close this one."
        twice = mapping.reference_of(response)
        if self._operator is not None:
            sentence = (
                f"DevRev holds {twice} and {of} for one declaration: an answer was lost. Close {twice}."
            )
            self._operator.raise_alert(f"duplicate:{response.id}", sentence)
        await self._client.do("incidents.update", UpdateIncident(id=response.id, title=title).wire())
        entry = TimelineEntry(at=self._clock(), by=Person(name="Tocsin"), verb=said)
        await changes.note(self._client, response.id, entry, f"{response.id}:duplicate")
        return response.model_copy(update={"title": title})

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except TocsinError as error:
                log.warning("duplicates could not be looked for", because=str(error))
