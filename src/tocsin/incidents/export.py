"""Incidents as JSON, CSV, Markdown and table rows, and their durations."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tocsin.incidents.details import called, duration, further_details_of
from tocsin.incidents.model import (
    SOMEBODY,
    DurationMetric,
    FieldEntry,
    FollowUp,
    Form,
    FrozenModel,
    Incident,
    Person,
    PersonId,
    TimelineEntry,
    declarer,
    display_name,
)
from tocsin.incidents.timeline import items_of
from tocsin.incidents.timestamps import metrics_of, set_times
from tocsin.incidents.transitions import STATUS_VERBS, UPDATE_VERBS
from tocsin.incidents.validation import FOLLOW_UP_WORDS, clean_text, is_visible, join_names

# Incidents as table rows and JSON records, the same for every backend.

COLUMNS = ("Reference", "Name", "Severity", "Status", "Lead", "Age")


def age(since: datetime, now: datetime) -> str:
    """Format the time passed since a moment in its largest whole unit: `now`, `5 min`, `3 h`, `12 d`."""
    passed = max(now - since, timedelta())
    if passed < timedelta(minutes=1):
        return "now"
    if passed < timedelta(hours=1):
        return f"{passed // timedelta(minutes=1)} min"
    if passed < timedelta(days=2):
        return f"{passed // timedelta(hours=1)} h"
    return f"{passed // timedelta(days=1)} d"


def nameless(people: Iterable[Person | None]) -> list[PersonId]:
    """Return the Slack ids of the people whose names are not known, each once."""
    ids = (person.slack_user_id for person in people if person is not None and not person.name)
    return list(dict.fromkeys(filter(None, ids)))


def holders(incident: Incident) -> list[Person | None]:
    """Return the reporter and every role holder; a role without a holder gives None."""
    return [incident.creator, *(held.assignee for held in incident.incident_role_assignments)]


def marks(incident: Incident) -> tuple[str, ...]:
    """Return the labels of an unusual incident: `private`, and the mode if it is not `standard`."""
    return ("private",) * incident.is_private + (incident.mode,) * (incident.mode != "standard")


def moment(at: datetime) -> str:
    """Format a moment as RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def as_rows(incidents: Iterable[Incident], now: datetime) -> Iterator[tuple[str, ...]]:
    """Yield one row of `COLUMNS` for each incident, safe to print on a terminal."""
    for incident in incidents:
        name = incident.name + "".join(f" [{mark}]" for mark in marks(incident))
        severity = incident.severity.name if incident.severity else ""
        row = (incident.reference, name, severity, incident.incident_status.name, display_name(incident.lead))
        yield (*(clean_text(cell) for cell in row), age(incident.created_at, now))


def as_record(incident: Incident, timeline: Sequence[TimelineEntry] | None = None) -> dict[str, Any]:
    """Return the incident with the field names of incident.io's V2 object, ready for JSON.

    Source: incident.io, Incidents V2, Show. The source message has the names of V1's create payload, since V2
    has none; `timeline` is our own.
    """
    ours = {"source", "creator", "automation", "custom_field_entries", "alerts"}
    plain = incident.model_dump(mode="json", exclude=ours) | {"call_url": incident.call_link}
    source = incident.source
    record = plain | {
        "creator": _creator(incident),
        "incident_role_assignments": [
            {
                "role": assignment.role.model_dump(),
                **({"assignee": as_user(assignment.assignee)} if assignment.assignee else {}),
            }
            for assignment in incident.incident_role_assignments
        ],
        "custom_field_entries": [_field_entry(entry) for entry in incident.custom_field_entries],
        "incident_timestamp_values": [
            {
                "incident_timestamp": one.incident_timestamp.model_dump(include={"id", "name", "rank"}),
                "value": {"value": moment(one.value)},
            }
            for one in incident.incident_timestamp_values
        ],
        "duration_metrics": [_metric(one) for one in incident.duration_metrics],
        "source_message_channel_id": source.channel if source else None,
        "source_message_timestamp": source.timestamp if source else None,
        "source_message_permalink": source.permalink if source else None,
        "created_at": moment(incident.created_at),
        "updated_at": moment(incident.updated_at),
        "closed_at": moment(incident.closed_at) if incident.closed_at else None,
    }
    record = {key: value for key, value in record.items() if value is not None}
    if timeline is not None:
        record["timeline"] = [timeline_record(entry) for entry in timeline]
    return record


