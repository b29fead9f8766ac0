"""Replicas that are killed, put to sleep and cut off at random while incidents are declared and changed.

People do so in Slack, clients with a key, and a monitoring system by its alerts.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from support.alerts import MONITORING, TOKEN, VARIABLE, declared_by, fired
from support.bot import asks_whether_sure
from support.fleet import Fleet, running_fleet
from support.patience import LIMIT
from support.postgresql import PostgresqlServer
from support.readings import words

from slack_emulator.models import View
from tocsin.incidents.alert_payloads import path_of

REPLICAS = 3
PEOPLE = ("ana", "ben", "chloe", "darius", "priya")
GESTURES_BETWEEN = 12
"""Gestures from one trouble to the next: enough for a replica to be back, few enough to meet all of them."""
GESTURES_WHILE_UPGRADING = 5
TRIES = 120
"""Presses of a person, a minute of them: a busy machine may need that to start a database again."""
FORM_SECONDS = 5.0
TROUBLES = ("kill -9", "asleep", "connections cut", "database restart")
UPGRADING = ("upgrade", "kill -9", "upgrade", "connections cut", *["upgrade"] * (REPLICAS - 2))
"""What happens first, in this order, where an old version is replaced by this one."""
ASLEEP_SECONDS = 12.0
"""Longer than the others wait before they take a silent replica for dead."""
API_TOKEN = "a-token-of-the-operator"
AGAIN_SECONDS = 0.5
"""Until a person or a program asks again for what was not taken."""
BY_ALERT = 8
"""Incidents that alerts begin: fewer than one rule may have open at once (ten)."""
FIRING = re.compile(r"^(\d+) firing: ", re.MULTILINE)


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
    way: str = "slack"
    """How it is asked for: `slack`, `key` or `alert`."""
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
        *,
        has_programs: bool = False,
    ) -> None:
        self._fleet = fleet
        self._server = server
        self._random = random.Random(seed)
        self._first, self._between = list(first), between
        self._has_programs = has_programs
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
        if self._has_programs:
            await self._fleet.until(self._all_attached)
        await self._fleet.quiet()
        self.report.declared, self.report.changed = len(self._declarations), len(self._changes)
        self.report.violations += [*self._lost_or_doubled(), *self._changes_lost_or_doubled()]
        if self._has_programs:
            self.report.violations += self._alerts_lost_or_doubled()
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
                await self._declare(name, _Wish(f"wish {number} of {name}", self._way()))
            else:
                await self._change(name, _Wish(f"word {number} of {name}", self._way()))

    def _way(self) -> str:
        ways = ["slack", "slack", "key", "alert"] if self._has_programs else ["slack"]
        return self._random.choice(ways)

    def _done(self) -> list[_Wish]:
        return [wish for wish in self._declarations if wish.is_done]

    async def _declare(self, name: str, wish: _Wish) -> None:
        if wish.way == "alert" and len(self._alerted()) >= BY_ALERT:
            wish.way = "slack"
        if wish.way == "key":
            self._declarations.append(wish)
            body = {"name": wish.text, "severity_id": "major", "visibility": "public"}
            return await self._ask(wish, "/v2/incidents", {**body, "idempotency_key": wish.text}, API_TOKEN)
        if wish.way == "alert":
            self._declarations.append(wish)
            return await self._alert(wish, wish)
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
            if not wish.is_done:
                await asyncio.sleep(AGAIN_SECONDS)
            if outcome.error == "view_not_found":
                # A form that was asked for twice has come late, in the place of this one; more may come yet.
                view = await self._form(name, wish)
        await workspace.dismiss(who, whole_stack=True)

    async def _form(self, name: str, wish: _Wish) -> View:
        while True:
            # The replica may have died between its answer and the form: then people type it again.
            with suppress(AssertionError, TimeoutError):
                async with asyncio.timeout(FORM_SECONDS):
                    return await self._fleet.open_form(wish.text, name)

    def _alerted(self) -> list[_Wish]:
        return [wish for wish in self._declarations if wish.way == "alert"]

    async def _alert(self, wish: _Wish, about: _Wish) -> None:
        """One alert, sent until it is taken: of the group that is the incident which the other began."""
        body = fired(wish.text, metadata={"wish": about.text})
        await self._ask(wish, path_of(MONITORING), body, TOKEN)

    async def _ask(self, wish: _Wish, path: str, body: dict[str, object], token: str) -> None:
        """One request, sometimes to two replicas at once, repeated until it is answered."""
        headers = {"Authorization": f"Bearer {token}"}

        async def asked(number: int) -> bool:
            url = f"{self._fleet.replicas[number].url}{path}"
            try:
                answer = await client.post(url, json=body, headers=headers)
            except httpx.TransportError as error:
                wish.answer = str(error)
                return False
            wish.answer = answer.text
            assert answer.is_success or answer.status_code == 503, answer.text
            return answer.is_success

        async with httpx.AsyncClient(trust_env=False, timeout=LIMIT) as client:
            while not wish.is_done and wish.tries < TRIES:
                wish.tries += 1
                wish.is_done = any(await asyncio.gather(*map(asked, self._chosen())))
                if not wish.is_done:
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _change(self, name: str, wish: _Wish) -> None:
        if wish.way == "alert" and (alerted := [one for one in self._alerted() if one.is_done]):
            self._changes.append(wish)
            return await self._alert(wish, self._random.choice(alerted))
        if wish.way == "key":
            return await self._update_by_key(wish)
        wish.way = "slack"
        workspace, who = self._fleet.slack.workspace, self._fleet.slack.person(name)
        about = self._random.choice(self._done())
        reference: str = (await self._fleet.until(lambda: self._column_of(about, "reference")))[0]
        if not reference:
            return
        self._changes.append(wish)
        while not wish.is_done and wish.tries < TRIES:
            wish.tries += 1
            before = len(self._fleet.answers)
            place = self._fleet.slack.channel("general")
            outcome = await workspace.command(who, place, f"/incident update {reference} {wish.text}")
            refused = any("please try again" in body.lower() for _, _, body in self._fleet.answers[before:])
            wish.is_done = outcome.ok and not refused
            wish.answer = f"{outcome.error} {self._fleet.answers[before:]}"
            if not wish.is_done:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _update_by_key(self, wish: _Wish) -> None:
        about = self._random.choice(self._done())
        found: str = (await self._fleet.until(lambda: self._column_of(about, "id")))[0]
        if found:
            self._changes.append(wish)
            body = {"incident_id": found, "message": wish.text, "idempotency_key": wish.text}
            await self._ask(wish, "/v2/incident_updates", body, API_TOKEN)

    def _column_of(self, wish: _Wish, column: str) -> list[str]:
        """A column of the incident, empty without one; no answer at all while the database is down."""
        with suppress(psycopg.OperationalError):
            rows = self._fleet.rows(f"SELECT {column} FROM incidents WHERE name = %s", wish.text)
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

    def _all_attached(self) -> bool:
        """Whether each alert that was taken is with its incident."""
        return not self._fleet.rows("SELECT 1 FROM tocsin_alerts WHERE is_pending LIMIT 1")

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
            if wish.is_done and (announced[wish.text], origins[wish.text]) != (1, int(wish.way == "slack")):
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
            if not wish.is_done:
                yield f"{wish.text} was not taken after {wish.tries} tries: {wish.answer}"
            elif wish.way != "alert" and not 1 <= noted[wish.text] <= (
                wish.tries if wish.way == "slack" else 1
            ):
                begun = self._fleet.rows(
                    "SELECT status, application_version, executor_id, error FROM dbos.workflow_status"
                    " WHERE workflow_uuid IN"
                    " (SELECT workflow_uuid FROM dbos.workflow_input WHERE inputs LIKE %s)",
                    f"%{wish.text}%",
                )
                said = f"{wish.text} was noted {noted[wish.text]} times in {wish.tries} tries"
                yield f"{said}: {begun} {wish.answer}"

    def _alerts_lost_or_doubled(self) -> Iterator[str]:
        """Each alert is one row; timelines count all of them, and name the first of each batch."""
        sent = {wish.text for wish in (*self._declarations, *self._changes) if wish.way == "alert"}
        kept = Counter(str(title) for (title,) in self._fleet.rows("SELECT title FROM tocsin_alerts"))
        if kept != Counter(sent):
            yield f"alerts: {kept - Counter(sent)} too many, {Counter(sent) - kept} too few"
        told = self._fleet.rows("SELECT text FROM incident_timeline_items WHERE verb = 'sent alerts:'")
        counted = sum(int(number) for (text,) in told for number in FIRING.findall(text))
        if counted != len(sent):
            yield f"{len(sent)} alerts were sent, and timelines tell of {counted}"

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
    config = folder / "tocsin.toml"
    config.write_text(declared_by("wish"))
    settings = {"TOCSIN_CONFIG": str(config), "TOCSIN_API_TOKEN": API_TOKEN, VARIABLE: TOKEN}
    async with running_fleet(folder, server, REPLICAS, **settings) as fleet:
        return await Campaign(fleet, server, seed, has_programs=True).run(declarations, changes)


async def rolling_upgrade(
    folder: Path, server: PostgresqlServer, before: Path, *, declarations: int, changes: int, seed: int
) -> Report:
    """The same, where replicas of the sources `before` are first replaced by some of these, one by one."""
    async with running_fleet(folder, server, REPLICAS, source=before) as fleet:
        return await Campaign(fleet, server, seed, UPGRADING, between=GESTURES_WHILE_UPGRADING).run(
            declarations, changes
        )
