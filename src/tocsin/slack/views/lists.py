"""Lists of incidents, one incident in full, and the modal that asks for an incident."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field, ValidationError
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    DividerBlock,
    SectionBlock,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, FrozenModel, Incident, TimelineEntry
from tocsin.incidents.tasks import Checklist
from tocsin.incidents.timeline import TimelineItem, items_of
from tocsin.incidents.validation import ago
from tocsin.slack.views.blocks import (
    OPTIONS_LIMIT,
    State,
    context,
    date_token,
    escape,
    first_value,
    link,
    mrkdwn,
    paragraph,
    plain,
    sections_of,
    select_input,
    shorten,
)
from tocsin.slack.views.card import card, card_text, channel, facts_line, person
from tocsin.slack.views.declare import prefill
from tocsin.slack.views.details import detail_blocks
from tocsin.slack.views.followups import SHOWN_IN_FULL, follow_up_blocks, runbook_blocks
from tocsin.slack.views.metadata import TITLE_LIMIT, DeclareMetadata, VerbMetadata, verb_modal
from tocsin.slack.views.page import page_button
from tocsin.slack.views.people import people_buttons, seen_by_blocks
from tocsin.slack.views.times import times_blocks

# Lists, with one section for each incident.

ROW_NAME = 120
"""Characters of a name in a list; the card has the whole name."""


class ListQuery(FrozenModel):
    """Query of a list, carried in the values of the buttons that turn its pages (Slack: 2000 characters)."""

    words: str = Field(default="", max_length=300)
    """Text that was typed after the verb."""
    searching: bool = False
    after: str | None = Field(default=None, max_length=300)

    def to_json(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_text(cls, value: str | None) -> ListQuery:
        """Parse a button's value. Returns a query for all open incidents if it is stale or forged."""
        try:
            return cls.model_validate_json(value or "{}")
        except ValidationError:
            return cls()


class Listing(FrozenModel):
    """Page of incidents, with its title."""

    title: str
    incidents: tuple[Incident, ...]
    query: ListQuery
    more: bool = False
    said: str = ""
    """Note in plain text on the words that could not be understood."""
    typed: str = ""
    """Words after the command, to offer them as the name of a new incident."""


def row(incident: Incident, now: datetime, *, button: bool = True) -> SectionBlock:
    """Build a section with what a reader needs to choose an incident, and a button that shows it."""
    name = escape(shorten(incident.name, ROW_NAME)) or "(no name)"
    where = f" · {channel(incident)}" if incident.slack_channel_id else ""
    when = ago(incident.created_at, now)
    return SectionBlock(
        text=mrkdwn(
            f"*{link(incident.permalink, incident.reference)}*  {name}\n"
            f"{facts_line(incident)} · {when}{where}"
        ),
        accessory=ButtonElement(action_id="show_incident", text=plain("Show"), value=incident.id)
        if button
        else None,
    )


def rows(incidents: Sequence[Incident], now: datetime) -> list[Block]:
    return [row(incident, now) for incident in incidents]


def rows_by_stage(incidents: Sequence[Incident], now: datetime) -> list[Block]:
    """Build the rows, those of incidents in triage below the others and under a title of their own."""
    triage = [incident for incident in incidents if incident.incident_status.is_triage]
    others = [incident for incident in incidents if not incident.incident_status.is_triage]
    title: list[Block] = [paragraph("*In triage*")] if triage else []
    return [*rows(others, now), *title, *rows(triage, now)]


def list_blocks(listing: Listing, now: datetime) -> list[Block]:
    """Build the page, with its title and buttons to the next page and back to the first."""
    blocks: list[Block] = [paragraph(f"*{escape(listing.title)}*")]
    if listing.said:
        blocks.append(context(escape(listing.said)))
    blocks += rows_by_stage(listing.incidents, now)
    if not listing.incidents:
        blocks.append(paragraph("None."))
    turns = []
    if listing.query.after:
        first = listing.query.model_copy(update={"after": None})
        turns.append(
            ButtonElement(action_id="first_page", text=plain("Back to the newest"), value=first.to_json())
        )
    if listing.more and listing.incidents:
        older = listing.query.model_copy(update={"after": listing.incidents[-1].id})
        turns.append(ButtonElement(action_id="next_page", text=plain("Older"), value=older.to_json()))
    if listing.typed:
        words = plain(f"Declare “{shorten(listing.typed, 40)}” instead")
        filled = prefill(listing.typed)
        value = DeclareMetadata(name=filled.name, summary=filled.summary).to_button_value()
        turns.append(ButtonElement(action_id="declare_named", text=words, value=value))
    return [*blocks, ActionsBlock(elements=turns)] if turns else blocks


