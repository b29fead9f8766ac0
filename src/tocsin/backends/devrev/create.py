"""Creation of an incident in DevRev: the request, the field for its key, and the search by key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import TypeAdapter

from tocsin.backends.devrev import mapping
from tocsin.backends.devrev.account import DevRevAccount, Member, UserDirectory, incident_in
from tocsin.backends.devrev.api_models import (
    CreateIncident,
    Impact,
    IncidentResponse,
    Origin,
    SchemaSpec,
    StageChoice,
    TagChoice,
)
from tocsin.backends.devrev.client import DevRevRefused
from tocsin.backends.devrev.form import NO_SUBTYPE, to_devrev
from tocsin.backends.devrev.mapping import StoredExtras
from tocsin.incidents.errors import Refused, Unavailable, gone
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.requests import Declaration
from tocsin.workflows.ports import KeyValueStore

SYNC: Final = "sync_metadata"
BODY: Final = "body"
REFUSED_LOCATIONS: Final = "devrev/refused-marks"
BEFORE: Final = timedelta(minutes=2)
"""Time before the first attempt from which the search starts, since DevRev's clock is not ours."""

EXTRAS: Final = ("stage_validation_options", "acknowledged_date")
"""Fields of the beta reference that older organisations may refuse; the request is then sent without them."""

_NAMES: TypeAdapter[list[str]] = TypeAdapter(list[str])
log = structlog.get_logger()


class KeyLocation:
    """Field that carries the key of a declaration; fields that DevRev refused are remembered."""

    def __init__(self, store: KeyValueStore, key_field: str | None) -> None:
        self._store = store
        self.key_field = key_field

    async def current(self) -> str:
        refused = await self._refused()
        places = [SYNC, self.key_field] if self.key_field else [SYNC]
        return next((place for place in places if place not in refused), BODY)

    async def refuse(self, mark: str) -> None:
        refused = await self._refused()
        log.warning("DevRev does not take our key there; it goes elsewhere from now on", place=mark)
        await self._store.set(REFUSED_LOCATIONS, _NAMES.dump_json([*refused, mark]).decode())

    async def _refused(self) -> list[str]:
        fact = await self._store.get(REFUSED_LOCATIONS)
        return [] if fact is None else _NAMES.validate_json(fact)


