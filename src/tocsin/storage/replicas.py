"""Replicas of Tocsin that share a database: which are alive, which leads, and what they tell each other."""

from __future__ import annotations

import asyncio
import json
import platform
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
import structlog

from tocsin.incidents.errors import Unavailable
from tocsin.storage.barrier import root_message
from tocsin.storage.database import SHARED_TABLES, Database
from tocsin.workflows.retry import best_effort

log = structlog.get_logger()

TICK_SECONDS = 1.0
"""Seconds between two beats; what another replica changed is known here after one of them."""

LEASE_SECONDS = 6.0
"""Seconds after its last beat for which a replica may go on with its workflows."""

DEAD_SECONDS = 9.0
"""Seconds without a beat after which the others take a replica's workflows. Longer than the lease, so that a
replica that was only slow has stopped before."""

LOOK_BEATS = 5
"""Beats between two looks of the leader for workflows whose replica is not known any more."""

NEWS_SECONDS = 15.0
"""Seconds for which news is kept: longer than a replica that is not dead may miss a beat."""

CUT_OFF = "This replica of Tocsin has lost touch with the others for a moment. Try again."

_replicas = sa.Table(
    "tocsin_replicas",
    SHARED_TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("joined_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("is_dead", sa.Boolean, nullable=False),
)
_news = sa.Table(
    "tocsin_news",
    SHARED_TABLES,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("replica", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
)

_NOW = sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Float)
"""The database's clock: those of the replicas' machines may differ."""


def count_alive(connection: sa.Connection) -> int:
    """Return the number of replicas that run now; 0 if none ever did."""
    if not sa.inspect(connection).has_table(_replicas.name):
        return 0
    alive = sa.select(sa.func.count()).where(
        _replicas.c.seen_at >= _NOW - DEAD_SECONDS, _replicas.c.is_dead.is_(False)
    )
    return connection.scalar(alive) or 0


Hear = Callable[[str], Awaitable[None]]
"""Callback with the subject of a piece of news, such as an incident's id."""


@dataclass(frozen=True)
class _Beat:
    """Answer to a beat of a replica."""

    alive: tuple[str, ...]
    """Ids of the replicas that are not dead, the leader first."""
    is_dead: bool
    news: Sequence[Any]


@dataclass
class Replicas:
    """Membership of this process among the replicas; alone with an SQLite database, and always the leader."""

    database: Database
    format: int
    """Version of the workflows that this one can go on with; of two replicas the newer one leads."""
    id: str = field(default_factory=lambda: f"{platform.node()}-{uuid4().hex[:12]}")
    """The name of its host, which is a pod's own, and some chance: a process is never taken for another."""
    hearers: dict[str, Hear] = field(default_factory=dict)
    """Callbacks for each kind of news."""
    on_death: Callable[[], Awaitable[None]] | None = None
    """Called when the others took this replica for dead: its workflows are theirs."""
    take_over: Callable[[Sequence[str]], Awaitable[None]] | None = None
    """Called on the leader with the ids of all replicas that live."""
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.is_leader = not self.database.is_shared
        self._valid_until = 0.0
        self._has_joined = False
        # All other threads may be waiting for the database when it comes back, and sleep for a minute.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replicas")
        self._alive: tuple[str, ...] = ()
        self._beaten = asyncio.Event()
        self._heard: dict[int, None] = {}
        self._unheard: asyncio.Queue[Any] = asyncio.Queue()
        self._to_tell: list[tuple[str, str]] = []
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def is_cut_off(self) -> bool:
        """True if the others may take, or have taken, this replica for dead."""
        return self.database.is_shared and self.clock() > self._valid_until

    @property
    def is_alone(self) -> bool:
        """True unless other replicas were alive at the last beat."""
        return len(self._alive) <= 1

    def check(self) -> None:
        """Raise Unavailable if this replica is cut off, and may not go on with its workflows."""
        if self.is_cut_off:
            raise Unavailable(CUT_OFF, retry_after=TICK_SECONDS)

    def tell(self, kind: str, subject: str) -> None:
        """Tell the other replicas, with a beat at once."""
        if self.database.is_shared:
            if (kind, subject) not in self._to_tell:
                self._to_tell.append((kind, subject))
            self._hurry.set()

    def relay_alert(self, about: str, sentence: str) -> bool:
        """Tell the leader of an alert or, without a sentence, of its end; False if this is the leader."""
        if not self.is_leader:
            self.tell("alert", json.dumps([about, sentence]))
        return not self.is_leader

    async def join(self) -> None:
        """Become one of the replicas. Raises Unavailable."""
        if self.database.is_shared:
            try:
                await self._beat()
            except sa.exc.SQLAlchemyError as error:
                raise Unavailable(f"the database cannot be used ({root_message(error)}).") from error

    async def keep_beating(self) -> None:
        """Beat, forever."""
        while self.database.is_shared:
            # News that comes during a beat is told with the next one, at once.
            self._hurry.clear()
            async with best_effort("tell the other replicas that this one lives"):
                await self._beat()
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def keep_taking_over(self) -> None:
        """On the leader, take over whenever a replica is gone, and now and then, forever.

        Beside the beats, since after an outage there may be much: a leader that is silent is taken for dead.
        """
        taken_over: tuple[str, ...] = ()
        beats = 0
        while self.database.is_shared:
            await self._beaten.wait()
            self._beaten.clear()
            alive, beats = self._alive, beats + 1
            if not self.is_leader or self.take_over is None or (alive == taken_over and beats < LOOK_BEATS):
                continue
            async with best_effort("take over from the replicas that are gone"):
                await self.take_over(alive)
                taken_over, beats = alive, 0

    async def keep_hearing(self) -> None:
        """Act on news of the others, forever: beside the beats, since asking a backend may take long."""
        while self.database.is_shared:
            row = await self._unheard.get()
            hear = self.hearers.get(row.kind)
            if hear is not None:
                async with best_effort(f"hear of a change of another replica ({row.kind})"):
                    await hear(row.subject)

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` while this replica leads, anew each time that it becomes the leader, forever."""
        if not self.database.is_shared:
            return await work()
        while True:
            if not self.is_leader:
                await self._changed.wait()
                continue
            doing, changed = asyncio.ensure_future(work()), asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({doing, changed}, return_when=asyncio.FIRST_COMPLETED)
                if doing.done():
                    return doing.result()
            finally:
                doing.cancel()
                changed.cancel()
                await asyncio.gather(doing, changed, return_exceptions=True)

    async def leave(self) -> None:
        """Let the others take what this replica leaves unfinished at once."""
        if self.database.is_shared:
            self._valid_until = 0.0
            async with best_effort("leave the other replicas"):
                gone = _replicas.update().where(_replicas.c.id == self.id).values(seen_at=0.0)
                await self.database.do(lambda connection: connection.execute(gone) and None)
            self._thread.shutdown(wait=False)

    async def _beat(self) -> None:
        began, telling = self.clock(), list(self._to_tell)
        beat = await asyncio.get_running_loop().run_in_executor(
            self._thread, self.database.run, lambda connection: self._beat_in(connection, telling)
        )
        del self._to_tell[: len(telling)]
        self._has_joined = not beat.is_dead
        if beat.is_dead:
            # It joins again once the leader has taken everything over, and has removed this replica.
            self._lose()
            log.warning("taken for dead", replica=self.id)
            if self.on_death is not None:
                await self.on_death()
            return
        self._valid_until = began + LEASE_SECONDS
        self._alive = beat.alive
        self._become(is_leader=beat.alive[:1] == (self.id,))
        for row in beat.news:
            self._note(row)
        self._beaten.set()

    def _beat_in(self, connection: sa.Connection, telling: Sequence[tuple[str, str]]) -> _Beat:
        now = connection.scalar(sa.select(_NOW)) or 0.0
        mine = _replicas.update().where(_replicas.c.id == self.id, _replicas.c.is_dead.is_(False))
        if connection.execute(mine.values(seen_at=now)).rowcount == 0:
            there = sa.select(_replicas.c.id).where(_replicas.c.id == self.id)
            if self._has_joined or connection.scalar(there) is not None:
                return _Beat(alive=(), is_dead=True, news=())
            row = {"id": self.id, "format": self.format, "joined_at": now, "seen_at": now, "is_dead": False}
            connection.execute(_replicas.insert().values(row))
        if telling:
            said = [{"at": now, "replica": self.id, "kind": kind, "subject": what} for kind, what in telling]
            connection.execute(_news.insert(), said)
        dying = _replicas.c.seen_at < now - DEAD_SECONDS
        alive = connection.scalars(
            sa.select(_replicas.c.id)
            .where(sa.not_(dying), _replicas.c.is_dead.is_(False))
            .order_by(_replicas.c.format.desc(), _replicas.c.joined_at, _replicas.c.id)
        ).all()
        if alive[:1] == [self.id] and self.is_leader and not self.is_cut_off:
            # A new leader, or one that was silent, waits for one beat more: after an outage all were silent.
            connection.execute(_replicas.update().where(dying).values(is_dead=True))
            connection.execute(_news.delete().where(_news.c.at < now - NEWS_SECONDS))
        others = sa.select(_news).where(_news.c.replica != self.id, _news.c.at > now - NEWS_SECONDS)
        return _Beat(tuple(alive), is_dead=False, news=connection.execute(others.order_by(_news.c.id)).all())

    async def forget_dead(self) -> None:
        """Remove the replicas that were marked as dead, once everything of theirs was taken over."""
        gone = _replicas.delete().where(_replicas.c.is_dead.is_(True))
        await self.database.do(lambda connection: connection.execute(gone) and None)

    def _note(self, row: Any) -> None:
        """Have a piece of news heard, unless an earlier beat brought it already."""
        if row.id in self._heard:
            return
        self._heard[row.id] = None
        while len(self._heard) > 10_000:
            del self._heard[next(iter(self._heard))]
        self._unheard.put_nowait(row)

    def _lose(self) -> None:
        self._valid_until = 0.0
        self._become(is_leader=False)

    def _become(self, *, is_leader: bool) -> None:
        if is_leader != self.is_leader:
            self.is_leader = is_leader
            log.info("leads" if is_leader else "follows", replica=self.id)
            self._changed.set()
            self._changed = asyncio.Event()
