"""The Backend port over incident.io."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from tocsin.backends.incident_io import changes, queries
from tocsin.backends.incident_io.api_models import IncidentResponse
from tocsin.backends.incident_io.client import ApiError, Client
from tocsin.backends.incident_io.create import Choice, IncidentCreator, email_of
from tocsin.backends.incident_io.diagnostics import diagnose
from tocsin.backends.incident_io.form import UNSUPPORTED, Account
from tocsin.backends.incident_io.mapping import (
    StoredDeclaration,
    complete,
    incident_of,
    storage_key,
    with_stored_parts,
)
from tocsin.incidents.errors import Conflict, Refused, Unavailable
from tocsin.incidents.model import (
    HUDDLE,
    AlertSummary,
    FieldOption,
    FollowUp,
    Form,
    Incident,
    Person,
    PersonId,
    TeamId,
    TimelineEntry,
    declarer,
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
from tocsin.incidents.validation import is_in_teams, is_visible_to
from tocsin.workflows.ports import Alerts, Channel, CheckResult, Clock, FindPerson, KeyValueStore

MOST_LOOKED_AT = 1000
"""Most incidents that `matching` reads; filters that incident.io does not have are applied to these."""


MOST_MODES = 10_000
"""Most incidents whose mode is kept in memory."""

SOURCE_TITLE = "Source message in Slack"
Step = Callable[[], Awaitable[object]]


class IncidentIo:
    """One incident.io account. `store` is None if incidents are only read."""

    makes_channel = True
    """incident.io creates an incident's channel by itself, some time after the incident."""

    is_remote = True
    cannot_filter_by = queries.CANNOT_FILTER_BY

    def __init__(
        self,
        url: str,
        key: str,
        *,
        store: KeyValueStore | None,
        clock: Clock,
        create: Choice = "auto",
        seconds: float = 10.0,
        operator: Alerts | None = None,
    ) -> None:
        self._client = Client(url, key, seconds=seconds, operator=operator)
        self._store = store
        self._account = Account(self._client, clock)
        self._find_person: FindPerson | None = None
        self._modes: dict[str, str] = {}
        """Mode of each incident that was read, which never changes."""
        self._creating = (
            IncidentCreator(self._client, self._account, store, clock, create) if store is not None else None
        )

    def set_directory(self, find_person: FindPerson) -> None:
        """Store the function; it finds the e-mail address of a person whose Slack id is not known."""
        self._find_person = find_person
        if self._creating is not None:
            self._creating.find_person = find_person

    async def close(self) -> None:
        await self._client.close()

    async def form(self) -> Form:
        return await self._account.refresh()

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        try:
            return await self._account.search(field_id, typed, beside)
        except ApiError as rejected:
            raise Refused(str(rejected)) from rejected

    async def create(self, declaration: Declaration) -> Incident:
        creating, store = self._writing()
        answer, stored = await creating(declaration)
        await store.set_if_absent(storage_key(answer.id), stored.model_dump_json())
        return self._with_mode_kept(complete(incident_of(answer, self._account.form), stored))

    async def follow_through(self, declaration: Declaration, incident: Incident) -> None:
        """Add what no create payload takes, the source message (V2) and the call; forget the request.

        Raises Refused with everything that incident.io refused, and Unavailable, after the rest was added.
        """
        creating, store = self._writing()
        found = await store.get(storage_key(incident.id))
        stored = StoredDeclaration.model_validate_json(found) if found else None
        source, steps = declaration.source, dict[str, Step]()
        if stored is not None and stored.version == "v2" and source is not None:
            at = datetime.fromtimestamp(float(source.timestamp), UTC)
            entry = TimelineEntry(at=at, verb="Source message", text=source.permalink or "")
            if source.permalink:
                attach = partial(changes.attach, self._client, incident.id, source.permalink, SOURCE_TITLE)
                steps["Its source message could not be attached at incident.io"] = attach
            note = partial(changes.note, self._client, incident.id, entry, "source")
            steps["Its source message could not be added to incident.io's timeline"] = note
        if declaration.call_url not in {None, HUDDLE} and incident.call_url == declaration.call_url:
            call = partial(changes.set_call, self._client, incident.id, declaration.call_url)
            steps["Its call link could not be added at incident.io"] = call
        refused = await _all_of(steps)
        await creating.forget(declaration)
        if refused:
            raise Refused("; ".join(refused))

    async def find(self, reference: str) -> Incident | None:
        answer = await queries.show(self._client, reference)
        return None if answer is None else await self._incident(answer)

    async def incidents(self, *, after: str | None = None, limit: int = 50) -> Sequence[Incident]:
        if limit < 1:
            return []
        found = await queries.newest(self._client, (), after=after, limit=limit)
        return [await self._incident(answer) for answer in found]

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 50
    ) -> Sequence[Incident]:
        """Return matching incidents, newest first.

        incident.io filters by status and severity; the other filters are applied here, to the newest
        thousand.
        """
        if wanted.reference:
            named = await self.find(wanted.reference)
            return [named] if named is not None and _matches(named, wanted) else []
        query, found, looked = queries.query_of(wanted), list[Incident](), 0
        while len(found) < limit and looked < MOST_LOOKED_AT:
            page = await queries.newest(self._client, query, after=after, limit=queries.MOST_ON_A_PAGE)
            looked += len(page)
            for answer in page:
                incident = await self._incident(answer)
                if _matches(incident, wanted):
                    found.append(incident)
            if len(page) < queries.MOST_ON_A_PAGE:
                break
            after = page[-1].id
        return found[:limit]

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        """Return a page of incident.io's list, without what the viewer may not see.

        Such incidents are read on and on, a thousand at most; no cursor names one of them.
        """
        query, limit = queries.list_query_of(wanted), max(1, min(wanted.limit, queries.MOST_ON_A_PAGE))
        found, looked, after = list[Incident](), 0, wanted.after
        size = min(limit + 1, queries.MOST_ON_A_PAGE)
        while len(found) <= limit and looked < MOST_LOOKED_AT:
            page = await queries.newest(self._client, query, after=after, limit=size)
            looked += len(page)
            incidents = [await self._incident(answer) for answer in page]
            found += [one for one in incidents if _may_be_listed(one, wanted)]
            if len(page) < size:
                break
            after, size = page[-1].id, queries.MOST_ON_A_PAGE
        is_cut = len(found) <= limit and looked >= MOST_LOOKED_AT
        shown = tuple(found[:limit])
        goes_on = shown and (is_cut or len(found) > limit)
        return ListedIncidents(incidents=shown, after=shown[-1].id if goes_on else None, is_cut=is_cut)

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        incident = await self.find(incident_id)
        if incident is None:
            return []
        severity = f" ({incident.severity.name})" if incident.severity else ""
        by = Person(name=declarer(incident) or None) if incident.automation else incident.creator
        first = TimelineEntry(
            at=incident.created_at, by=by, verb="declared", text=f"{incident.name}{severity}"
        )
        try:
            return [first, *await queries.happened(self._client, incident.id, incident.created_at)]
        except ApiError as rejected:
            raise Refused(str(rejected)) from rejected

    async def merged_into(self, incident_id: str) -> str | None:
        return await queries.merged_into(self._client, incident_id)

    async def set_channel(self, incident_id: str, channel: Channel) -> Incident:
        raise Refused("incident.io opens the channel of an incident by itself.")

    async def set_alerts(self, incident_id: str, alerts: AlertSummary) -> Incident:
        """Store the summary beside the declaration; one that was not declared here stays without it."""
        _, store = self._writing()
        if (found := await store.get(storage_key(incident_id))) is not None:
            stored = StoredDeclaration.model_validate_json(found).model_copy(update={"alerts": alerts})
            await store.set(storage_key(incident_id), stored.model_dump_json())
        return await self._one(incident_id)

    async def note(self, incident_id: str, entry: TimelineEntry, key: str) -> None:
        await changes.note(self._client, incident_id, entry, key)

    async def unnote(self, incident_id: str, key: str) -> None:
        raise Refused(UNSUPPORTED["unnote"])

    async def remember_people(self, people: Iterable[Person]) -> None:
        """Do nothing: incident.io has the names of its users."""

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        if change.seen_status_id is not None:
            before = await self._one(incident_id)
            if before.incident_status.id not in {change.seen_status_id, change.incident_status_id}:
                raise Conflict(f"{before.reference} is {before.incident_status.name} by now.")
        if change.call_url == HUDDLE:
            # incident.io takes an address only.
            huddle = (await self._one(incident_id)).huddle_link
            change = change.model_copy(update={"call_url": huddle})
        form = await self._account.known()
        await changes.change(self._client, incident_id, change, form, self._email)
        if change.invited or change.removed:
            _, store = self._writing()
            await changes.change_members(self._client, store, await self._one(incident_id), change)
        return await self._one(incident_id)

    async def _email(self, incident_id: str, known: Iterable[Person], person: PersonId) -> str:
        team = (await self._one(incident_id)).slack_team_id
        return await email_of(self._find_person, TeamId(team), person, known)

    async def add_follow_up(self, incident_id: str, request: FollowUpRequest) -> FollowUp:
        _, store = self._writing()
        mode = await self._mode(incident_id)
        return await changes.add_to_do(self._client, store, incident_id, mode, request)

    async def complete_follow_up(self, follow_up_id: str, by: Person, at: datetime, key: str) -> FollowUp:
        mode = await self._mode(changes.incident_of_to_do(follow_up_id))
        return await changes.complete_to_do(self._client, follow_up_id, mode)

    async def change_follow_up(self, follow_up_id: str, change: FollowUpChange) -> FollowUp:
        mode = await self._mode(changes.incident_of_to_do(follow_up_id))
        return await changes.change_to_do(self._client, follow_up_id, mode, change)

    async def follow_ups(self, incident_id: str) -> Sequence[FollowUp]:
        return await changes.to_dos(self._client, incident_id, await self._mode(incident_id))

    async def diagnose(self) -> Sequence[CheckResult]:
        """Check the key's permissions, the configuration, and that one idempotency key makes one incident.

        For the last check the same test incident is declared twice, because incident.io does not document the
        answer to a repeated key.
        """
        return await diagnose(self._client, self._account)

    def _writing(self) -> tuple[IncidentCreator, KeyValueStore]:
        if self._creating is None or self._store is None:
            raise Refused("incident.io is only read here.")
        return self._creating, self._store

    async def _mode(self, incident_id: str) -> str:
        """Return the mode of an incident, without which incident.io lists no actions of a test."""
        if incident_id not in self._modes:
            await self.find(incident_id)
        return self._modes.get(incident_id, "standard")

    def _with_mode_kept(self, incident: Incident) -> Incident:
        if len(self._modes) >= MOST_MODES:
            self._modes.clear()
        self._modes[incident.id] = incident.mode
        return incident

    async def _one(self, incident_id: str) -> Incident:
        found = await self.find(incident_id)
        if found is None:
            raise Refused("That incident is not at incident.io any more.")
        return found

    async def _incident(self, answer: IncidentResponse) -> Incident:
        told = await with_stored_parts(self._store, incident_of(answer, self._account.form))
        incident = self._with_mode_kept(told)
        if not incident.is_private:
            return incident
        members = await changes.members_of(self._store, incident.id)
        return incident.model_copy(update={"members": members})


