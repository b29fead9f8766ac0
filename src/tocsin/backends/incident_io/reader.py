"""Reads of a whole account at incident.io, to bring it over into Tocsin's own database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tocsin.backends.incident_io import api_models, mapping
from tocsin.backends.incident_io.client import AccessDenied, ApiError, Client, Query
from tocsin.backends.incident_io.form import Account
from tocsin.backends.incident_io.mapping import DAWN
from tocsin.backends.incident_io.queries import MODES, MOST_ON_A_PAGE, pages, to_do_query
from tocsin.incidents.errors import Refused
from tocsin.incidents.hosted import (
    HostedAttachment,
    HostedIncident,
    HostedItem,
    HostedToDo,
    HostedUpdate,
    actor,
)
from tocsin.incidents.model import (
    CustomField,
    FieldOption,
    Form,
    Incident,
    Person,
    RoleAssignment,
    Severity,
)
from tocsin.workflows.ports import Clock

T = TypeVar("T")
R = TypeVar("R", bound=api_models.Response)

EVERYTHING = 1_000_000
"""Most items of a list of one incident: more than any has."""

MOST_ENTRIES = 10_000
"""Most entries of a catalog that become the options of a field."""


@dataclass(frozen=True)
class HostedPage:
    """A page of incidents, newest first, and the cursor of the next one."""

    incidents: Sequence[Incident]
    after: str | None
    total: int | None
    """Number of all incidents, if incident.io tells it."""


class AccountReader:
    """Reader of one account.

    Every method raises Unavailable if incident.io cannot be asked just now, and Refused, with what to do, if
    it does not let the key read.
    """

    def __init__(self, url: str, key: str, clock: Clock) -> None:
        self._client = Client(url, key)
        self._account = Account(self._client, clock)
        self.unread: dict[str, None] = {}
        """Sentences on what the key could not read and the import does without."""

    async def close(self) -> None:
        await self._client.close()

    async def form(self) -> Form:
        """Return all choices; the entries of a field's catalog become its options."""
        return await _allowed(self._form)

    async def _form(self) -> Form:
        form = await self._account.refresh()
        fields = await asyncio.gather(*(self._with_entries(field) for field in form.custom_fields))
        return form.model_copy(update={"custom_fields": tuple(fields)})

    async def _with_entries(self, field: CustomField) -> CustomField:
        if not field.catalog_type_id:
            return field
        query = (("catalog_type_id", field.catalog_type_id),)
        found = pages(self._client, "/v3/catalog_entries", "catalog_entries", query, most=MOST_ENTRIES)
        entries = [api_models.CatalogEntryResponse.model_validate(item) async for item in found]
        options = (FieldOption(id=one.id, value=one.name) for one in entries if one.archived_at is None)
        return field.model_copy(update={"options": tuple(options), "searched": False})

    async def page(self, after: str | None) -> HostedPage:
        """Return a page of incidents, private ones among them if the key sees them."""
        return await _allowed(lambda: self._page(after))

    async def _page(self, after: str | None) -> HostedPage:
        asked = [*MODES, ("page_size", str(MOST_ON_A_PAGE)), *([("after", after)] if after else [])]
        answer = await self._client.fetch("/v2/incidents", asked)
        meta = answer.get("pagination_meta") or {}
        incidents = [
            _incident(api_models.IncidentResponse.model_validate(item))
            for item in answer.get("incidents") or []
            if isinstance(item, dict)
        ]
        total = meta.get("total_record_count")
        return HostedPage(incidents, meta.get("after") or None, total if isinstance(total, int) else None)

    async def details(self, incident: Incident) -> HostedIncident:
        """Return the incident with everything that belongs to it."""
        return await _allowed(lambda: self._details(incident))

    async def _details(self, incident: Incident) -> HostedIncident:
        updates, items, actions, follow_ups, attachments, members = await asyncio.gather(
            self._of("/v2/incident_updates", "incident_updates", incident, api_models.UpdateResponse),
            self._of(
                "/v2/incident_timeline_items",
                "incident_timeline_items",
                incident,
                api_models.TimelineResponse,
            ),
            self._to_dos("/v3/actions", "actions", incident),
            self._to_dos("/v3/follow_ups", "follow_ups", incident),
            self._attachments(incident),
            self._members(incident) if incident.is_private else _nobody(),
        )
        return HostedIncident(
            incident=incident.model_copy(update={"members": members}),
            updates=tuple(_update(one) for one in updates),
            items=tuple(_item(one) for one in items),
            to_dos=(
                *(_to_do(one, "action") for one in actions),
                *(_to_do(one, "follow_up") for one in follow_ups),
            ),
            attachments=attachments,
        )

    async def _to_dos(self, path: str, name: str, incident: Incident) -> list[api_models.ToDoResponse]:
        query = to_do_query(incident.id, incident.mode)
        return await self._of(path, name, incident, api_models.ToDoResponse, query)

    async def _of(
        self, path: str, name: str, incident: Incident, kind: type[R], query: Query = ()
    ) -> list[R]:
        """Return what a list has of one incident; nothing if incident.io has no such list for the account."""
        asked = query or (("incident_id", incident.id),)
        try:
            found = pages(self._client, path, name, asked, most=EVERYTHING)
            return [kind.model_validate(item) async for item in found]
        except ApiError as rejected:
            if rejected.status not in {404, 410}:
                raise
            self.unread[f"incident.io has no {path}."] = None
            return []

    async def _attachments(self, incident: Incident) -> tuple[HostedAttachment, ...]:
        path, name = "/v1/incident_attachments", "incident_attachments"
        answer = await self._client.fetch(path, [("incident_id", incident.id)])
        found = [api_models.AttachmentResponse.model_validate(item) for item in answer.get(name) or []]
        return tuple(
            HostedAttachment(id=one.id, **one.resource.model_dump())
            for one in found
            if one.resource.permalink
        )

    async def _members(self, incident: Incident) -> tuple[Person, ...]:
        """Return the people who take part in a private incident (incident.io, Incident Participants V2).

        incident.io tells no list of members.
        """
        try:
            answer = await self._client.fetch("/v2/incident_participants", [("incident_id", incident.id)])
        except (AccessDenied, ApiError) as denied:
            if isinstance(denied, AccessDenied) and denied.is_key:
                raise
            self.unread[
                "The key may not read who takes part in private incidents (/v2/incident_participants): they "
                "are visible to their reporter and to those who have a role."
            ] = None
            return ()
        told = api_models.ParticipantsResponse.model_validate(answer.get("incident_participants") or {})
        found = (mapping.person_of(one.user) for one in (*told.active, *told.passive))
        return tuple(person for person in found if person is not None and person.slack_user_id)


