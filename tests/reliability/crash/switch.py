"""The switch at each crash point: it counts who passes, and kills the process when it is time."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import TypeVar

from reliability.crash.clock import BOT_TIME
from reliability.crash.points import MODULES, ROOM, SWITCH, rewritten

T = TypeVar("T")
CLOCK = f"{ROOM}.data_dir"
"""The module that defines `now`, by which the bot knows the date."""


@dataclass(frozen=True)
class Kill:
    """Kill at the `hit`-th pass of this point, or of any point when there is no name."""

    point: str | None
    hit: int

    def __str__(self) -> str:
        return f"{self.point or 'any'}#{self.hit}"


NEVER = Kill(None, 0)
"""No pass is the noughth: this life is spared."""


class Switch:
    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self._kill: Kill | None = None
        self._note = Path()
        self._one_at_a_time = threading.Lock()

    def arm(self, kill: Kill | None, note: Path) -> None:
        """From now on, count; at the kill, write into `note` what was passed, and die."""
        self.passed.clear()
        self._kill, self._note = kill, note

    def at(self, point: str) -> None:
        with self._one_at_a_time:
            self.passed[point] += 1
            kill = self._kill
            if kill is None or kill.point not in (None, point):
                return
            if (self.passed[point] if kill.point else self.passed.total()) == kill.hit:
                self._note.write_text(json.dumps({"point": point, "passed": self.passed}))
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    def before(self, stem: str, value: T) -> T:
        self.at(f"{stem}:before")
        return value

    def after(self, stem: str, value: T) -> T:
        self.at(f"{stem}:after")
        return value

    @contextmanager
    def transaction(self, stem: str, manager: AbstractContextManager[T]) -> Iterator[T]:
        self.at(f"{stem}:begin")
        with manager as value:
            yield value
            self.at(f"{stem}:commit")
        self.at(f"{stem}:committed")

    async def turns(self, stem: str, values: AsyncIterable[T]) -> AsyncIterator[T]:
        coming = aiter(values)
        while True:
            self.at(f"{stem}:before")
            try:
                value = await anext(coming)
            except StopAsyncIteration:
                return
            self.at(f"{stem}:after")
            yield value

    @asynccontextmanager
    async def entry(self, stem: str, manager: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
        self.at(f"{stem}:before")
        async with manager as value:
            self.at(f"{stem}:inside")
            yield value
        self.at(f"{stem}:left")


SWITCHES = Switch()


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        tree, _ = rewritten(source, fullname.removeprefix(f"{ROOM}."))
        return compile(tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[SWITCH] = SWITCHES
        super().exec_module(module)


class _ClockLoader(importlib.machinery.SourceFileLoader):
    """The one place where the bot asks what day it is; what it hands on asks us."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.__dict__["now"] = BOT_TIME.now


class Finder(importlib.abc.MetaPathFinder):
    """Loads the modules that have crash points with a switch at each of them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(f"{ROOM}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        if fullname == CLOCK:
            spec.loader = _ClockLoader(fullname, spec.origin)
        elif fullname.removeprefix(f"{ROOM}.") in MODULES:
            spec.loader = _Loader(fullname, spec.origin)
        else:
            return None
        return spec


def lay_switches() -> None:
    """Before anything of the bot is imported: from now on its modules come with switches."""
    early = [name for name in sys.modules if name.startswith(f"{ROOM}.")]
    assert not early, f"imported too early: {early}"
    sys.meta_path.insert(0, Finder())