def _matches(incident: Incident, wanted: IncidentFilter) -> bool:
    said = f"{incident.reference} {incident.name} {incident.summary}".casefold()
    return (
        all(word in said for word in wanted.text.casefold().split())
        and (wanted.visible_to is None or is_visible_to(wanted.visible_to, incident))
        and is_in_teams(wanted.teams, incident)
        and (wanted.involving is None or wanted.involving in incident.people)
        and (wanted.is_open is None or incident.incident_status.is_open is wanted.is_open)
    )


def _may_be_listed(incident: Incident, wanted: IncidentQuery) -> bool:
    return (wanted.visible_to is None or is_visible_to(wanted.visible_to, incident)) and is_in_teams(
        wanted.teams, incident
    )


async def _all_of(steps: Mapping[str, Step]) -> list[str]:
    """Run all steps, each of which may be repeated; return a sentence, without a full stop, for each refusal.

    Raises Unavailable, after all were tried, if one is to be tried again.
    """
    refused, waiting = list[str](), list[Unavailable]()
    for failure, step in steps.items():
        try:
            await step()
        except Refused as refusal:
            refused.append(f"{failure}: {refusal.sentence.rstrip('.')}")
        except Unavailable as error:
            waiting.append(error)
    if waiting:
        raise waiting[0]
    return refused
