"""Declarations in DevRev under faults and crashes, with a list that lags behind: what becomes of each.

Time is virtual, everything else is real: the stand-in is asked over a socket, and what must outlive a crash
is in a file. A crash is before or after one of the calls or one of the writes; nothing but the file is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from integration.devrev.desk import DevRevDesk, declared, devrev_desk
from support.devrev.org import moment

from slack_emulator.faults import Fault
from tocsin.backends.devrev import DevRevBackend, DevRevClient
from tocsin.backends.devrev.form import Choices, fetch_choices
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import Declaration
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore

T = TypeVar("T")
CREATE, LIST = "incidents.create", "incidents.list"
SOON = timedelta(seconds=10.5)
"""What appears in the list is adopted within 10 s, and a half for the waits between tries."""


class Died(BaseException):
    """The process was killed."""


@dataclass
class Fate:
    """When a process dies: at the so-many-th thing it does outside itself, before or after it is done."""

    at: int
    after: bool
    done: int = 0

    async def meet(self, act: Callable[[], Awaitable[T]]) -> T:
        self.done += 1
        dies = self.done == self.at
        if dies and not self.after:
            raise Died
        answer = await act()
        if dies:
            raise Died
        return answer


class DoomedMemory:
    """A memory in a file, in a process that may die before or after it writes."""

    def __init__(self, memory: SqlKeyValueStore, fate: Fate) -> None:
        self._memory = memory
        self._fate = fate

    async def get(self, name: str) -> str | None:
        return await self._fate.meet(lambda: self._memory.get(name))

    async def set(self, name: str, fact: str) -> None:
        await self._fate.meet(lambda: self._memory.set(name, fact))

    async def set_if_absent(self, name: str, fact: str) -> str:
        return await self._fate.meet(lambda: self._memory.set_if_absent(name, fact))

    async def delete(self, name: str) -> None:
        await self._fate.meet(lambda: self._memory.delete(name))


class DoomedClient(DevRevClient):
    """A client in a process that may die before it has sent, or before it has read the answer."""

    fate = Fate(0, False)
    troubled = False
    """Some of its lists will fail."""

    async def ask(self, method: str, body: Any = None) -> dict[str, Any]:
        return await self.fate.meet(lambda: super(DoomedClient, self).ask(method, body))

    async def do(self, method: str, body: Any) -> dict[str, Any]:
        return await self.fate.meet(lambda: super(DoomedClient, self).do(method, body))


@dataclass(frozen=True)
class Rig:
    """What all processes of a campaign are made with."""

    client: DoomedClient
    memory: SqlKeyValueStore
    choices: Choices


@dataclass
class Tally:
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    marked: int = 0
    late: int = 0
    unknown: int = 0
    """Runs in which an outcome was not known at least once, and the list was asked."""
    crashes: int = 0
    worst: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        return (
            f"{self.runs} declarations, {self.unknown} with an outcome not known, {self.crashes} crashes: "
            f"{self.lost} lost, {self.doubled} doubled (of which the sweeps marked {self.marked}), "
            f"{self.late} adopted later than 10 s after they could be seen"
        )


FAULTS: tuple[Callable[[], Fault], ...] = (
    lambda: Fault(status=500, after_effect=True),
    lambda: Fault(reset=True, after_effect=True),
    lambda: Fault(body="<html>busy</html>", after_effect=True),
    lambda: Fault(status=503),
    lambda: Fault(reset=True),
    lambda: Fault(status=429, retry_after=3),
)


async def campaign(folder: Path, *, runs: int, lags: tuple[float, float], seed: int) -> Tally:
    """So many declarations, each with a lag of the list drawn from between the two, in seconds."""
    chance, tally = Random(seed), Tally()
    async with devrev_desk(folder) as desk:
        memory = SqlKeyValueStore(Database(f"sqlite:///{folder / 'journal.db'}"))
        client = DoomedClient(desk.org.token, desk.url)
        rig = Rig(client, memory, await fetch_choices(client))
        for number in range(runs):
            await _run(desk, rig, chance, lags, f"{seed}-{number}", tally)
            tally.runs += 1
        await rig.client.close()
        memory.database.close()
    return tally


async def _run(
    desk: DevRevDesk, rig: Rig, chance: Random, lags: tuple[float, float], key: str, tally: Tally
) -> None:
    org = desk.org
    org.incidents.clear()
    org.requests.clear()
    org.asked_at.clear()
    org.lag = chance.uniform(*lags)
    org.refused = {"sync_metadata"} if chance.random() < 0.2 else set()
    org.unlisted = {"sync_metadata"} if chance.random() < 0.1 else set()
    org.sparse = chance.random() < 0.2
    org.faults.clear()
    for _ in range(chance.choice((0, 1, 1, 2))):
        org.faults.plan(CREATE, chance.choice(FAULTS)())
    rig.client.troubled = chance.random() < 0.3
    if rig.client.troubled:
        org.faults.plan(LIST, *[Fault(status=503) for _ in range(chance.randint(1, 4))])
    crashes = chance.choice((0, 0, 1, 1, 2))
    told = await _live(desk, rig, chance, declared(key), crashes, tally)
    made = list(org.incidents.values())
    tally.unknown += bool(desk.sent(LIST))
    if not made or told is None:
        tally.lost += 1
        tally.worst.append(f"{key}: lost")
    if len(made) > 1:
        tally.doubled += len(made) - 1
        tally.marked += await _swept(desk)


async def _live(
    desk: DevRevDesk, rig: Rig, chance: Random, declaration: Declaration, crashes: int, tally: Tally
) -> Incident | None:
    """Processes one after the other, until one answers; what is planned to die does.

    Where nothing died and every list answered, how late an adoption was can be told.
    """
    calm = not crashes and not rig.client.troubled
    until = desk.clock.now + timedelta(hours=2)
    backend = _process(desk, rig, chance, crashes)
    while desk.clock.now < until:
        try:
            incident = await backend.create(declaration)
        except Unavailable as error:
            wait = 0.5 if error.retry_after is None else error.retry_after
            desk.clock.turn(wait + chance.uniform(0, 0.2))
        except Died:
            crashes -= 1
            tally.crashes += 1
            desk.clock.turn(chance.choice((0.5, 2.0, 15.0, 45.0)))
            backend = _process(desk, rig, chance, crashes)
        else:
            if calm:
                _note_lateness(desk, incident, declaration.key, tally)
            return incident
    return None


def _process(desk: DevRevDesk, rig: Rig, chance: Random, crashes: int) -> DevRevBackend:
    """The next process: it knows nothing but what is in the file. The sockets are shared to save time."""
    fate = Fate(chance.randint(1, 12) if crashes else 0, chance.random() < 0.5)
    rig.client.fate = fate
    roles = IncidentConfig().form().roles
    memory = DoomedMemory(rig.memory, fate)
    backend = DevRevBackend(rig.client, store=memory, clock=desk.clock, roles=roles)
    # What the organisation offers is the same in all of them, and not what this is about.
    backend._account.choices = rig.choices
    return backend


def _note_lateness(desk: DevRevDesk, incident: Incident, key: str, tally: Tally) -> None:
    """Whether what an earlier send had made was adopted in time; the lists that failed are left out of it."""
    org = desk.org
    made_at = moment(org.incidents[incident.id]["created_date"])
    seen_from = made_at + timedelta(seconds=max(org.lag, 2.0))
    late = desk.clock.now - seen_from
    if late > SOON:
        tally.late += 1
        tally.worst.append(f"{key}: {late.total_seconds():.1f} s after it could be seen")


async def _swept(desk: DevRevDesk) -> int:
    marked = 0
    for _ in range(2):
        desk.clock.turn(timedelta(hours=24, minutes=11).total_seconds())
        marked += len(await desk.backend.sweep())
    return marked