def facts(incident: Incident) -> list[tuple[str, str]]:
    """Return the incident's main properties as label and value, without the empty ones."""
    apart = join_names(marks(incident))
    listed = [
        ("Status", incident.incident_status.name),
        ("Severity", incident.severity.name if incident.severity else ""),
        ("Type", incident.incident_type.name if incident.incident_type else ""),
        ("Marked", apart),
        ("Declared", f"{moment(incident.created_at)} by {declarer(incident) or SOMEBODY}"),
        *((held.role.name, display_name(held.assignee)) for held in incident.incident_role_assignments),
        ("Channel", f"#{incident.slack_channel_name}" if incident.slack_channel_name else ""),
        ("Source message", (incident.source.permalink or "") if incident.source else ""),
        *((entry.custom_field.name, answers(entry)) for entry in incident.custom_field_entries),
        *((name, moment(at)) for name, at in set_times(incident)),
        *((detail.label, detail.text) for detail in further_details_of(incident)),
        ("Permalink", incident.permalink or ""),
    ]
    return [(label, value) for label, value in listed if value]


def answers(entry: FieldEntry) -> str:
    """Join the answers to one custom field with commas and "and"."""
    return join_names(
        called(value.value_catalog_entry) if value.value_catalog_entry else value.shown
        for value in entry.values
    )


def as_written(text: str) -> str:
    """Escape text so that Markdown shows it literally: on one line, no markup, no HTML.

    A text that is one address becomes a link.
    """
    one_line = clean_text(text)
    if re.fullmatch(r"https?://[^\s<>]+", one_line):
        return f"<{one_line}>"
    escaped = re.sub(r"([\\`*_\[\]<>#|~!&])", r"\\\1", one_line)
    # A number is a list only before a space, and only its full stop can be escaped (CommonMark 2.4, 5.2).
    return re.sub(r"^(\s*\d*)([-+=]|(?<=\d)[.)](?=\s|$))", r"\1\\\2", escaped)


def as_user(person: Person) -> dict[str, str]:
    """Return a person as one of incident.io's user objects."""
    return {
        "name": display_name(person),
        **person.model_dump(exclude_none=True, include={"slack_user_id", "email"}),
    }


def _metric(metric: DurationMetric) -> dict[str, Any]:
    seconds = {} if metric.value_seconds is None else {"value_seconds": metric.value_seconds}
    return {"duration_metric": {"id": metric.id, "name": metric.name}, **seconds, "status": metric.status}


def _creator(incident: Incident) -> dict[str, dict[str, str]]:
    """Return the creator as incident.io's actor object, which has one of four properties."""
    by = incident.automation
    if by is None:
        return {"user": as_user(incident.creator)}
    return {by.kind: {"id": by.id, "title" if by.kind == "alert" else "name": by.name}}


_FORMS_ONLY = {"required", "required_when", "asked", "searched"}
"""Properties of a custom field that only forms need."""


def _field_entry(entry: FieldEntry) -> dict[str, Any]:
    return {
        "custom_field": entry.custom_field.model_dump(exclude=_FORMS_ONLY, exclude_none=True),
        "values": [value.model_dump(exclude_none=True) for value in entry.values],
    }


def timeline_record(entry: TimelineEntry) -> dict[str, Any]:
    """Return one timeline entry, ready for JSON."""
    by = {"actor": {"user": as_user(entry.by)}} if entry.by else {}
    return {"timestamp": moment(entry.at), **by, "verb": entry.verb, "text": entry.text}


