"""Time in a bot that is started over a hosted backend: minutes of waiting pass in seconds when it is hurried.

While such a bot is blocked, its time goes as many times as fast as the runner says; while it works it goes as
it does. How far it is ahead is in a file, so that its next life, and the vendor, live in the same time.
"""

from __future__ import annotations

import mmap
import selectors
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

AHEAD, SPEED = 0, 1
LONGEST_WAIT = 0.05
"""Seconds after which a blocked bot looks whether it is to hurry."""

_real = time.monotonic


class Hurry:
    """How many seconds ahead of the machine's clock a run is, and how fast its waiting goes by."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(struct.pack("dd", 0.0, 1.0))
        with file.open("r+b") as shared:
            self._shared = mmap.mmap(shared.fileno(), 16)
        # Written in one piece, as `struct.pack_into` is not: whoever reads meanwhile sees no zero.
        self._told = memoryview(self._shared).cast("d")

    @property
    def ahead(self) -> float:
        return self._told[AHEAD]

    @property
    def speed(self) -> float:
        return self._told[SPEED]

    @speed.setter
    def speed(self, times: float) -> None:
        self._told[SPEED] = times

    def skip(self, seconds: float) -> None:
        self._told[AHEAD] = self.ahead + seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def close(self) -> None:
        self._told.release()
        self._shared.close()


class Hurried(selectors.DefaultSelector):
    """A wait for sockets that is as many times as short, and counts for its full length."""

    def __init__(self, hurry: Hurry) -> None:
        super().__init__()
        self._hurry = hurry

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        speed = self._hurry.speed
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        began = _real()
        longest = LONGEST_WAIT if timeout is None else min(timeout / speed, LONGEST_WAIT)
        found = super().select(longest)
        self._hurry.skip((_real() - began) * (speed - 1.0))
        return found


class BotTime:
    """What a bot reads as the time; the machine's own, until it is told to live in the time of a run."""

    def __init__(self) -> None:
        self.hurry: Hurry | None = None

    def monotonic(self) -> float:
        return _real() + (self.hurry.ahead if self.hurry is not None else 0.0)

    def now(self) -> datetime:
        return self.hurry.now() if self.hurry is not None else datetime.now(UTC)


BOT_TIME = BotTime()


def lay_time() -> None:
    """Before anything that waits is imported: from now on everything asks here how late it is."""
    time.monotonic = BOT_TIME.monotonic
