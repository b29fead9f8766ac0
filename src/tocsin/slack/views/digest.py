"""The message of the weekly digest."""

from __future__ import annotations

from datetime import date, timedelta

from slack_sdk.models.blocks import Block

from tocsin.incidents.details import duration
from tocsin.incidents.digest import WeeklyDigest
from tocsin.incidents.model import Incident
from tocsin.incidents.tasks import OVERDUE
from tocsin.slack.views.blocks import context, escape, link, paragraph, shorten
from tocsin.slack.views.notifications import Message

NAME_LIMIT = 80
"""Characters of the name of an open incident."""


def digest_message(digest: WeeklyDigest) -> Message:
    """Build the message: what was declared and closed, what is open, and what is overdue."""
    if digest.is_quiet:
        said = f":calendar: No incidents from {_span(digest)}, and none is open."
        return said, [paragraph(said)]
    head = f":calendar: *{_counted(digest.declared)} from {_span(digest)}*"
    blocks: list[Block] = [paragraph("\n".join([head, *_figures(digest)]))]
    if digest.open_now:
        # A block for each, since a name of nothing but escaped characters is five times as long.
        lines = ["*Open now*", *map(_line, digest.open_now), *(["… and more."] if digest.has_more else [])]
        blocks += map(paragraph, lines)
    notes = "Private incidents are not counted. Days are in UTC."
    if digest.is_in_part:
        notes += " Some days are not counted in full."
    if digest.insights:
        notes += f" {link(digest.insights, 'See Insights')}"
    blocks.append(context(notes))
    return _in_short(digest, head), blocks


def _in_short(digest: WeeklyDigest, head: str) -> str:
    """Return the text that notifications and screen readers have instead of the blocks."""
    said = [head]
    if digest.declared:
        said.append(f"{digest.declared - digest.open:,} of them closed, {digest.open:,} open")
    if digest.open_now:
        said.append(f"Open now: {len(digest.open_now)}{' or more' if digest.has_more else ''}")
    return ". ".join(said)


def _counted(number: int) -> str:
    return f"{number:,} incident{'' if number == 1 else 's'} declared" if number else "No incidents declared"


def _span(digest: WeeklyDigest) -> str:
    return f"{_day(digest.first)} to {_day(digest.last)}"


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _figures(digest: WeeklyDigest) -> list[str]:
    """Return a line for each figure that is known."""
    lines = []
    if digest.declared:
        lines.append(f"{digest.declared - digest.open:,} of them closed, {digest.open:,} open")
        lines.append(" · ".join(f"{escape(name)} {times:,}" for name, times in digest.by_severity))
    if digest.lasted is not None:
        name, median = digest.lasted
        lines.append(f"{escape(name)}: {duration(median + timedelta(seconds=30))} (median)")
    if digest.overdue:
        many = "1 follow-up is" if digest.overdue == 1 else f"{digest.overdue:,} follow-ups are"
        lines.append(f":warning: {many} open for more than {OVERDUE.days} days")
    return [line for line in lines if line]


def _line(incident: Incident) -> str:
    """Return the line of an open incident: its link, name, severity, status and channel."""
    parts = [escape(incident.severity.name)] if incident.severity else []
    parts.append(escape(incident.incident_status.name))
    where = f" <#{incident.slack_channel_id}>" if incident.slack_channel_id else ""
    name = escape(shorten(incident.name, NAME_LIMIT))
    return f"• {link(incident.permalink, incident.reference)} {name} ({', '.join(parts)}){where}"
