"""Inputs of custom fields in any form, and the form of the fields that an incident has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

from pydantic import Field
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import CustomField, FieldOption, FieldValue, Form, FrozenModel, Incident
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import TEXT_LIMIT
from tocsin.incidents.validation import clean_text, decimal_text, is_link
from tocsin.slack.views.blocks import (
    BLOCKS_LIMIT,
    Choice,
    State,
    escape,
    labels_of,
    link_input,
    no_room_for,
    number_input,
    paragraph,
    select_input,
    text_input,
    values_of,
)
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

# The input of one field.

FIELD = "custom_field_entries."
"""Beginning of the block id of an organisation's field; a field of the backend's own has its bare id."""


def field_input(
    field: CustomField,
    block: str,
    entered: Sequence[str],
    labels: Mapping[str, str],
    *,
    optional: bool,
) -> Block:
    """Build the input of a field, filled with what was entered before; `labels` are those of its options.

    Slack refuses a form with a select that has no options, so there is a sentence in its place. It sends no
    form with an address that it does not know as one, so that is in an input for any text.
    """
    if not field.has_choices:
        return paragraph(f"*{escape(field.name)}* has no options to choose from yet.")
    hint, value = field.description, next(iter(entered), "")
    if field.field_type in {"single_select", "multi_select"}:
        several = field.field_type == "multi_select"
        return select_input(
            block,
            field.name,
            _known_choices(field, entered, labels) if field.searched else field_choices(field),
            chosen=entered,
            several=several,
            searched=field.searched,
            optional=optional,
            hint=hint,
            placeholder="Type to search" if field.searched else "Choose any" if several else "Choose one",
        )
    if field.field_type == "numeric":
        return number_input(block, field.name, value=value, hint=hint, optional=optional)
    if field.field_type == "link" and (is_link(value) or not value):
        return link_input(block, field.name, value=value, hint=hint, optional=optional)
    return text_input(block, field.name, value=value, hint=hint, optional=optional, lines="\n" in value)


def _known_choices(field: CustomField, entered: Sequence[str], labels: Mapping[str, str]) -> list[Choice]:
    """Return the chosen options of an external select, with their labels as far as they are known."""
    known = {option.id: option.value for option in field.options}
    return [(chosen, known.get(chosen) or labels.get(chosen) or chosen, "") for chosen in entered]


def field_choices(field: CustomField) -> list[Choice]:
    """Return a select field's options in the organisation's order."""
    return [(o.id, o.value, "") for o in sorted(field.options, key=lambda o: o.sort_key)]


# The answers in a form: those that an incident has, and those that were entered.

NO_FIELDS = frozenset({"message"})
"""Block ids of a form about an incident that are no fields."""


class FieldsEntered(FrozenModel):
    """Answers as a form holds them, by field id, and the labels of options in external selects."""

    entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


def answered(incident: Incident, form: Form) -> FieldsEntered:
    """Return the incident's answers as a form shows them, so that it comes back with these if left alone."""
    entries, labels = dict[str, tuple[str, ...]](), dict[str, str]()
    for field in form.changeable_fields:
        values = [value for value in incident.answers(field.id) if _can_be_shown(field, value)]
        shown = tuple(dict.fromkeys(_as_entered(field, value) for value in values))
        entries[field.id] = shown if field.field_type == "multi_select" else shown[:1]
        labels |= {value.entered: value.shown for value in values}
    return FieldsEntered(entries=entries, labels=labels)


def _can_be_shown(field: CustomField, value: FieldValue) -> bool:
    """True if an input can hold the answer; none holds an empty one, or a text that is too long for it."""
    if field.field_type == "numeric":
        return decimal_text(value.entered) != ""
    if field.field_type.endswith("_select"):
        return _is_choice(value)
    return not _is_choice(value) and clean_text(value.entered) != "" and not _is_too_long(value)


def _is_choice(value: FieldValue) -> bool:
    return value.value_option is not None or value.value_catalog_entry is not None


def _is_too_long(value: FieldValue) -> bool:
    return len(value.entered) > TEXT_LIMIT


def as_answered(form: Form, incident: Incident) -> Form:
    """Return the form of an incident's fields, whose menus also have the options that are gone by now.

    Without them, who changes one choice of a field would take away another one unseen.
    """
    fields, own = (
        tuple(_as_answered(field, incident.answers(field.id)) for field in asked)
        for asked in (form.custom_fields, form.backend_fields)
    )
    return form.model_copy(update={"custom_fields": fields, "backend_fields": own})


