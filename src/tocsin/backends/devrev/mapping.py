"""Mapping of DevRev's incidents to our models, and the data that the bot stores beside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from tocsin.backends.devrev.api_models import EnumValue, IncidentResponse, StageOn, State, UserResponse
from tocsin.backends.devrev.fields import own_entries
from tocsin.incidents.model import (
    AlertSummary,
    Automation,
    CustomField,
    FieldEntry,
    FieldOption,
    FieldValue,
    FrozenModel,
    Incident,
    IncidentType,
    Person,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    Status,
)
from tocsin.incidents.validation import clean_text, decimal_text
from tocsin.workflows.ports import KeyValueStore

# Data that DevRev has no field for; the bot stores it itself.


class StoredExtras(FrozenModel):
    """Stored data of one incident: reporter, workspace, source message, role holders, channel."""

    reporter: Person = Person()
    team: str = ""
    source: SourceMessage | None = None
    roles: dict[str, Person] = Field(default_factory=dict)
    owner: str = ""
    """DevRev user id of the lead as assigned in Slack; another owner in DevRev is a new lead."""
    channel_id: str = ""
    channel_name: str = ""
    channel_at: datetime | None = None
    call_url: str | None = None
    automation: Automation | None = None
    alerts: AlertSummary | None = None


class ExtrasStore:
    """Store of this data by the incident's DevRev id; empty without a `store`, as when only reading."""

    def __init__(self, store: KeyValueStore | None) -> None:
        self._store = store

    async def get(self, incident_id: str) -> StoredExtras:
        fact = None if self._store is None else await self._store.get(_name(incident_id))
        return StoredExtras() if fact is None else StoredExtras.model_validate_json(fact)

    async def set(self, incident_id: str, kept: StoredExtras) -> None:
        if self._store is not None:
            await self._store.set(_name(incident_id), kept.model_dump_json(exclude_defaults=True))


def _name(incident_id: str) -> str:
    return f"devrev/incident/{incident_id}"


# Conversion of our models to DevRev's fields and back. Pure functions.

ORIGIN_SYSTEM = "tocsin"
TEST = "[TEST] "
DUPLICATE = "Duplicate of "
_FROM = "From the message "
_DECLARED, _ROLES = "Declared in Slack by ", "Roles given in Slack:"
_FOOTER = re.compile(rf"(?:^|\n\n)---\n(?={_DECLARED}|{_ROLES})")
_MENTION = re.compile(r"<don:[^<>]*>?")

FIELD = "custom_field_entries."
BLOCKS: Mapping[str, str] = {
    "title": "name",
    "body": "summary",
    "severity": "severity_id",
    "stage": "stage",
    "stage_validation_options": "stage",
    "applies_to_parts": "applies_to_parts",
    "impact": "impact",
    "tags": "tags",
    "owned_by": "incident_role_assignments.lead",
}
"""Form block for each field of `incidents.create`."""


@dataclass(frozen=True)
class MappingContext:
    """Context for mapping an answer of DevRev's: permalink, configured roles, custom fields, subtypes."""

    permalink: str | None
    roles: Sequence[Role]
    fields: Sequence[CustomField]
    subtypes: Sequence[IncidentType] = ()


def reference_of(response: IncidentResponse) -> str:
    """Return the `display_id`; its prefix belongs to the organisation and is never built here."""
    return response.display_id or response.id.rpartition("/")[2] or response.id


def permalink_of(template: str | None, response: IncidentResponse) -> str | None:
    """Fill the operator's template; None without one, since DevRev returns no address of an incident."""
    if not template or not response.display_id:
        return None
    return template.replace("{display_id}", response.display_id)


def title_of(name: str, mode: str) -> str:
    """Return the title; a test is marked in front, since DevRev has no test incidents."""
    return f"{TEST}{name}" if mode == "test" else name


def compose_body(
    text: str, reporter: str, holders: Iterable[tuple[str, str]], source: str | None, mark: str | None
) -> str:
    """Compose the body: the text, the data that DevRev has no field for, and the key `mark`.

    Without a reporter, as of an incident that was not declared in Slack, only roles are added.
    """
    lines = [f"{_line(role)}: {_line(name)}" for role, name in holders]
    if reporter:
        lines.insert(0, f"{_DECLARED}{_line(reporter)}.")
    elif lines:
        lines.insert(0, _ROLES)
    lines += [f"{_FROM}{source}"] if source else []
    lines += [mark] if mark else []
    return "\n\n".join(filter(None, [text, "\n".join(["---", *lines]) if lines else ""]))


