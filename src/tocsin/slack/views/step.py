"""*Declare an incident* as a step of Workflow Builder: its inputs and outputs, and the request in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import CustomField, FieldOption, Form, PersonId
from tocsin.incidents.naming import leading, there_is
from tocsin.incidents.requests import DeclareRequest
from tocsin.incidents.rules import cleaned, in_words
from tocsin.slack.views.context import FormContext
from tocsin.slack.views.kit import escape, paragraph, plain, shortened

PERSON, CHANNEL = "slack#/types/user_id", "slack#/types/channel_id"


def _parameter(kind: str, title: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {"type": kind, "title": title, "description": description, "is_required": required}


DECLARE_STEP: dict[str, Any] = {
    "title": "Declare an incident",
    "description": "Declares an incident as the form does, once for each run of the workflow",
    "input_parameters": {
        "name": _parameter("string", "Name", "A few words that say what is wrong", required=True),
        "reporter": _parameter(
            PERSON, "Reporter", "Who declares it, and must be allowed to; they are told of it", required=True
        ),
        "severity": _parameter("string", "Severity", "Its name, or the beginning of it"),
        "summary": _parameter("string", "Summary", "What is known so far"),
        "incident_type": _parameter("string", "Type", "The name of an incident type"),
        "lead": _parameter(PERSON, "Lead", "Who leads"),
        "fields": _parameter("string", "Other fields", "A line for each, such as: Affected area: API"),
        "channel": _parameter(CHANNEL, "Channel", "Where its card is posted, too"),
        "private": _parameter("boolean", "Private", "For its reporter and role holders; gives no outputs"),
        "test": _parameter("boolean", "Test", "Only a test"),
    },
    "output_parameters": {
        "reference": _parameter("string", "Reference", "Such as INC-12"),
        "permalink": _parameter("string", "Permalink", "The address of the incident's page"),
        "channel": _parameter(CHANNEL, "Channel", "The incident's own channel"),
    },
}
"""Slack, custom steps: the names of inputs and outputs stay, since people's workflows use them."""


def read_step(inputs: Mapping[str, Any], form: Form) -> DeclareRequest:
    """The request in a step's inputs, in which choices are made by name.

    Raises Refused with a sentence for each input that names nothing there is. What is left out is left to the
    rules.
    """
    wrong: dict[str, str] = {}
    severity, kind = _said(inputs, "severity"), _said(inputs, "incident_type")
    entries = _entries(_said(inputs, "fields"), form, wrong)
    lead = next((role for role in form.roles if role.role_type == "lead"), None)
    request = DeclareRequest(
        name=_said(inputs, "name"),
        summary=_said(inputs, "summary"),
        severity_id=_chosen(severity, form.severities, "severity", wrong),
        incident_type_id=_chosen(kind, form.incident_types, "incident_type", wrong),
        visibility="private" if inputs.get("private") is True else "public",
        mode="test" if inputs.get("test") is True else "standard",
        incident_role_assignments=(
            {lead.id: PersonId(_said(inputs, "lead"))} if lead and _said(inputs, "lead") else {}
        ),
        custom_field_entries=entries["custom_field_entries"],
        backend_entries=entries["backend_entries"],
    )
    if wrong:
        raise Refused("The step could not be read.", wrong)
    return request


def _said(inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name)
    return value if isinstance(value, str) else ""


def _chosen(typed: str, things: Sequence[Any], what: str, wrong: dict[str, str]) -> str | None:
    if not typed.strip():
        return None
    try:
        found, rest = leading(typed, things, what.replace("_", " "))
    except Refused as refusal:
        wrong[what] = refusal.sentence
        return None
    if rest:
        wrong[what] = f"There is no {what.replace('_', ' ')} “{cleaned(typed)}”. {there_is(things)}"
    return str(found.id)


def _entries(typed: str, form: Form, wrong: dict[str, str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """What each line says of a field, by the field's id: of the organisation's, and of the backend's own."""
    entries: dict[str, dict[str, tuple[str, ...]]] = {"custom_field_entries": {}, "backend_entries": {}}
    fields = {"custom_field_entries": form.custom_fields, "backend_entries": form.backend_fields}
    for line in filter(None, map(str.strip, typed.splitlines())):
        name, _, answer = (part.strip() for part in line.partition(":"))
        found = [
            (kind, field)
            for kind, known in fields.items()
            for field in known
            if name.casefold() in (field.name.casefold(), field.id.casefold())
        ]
        if not found:
            names = in_words(field.name for known in fields.values() for field in known)
            wrong["fields"] = f"There is no field “{cleaned(name)}”. There is {names or 'none'}."
        for kind, field in found[:1]:
            entries[kind][field.id] = tuple(_answers(field, answer, wrong))
    return entries


def _answers(field: CustomField, answer: str, wrong: dict[str, str]) -> list[str]:
    """An answer as a form holds it: options by their id, several with commas between."""
    if not field.field_type.endswith("select") or field.searched:
        return [answer]
    given = [answer] if field.field_type == "single_select" else [a.strip() for a in answer.split(",")]
    found = [(one, _option(field, one)) for one in given if one]
    for one, option in found:
        if option is None:
            there = in_words(known.value for known in field.options)
            wrong["fields"] = f"{field.name} has no “{cleaned(one)}”. There is {there}."
    return [option.id for _, option in found if option is not None]


def _option(field: CustomField, typed: str) -> FieldOption | None:
    wanted = typed.casefold()
    return next((one for one in field.options if wanted in (one.value.casefold(), one.id.casefold())), None)


def undeclared_message(name: str, why: str, context: FormContext) -> tuple[str, list[Block]]:
    """What its reporter reads when a step could not declare, with a button that opens the form instead."""
    said = (
        f":warning: A workflow wanted to declare *{escape(shortened(name, 200))}* for you, and could not: "
        f"{escape(why)} Nothing was declared."
    )
    button = ButtonElement(
        action_id="open_form", text=plain("Open the form"), value=context.packed_small(), style="primary"
    )
    return said, [paragraph(shortened(said, 2900)), ActionsBlock(block_id="undeclared", elements=[button])]