def _as_answered(field: CustomField, values: Sequence[FieldValue]) -> CustomField:
    if any(_is_too_long(value) for value in values):
        said = f"It has more than the {TEXT_LIMIT} characters that fit here. What you write replaces it all."
        return field.model_copy(update={"description": said})
    if field.searched or not field.field_type.endswith("_select"):
        return field
    last = max((option.sort_key for option in field.options), default=0)
    gone = {
        value.entered: FieldOption(id=value.entered, value=value.shown, sort_key=last)
        for value in values
        if _is_choice(value) and field.option(value.entered) is None
    }
    return field.model_copy(update={"options": (*field.options, *gone.values())}) if gone else field


def _as_entered(field: CustomField, value: FieldValue) -> str:
    """Return the answer as an input holds it: Slack takes a number as digits alone, not as `1e+06`."""
    return decimal_text(value.entered) if field.field_type == "numeric" else value.entered


def read_fields(state: State) -> FieldsEntered:
    """Return what was entered in the fields of a submitted form, not validated."""
    blocks = [block for block in state if block not in NO_FIELDS]
    entries = {block.removeprefix(FIELD): values_of(state, block) for block in blocks}
    return FieldsEntered(entries=entries, labels=labels_of(state))


def fingerprints(entered: FieldsEntered) -> dict[str, str]:
    """Return a checksum of each field's answers, in any order; it is empty if there are none."""
    cleaned = {
        field_id: sorted(filter(None, (clean_text(text, lines=True) for text in texts)))
        for field_id, texts in entered.entries.items()
    }
    return {
        field_id: f"{crc32(chr(0).join(texts).encode()):08x}" if texts else ""
        for field_id, texts in cleaned.items()
    }


# The form of all fields.

CALLBACK_ID = "fields"
NOTHING_ASKED = "No fields are set up here. An administrator adds them where incidents are configured."


def fields_modal(
    form: Form,
    incident: Incident,
    entered: FieldsEntered | None = None,
    *,
    seen: Mapping[str, str] | None = None,
    problem: str = "",
) -> View:
    """Build the form of the incident's fields as they are now, but for those that were `entered` already.

    Only a field that has an answer can be required: others may be changed while it is still unknown. `seen`
    are the fingerprints of a form that this one replaces. Slack keeps what stands in its inputs, so that a
    field which was left alone is still compared with what it was.
    """
    form, now = as_answered(form, incident), answered(incident, form)
    entered = entered or FieldsEntered()
    entries, labels = {**now.entries, **entered.entries}, {**now.labels, **entered.labels}
    above = [*heading(incident), *unsupported_blocks(form.lacks, Verb.FIELDS)]
    alone = {name: told for name, told in (seen or {}).items() if name not in entered.entries}
    room = BLOCKS_LIMIT - len(above) - 1
    fields, metadata = _that_fit(form, incident, {**fingerprints(now), **alone}, room)
    asked = [
        field_input(
            field,
            form.field_path(field.id),
            entries[field.id],
            labels,
            optional=not (field.required and now.entries[field.id]),
        )
        for field in fields
    ]
    left = len(form.changeable_fields) - len(fields)
    blocks = [*above, *(asked or [paragraph(NOTHING_ASKED)]), *([no_room_for(left)] if left else [])]
    return verb_modal(CALLBACK_ID, "Fields", metadata, blocks, submit="Save", problem=problem)


def _that_fit(
    form: Form, incident: Incident, seen: Mapping[str, str], room: int
) -> tuple[Sequence[CustomField], VerbMetadata]:
    """Return as many fields as there is room for, of blocks and in the metadata, and that metadata.

    If not all of them fit, there is room for a sentence that says so. An incident.io id cannot be compressed.
    """
    fields = form.changeable_fields
    fields = fields if len(fields) <= room else fields[: room - 1]
    while True:
        told = {field.id: seen.get(field.id, "") for field in fields}
        metadata = VerbMetadata(verb=Verb.FIELDS, incident_id=incident.id, seen=told)
        if metadata.fits or not fields:
            return fields, metadata
        fields = fields[:-1]
