"""People who act while the bot may die under their hands, and try again as people do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from support.bot import submitted, typed
from support.paging import PagingServices
from support.slack import RunningWorkspace
from support.webhooks import Receiver

from reliability.crash.lives import Life, Lives, first
from reliability.crash.vendors import Vendor
from reliability.history.deeds import Deed
from reliability.history.history import Answered, Press
from slack_emulator.delivery import ACK_SECONDS
from slack_emulator.models import Message, Outcome, View
from slack_emulator.views import TRIGGER_SECONDS

NOBODY_THERE = frozenset({"operation_timeout", "app_not_responding", "dispatch_failed"})
MOST_TRIES = 8
LONGEST_ANSWER = 120.0
"""A living bot that has not answered after so many seconds never will, however busy the machine is."""

Gesture = Callable[[], Coroutine[Any, Any, Outcome]]


class Stage:
    """One workspace, one data folder, and the bot's lives on it."""

    def __init__(
        self,
        slack: RunningWorkspace,
        lives: Lives,
        folder: Path,
        rng: Random,
        vendor: Vendor,
        paging: PagingServices,
        receiver: Receiver | None = None,
    ) -> None:
        self.slack = slack
        self.paging = paging
        self.receiver = receiver
        self.vendor = vendor
        self.workspace = slack.workspace
        self.lives = lives
        self.folder = folder
        self.rng = rng
        self.presses: list[Press] = []
        self.deeds: list[Deed] = []
        self.answered: list[Answered] = []

    @property
    def severities(self) -> tuple[str, str, str]:
        return self.vendor.severities

    def word(self) -> str:
        """A word that stands nowhere else."""
        return f"zq{self.rng.getrandbits(48):012x}"

    def is_in(self, person: str, channel: str) -> bool:
        room = self.workspace.channel(self.slack.channel(channel))
        return self.slack.person(person) in room.members

    async def said(self, person: str, channel: str, text: str) -> Message:
        room = self.slack.channel(channel)
        outcome = await self.workspace.say(self.slack.person(person), room, text)
        assert outcome.ts is not None, outcome
        return self.workspace.message(room, outcome.ts)

    # opening a form

    async def command(self, person: str, channel: str, text: str = "") -> View:
        who, room = self.slack.person(person), self.slack.channel(channel)
        return await self.opened(who, lambda: self.workspace.command(who, room, f"/incident {text}"))

    async def anywhere(self, person: str) -> View:
        who = self.slack.person(person)
        return await self.opened(who, lambda: self.workspace.global_shortcut(who, "declare"))

    async def on_message(self, person: str, message: Message) -> View:
        who = self.slack.person(person)
        room, ts = message.channel, message.ts
        return await self.opened(
            who, lambda: self.workspace.message_shortcut(who, "declare_from_message", room, ts)
        )

    async def opened(self, person: str, gesture: Gesture) -> View:
        """The form that the gesture opens; when the bot dies first, the gesture is made again."""
        before = {view.id for view in self.workspace.stack(person)}
        for _ in range(MOST_TRIES):
            life = await self.lives.alive()
            with self.workspace.subscribe() as changes:
                outcome = await self.while_it_lives(life, gesture())
                if outcome.ok and not self._new_view(person, before):
                    await self._changed(life, changes, "view_opened", person)
            view = self._new_view(person, before)
            if view is not None:
                return view
            assert outcome.ok or outcome.error in NOBODY_THERE, outcome
        raise RuntimeError("no form was opened, however often it was asked for")

    async def _changed(self, life: Life, changes: Any, kind: str, person: str) -> None:
        """Until the person's screen changes, or the bot is dead, or a trigger is too old to be used."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TRIGGER_SECONDS + 2.0):
                await first(seen(changes, kind, person), life.dead.wait())

    async def sees(self, person: str, kind: str) -> None:
        """Until this kind of thing changes on the person's screen."""
        with self.workspace.subscribe() as changes:
            await seen(changes, kind, self.slack.person(person))

    def _new_view(self, person: str, before: set[str]) -> View | None:
        return next((v for v in reversed(self.workspace.stack(person)) if v.id not in before), None)

    def told(self, person: str, action: str) -> Message | None:
        """The newest direct message of the bot to somebody that has this button."""
        pair = {self.slack.person(person), self.slack.app.bot_user_id}
        rooms = [c for c in self.workspace.state.channels.values() if c.is_direct and set(c.members) == pair]
        posts = [message for room in rooms for message in self.workspace.state.lasting(room.id)]
        return next((post for post in reversed(posts) if f"'{action}'" in str(post.blocks)), None)

    async def pressed_in_message(self, person: str, message: Message, action: str) -> View:
        """The form that a message's button opens."""
        who = self.slack.person(person)
        block = next(b["block_id"] for b in message.blocks if f"'{action}'" in str(b))
        return await self.opened(
            who,
            lambda: self.workspace.press(who, action, block, channel=message.channel, ts=message.ts),
        )

    async def button(self, view: View, action: str, block: str) -> None:
        """A button of an open form pressed until the form has changed."""
        for _ in range(MOST_TRIES):
            life, shown = await self.lives.alive(), view.hash
            with self.workspace.subscribe() as changes:
                outcome = await self.while_it_lives(
                    life, self.workspace.press(view.user, action, block, view_id=view.id)
                )
                if outcome.ok and view.hash == shown:
                    await self._changed(life, changes, "view_updated", view.user)
            if view.hash != shown:
                return
        raise RuntimeError("the form did not change, however often the button was pressed")

    # filling it in and submitting it

    def offers(self, view: View, field: str) -> bool:
        """Whether the form asks for this."""
        return field in {block.get("block_id") for block in view.payload["blocks"]}

    def fill(self, view: View, name: str, **fields: dict[str, Any]) -> None:
        for field, value in {"name": typed(name), **fields}.items():
            block = field.replace("__", ".")
            self.workspace.type_into(view.user, view.id, block, block, value)

    def intends(self, view: View, token: str, **where: Any) -> None:
        """Put on the record that this form is about to be submitted."""
        self.presses.append(Press(view.id, view.user, token, **where))

    async def submit(self, view: View) -> Outcome:
        if view not in self.workspace.stack(view.user) or not view.payload.get("submit"):
            return Outcome(True, view=view)
        life = await self.lives.alive()
        outcome = await self.while_it_lives(life, submitted(self.workspace, view.user, view.id))
        assert outcome.error != "invalid_input", outcome
        return outcome

    async def declare(self, view: View) -> Outcome | None:
        """Submit, and again for as long as it fails and the person has the patience; what came at last."""
        outcome = None
        for _ in range(MOST_TRIES):
            outcome = await self.submit(view)
            if outcome.ok or not view.payload.get("submit"):
                break
            if outcome.error in NOBODY_THERE and self.rng.random() < 0.4:
                break
        return outcome

    async def while_it_lives(self, life: Life, doing: Awaitable[Outcome]) -> Outcome:
        """What Slack makes of it; once the bot is dead, Slack's three seconds pass at once."""
        task = asyncio.ensure_future(doing)
        try:
            await first(asyncio.shield(task), life.dead.wait(), asyncio.sleep(LONGEST_ANSWER))
            if not task.done() and life.dead.is_set():
                # Whoever reads what the dying process wrote may do so now.
                await self.workspace.sockets.disconnected(self.slack.app.app_id)
            while not task.done():
                self.slack.clock.turn(ACK_SECONDS + 0.1)
                await first(asyncio.shield(task), asyncio.sleep(0.05))
            return await task
        finally:
            task.cancel()


async def seen(changes: Any, kind: str, person: str) -> None:
    async for change in changes:
        if change.kind == kind and change.person == person:
            return
