"""Who declares so many incidents in a minute that it may be a slip, or a script."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.incidents.model import PersonId
from tocsin.workflows.command import Bounded
from tocsin.workflows.ports import loop_time

MOST = 5
SECONDS = 60.0
"""So many declarations within so many seconds are a bad day; one more is asked about."""

REMEMBERED = 10_000


class Floods:
    """What each person declared within the last minute, for as long as the process lives."""

    def __init__(self, now: Callable[[], float] = loop_time) -> None:
        self._now = now
        self._lately: Bounded[PersonId, dict[str, float]] = Bounded(REMEMBERED)

    def swells(self, person: PersonId, key: str, *, sure: bool) -> bool:
        """Whether this is one too many, and the person has to say that they are sure; else it is counted.

        The same key is one declaration, however often it comes.
        """
        now = self._now()
        lately = {one: at for one, at in self._lately.get(person, {}).items() if now - at < SECONDS}
        is_too_many = key not in lately and len(lately) >= MOST and not sure
        if not is_too_many:
            lately.setdefault(key, now)
        self._lately[person] = lately
        return is_too_many
