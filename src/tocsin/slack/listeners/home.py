"""Listeners of App Home and of `help`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import PersonId
from tocsin.incidents.requests import DeclareRequest, IncidentFilter
from tocsin.slack.context import Desk
from tocsin.slack.listeners.declare import open_form
from tocsin.slack.listeners.replies import Asked
from tocsin.slack.payloads import Command, Happening, Press
from tocsin.slack.views.blocks import plain
from tocsin.slack.views.home import HomePage, closed_home, help_message, home_view
from tocsin.slack.views.metadata import FormContext
from tocsin.workflows.queries import OpenIncidentsCache
from tocsin.workflows.retry import best_effort

# App Home: drawn when it is opened, and again when something changes for who looked at it lately.

CLOSED_SHOWN = 5
TOGETHER_SECONDS = 1.0
"""Changes that come within so many seconds are shown together."""


async def show_home(happening: Happening, desk: Desk) -> None:
    """Somebody looks at Home (Slack, app_home_opened; its other tab is the messages)."""
    person = happening.user
    if person is None or happening.event.get("tab", "home") != "home":
        return
    desk.lookers.looked(person)
    desk.tasks.begin("show Home", publish_home(desk, person))


async def publish_home(desk: Desk, person: PersonId) -> None:
    """What is at hand is shown; what was lately closed is asked of the backend."""
    try:
        await desk.permits.check(person, "list")
    except Refused as refusal:
        await desk.workspace.publish_home(person, closed_home(refusal.sentence))
        return
    opened = tuple(await desk.as_seen(person, desk.open_now.seen_by(person)))
    page = HomePage(
        mine=tuple(incident for incident in opened if person in incident.people),
        open=opened,
        at=desk.clock(),
    )
    async with best_effort("look for closed incidents"):
        wanted = IncidentFilter(is_open=False, visible_to=person)
        closed = await desk.find.matching(wanted, limit=CLOSED_SHOWN)
        page = page.model_copy(update={"closed": tuple(await desk.as_seen(person, closed))})
    await desk.workspace.publish_home(person, home_view(page), *page.open, *page.closed)


async def homes_kept(open_now: OpenIncidentsCache, desks: Callable[[], Iterable[Desk]]) -> None:
    """For ever: draw Home again for who looked at it lately, whenever what is open has changed."""
    changed = asyncio.Event()
    open_now.subscribers.append(changed.set)
    while True:
        await changed.wait()
        await asyncio.sleep(TOGETHER_SECONDS)
        changed.clear()
        for desk in list(desks()):
            for person in desk.lookers.lately():
                async with best_effort("draw Home again"):
                    await publish_home(desk, person)


async def declare_here(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Declare an incident*, on Home."""
    await ack()
    desk.tasks.begin("open the form", open_form(desk, press, FormContext(), DeclareRequest()))


# Say what can be done, here and anywhere.

LOOK_SECONDS = 1.0
"""How long help may look whose channel it is; it says the same in another order without."""


async def say_help(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident help`, seen only by who asked; it needs no call to Slack."""
    found = [desk.open_now.of_channel(command.channel_id)]
    if found == [None]:
        async with best_effort("look whose channel this is"), asyncio.timeout(LOOK_SECONDS):
            found = [await desk.find.here(command.channel_id)]
    (incident,) = found
    here = ("In this channel", desk.help.here)
    there = ("In an incident's channel, or with its reference: /incident status INC-12", desk.help.here)
    anywhere = ("Anywhere", desk.help.anywhere)
    text, blocks = help_message(*((here, anywhere) if incident else (anywhere, there)))
    await ack(response_type="ephemeral", text=text, blocks=blocks)


async def help_view(desk: Desk, asked: Asked, text: str) -> View:
    """The same in a modal."""
    there = ("In an incident's channel, or with its reference: /incident status INC-12", desk.help.here)
    _, blocks = help_message(("Anywhere", desk.help.anywhere), there)
    return View(type="modal", title=plain("Help"), close=plain("Done"), blocks=blocks)


async def just_acknowledge(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """A button that is only a link: Slack opens it, and wants a word from us all the same."""
    await ack()