class IncidentCreation:
    """Creation of one declaration at DevRev; implements `IncidentCreation`."""

    def __init__(
        self,
        account: DevRevAccount,
        locations: KeyLocation,
        directory: UserDirectory,
        declaration: Declaration,
    ) -> None:
        self._account = account
        self._locations = locations
        self._directory = directory
        self._declaration = declaration
        self._members: dict[PersonId, Member] | None = None
        self._without: set[str] = set()
        self._key = key_of(declaration.key)

    async def key_location(self) -> str:
        """Return where the key goes now."""
        return await self._locations.current()

    async def send(self, mark: str) -> IncidentResponse:
        """Create, once. Raises Refused, Unavailable when nothing was made, OutcomeUnknown when perhaps."""
        await self._refuse_foreign()
        request = await self._request(mark)
        response = incident_in(await self._account.client.do("incidents.create", request.wire()))
        if mark != BODY and not carries(response, mark, self._key):
            # DevRev took the field and did not keep it, so a later search by key would not find the incident.
            await self._locations.refuse(mark)
        return response

    async def _refuse_foreign(self) -> None:
        """Raise Refused for choices made while the operator had another backend configured."""
        declaration, roles = self._declaration, {role.id for role in self._account.roles}
        wrong = {
            f"incident_role_assignments.{role}": gone("role", "Leave it empty.")
            for role in declaration.incident_role_assignments
            if role not in roles
        }
        types = {kind.id for kind in (await self._account.known_choices()).types}
        if declaration.incident_type_id is not None and declaration.incident_type_id not in types:
            none = "DevRev has no incident types. Leave it empty."
            wrong["incident_type_id"] = gone("incident type") if types else none
        if wrong:
            raise Refused("Some fields need another look.", wrong)

    async def next_location(self, mark: str, refusal: Refused) -> str | None:
        """Return where else the key can go, when that is what was refused; None where it is not."""
        if not isinstance(refusal, DevRevRefused):
            return None
        for extra in EXTRAS:
            if _is_about(refusal, extra) and extra not in self._without:
                self._without.add(extra)
                return mark
        if mark == BODY or not _is_about(refusal, mark):
            return None
        await self._locations.refuse(mark)
        return await self._locations.current()

    async def search(self, mark: str, since: datetime) -> Sequence[IncidentResponse]:
        """Return all incidents with this key, oldest first."""
        return await found_by_key(self._account, mark, self._key, since)

    async def fetch(self, incident_id: str) -> IncidentResponse | None:
        return await self._account.fetch(incident_id)

    async def extras(self) -> StoredExtras:
        """Return the parts of the declaration that DevRev has no field for."""
        declaration, lead = self._declaration, self._account.lead
        members = await self._role_holders()
        held = {role: members[person] for role, person in declaration.incident_role_assignments.items()}
        owner = held.get(lead.id) if lead else None
        return StoredExtras(
            reporter=declaration.reporter,
            automation=declaration.automation,
            alerts=declaration.alerts,
            team=declaration.slack_team_id,
            source=declaration.source,
            call_url=declaration.call_url,
            roles={role: member.person for role, member in held.items()},
            owner=(owner.devrev_id or "") if owner else "",
        )

    async def _role_holders(self) -> dict[PersonId, Member]:
        if self._members is None:
            held = self._declaration.incident_role_assignments.values()
            named = [*self._declaration.assignees, self._declaration.reporter]
            known = {person.slack_user_id: person for person in named}
            people = {person: known.get(person) or Person(slack_user_id=person) for person in held}
            self._members = await self._directory.members(people, self._declaration.slack_team_id)
        return self._members

    async def _request(self, mark: str) -> CreateIncident:
        """Build the request with only the fields that are set.

        DevRev has renamed fields over time, and it refuses unknown ones.
        """
        declaration, chosen = self._declaration, _ids(self._declaration)
        members = await self._role_holders()
        lead = self._account.lead
        owner = (
            members.get(declaration.incident_role_assignments.get(lead.id, PersonId(""))) if lead else None
        )
        parts = chosen("applies_to_parts") or ([self._account.part] if self._account.part else [])
        stage = next(iter(chosen("stage")), None)
        impact = next(iter(chosen("impact")), None)
        fields, schemas = await self._custom_fields()
        if mark not in {SYNC, BODY}:
            fields[mark] = self._key
            schemas = (schemas or SchemaSpec()).model_copy(update={"tenant_fragment": True})
        extras: dict[str, Any] = {
            "stage_validation_options": ["allow_non_start"] if stage else None,
            # An incident that is declared with a lead is acknowledged.
            "acknowledged_date": declaration.at if owner else None,
        }
        return CreateIncident(
            title=mapping.title_of(declaration.name, declaration.mode),
            body=self._body(members, self._key if mark == BODY else None),
            severity=number_of(declaration.severity_id, "severity_id"),
            stage=StageChoice(stage=stage) if stage else None,
            applies_to_parts=parts or None,
            owned_by=[owner.devrev_id] if owner and owner.devrev_id else None,
            identified_date=_moment(declaration.source.timestamp) if declaration.source else None,
            impact=Impact(count=number_of(impact, "impact")) if impact else None,
            tags=[TagChoice(tag_id=tag) for tag in chosen("tags")] or None,
            custom_fields=fields or None,
            custom_schema_spec=schemas,
            sync_metadata=Origin(external_reference=self._key, origin_system=mapping.ORIGIN_SYSTEM)
            if mark == SYNC
            else None,
            **{name: value for name, value in extras.items() if name not in self._without},
        )

    async def _custom_fields(self) -> tuple[dict[str, Any], SchemaSpec | None]:
        """Return the custom fields, and the schemas that they and the chosen subtype belong to."""
        entries = {name: given for name, given in self._declaration.custom_field_entries.items() if given}
        chosen = self._declaration.incident_type_id
        subtype = None if chosen == NO_SUBTYPE.id else chosen
        if not entries and subtype is None:
            return {}, None
        fields, schemas = to_devrev(entries, await self._account.known_choices(), subtype)
        if subtype is not None:
            schemas = (schemas or SchemaSpec()).model_copy(update={"subtype": subtype})
        return fields, schemas

    def _body(self, members: dict[PersonId, Member], key: str | None) -> str:
        declaration, lead = self._declaration, self._account.lead
        holders = []
        for role in self._account.roles:
            person = declaration.incident_role_assignments.get(role.id)
            if person is None:
                continue
            member = members[person]
            if lead is not None and role.id == lead.id:
                if member.devrev_id is None:
                    holders.append((role.name, f"{member.name} (not found in DevRev)"))
            else:
                holders.append((role.name, member.name))
        source = declaration.source
        came = (source.permalink or f"of {_moment(source.timestamp):%Y-%m-%d %H:%M} UTC") if source else None
        reporter = Member(person=declaration.declared_by).name
        return mapping.compose_body(mapping.inert(declaration.summary), reporter, holders, came, key)