def inert(text: str, there: str = "") -> str:
    """Break mentions in a text: DevRev reads `<don:…>` as a mention (Timeline, mentions).

    Those that the text `there` has were written in DevRev, and stay.
    """
    return _MENTION.sub(lambda found: found[0] if found[0] in there else _broken(found[0]), text)


def _broken(mention: str) -> str:
    return mention.replace("<don:", "<\u200bdon:")


def as_typed(text: str) -> str:
    """Undo `inert`."""
    return text.replace("<\u200bdon:", "<don:")


def _parts(body: str) -> tuple[str, list[str]]:
    """Return the text of a body, and the lines that the bot put below it.

    What people added in DevRev below those lines, after an empty one, belongs to the text.
    """
    body = body.replace("\r\n", "\n")
    footers = list(_FOOTER.finditer(body))
    if not footers:
        return body, []
    ours, _, below = body[footers[-1].end() :].partition("\n\n")
    return "\n\n".join(filter(None, [body[: footers[-1].start()], below.strip("\n")])), ours.splitlines()


def text_of(body: str) -> str:
    """Return the body without the lines that the bot put below it, as DevRev has it."""
    return _parts(body)[0]


def summary_of(body: str) -> str:
    """Return the text of the body as people typed it."""
    return as_typed(text_of(body))


def source_of(body: str) -> str | None:
    """Return the source message's address or time from the body's lines."""
    return next((line.removeprefix(_FROM) for line in _parts(body)[1] if line.startswith(_FROM)), None)


def reporter_of(body: str) -> str | None:
    """Return the reporter's name from the body's lines."""
    first = next(iter(_parts(body)[1]), "")
    return first.removeprefix(_DECLARED).removesuffix(".") if first.startswith(_DECLARED) else None


def mark_of(body: str) -> str:
    """Return the last of the body's lines, which is the key if no field can carry it."""
    text, lines = _parts(body)
    return (lines or text.rstrip().splitlines() or [""])[-1].strip()


def _line(text: str) -> str:
    return inert(" ".join(text.split()))


def severity_of(value: EnumValue) -> Severity:
    """Return the severity. DevRev lists the worst first; in our models a higher rank is worse."""
    label = value.label or str(value.id)
    return Severity(id=str(value.id), name=label, description=value.tooltip, rank=-value.ordinal)


def category_of(state: State | None) -> str:
    """Return `closed` for a final state, else `live`.

    If DevRev does not say which states are final, the name decides (stock state).
    """
    if state is None:
        return "live"
    final = state.name.casefold() == "closed" if state.is_final is None else state.is_final
    return "closed" if final else "live"


_MITIGATED = re.compile(r"mitigat|fixed|resolved|monitor", re.IGNORECASE)


def is_mitigated(status: Status) -> bool:
    """True for a final stage, and for one whose name says that the impact is over."""
    return not status.is_open or _MITIGATED.search(status.name) is not None


def status_of(on: StageOn | None) -> Status:
    if on is None or on.stage is None:
        return Status(id="", name="Open", category="live")
    stage = on.stage
    return Status(
        id=stage.id,
        name=stage.name or stage.id,
        category=category_of(on.state or stage.state),
        rank=stage.ordinal,
    )


