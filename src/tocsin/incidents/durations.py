"""How long an incident took, as far as its timeline tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from tocsin.incidents.changes import UPDATE_VERBS, VERBS
from tocsin.incidents.model import Frozen, Incident, TimelineEntry


class Durations(Frozen):
    """Each from the declaration on; what cannot be known is None, or left out."""

    lasted: timedelta | None = None
    """Until it ended; None while it is open."""

    first_update: timedelta | None = None
    """Until somebody told what is known."""

    reached: tuple[tuple[str, timedelta], ...] = ()
    """Each status with when it was first reached, in that order."""


def lasted(incident: Incident) -> timedelta:
    """From declared to closed, or to the last change of one that has no time of its end."""
    return max((incident.closed_at or incident.updated_at) - incident.created_at, timedelta())


def durations_of(incident: Incident, timeline: Sequence[TimelineEntry]) -> Durations:
    """A timeline that a hosted backend keeps may name no statuses: then none is reached."""
    reached: dict[str, timedelta] = {}
    first_update = None
    for entry in timeline:
        after = max(entry.at - incident.created_at, timedelta())
        if entry.verb == VERBS["incident_status_id"]:
            reached.setdefault(entry.text, after)
        elif first_update is None and entry.verb in {*UPDATE_VERBS.values(), "updated"}:
            first_update = after
    return Durations(
        lasted=None if incident.incident_status.is_open else lasted(incident),
        first_update=first_update,
        reached=tuple(reached.items()),
    )


def duration(passed: timedelta) -> str:
    """`less than a minute`, `12 min`, `2 h 5 min`, `3 d 4 h`."""
    minutes = int(passed.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours)
    parts += [f"{minutes} min"] * bool(minutes and not days)
    return " ".join(parts) or "less than a minute"


def in_sentences(durations: Durations) -> tuple[tuple[str, str], ...]:
    """What took how long, as label and words; nothing of what is not known."""
    found = [("Lasted", durations.lasted), ("First update after", durations.first_update)]
    found += [(f"{status} after", after) for status, after in durations.reached]
    return tuple((label, duration(after)) for label, after in found if after is not None)