# Durations of an incident, computed from its timeline.


class Durations(FrozenModel):
    """Times measured from the declaration; None, or left out, if unknown."""

    lasted: timedelta | None = None
    """Time until the incident was closed; None while it is open."""

    first_update: timedelta | None = None
    """Time until the first update message."""

    metrics: tuple[tuple[str, timedelta], ...] = ()
    """The organisation's durations between timestamps, by name."""

    reached: tuple[tuple[str, timedelta], ...] = ()
    """Each status and the time until the incident first had it, in that order."""


def lasted(incident: Incident) -> timedelta:
    """Return the time from declaration to closing, or to the last change if there is no closing time.

    An incident that was declared in retrospect began at the first of its timestamps.
    """
    times = [one.value for one in incident.incident_timestamp_values] * incident.is_retrospective
    began = min(times, default=incident.created_at)
    return max((incident.closed_at or incident.updated_at) - began, timedelta())


def durations_of(incident: Incident, timeline: Sequence[TimelineEntry]) -> Durations:
    """Compute the durations. `reached` is empty if a hosted backend's timeline names no statuses."""
    reached: dict[str, timedelta] = {}
    first_update = None
    for entry in timeline:
        after = max(entry.at - incident.created_at, timedelta())
        if entry.verb in STATUS_VERBS:
            reached.setdefault(entry.text, after)
        elif first_update is None and entry.verb in {*UPDATE_VERBS.values(), "updated"}:
            first_update = after
    return Durations(
        lasted=None if incident.incident_status.is_open else lasted(incident),
        first_update=first_update,
        metrics=metrics_of(incident),
        reached=tuple(reached.items()),
    )


def in_sentences(durations: Durations) -> tuple[tuple[str, str], ...]:
    """Return the known durations as label and words."""
    found = [("Lasted", durations.lasted), ("First update after", durations.first_update)]
    found += [*durations.metrics, *((f"{status} after", after) for status, after in durations.reached)]
    return tuple((label, duration(after)) for label, after in found if after is not None)


# Exports of incidents with their timelines and follow-ups: Markdown, JSON, CSV. Times are in UTC.

_FORMULA = frozenset("=+-@\N{MINUS SIGN}")
Format = Literal["markdown", "json", "csv"]

ENDINGS: dict[Format, str] = {"markdown": "md", "json": "json", "csv": "csv"}
"""File name extension of each format."""

FORMAT_NAMES: dict[Format, str] = {"markdown": "Markdown", "json": "JSON", "csv": "CSV"}

CSV_COLUMNS = (
    "id",
    "reference",
    "name",
    "summary",
    "severity",
    "incident_status",
    "incident_type",
    "visibility",
    "mode",
    "creator",
    "lead",
    "slack_channel_id",
    "slack_channel_name",
    "permalink",
    "created_at",
    "updated_at",
    "closed_at",
    "lasted_seconds",
    "first_update_seconds",
    "people",
    "timeline_entries",
    "follow_ups",
    "open_follow_ups",
    "custom_fields",
    "incident_timestamp_values",
    "duration_metrics",
)

SUMS = 6
"""Number of columns from `lasted_seconds` to `open_follow_ups`, which `as_csv` leaves empty."""


