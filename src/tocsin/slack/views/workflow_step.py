"""The Workflow Builder steps: their inputs and outputs, and the requests in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    ChannelId,
    CustomField,
    FieldOption,
    Form,
    FrozenModel,
    Mode,
    PersonId,
    Status,
)
from tocsin.incidents.parsing import list_choices, match_prefix
from tocsin.incidents.requests import DeclareRequest
from tocsin.incidents.timestamps import match_timestamp, parse_time
from tocsin.incidents.validation import clean_text, join_names
from tocsin.slack.views.blocks import shorten

PERSON, CHANNEL = "slack#/types/user_id", "slack#/types/channel_id"


def _parameter(kind: str, title: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {"type": kind, "title": title, "description": description, "is_required": required}


_OUTPUTS: dict[str, Any] = {
    "reference": _parameter("string", "Reference", "Such as INC-12"),
    "permalink": _parameter("string", "Permalink", "The address of the incident's page"),
    "channel": _parameter(CHANNEL, "Channel", "The incident's own channel"),
}

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
        "private": _parameter(
            "boolean", "Private", "For its reporter and the people with a role; gives no outputs"
        ),
        "test": _parameter("boolean", "Test", "Only a test"),
        "triage": _parameter("boolean", "Triage", "It may be no incident, and is announced once accepted"),
        "retrospective": _parameter("boolean", "Retrospective", "It is closed already; nobody is called"),
        "times": _parameter(
            "string", "Timestamps", "Of a retrospective incident, a line for each, such as: Fixed: 14:05"
        ),
    },
    "output_parameters": _OUTPUTS,
}
"""Definition of the step (Slack, custom steps).

Inputs and outputs keep their names, since people's workflows use them.
"""

_INCIDENT = _parameter("string", "Incident", "Its reference, such as INC-12, or its permalink", required=True)

UPDATE_STEP: dict[str, Any] = {
    "title": "Update an incident",
    "description": "Updates a public incident as the form does, once for each run of the workflow",
    "input_parameters": {
        "incident": _INCIDENT,
        "person": _parameter(PERSON, "Person", "Who updates it, and must be allowed to", required=True),
        "message": _parameter("string", "Message", "What is known now"),
        "status": _parameter("string", "Status", "Its name, or the beginning of it"),
        "severity": _parameter("string", "Severity", "Its name, or the beginning of it"),
        "lead": _parameter(PERSON, "Lead", "Who leads from now on"),
        "fields": _parameter("string", "Other fields", "A line for each, such as: Affected area: API"),
    },
    "output_parameters": _OUTPUTS,
}

CLOSE_STEP: dict[str, Any] = {
    "title": "Close an incident",
    "description": "Closes a public incident as the form does, once for each run of the workflow",
    "input_parameters": {
        "incident": _INCIDENT,
        "person": _parameter(PERSON, "Person", "Who closes it, and must be allowed to", required=True),
        "message": _parameter("string", "Message", "What resolved it"),
        "fields": _parameter("string", "Other fields", "A line for each, such as: Root cause: A full disk"),
    },
    "output_parameters": _OUTPUTS,
}


_PERSON_ID, _CHANNEL_ID = re.compile(r"[UW][A-Z0-9]{2,30}"), re.compile(r"[CG][A-Z0-9]{2,30}")
"""Shapes of ids. A channel's is checked because Slack sends a message to a person if given their id."""

NO_REPORTER = "The step names no reporter. Give it one, such as the person who started the workflow."


class StepRequest(FrozenModel):
    """Declaration that a step asks for, with its reporter and the channel for its card."""

    reporter: PersonId
    channel: ChannelId | None
    declaration: DeclareRequest


NO_PERSON = "The step names no person. Give it one, such as the person who started the workflow."


class ChangeStepRequest(FrozenModel):
    """Change that a step asks for, with the person who makes it; fields that are None stay as they are."""

    person: PersonId
    message: str
    incident_status_id: str | None
    severity_id: str | None
    lead: PersonId | None
    entries: dict[str, tuple[str, ...]]


def read_change_step(inputs: Mapping[str, Any], form: Form, statuses: Sequence[Status]) -> ChangeStepRequest:
    """Parse the inputs of *Update* and *Close*; choices are made by name, statuses among `statuses`.

    Raises Refused with a sentence for each input that names nothing known.
    """
    wrong: dict[str, str] = {}
    person, lead = _id(inputs, "person", _PERSON_ID, wrong), _id(inputs, "lead", _PERSON_ID, wrong)
    if not person:
        wrong.setdefault("person", NO_PERSON)
    entries = _entries(_said(inputs, "fields"), form, wrong)
    request = ChangeStepRequest(
        person=PersonId(person),
        message=_said(inputs, "message"),
        incident_status_id=_chosen(_said(inputs, "status"), statuses, "status", wrong),
        severity_id=_chosen(_said(inputs, "severity"), form.severities, "severity", wrong),
        lead=PersonId(lead) if lead else None,
        entries=entries["custom_field_entries"] | entries["backend_entries"],
    )
    if wrong:
        raise Refused("The step could not be read.", wrong)
    return request


