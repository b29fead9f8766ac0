"""What a responder asks for. The request is the form: a field's name is its block in the modal.

Field names are those of incident.io's V1 create payload (Incidents V1, Create), so that an error which a
backend gives for a field can be shown under the input it belongs to.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tocsin.incidents.model import (
    FieldValue,
    Frozen,
    Mode,
    Person,
    PersonId,
    SourceMessage,
    TeamId,
    Visibility,
)

NAME_LIMIT = 200
SUMMARY_LIMIT = 3000
TEXT_LIMIT = 3000
LINK_LIMIT = 2048


class DeclareRequest(Frozen):
    """The declare form as it was filled in; nothing in it has been checked yet."""

    name: str = ""
    summary: str = ""
    severity_id: str | None = None
    incident_type_id: str | None = None
    visibility: Visibility = "public"
    mode: Mode = "standard"
    incident_role_assignments: dict[str, PersonId] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Declaration(Frozen):
    """A declaration that passed every rule and is committed to: all that a backend needs to create it.

    `key` is the idempotency key: the same key never makes a second incident.
    """

    key: str
    name: str
    summary: str = ""
    severity_id: str | None = None
    incident_type_id: str | None = None
    visibility: Visibility = "public"
    mode: Mode = "standard"
    incident_role_assignments: dict[str, PersonId] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[FieldValue, ...]] = Field(default_factory=dict)
    slack_team_id: TeamId = TeamId("")
    source: SourceMessage | None = None
    reporter: Person
    at: datetime

    @property
    def request(self) -> DeclareRequest:
        """The form as it was filled in, to be filled in again."""
        kept = self.model_dump(include=set(DeclareRequest.model_fields) - {"custom_field_entries"})
        entries = {
            field: tuple(v.entered for v in values) for field, values in self.custom_field_entries.items()
        }
        return DeclareRequest(**kept, custom_field_entries=entries)
