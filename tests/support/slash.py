"""A slash command with its text as Slack puts it on the wire, and what comes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slack_emulator.models import View
from support.bot import RunningBot
from support.errands import whispers
from support.readings import deliver, words
from tocsin.incidents.model import Incident

CASES: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "commands.json").read_text())


@dataclass
class Answered:
    """What somebody reads who sent a command: a sentence, or a form."""

    said: str = ""
    view: View | None = None


async def slash(bot: RunningBot, person: str, channel: str, text: str) -> Answered:
    """`/incident` with this text, in a channel by id; the answer, or the form that opens."""
    app, who = bot.slack.app, bot.workspace.person(bot.slack.person(person))
    await bot.workspace.dismiss(who.id, whole_stack=True)
    bot.workspace.clear()
    room = bot.workspace.channel(channel)
    url = bot.workspace.response_urls.mint(app, who.id, room.id)
    trigger = bot.workspace.views.trigger(app, who.id, channel=room.id)
    payload = bot.workspace.payloads.command(app, who, room, "/incident", text, trigger, url)
    answer = await deliver(bot, "slash_commands", payload, "slash_commands")
    if answer:
        return Answered(said=str(answer.get("text") or ""))
    await bot.workspace.heard(lambda r: r.method in {"views.open", "response_url"})
    stack = bot.workspace.stack(who.id)
    return Answered(view=stack[-1]) if stack else Answered(said=words(whispers(bot, person, channel)[-1]))


def spelt(template: str, incident: Incident, pages: str, text: str = "") -> str:
    """A spelling of the incident, filled in."""
    reference, number = incident.reference, incident.reference.removeprefix("INC-")
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in reference)
    return template.format(
        ref=reference,
        small=reference.lower(),
        number=number,
        hyphen=f"INC\u2010{number}",
        no_break_hyphen=f"INC\u2011{number}",
        en_dash=f"INC\u2013{number}",
        em_dash=f"INC\u2014{number}",
        minus=f"INC\u2212{number}",
        wide=wide,
        channel=incident.slack_channel_id,
        channel_name=incident.slack_channel_name,
        page=incident.permalink,
        pages=f"{pages}/incidents",
        text=text,
    )
