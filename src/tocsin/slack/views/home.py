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

from tocsin.incidents.model import Frozen, Incident
from tocsin.slack.views.blocks import escape, moment, paragraph, plain, sections_of
from tocsin.slack.views.lists import ListQuery, rows

# App Home: what is open, what is mine, what was lately closed, and a button to declare.

SHOWN = 10
"""Incidents of each kind; the list has the rest. Slack shows 100 blocks on a Home tab, 250 KB in all."""


class HomePage(Frozen):
    """What one person sees on Home; each incident in it may be known to them."""

    mine: tuple[Incident, ...] = ()
    open: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()
    at: datetime


def home_view(page: HomePage) -> View:
    """The Home tab (Slack, views.publish)."""
    buttons = [
        ButtonElement(
            action_id="declare_here", text=plain("Declare an incident"), style="primary", value="declare"
        ),
        ButtonElement(action_id="list_incidents", text=plain("List incidents"), value=ListQuery().packed()),
    ]
    others = [incident for incident in page.open if incident not in page.mine]
    blocks: list[Block] = [ActionsBlock(block_id="home", elements=buttons), *_quiet(page)]
    blocks += _part("Yours", page.mine, page.at)
    blocks += _part("Open" if not page.mine else "Others that are open", others, page.at)
    blocks += _part("Lately closed", page.closed, page.at)
    blocks.append(ContextBlock(elements=[MarkdownTextObject(text=f"As of {moment(page.at)}", verbatim=True)]))
    return View(type="home", blocks=blocks)


def closed_home(sentence: str) -> View:
    """The Home tab of somebody who may not list incidents, with why."""
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


# What `/incident help` says: what can be done here first, then what can be done anywhere.

Lines = Iterable[tuple[str, str]]


def help_message(*parts: tuple[str, Lines]) -> tuple[str, list[Block]]:
    """Each part with its heading, one way in a line: what to type or pick, and what it does."""
    said: list[str] = []
    blocks: list[Block] = []
    for heading, lines in parts:
        rows = [f"• {_marked(what)}  {escape(does)}" for what, does in lines]
        if rows:
            said += [f"*{escape(heading)}*", *rows]
            blocks += [paragraph(text) for text in sections_of([f"*{escape(heading)}*", *rows])]
    return "\n".join(said), blocks


def _marked(what: str) -> str:
    """What is typed looks like typing; what is picked from a menu is only bold."""
    return f"`{escape(what)}`" if what.startswith("/") else f"*{escape(what)}*"
