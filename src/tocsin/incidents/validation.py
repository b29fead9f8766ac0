"""Validation of declarations and their custom fields, and visibility. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal
from urllib.parse import urlsplit

from tocsin.incidents.errors import Refused, gone
from tocsin.incidents.model import (
    CatalogEntry,
    ChannelId,
    CustomField,
    FieldOption,
    FieldValue,
    Form,
    FrozenModel,
    Incident,
    IncidentType,
    MessageTs,
    PersonId,
    StartStatus,
    TeamId,
    Visibility,
)
from tocsin.incidents.requests import LINK_LIMIT, NAME_LIMIT, SUMMARY_LIMIT, TEXT_LIMIT, DeclareRequest

FOLLOW_UP_WORDS = {"action": "action", "follow_up": "follow-up"}
_JOINERS = frozenset("\u200c\u200d")
_SPACES = re.compile(" {2,}")
_BREAKS = re.compile("\r\n|[\r\n\u2028\u2029]")
# Control characters and lone surrogates (Unicode's categories Cc and Cs) without tabs and line breaks, and
# bidirectional marks.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def clean_text(text: str, *, lines: bool = False) -> str:
    """Remove control characters and bidirectional marks, and strip outer white space.

    Zero-width joiners stay, since emoji and several scripts need them. Line breaks stay only if `lines`.
    """
    text = _BREAKS.sub("\n" if lines else " ", text).replace("\t", " ")
    text = _HIDDEN.sub("", text)
    return (text if lines else _SPACES.sub(" ", text)).strip()


def has_hidden(text: str) -> bool:
    """True if the text has control characters or bidirectional marks; tabs and line breaks are none."""
    return _HIDDEN.search(text) is not None


def is_visible(text: str) -> bool:
    """True if the text has at least one visible character."""
    return any(
        character not in _JOINERS
        and unicodedata.category(character)[0] not in "CZ"
        and character not in _BLANKS
        for character in text
    )


_BLANKS = frozenset("\u2800\u3164\uffa0\u115f\u1160\u034f\ufe0e\ufe0f")


def validate_declaration(request: DeclareRequest, form: Form, now: datetime | None = None) -> DeclareRequest:
    """Validate a declaration: clean its texts, check every choice and every required field.

    `now` is the time at which it is made, by which the times of what is over are judged.

    Raises Refused with a sentence for each field that is wrong, all of them at once.
    """
    errors = dict(_refuse_retrospective(request, form, now))
    name = _validate_name(request.name, errors)
    summary = clean_text(request.summary, lines=True)
    if form.summary_required and not is_visible(summary):
        errors["summary"] = "Say what you see: a summary is needed to declare an incident."
    elif len(summary) > SUMMARY_LIMIT:
        errors["summary"] = f"Shorten the summary to {SUMMARY_LIMIT} characters; it has {len(summary)}."
    status = _validate_status(request, form, errors)
    severity_required = form.severity_required and status != "triage"
    if form.severities and (severity_required or request.severity_id):
        if not request.severity_id:
            errors["severity_id"] = "Choose a severity."
        elif form.severity(request.severity_id) is None:
            errors["severity_id"] = gone("severity")
    visibility = _validate_type(request, form, errors)
    if visibility == "private" and not form.offers_private:
        errors["visibility"] = f"{form.private_refusal} Declare it elsewhere, or make it public."
    for role_id in request.incident_role_assignments:
        if form.role(role_id) is None:
            errors[f"incident_role_assignments.{role_id}"] = gone("role", "Leave it empty.")
    parse_custom_fields(request, form, errors)
    if errors:
        raise Refused("Some fields need another look.", errors)
    update = {"name": name, "summary": summary, "visibility": visibility, "status": status}
    return request.model_copy(update=update)


def _validate_status(request: DeclareRequest, form: Form, errors: dict[str, str]) -> StartStatus | None:
    """Return `triage` if the person, the type or the configuration says so, else the person's choice.

    What is over has no such choice: it starts as closed.
    """
    if request.mode == "retrospective":
        return None
    if request.status == "triage" and form.triage_status is None:
        errors["status"] = no_triage(form)
    return "triage" if form.starts_in_triage(request.status, _type_of(request, form)) else request.status


def no_triage(form: Form) -> str:
    """Return the sentence for a person where incidents have no triage."""
    return form.lacks.get("accept", "Incidents have no triage here. Declare it, or leave it.")


def _type_of(request: DeclareRequest, form: Form) -> IncidentType | None:
    return form.incident_type(request.incident_type_id) if request.incident_type_id else form.usual_type


TIME_FIELD = "incident_timestamp_values."
"""Beginning of the block ids of timestamps in forms, before the timestamp's id."""

EARLIEST = datetime.fromtimestamp(1_000_000_000, UTC)
"""Earliest moment that a datetimepicker can show: `initial_date_time` has ten digits (Slack)."""

