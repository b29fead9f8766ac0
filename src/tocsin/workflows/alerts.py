"""Alerts to the operator about problems that only they can fix: one message at the start, one at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar, TypeVarTuple
from uuid import uuid4

import structlog
from pydantic import TypeAdapter

from tocsin.incidents.errors import Unavailable
from tocsin.workflows.ports import KeyValueStore, loop_time
from tocsin.workflows.retry import ALL_DAY, best_effort, retry

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Say = Callable[[str, str, bool], Awaitable[None]]
"""Sends a sentence with a key; the last argument is True if an earlier attempt may have arrived."""

KEPT_AS = "alarms told and to be told"
OF_REPLICA = " of replica "
"""Stands in a subject before the id of the replica that the problem is of."""

_KEPT = TypeAdapter(dict[str, dict[str, str]])
log = structlog.get_logger()


class OperatorAlerts:
    """Alerts to the operator. Known problems are stored, so that a restart does not report them again."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self.relay: Callable[[str, str], bool] = lambda about, sentence: False
        """Passes an alert, or its end (no sentence), on to the replica that leads; False on that one."""
        self.replica = ""
        """Id of this replica; empty where no other can share the database."""
        self.is_alone: Callable[[], bool] = lambda: True
        """True while no other replica runs, so that alerts need not name theirs."""
        self._known: dict[str, str] = {}
        """Sentences about the problems that exist now, by subject."""
        self._since: dict[str, float] = {}
        """Time (event loop's clock) since which each check has failed, by subject."""
        self._unsaid: dict[str, str] = {}
        """Messages still to be sent, oldest first, by the key that each will have in Slack."""
        self._perhaps_said: set[str] = set()
        """Keys of messages that an earlier process or an earlier attempt may have sent already."""
        self._more = asyncio.Event()

    def raise_alert(self, about: str, sentence: str) -> None:
        """Queue a message to the operator, unless a problem about this subject is known already."""
        self._raise(about, sentence if self.is_alone() else f"{sentence} (From replica {self.replica}.)")

    def _raise(self, about: str, sentence: str) -> None:
        if about in self._known:
            return
        self._known[about] = sentence
        log.error("for the operator", about=about, what=sentence)
        if not self.relay(about, sentence):
            self._say_soon(sentence)

    def resolve(self, about: str) -> None:
        """Queue a message that the problem is over, if the operator was told of it."""
        sentence = self._known.pop(about, None)
        if sentence is not None:
            log.warning("well again", about=about)
            if not self.relay(about, ""):
                self._say_soon(f"Well again. Earlier: {sentence}")

    def of_replica(self, about: str) -> str:
        """Return the subject of a problem that each replica has, or has not, for itself."""
        return f"{about}{OF_REPLICA}{self.replica}" if self.replica else about

    def resolve_gone(self, alive: Collection[str]) -> None:
        """On the leader, queue a message for each problem of a replica that is not alive any more."""
        for about in list(self._known):
            _, _, replica = about.partition(OF_REPLICA)
            if replica and replica not in alive:
                self._say_soon(f"That replica runs no more. Earlier: {self._known.pop(about)}")

    async def hear(self, relayed: str) -> None:
        """Say what another replica relayed, if this one leads."""
        about, sentence = json.loads(relayed)
        if self.relay(about, sentence):
            return
        if sentence:
            self._raise(about, sentence)
        else:
            self.resolve(about)

    def observe(self, about: str, wrong: str, *, after: float) -> None:
        """Record the result of a check: `wrong` is empty, or a sentence.

        The sentence is sent to the operator once the check has failed for `after` seconds.
        """
        if not wrong:
            self._since.pop(about, None)
            self.resolve(about)
        elif loop_time() - self._since.setdefault(about, loop_time()) >= after:
            self.raise_alert(about, wrong)

    async def guard(self, about: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Return the result of `act`, or raise its error.

        An Unavailable that carries a sentence for the operator raises an alert; a later success resolves it.
        """
        try:
            answer = await act(*args)
        except Unavailable as error:
            if error.operator:
                self.raise_alert(about, error.operator)
            raise
        self.resolve(about)
        return answer

    async def load(self) -> None:
        """Load the known problems and the unsent messages that the last process stored."""
        async with best_effort("recall what the operator knows"):
            kept = _KEPT.validate_json(await self._store.get(KEPT_AS) or "{}")
            self._known = {**kept.get("known", {}), **self._known}
            earlier = kept.get("unsaid", {})
            self._unsaid = {**earlier, **self._unsaid}
            self._perhaps_said = set(earlier)
            if earlier:
                self._more.set()

    async def keep_saying(self, say: Say) -> None:
        """Send the queued messages one after the other, forever; they wait while Slack cannot be reached."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._unsaid:
                key, sentence = next(iter(self._unsaid.items()))
                # Stored with its key before it is sent: after a restart the message is found in Slack by that
                # key and is not sent twice.
                await self._keep()
                await self._say(say, key, sentence)
                del self._unsaid[key]
                await self._keep()

    async def _say(self, say: Say, key: str, sentence: str) -> None:
        async def once() -> None:
            again = key in self._perhaps_said
            self._perhaps_said.add(key)
            await say(sentence, key, again)

        async with best_effort("tell the operator"):
            await retry(once, attempts=ALL_DAY)
        self._perhaps_said.discard(key)

    async def _keep(self) -> None:
        async with best_effort("keep what the operator knows"):
            kept = {"known": self._known, "unsaid": self._unsaid}
            await self._store.set(KEPT_AS, json.dumps(kept))

    def _say_soon(self, sentence: str) -> None:
        self._unsaid[str(uuid4())] = sentence
        self._more.set()
