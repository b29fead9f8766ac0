"""Enterprise Grid: a member of a sister workspace works on an incident from a channel that is shared with it.

In a view Slack names the person's own workspace, and the view itself says where the app is installed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.bot import RunningBot, chosen, picked, typed
from support.estate import AWAY, HOME, HOME_ADMIN, Lobby, lobby
from support.readings import cards, settled, words

from slack_emulator.models import Message, Request, View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio
MAX = "U0MAX00002"


@asynccontextmanager
async def grid(folder: Path, *, wide: bool) -> AsyncIterator[Lobby]:
    """Lumen Freight, whose #general is shared with Northwind: Max of Northwind is in it.

    Both are of one organization. The app is installed in Lumen Freight alone, or `wide`, in all of it.
    """
    async with lobby(folder / "data", org=True) as running:
        await running.install(HOME_ADMIN, **({"wide": "1"} if wide else {}))
        home, away = running.of(HOME), running.of(AWAY)
        running.estate.share(home.workspace, home.slack.channel("general"), away.workspace, MAX)
        yield running


async def declared(running: Lobby) -> tuple[Incident, Message]:
    """An incident of Ana's, and its card in #general."""
    home = running.of(HOME)
    view = await home.type_command("ana", "general", "/incident Checkout is slow")
    await home.fill("ana", view, severity_id=chosen("major"))
    assert (await home.submit("ana", view)).ok
    await settled(home)
    incident = await running.incident("Checkout is slow")
    return incident, cards(home, home.slack.channel("general"))[-1]


async def opened(seen: RunningBot, card: Message, action: str, value: Any = None, who: str = MAX) -> View:
    """What a button or a line of the menu of a card opens."""
    before = seen.opened_so_far
    block = next(b for b in card.blocks if any(e.get("action_id") == action for e in b.get("elements", [])))
    pressed = await seen.workspace.press(
        who, action, block["block_id"], channel=card.channel, ts=card.ts, value=value
    )
    assert pressed.ok, pressed
    await seen.workspace.heard("views.open", before + 1)
    await seen.app.resources.tasks.settled()
    return seen.workspace.stack(who)[-1]


FORMS = {
    "update": ("update_incident", {"message": typed("It is the cache")}),
    "role": ("incident_menu", {"incident_role_assignments.lead": picked(MAX)}),
    "action": ("incident_menu", {"text": typed("Restart the cache")}),
    "note": ("incident_menu", {"message": typed("The cache was cold")}),
    "close": ("incident_menu", {"message": typed("It is warm")}),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("verb", FORMS)
async def test_a_member_of_a_sister_workspace_opens_a_form_submits_it_and_is_done(
    tmp_path: Path, verb: str, wide: bool
) -> None:
    async with grid(tmp_path, wide=wide) as running:
        incident, card = await declared(running)
        home, (action, filled) = running.of(HOME), FORMS[verb]
        view = await opened(home, card, action, {"selected_option": {"value": f"{verb} {incident.id}"}})
        await home.fill("max", view, **filled)
        sent = await home.workspace.submit(MAX, view.id)
        assert sent.ok, (sent, words(view))
        await settled(home)
        (submitted,) = [r for r in submissions(home) if r.args["user"]["id"] == MAX]
        assert submitted.args["user"]["team_id"] == AWAY
        assert MAX in await actors(running, incident)


async def test_a_button_in_a_form_is_pressed_in_the_workspace_of_the_form(tmp_path: Path) -> None:
    async with grid(tmp_path, wide=False) as running:
        incident, card = await declared(running)
        home, line = running.of(HOME), {"selected_option": {"value": f"action {incident.id}"}}
        view = await opened(home, card, "incident_menu", line)
        await home.fill("max", view, text=typed("Restart the cache"))
        assert (await home.workspace.submit(MAX, view.id)).ok
        await settled(home)
        view = await opened(home, card, "incident_menu", line)
        assert (await press_in(home, view, "complete_follow_up")).ok
        await home.app.settled()
        await settled(home)
        (done,) = await running.bot.backend.follow_ups(incident.id)
        assert done.is_done


async def test_a_guest_of_a_sister_workspace_is_a_guest(tmp_path: Path) -> None:
    async with grid(tmp_path, wide=False) as running:
        incident, card = await declared(running)
        home = running.of(HOME)
        home.workspace.person(MAX).role = "guest"
        block = next(b for b in card.blocks if "take_lead" in str(b))
        where = {"channel": card.channel, "ts": card.ts}
        assert (await home.workspace.press(MAX, "take_lead", block["block_id"], **where)).ok
        await home.workspace.heard("response_url")
        whisper = [m for m in home.workspace.history(card.channel, MAX) if m.ephemeral_to == MAX]
        assert whisper[-1].text.startswith("Guests of this workspace may not ")
        assert MAX not in await actors(running, incident)


async def test_where_the_app_is_for_the_whole_organization_a_command_is_everybodys(tmp_path: Path) -> None:
    async with grid(tmp_path, wide=True) as running:
        home = running.of(HOME)
        before = home.opened_so_far
        general = home.slack.channel("general")
        assert (await home.workspace.command(MAX, general, "/incident Orders are stuck")).ok
        view = await home.opened_form("max", since=before)
        await home.fill("max", view, severity_id=chosen("major"))
        assert (await home.workspace.submit(MAX, view.id)).ok
        await settled(home)
        incident = await running.incident("Orders are stuck")
        assert incident.reference in words(view)
        assert incident.reference in words(cards(home, general)[-1])


def submissions(seen: RunningBot) -> list[Request]:
    return [r for r in seen.workspace.requests if r.method == "view_submission"]


async def press_in(seen: RunningBot, view: View, action: str) -> Any:
    elements = [
        (block, element)
        for block in view.payload["blocks"]
        for element in [*block.get("elements", []), block.get("accessory") or {}]
    ]
    block = next(block for block, element in elements if element.get("action_id") == action)
    return await seen.workspace.press(view.user, action, block["block_id"], view_id=view.id)


async def actors(running: Lobby, incident: Incident) -> set[str]:
    timeline = await running.bot.backend.timeline(incident.id)
    return {str(entry.by.slack_user_id) for entry in timeline if entry.by is not None}
