"""Incidents to take away, with everything that belongs to them: Markdown, JSON, CSV. Times are in UTC."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from tocsin.incidents.durations import Durations, durations_of, in_sentences
from tocsin.incidents.listing import (
    answers,
    as_happening,
    as_record,
    as_user,
    as_written,
    facts,
    holders,
    moment,
    nameless,
)
from tocsin.incidents.model import FollowUp, Frozen, Incident, PersonId, TimelineEntry, display_name
from tocsin.incidents.rules import FOLLOW_UP_WORDS, is_visible

_FORMULA = frozenset("=+-@\N{MINUS SIGN}")
Format = Literal["markdown", "json", "csv"]

ENDINGS: dict[Format, str] = {"markdown": "md", "json": "json", "csv": "csv"}
"""What a file of each format is called at its end."""

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
)

SUMS = 6
"""Columns before the last: sums over what belongs to an incident, empty where only itself was asked for."""


class Whole(Frozen):
    """An incident with everything that belongs to it."""

    incident: Incident
    timeline: tuple[TimelineEntry, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()

    @property
    def durations(self) -> Durations:
        return durations_of(self.incident, self.timeline)

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who did something or has a role, by name, each once."""
        acted = (entry.by for entry in self.timeline)
        return tuple(dict.fromkeys(filter(None, map(display_name, [*holders(self.incident), *acted]))))

    @property
    def nameless(self) -> list[PersonId]:
        """Those in it of whom only the Slack id is known."""
        acted = (entry.by for entry in self.timeline)
        return nameless([*holders(self.incident), *acted, *(one.assignee for one in self.follow_ups)])

    @property
    def open_follow_ups(self) -> tuple[FollowUp, ...]:
        return tuple(one for one in self.follow_ups if not one.is_done)


def exported(wholes: Iterable[Whole], wanted: Format) -> str:
    """All of them in one text: documents after one another, one JSON object, or one row for each."""
    if wanted == "json":
        return json.dumps({"incidents": [as_whole(one) for one in wholes]}, indent=2, ensure_ascii=False)
    if wanted == "csv":
        return _table(_cells(one.incident) + _sums(one) for one in wholes)
    return "\n".join(as_document(one) for one in wholes)


def file_name(incident: Incident, wanted: Format, at: datetime) -> str:
    """`inc-12-20260301t030000z.md`: the incident, and the second in which it was asked for."""
    stamp = moment(at).lower().replace("-", "").replace(":", "")
    return f"{file_stem(incident)}-{stamp}.{ENDINGS[wanted]}"


def file_stem(incident: Incident) -> str:
    """The reference, as the name of a file may have it."""
    return "".join(letter if letter.isalnum() else "-" for letter in incident.reference.lower())


def as_json(incidents: Iterable[Incident]) -> str:
    """A JSON object whose `incidents` are V2 objects, as incident.io lists them."""
    listed = [as_record(incident) for incident in incidents]
    return json.dumps({"incidents": listed}, indent=2, ensure_ascii=False)


def as_csv(incidents: Iterable[Incident]) -> str:
    """The incidents alone, as `exported` writes them; what belongs to them is left empty."""
    return _table([*_cells(incident), *[""] * SUMS, _fields(incident)] for incident in incidents)


def as_whole(whole: Whole) -> dict[str, Any]:
    """incident.io's V2 object, with ours beside it: `timeline`, `follow_ups` and `durations` in seconds."""
    durations = whole.durations
    return {
        **as_record(whole.incident),
        "timeline": [as_happening(entry) for entry in whole.timeline],
        "follow_ups": [_to_do(one) for one in whole.follow_ups],
        "durations": {
            "lasted_seconds": _seconds(durations.lasted),
            "first_update_seconds": _seconds(durations.first_update),
            "reached": [
                {"incident_status": status, "after_seconds": _seconds(after)}
                for status, after in durations.reached
            ],
        },
    }