LATEST = datetime.fromtimestamp(10_000_000_000, UTC)
"""First moment that a datetimepicker cannot show any more."""

LEEWAY = timedelta(minutes=1)
"""Time by which a value may be ahead: people type whole minutes, and clocks differ."""


def refuse_times(
    values: Iterable[tuple[str, datetime | None]], known: Collection[str], now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield the field and a sentence for each value that cannot be kept."""
    for timestamp_id, value in values:
        if timestamp_id not in known:
            yield f"{TIME_FIELD}{timestamp_id}", "That time is not kept here any more. Leave it empty."
        elif value is not None and value > now + LEEWAY:
            yield f"{TIME_FIELD}{timestamp_id}", "That is still to come: give a time that has passed."
        elif value is not None and value < EARLIEST:
            yield f"{TIME_FIELD}{timestamp_id}", "That is too long ago: give a time since 2002."


def _refuse_retrospective(
    request: DeclareRequest, form: Form, now: datetime | None
) -> Iterator[tuple[str, str]]:
    """Yield the field and a sentence for what is wrong with the mode and the times of a declaration."""
    times = request.incident_timestamp_values
    if request.mode != "retrospective":
        return
    if "retro" in form.lacks:
        yield "mode", form.lacks["retro"]
    elif form.incident_timestamps and not times:
        yield f"{TIME_FIELD}{form.incident_timestamps[0].id}", "Give at least one time: say when it happened."
    elif now is not None:
        yield from refuse_times(times.items(), {t.id for t in form.incident_timestamps}, now)


def _validate_name(given: str, errors: dict[str, str]) -> str:
    name = clean_text(given)
    if not is_visible(name):
        errors["name"] = "Give the incident a name: a few words that say what is wrong."
    elif len(name) > NAME_LIMIT:
        errors["name"] = f"Shorten the name to {NAME_LIMIT} characters; it has {len(name)}."
    return name


def _validate_type(request: DeclareRequest, form: Form, errors: dict[str, str]) -> Visibility:
    chosen = _type_of(request, form)
    if chosen is None and request.incident_type_id:
        errors["incident_type_id"] = gone("incident type")
    return "private" if chosen is not None and chosen.private_incidents_only else request.visibility


Answers = dict[str, tuple[FieldValue, ...]]


def parse_custom_fields(
    request: DeclareRequest, form: Form, errors: dict[str, str]
) -> tuple[Answers, Answers]:
    """Parse the answers to custom fields and backend fields; put error sentences into `wrong`."""
    custom, own = request.custom_field_entries, request.backend_entries
    return (
        _parse_fields(form.custom_fields, custom, request.labels, errors, "custom_field_entries."),
        _parse_fields(form.backend_fields, own, request.labels, errors, ""),
    )


def _parse_fields(
    fields: Sequence[CustomField],
    entries: Mapping[str, tuple[str, ...]],
    labels: Mapping[str, str],
    errors: dict[str, str],
    prefix: str,
) -> Answers:
    values: Answers = {}
    for field in fields:
        given = [text for text in (clean_text(t, lines=True) for t in entries.get(field.id, ())) if text]
        if not given:
            if field.required and field.has_choices:
                errors[f"{prefix}{field.id}"] = f"{field.name} is needed to declare an incident."
            continue
        try:
            values[field.id] = tuple(_parse_field(field, text, labels) for text in given)
        except Refused as refusal:
            errors[f"{prefix}{field.id}"] = refusal.sentence
    for field_id in entries.keys() - {field.id for field in fields}:
        if any(entries[field_id]):
            errors[f"{prefix}{field_id}"] = gone("field", "Leave it empty.")
    return values


def parse_changed_fields(
    entered: Mapping[str, tuple[str, ...]], labels: Mapping[str, str], form: Form
) -> Answers:
    """Parse new answers by field id; a field without one is emptied.

    Raises Refused with a sentence for each field that is wrong, which names it.
    """
    known, values, errors = {field.id: field for field in form.changeable_fields}, Answers(), dict[str, str]()
    for field_id, texts in entered.items():
        field = known.get(field_id)
        if field is None:
            errors[form.field_path(field_id)] = gone("field", "Leave it as it is.")
            continue
        try:
            given = (text for text in (clean_text(t, lines=True) for t in texts) if text)
            values[field_id] = tuple(_parse_field(field, text, labels) for text in given)
        except Refused as refusal:
            errors[form.field_path(field_id)] = f"{field.name}: {refusal.sentence}"
    if errors:
        raise Refused(" ".join(errors.values()), errors)
    return values


def _parse_field(field: CustomField, text: str, labels: Mapping[str, str]) -> FieldValue:
    if field.field_type == "numeric":
        return FieldValue(value_numeric=_parse_number(text))
    if field.field_type == "link":
        return FieldValue(value_link=parse_link(text))
    if field.field_type in {"single_select", "multi_select"}:
        option = _parse_option(field, text, labels)
        if field.catalog_type_id is None:
            return FieldValue(value_option=option)
        return FieldValue(value_catalog_entry=CatalogEntry(id=option.id, name=option.value))
    if len(text) > TEXT_LIMIT:
        raise Refused(f"Shorten this to {TEXT_LIMIT} characters; it has {len(text)}.")
    return FieldValue(value_text=text)


def _parse_option(field: CustomField, text: str, labels: Mapping[str, str]) -> FieldOption:
    """Return the chosen option.

    Of a searched field only the backend knows all options, so an unknown id is accepted. Raises Refused for
    an unknown id in any other field.
    """
    option = field.option(text)
    if option is None and field.searched:
        option = FieldOption(id=text, value=clean_text(labels.get(text, "")) or text)
    if option is None:
        raise Refused(gone("choice"))
    return option


def _parse_number(text: str) -> str:
    """Return the number as incident.io takes it: a string of digits, such as `123.456`."""
    digits = decimal_text(text)
    if not digits:
        raise Refused("Write a number, such as 42 or 0.5.")
    return digits


def decimal_text(text: str) -> str:
    """Return a number as digits without an exponent; empty if it is none, or has more than 31 digits."""
    try:
        number = Decimal(text.replace(" ", "").replace("_", ""))
    except InvalidOperation:
        return ""
    is_short = len(text) <= 40 and number.is_finite() and abs(number.adjusted()) <= 30
    return f"{number:f}" if is_short else ""


def parse_link(text: str) -> str:
    """Return the text if it is a link. Raises Refused with a sentence if it is none."""
    if not is_link(text):
        raise Refused("Write a link that starts with https:// or http://.")
    return text


def is_link(text: str) -> bool:
    """True if the text is one http or https address with a host, as buttons and links in Slack need it."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and not re.search(r"[\s<>|]", text)
            and len(text) <= LINK_LIMIT
        )
    except ValueError:
        return False


