"""Tell the operator what only they can mend: once when it begins, and once when it is well again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
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
"""Says a sentence under a key; its last argument is True where an earlier attempt may have arrived."""

KEPT_AS = "alarms told and to be told"
_KEPT = TypeAdapter(dict[str, dict[str, str]])
log = structlog.get_logger()


class OperatorAlerts:
    """The operator's bell. What is known to be wrong outlives the process, so that it is told once."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._known: dict[str, str] = {}
        """All that is wrong now, by what it is about."""
        self._since: dict[str, float] = {}
        """Since when something that may pass by itself has been wrong (seconds of the event loop)."""
        self._unsaid: dict[str, str] = {}
        """All that is to be said, oldest first, by the key that its message will have in Slack."""
        self._perhaps_said: set[str] = set()
        """Keys of what may have been said already, by an earlier process or an earlier attempt."""
        self._more = asyncio.Event()

    def raise_alert(self, about: str, sentence: str) -> None:
        """Have the operator told, unless they know. Anything about something else is another trouble."""
        if about in self._known:
            return
        self._known[about] = sentence
        log.error("for the operator", about=about, what=sentence)
        self._say_soon(sentence)

    def resolve(self, about: str) -> None:
        """Have the operator told that it is over, where they were told that it began."""
        sentence = self._known.pop(about, None)
        if sentence is not None:
            log.warning("well again", about=about)
            self._say_soon(f"Well again. Earlier: {sentence}")

    def observe(self, about: str, wrong: str, *, after: float) -> None:
        """Take note of a check: nothing `wrong`, or a sentence, told once that lasts `after` seconds."""
        if not wrong:
            self._since.pop(about, None)
            self.resolve(about)
        elif loop_time() - self._since.setdefault(about, loop_time()) >= after:
            self.raise_alert(about, wrong)

    async def guard(self, about: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Return what `act` answers, or raise what it raises.

        A trouble that is the operator's is told, and so is its end.
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
        """Know again what the operator was told before the last stop, and what was still to be said."""
        async with best_effort("recall what the operator knows"):
            kept = _KEPT.validate_json(await self._store.get(KEPT_AS) or "{}")
            self._known = {**kept.get("known", {}), **self._known}
            earlier = kept.get("unsaid", {})
            self._unsaid = {**earlier, **self._unsaid}
            self._perhaps_said = set(earlier)
            if earlier:
                self._more.set()

    async def keep_saying(self, say: Say) -> None:
        """Say one thing after the other, for ever; while Slack cannot be reached, they wait."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._unsaid:
                key, sentence = next(iter(self._unsaid.items()))
                # Kept before it is said, with its key: a restart then finds it in Slack, and says it no more.
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
