"""Validate a change to an incident, apply status transitions, and describe differences. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from tocsin.incidents.errors import Refused, Unchanged, gone
from tocsin.incidents.model import (
    HUDDLE,
    CustomField,
    FieldValue,
    Form,
    Incident,
    Person,
    PersonId,
    Role,
    Status,
    display_name,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import (
    LINK_LIMIT,
    NAME_LIMIT,
    NOBODY,
    SUMMARY_LIMIT,
    TEXT_LIMIT,
    FollowUpChange,
    FollowUpRequest,
    IncidentChange,
)
from tocsin.incidents.timestamps import odd_order, told_in, zone_named
from tocsin.incidents.validation import (
    TIME_FIELD,
    clean_text,
    is_link,
    is_visible,
    join_names,
    refuse_times,
)

Ending = Literal["close", "reopen", "accept", "decline", "merge", "cancel"]

VERB_OF_FIELD = {
    "name": Verb.RENAME,
    "summary": Verb.SUMMARY,
    "severity_id": Verb.SEVERITY,
    "incident_status_id": Verb.STATUS,
    "call_url": Verb.CALL,
    "visibility": Verb.PRIVATE,
    "message": Verb.UPDATE,
    "merged_into": Verb.MERGE,
    "invited": Verb.INVITE,
    "removed": Verb.REMOVE,
}
"""Verb that sets each field of a change; a backend lists the verbs that it lacks in `Form.lacks`."""

PEOPLE_VERBS = frozenset({Verb.INVITE.timeline, Verb.REMOVE.timeline})
"""Words of a timeline entry whose text is the person who was invited or removed."""

TIMELINE_VERBS = {
    field: verb.timeline
    for field, verb in VERB_OF_FIELD.items()
    if verb.timeline and field != "message" and verb.timeline not in PEOPLE_VERBS
}
"""Words of the timeline entry for each changed field, before the new value."""

STATUS_VERBS = (Verb.STATUS.timeline, Verb.ACCEPT.timeline)
"""Words of the timeline entries after which a status follows."""
CHANGED_FIELD = "set {} to"
EMPTIED_FIELD = "emptied the field"
"""Words of the timeline entry for a field's new answer, and for an answer that was taken away."""

UPDATE_VERBS = {False: Verb.UPDATE.timeline, True: Verb.CLOSE.timeline}
"""Words of the timeline entry for an update, by whether it closes the incident."""

MERGED_INTO, MERGED_INTO_IT = "merged it into", "merged into it:"
"""Words of the two timeline entries of a merge, whose text is the reference of the other incident."""

NAMELESS = "a private incident"
"""Stand-in for the reference of a private incident in text for people who may not see it."""

ENDING_OF_VERB: dict[Verb, Ending] = {
    Verb.CLOSE: "close",
    Verb.REOPEN: "reopen",
    Verb.ACCEPT: "accept",
    Verb.DECLINE: "decline",
    Verb.MERGE: "merge",
    Verb.CANCEL: "cancel",
}
"""Transition of each verb."""

_CATEGORY: dict[Ending, str] = {
    "close": "closed",
    "reopen": "live",
    "accept": "live",
    "decline": "declined",
    "merge": "merged",
    "cancel": "canceled",
}
"""Category of the status to which each transition leads."""


NO_ROLE = "That role cannot be given to anybody here."
NO_LINK = "Give a link that starts with https:// or http://, or the word huddle for the channel's own huddle."
HUDDLE_WORDS = "the huddle of its channel"


def apply_transition(
    change: IncidentChange, ending: Ending, incident: Incident, form: Form
) -> IncidentChange:
    """Return the change with the status to which the transition leads.

    Raises Refused if the transition is not possible from the present status, or if the backend has no status
    of the category.
    """
    if ending in form.lacks:
        raise Refused(form.lacks[ending])
    if ending == "merge" and not change.merged_into:
        raise Refused(f"Say which incident {incident.reference} is to be merged into.")
    now = incident.incident_status
    if ending == "accept" and now.category != "triage":
        raise Refused(f"{incident.reference} is {now.name}; only what is in triage can be accepted.")
    if now.is_open == (ending == "reopen"):
        raise Refused(f"{incident.reference} is {now.name} already.")
    if ending == "accept" and _lacks_severity(change, incident, form):
        said = f"Say how bad it is: {incident.reference} has no severity yet."
        raise Refused(said, {"severity_id": said})
    category = _CATEGORY[ending]
    found = next((status for status in form.statuses if status.category == category), None)
    if found is None:
        raise Refused(f"No status here means {category}. The ones there are: {_listed(form)}.")
    return change.model_copy(update={"incident_status_id": found.id})


