"""Creation of an incident: one idempotency key, and the same bytes on every attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticSerializationError

from tocsin.backends.incident_io import api_models
from tocsin.backends.incident_io.api_models import IncidentResponse
from tocsin.backends.incident_io.client import ApiError, Client
from tocsin.backends.incident_io.form import Account
from tocsin.backends.incident_io.mapping import StoredDeclaration, storage_key, to_refused, unknown_user
from tocsin.backends.incident_io.queries import incident_in, pages, read_incident
from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, Unavailable
from tocsin.incidents.model import FieldValue, FrozenModel, Person, PersonId, TeamId
from tocsin.incidents.requests import Declaration
from tocsin.workflows.ports import Clock, FindPerson, KeyValueStore

Version = Literal["v1", "v2"]
Choice = Literal["auto", "v1", "v2"]

GONE = frozenset({404, 410})
LOOK_AFTER = timedelta(minutes=15)
"""Age of the first attempt from which an existing incident is looked for before sending again.

incident.io does not document how long it remembers a key.
"""

SKEW = timedelta(minutes=2)


class PendingCreate(FrozenModel):
    """The request of a declaration and the time of its first attempt.

    It is stored, because a later attempt must be the same to the byte.
    """

    first: datetime
    version: Version
    body: dict[str, Any]
    strangers: tuple[PersonId, ...] = ()
    by_email: dict[str, PersonId] = Field(default_factory=dict)
    """People unknown by their Slack id, by the e-mail address that is tried instead."""

    @property
    def payload(self) -> api_models.CreatePayload:
        kind = api_models.CreateV1 if self.version == "v1" else api_models.CreateV2
        return kind.model_validate(self.body)

    @property
    def path(self) -> str:
        return f"/{self.version}/incidents"


class IncidentCreator:
    """Creation of incidents; `choice` is INCIDENT_IO_CREATE."""

    def __init__(
        self, client: Client, account: Account, store: KeyValueStore, clock: Clock, choice: Choice
    ) -> None:
        self._client = client
        self._account = account
        self._store = store
        self._clock = clock
        self._choice = choice
        self._v1_gone = False
        self.find_person: FindPerson | None = None
        """Asks Slack for a person's e-mail address; None before the backend is told of it."""

    async def __call__(self, declaration: Declaration) -> tuple[IncidentResponse, StoredDeclaration]:
        """Create the incident; return incident.io's answer and the parts of the declaration that we store.

        Raises Refused with the fields that are wrong, Unavailable, and OutcomeUnknown.
        """
        fresh = await self._prepare(declaration)
        stored = await self._store.set_if_absent(_name(declaration), fresh.model_dump_json())
        sent = PendingCreate.model_validate_json(stored)
        if self._clock() - sent.first > LOOK_AFTER:
            found = await self._find_existing(declaration, sent)
            if found is not None:
                return found, _stored_parts(declaration, sent)
        while True:
            try:
                answer = await self._client.send("POST", sent.path, sent.payload.written(), urgent=True)
                return incident_in(answer, OutcomeUnknown), _stored_parts(declaration, sent)
            except ApiError as rejected:
                sent = await self._corrected(declaration, sent, rejected)

    async def forget(self, declaration: Declaration) -> None:
        """Delete the stored request: the incident has its id, or the declaration was refused."""
        await self._store.delete(_name(declaration))

    async def _corrected(
        self, declaration: Declaration, sent: PendingCreate, rejected: ApiError
    ) -> PendingCreate:
        """Return the request to send instead: as V2, or without a person unknown to incident.io.

        Raises Refused, OutcomeUnknown or Unavailable if there is none.
        """
        if rejected.status in GONE and sent.version == "v1" and self._choice == "auto":
            self._v1_gone = True
            corrected = (await self._prepare(declaration)).model_copy(update={"first": sent.first})
        elif rejected.status == 409:
            raise OutcomeUnknown(f"incident.io says that this is being declared already: {rejected}")
        elif rejected.status in GONE:
            raise Unavailable(
                "incident.io does not take this kind of request.",
                operator=f"incident.io answered {rejected.status} to {sent.path}. Set INCIDENT_IO_CREATE=auto"
                " and check INCIDENT_IO_URL; what was declared meanwhile is saved and then sent.",
            )
        else:
            without = await self._without_unknown_user(declaration, sent, rejected)
            if without is None:
                await self.forget(declaration)
                raise to_refused(rejected, sent.body, await self._account.reporter_role()) from rejected
            corrected = without
        await self._store.set(_name(declaration), corrected.model_dump_json())
        return corrected

    async def _without_unknown_user(
        self, declaration: Declaration, sent: PendingCreate, rejected: ApiError
    ) -> PendingCreate | None:
        """Return the request with the unknown person by e-mail address, or else without that person.

        Returns None if it was rejected for another reason.
        """
        place = unknown_user(rejected, sent.body)
        if place is None:
            return None
        held = [dict(one) for one in sent.body["incident_role_assignments"]]
        by = held[place]["assignee"]
        person = PersonId(by["slack_user_id"]) if "slack_user_id" in by else sent.by_email[by["email"]]
        email = ""
        if "email" not in by:
            known = (declaration.reporter, *declaration.assignees)
            email = await email_of(self.find_person, declaration.slack_team_id, person, known)
        if email:
            held[place]["assignee"] = {"email": email}
            body = {**sent.body, "incident_role_assignments": held}
            return sent.model_copy(update={"body": body, "by_email": {**sent.by_email, email: person}})
        held.pop(place)
        body = {**sent.body, "incident_role_assignments": held}
        if not held:
            del body["incident_role_assignments"]
        strangers = tuple(dict.fromkeys([*sent.strangers, person]))
        return sent.model_copy(update={"body": body, "strangers": strangers})

    async def _find_existing(self, declaration: Declaration, sent: PendingCreate) -> IncidentResponse | None:
        """Return an incident with this name, created since the first attempt, of no other declaration.

        No answer contains the idempotency key (Incidents V2), so name and time must do.
        """
        since = (sent.first - SKEW).isoformat()
        mode = {"real": "standard"}.get(str(sent.body.get("mode")), str(sent.body.get("mode") or "standard"))
        query = [
            ("created_at[gte]", since),
            ("mode[one_of]", mode),
            ("sort_by", "created_at_oldest_first"),
        ]
        try:
            async for item in pages(self._client, "/v2/incidents", "incidents", query, most=5000):
                answer = read_incident(item)
                if answer.name != declaration.name:
                    continue
                taken = await self._store.get(storage_key(answer.id))
                if taken is None or StoredDeclaration.model_validate_json(taken).key == declaration.key:
                    return answer
        except ApiError as rejected:
            raise Unavailable(f"incident.io did not let us look: {rejected}") from rejected
        return None

    async def _prepare(self, declaration: Declaration) -> PendingCreate:
        version = self._version(declaration)
        plain = await self._plain(declaration)
        body = await (self._as_v1 if version == "v1" else self._as_v2)(declaration, plain)
        try:
            body.written()
        except PydanticSerializationError:
            raise Refused("There is a broken character in what you typed. Type it anew.") from None
        return PendingCreate(first=self._clock(), version=version, body=body.model_dump(exclude_none=True))

    def _version(self, declaration: Declaration) -> Version:
        if declaration.mode == "retrospective":
            # V1 has no such mode.
            return "v2"
        if self._choice != "auto":
            return self._choice
        return "v1" if declaration.source is not None and not self._v1_gone else "v2"

    async def _plain(self, declaration: Declaration) -> dict[str, Any]:
        """Return the values that both versions take under the same names."""
        in_grid = bool(declaration.slack_enterprise_id)
        return {
            "idempotency_key": declaration.key,
            "visibility": await self._visibility(declaration),
            "name": declaration.name,
            "summary": declaration.summary or None,
            "severity_id": declaration.severity_id,
            "incident_type_id": declaration.incident_type_id,
            "slack_team_id": (declaration.slack_team_id or None) if in_grid else None,
            "incident_role_assignments": await self._roles(declaration) or None,
            "custom_field_entries": [
                entry_payload(field, values) for field, values in declaration.custom_field_entries.items()
            ]
            or None,
        }

    async def _visibility(self, declaration: Declaration) -> Literal["public", "private"]:
        """Return the visibility, which is never public for a type whose incidents are all private."""
        form = await self._account.known()
        chosen = form.incident_type(declaration.incident_type_id) if declaration.incident_type_id else None
        kind = chosen or form.usual_type
        return "private" if kind is not None and kind.private_incidents_only else declaration.visibility

    async def _roles(self, declaration: Declaration) -> list[api_models.RolePayload]:
        """Return all role assignments by Slack id, and the reporter, who can be set at creation only."""
        holders = dict(declaration.incident_role_assignments)
        reporter, role = declaration.reporter.slack_user_id, await self._account.reporter_role()
        if role and reporter:
            holders = {role: reporter, **{r: who for r, who in holders.items() if r != role}}
        return [
            api_models.RolePayload(
                incident_role_id=r, assignee=api_models.ReferencePayload(slack_user_id=who)
            )
            for r, who in holders.items()
        ]

    async def _as_v1(self, declaration: Declaration, plain: dict[str, Any]) -> api_models.CreateV1:
        source = declaration.source
        return api_models.CreateV1(
            **plain,
            mode="test" if declaration.mode == "test" else "real",
            status="triage" if await self._in_triage(declaration) else None,
            source_message_channel_id=source.channel if source else None,
            source_message_timestamp=source.timestamp if source else None,
        )

    async def _as_v2(self, declaration: Declaration, plain: dict[str, Any]) -> api_models.CreateV2:
        form, is_over = await self._account.known(), declaration.mode == "retrospective"
        first = "closed" if is_over else "triage" if await self._in_triage(declaration) else None
        return api_models.CreateV2(
            **{**plain, "summary": _summary(declaration) or None},
            mode=declaration.mode,
            incident_status_id=next((s.id for s in form.statuses if s.category == first), None),
            incident_timestamp_values=api_models.timestamps(declaration.incident_timestamp_values),
        )

    async def _in_triage(self, declaration: Declaration) -> bool:
        """True if it was asked for, or if the type demands it (Incident Types V1: `create_in_triage`)."""
        if declaration.status == "triage":
            return True
        form = await self._account.known()
        usual = form.usual_type.id if form.usual_type else None
        wanted = declaration.incident_type_id or usual
        return any(t.id == wanted and t.create_in_triage == "always" for t in self._account.types)


