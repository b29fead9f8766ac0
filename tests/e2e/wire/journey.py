"""People in a workspace, and the process `tocsin run` that they talk to."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any, cast

from support.bot import RunningBot, chosen
from support.declarations import Ticking
from support.errands import press_card, press_in_view, typed_verb, until, whispers
from support.operated import Operated, handled
from support.patience import LIMIT
from support.readings import cards, told, words
from support.slack import RunningWorkspace

from slack_emulator.models import Message, View
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import FollowUp, Incident, TimelineEntry

NOT_THROUGH = "not through yet"
"""In each answer that is not the last."""

WRITTEN = "quaggaword"
"""In everything that people write here, and in no log."""


@dataclass
class Journey:
    slack: RunningWorkspace
    people: RunningBot
    bot: Operated
    http: bool
    _standing: Incident | None = None
    _questions: list[tuple[Incident, Message]] = field(default_factory=list)
    _nudged: list[tuple[Incident, Message]] = field(default_factory=list)

    # what is kept

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[LocalBackend]:
        """The incidents, once everything that was asked for is done."""
        assert await self.bot.quiet() == 0
        backend = await LocalBackend.read(
            self.bot.folder / "data" / "incidents.db",
            IncidentConfig(),
            public_url=self.bot.url,
            clock=Ticking(),
        )
        try:
            yield backend
        finally:
            await backend.close()

    async def incidents(self) -> list[Incident]:
        async with self.kept() as backend:
            return list(await backend.incidents(limit=200))

    async def now(self, incident: Incident) -> Incident:
        async with self.kept() as backend:
            found = await backend.find(incident.id)
        assert found is not None
        return found

    async def timeline(self, incident: Incident) -> Sequence[TimelineEntry]:
        async with self.kept() as backend:
            return await backend.timeline(incident.id)

    async def to_do(self, incident: Incident) -> Sequence[FollowUp]:
        async with self.kept() as backend:
            return await backend.follow_ups(incident.id)

    async def handled(self) -> Counter[str]:
        """How many requests the process says that it answered, by route; none may have failed."""
        return handled(await self.bot.figures())

    # who does what

    async def form(self, person: str, text: str = "") -> View:
        return await self.people.type_command(person, "general", f"/incident {text}".rstrip())

    async def declared(self, person: str, view: View, **fields: dict[str, Any]) -> Incident:
        """Filled in, submitted, and followed through."""
        await self.people.fill(person, view, **{"severity_id": chosen("major"), **fields})
        outcome = await self.people.submit(person, view)
        assert outcome.ok, outcome
        return (await self.incidents())[0]

    async def opened(self, name: str, **fields: dict[str, Any]) -> Incident:
        """A new incident of Ana's, and no window left open."""
        view = await self.form("ana", f"{name} {WRITTEN}")
        incident = await self.declared("ana", view, **fields)
        await self.done("ana")
        return incident

    async def standing(self) -> Incident:
        """An incident that stays open, for whatever does not end one."""
        if self._standing is None:
            self._standing = await self.opened("the standing one")
        return self._standing

    async def types(self, person: str, text: str, incident: Incident | None = None) -> str:
        """`/incident …`, in the incident's channel or in #general; the answer that they alone read."""
        before = len(told(self.people, person))
        said = await typed_verb(self.people, person, self.place(incident), f"/incident {text}")
        return await self.through(person, said, before)

    async def asks(self, person: str, text: str, incident: Incident | None = None) -> View:
        """`/incident …`, and the form that it opens."""
        opened = self.people.opened_so_far
        who = self.slack.person(person)
        outcome = await self.slack.workspace.command(who, self.place(incident), f"/incident {text}")
        assert outcome.ok, outcome
        return await self.people.opened_form(person, since=opened)

    async def sends(self, person: str, view: View, **fields: dict[str, Any]) -> str:
        """The form filled in and sent, the answer read, and the window closed."""
        before = len(told(self.people, person))
        await self.people.fill(person, view, **fields)
        outcome = await self.people.submit(person, view)
        assert outcome.ok, outcome
        said = self.shown(person)
        await self.done(person)
        return await self.through(person, said, before)

    async def through(self, person: str, said: str, before: int) -> str:
        """The answer, or the message in its place: on a slow machine the bot says *saved* after two seconds.

        `before` is how many direct messages the person had when they asked.
        """
        if NOT_THROUGH not in said:
            return said
        await until(self.people, lambda: len(told(self.people, person)) > before)
        return words(told(self.people, person)[-1])

    async def presses(self, person: str, message: Message, action: str, **pressed: Any) -> str:
        """A button of a message, and the answer that they alone read; it may take the place of another."""
        before = self.whispered(person, message.channel)
        await press_card(self.people, person, message, action, **pressed)
        return await until(
            self.people,
            lambda: (now := self.whispered(person, message.channel)) != before and now[-1],
        )

    async def answered(self, person: str, channel: str, before: int) -> str:
        """What they alone read there after so many whispers."""
        await until(self.people, lambda: len(self.whispered(person, channel)) > before)
        return self.whispered(person, channel)[-1]

    async def at_home(self, person: str, said: str) -> View:
        """Their Home tab, once it says this."""
        who, app = self.slack.person(person), self.slack.app.app_id

        def shown() -> View | None:
            view = self.slack.workspace.home(who, app)
            return view if view is not None and said in words(view) else None

        found: View = await until(self.people, shown)
        return found

    async def opens(self, person: str, where: Message | View, action: str, **pressed: Any) -> View:
        """A button of a message or of a view, and the form that it opens."""
        opened = self.people.opened_so_far
        if isinstance(where, View):
            await press_in_view(self.people, person, where, action)
        else:
            await press_card(self.people, person, where, action, **pressed)
        return await self.people.opened_form(person, since=opened)

    async def done(self, person: str) -> None:
        """Every window of theirs is closed."""
        await self.slack.workspace.dismiss(self.slack.person(person), whole_stack=True)

    async def said_in(self, incident: Incident, person: str, text: str) -> Message:
        """A message of somebody's in the incident's channel."""
        who, room = self.slack.person(person), incident.slack_channel_id
        await self.slack.workspace.join(who, room)
        outcome = await self.slack.workspace.say(who, room, f"{text} {WRITTEN}")
        assert outcome.ok, outcome
        return self.slack.workspace.message(room, outcome.ts or "")

    async def happened(self, kind: str, ts: str) -> None:
        """The bot has acknowledged an event of this kind about this message."""

        def about(request: Any) -> bool:
            item = request.args.get("event", {}).get("item", {})
            found = item.get("ts") or item.get("message", {}).get("ts")
            return bool(request.method == f"event.{kind}" and found == ts)

        await self.slack.workspace.heard(about)

    async def question(self) -> tuple[Incident, Message]:
        """An incident whose next update is due, and the question for it in its channel."""
        if not self._questions:
            asked = [await self.opened(f"asked {n}") for n in range(4)]
            for incident in asked:
                view = await self.asks("ana", "update", incident)
                await self.sends("ana", view, message=text(WRITTEN), next_update_minutes=chosen("15"))
            assert await self.bot.quiet() == 0
            # A quarter of an hour goes by.
            with closing(sqlite3.connect(self.bot.folder / "data" / "journal.db", timeout=LIMIT)) as journal:
                journal.execute("UPDATE tocsin_reminders SET due_at = 0")
                journal.commit()
            for incident in asked:
                found = await until(self.people, lambda incident=incident: self._due(incident))
                self._questions.append((incident, found))
        return self._questions.pop()

    async def nudged(self, severity: str) -> tuple[Incident, Message]:
        """An incident that was declared long ago, and what its channel is nudged about by then."""
        if not self._nudged:
            left_alone = [await self._left_alone(one) for one in ("major", "major", "critical", "minor")]
            assert await self.bot.quiet() == 0
            past = "2026-01-02T03:04:05.000+00:00"
            with closing(sqlite3.connect(self.bot.folder / "data" / "incidents.db", timeout=LIMIT)) as file:
                for incident in left_alone:
                    changed = "UPDATE incidents SET created_at = ?, updated_at = ? WHERE id = ?"
                    file.execute(changed, [past, past, incident.id])
                    told = "UPDATE incident_timeline_items SET timestamp = ? WHERE incident_id = ?"
                    file.execute(told, [past, incident.id])
                file.commit()
            for incident in left_alone:
                # The bot may have looked at it before its time was turned; this lets it look again at once.
                await self.types("ana", "snooze off", incident)
                found = await until(self.people, lambda incident=incident: self._nudge(incident))
                self._nudged.append((incident, found))
        named = (one for one in self._nudged if one[0].severity and one[0].severity.id == severity)
        self._nudged.remove(chosen_one := next(named))
        return chosen_one

    async def _left_alone(self, severity: str) -> Incident:
        """An incident with a lead, but for a major one."""
        incident = await self.opened(f"left alone as {severity}", severity_id=chosen(severity))
        if severity != "major":
            await self.types("ana", "take", incident)
        return incident

    def _nudge(self, incident: Incident) -> Message | None:
        last = self.posts(incident)[-1]
        return last if ":bell:" in words(last) else None

    def _due(self, incident: Incident) -> Message | None:
        last = self.posts(incident)[-1]
        return last if "is due" in words(last) else None

    # what is seen

    def place(self, incident: Incident | None) -> str:
        return incident.slack_channel_id if incident else self.slack.channel("general")

    def posts(self, incident: Incident) -> list[Message]:
        """What the bot said in the incident's channel; its card comes first."""
        return cards(self.people, incident.slack_channel_id)

    def offering(self, incident: Incident, action: str) -> Message | None:
        """The last message of its channel that has this button."""
        found = [post for post in self.posts(incident) if f"'action_id': '{action}'" in str(post.blocks)]
        return found[-1] if found else None

    def files_for(self, person: str) -> list[str]:
        """The ids of the files that came to them in a direct message, oldest first."""
        return [file["id"] for message in told(self.people, person) for file in message.files]

    def file_for(self, person: str) -> str:
        """What is in the last of them, as they read it."""
        file = self.slack.workspace.files.seen_by(self.slack.person(person), self.files_for(person)[-1])
        assert file is not None
        return file.content

    def shown(self, person: str) -> str:
        """The words of the window that they have on top."""
        stack = self.slack.workspace.stack(self.slack.person(person))
        return words(stack[-1]) if stack else ""

    def whispered(self, person: str, channel: str) -> list[str]:
        return [words(message) for message in whispers(self.people, person, channel)]

    def whisper(self, person: str, incident: Incident | None = None) -> Message:
        """The last thing that they alone can see there."""
        return whispers(self.people, person, self.place(incident))[-1]


def text(written: str) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": written}


def over(slack: RunningWorkspace, bot: Operated, http: bool) -> Journey:
    # Only what people do is used of it; the bot is in another process.
    return Journey(slack, RunningBot(cast(Any, None), slack, bot.folder, bot.url), bot, http)