def _lacks_severity(change: IncidentChange, incident: Incident, form: Form) -> bool:
    needed = bool(form.severities) and form.severity_required
    return needed and incident.severity is None and change.severity_id is None


def is_accepted(before: str, after: str) -> bool:
    """True if a change between statuses of these categories accepts the incident."""
    return before == "triage" and after == "live"


def validate_change(change: IncidentChange, incident: Incident, form: Form) -> IncidentChange:
    """Return the change with cleaned text, valid choices, and only the values that differ.

    Raises Refused with a sentence for each invalid field, and Unchanged if nothing would change.
    """
    known = {timestamp.id for timestamp in form.incident_timestamps}
    errors = dict(refuse_times(change.incident_timestamp_values.items(), known, change.at))
    errors |= dict(_unsupported(change, form))
    errors |= dict(_unknown_roles(change, incident, form))
    change = _clean_call(_clean(change, errors), incident, errors)
    change = _without_no_ops(change, incident)
    if change.severity_id is not None and form.severity(change.severity_id) is None:
        errors["severity_id"] = gone("severity")
    if change.incident_status_id is not None:
        _check_status(change, incident, form, errors)
    if change.visibility == "private" and not form.offers_private:
        errors["visibility"] = form.private_refusal
    for role_id in change.incident_role_assignments:
        role = form.role(role_id)
        if role is None or role.role_type == "reporter":
            errors[f"incident_role_assignments.{role_id}"] = NO_ROLE
    errors = _wrong_people(change, incident) | errors
    _check_fields(change, incident, form, errors)
    if change.merged_into is not None and change.merged_into.casefold() == incident.reference.casefold():
        errors["merged_into"] = f"{incident.reference} cannot be merged into itself."
    if errors:
        raise Refused(" ".join(dict.fromkeys(errors.values())), errors)
    if not (changed_fields(change) or change.message):
        severity = incident.severity.name if incident.severity else ""
        raise Unchanged(unchanged(incident.reference, incident.incident_status.name, severity))
    if change.incident_status_id is not None and change.seen_status_id is None:
        change = change.model_copy(update={"seen_status_id": incident.incident_status.id})
    return change


def _unknown_roles(change: IncidentChange, incident: Incident, form: Form) -> Iterator[tuple[str, str]]:
    """Yield a sentence for each role that is neither here nor held, also where it would be given up."""
    held = {assignment.role.id for assignment in incident.incident_role_assignments}
    for role_id in change.incident_role_assignments.keys() - held:
        if form.role(role_id) is None:
            yield f"incident_role_assignments.{role_id}", NO_ROLE


def validate_follow_up(request: FollowUpRequest) -> FollowUpRequest:
    """Return a follow-up with cleaned texts. Raises Refused if one is too long, or if it says nothing."""
    check_issue(request.issue_url)
    text, more = _cleaned(request.text, "text"), _cleaned(request.description, "description")
    return request.model_copy(update={"text": text, "description": more})


def validate_follow_up_change(change: FollowUpChange) -> FollowUpChange:
    """Return a change of a follow-up with cleaned texts. Raises Refused as `validate_follow_up` does."""
    check_issue(change.issue_url)
    given = {"text": change.text, "description": change.description}
    update = {field: _cleaned(text, field) for field, text in given.items() if text is not None}
    return change.model_copy(update=update)


def _cleaned(given: str, field: str) -> str:
    text = clean_text(given, lines=True)
    if field == "text" and not is_visible(text):
        raise Refused("Say what is to be done.", {field: "Say what is to be done."})
    if len(text) > TEXT_LIMIT:
        said = f"Shorten this to {TEXT_LIMIT} characters; it has {len(text)}."
        raise Refused(said, {field: said})
    return text


def check_issue(url: str | None) -> None:
    """Raise Refused if this is no link to an issue."""
    if url is not None and not is_link(url):
        said = f"Give the link of the issue: it starts with https:// and has at most {LINK_LIMIT} characters."
        raise Refused(said, {"issue_url": said})


def changed_fields(change: IncidentChange) -> tuple[str, ...]:
    """Return the names of the fields that a change sets, without its message."""
    fields = (field for field in VERB_OF_FIELD if field != "message")
    return (
        *(field for field in fields if getattr(change, field) not in (None, ())),
        *(f"incident_role_assignments.{role_id}" for role_id in change.incident_role_assignments),
        *(f"{TIME_FIELD}{timestamp_id}" for timestamp_id in change.incident_timestamp_values),
        *(f"custom_field_entries.{field_id}" for field_id in change.custom_field_entries),
    )


