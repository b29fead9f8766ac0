"""Incidents in a list: one line each, wherever several are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field, ValidationError
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    MarkdownTextObject,
    SectionBlock,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import Frozen, Incident
from tocsin.incidents.validation import ago
from tocsin.slack.views.card import channel, facts_line
from tocsin.slack.views.context import FormContext
from tocsin.slack.views.declare import named
from tocsin.slack.views.kit import escape, link, paragraph, plain, shortened

ROW_NAME = 120
"""Characters of a name in a list; the card has all of it."""


class ListQuery(Frozen):
    """What is listed, carried in the buttons that turn its pages (Slack: 2000 characters)."""

    words: str = Field(default="", max_length=300)
    """What was typed after the verb."""
    searching: bool = False
    after: str | None = Field(default=None, max_length=300)

    def packed(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def read(cls, value: str | None) -> ListQuery:
        """The query as we wrote it; everything that is open where it is stale or not ours."""
        try:
            return cls.model_validate_json(value or "{}")
        except ValidationError:
            return cls()


class Listing(Frozen):
    """A page of incidents with what is said above it."""

    title: str
    incidents: tuple[Incident, ...]
    query: ListQuery
    more: bool = False
    said: str = ""
    """What could not be made of the words, in plain text."""
    typed: str = ""
    """The words after the command, for who meant a name by them."""


def row(incident: Incident, now: datetime, *, button: bool = True) -> SectionBlock:
    """An incident with what one must know to choose it, and a button that shows it."""
    name = escape(shortened(incident.name, ROW_NAME)) or "(no name)"
    where = f" · {channel(incident)}" if incident.slack_channel_id else ""
    when = ago(incident.created_at, now)
    return SectionBlock(
        text=MarkdownTextObject(
            text=f"*{link(incident.permalink, incident.reference)}*  {name}\n"
            f"{facts_line(incident)} · {when}{where}",
            verbatim=True,
        ),
        accessory=ButtonElement(action_id="show_incident", text=plain("Show"), value=incident.id)
        if button
        else None,
    )


def rows(incidents: Sequence[Incident], now: datetime) -> list[Block]:
    return [row(incident, now) for incident in incidents]


def list_blocks(listing: Listing, now: datetime) -> list[Block]:
    """The page, its title, and the way to the next and back to the first."""
    blocks: list[Block] = [paragraph(f"*{escape(listing.title)}*")]
    if listing.said:
        blocks.append(ContextBlock(elements=[MarkdownTextObject(text=escape(listing.said), verbatim=True)]))
    blocks += rows(listing.incidents, now)
    if not listing.incidents:
        blocks.append(paragraph("None."))
    turns = []
    if listing.query.after:
        first = listing.query.model_copy(update={"after": None})
        turns.append(
            ButtonElement(action_id="first_page", text=plain("Back to the newest"), value=first.packed())
        )
    if listing.more and listing.incidents:
        older = listing.query.model_copy(update={"after": listing.incidents[-1].id})
        turns.append(ButtonElement(action_id="next_page", text=plain("Older"), value=older.packed()))
    if listing.typed:
        words = plain(f"Declare “{shortened(listing.typed, 40)}” instead")
        filled = named(listing.typed)
        value = FormContext(name=filled.name, summary=filled.summary).packed_small()
        turns.append(ButtonElement(action_id="declare_named", text=words, value=value))
    return [*blocks, ActionsBlock(elements=turns)] if turns else blocks


def list_text(listing: Listing) -> str:
    """What a screen reader says in place of the list."""
    return f"{escape(listing.title)}: {len(listing.incidents)}{' or more' if listing.more else ''}"


def list_modal(listing: Listing, now: datetime) -> View:
    """The list where there is no message to show it in."""
    return View(type="modal", title=plain("Incidents"), close=plain("Done"), blocks=list_blocks(listing, now))
