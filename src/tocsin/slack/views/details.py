"""Details of an incident as blocks, below its card, and as plain fields of a Work Object."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from slack_sdk.models.blocks import Block

from tocsin.incidents.details import Detail, DetailValue, details_of, duration
from tocsin.incidents.model import Incident
from tocsin.incidents.timestamps import metrics_of, set_times
from tocsin.slack.views.blocks import escape, link, paragraph, sections_of, shorten
from tocsin.slack.views.card import person

MOST_DETAILS = 40
"""Details that are shown; the incident's page has all of them."""

VALUE_LIMIT = 300
"""Characters of one value."""

NOTE_LIMIT = 1000
"""Characters of a description, or of a role's instructions."""


def detail_blocks(incident: Incident) -> list[Block]:
    """Build one line for each detail; none for an incident without any."""
    lines = [_line(detail) for detail in details_of(incident)[:MOST_DETAILS]]
    return [paragraph(text) for text in sections_of(lines)] if lines else []


def detail_fields(incident: Incident) -> Iterator[tuple[str, str]]:
    """Yield label and plain text of every detail, of the times and of the durations, for a Work Object."""
    yield from ((detail.label, detail.text) for detail in details_of(incident))
    yield from ((name, f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC") for name, at in set_times(incident))
    yield from ((name, duration(passed)) for name, passed in metrics_of(incident))


def _line(detail: Detail) -> str:
    said = ", ".join(_value(value) for value in detail.values)
    note = f"\n{escape(shorten(detail.note, NOTE_LIMIT))}" if detail.note else ""
    label = f"*{escape(shorten(detail.label, 80))}*  "
    return f"{label}{said}{note}"


def _value(value: DetailValue) -> str:
    if value.person is not None:
        return person(value.person)
    text = shorten(" ".join(value.text.split()), VALUE_LIMIT)
    return link(value.url, text) if value.url else escape(text)
