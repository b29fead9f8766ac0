"""What people do to one incident while the bot may die under their hands, each thing until it is answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from support.bot import chosen, picked

from reliability.crash.lives import Life, first
from reliability.crash.stage import LONGEST_ANSWER, MOST_TRIES, NOBODY_THERE, Gesture, Stage, seen
from reliability.history.deeds import Deed, Told, Try
from slack_emulator.composer import rich_text_of
from slack_emulator.delivery import ACK_SECONDS
from slack_emulator.messages import command_text
from slack_emulator.models import Message, Outcome, View

GLANCE = 0.05
RETRY_SECONDS = 301.0
"""Slack sends an event that was not acknowledged again after one minute, and after five."""

LAST_ATTEMPT = 3
SIGNS = (
    "is in your messages from",
    "has its document already",
    "is kept.",
    "may see",
    "may not see",
    "is acknowledged.",
)
"""What is said of some things that were done."""


class Case:
    """One incident, from its declaration on."""

    def __init__(self, stage: Stage, token: str) -> None:
        self.stage = stage
        self.token = token

    @classmethod
    async def declared(cls, stage: Stage, view: View, origin: str | None, **fields: dict[str, Any]) -> Case:
        """Declared with this form, however often the bot dies meanwhile, and brought to rest."""
        token = stage.word()
        stage.fill(view, f"Checkout is slow {token}", **{"severity_id": chosen("major"), **fields})
        stage.intends(view, token, origin=origin)
        for _ in range(MOST_TRIES):
            await stage.declare(view)
            if not view.payload.get("submit"):
                break
        await stage.lives.quiet()
        await stage.workspace.dismiss(view.user, whole_stack=True)
        return cls(stage, token)

    @classmethod
    async def by_command(cls, stage: Stage, person: str = "ana", lead: str = "") -> Case:
        fields = {"incident_role_assignments__lead": picked(stage.slack.person(lead))} if lead else {}
        view = await stage.command(person, "general")
        return await cls.declared(stage, view, stage.slack.channel("general"), **fields)

    # what is known of it

    @property
    def row(self) -> dict[str, Any]:
        found = read(
            self.stage, "incidents.db", "SELECT * FROM incidents WHERE name LIKE ?", f"%{self.token}%"
        )
        assert found, f"there is no incident with {self.token}"
        return found[0]

    @property
    def reference(self) -> str:
        return str(self.row["reference"])

    @property
    def channel(self) -> str:
        return str(self.row["slack_channel_id"])

    def posts(self, *words: str) -> list[Message]:
        """The bot's messages in the incident's channel that say all of these words, oldest first."""
        bot = self.stage.slack.app.bot_user_id
        there = self.stage.workspace.state.lasting(self.channel)
        mine = [message for message in there if message.user == bot]
        return [m for m in mine if all(word in f"{m.text} {m.blocks}" for word in words)]

    @property
    def card(self) -> Message:
        return next(post for post in self.posts() if post.text.startswith(f"{self.reference}: "))

    # doing things

    async def typed(self, person: str, verb: str, words: str = "", *, place: str = "", **deed: Any) -> Told:
        """`/incident verb words`, typed until it is answered; `{token}` is another word each time."""
        who, tries = self.stage.slack.person(person), list[Try]()
        while len(tries) < MOST_TRIES and not _is_answered(tries):
            token = self.stage.word() if "{token}" in words else ""
            text = f"/incident {verb} {words.format(token=token)}".strip()
            life = await self.stage.lives.alive()
            doing = self.stage.workspace.command(who, place or self.channel, text)
            outcome = await self.stage.while_it_lives(life, doing)
            tries.append(Try(self._answer_to(outcome, who, text), token))
        return await self._done(Deed(verb, who, self.token, tuple(tries), **deed))

    def _answer_to(self, outcome: Outcome, who: str, text: str) -> Told:
        if not outcome.ok:
            assert outcome.error in NOBODY_THERE, outcome
            return "cut off"
        said = command_text(self.stage.workspace.state, who, text.partition(" ")[2], should_escape=True)
        sent = (r for r in reversed(self.stage.workspace.requests) if r.method == "slash_commands")
        answer = next(request for request in sent if request.args["text"] == said)
        return said_of(str((answer.response or {}).get("text") or ""))

    async def sent(
        self, person: str, verb: str, opening: Gesture, fields: dict[str, dict[str, Any]], **deed: Any
    ) -> Told:
        """A form that the gesture opens, filled in and sent until it is answered; `{token}` in a text."""
        who, token = self.stage.slack.person(person), ""
        view = await self.stage.opened(who, opening)
        for field, value in fields.items():
            if "{token}" in str(value.get("value")):
                token = self.stage.word()
                value = {**value, "value": str(value["value"]).format(token=token)}
            self.stage.workspace.type_into(who, view.id, field, field, value)
        tries: list[Try] = []
        while len(tries) < MOST_TRIES and not _is_answered(tries):
            outcome = await self.stage.submit(view)
            tries.append(Try(_answer_in(outcome, view), token))
        await self.stage.workspace.dismiss(who, whole_stack=True)
        return await self._done(Deed(verb, who, self.token, tuple(tries), **deed))

    async def pressed(
        self, person: str, verb: str, on: Callable[[], Message], action: str, **deed: Any
    ) -> Told:
        """A button of a message pressed until it is answered, or is not there any more."""
        who, tries = self.stage.slack.person(person), list[Try]()
        while len(tries) < MOST_TRIES and not _is_answered(tries):
            life, message = await self.stage.lives.alive(), on()
            if f"'{action}'" not in str(message.blocks):
                tries.append(Try("refused"))
                break
            before = len(self._whispers(who, message.channel))
            outcome = await self.stage.while_it_lives(life, self.press(who, message, action))
            if not outcome.ok:
                assert outcome.error in NOBODY_THERE, outcome
                tries.append(Try("cut off"))
                continue
            said = await self._whispered(life, who, message.channel, before)
            tries.append(Try(said_of(said) if said else "cut off" if life.dead.is_set() else "ignored"))
        return await self._done(Deed(verb, who, self.token, tuple(tries), **deed))

    def form(self, person: str, verb: str) -> Gesture:
        """`/incident verb` without more, which opens a form."""
        who = self.stage.slack.person(person)
        return lambda: self.stage.workspace.command(who, self.channel, f"/incident {verb}")

    async def press(self, who: str, message: Message, action: str, option: str = "") -> Outcome:
        block = next(b["block_id"] for b in message.blocks if f"'{action}'" in str(b))
        value = {"selected_option": {"value": option}} if option else None
        place = {"channel": message.channel, "ts": message.ts}
        return await self.stage.workspace.press(who, action, block, value=value, **place)

    async def picked(self, person: str, message: Message, token: str, **deed: Any) -> Told:
        """*Add to incident timeline* on a message, until it is answered."""
        who, tries = self.stage.slack.person(person), list[Try]()
        while len(tries) < MOST_TRIES and not _is_answered(tries):
            life = await self.stage.lives.alive()
            before = len(self._whispers(who, message.channel))
            doing = self.stage.workspace.message_shortcut(who, "add_to_timeline", message.channel, message.ts)
            outcome = await self.stage.while_it_lives(life, doing)
            said = await self._whispered(life, who, message.channel, before) if outcome.ok else ""
            tries.append(Try(said_of(said) if said else "cut off", token))
        return await self._done(Deed("note", who, self.token, tuple(tries), **deed))

    async def commented(self, person: str, link: Message, **deed: Any) -> Told:
        """A comment posted below a link to the incident, until it is acknowledged."""
        who, tries, here = self.stage.slack.person(person), list[Try](), self.stage.workspace.entity_comments
        while len(tries) < MOST_TRIES and not _is_answered(tries):
            life, token = await self.stage.lives.alive(), self.stage.word()
            look = here.open(who, link, str(link.attachments[0]["app_unfurl_url"]))
            await first(look.answered.wait(), life.dead.wait())
            told: Told = "cut off"
            if look.can_post:
                doing = here.post(look, *rich_text_of(f"the replica too {token}"))
                outcome = await self.stage.while_it_lives(life, doing)
                act = look.acted[-1]
                if outcome.ok:
                    await first(act.answered.wait(), life.dead.wait())
                if act.answered.is_set():
                    told = said_of(act.error) if act.error else "done"
            tries.append(Try(told, token))
        return await self._done(Deed("note", who, self.token, tuple(tries), **deed))

    async def marked(self, person: str, act: str, message: Message, token: str, **deed: Any) -> Told:
        """A pin or a 📌 put on a message, or taken off; the event comes again until it was acknowledged."""
        who, start = self.stage.slack.person(person), len(self.stage.workspace.requests)
        acts = self.stage.workspace
        how: dict[str, tuple[str, Gesture]] = {
            "pin": ("pin_added", lambda: acts.pin(who, message.channel, message.ts)),
            "unpin": ("pin_removed", lambda: acts.unpin(who, message.channel, message.ts)),
            "react": ("reaction_added", lambda: acts.react(who, message.channel, message.ts, "pushpin")),
            "unreact": (
                "reaction_removed",
                lambda: acts.unreact(who, message.channel, message.ts, "pushpin"),
            ),
        }
        event, doing = how[act]
        life = await self.stage.lives.alive()
        outcome = await doing()
        assert outcome.ok, outcome
        told = await heeded(self.stage, f"event.{event}", start, life)
        return await self._done(Deed("mark", who, self.token, (Try(told, token),), **deed))

    async def comes_due(self) -> None:
        """The next update is due, and the bot is begun again, which makes it look at once."""
        await self.stage.lives.quiet()
        before = len(self.posts("is due."))
        with opened(self.stage, "journal.db") as file:
            planned = file.execute("UPDATE tocsin_reminders SET due_at = 1.0").rowcount
        assert planned == 1, f"{planned} reminders are planned"
        await self.stage.lives.again()
        while read(self.stage, "journal.db", "SELECT * FROM tocsin_reminders") or not self.posts("is due."):
            await self.stage.lives.alive()
            await asyncio.sleep(GLANCE)
        self.stage.deeds.append(Deed("due", "", self.token, (Try("done"),)))
        assert len(self.posts("is due.")) > before

    async def is_left_alone(self) -> None:
        """Declared long ago, and the bot is begun again, which makes it ask for a lead at once."""
        await self.stage.lives.quiet()
        with opened(self.stage, "incidents.db") as file:
            long_ago = "UPDATE incidents SET created_at = ? WHERE name LIKE ?"
            file.execute(long_ago, ["2026-01-02T03:04:05.000+00:00", f"%{self.token}%"])
        await self.stage.lives.again()
        while not self.posts("has no lead"):
            await self.stage.lives.alive()
            await asyncio.sleep(GLANCE)
        self.stage.deeds.append(Deed("nudge", "", self.token, (Try("done"),)))

    async def are_called_off(self, pages: int) -> None:
        """So many pages are over in its channel, which the bot looks after by itself."""
        while sum("Over" in f"{post.text} {post.blocks}" for post in self.posts(":pager:")) < pages:
            await self.stage.lives.alive()
            await asyncio.sleep(GLANCE)
        ended = (Try("done"),)
        for _ in range(pages):
            self.stage.deeds.append(Deed("over", "", self.token, ended, entries=("ended the page of",)))

    async def leaves(self, stage: str) -> None:
        """The day of its channel has come, or the day before; the bot is begun again, and looks at once."""
        await self.stage.lives.quiet()
        incident = self.row["id"]
        with opened(self.stage, "journal.db") as file:
            due = "UPDATE tocsin_departures SET due_at = 1.0 WHERE incident_id = ?"
            assert file.execute(due, [incident]).rowcount == 1, "its channel is not to be archived"
        await self.stage.lives.again()
        asked = "SELECT stage FROM tocsin_departures WHERE incident_id = ?"
        while read(self.stage, "journal.db", asked, incident)[0]["stage"] != stage:
            await self.stage.lives.alive()
            await asyncio.sleep(GLANCE)

    async def becomes(self, columns: str, *, sets: dict[str, str], shows: str) -> None:
        """Changed where it is kept, by somebody else; the bot is begun again, which makes it look at once."""
        await self.stage.lives.quiet()
        with opened(self.stage, "incidents.db") as file:
            file.execute(f"UPDATE incidents SET {columns} WHERE name LIKE ?", [f"%{self.token}%"])
        self.stage.deeds.append(Deed("elsewhere", "", self.token, (Try("done"),), sets=sets))
        await self.stage.lives.again()
        ended = "SELECT 1 FROM tocsin_watched" if "closed_at" in columns else "SELECT 1 WHERE 0"
        while shows not in self.card.text or read(self.stage, "journal.db", ended):
            await self.stage.lives.alive()
            await asyncio.sleep(GLANCE)

    async def _done(self, deed: Deed) -> Told:
        """Put it on the record; what is to be done after a restart is over before anybody does more."""
        self.stage.deeds.append(deed)
        if any(one.told != "done" for one in deed.tries):
            await self.stage.lives.quiet()
        return deed.tries[-1].told

    # what is read

    def _whispers(self, who: str, channel: str) -> list[Message]:
        there = self.stage.workspace.state.messages.get(channel, {})
        return [message for message in there.values() if message.ephemeral_to == who]

    async def _whispered(self, life: Life, who: str, channel: str, before: int) -> str:
        """The next thing that only this person reads there; nothing when the bot dies first."""
        until = asyncio.get_running_loop().time() + LONGEST_ANSWER
        while len(self._whispers(who, channel)) <= before:
            if life.dead.is_set() or asyncio.get_running_loop().time() > until:
                return ""
            await first(life.dead.wait(), asyncio.sleep(GLANCE))
        return self._whispers(who, channel)[-1].text

    async def asked(self, person: str, text: str, place: str = "") -> None:
        """`/incident …` that changes nothing, until something only this person sees is the answer."""
        who, room = self.stage.slack.person(person), place or self.channel
        for _ in range(MOST_TRIES):
            life, before = await self.stage.lives.alive(), len(self._whispers(who, room))
            doing = self.stage.workspace.command(who, room, f"/incident {text}")
            outcome = await self.stage.while_it_lives(life, doing)
            if outcome.ok and await self._whispered(life, who, room, before):
                return
        raise RuntimeError(f"/incident {text} was never answered")


async def heeded(stage: Stage, method: str, start: int, life: Life) -> Told:
    """Whether the event was acknowledged; `life` is that which it was sent to first."""
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    while True:
        sent = [r for r in stage.workspace.requests[start:] if r.method == method]
        if any(request.ok for request in sent):
            return "done"
        ended = bool(sent) and sent[-1].finished
        if ended and sent[-1].retry_attempt == LAST_ATTEMPT:
            return "cut off"
        if ended:
            stage.slack.clock.turn(RETRY_SECONDS)
            sent_at = loop.time()
        elif loop.time() - sent_at > ACK_SECONDS:
            # A living bot that could not heed it says nothing, so that it comes again.
            stage.slack.clock.turn(ACK_SECONDS + 0.1)
            sent_at = loop.time()
        await first(asyncio.sleep(GLANCE), life.dead.wait())
        if life.dead.is_set():
            # The next life may be there already, and hold a connection of its own.
            with suppress(TimeoutError):
                await stage.workspace.sockets.disconnected(stage.slack.app.app_id, 1.0)
            stage.slack.clock.turn(ACK_SECONDS + 0.1)
            life = await stage.lives.alive()


def said_of(text: str) -> Told:
    """What a sentence of the bot's says of what was asked for."""
    if text.startswith("Saved, not through yet"):
        return "saved"
    if "Nothing was changed; please try again" in text:
        return "not saved"
    reference, colon, _ = text.partition(": ")
    is_done = bool(colon) and "-" in reference and " " not in reference
    if any(sign in text for sign in SIGNS):
        return "done"
    done = (
        "Added to the timeline",
        "Taken out of",
        "The channel is asked",
        "The document of",
        "You give the next",
        "No more up",
    )
    return "done" if is_done or text.startswith(done) else "refused"