def _wrong_people(change: IncidentChange, incident: Incident) -> dict[str, str]:
    """Return sentences about people who cannot be invited or removed, by field."""
    if change.invited and not incident.is_private and not incident.slack_channel_id:
        return {"invited": f"{incident.reference} has no channel yet to bring people into. Try again soon."}
    if not change.removed:
        return {}
    if not incident.is_private:
        return {"removed": f"{incident.reference} is public: everybody in this workspace may see it."}
    members = {member.slack_user_id for member in incident.members}
    holders = {incident.creator.slack_user_id, *(holder.slack_user_id for holder in incident.role_holders)}
    for person in change.removed:
        name = name_of(change, person)
        if person in holders:
            return {
                "removed": f"{name} reported {incident.reference} or has a role in it, and sees it for that."
            }
        if person not in members:
            return {"removed": f"{name} was not invited to {incident.reference}."}
    return {}


def name_of(change: IncidentChange, person: PersonId) -> str:
    """Return the name of a person whom a change names."""
    known = next((one for one in change.assignees if one.slack_user_id == person), None)
    return display_name(known or Person(slack_user_id=person))


def describe_change(before: Incident, after: Incident, change: IncidentChange) -> str:
    """Return sentences for the requester with each new value and the old one; times are in their zone."""
    zone = zone_named(change.zone)
    times = [
        f"{name} is {told_in(value, zone) if value else 'not set any more'}"
        for name, value in changed_times(before, after, change)
    ]
    said = join_names([*diff(before, after, change), *times]) or _describe_message(change)
    odd = odd_order(after.incident_timestamp_values, change.incident_timestamp_values)
    taken = newly_given(before, after).get(change.by.slack_user_id or NOBODY, ())
    instructions = (role.instructions for role in taken)
    return " ".join(filter(None, [f"{after.reference}: {said}.", odd, *instructions]))


def changed_times(
    before: Incident, after: Incident, change: IncidentChange
) -> tuple[tuple[str, datetime | None], ...]:
    """Return the name and the new value of each timestamp that this change set; None if it cleared it."""
    values = (*after.incident_timestamp_values, *before.incident_timestamp_values)
    names = {one.incident_timestamp.id: one.incident_timestamp.name for one in values}
    return tuple(
        (names[timestamp_id], value)
        for timestamp_id, value in change.incident_timestamp_values.items()
        if timestamp_id in names
    )


def newly_given(before: Incident | None, after: Incident) -> dict[PersonId, list[Role]]:
    """Return the roles, but the reporter's, that people hold now and did not hold before, by person."""
    held = {(role.id, person) for role, person in _held(before)} if before is not None else set()
    given: dict[PersonId, list[Role]] = {}
    for role, person in _held(after):
        if (role.id, person) not in held and role.role_type != "reporter":
            given.setdefault(person, []).append(role)
    return given


def _held(incident: Incident) -> Iterator[tuple[Role, PersonId]]:
    for one in incident.incident_role_assignments:
        if one.assignee is not None and one.assignee.slack_user_id:
            yield one.role, one.assignee.slack_user_id


def role_instructions(incident: Incident, roles: Iterable[Role], who: str = "You have") -> str:
    """Return a sentence on a person's roles with their instructions; "" if no role has any."""
    told = [f"{role.name}: {role.instructions}" for role in roles if role.instructions]
    if not told:
        return ""
    return "\n".join([f"{who} a role in {incident.reference} {incident.name}.", *told])[:TEXT_LIMIT]


def diff(before: Incident, after: Incident, change: IncidentChange) -> tuple[str, ...]:
    """Describe each value that this change replaced, with the old one.

    Fields that another change set in the same moment are left out.
    """
    return (*_diff(before, after, changed_fields(change)), *_diff_people(change))


def _diff_people(change: IncidentChange) -> Iterator[str]:
    for people, word in ((change.invited, "invited"), (change.removed, "taken out")):
        if people:
            names = join_names(name_of(change, person) for person in people)
            yield f"{names} {'is' if len(people) == 1 else 'are'} {word}"


def _describe_message(change: IncidentChange) -> str:
    return "the update is told" if change.message else "nothing changed"


