"""App Home and help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf

from pydantic import Field
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    DividerBlock,
    HeaderBlock,
    SectionBlock,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import FrozenModel, Incident
from tocsin.incidents.tasks import AssignedItem
from tocsin.incidents.validation import FOLLOW_UP_WORDS, ago
from tocsin.slack.views.blocks import (
    context,
    date_token,
    escape,
    link,
    mrkdwn,
    paragraph,
    plain,
    sections_of,
    shorten,
)
from tocsin.slack.views.lists import ListQuery, rows

# The Home tab: in short what is open, then the reader's own, other open incidents and closed ones.

SHOWN = 10
"""Lines in each part; the list has the rest. Slack allows 100 blocks and 250 KB on a Home tab."""

ITEM_LIMIT = 150
"""Characters of an action or a follow-up; the incident has the whole text."""


class HomePage(FrozenModel):
    """Content of one person's Home tab; it has only incidents that this person may see."""

    mine: tuple[Incident, ...] = ()
    items: tuple[AssignedItem, ...] = ()
    """Open actions and follow-ups whose assignee this person is, oldest first."""
    has_more_items: bool = False
    """True if there may be more of them than were looked for."""
    elsewhere: str = ""
    """Name of the product that alone knows whose actions and follow-ups there are; else empty."""
    overdue: dict[str, datetime] = Field(default_factory=dict)
    """When updates were due that are missing, by id of an open incident, longest due first."""
    open: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()
    at: datetime


def home_view(page: HomePage) -> View:
    """Build the Home tab (Slack, views.publish)."""
    buttons = [
        ButtonElement(
            action_id="declare_here", text=plain("Declare an incident"), style="primary", value="declare"
        ),
        ButtonElement(action_id="list_incidents", text=plain("List incidents"), value=ListQuery().to_json()),
        ButtonElement(action_id="run_test", text=plain("Test Tocsin"), value="test"),
    ]
    mine = {incident.id for incident in page.mine}
    others = [incident for incident in page.open if incident.id not in mine]
    triage = [incident for incident in others if incident.incident_status.is_triage]
    others = [incident for incident in others if not incident.incident_status.is_triage]
    blocks: list[Block] = [ActionsBlock(block_id="home", elements=buttons), paragraph(_in_short(page))]
    blocks += _overdue(page)
    blocks += _part("Yours", worst_first(page.mine), page.at)
    blocks += _items(page)
    blocks += _part("Open" if not page.mine else "Others that are open", worst_first(others), page.at)
    blocks += _part("In triage" if not page.mine else "Others in triage", triage, page.at)
    blocks += _part("Recently closed", page.closed, page.at)
    if page.elsewhere:
        blocks.append(context(f"Your actions and follow-ups are on {escape(page.elsewhere)}'s own pages."))
    return View(type="home", blocks=[*blocks, context(f"As of {date_token(page.at)}")])


def worst_first(incidents: Iterable[Incident]) -> list[Incident]:
    """Return incidents by severity, those without one last; of one severity the order stays."""
    return sorted(incidents, key=lambda one: -one.severity.rank if one.severity else inf)


def _in_short(page: HomePage) -> str:
    """Return how many incidents are open, by severity with the worst first, and how many are in triage."""
    if not page.open:
        return ":white_check_mark: No incident is open."
    active = [one for one in page.open if not one.incident_status.is_triage]
    counts = Counter(one.severity.name if one.severity else "no severity" for one in worst_first(active))
    said = [f"*{count}* {escape(shorten(name, 80))}" for name, count in counts.items()]
    if triage := len(page.open) - len(active):
        said.append(f"*{triage}* in triage")
    return f":rotating_light: Open: {' · '.join(said)}"


def _overdue(page: HomePage) -> list[Block]:
    """Build the incidents whose update is overdue, each with *Update*."""
    shown = {one.id: one for one in page.open}
    found = [(shown[id_], at) for id_, at in page.overdue.items() if id_ in shown]
    if not found:
        return []
    more = [context(f"And {len(found) - SHOWN} more.")] if len(found) > SHOWN else []
    heading = HeaderBlock(text=plain(f"Updates overdue ({len(found)})"))
    return [DividerBlock(), heading, *(_late(one, at, page.at) for one, at in found[:SHOWN]), *more]


def _late(incident: Incident, due: datetime, now: datetime) -> SectionBlock:
    said = f"*{link(incident.permalink, incident.reference)}*  {escape(shorten(incident.name, ITEM_LIMIT))}"
    return SectionBlock(
        text=mrkdwn(f"{said}\n:alarm_clock: An update was due {ago(due, now)}"),
        accessory=ButtonElement(action_id="update_incident", text=plain("Update"), value=incident.id),
    )


def _items(page: HomePage) -> list[Block]:
    """Build the reader's open actions and follow-ups, the oldest first, each with its *Done*."""
    if not page.items:
        return []
    left = len(page.items) - SHOWN
    at_least = " or more" if page.has_more_items else ""
    more = [context(f"And {left}{at_least or ' more'}.")] if left > 0 else []
    heading = HeaderBlock(text=plain(f"Your actions and follow-ups ({len(page.items)}{at_least})"))
    return [DividerBlock(), heading, *(_item(one, page.at) for one in page.items[:SHOWN]), *more]


def _item(one: AssignedItem, now: datetime) -> SectionBlock:
    word = FOLLOW_UP_WORDS[one.item.kind].capitalize()
    late = " · :red_circle: *overdue*" if one.is_overdue(now) else ""
    reference = link(one.incident.permalink, one.incident.reference)
    said = f"{escape(shorten(one.item.text, ITEM_LIMIT))}\n{word} of {reference}"
    done = ButtonElement(
        action_id="complete_follow_up", text=plain("Done"), value=f"{one.incident.id} {one.item.id}"
    )
    return SectionBlock(
        text=mrkdwn(f"{said} · added {ago(one.item.created_at, now)}{late}"),
        accessory=done,
    )


def closed_home(sentence: str) -> View:
    """Build the Home tab of a person who may not list incidents, with the reason."""
    return View(type="home", blocks=[paragraph(escape(sentence))])


def _part(title: str, incidents: Sequence[Incident], now: datetime) -> list[Block]:
    if not incidents:
        return []
    left = len(incidents) - SHOWN
    more: list[Block] = []
    if left > 0:
        more.append(context(f"And {left} more: press *List incidents*."))
    heading = HeaderBlock(text=plain(f"{title} ({len(incidents)})"))
    return [DividerBlock(), heading, *rows(incidents[:SHOWN], now), *more]


# The answer to `/incident help`: what can be done here, then what can be done anywhere.

Lines = Iterable[tuple[str, str]]


def help_message(*parts: tuple[str, Lines]) -> tuple[str, list[Block]]:
    """Return the help as text and as blocks. A line says what to type or pick, and what it does."""
    said: list[str] = []
    blocks: list[Block] = []
    for heading, lines in parts:
        rows = [f"• {_marked(what)}  {escape(does)}" for what, does in lines]
        if rows:
            said += [f"*{escape(heading)}*", *rows]
            blocks += [paragraph(text) for text in sections_of([f"*{escape(heading)}*", *rows])]
    return "\n".join(said), blocks


def _marked(what: str) -> str:
    """Return a command as code, and a menu item in bold."""
    return f"`{escape(what)}`" if what.startswith("/") else f"*{escape(what)}*"