def key_of(key: str) -> str:
    """Return the key as it is sent to DevRev, the same in every field."""
    return f"tocsin:{key}"


def carries(response: IncidentResponse, mark: str, key: str) -> bool:
    """True if the incident has the key in this field."""
    if mark == SYNC:
        return response.sync_metadata is not None and response.sync_metadata.external_reference == key
    return response.custom_fields.get(mark) == key


async def found_by_key(
    account: DevRevAccount, mark: str, key: str, since: datetime
) -> list[IncidentResponse]:
    """Return every incident with this key, oldest first.

    Each answer is compared with the key, since DevRev may ignore the filter.
    """
    asked: dict[str, Any] | None = None
    if mark == SYNC:
        asked = {SYNC: {"external_reference": [key], "origin_system": [mapping.ORIGIN_SYSTEM]}}
    elif mark != BODY:
        asked = {"custom_fields": {mark: [key]}}
    if asked is not None:
        try:
            found = [response async for response in listed(account, asked) if carries(response, mark, key)]
            return sorted(found, key=_age)
        except DevRevRefused as refusal:
            log.warning("DevRev does not list by our key; its newest are read instead", because=str(refusal))
    return sorted(await _newest_with(account, mark, key, since), key=_age)


async def _newest_with(
    account: DevRevAccount, mark: str, key: str, since: datetime
) -> list[IncidentResponse]:
    """Return the incidents with this key among those that our token's user created since then."""
    after = (since - BEFORE).astimezone(UTC).isoformat().replace("+00:00", "Z")
    asked: dict[str, Any] = {"created_date": {"type": "range", "after": after}}
    me = await account.me()
    if me is not None:
        asked["created_by"] = [me.id]
    found = [response async for response in listed(account, asked)]
    return [
        t for t in found if mapping.mark_of(t.body or "") == key or (mark != BODY and carries(t, mark, key))
    ]


async def listed(account: DevRevAccount, asked: dict[str, Any]) -> Any:
    async for found in account.client.pages("incidents.list", {**asked, "limit": 50}, "incidents"):
        yield incident_in({"incident": found}, Unavailable)


def _age(response: IncidentResponse) -> tuple[datetime, str]:
    return response.created_date or datetime.max.replace(tzinfo=UTC), response.id


def _is_about(refusal: DevRevRefused, name: str) -> bool:
    """True if the refusal is about this field: it names it, or names none and mentions it in its message."""
    named = refusal.field.removeprefix("custom_fields.")
    return named.partition(".")[0] == name or (not refusal.field and name in refusal.sentence)


def _ids(declaration: Declaration) -> Any:
    def chosen(field_id: str) -> list[str]:
        return [value.entered for value in declaration.backend_entries.get(field_id, ())]

    return chosen


def number_of(choice: str | None, block: str) -> int | None:
    """Return DevRev's number of a choice. Raises Refused if it is no number, as of another backend."""
    if not choice:
        return None
    if not choice.isascii() or not choice.isdigit():
        raise Refused("Some fields need another look.", {block: gone("choice")})
    return int(choice)


def _moment(ts: str) -> datetime:
    """Return the time of a Slack message: its `ts` begins with the seconds since 1970."""
    return datetime.fromtimestamp(float(ts), UTC)
