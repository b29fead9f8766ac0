"""Faults that a test plans for the next calls of a method."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class Fault:
    """One planned failure: answer with `status`, `error` or `body`, wait for `until`, or reset mid-response.

    `body` is sent as it is, as `content_type`; so is `retry_after`, even if malformed. With `after_effect`
    the method first does its work, and only the answer is lost or late.
    """

    status: int = 200
    error: str | None = None
    retry_after: float | str | None = None
    body: str | None = None
    content_type: str = "application/json"
    until: asyncio.Event | None = None
    reset: bool = False
    after_effect: bool = False

    @property
    def spoils(self) -> bool:
        """True if the app does not get the true answer; a fault that only waits gives it late."""
        said = (self.error, self.retry_after, self.body)
        return self.status != 200 or self.reset or any(part is not None for part in said)


class Faults:
    def __init__(self) -> None:
        self._planned: dict[str, list[Fault]] = {}

    def plan(self, method: str, *faults: Fault) -> None:
        """Have the next calls of this method meet these faults, one each."""
        self._planned.setdefault(method, []).extend(faults)

    def next_for(self, method: str) -> Fault | None:
        planned = self._planned.get(method)
        return planned.pop(0) if planned else None

    def planned(self) -> dict[str, int]:
        """Return the number of planned faults by method."""
        return {method: len(faults) for method, faults in self._planned.items() if faults}

    def clear(self) -> None:
        self._planned.clear()
