"""Listeners of App Home and of `help`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import DeclareRequest, IncidentFilter
from tocsin.incidents.tasks import AssignedItem
from tocsin.incidents.validation import is_in_teams, is_visible_to
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.declare import open_form
from tocsin.slack.listeners.verbs import CommandSpec
from tocsin.slack.payloads import BlockAction, EventCallback, Payload, SlashCommand
from tocsin.slack.views.blocks import plain
from tocsin.slack.views.home import HomePage, closed_home, help_message, home_view
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.workflows.queries import OpenIncidentsCache
from tocsin.workflows.retry import best_effort

# The Home tab: published when a person opens it, and again for recent viewers when something changes.

CLOSED_SHOWN = 5
MOST_ITEMS = 100
"""Actions and follow-ups of a person that are looked for, oldest first."""

DEBOUNCE_SECONDS = 1.0
"""Seconds to wait for further changes before publishing Home again."""


async def show_home(callback: EventCallback, context: WorkspaceContext) -> None:
    """Publish Home when a person opens it (Slack, app_home_opened; `tab` may also be `messages`)."""
    person = callback.user
    if person is None or callback.event.get("tab", "home") != "home":
        return
    context.home_viewers.add(person)
    context.tasks.begin("show Home", publish_home(context, person))


async def publish_home(context: WorkspaceContext, person: PersonId) -> None:
    """Publish Home: open incidents from the cache, recently closed ones from the backend."""
    try:
        await context.authorizer.check(person, Verb.LIST)
    except Refused as refusal:
        await context.workspace.publish_home(person, closed_home(refusal.sentence))
        return
    opened = tuple(await context.as_seen(person, context.open_now.seen_by(person)))
    items, has_more_items = await _items_of(context, person)
    page = HomePage(
        mine=tuple(incident for incident in opened if person in incident.people),
        open=opened,
        at=context.clock(),
        items=items,
        has_more_items=has_more_items,
        elsewhere=_elsewhere(context),
        overdue=await _overdue_of(context, opened),
    )
    async with best_effort("look for closed incidents"):
        wanted = IncidentFilter(is_open=False, visible_to=person)
        closed = await context.find.matching(wanted, limit=CLOSED_SHOWN)
        page = page.model_copy(update={"closed": tuple(await context.as_seen(person, closed))})
    shown = (*page.open, *page.closed, *(one.incident for one in page.items))
    await context.workspace.publish_home(person, home_view(page), *shown)


async def _overdue_of(context: WorkspaceContext, opened: Sequence[Incident]) -> dict[str, datetime]:
    async with best_effort("look for overdue updates"):
        return await context.workflows.remind.overdue(opened)
    return {}


def _elsewhere(context: WorkspaceContext) -> str:
    """Return the product that alone knows a person's actions and follow-ups; empty if Tocsin does too."""
    form = context.forms.now
    knows = context.assigned_to is not None or form is None or Verb.FOLLOW_UP in form.lacks
    return "" if knows or form is None else form.kept_by


async def _items_of(context: WorkspaceContext, person: PersonId) -> tuple[tuple[AssignedItem, ...], bool]:
    """Return the person's open actions and follow-ups, of incidents that they may see in this workspace.

    The second value is True if there may be more.
    """
    if context.assigned_to is None:
        return (), False
    found: Sequence[AssignedItem] = ()
    async with best_effort("look for a person's actions and follow-ups"):
        found = await context.assigned_to(person, MOST_ITEMS)
    teams = context.peer_teams()
    seen = [one for one in found if is_in_teams(teams, one.incident) and is_visible_to(person, one.incident)]
    return tuple(seen), len(found) >= MOST_ITEMS


async def refresh_homes(
    open_now: OpenIncidentsCache, contexts: Callable[[], Iterable[WorkspaceContext]]
) -> None:
    """Publish Home again for its recent viewers whenever the open incidents change. Never returns."""
    changed = asyncio.Event()
    open_now.subscribers.append(changed.set)
    while True:
        await changed.wait()
        await asyncio.sleep(DEBOUNCE_SECONDS)
        changed.clear()
        for context in list(contexts()):
            for person in context.home_viewers.recent():
                async with best_effort("draw Home again"):
                    await publish_home(context, person)


async def declare_here(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Declare an incident* on Home."""
    await ack()
    context.tasks.begin("open the form", open_form(context, action, DeclareMetadata(), DeclareRequest()))


# The verb `help`.

LOOK_SECONDS = 1.0
"""Seconds to find the channel's incident; without it, help has the same content in another order."""


async def say_help(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """Handle `/incident help`: answer with a list of commands that only the person who asked can see."""
    found = [context.open_now.of_channel(command.channel_id)]
    if found == [None]:
        async with best_effort("look whose channel this is"), asyncio.timeout(LOOK_SECONDS):
            found = [await context.find.here(command.channel_id)]
    (incident,) = found
    here = ("In this channel", context.help.here)
    there = ("In an incident's channel, or with its reference: /incident status INC-12", context.help.here)
    anywhere = ("Anywhere", context.help.anywhere)
    text, blocks = help_message(*((here, anywhere) if incident else (anywhere, there)))
    await ack(response_type="ephemeral", text=text, blocks=blocks)


async def _build_help(context: WorkspaceContext, payload: Payload, text: str) -> View:
    there = ("In an incident's channel, or with its reference: /incident status INC-12", context.help.here)
    _, blocks = help_message(("Anywhere", context.help.anywhere), there)
    return View(type="modal", title=plain("Help"), close=plain("Done"), blocks=blocks)


HELP = CommandSpec(Verb.HELP, "/incident help", "lists the commands", say_help, build_view=_build_help)


async def acknowledge(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Acknowledge a link button: Slack opens the link itself but needs an acknowledgement."""
    await ack()