async def _nobody() -> tuple[Person, ...]:
    return ()


async def _allowed(ask: Callable[[], Awaitable[T]]) -> T:
    """Return the answer. Raises Refused if incident.io rejects the request or the key."""
    try:
        return await ask()
    except AccessDenied as denied:
        raise Refused(denied.operator or denied.fix or str(denied)) from denied
    except ApiError as rejected:
        raise Refused(str(rejected)) from rejected


def _incident(answer: api_models.IncidentResponse) -> Incident:
    """Return the incident; its roles have the reporter's too."""
    incident = mapping.incident_of(answer)
    reporters = tuple(
        RoleAssignment(role=mapping.role_of(held.role), assignee=mapping.person_of(held.assignee))
        for held in answer.incident_role_assignments
        if held.role.role_type == "reporter"
    )
    held = (*incident.incident_role_assignments, *reporters)
    return incident.model_copy(update={"incident_role_assignments": held})


def _actor(answer: api_models.ActorResponse) -> Person | None:
    return actor(mapping.actor_of(answer), mapping.automation_of(answer))


def _update(answer: api_models.UpdateResponse) -> HostedUpdate:
    severity = answer.new_severity
    return HostedUpdate(
        id=answer.id,
        at=answer.created_at or DAWN,
        by=_actor(answer.updater),
        message=answer.message,
        status=mapping.status_of(answer.new_incident_status) if answer.new_incident_status else None,
        severity=Severity(**severity.model_dump()) if severity else None,
    )


def _item(answer: api_models.TimelineResponse) -> HostedItem:
    return HostedItem(
        id=answer.id,
        at=answer.timestamp or DAWN,
        by=_actor(answer.creator),
        title=answer.title,
        description=answer.description,
    )


def _to_do(answer: api_models.ToDoResponse, kind: str) -> HostedToDo:
    known, created = mapping.follow_up_of(answer, kind), answer.created_at or DAWN
    issue = known.external_issue_reference
    return HostedToDo(
        id=answer.id,
        kind=known.kind,
        title=known.text,
        description=answer.description if answer.title else "",
        status=answer.status,
        assignee=known.assignee,
        creator=_actor(answer.creator),
        issue_url=issue.issue_permalink if issue else None,
        created_at=created,
        updated_at=answer.updated_at or created,
        completed_at=answer.completed_at,
    )