def _diff(before: Incident, after: Incident, changed: Collection[str]) -> Iterator[str]:
    if "incident_status_id" in changed and after.incident_status != before.incident_status:
        yield f"status is {after.incident_status.name} (was {before.incident_status.name})"
    if "severity_id" in changed and after.severity != before.severity:
        was = before.severity.name if before.severity else "not set"
        yield f"severity is {after.severity.name if after.severity else 'not set'} (was {was})"
    yield from _diff_roles(before, after, changed)
    if "name" in changed and after.name != before.name:
        yield f"it is called {after.name} (was {before.name})"
    if "summary" in changed and after.summary != before.summary:
        yield "its summary is new"
    if "call_url" in changed and after.call_url != before.call_url:
        yield f"the call is {after.call_link or call_words(after.call_url)}"
    yield from _diff_fields(before, after, changed)
    if "visibility" in changed and after.is_private and not before.is_private:
        yield "it is private"


def call_words(url: str | None) -> str:
    """Return a call link in words for a timeline entry, which cannot name the channel of a huddle."""
    return HUDDLE_WORDS if url == HUDDLE else url or ""


def _diff_roles(before: Incident, after: Incident, changed: Collection[str]) -> Iterator[str]:
    held = {a.role.id: display_name(a.assignee) for a in before.incident_role_assignments}
    holds = {a.role.id: display_name(a.assignee) for a in after.incident_role_assignments}
    assignments = (*before.incident_role_assignments, *after.incident_role_assignments)
    for role_id, role in {each.role.id: each.role.name for each in assignments}.items():
        new, old = holds.get(role_id) or "nobody", held.get(role_id) or "nobody"
        if f"incident_role_assignments.{role_id}" in changed and new != old:
            yield f"{role} is {new} (was {old})"


def _diff_fields(before: Incident, after: Incident, changed: Collection[str]) -> Iterator[str]:
    entries = (*before.custom_field_entries, *after.custom_field_entries)
    for field_id, name in {entry.custom_field.id: entry.custom_field.name for entry in entries}.items():
        new, old = (_answered(one.answers(field_id)) for one in (after, before))
        if f"custom_field_entries.{field_id}" in changed and new != old:
            yield f"{name} is {new} (was {old})"


def _answered(values: tuple[FieldValue, ...]) -> str:
    return join_names(value.shown for value in values) or "not set"


def timeline_of_field(name: str, values: tuple[FieldValue, ...]) -> tuple[str, str]:
    """Return the verb and the text of the timeline entry for a field's new answer."""
    return (CHANGED_FIELD.format(name), _answered(values)) if values else (EMPTIED_FIELD, name)


def _unsupported(change: IncidentChange, form: Form) -> Iterator[tuple[str, str]]:
    for field, verb in VERB_OF_FIELD.items():
        if getattr(change, field) and verb in form.lacks:
            yield field, form.lacks[verb]
    for role_id in change.incident_role_assignments:
        if "role" in form.lacks:
            yield f"incident_role_assignments.{role_id}", form.lacks["role"]
    for timestamp_id in change.incident_timestamp_values:
        if Verb.TIME in form.lacks:
            yield f"{TIME_FIELD}{timestamp_id}", form.lacks[Verb.TIME]


def _clean(change: IncidentChange, errors: dict[str, str]) -> IncidentChange:
    update: dict[str, Any] = {"message": clean_text(change.message, lines=True)}
    if len(update["message"]) > TEXT_LIMIT:
        errors["message"] = f"Shorten this to {TEXT_LIMIT} characters; it has {len(update['message'])}."
    if change.name is not None:
        update["name"] = clean_text(change.name)
        if not is_visible(update["name"]):
            errors["name"] = "Give the incident a name: a few words that say what is wrong."
        elif len(update["name"]) > NAME_LIMIT:
            errors["name"] = f"Shorten the name to {NAME_LIMIT} characters; it has {len(update['name'])}."
    if change.summary is not None:
        update["summary"] = clean_text(change.summary, lines=True)
        if len(update["summary"]) > SUMMARY_LIMIT:
            errors["summary"] = f"Shorten the summary to {SUMMARY_LIMIT} characters."
    return change.model_copy(update=update)


def _clean_call(change: IncidentChange, incident: Incident, errors: dict[str, str]) -> IncidentChange:
    """Return the change with its call link checked; the word `huddle` becomes `HUDDLE`."""
    if change.call_url is None:
        return change
    url = clean_text(change.call_url)
    url = HUDDLE if url.casefold() == "huddle" else url
    if not is_link(url):
        errors["call_url"] = NO_LINK
    elif url == HUDDLE and not incident.huddle_link:
        errors["call_url"] = "It has no channel yet, and so no huddle. Give a link, or try again in a minute."
    return change.model_copy(update={"call_url": url})