def join_names(names: Iterable[str], last: str = "and") -> str:
    """Join names to `Ana`, `Ana and Ben`, `Ana, Ben and Cleo`; with another `last` word, `Ana or Ben`."""
    listed = list(names)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}"


QUIET_MODES = frozenset({"test", "retrospective"})
"""Modes of incidents that are not announced in TOCSIN_ANNOUNCE_CHANNEL."""


class CardDestination(FrozenModel):
    """Destination of an incident's card: a channel or user id, and the thread in it."""

    place: Literal["source", "announcement", "reporter", "headline"]
    to: str
    thread: MessageTs | None = None


def card_destinations(
    incident: Incident, *, origin: ChannelId | None, thread: MessageTs | None, announce: str | None
) -> tuple[CardDestination, ...]:
    """Return the destinations of the card besides the incident's own channel.

    A public incident goes back to the channel where it was declared, and to the announcement channel unless
    it is a test. A private one, and one declared outside any channel, goes only to its reporter. So does one
    that was declared in retrospect, unless a message was its source: its card is in that message's thread.
    """
    found: list[CardDestination] = []
    goes_back = origin and not incident.is_private and (thread or not incident.is_retrospective)
    if origin and goes_back:
        # Where the incident uses the channel it was declared in, the headline is there.
        if thread or origin != incident.slack_channel_id:
            found.append(CardDestination(place="source", to=origin, thread=thread))
    elif incident.creator.slack_user_id:
        found.append(CardDestination(place="reporter", to=incident.creator.slack_user_id))
    if announce and is_announced(incident) and not (announce == origin and thread is None):
        found.append(CardDestination(place="announcement", to=announce))
    return tuple(found)


def is_announced(incident: Incident) -> bool:
    """True if the announcement channel gets the incident once it is no longer in triage."""
    return not incident.is_private and incident.mode not in QUIET_MODES


def is_visible_to(person: PersonId | None, incident: Incident) -> bool:
    """True if this person may see the incident: its reporter, role holders and members see a private one."""
    return not incident.is_private or (person is not None and person in incident.people)


def is_in_teams(teams: Collection[TeamId] | None, incident: Incident) -> bool:
    """True if the incident belongs to one of these workspaces; None stands for all workspaces."""
    return teams is None or incident.slack_team_id in teams


def ago(then: datetime, now: datetime) -> str:
    """Format the time since a moment: `just now`, `3 minutes ago`, `2 hours ago`, `5 days ago`."""
    minutes = int((now - then).total_seconds() // 60)
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            count = minutes // size
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def is_one_edit_away(word: str, other: str) -> bool:
    """True if adding, dropping, changing or swapping one letter turns one word into the other."""
    if word == other or abs(len(word) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), None)
    if start is None:
        return True
    rest, far = word[start:], other[start:]
    return (
        rest[1:] == far[1:]
        or rest[1:] == far
        or rest == far[1:]
        or (rest[:2] == far[1::-1] and len(rest) > 1 and rest[2:] == far[2:])
    )
