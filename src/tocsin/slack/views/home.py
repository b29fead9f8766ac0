"""App Home and help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    MarkdownTextObject,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import FrozenModel, Incident
from tocsin.slack.views.blocks import date_token, escape, paragraph, plain, sections_of
from tocsin.slack.views.lists import ListQuery, rows

# The Home tab: the reader's incidents, other open ones, closed ones, and a button to declare.

SHOWN = 10
"""Incidents in each part; the list has the rest. Slack allows 100 blocks and 250 KB on a Home tab."""


class HomePage(FrozenModel):
    """Content of one person's Home tab; it has only incidents that this person may see."""

    mine: tuple[Incident, ...] = ()
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
    others = [incident for incident in page.open if incident not in page.mine]
    triage = [incident for incident in others if incident.incident_status.is_triage]
    others = [incident for incident in others if not incident.incident_status.is_triage]
    blocks: list[Block] = [ActionsBlock(block_id="home", elements=buttons), *_quiet(page)]
    blocks += _part("Yours", page.mine, page.at)
    blocks += _part("Open" if not page.mine else "Others that are open", others, page.at)
    blocks += _part("In triage" if not page.mine else "Others in triage", triage, page.at)
    blocks += _part("Recently closed", page.closed, page.at)
    blocks.append(
        ContextBlock(elements=[MarkdownTextObject(text=f"As of {date_token(page.at)}", verbatim=True)])
    )
    return View(type="home", blocks=blocks)


def closed_home(sentence: str) -> View:
    """Build the Home tab of a person who may not list incidents, with the reason."""
    return View(type="home", blocks=[paragraph(escape(sentence))])


def _quiet(page: HomePage) -> list[Block]:
    return [] if page.open else [paragraph(":white_check_mark: No incident is open.")]


def _part(title: str, incidents: Sequence[Incident], now: datetime) -> list[Block]:
    if not incidents:
        return []
    left = len(incidents) - SHOWN
    more: list[Block] = []
    if left > 0:
        said = MarkdownTextObject(text=f"And {left} more: press *List incidents*.", verbatim=True)
        more.append(ContextBlock(elements=[said]))
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