def _without_no_ops(change: IncidentChange, incident: Incident) -> IncidentChange:
    """Return the change without values that the incident has already.

    The status stays in it if the person saw another one than the present: the backend then detects that.
    """
    update: dict[str, Any] = {}
    # A text that was written elsewhere may hold what no form gives back: it is compared as it was cleaned.
    if change.name in {incident.name, clean_text(incident.name)}:
        update["name"] = None
    if change.summary in {incident.summary, clean_text(incident.summary, lines=True)}:
        update["summary"] = None
    if change.call_url in {incident.call_url, incident.call_link}:
        update["call_url"] = None
    if incident.severity is not None and change.severity_id == incident.severity.id:
        update["severity_id"] = None
    seen = change.seen_status_id
    if change.incident_status_id == incident.incident_status.id and seen in {None, change.incident_status_id}:
        update["incident_status_id"] = None
    if incident.is_private:
        update["visibility"] = None
    holders = {
        assignment.role.id: assignment.assignee.slack_user_id if assignment.assignee else None
        for assignment in incident.incident_role_assignments
    }
    update["incident_role_assignments"] = {
        role_id: person
        for role_id, person in change.incident_role_assignments.items()
        if holders.get(role_id) != person
    }
    update["incident_timestamp_values"] = {
        timestamp_id: value
        for timestamp_id, value in change.incident_timestamp_values.items()
        if incident.timestamp(timestamp_id) != value
    }
    update["custom_field_entries"] = {
        field_id: values
        for field_id, values in change.custom_field_entries.items()
        if _entered(values) != _entered(incident.answers(field_id))
    }
    return change.model_copy(update=update)


def _entered(values: tuple[FieldValue, ...]) -> list[str]:
    return sorted(value.entered for value in values)


def _check_fields(change: IncidentChange, incident: Incident, form: Form, errors: dict[str, str]) -> None:
    """Check each answer, and that an incident which is being closed has every answer that it needs."""
    known = {field.id: field for field in form.changeable_fields}
    for field_id, values in change.custom_field_entries.items():
        field = known.get(field_id)
        if field is None:
            errors[form.field_path(field_id)] = "That field cannot be changed any more. Leave it as it is."
        elif field.required and not values:
            errors[form.field_path(field_id)] = f"{field.name} is needed, so it cannot be left empty."
    status = form.status(change.incident_status_id or "")
    if status is not None and status.category == "closed" and incident.incident_status.is_open:
        for field in missing_at_close(incident, form, change):
            sentence = f"{field.name} is needed to close {incident.reference}: `/incident close` asks for it."
            errors.setdefault(form.field_path(field.id), sentence)


def missing_at_close(
    incident: Incident, form: Form, change: IncidentChange | None = None
) -> tuple[CustomField, ...]:
    """Return the fields that the incident, with this change, needs to be closed and that have no answer."""
    answered = {entry.custom_field.id for entry in incident.custom_field_entries if entry.values}
    for field_id, values in change.custom_field_entries.items() if change is not None else ():
        answered = answered | {field_id} if values else answered - {field_id}
    needed = (f for f in form.changeable_fields if f.required_when == "closing" and f.has_choices)
    return tuple(field for field in needed if field.id not in answered)


def _check_status(change: IncidentChange, incident: Incident, form: Form, errors: dict[str, str]) -> None:
    status = form.status(change.incident_status_id or "")
    if status is None:
        errors["incident_status_id"] = f"That status is not here. The ones there are: {_listed(form)}."
    elif change.seen_status_id not in {None, incident.incident_status.id}:
        # Another change came first: the backend refuses with that person's name and the present status.
        return
    elif (said := _refused(change, incident, status)) is not None:
        errors["incident_status_id"] = said


def _refused(change: IncidentChange, incident: Incident, to: Status) -> str | None:
    """Return the reason why an incident cannot change to this status; None if it can.

    An open incident can change to every status, but to a merged one only by naming the incident to merge it
    into; an ended one can only be reopened.
    """
    now = incident.incident_status
    if now.is_open and to.category == "merged" and not change.merged_into:
        return f"{incident.reference} can only be merged into another incident: `/incident merge` asks which."
    if now.is_open or to.is_open:
        return None
    return f"{incident.reference} is {now.name} already. Reopen it first."


def unchanged(reference: str, status: str, severity: str) -> str:
    """Return the sentence for a change whose values the incident has already."""
    return f"Nothing would change: {reference} is {status}{severity and f', {severity}'} already."


def _listed(form: Form) -> str:
    return join_names(status.name for status in form.statuses)