class IncidentReport(FrozenModel):
    """An incident with its timeline and its follow-ups."""

    incident: Incident
    timeline: tuple[TimelineEntry, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    form: Form | None = None
    """Choices that the timeline may name; without it, a status that it names has no category."""

    @property
    def durations(self) -> Durations:
        return durations_of(self.incident, self.timeline)

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the reporter, the role holders and the actors of the timeline, each once."""
        acted = (entry.by for entry in self.timeline)
        return tuple(dict.fromkeys(filter(None, map(display_name, [*holders(self.incident), *acted]))))

    @property
    def nameless(self) -> list[PersonId]:
        """Slack ids of the people in the report whose names are not known."""
        acted = (entry.by for entry in self.timeline)
        return nameless([*holders(self.incident), *acted, *(one.assignee for one in self.follow_ups)])

    @property
    def open_follow_ups(self) -> tuple[FollowUp, ...]:
        return tuple(one for one in self.follow_ups if not one.is_done)


def render_export(reports: Iterable[IncidentReport], wanted: Format) -> str:
    """Render all incidents as one text: Markdown documents in a row, one JSON object, or one CSV table."""
    if wanted == "json":
        return json.dumps(
            {"incidents": [report_record(one) for one in reports]}, indent=2, ensure_ascii=False
        )
    if wanted == "csv":
        return _table(_cells(one.incident) + _sums(one) for one in reports)
    return "\n".join(as_document(one) for one in reports)


def file_name(incident: Incident, wanted: Format, at: datetime) -> str:
    """Return a file name with the incident and the second of the request: `inc-12-20260301t030000z.md`."""
    stamp = moment(at).lower().replace("-", "").replace(":", "")
    return f"{file_stem(incident)}-{stamp}.{ENDINGS[wanted]}"


def file_stem(incident: Incident) -> str:
    """Return the reference in lower case, with a hyphen for each character that is no letter or digit."""
    return "".join(letter if letter.isalnum() else "-" for letter in incident.reference.lower())


def as_json(incidents: Iterable[Incident]) -> str:
    """Return a JSON object with a list `incidents` of V2 objects, as incident.io lists them."""
    listed = [as_record(incident) for incident in incidents]
    return json.dumps({"incidents": listed}, indent=2, ensure_ascii=False)


def as_csv(incidents: Iterable[Incident]) -> str:
    """Return the incidents alone as CSV; the columns for timeline and follow-ups stay empty."""
    return _table([*_cells(incident), *[""] * SUMS, *_fields(incident)] for incident in incidents)


def report_record(report: IncidentReport) -> dict[str, Any]:
    """Return incident.io's V2 object with our own `timeline`, `follow_ups` and `durations` (in seconds)."""
    durations = report.durations
    return {
        **as_record(report.incident),
        "timeline": [timeline_record(entry) for entry in report.timeline],
        "follow_ups": [_to_do(one) for one in report.follow_ups],
        "durations": {
            "lasted_seconds": _seconds(durations.lasted),
            "first_update_seconds": _seconds(durations.first_update),
            "reached": [
                {"incident_status": status, "after_seconds": _seconds(after)}
                for status, after in durations.reached
            ],
        },
    }


def as_document(report: IncidentReport) -> str:
    """Render one incident as Markdown: properties, summary, actions and follow-ups, timeline."""
    incident = report.incident
    lines = [f"# {as_written(incident.reference)}: {as_written(incident.name)}", "", listed_facts(report)]
    for heading, text in (
        ("Summary", summary_lines(incident)),
        ("Actions and follow-ups", to_do_lines(report.follow_ups)),
        ("Timeline", timeline_lines(report)),
    ):
        if text:
            lines += ["", f"## {heading}", "", text]
    return "\n".join(lines) + "\n"


def listed_facts(report: IncidentReport) -> str:
    """Render the main properties and durations as a Markdown list."""
    known = [*facts(report.incident), *in_sentences(report.durations)]
    return "\n".join(f"- **{as_written(label)}**: {as_written(value)}" for label, value in known)


def summary_lines(incident: Incident) -> str:
    """Render the summary as Markdown that keeps its line breaks."""
    if not incident.summary:
        return ""
    lines = incident.summary.split("\n")
    return "\n".join(f"{as_written(line)}  " if line.strip() else "" for line in lines)


def to_do_lines(follow_ups: Iterable[FollowUp]) -> str:
    """Render the actions and follow-ups as a Markdown checklist, in the given order."""
    return "\n".join(_check(one) for one in follow_ups)


def timeline_lines(report: IncidentReport) -> str:
    """Render the timeline as a Markdown list, in words."""
    items = items_of(report.incident, report.timeline, report.form)
    return "\n".join(f"- {moment(item.at)} {as_written(item.sentence)}" for item in items)


def _check(one: FollowUp) -> str:
    who = f" ({as_written(display_name(one.assignee))})" if one.assignee else ""
    word = FOLLOW_UP_WORDS[one.kind].capitalize()
    links = [("Runbook", one.runbook_url)]
    if (issue := one.external_issue_reference) is not None:
        links.append((issue.issue_name or "Issue", issue.issue_permalink))
    said = "".join(f" · {as_written(label)}: {as_written(url)}" for label, url in links if url)
    return f"- [{'x' if one.is_done else ' '}] {word}: {as_written(one.text)}{who}{said}"


def _to_do(one: FollowUp) -> dict[str, Any]:
    """Return an action or follow-up, ready for JSON.

    Source: incident.io, Follow-ups V3 and Actions V3, Show.
    """
    issue = one.external_issue_reference
    return {
        "id": one.id,
        "kind": one.kind,
        "title": one.text,
        **({"description": one.description} if one.description else {}),
        "status": "completed" if one.is_done and one.status == "outstanding" else one.status,
        **({"assignee": as_user(one.assignee)} if one.assignee else {}),
        "created_at": moment(one.created_at),
        **({"completed_at": moment(one.done_at)} if one.done_at else {}),
        **({"runbook_url": one.runbook_url} if one.runbook_url else {}),
        **({"external_issue_reference": issue.model_dump()} if issue is not None else {}),
    }


def _table(rows: Iterable[list[str]]) -> str:
    """Render rows as CSV with a header; no spreadsheet takes a cell for a formula (OWASP, CSV Injection)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        writer.writerow([_inert(cell) for cell in row])
    return out.getvalue()


def _inert(cell: str) -> str:
    """Put an apostrophe before a cell whose first visible character begins a formula.

    Spreadsheets skip invisible characters, and take a sign in any width for the same (OWASP, CSV Injection).
    """
    first = next(filter(is_visible, cell), "")
    begins = unicodedata.normalize("NFKC", first)[:1] in _FORMULA or cell[:1] in set("\t\r\n")
    return f"'{cell}" if begins else cell


def _cells(incident: Incident) -> list[str]:
    return [
        incident.id,
        incident.reference,
        incident.name,
        incident.summary,
        incident.severity.name if incident.severity else "",
        incident.incident_status.name,
        incident.incident_type.name if incident.incident_type else "",
        incident.visibility,
        incident.mode,
        declarer(incident),
        display_name(incident.lead),
        incident.slack_channel_id,
        incident.slack_channel_name,
        incident.permalink or "",
        moment(incident.created_at),
        moment(incident.updated_at),
        moment(incident.closed_at) if incident.closed_at else "",
    ]


def _sums(report: IncidentReport) -> list[str]:
    durations = report.durations
    return [
        _count(_seconds(durations.lasted)),
        _count(_seconds(durations.first_update)),
        "; ".join(report.people),
        str(len(report.timeline)),
        str(len(report.follow_ups)),
        str(len(report.open_follow_ups)),
        *_fields(report.incident),
    ]


def _fields(incident: Incident) -> list[str]:
    """Return the last columns: custom fields, timestamps, and durations in seconds."""
    return [
        "; ".join(f"{e.custom_field.name}: {answers(e)}" for e in incident.custom_field_entries),
        "; ".join(f"{name}: {moment(at)}" for name, at in set_times(incident)),
        "; ".join(f"{name}: {_seconds(passed)}" for name, passed in metrics_of(incident)),
    ]


def _seconds(passed: timedelta | None) -> int | None:
    return None if passed is None else int(passed.total_seconds())


def _count(number: int | None) -> str:
    return "" if number is None else str(number)
