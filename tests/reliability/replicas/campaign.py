"""Replicas that are killed, put to sleep and cut off at random while people declare and change incidents."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from support.bot import asks_whether_sure
from support.fleet import Fleet, running_fleet
from support.postgresql import PostgresqlServer
from support.readings import words

from slack_emulator.models import View

REPLICAS = 3
PEOPLE = ("ana", "ben", "chloe", "darius", "priya")
GESTURES_BETWEEN = 12
"""Gestures from one trouble to the next: enough for a replica to be back, few enough to meet all of them."""
GESTURES_WHILE_UPGRADING = 5
TRIES = 30
FORM_SECONDS = 5.0
TROUBLES = ("kill -9", "asleep", "connections cut", "database restart")
UPGRADING = ("upgrade", "kill -9", "upgrade", "connections cut", *["upgrade"] * (REPLICAS - 2))
"""What happens first, in this order, where an old version is replaced by this one."""
ASLEEP_SECONDS = 12.0
"""Longer than the others wait before they take a silent replica for dead."""


@dataclass
class Report:
    """What people did, what was done to the replicas, and each promise that was broken."""

    declared: int = 0
    changed: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        met = ", ".join(f"{count} {what}" for what, count in sorted(self.troubles.items()))
        return [
            f"{self.declared} declarations and {self.changed} changes, while there were {met}",
            *(self.violations or ["0 lost, 0 doubled"]),
        ]


@dataclass
class _Wish:
    """Something that a person wants, and how often they had to ask for it."""

    text: str
    tries: int = 0
    is_done: bool = False
    answer: str = ""
    """The last one that was none."""


class Campaign:
    """People at their gestures, and troubles between these, from one seed."""

    def __init__(
        self,
        fleet: Fleet,
        server: PostgresqlServer,
        seed: int,
        first: Sequence[str] = (),
        between: int = GESTURES_BETWEEN,
    ) -> None:
        self._fleet = fleet
        self._server = server
        self._random = random.Random(seed)
        self._first, self._between = list(first), between
        self._declarations: list[_Wish] = []
        self._changes: list[_Wish] = []
        self._asleep: set[int] = set()
        self._gestures = 0
        self._one_trouble = asyncio.Lock()
        self.report = Report()
        fleet.choose = self._chosen

    async def run(self, declarations: int, changes: int) -> Report:
        wishes = ["declare"] * declarations + ["change"] * changes
        self._random.shuffle(wishes)
        waiting = iter(enumerate(wishes))
        await asyncio.gather(*(self._person(name, waiting) for name in PEOPLE))
        await self._all_well()
        await self._fleet.quiet()
        self.report.declared, self.report.changed = len(self._declarations), len(self._changes)
        self.report.violations += [*self._lost_or_doubled(), *self._changes_lost_or_doubled()]
        return self.report

    def _chosen(self) -> list[int]:
        """One replica that runs, or sometimes two at once: a payload may be delivered twice."""
        running = [n for n, one in enumerate(self._fleet.replicas) if one.process.returncode is None]
        up = [number for number in running if number not in self._asleep] or running
        return self._random.sample(up, min(len(up), 2 if self._random.random() < 0.1 else 1))

    async def _person(self, name: str, wishes: Iterator[tuple[int, str]]) -> None:
        for number, kind in wishes:
            self._gestures += 1
            if self._gestures % self._between == 0:
                await self._trouble()
            if kind == "declare" or not self._done():
                await self._declare(name, _Wish(f"wish {number} of {name}"))
            else:
                await self._change(name, _Wish(f"word {number} of {name}"))

    def _done(self) -> list[_Wish]:
        return [wish for wish in self._declarations if wish.is_done]

    async def _declare(self, name: str, wish: _Wish) -> None:
        workspace, who = self._fleet.slack.workspace, self._fleet.slack.person(name)
        self._declarations.append(wish)
        view = await self._form(name, wish)
        while not wish.is_done and wish.tries < TRIES:
            wish.tries += 1
            outcome = await workspace.submit(who, view.id)
            # Where an answer was lost the form may say by now that it is declared, and has nothing to press;
            # neither has one that is still loading.
            is_answered = outcome.ok or (outcome.error == "no_submit" and "INC-" in words(view))
            # Who declares very often is asked first.
            wish.is_done = is_answered and not asks_whether_sure(view)
            wish.answer = f"{outcome.error} {outcome.errors}"
            if outcome.error == "view_not_found":
                # A form that was asked for twice has come late, in the place of this one.
                view = await self._form(name, wish)
        await workspace.dismiss(who, whole_stack=True)

    async def _form(self, name: str, wish: _Wish) -> View:
        while True:
            # The replica may have died between its answer and the form: then people type it again.
            with suppress(AssertionError, TimeoutError):
                async with asyncio.timeout(FORM_SECONDS):
                    return await self._fleet.open_form(wish.text, name)

    async def _change(self, name: str, wish: _Wish) -> None:
        workspace, who = self._fleet.slack.workspace, self._fleet.slack.person(name)
        about = self._random.choice(self._done())
        channel_id: str = (await self._fleet.until(lambda: self._channel_of(about)))[0]
        if not channel_id:
            return
        self._changes.append(wish)
        while not wish.is_done and wish.tries < TRIES:
            wish.tries += 1
            before = len(self._fleet.answers)
            outcome = await workspace.command(who, channel_id, f"/incident update {wish.text}")
            refused = any("please try again" in body.lower() for _, _, body in self._fleet.answers[before:])
            wish.is_done = outcome.ok and not refused
            wish.answer = f"{self._fleet.answers[before:]}"

    def _channel_of(self, wish: _Wish) -> list[str]:
        """The channel of the incident, empty without one; no answer at all while the database is down."""
        with suppress(psycopg.OperationalError):
            rows = self._fleet.rows("SELECT slack_channel_id FROM incidents WHERE name = %s", wish.text)
            return [rows[0][0] or "" if rows else ""]
        return []

    async def _trouble(self) -> None:
        async with self._one_trouble:
            await self._make_trouble()

    async def _make_trouble(self) -> None:
        kind = self._first.pop(0) if self._first else self._random.choice(TROUBLES)
        up = [n for n, one in enumerate(self._fleet.replicas) if one.process.returncode is None]
        up = [number for number in up if number not in self._asleep]
        if kind in {"kill -9", "asleep"} and len(up) < 2:
            return
        self.report.troubles[kind] += 1
        if kind == "kill -9":
            await self._fleet.kill(self._random.choice(up))
            await self._fleet.add()
        elif kind == "upgrade":
            await self._upgrade()
        elif kind == "asleep":
            sleeper = self._random.choice(up)
            self._asleep.add(sleeper)
            await self._fleet.kill(sleeper, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(ASLEEP_SECONDS, self._wake, sleeper)
        elif kind == "connections cut":
            with psycopg.connect(self._server.url(), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'tocsin' AND random() < 0.5"
                )
        else:
            await asyncio.to_thread(self._server.stop)
            await asyncio.to_thread(self._server.start)

    async def _upgrade(self) -> None:
        """A replica of this version begins, and the oldest one that runs is told to stop."""
        self._fleet.source = None
        oldest = next(one for one in self._fleet.replicas if one.process.returncode is None)
        await self._fleet.add()
        await oldest.stopped()

    def _wake(self, number: int) -> None:
        self._fleet.replicas[number].process.send_signal(signal.SIGCONT)
        self._asleep.discard(number)

    async def _all_well(self) -> None:
        for number in list(self._asleep):
            self._wake(number)
        await self._fleet.until(self._fleet.all_joined)

    def _lost_or_doubled(self) -> Iterator[str]:
        found = Counter(name for _, name in self._fleet.incidents())
        numbers = [int(reference.removeprefix("INC-")) for reference, _ in self._fleet.incidents()]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"the references have a gap: {numbers}"
        announced = self._cards(self._fleet.slack.channel("incidents"))
        origins = self._cards(self._fleet.slack.channel("general"))
        for wish in self._declarations:
            if not wish.is_done:
                yield f"{wish.text} was not declared after {wish.tries} tries: {wish.answer}"
            elif found[wish.text] != 1:
                yield f"{wish.text} is {found[wish.text]} incidents"
            if wish.is_done and (announced[wish.text], origins[wish.text]) != (1, 1):
                yield f"{wish.text}: announced {announced[wish.text]}, answered {origins[wish.text]} times"
        yield from self._rooms()

    def _rooms(self) -> Iterator[str]:
        for reference, name in self._fleet.incidents():
            rooms = self._fleet.channels_named(f"{reference.lower()}-")
            if len(rooms) != 1:
                yield f"{reference} ({name}) has {len(rooms)} channels"
            for room in rooms:
                if (headlines := self._cards(room)[name]) != 1:
                    yield f"{reference} ({name}) has {headlines} cards in its channel"

    def _changes_lost_or_doubled(self) -> Iterator[str]:
        texts = self._fleet.rows("SELECT text FROM incident_timeline_items WHERE text LIKE 'word %%'")
        noted = Counter(str(text) for (text,) in texts)
        for wish in self._changes:
            if wish.is_done and not 1 <= noted[wish.text] <= wish.tries:
                begun = self._fleet.rows(
                    "SELECT status, application_version, executor_id, error FROM dbos.workflow_status"
                    " WHERE workflow_uuid IN"
                    " (SELECT workflow_uuid FROM dbos.workflow_input WHERE inputs LIKE %s)",
                    f"%{wish.text}%",
                )
                said = f"{wish.text} was noted {noted[wish.text]} times in {wish.tries} tries"
                yield f"{said}: {begun} {wish.answer}"

    def _cards(self, channel_id: str) -> Counter[str]:
        """How many cards each wish has in this channel."""
        cards = Counter[str]()
        for message in self._fleet.posts(channel_id):
            shown = words(message)
            if "Open incident" in shown:
                cards.update(wish.text for wish in self._declarations if wish.text in shown)
        return cards


async def campaign(
    folder: Path, server: PostgresqlServer, *, declarations: int, changes: int, seed: int
) -> Report:
    async with running_fleet(folder, server, REPLICAS) as fleet:
        return await Campaign(fleet, server, seed).run(declarations, changes)


async def rolling_upgrade(
    folder: Path, server: PostgresqlServer, before: Path, *, declarations: int, changes: int, seed: int
) -> Report:
    """The same, where replicas of the sources `before` are first replaced by some of these, one by one."""
    async with running_fleet(folder, server, REPLICAS, source=before) as fleet:
        return await Campaign(fleet, server, seed, UPGRADING, between=GESTURES_WHILE_UPGRADING).run(
            declarations, changes
        )
