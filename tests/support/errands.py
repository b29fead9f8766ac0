"""What a responder does with an incident that is open, and what only they read of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from slack_emulator.models import Message, View
from support.bot import RunningBot, chosen
from support.patience import LIMIT
from support.readings import cards, newest, settled, words
from tocsin.incidents.model import Incident


async def until(bot: RunningBot, holds: Callable[[], Any], patience: float = LIMIT) -> Any:
    """What `holds` answers once it is true; looked at again whenever something changes in the workspace."""
    with bot.workspace.subscribe() as changes:
        async with asyncio.timeout(patience):
            if found := holds():
                return found
            async for _ in changes:
                if found := holds():
                    return found
    raise AssertionError("The workspace closed.")


async def declared(bot: RunningBot, name: str, person: str = "ana", **fields: dict[str, Any]) -> Incident:
    """An incident with its channel, and everything that follows done."""
    view = await bot.type_command(person, "general", f"/incident {name}")
    await bot.fill(person, view, **{"severity_id": chosen("major"), **fields})
    outcome = await bot.submit(person, view)
    assert outcome.ok, outcome
    await settled(bot)
    return await newest(bot)


def whispers(bot: RunningBot, person: str, channel: str) -> list[Message]:
    """What only this person sees in a channel, oldest first."""
    who = bot.slack.person(person)
    return [m for m in bot.workspace.history(channel, who) if m.ephemeral_to == who]


async def typed_verb(bot: RunningBot, person: str, channel: str, text: str) -> str:
    """`/incident …` typed in a channel by id; the answer that only this person reads, in words."""
    before = len(whispers(bot, person, channel))
    outcome = await bot.workspace.command(bot.slack.person(person), channel, text)
    assert outcome.ok, outcome
    await until(bot, lambda: len(whispers(bot, person, channel)) > before)
    return words(whispers(bot, person, channel)[-1])


async def opened_by(bot: RunningBot, person: str, channel: str, text: str) -> View:
    """`/incident …` typed in a channel by id, and the form that it opens."""
    opened = bot.opened_so_far
    outcome = await bot.workspace.command(bot.slack.person(person), channel, text)
    assert outcome.ok, outcome
    return await bot.opened_form(person, since=opened)


async def sent(bot: RunningBot, person: str, view: View, **fields: dict[str, Any]) -> str:
    """A form filled in and sent, and the words of what stands in its place then."""
    await bot.fill(person, view, **fields)
    outcome = await bot.submit(person, view)
    assert outcome.ok, outcome
    stack = bot.workspace.stack(bot.slack.person(person))
    return words(stack[-1]) if stack else ""


def headline(bot: RunningBot, incident: Incident) -> Message:
    """The card in the incident's own channel."""
    return cards(bot, incident.slack_channel_id)[0]


async def press_card(bot: RunningBot, person: str, message: Message, action: str, **pressed: Any) -> None:
    """A button of a message pressed, or `option` chosen in its menu."""
    value = {"selected_option": {"value": pressed["option"]}} if pressed else None
    outcome = await bot.workspace.press(
        bot.slack.person(person),
        action,
        _block_of(message.blocks, action, pressed.get("option", "")),
        channel=message.channel,
        ts=message.ts,
        value=value,
    )
    assert outcome.ok, outcome


async def press_in_view(bot: RunningBot, person: str, view: View, action: str) -> None:
    """A button of a modal or of a Home tab pressed."""
    block = _block_of(view.payload["blocks"], action)
    outcome = await bot.workspace.press(bot.slack.person(person), action, block, view_id=view.id)
    assert outcome.ok, outcome


def _block_of(blocks: list[dict[str, Any]], action: str, option: str = "") -> str:
    """The block with this action; with an `option`, the one in whose menu it is, for there may be several."""
    for block in blocks:
        elements = [*block.get("elements", []), block.get("accessory") or {}]
        found = [element for element in elements if element.get("action_id") == action]
        values = {one["value"] for element in found for one in element.get("options", [])}
        if found and (not option or option in values):
            return str(block["block_id"])
    raise AssertionError(f"There is no {action} in {blocks}.")