def read_step(inputs: Mapping[str, Any], form: Form, now: datetime, zone: tzinfo) -> StepRequest:
    """Parse the inputs of *Declare*, in which choices are made by name and times are those of a zone.

    Raises Refused with a sentence for each input that names nothing known. Missing inputs are left to the
    validation of the declaration.
    """
    wrong: dict[str, str] = {}
    reporter = _id(inputs, "reporter", _PERSON_ID, wrong)
    lead_id = _id(inputs, "lead", _PERSON_ID, wrong)
    channel = _id(inputs, "channel", _CHANNEL_ID, wrong)
    if not reporter:
        wrong.setdefault("reporter", NO_REPORTER)
    severity, kind = _said(inputs, "severity"), _said(inputs, "incident_type")
    entries = _entries(_said(inputs, "fields"), form, wrong)
    lead = next((role for role in form.roles if role.role_type == "lead"), None)
    request = DeclareRequest(
        name=_said(inputs, "name"),
        summary=_said(inputs, "summary"),
        severity_id=_chosen(severity, form.severities, "severity", wrong),
        incident_type_id=_chosen(kind, form.incident_types, "incident_type", wrong),
        visibility="private" if inputs.get("private") is True else "public",
        mode=_mode(inputs),
        status="triage" if inputs.get("triage") is True else None,
        incident_timestamp_values=_times(_said(inputs, "times"), form, now, zone, wrong),
        incident_role_assignments={lead.id: PersonId(lead_id)} if lead and lead_id else {},
        custom_field_entries=entries["custom_field_entries"],
        backend_entries=entries["backend_entries"],
    )
    if wrong:
        raise Refused("The step could not be read.", wrong)
    where = ChannelId(channel) if channel else None
    return StepRequest(reporter=PersonId(reporter), channel=where, declaration=request)


def _mode(inputs: Mapping[str, Any]) -> Mode:
    """Return the mode; what is over is no test, as in the form."""
    if inputs.get("retrospective") is True:
        return "retrospective"
    return "test" if inputs.get("test") is True else "standard"


def _times(typed: str, form: Form, now: datetime, zone: tzinfo, wrong: dict[str, str]) -> dict[str, datetime]:
    """Return the time in each line by timestamp id."""
    found: dict[str, datetime] = {}
    for line in filter(None, map(str.strip, typed.splitlines())):
        try:
            timestamp, said = match_timestamp(line, form)
            at = parse_time(said.removeprefix(":"), now, zone).at
        except Refused as refusal:
            wrong["times"] = refusal.sentence
        else:
            found |= {timestamp.id: at} if at is not None else {}
    return found


def _said(inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name)
    return value if isinstance(value, str) else ""


def _id(inputs: Mapping[str, Any], name: str, shape: re.Pattern[str], wrong: dict[str, str]) -> str:
    """Return the id in an input; empty if it is missing or has another shape, which is noted in `wrong`."""
    given = inputs.get(name)
    if given is None or given == "":
        return ""
    if isinstance(given, str) and shape.fullmatch(given):
        return given
    wrong[name] = f"The {name} “{shorten(clean_text(str(given)), 40)}” is none; choose one in the step."
    return ""


def _chosen(typed: str, things: Sequence[Any], what: str, wrong: dict[str, str]) -> str | None:
    if not typed.strip():
        return None
    try:
        found, rest = match_prefix(typed, things, what.replace("_", " "))
    except Refused as refusal:
        wrong[what] = refusal.sentence
        return None
    if rest:
        wrong[what] = f"There is no {what.replace('_', ' ')} “{clean_text(typed)}”. {list_choices(things)}"
    return str(found.id)


def _entries(typed: str, form: Form, wrong: dict[str, str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return each line's answer by field id, for the organisation's fields and for the backend's own."""
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
            names = join_names(field.name for known in fields.values() for field in known)
            wrong["fields"] = f"There is no field “{clean_text(name)}”. There is {names or 'none'}."
        for kind, field in found[:1]:
            entries[kind][field.id] = tuple(_answers(field, answer, wrong))
    return entries


def _answers(field: CustomField, answer: str, wrong: dict[str, str]) -> list[str]:
    """Return an answer as a form holds it: options by their id, several of them separated by commas."""
    if not field.field_type.endswith("select") or field.searched:
        return [answer]
    given = [answer] if field.field_type == "single_select" else [a.strip() for a in answer.split(",")]
    found = [(one, _option(field, one)) for one in given if one]
    for one, option in found:
        if option is None:
            there = join_names(known.value for known in field.options)
            wrong["fields"] = f"{field.name} has no “{clean_text(one)}”. There is {there}."
    return [option.id for _, option in found if option is not None]


def _option(field: CustomField, typed: str) -> FieldOption | None:
    wanted = typed.casefold()
    return next((one for one in field.options if wanted in (one.value.casefold(), one.id.casefold())), None)
