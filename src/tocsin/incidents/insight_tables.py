"""Tables of figures about the incidents of a range, made from the counts of its days. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from tocsin.incidents.insights import (
    APART,
    CLOSE,
    COUNTED,
    DONE,
    OPEN,
    WITHIN,
    Chosen,
    CountedDays,
    Counts,
    Day,
    Names,
    added,
    quantile,
    under,
)
from tocsin.incidents.tasks import OVERDUE

TableCell = str | int | timedelta | None
TableRow = tuple[TableCell, ...]
Plot = Literal["columns", "bars", "spread"]
"""Kind of a table's plot: stacked columns over time, bars side by side, or the spread of durations."""

NONE = "None"
"""Name of what has no severity or no type."""

MOST_PEOPLE = 25
"""People in the table of roles: those who held them longest."""

MOST_WEEKS = 60
"""Weeks of a range up to which incidents are counted by the week, and beyond by the month."""

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_APART_WORDS = {
    "triage": "In triage",
    "test": "Test",
    "declined": "Declined",
    "merged": "Merged",
    "canceled": "Canceled",
}


@dataclass(frozen=True)
class Table:
    """A table, and the kind of its plot. Durations are `timedelta`; each row begins with its name."""

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    plot: Plot
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """Figures of a range."""

    counted: int
    open: int
    apart: tuple[tuple[str, int], ...]
    """Kinds of incidents that are counted apart, with their numbers; those that there are."""
    tables: tuple[Table, ...]

    @property
    def closed(self) -> int:
        return self.counted - self.open

    def table(self, name: str) -> Table | None:
        return next((one for one in self.tables if one.id == name), None)


def busiest(total: Counts, names: Names) -> list[str]:
    """Return the ids of the people who held roles longest, and of them those who held more, first."""
    weight: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for (role, person), seconds in under(total, "held seconds").items():
        if role in names.roles:
            weight[person] += seconds
    for (role, person), held in under(total, "held").items():
        if role in names.roles:
            times[person] += held
    return sorted(times, key=lambda one: (-weight[one], -times[one], one))[:MOST_PEOPLE]


def figures(
    counted: CountedDays,
    chosen: Chosen,
    people: Mapping[str, str],
    today: date,
    zone: tzinfo = UTC,
) -> Figures:
    """Return the figures of a range; `people` has the names of those who are `busiest`.

    Hours of the day and days of the week are those of the time zone; the range and its weeks are in UTC.
    """
    names, days = counted.names, list(counted.days.values())
    total = added(days, chosen)
    tables = [
        _by_time(counted.days, names, chosen),
        _durations(days, names, chosen, total),
        _by_type(days, names, chosen),
        *_by_option(total, names),
        *_by_clock(counted.days, chosen, zone),
        *([_follow_ups(total, today)] if counted.has_follow_ups else []),
        _by_person(total, names, people),
    ]
    apart = ((_APART_WORDS[kind], total["apart", kind]) for kind in APART)
    return Figures(
        counted=total[COUNTED],
        open=total[OPEN],
        apart=tuple((words, number) for words, number in apart if number),
        tables=tuple(tables),
    )


def _by_time(days: Mapping[date, Day], names: Names, chosen: Chosen) -> Table:
    """Return the incidents a week by severity; a month's where there are too many weeks."""
    by_week = (chosen.last - chosen.first).days < MOST_WEEKS * 7
    spans: dict[date, Counter[str]] = {_span(day, by_week): Counter() for day in chosen.days}
    for day, cells in days.items():
        if _span(day, by_week) not in spans:
            continue
        for cell, counts in cells.items():
            if chosen.takes(cell) and counts[COUNTED]:
                spans[_span(day, by_week)][cell[1]] += counts[COUNTED]
    seen = {severity for counts in spans.values() for severity in counts}
    severities = _in_order(seen, names.severities)[::-1]
    rows: list[TableRow] = [
        (
            f"{first.day} {first:%b %Y}" if by_week else f"{first:%b %Y}",
            *(found[one] for one in severities),
            found.total(),
        )
        for first, found in spans.items()
    ]
    span = "week" if by_week else "month"
    columns = ("Week of" if by_week else "Month", *(names.severities.get(s) or s or NONE for s in severities))
    return Table("by-time", f"Incidents a {span}, by severity", (*columns, "All"), tuple(rows), "columns")


def _span(day: date, by_week: bool) -> date:
    return day - timedelta(days=day.weekday()) if by_week else day.replace(day=1)


def _in_order(seen: set[str], names: Mapping[str, str]) -> list[str]:
    """Return ids in the order of their names, unknown ones last."""
    place = {known: number for number, known in enumerate(names)}
    return sorted(seen, key=lambda one: (place.get(one, len(place)), one))


_QUANTILES = (0.25, 0.5, 0.75, 0.9)
_OF_DURATIONS = (
    "Incidents",
    "A quarter within",
    "Half within (median)",
    "Three quarters within",
    "90% within",
)