def _name(declaration: Declaration) -> str:
    return f"incident_io/sent/{declaration.key}"


def _stored_parts(declaration: Declaration, sent: PendingCreate) -> StoredDeclaration:
    return StoredDeclaration(
        key=declaration.key,
        reporter=declaration.reporter,
        source=declaration.source,
        strangers=sent.strangers,
        version=sent.version,
        team=declaration.slack_team_id,
        call_url=declaration.call_url,
        automation=declaration.automation,
        alerts=declaration.alerts,
    )


def _summary(declaration: Declaration) -> str:
    """Return the summary, and below it the source message's address, for which V2 has no field.

    A summary that already contains the address is returned unchanged.
    """
    link = declaration.source.permalink if declaration.source else None
    if not link or link in declaration.summary:
        return declaration.summary
    return "\n\n".join(filter(None, [declaration.summary, f"Declared from {link}"]))


def entry_payload(field_id: str, values: Sequence[FieldValue]) -> api_models.EntryPayload:
    """Return the answers to a field; without any, incident.io unsets it (Incidents V2, Edit)."""
    return api_models.EntryPayload(custom_field_id=field_id, values=[_value(value) for value in values])


def _value(value: FieldValue) -> api_models.ValuePayload:
    return api_models.ValuePayload(
        value_text=value.value_text,
        value_link=value.value_link,
        value_numeric=value.value_numeric,
        value_option_id=value.value_option.id if value.value_option else None,
        value_catalog_entry_id=value.value_catalog_entry.id if value.value_catalog_entry else None,
    )


async def email_of(
    find_person: FindPerson | None, team: TeamId, person: PersonId, known: Iterable[Person]
) -> str:
    """Return a person's e-mail address as Slack has it; "" if it is not known or Slack cannot be asked."""
    told = next((one.email for one in known if one.slack_user_id == person and one.email), None)
    if told or find_person is None:
        return told or ""
    with suppress(Unavailable, SlackRefused):
        found = await find_person(team, person)
        return (found.email or "") if found is not None else ""
    return ""