def incident_of(response: IncidentResponse, kept: StoredExtras, context: MappingContext) -> Incident:
    """Return the incident from DevRev's answer and the stored data."""
    body = response.body or ""
    created = response.created_date or datetime.fromtimestamp(0, UTC)
    changed = max(filter(None, [response.modified_date or created, kept.channel_at]))
    status = status_of(response.stage)
    return Incident(
        id=response.id,
        reference=reference_of(response),
        name=response.title.removeprefix(TEST),
        summary=summary_of(body),
        permalink=context.permalink,
        severity=severity_of(response.severity) if response.severity else None,
        incident_status=status,
        incident_type=_subtype(response.subtype, context.subtypes),
        mode="test" if response.title.startswith(TEST) else "standard",
        slack_team_id=kept.team,
        slack_channel_id=kept.channel_id,
        slack_channel_name=kept.channel_name,
        source=kept.source,
        call_url=kept.call_url,
        creator=_creator(response, kept, body),
        automation=kept.automation,
        alerts=kept.alerts,
        incident_role_assignments=tuple(_assignments(response, kept, context.roles)),
        custom_field_entries=(
            *_entries(response.custom_fields, context.fields),
            *own_entries(response, lead_of(response, kept)),
        ),
        created_at=created,
        updated_at=changed,
        closed_at=None if status.is_open else response.actual_close_date,
    )


def _creator(response: IncidentResponse, kept: StoredExtras, body: str) -> Person:
    if kept.reporter != Person() or kept.automation is not None:
        return kept.reporter
    named = reporter_of(body)
    if named:
        return Person(name=named)
    by = response.created_by
    return Person(name=by.name or None, email=by.email) if by else Person()


def _assignments(
    response: IncidentResponse, kept: StoredExtras, roles: Sequence[Role]
) -> Iterable[RoleAssignment]:
    for role in roles:
        held = kept.roles.get(role.id)
        if role.role_type == "reporter":
            held = kept.reporter if kept.reporter != Person() else None
        elif role.role_type == "lead":
            held = _lead(response, kept, held)
        if held is not None:
            yield RoleAssignment(role=role, assignee=held)


def _subtype(value: str | None, subtypes: Sequence[IncidentType]) -> IncidentType | None:
    if not value:
        return None
    return next((one for one in subtypes if one.id == value), IncidentType(id=value, name=value))


def lead_of(response: IncidentResponse, kept: StoredExtras) -> UserResponse | None:
    """Return the owner who leads: the one set here while they are among the owners, else the first."""
    named = (owner for owner in response.owned_by if owner.id and owner.id == kept.owner)
    return next(named, next(iter(response.owned_by), None))


def _lead(response: IncidentResponse, kept: StoredExtras, held: Person | None) -> Person | None:
    """Return the lead: the stored person while they are DevRev's owner, else DevRev's owner.

    A stored person without a DevRev user stays the lead while DevRev has no owner.
    """
    owner = lead_of(response, kept)
    if owner is None:
        return held if not kept.owner else None
    if held is not None and owner.id == kept.owner:
        return held
    return Person(name=owner.name or None, email=owner.email)


def _entries(values: Mapping[str, Any], fields: Sequence[CustomField]) -> Iterable[FieldEntry]:
    for field in fields:
        given = values.get(field.id)
        listed = given if isinstance(given, list) else [given]
        answers = (_answer(field, value) for value in listed if value is not None)
        told = tuple(answer for answer in answers if answer.entered)
        if told:
            yield FieldEntry(custom_field=field, values=told)


def _answer(field: CustomField, value: Any) -> FieldValue:
    """Return an answer that DevRev gives as text, a number, a choice's name, or a choice as an object."""
    label = ""
    if isinstance(value, dict):
        label = str(value.get("label") or "")
        value = value.get("id", value.get("value", label))
    if isinstance(value, bool):
        value = "yes" if value else "no"
    text = str(value)
    if isinstance(value, float):
        text = (decimal_text(text) or text).removesuffix(".0")
    if field.field_type == "numeric":
        return FieldValue(value_numeric=text)
    if field.field_type in {"single_select", "multi_select"}:
        # A choice that is gone from the schema is still the answer.
        gone = FieldOption(id=option_id(text), value=label or text)
        return FieldValue(value_option=field.option(gone.id) or gone)
    return FieldValue(value_text=text)


MOST_OF_ID = 150
"""Characters of an option's id that a form in Slack takes (Slack, option object: `value`)."""


def option_id(value: str) -> str:
    """Return the id of a choice that DevRev knows by its text: that text, or its hash.

    A hash stands for a text that is too long, and for one that would come back from a form without its outer
    white space, a control character or the like.
    """
    is_kept = len(value) <= MOST_OF_ID and clean_text(value, lines=True) == value
    return value if is_kept else hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