def _answer_in(outcome: Outcome, view: View) -> Told:
    if outcome.error in NOBODY_THERE:
        return "cut off"
    if view.payload.get("submit"):
        said = f"{outcome.errors} {view.payload['blocks'][0]}"
        return "not saved" if "please try again" in said else "refused"
    return "saved" if ":hourglass" in str(view.payload["blocks"]) else "done"


def _is_answered(tries: list[Try]) -> bool:
    return bool(tries) and tries[-1].told in {"done", "saved", "refused"}


def read(stage: Stage, name: str, query: str, *values: str) -> list[dict[str, Any]]:
    with opened(stage, name) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(query, values)]


async def at_home(stage: Stage, person: str) -> View:
    """The bot's Home as this person sees it, looked at again until there is one."""
    who = stage.slack.person(person)
    while (home := stage.workspace.home(who, stage.slack.app.app_id)) is None:
        life = await stage.lives.alive()
        await stage.workspace.open_home(who, stage.slack.app.app_id)
        with stage.workspace.subscribe() as changes:
            await first(seen(changes, "home", who), life.dead.wait(), asyncio.sleep(LONGEST_ANSWER))
    return home


@contextmanager
def held(stage: Stage, name: str) -> Iterator[None]:
    """Nobody else can write to this file meanwhile."""
    with opened(stage, name) as file:
        file.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            file.execute("ROLLBACK")


@contextmanager
def opened(stage: Stage, name: str) -> Iterator[sqlite3.Connection]:
    """A file of the bot's, beside the bot."""
    path = stage.folder / "data" / name
    with closing(sqlite3.connect(path, timeout=LONGEST_ANSWER, isolation_level=None)) as file:
        yield file
