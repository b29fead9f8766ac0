"""What people do by chance to what is to be done: they take it, tick it off, and link its issue."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.secrecy.gestures import People
from slack_emulator.models import Channel, Json, Message
from slack_emulator.views import elements_of

TRACKER = "https://github.com/acme/web/issues"
CONFIG = f"""
[[tasks]]
severity_at_least = "Major"
do = [{{ title = "Open the bridge" }}, {{ title = "Tell the drivers", role = "Communications Lead" }}]

[[tasks]]
severities = ["Critical"]
do = [{{ title = "Write to customers", kind = "follow_up" }}]

[tracker]
url = "{TRACKER}/new?title={{title}}&body={{body}}"
"""


class Tasks:
    """Gestures, each a method. Rules give tasks; a checklist has all that is to be done."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._bot = people.bot
        self._rng = people.rng
        people.further += [self.work_off, self.work_off, self.link_issue]

    async def work_off(self, who: str) -> None:
        """A button of a checklist, or of the message of one thing that is to be done."""
        rooms = [room for room in self._people.rooms(who) if room.name.startswith("inc-")]
        found = [one for room in rooms for one in self._buttons(room)]
        if found:
            await self._people.press_one(who, found)

    async def link_issue(self, who: str) -> None:
        """A link to an issue, typed with the verb, or posted below the message of a follow-up."""
        kept, link = self._people.one(), f"{TRACKER}/{self._people.number()}"
        below = [message for room in self._people.rooms(who) for message in self._follow_ups(room)]
        if below and self._rng.random() < 0.5:
            message = self._rng.choice(below)
            person = self._people.id_of(who)
            await self._bot.workspace.say(person, message.channel, f"it is {link}", message.ts)
            return
        words = self._rng.choice(["", f" Say why {self._people.word(kept, who)}"])
        await self._people.type_in(who, f"follow-up {kept.reference} {link}{words}")

    def _ours(self, room: Channel) -> list[Message]:
        """The bot's newest messages there that all can read, in threads as well."""
        there = self._bot.workspace.state.lasting(room.id)
        return [message for message in there if message.app_id == self._bot.slack.app.app_id][-30:]

    def _follow_ups(self, room: Channel) -> list[Message]:
        return [message for message in self._ours(room) if "Follow-up: " in message.text]

    def _buttons(self, room: Channel) -> Iterator[tuple[Json, Json, Json]]:
        actions = {"take_follow_up", "complete_follow_up", "link_issue"}
        for message in self._ours(room):
            for block, element in elements_of(message.blocks):
                if element.get("action_id") in actions:
                    yield {"channel": message.channel, "ts": message.ts}, block, element
