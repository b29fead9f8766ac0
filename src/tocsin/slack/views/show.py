"""One incident in full, for one reader: its card, what is to be done, and what happened last."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block, DividerBlock
from slack_sdk.models.views import View

from tocsin.incidents.model import FollowUp, Incident, TimelineEntry
from tocsin.slack.views.card import card, card_text, person
from tocsin.slack.views.errand import TITLE_LIMIT
from tocsin.slack.views.follow_up import follow_up_blocks
from tocsin.slack.views.kit import escape, link, moment, paragraph, plain, sections_of, shortened

LAST = 10
"""Entries of the timeline; the incident's page has all of them."""

ENTRY = 220
"""Characters of one entry; ten of them and their dates fit into a section's 3000."""


def show_blocks(
    incident: Incident, timeline: Sequence[TimelineEntry], follow_ups: Sequence[FollowUp]
) -> list[Block]:
    undone = [item for item in follow_ups if not item.is_done]
    return [*card(incident), *follow_up_blocks(undone), DividerBlock(), *happenings(incident, timeline)]


def happenings(incident: Incident, timeline: Sequence[TimelineEntry]) -> list[Block]:
    """The last of what happened, newest last."""
    if not timeline:
        return [paragraph("Nothing has happened yet.")]
    lines = [_line(entry) for entry in timeline[-LAST:]]
    more = len(timeline) - LAST
    if more > 0:
        whole = link(incident.permalink, f"{more} earlier")
        lines.insert(0, f"… {whole}")
    return [paragraph(text) for text in sections_of(["*What happened*", *lines])]


def _line(entry: TimelineEntry) -> str:
    by = f"{person(entry.by)} " if entry.by else ""
    text = f" {escape(shortened(' '.join(entry.text.split()), ENTRY))}" if entry.text else ""
    return f"{moment(entry.at)}  {by}{escape(shortened(entry.verb, 80))}{text}"


def show_text(incident: Incident) -> str:
    return card_text(incident)


def show_modal(incident: Incident, timeline: Sequence[TimelineEntry], follow_ups: Sequence[FollowUp]) -> View:
    """The same where there is no message to show it in."""
    blocks = show_blocks(incident, timeline, follow_ups)
    title = plain(shortened(incident.reference, TITLE_LIMIT))
    return View(type="modal", title=title, close=plain("Done"), blocks=blocks)
