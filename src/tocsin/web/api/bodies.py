"""Bodies with which clients declare and change incidents, and their translation into requests of a key.

Names and required properties are incident.io's (Incidents V1 and V2, Create and Edit).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Form, MessageTs, PersonId, SourceMessage, TeamId, Visibility
from tocsin.incidents.validation import TIME_FIELD
from tocsin.web.api.endpoints import Body, Moment
from tocsin.workflows.api import NO_USER, ROLE, ApiChange, ApiDeclaration

FIELDS = "custom_field_entries."
BOTH_OR_NEITHER = "A source message has a channel and a timestamp: give both."
NO_OPTIONS = "Tocsin gives numbers and channels by itself: leave this out."

FindUser = Callable[["UserReferencePayload"], Awaitable[PersonId | None]]
"""Returns the person whom a reference names by id, Slack id or an e-mail address that Tocsin has met."""


def _refuse_misnamed(given: Any, model: type[BaseModel], *names: str) -> Any:
    """Return a given body. Raises PydanticCustomError for an unknown property in the place of these.

    A body that has none of these empties what it is about. A client that sends another property means no such
    thing: `user_id` (incident.io's server for MCP), or `value_option`, as answers have it.
    """
    unknown = sorted(given.keys() - model.model_fields.keys()) if isinstance(given, dict) else []
    if unknown and not given.keys() & set(names):
        said = f"{unknown[0]} is not known here: name it {' or '.join(names)}, or leave it out to empty this"
        raise PydanticCustomError("unknown_property", "{said}", {"said": said})
    return given


class UserReferencePayload(Body):
    """A user by any one of these."""

    id: str | None = None
    slack_user_id: str | None = None
    email: str | None = None


class CustomFieldValuePayload(Body):
    """One answer to a custom field, in the property for the field's type."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    value_text: str | None = None
    value_link: str | None = None
    value_numeric: str | None = None
    value_option_id: str | None = None
    value_catalog_entry_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_a_value(cls, given: Any) -> Any:
        return _refuse_misnamed(given, cls, *cls.model_fields)

    @property
    def entered(self) -> str:
        """The answer as a form has it."""
        given = (
            self.value_option_id,
            self.value_catalog_entry_id,
            self.value_text,
            self.value_link,
            self.value_numeric,
        )
        return next((value for value in given if value), "")


class CustomFieldEntryPayload(Body):
    """The answers to a custom field; without any it is emptied."""

    custom_field_id: str
    values: list[CustomFieldValuePayload]


class IncidentRoleAssignmentPayload(Body):
    """A role and the user who gets it; without a user it is given up."""

    incident_role_id: str
    assignee: UserReferencePayload | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_an_assignee(cls, given: Any) -> Any:
        return _refuse_misnamed(given, cls, "assignee")


class IncidentTimestampValuePayload(Body):
    """A timestamp of the incident; without a value it is cleared."""

    incident_timestamp_id: str
    value: Moment | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_a_time(cls, given: Any) -> Any:
        return _refuse_misnamed(given, cls, "value")


class _IncidentPayload(Body):
    """Properties of an incident that can be set at its declaration and later."""

    name: str | None = None
    summary: str | None = None
    severity_id: str | None = None
    custom_field_entries: list[CustomFieldEntryPayload] = Field(default_factory=list)
    incident_role_assignments: list[IncidentRoleAssignmentPayload] = Field(default_factory=list)

    def answers(self) -> dict[str, tuple[str, ...]]:
        return {
            entry.custom_field_id: tuple(value.entered for value in entry.values)
            for entry in self.custom_field_entries
        }

    async def holders(self, find_user: FindUser) -> tuple[dict[str, PersonId | None], dict[str, str]]:
        """Return the people by role, and by role the e-mail addresses of those whom Tocsin has not met.

        Raises Refused for users who are not there.
        """
        holders: dict[str, PersonId | None] = {}
        emails: dict[str, str] = {}
        wrong: dict[str, str] = {}
        for assignment in self.incident_role_assignments:
            role_id, reference = assignment.incident_role_id, assignment.assignee
            person = await find_user(reference) if reference is not None else None
            if reference is None or person is not None:
                holders[role_id] = person
            elif reference.email and not (reference.id or reference.slack_user_id):
                emails[role_id] = reference.email
            else:
                wrong[f"{ROLE}{role_id}.assignee"] = NO_USER
        if wrong:
            raise Refused(NO_USER, wrong)
        return holders, emails

    @contextmanager
    def naming_fields(self, prefix: str = "") -> Iterator[None]:
        """Name the fields of a refusal as the body has them: entries of a list by their place in it."""
        try:
            yield
        except Refused as refusal:
            refusal.fields = {f"{prefix}{self._path(field)}": said for field, said in refusal.fields.items()}
            raise

    def _path(self, field: str) -> str:
        """Return the path of a field in the body."""
        for beginning, key in _LISTED.items():
            if field.startswith(beginning):
                listed: Sequence[Any] = getattr(self, beginning.rstrip("."), ())
                ids = [getattr(entry, key) for entry in listed]
                wanted, dot, inner = field.removeprefix(beginning).partition(".")
                place = f"{beginning}{ids.index(wanted)}" if wanted in ids else beginning.rstrip(".")
                return f"{place}{dot}{inner}"
        return field


_LISTED = {
    FIELDS: "custom_field_id",
    ROLE: "incident_role_id",
    TIME_FIELD: "incident_timestamp_id",
}
"""Lists whose entries a refusal names by the id in this property."""


class _DeclarationPayload(_IncidentPayload):
    """Properties of every declaration."""

    idempotency_key: str = Field(min_length=1)
    visibility: Visibility
    incident_type_id: str | None = None
    slack_team_id: str | None = None

    async def _asked(self, find_user: FindUser, more: Mapping[str, Any]) -> ApiDeclaration:
        holders, emails = await self.holders(find_user)
        return ApiDeclaration(
            name=self.name or "",
            summary=self.summary or "",
            severity_id=self.severity_id or None,
            incident_type_id=self.incident_type_id or None,
            visibility=self.visibility,
            slack_team_id=TeamId(self.slack_team_id or ""),
            incident_role_assignments={role: person for role, person in holders.items() if person},
            assignee_emails=emails,
            custom_field_entries=self.answers(),
            **more,
        )


class RetrospectiveIncidentOptionsV2(Body):
    """Properties of what is over."""

    external_id: int | None = None
    postmortem_document_url: str | None = None
    slack_channel_id: str | None = None


class IncidentsCreatePayloadV2(_DeclarationPayload):
    """A declaration."""

    incident_status_id: str | None = None
    incident_timestamp_values: list[IncidentTimestampValuePayload] = Field(default_factory=list)
    mode: Literal["standard", "retrospective", "test"] = "standard"
    retrospective_incident_options: RetrospectiveIncidentOptionsV2 | None = None

    async def asked(self, find_user: FindUser) -> ApiDeclaration:
        """Return the declaration. Raises Refused for users who are not there, and for what is not kept."""
        given = self.retrospective_incident_options
        for name in given.model_fields_set if given is not None else ():
            raise Refused(NO_OPTIONS, {f"retrospective_incident_options.{name}": NO_OPTIONS})
        times = {one.incident_timestamp_id: one.value for one in self.incident_timestamp_values if one.value}
        more = {
            "mode": self.mode,
            "incident_status_id": self.incident_status_id or None,
            "incident_timestamp_values": times,
        }
        return await self._asked(find_user, more)


StatusV1 = Literal["triage", "investigating", "fixing", "monitoring", "closed", "declined"]


class IncidentsCreatePayloadV1(_DeclarationPayload):
    """A declaration, perhaps from a message in Slack."""

    mode: Literal["real", "test"] = "real"
    status: StatusV1 | None = None
    source_message_channel_id: str | None = Field(None, pattern=r"^[CDG][A-Z0-9]{1,20}$")
    source_message_timestamp: str | None = Field(None, pattern=r"^\d{1,12}\.\d{1,9}$")

    async def asked(self, find_user: FindUser, form: Form) -> ApiDeclaration:
        """Return the declaration. Raises Refused for users who are not there, and for half a message."""
        more = {
            "mode": "standard" if self.mode == "real" else "test",
            "incident_status_id": status_of_v1(form, self.status),
            "source": self._source(),
        }
        return await self._asked(find_user, more)

    def _source(self) -> SourceMessage | None:
        channel, timestamp = self.source_message_channel_id, self.source_message_timestamp
        if channel and timestamp:
            return SourceMessage(channel=ChannelId(channel), timestamp=MessageTs(timestamp))
        if channel or timestamp:
            missing = "timestamp" if channel else "channel_id"
            raise Refused(BOTH_OR_NEITHER, {f"source_message_{missing}": BOTH_OR_NEITHER})
        return None


def status_of_v1(form: Form, word: str | None) -> str | None:
    """Return the id of the status that V1 calls so; None for the first one that is live.

    A status is known by its id or its name, else by its category: V1 has three words for what is live.
    """
    if word is None:
        return None
    named = (one for one in form.statuses if word in {one.id.casefold(), one.name.casefold()})
    alike = (one for one in form.statuses if one.category == word)
    found = next(named, None) or next(alike, None)
    return found.id if found is not None else None


class IncidentEditPayloadV2(_IncidentPayload):
    """Properties that change; what is left out stays, also where a list is empty."""

    call_url: str | None = None
    incident_status_id: str | None = None
    incident_timestamp_values: list[IncidentTimestampValuePayload] = Field(default_factory=list)

    async def asked(self, find_user: FindUser) -> ApiChange:
        """Return the change. Raises Refused for users who are not there."""
        holders, emails = await self.holders(find_user)
        return ApiChange(
            name=self.name,
            summary=self.summary,
            severity_id=self.severity_id or None,
            incident_status_id=self.incident_status_id or None,
            call_url=self.call_url or None,
            incident_role_assignments=holders,
            assignee_emails=emails,
            custom_field_entries=self.answers(),
            incident_timestamp_values={
                one.incident_timestamp_id: one.value for one in self.incident_timestamp_values
            },
        )


class IncidentsEditPayloadV2(Body):
    """A change of an incident, and whether its channel is told."""

    incident: IncidentEditPayloadV2
    notify_incident_channel: bool


class IncidentUpdatesCreatePayloadV2(Body):
    """An update: a message, a new status, a new severity, or several of them."""

    idempotency_key: str = Field(min_length=1)
    incident_id: str
    message: str | None = None
    to_incident_status_id: str | None = None
    to_severity_id: str | None = None

    def asked(self) -> ApiChange:
        return ApiChange(
            message=self.message or "",
            incident_status_id=self.to_incident_status_id or None,
            severity_id=self.to_severity_id or None,
        )
