"""The post-incident document, and the archiving of an incident's channel."""

from __future__ import annotations

from datetime import datetime, timedelta
from string import Template

from tocsin.incidents.export import (
    IncidentReport,
    as_written,
    file_stem,
    listed_facts,
    summary_lines,
    timeline_lines,
    to_do_lines,
)
from tocsin.incidents.model import ChannelId, FrozenModel, Incident, MessageTs
from tocsin.incidents.validation import join_names

NOTICE = timedelta(days=1)
"""Time between the notice in a channel and its archiving."""

CANVAS_LIMIT = 1_048_576
"""Most characters of a canvas (Slack, conversations.canvases.create)."""

PLACEHOLDERS = ("reference", "name", "facts", "summary", "timeline", "follow_ups", "people")

STANDARD = """\
# $reference: $name

$facts

## Summary

$summary

## Why it happened

*What led to it, what made it worse, and what helped.*

## What we learned

*What went well, what did not, and where we were lucky.*

## Actions and follow-ups

$follow_ups

## What happened

$timeline
"""

NOTHING = "*Nothing was written down.*"


class PostIncidentPolicy(FrozenModel):
    """Post-incident settings: the document's template, and when channels are archived."""

    template: str = STANDARD
    """Markdown with placeholders such as `$name`; `$$` is a dollar sign."""
    archive_after_days: int | None = None
    """Days after closing until the channel is archived; None if it never is."""
    archive_hosted: bool = False
    """True to archive channels that the backend created, too."""
    archive_used: bool = False
    """True to archive channels that were there before the incident and that it used, too."""


def template_error(template: str) -> str:
    """Return the error of a template as a sentence for the operator; empty if it is valid."""
    found = Template(template)
    if not found.is_valid():
        return "has a $ that begins no placeholder; write $$ for a dollar"
    unknown = [name for name in found.get_identifiers() if name not in PLACEHOLDERS]
    if not unknown:
        return ""
    known = join_names(f"${name}" for name in PLACEHOLDERS)
    return f"names {join_names(f'${name}' for name in unknown)}; there are {known}"


def render_document(template: str, report: IncidentReport) -> str:
    """Render the post-incident document as Markdown; text that people wrote is escaped."""
    incident = report.incident
    known = {
        "reference": as_written(incident.reference),
        "name": as_written(incident.name),
        "facts": listed_facts(report),
        "summary": summary_lines(incident),
        "timeline": timeline_lines(report),
        "follow_ups": to_do_lines(report.follow_ups),
        "people": as_written(join_names(report.people)),
    }
    return Template(template).substitute({name: text or NOTHING for name, text in known.items()})


def document_name(incident: Incident) -> str:
    """Return the document's file name; it is always the same, so that an earlier one is found by it."""
    return f"{file_stem(incident)}-what-happened.md"


class ScheduledArchive(FrozenModel):
    """Scheduled archiving of an incident's channel."""

    incident_id: str
    ended_at: datetime
    due_at: datetime
    """Time at which the channel is archived."""
    stage: str = "waiting"
    """`waiting`, `telling` while the notice is being posted, `told`, `kept`, or `gone` once archived."""
    channel: ChannelId = ChannelId("")
    ts: MessageTs = MessageTs("")
    """Timestamp of the notice; empty until it is posted."""

    @property
    def is_over(self) -> bool:
        return self.stage in {"kept", "gone"}


def scheduled_archive(incident: Incident, days: int) -> ScheduledArchive:
    ended = incident.closed_at or incident.updated_at
    return ScheduledArchive(incident_id=incident.id, ended_at=ended, due_at=ended + timedelta(days=days))