def list_text(listing: Listing) -> str:
    """Return the text that screen readers use in place of the list."""
    return f"{escape(listing.title)}: {len(listing.incidents)}{' or more' if listing.more else ''}"


def list_modal(listing: Listing, now: datetime) -> View:
    """Build the list as a modal, for when there is no message to show it in."""
    return View(type="modal", title=plain("Incidents"), close=plain("Done"), blocks=list_blocks(listing, now))


# One incident in full, for one reader: card, details, unfinished follow-ups, and the end of the timeline.

LAST = 10
"""Entries of the timeline that are shown; the incident's page has all of them."""

VERB = 120
"""Characters of its verb, which may have a person's name or an earlier value in it."""

ENTRY = 180
"""Characters of its text; ten entries with their dates fit into two sections of 3000."""


def show_blocks(
    incident: Incident,
    timeline: Sequence[TimelineEntry],
    checklist: Checklist,
    *,
    can_page: bool = False,
    form: Form | None = None,
) -> list[Block]:
    """Build the incident in full; with *Page* if there are targets that can be paged."""
    undone = tuple(item for item in checklist.items if not item.is_done)
    page = [page_button(incident)] if can_page and incident.incident_status.is_open else []
    return [
        *card(incident),
        *detail_blocks(incident),
        *times_blocks(incident),
        *seen_by_blocks(incident),
        people_buttons(incident),
        *page,
        *runbook_blocks(checklist.runbooks),
        *follow_up_blocks(checklist.model_copy(update={"items": undone}), shown=SHOWN_IN_FULL),
        DividerBlock(),
        *timeline_blocks(incident, timeline, form),
    ]


def timeline_blocks(
    incident: Incident, timeline: Sequence[TimelineEntry], form: Form | None = None
) -> list[Block]:
    """Build the latest entries of the timeline, newest last."""
    if not timeline:
        return [paragraph("Nothing has happened yet.")]
    lines = [_line(item) for item in items_of(incident, timeline, form)[-LAST:]]
    more = len(timeline) - LAST
    if more > 0:
        whole = link(incident.permalink, f"{more} earlier")
        lines.insert(0, f"… {whole}")
    return [paragraph(text) for text in sections_of(["*Timeline*", *lines])]


def _line(item: TimelineItem) -> str:
    by = f"{person(item.by) if item.by else item.actor} ".lstrip()
    text = f" {escape(shorten(' '.join(item.text.split()), ENTRY))}" if item.text else ""
    return f"{date_token(item.at)}  {by}{escape(shorten(item.verb, VERB))}{text}"


def show_text(incident: Incident) -> str:
    return card_text(incident)


def show_modal(
    incident: Incident,
    timeline: Sequence[TimelineEntry],
    checklist: Checklist,
    *,
    can_page: bool = False,
    form: Form | None = None,
) -> View:
    """Build the incident in full as a modal, for when there is no message to show it in."""
    blocks = show_blocks(incident, timeline, checklist, can_page=can_page, form=form)
    title = plain(shorten(incident.reference, TITLE_LIMIT))
    return View(type="modal", title=title, close=plain("Done"), blocks=blocks)


# The modal that asks which incident a command is about, if the channel does not tell.

CALLBACK_ID = "choose"


def choose_modal(
    metadata: VerbMetadata,
    incidents: Sequence[Incident],
    *,
    typed: str = "",
    question: str = "",
    chosen: str = "",
    problem: str = "",
) -> View:
    """Build the modal with the open incidents that this person may see, and a button to declare a new one.

    `typed` is the command as people read it; it may have been meant as the name of a new incident. `question`
    and `trouble` are mrkdwn. `chosen` is the incident that is selected at first. Without incidents, the modal
    only asks what the person meant.
    """
    blocks: list[Block] = []
    if typed:
        blocks.append(paragraph(f"You typed `{escape(shorten(typed, 200)).replace('`', '')}`."))
    if question:
        blocks.append(paragraph(question))
    if incidents:
        blocks.append(_select(incidents, chosen))
    if typed:
        button = ButtonElement(
            action_id="declare_instead", text=plain("Declare a new incident instead"), value="declare"
        )
        blocks.append(ActionsBlock(block_id="declare_instead", elements=[button]))
    title = "Which incident?" if incidents else "What did you mean?"
    return verb_modal(CALLBACK_ID, title, metadata, blocks, submit="Continue", problem=problem)


def _select(incidents: Sequence[Incident], chosen: str) -> Block:
    choices = [(i.id, f"{i.reference} {i.name}", i.incident_status.name) for i in incidents]
    only = incidents[0].id if len(incidents) == 1 else ""
    return select_input(
        "incident_id",
        "Which incident is it about?",
        choices[:OPTIONS_LIMIT],
        chosen=[chosen or only],
        optional=False,
    )


def read_choose(state: State) -> str:
    return first_value(state, "incident_id")
