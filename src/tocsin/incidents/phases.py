"""Phases of an incident: how long it had each status, from its declaration to its end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from tocsin.incidents.model import FrozenModel, Incident, Status, TimelineEntry
from tocsin.incidents.permissions import Verb
from tocsin.incidents.transitions import STATUS_VERBS

OPEN = "Open"
"""Name of a phase whose status the timeline does not tell, such as one that was set elsewhere."""


class Phase(FrozenModel):
    """A time in which an incident had one status; `category` is that of the status, such as `triage`."""

    name: str
    category: str
    began: datetime
    ended: datetime
    """Its end; in the phase that an open incident is in, the moment of asking."""
    is_current: bool = False

    @property
    def lasted(self) -> timedelta:
        return self.ended - self.began


def phases_of(
    incident: Incident, timeline: Sequence[TimelineEntry], now: datetime, statuses: Iterable[Status] = ()
) -> tuple[Phase, ...]:
    """Return the phases in their order, without gaps between them; up to `now` if the incident is open.

    `statuses` are those that can be chosen, for the names and categories of earlier ones. The time between an
    end and a reopening is a phase too, and the end itself is none. Empty for an incident in retrospect, which
    was over when it was declared, and for one whose phases had no length.
    """
    if incident.is_retrospective:
        return ()
    now_has, known = incident.incident_status, {one.name: one for one in statuses}
    known[now_has.name] = now_has
    began = incident.created_at
    end = now if now_has.is_open else incident.closed_at or _last(timeline) or incident.updated_at
    end = max(end, began)
    changes = list(_changes(timeline, began, end))
    if changes and changes[-1][1] != now_has.name:
        # It was changed elsewhere, and nobody can say when.
        return _whole(began, end, now_has.is_open)
    moments = [(began, *_first(changes, now_has, known)), *((at, name) for at, name, _ in changes)]
    found = list[Phase]()
    for (at, name), until in zip(moments, [*(at for at, _ in moments[1:]), end], strict=True):
        if found and found[-1].name == name:
            found[-1] = found[-1].model_copy(update={"ended": until})
        elif until > at or not found:
            category = known[name].category if name in known else "live"
            found.append(Phase(name=name, category=category, began=at, ended=until))
    found = [one for one in found if one.lasted]
    if found and now_has.is_open:
        found[-1] = found[-1].model_copy(update={"is_current": True})
    return tuple(found)


def _changes(
    timeline: Sequence[TimelineEntry], began: datetime, end: datetime
) -> Iterator[tuple[datetime, str, bool]]:
    """Yield the moment and the name of each status that was set, and True if that accepted the incident."""
    for entry in sorted(timeline, key=lambda one: one.at):
        if entry.verb in STATUS_VERBS:
            yield min(max(entry.at, began), end), entry.text, entry.verb == Verb.ACCEPT.timeline


def _first(
    changes: Sequence[tuple[datetime, str, bool]], now_has: Status, known: dict[str, Status]
) -> tuple[str]:
    """Return the name of the status that the incident was declared with.

    That is the first live one if it was not in triage; only a program can choose another one.
    """
    if not changes:
        return (now_has.name if now_has.is_open else OPEN,)
    _, name, accepted = changes[0]
    if accepted:
        return (next((one.name for one in known.values() if one.is_triage), "Triage"),)
    if name not in known or not known[name].is_open:
        # It may have been in triage or not.
        return (OPEN,)
    return (next((one.name for one in known.values() if one.category == "live"), OPEN),)


def _whole(began: datetime, end: datetime, is_open: bool) -> tuple[Phase, ...]:
    one = Phase(name=OPEN, category="live", began=began, ended=end, is_current=is_open)
    return (one,) if one.lasted else ()


def _last(timeline: Sequence[TimelineEntry]) -> datetime | None:
    return max((entry.at for entry in timeline if entry.verb in STATUS_VERBS), default=None)