def as_document(whole: Whole) -> str:
    """One incident as Markdown: its facts, its summary, what is to be done, and everything that happened."""
    incident = whole.incident
    lines = [f"# {as_written(incident.reference)}: {as_written(incident.name)}", "", listed_facts(whole)]
    for heading, text in (
        ("Summary", summary_lines(incident)),
        ("Actions and follow-ups", to_do_lines(whole.follow_ups)),
        ("Timeline", happening_lines(whole.timeline)),
    ):
        if text:
            lines += ["", f"## {heading}", "", text]
    return "\n".join(lines) + "\n"


def listed_facts(whole: Whole) -> str:
    """What there is to know at a glance, as a list in Markdown."""
    known = [*facts(whole.incident), *in_sentences(whole.durations)]
    return "\n".join(f"- **{as_written(label)}**: {as_written(value)}" for label, value in known)


def summary_lines(incident: Incident) -> str:
    """The summary in Markdown, line by line as it was written."""
    if not incident.summary:
        return ""
    lines = incident.summary.split("\n")
    return "\n".join(f"{as_written(line)}  " if line.strip() else "" for line in lines)


def to_do_lines(follow_ups: Iterable[FollowUp]) -> str:
    """A checklist in Markdown, in the order in which it was written down."""
    return "\n".join(_check(one) for one in follow_ups)


def happening_lines(timeline: Iterable[TimelineEntry]) -> str:
    """Everything that happened, as a list in Markdown."""
    return "\n".join(f"- {moment(entry.at)} {as_written(_said(entry))}" for entry in timeline)


def _said(entry: TimelineEntry) -> str:
    return " ".join(filter(None, [display_name(entry.by), entry.verb, entry.text]))


def _check(one: FollowUp) -> str:
    who = f" ({as_written(display_name(one.assignee))})" if one.assignee else ""
    word = FOLLOW_UP_WORDS[one.kind].capitalize()
    return f"- [{'x' if one.is_done else ' '}] {word}: {as_written(one.text)}{who}"


def _to_do(one: FollowUp) -> dict[str, Any]:
    """Source: incident.io, Follow-ups V2 and Actions V2, Show: `status` is outstanding or completed."""
    return {
        "id": one.id,
        "kind": one.kind,
        "title": one.text,
        "status": "completed" if one.is_done else "outstanding",
        **({"assignee": as_user(one.assignee)} if one.assignee else {}),
        "created_at": moment(one.created_at),
        **({"completed_at": moment(one.done_at)} if one.done_at else {}),
    }


def _table(rows: Iterable[list[str]]) -> str:
    """Comma-separated with a header; no spreadsheet takes a cell for a formula (OWASP, CSV Injection)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        writer.writerow([_inert(cell) for cell in row])
    return out.getvalue()


def _inert(cell: str) -> str:
    """The cell behind an apostrophe where the first thing to be seen in it begins a formula.

    Spreadsheets skip what nobody sees, and take a sign in any width for the same (OWASP, CSV Injection).
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
        display_name(incident.creator),
        display_name(incident.lead),
        incident.slack_channel_id,
        incident.slack_channel_name,
        incident.permalink or "",
        moment(incident.created_at),
        moment(incident.updated_at),
        moment(incident.closed_at) if incident.closed_at else "",
    ]


def _sums(whole: Whole) -> list[str]:
    durations = whole.durations
    return [
        _count(_seconds(durations.lasted)),
        _count(_seconds(durations.first_update)),
        "; ".join(whole.people),
        str(len(whole.timeline)),
        str(len(whole.follow_ups)),
        str(len(whole.open_follow_ups)),
        _fields(whole.incident),
    ]


def _fields(incident: Incident) -> str:
    return "; ".join(f"{e.custom_field.name}: {answers(e)}" for e in incident.custom_field_entries)


def _seconds(passed: timedelta | None) -> int | None:
    return None if passed is None else int(passed.total_seconds())


def _count(number: int | None) -> str:
    return "" if number is None else str(number)
