"""The weekly digest: when it is due, and what it says. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tocsin.incidents.insights import (
    CLOSE,
    COUNTED,
    OPEN,
    Chosen,
    CountedDays,
    added,
    quantile,
    under,
)
from tocsin.incidents.model import FrozenModel, Incident
from tocsin.incidents.tasks import OVERDUE

LATE = timedelta(hours=6)
"""Time after which a digest that could not be posted is left out."""

MOST_LISTED = 10
"""Open incidents that a digest names."""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WHEN = re.compile(rf"({'|'.join(DAYS)}) +([01]?[0-9]|2[0-3]):([0-5][0-9])", re.IGNORECASE)


def parse_when(typed: str) -> tuple[int, time]:
    """Return the day of the week, from 0 for Monday, and the time. Raises ValueError."""
    found = _WHEN.fullmatch(typed.strip())
    if found is None:
        raise ValueError("give a day of the week and a time, such as 'monday 09:00'")
    return DAYS.index(found[1].lower()), time(int(found[2]), int(found[3]))


class DigestRule(FrozenModel):
    """A channel to which a digest is posted once a week, at a time of this zone."""

    channel: str
    on: str
    zone: str = "UTC"

    def last_due(self, now: datetime) -> datetime:
        """Return the last moment until now at which the digest was due, in UTC.

        A time that the clocks are put forward over is that of the offset before.
        """
        weekday, at = parse_when(self.on)
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        day = today - timedelta(days=(today.weekday() - weekday) % 7)
        due = datetime.combine(day, at, zone).astimezone(UTC)
        return due if due <= now else datetime.combine(day - timedelta(days=7), at, zone).astimezone(UTC)

    def week_of(self, due: datetime) -> str:
        """Return the ISO week of a due time in this zone, such as `2026-W10`: it has one digest at most."""
        return f"{due.astimezone(ZoneInfo(self.zone)):%G-W%V}"


class WeeklyDigest(FrozenModel):
    """Figures of a week of public incidents, and the incidents that are open now."""

    first: date
    last: date
    declared: int = 0
    open: int = 0
    """Number of the week's incidents that are open."""
    by_severity: tuple[tuple[str, int], ...] = ()
    """Names of severities with their incidents, worst first."""
    lasted: tuple[str, timedelta] | None = None
    """Name and median of the time to fix; of the time to close where none is measured."""
    overdue: int | None = None
    """Follow-ups of a year's incidents that are overdue; None if they are not known."""
    open_now: tuple[Incident, ...] = ()
    has_more: bool = False
    """True if there are more open incidents than those."""
    is_in_part: bool = False
    """True if some days could not be counted, or have more incidents than are counted."""
    insights: str = ""
    """Address of the page with the figures; "" if other people cannot reach it."""

    @property
    def is_quiet(self) -> bool:
        """True if nothing happened and nothing is left to do."""
        return not (self.declared or self.open_now or self.overdue or self.is_in_part)


def week_until(due: datetime) -> Chosen:
    """Return the seven days before the day on which a digest is due, in UTC."""
    last = due.astimezone(UTC).date() - timedelta(days=1)
    return Chosen(last - timedelta(days=6), last)


def digest_of(
    week: CountedDays, year: CountedDays, chosen: Chosen, open_now: tuple[Incident, ...], insights: str
) -> WeeklyDigest:
    """Return the digest of a week; `year` has the days of which follow-ups may be overdue."""
    total = added(week.days.values(), chosen)
    # A severity that is not there, since somebody edited a row by hand, has its id for a name.
    unknown = sorted({cell[1] for day in week.days.values() for cell in day} - {"", *week.names.severities})
    names = {**dict(zip(unknown, unknown, strict=True)), **week.names.severities}
    severities = {
        one: added(week.days.values(), Chosen(chosen.first, chosen.last, one))[COUNTED] for one in names
    }
    return WeeklyDigest(
        first=chosen.first,
        last=chosen.last,
        declared=total[COUNTED],
        open=total[OPEN],
        by_severity=tuple((names[one], times) for one, times in reversed(severities.items()) if times),
        lasted=_lasted(week, chosen),
        overdue=overdue(year, chosen.last + timedelta(days=1)) if year.has_follow_ups else None,
        open_now=open_now[:MOST_LISTED],
        has_more=len(open_now) > MOST_LISTED,
        is_in_part=_is_in_part(week) or (year.has_follow_ups and _is_in_part(year)),
        insights=insights,
    )


def _is_in_part(counted: CountedDays) -> bool:
    return bool(counted.missing or counted.cut or counted.newest is not None)


def overdue(counted: CountedDays, today: date) -> int:
    """Return the number of follow-ups that are overdue."""
    total = added(counted.days.values(), Chosen(min(counted.days, default=today), today))
    pending = under(total, "follow-up", "open")
    return sum(times for (day,), times in pending.items() if date.fromisoformat(day) <= today - OVERDUE)


def _lasted(week: CountedDays, chosen: Chosen) -> tuple[str, timedelta] | None:
    """Return the name and the median of the last duration that the organisation measures, if any has it."""
    total = added(week.days.values(), chosen)
    for duration, name in (*list(week.names.durations.items())[::-1], (CLOSE, "Time to close")):
        buckets = {int(number): times for (number,), times in under(total, "lasted", duration).items()}
        if (median := quantile(buckets, 0.5)) is not None:
            return name, median
    return None