def _durations(days: Sequence[Day], names: Names, chosen: Chosen, total: Counts) -> Table:
    """Return the median and the spread of each duration, of all incidents and of each severity."""
    seen = {cell[1] for day in days for cell in day if chosen.takes(cell)}
    groups = [("All", total)]
    if len(seen) > 1:
        for severity in _in_order(seen, names.severities)[::-1]:
            of_severity = replace(chosen, severity=severity) if severity else chosen
            among = days if severity else [_without_severity(day) for day in days]
            groups.append((_named(severity, names.severities), added(among, of_severity)))
    rows = [
        (name, group, *spread)
        for duration, name in {**names.durations, CLOSE: "Time to close"}.items()
        for group, counts in groups
        if (spread := _spread(counts, duration))
    ]
    note = f"To within {WITHIN}. “Time to close” is from the declaration to the close."
    columns = ("Duration", "Severity", *_OF_DURATIONS)
    return Table("durations", "How long it took", columns, tuple(rows), "spread", note)


def _without_severity(day: Day) -> Day:
    return {cell: counts for cell, counts in day.items() if not cell[1]}


def _spread(counts: Counts, duration: str) -> TableRow:
    """Return the number of incidents with this duration and its quantiles; empty if none has it."""
    buckets = {int(number): times for (number,), times in under(counts, "lasted", duration).items()}
    if not buckets:
        return ()
    return sum(buckets.values()), *(quantile(buckets, part) for part in _QUANTILES)


def _named(one: str, names: Mapping[str, str]) -> str:
    return names.get(one) or one or NONE


def _by_type(days: Sequence[Day], names: Names, chosen: Chosen) -> Table:
    found: Counter[str] = Counter()
    for day in days:
        for cell, counts in day.items():
            if chosen.takes(cell) and counts[COUNTED]:
                found[cell[2]] += counts[COUNTED]
    rows = [(_named(one, names.types), times) for one, times in found.most_common()]
    return Table("types", "Types", ("Type", "Incidents"), tuple(rows), "bars")


def _by_option(total: Counts, names: Names) -> Iterator[Table]:
    """Yield a table for each select field that was answered."""
    for field_id, known in names.fields.items():
        found = {option: times for (option,), times in under(total, "option", field_id).items()}
        rows = [
            (known.options.get(option) or option, times)
            for option, times in sorted(found.items(), key=lambda one: (-one[1], one[0]))
        ]
        note = "An incident with several answers is counted at each." if known.has_several else ""
        if rows:
            yield Table(f"field-{field_id}", known.name, (known.name, "Incidents"), tuple(rows), "bars", note)


def _by_clock(days: Mapping[date, Day], chosen: Chosen, zone: tzinfo) -> Iterator[Table]:
    """Yield the tables by the hour and by the day of the week, as the clocks of the zone showed them."""
    hours, weekdays, is_exact = Counter[int](), Counter[int](), True
    for day, cells in days.items():
        for (hour,), times in under(added([cells], chosen), "hour").items():
            # Hours are counted in UTC: where clocks differ by less, most of an hour decides.
            middle = datetime(day.year, day.month, day.day, int(hour), 30, tzinfo=UTC)
            local = _in_zone(middle, zone)
            hours[local.hour] += times
            weekdays[local.weekday()] += times
            is_exact = is_exact and local.minute == middle.minute
    named = f"in {zone}" if is_exact else f"in {zone} to within half an hour"
    left_out = f"of the declaration, {named}; retrospective incidents are left out."
    by_hour = [(f"{hour:02}:00", hours[hour]) for hour in range(24)]
    by_day = [(name, weekdays[number]) for number, name in enumerate(_DAYS)]
    hour_columns, day_columns = ("Hour", "Incidents"), ("Day", "Incidents")
    yield Table(
        "hours", "Hours of the day", hour_columns, tuple(by_hour), "columns", f"By the hour {left_out}"
    )
    yield Table("weekdays", "Days of the week", day_columns, tuple(by_day), "bars", f"By the day {left_out}")


def _in_zone(at: datetime, zone: tzinfo) -> datetime:
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def _follow_ups(total: Counts, today: date) -> Table:
    pending = under(total, "follow-up", "open")
    late = sum(times for (day,), times in pending.items() if date.fromisoformat(day) <= today - OVERDUE)
    rows = (("Done", total[DONE]), ("Open", pending.total()), ("Of these, overdue", late))
    note = f"Of these incidents. Overdue is what is still open {OVERDUE.days} days after it was added."
    return Table("follow-ups", "Follow-ups", ("Follow-ups", "Number"), rows, "bars", note)


def _by_person(total: Counts, names: Names, people: Mapping[str, str]) -> Table:
    held, seconds = under(total, "held"), under(total, "held seconds")
    rows = [
        (people.get(person) or person, name, held[role, person], timedelta(seconds=seconds[role, person]))
        for person in busiest(total, names)
        for role, name in names.roles.items()
        if held[role, person]
    ]
    note = (
        "The time is from the declaration to the close, of incidents that are closed. "
        f"At most {MOST_PEOPLE} people are listed, those first who held roles longest."
    )
    columns = ("Person", "Role", "Incidents", "Time in all")
    return Table("people", "Who carries the load", columns, tuple(rows), "bars", note)
