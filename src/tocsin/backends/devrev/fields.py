"""Fields of an incident that only DevRev has: as they are read, and as they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tocsin.backends.devrev.api_models import IncidentResponse, TagChoice, UserResponse
from tocsin.incidents.model import CustomField, FieldEntry, FieldOption, FieldValue

# The fields that the forms ask for; the stage is the status once an incident is declared.

PARTS = CustomField(
    id="applies_to_parts",
    name="Parts",
    description="What it is about: a product, a capability, a feature",
    field_type="multi_select",
    searched=True,
)
IMPACT = CustomField(id="impact", name="Impact", field_type="single_select")
STAGE = CustomField(
    id="stage",
    name="Stage",
    description="Where it stands already; left empty, DevRev begins at the beginning",
    field_type="single_select",
    asked="declaring",
)
TAGS = CustomField(id="tags", name="Tags", field_type="multi_select", searched=True)


# The fields as DevRev tells them, the empty ones left out.


def own_entries(response: IncidentResponse, lead: UserResponse | None) -> Iterator[FieldEntry]:
    """Yield the answers to DevRev's own fields, first those that people can change here.

    The owners besides the one who leads the incident are a field of their own.
    """
    parts = [_option(part.id, part.name or part.display_id) for part in response.applies_to_parts]
    tags = [_option(one.tag.id, _tag(one.tag.name, one.value)) for one in response.tags]
    impact = response.impact.count if response.impact else None
    yield from _entry(PARTS, parts)
    yield from _entry(IMPACT, [_option(str(impact.id), impact.label or str(impact.id))] if impact else [])
    yield from _entry(TAGS, tags)
    owners = [owner.name for owner in response.owned_by if owner is not lead]
    for field_id, name, texts in (("owned_by", "Also owned by", owners), *_only_shown(response)):
        yield from _entry(
            CustomField(id=field_id, name=name), [FieldValue(value_text=text) for text in texts if text]
        )


def _only_shown(response: IncidentResponse) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield the id, the name and the values of each field that people change in DevRev alone."""
    customers = (*(response.impact.customer_ids if response.impact else ()), *response.impacted_customers)
    yield "impacted_customers", "Customers", [customer.label for customer in customers]
    yield "stakeholders", "Stakeholders", [person.label for person in response.stakeholders]
    yield "reported_by", "Reported by", [response.reported_by.label] if response.reported_by else []
    yield "source", "Source", [response.source.label] if response.source else []
    yield "identified_date", "Identified", _date(response.identified_date)
    yield "acknowledged_date", "Acknowledged", _date(response.acknowledged_date)
    yield "mitigated_date", "Mitigated", _date(response.mitigated_date)
    yield "target_close_date", "To be closed by", _date(response.target_close_date)
    yield "playbooks", "Playbooks", [article.label for article in response.playbooks]
    yield "pia", "Post-incident analysis", [article.label for article in response.pia]
    yield "related_docs", "Related documents", [article.label for article in response.related_docs]
    yield "artifacts", "Artifacts", [artifact.label for artifact in response.artifacts]


def _entry(field: CustomField, values: Sequence[FieldValue]) -> Iterator[FieldEntry]:
    if values:
        yield FieldEntry(custom_field=field, values=tuple(values))


def _option(option_id: str, label: str) -> FieldValue:
    return FieldValue(value_option=FieldOption(id=option_id, value=label))


def _tag(name: str, value: str | None) -> str:
    return f"{name}: {value}" if value else name


def _date(at: datetime | None) -> list[str]:
    return [f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"] if at is not None else []


# The same fields as they are sent.


def chosen_ids(values: Sequence[FieldValue] | None) -> list[str] | None:
    """Return the ids of the chosen options; None if the field is left as it is."""
    return None if values is None else [value.entered for value in values]


def chosen_tags(values: Sequence[FieldValue] | None, response: IncidentResponse) -> list[TagChoice] | None:
    """Return the chosen tags; one that the incident has already with all its values."""
    there: dict[str, list[str | None]] = {}
    for one in response.tags:
        there.setdefault(one.tag.id, []).append(one.value)
    ids = chosen_ids(values)
    if ids is None:
        return None
    return [TagChoice(tag_id=tag, value=value) for tag in ids for value in there.get(tag, [None])]
