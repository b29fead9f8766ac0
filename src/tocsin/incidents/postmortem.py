"""What is done with an incident that has ended: its document, and its channel."""

from __future__ import annotations

from datetime import datetime, timedelta
from string import Template

from tocsin.incidents.export import (
    Whole,
    as_written,
    file_stem,
    happening_lines,
    listed_facts,
    summary_lines,
    to_do_lines,
)
from tocsin.incidents.model import ChannelId, Frozen, Incident, MessageTs
from tocsin.incidents.validation import in_words

NOTICE = timedelta(days=1)
"""How long before its channel is archived people are told."""

CANVAS_LIMIT = 1_048_576
"""Characters of a canvas (Slack, conversations.canvases.create)."""

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


class Afterwards(Frozen):
    """How an organisation goes on after an incident."""

    template: str = STANDARD
    """Markdown with `$name` and the like for what is known; `$$` is a dollar."""
    archive_after_days: int | None = None
    """Days after the end until the channel is archived; None: it stays."""
    archive_hosted: bool = False
    """Also channels that the backend made itself."""


def wrong_in(template: str) -> str:
    """What is wrong with a template, in a sentence; empty where nothing is."""
    found = Template(template)
    if not found.is_valid():
        return "has a $ that begins no placeholder; write $$ for a dollar"
    unknown = [name for name in found.get_identifiers() if name not in PLACEHOLDERS]
    if not unknown:
        return ""
    known = in_words(f"${name}" for name in PLACEHOLDERS)
    return f"names {in_words(f'${name}' for name in unknown)}; there are {known}"


def document(template: str, whole: Whole) -> str:
    """The post-incident document in Markdown, in which what people wrote is only text."""
    incident = whole.incident
    known = {
        "reference": as_written(incident.reference),
        "name": as_written(incident.name),
        "facts": listed_facts(whole),
        "summary": summary_lines(incident),
        "timeline": happening_lines(whole.timeline),
        "follow_ups": to_do_lines(whole.follow_ups),
        "people": as_written(in_words(whole.people)),
    }
    return Template(template).substitute({name: text or NOTHING for name, text in known.items()})


def document_name(incident: Incident) -> str:
    """What its document is called as a file: there is one, so that it is found by its name."""
    return f"{file_stem(incident)}-what-happened.md"


class Departure(Frozen):
    """A channel that is to be archived."""

    incident_id: str
    ended_at: datetime
    due_at: datetime
    """When it is archived."""
    stage: str = "waiting"
    """`waiting`, `telling` while the notice is on its way, `told`, `kept`, or `gone`."""
    channel: ChannelId = ChannelId("")
    ts: MessageTs = MessageTs("")
    """The notice, once it is posted."""

    @property
    def is_over(self) -> bool:
        return self.stage in {"kept", "gone"}


def departure(incident: Incident, days: int) -> Departure:
    ended = incident.closed_at or incident.updated_at
    return Departure(incident_id=incident.id, ended_at=ended, due_at=ended + timedelta(days=days))
