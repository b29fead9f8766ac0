"""Whose errand the running task is on, and since when: known to every call to Slack that is made for it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Behalf:
    """The person, by their id in Slack, and the moment before which nothing was done for this."""

    person: str = ""
    since: datetime | None = None


_NOBODY = Behalf()
_behalf: ContextVar[Behalf] = ContextVar("behalf", default=_NOBODY)


def behalf() -> Behalf:
    """On whose behalf the running task acts; on nobody's where that was not said."""
    return _behalf.get()


def act_for(person: str | None, since: datetime | None) -> None:
    """From here on this task, and those that it begins, are for this person, who asked for it then."""
    _behalf.set(Behalf(person or "", since))
