"""What a person reads in the workspace: the words of forms and messages, and who was told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slack_emulator.models import Channel, Message, Request, View
from support.bot import RunningBot
from support.patience import LIMIT
from tocsin.incidents.model import Incident


def words(shown: object) -> str:
    """Every text and address in a view, a message's blocks, or any part of one, in order."""
    if isinstance(shown, View):
        shown = shown.payload
    if isinstance(shown, Message):
        shown = [shown.text, shown.blocks, shown.attachments]
    return " ".join(_strings(shown))


def _strings(shown: object) -> Iterator[str]:
    if isinstance(shown, str):
        yield shown
    elif isinstance(shown, list):
        for part in shown:
            yield from _strings(part)
    elif isinstance(shown, dict):
        for key in ("title", "text", "label", "url", "elements", "fields", "blocks", "element", "user_id"):
            if key in shown:
                yield from _strings(shown[key])


def block_ids(view: View) -> list[str]:
    return [block["block_id"] for block in view.payload["blocks"]]


def value(view: View, field: str) -> Any:
    """What stands in a field of an open form: its text, or the value of the chosen option."""
    state = view.values[field][field]
    option = state.get("selected_option")
    return option["value"] if option else state.get("value") or state.get("selected_user")


def post(bot: RunningBot, channel: str, **fields: Any) -> Message:
    """A message of any shape, as somebody's app or an importer may have left it."""
    room = bot.workspace.channel_by_name(channel)
    return bot.workspace.messages.post(room, Message(room.id, "", **fields))


async def said(bot: RunningBot, person: str, channel: str, text: str, thread: str | None = None) -> Message:
    room = bot.slack.channel(channel)
    outcome = await bot.workspace.say(bot.slack.person(person), room, text, thread)
    assert outcome.ok, outcome
    assert outcome.ts is not None
    return bot.workspace.message(room, outcome.ts)


async def pressed(bot: RunningBot, view: View, action: str, block: str) -> None:
    """A button in an open modal pressed, and the change of the modal that follows it."""

    def is_update(call: Request) -> bool:
        # Another form may be changing at the same time, such as one that was just sent.
        return call.method == "views.update" and call.args.get("view_id") == view.id

    updates = len(bot.workspace.request_log.matching(is_update))
    outcome = await bot.workspace.press(view.user, action, block, view_id=view.id)
    assert outcome.ok, outcome
    await bot.workspace.heard(is_update, updates + 1)


def cards(bot: RunningBot, channel_id: str) -> list[Message]:
    """The bot's own posts in a channel, threads included, oldest first."""
    posted = bot.workspace.state.lasting(channel_id)
    return [message for message in posted if message.app_id == bot.slack.app.app_id]


def told(bot: RunningBot, person: str) -> list[Message]:
    """The bot's direct messages to somebody."""
    pair = {bot.slack.person(person), bot.slack.app.bot_user_id}
    rooms = [c for c in bot.workspace.state.channels.values() if c.kind == "im" and set(c.members) == pair]
    return [message for room in rooms for message in cards(bot, room.id)]


async def settled(bot: RunningBot) -> None:
    """Everything that was declared has been followed through."""
    # A press is acknowledged before its story has begun, and a story begins tasks.
    await bot.app.resources.tasks.settled()
    await bot.engine.finish(LIMIT)
    await bot.app.resources.tasks.settled()
    assert await bot.engine.unfinished() == []


async def newest(bot: RunningBot) -> Incident:
    return (await bot.backend.incidents(limit=1))[0]


async def how_many(bot: RunningBot) -> int:
    return len(await bot.backend.incidents(limit=200))


def own_channel(bot: RunningBot, incident: Incident) -> Channel:
    return bot.workspace.channel(incident.slack_channel_id)


async def deliver(bot: RunningBot, kind: Any, payload: dict[str, Any], method: str = "raw") -> dict[str, Any]:
    """A payload put on the wire as it is; the body of the acknowledgement."""
    answer = await bot.workspace.delivery.deliver(bot.slack.app, kind, payload, method)
    assert answer.ok, answer
    return answer.response or {}


def last_delivery(bot: RunningBot, method: str) -> dict[str, Any]:
    """The payload of the last gesture of a kind, as it went over the wire."""
    return next(r for r in reversed(bot.workspace.requests) if r.method == method).args
