"""Counts of incidents by the day of their declaration, and their sums over a range. Pure.

Counts of days can be added, so that a range of a million incidents is the sum of its days. They say nothing
of a single incident beyond what a list says. Days and hours are in UTC.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from tocsin.incidents.model import OPEN_CATEGORIES, FollowUp, Incident, Person, TeamId, display_name

FORMAT = 2
"""Version of what is counted of an incident; counts of another version are made anew."""

APART = ("triage", "test", "declined", "merged", "canceled")
"""Kinds of incidents that are counted apart and are in no other figure."""

SELECTS = frozenset({"single_select", "multi_select"})
"""Kinds of custom fields whose answers are counted."""

Key = tuple[str, ...]
Counts = Counter[Key]
Cell = tuple[str, str, str]
"""Workspace, severity and type of incidents that are counted together; "" for none."""
Day = dict[Cell, Counts]

COUNTED: Key = ("counted",)
OPEN: Key = ("open",)
DONE: Key = ("follow-up", "done")


@dataclass(frozen=True)
class Facts:
    """Facts of one incident that are counted."""

    declared_at: datetime
    category: str
    mode: str = "standard"
    team: str = ""
    severity: str = ""
    type: str = ""
    options: tuple[tuple[str, str], ...] = ()
    """Ids of a select field and of a chosen option."""
    holders: tuple[tuple[str, str], ...] = ()
    """Ids of a role and of the person who has it."""
    durations: Mapping[str, int] = field(default_factory=dict)
    """Seconds by the id of the duration."""
    seconds_open: int | None = None
    """Seconds from the declaration to the close; None while it is open."""
    follow_ups: tuple[tuple[date, bool], ...] = ()
    """Day on which each follow-up was added, and True if it is done."""

    @property
    def cell(self) -> Cell:
        return self.team, self.severity, self.type


CLOSE = "(close)"
"""Id of the duration from the declaration to the close, beside those of the configuration."""


def facts_of(incident: Incident, follow_ups: Iterable[FollowUp] = ()) -> Facts:
    """Return the facts of an incident of any backend."""
    lasted = None if incident.closed_at is None else _seconds(incident.closed_at - incident.created_at)
    chosen = (
        (entry.custom_field.id, value.value_option.id)
        for entry in incident.custom_field_entries
        for value in entry.values
        if value.value_option is not None
    )
    return Facts(
        declared_at=incident.created_at.astimezone(UTC),
        category=incident.incident_status.category,
        mode=incident.mode,
        team=incident.slack_team_id,
        severity=incident.severity.id if incident.severity else "",
        type=incident.incident_type.id if incident.incident_type else "",
        options=tuple(chosen),
        holders=tuple(
            (given.role.id, person_key(given.assignee))
            for given in incident.incident_role_assignments
            if given.assignee is not None and person_key(given.assignee)
        ),
        durations={one.id: one.seconds for one in incident.duration_metrics if one.seconds is not None},
        seconds_open=lasted,
        follow_ups=tuple(
            (one.created_at.astimezone(UTC).date(), one.is_done)
            for one in follow_ups
            if one.kind == "follow_up"
        ),
    )


def person_key(person: Person) -> str:
    """Return the id by which a person is counted: the Slack id, else the name."""
    return person.slack_user_id or display_name(person) or ""


def _seconds(passed: timedelta) -> int:
    return max(0, int(passed.total_seconds()))


def counts_of(facts: Facts) -> Counts:
    """Return the counts of one incident."""
    kind = "test" if facts.mode not in {"standard", "retrospective"} else facts.category
    if kind in APART:
        return Counter({("apart", kind): 1})
    counts: Counts = Counter({COUNTED: 1})
    if facts.category in OPEN_CATEGORIES:
        counts[OPEN] += 1
    durations = dict(facts.durations)
    if facts.mode == "standard":
        # What was over before its declaration has no hour of its own, and was held by none.
        counts["hour", str(facts.declared_at.hour)] += 1
        if facts.seconds_open is not None:
            durations[CLOSE] = facts.seconds_open
    for name, seconds in durations.items():
        counts["lasted", name, str(bucket(seconds))] += 1
    for chosen in dict.fromkeys(facts.options):
        counts["option", *chosen] += 1
    for held in dict.fromkeys(facts.holders):
        counts["held", *held] += 1
        if durations.get(CLOSE):
            counts["held seconds", *held] += durations[CLOSE]
    for added, is_done in facts.follow_ups:
        counts[DONE if is_done else ("follow-up", "open", added.isoformat())] += 1
    return counts


def days_of(found: Iterable[Facts]) -> dict[date, Day]:
    """Return the counts of these incidents by day; days without one are left out."""
    days: dict[date, Day] = {}
    for facts in found:
        day = days.setdefault(facts.declared_at.date(), {})
        day.setdefault(facts.cell, Counter()).update(counts_of(facts))
    return days


def written_day(day: Day) -> str:
    """Return a day's counts as JSON, a list for each cell."""
    return json.dumps(
        [[*cell, [[*key, times] for key, times in counts.items()]] for cell, counts in day.items()],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read_day(text: str) -> Day:
    """Return the counts that were written as JSON. Raises ValueError for any other text."""
    try:
        return {
            (str(team), str(severity), str(kind)): Counter({tuple(key): int(times) for *key, times in counts})
            for team, severity, kind, counts in json.loads(text)
        }
    except (TypeError, ValueError) as error:
        raise ValueError("no counts of a day") from error


# Durations, in buckets each a fiftieth wider than the one before.

GROWTH = 1.02
WITHIN = "one percent"
"""Distance of a duration of the figures from the exact one, at most."""


def bucket(seconds: int) -> int:
    """Return the number of the bucket of a duration; 0 is less than a second."""
    return 0 if seconds < 1 else int(math.log(seconds) / math.log(GROWTH)) + 1


def _middle(number: int) -> int:
    return 0 if number == 0 else round(GROWTH ** (number - 0.5))


def quantile(durations: Mapping[int, int], part: float) -> timedelta | None:
    """Return the duration that this part of all does not exceed (nearest rank); None if there is none.

    It is within one percent, since durations are counted in buckets.
    """
    wanted, seen = math.ceil(part * sum(durations.values())), 0
    for number in sorted(durations):
        seen += durations[number]
        if seen >= max(wanted, 1):
            return timedelta(seconds=_middle(number))
    return None


# Sums of days.


@dataclass(frozen=True)
class Chosen:
    """A range of days, the last included, and the severity and the type that are wanted; "" for all."""

    first: date
    last: date
    severity: str = ""
    type: str = ""

    def takes(self, cell: Cell) -> bool:
        _, severity, kind = cell
        return self.severity in {"", severity} and self.type in {"", kind}

    @property
    def days(self) -> Iterator[date]:
        """The days of the range, oldest first."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)


@dataclass(frozen=True)
class FieldNames:
    """Name of a select field, and of its options by id."""

    name: str
    options: Mapping[str, str]
    has_several: bool = False
    """True if an incident may have several of them."""


@dataclass(frozen=True)
class Names:
    """Names by id, each in the organisation's order, of what was archived as well."""

    severities: Mapping[str, str] = field(default_factory=dict)
    """Mildest first."""
    types: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    """Roles that people are given: all but that of the reporter."""
    fields: Mapping[str, FieldNames] = field(default_factory=dict)
    """Select fields."""
    durations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CountedDays:
    """Counts of a range, as far as they are known."""

    days: Mapping[date, Day]
    names: Names
    missing: int = 0
    """Days that are still to be counted."""
    cut: tuple[date, ...] = ()
    """Days of which only the newest incidents are counted."""
    newest: int | None = None
    """Number of the newest incidents that were looked at; None if all were."""
    has_follow_ups: bool = True


Teams = Collection[TeamId] | None
CountDays = Callable[[Chosen, bool, Teams], Awaitable[CountedDays]]
"""Function that counts the days of a range: with private incidents or without, of all workspaces or of some.

Raises TocsinError.
"""
NamePeople = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
"""Function that returns the known names of people. Raises TocsinError."""


@dataclass(frozen=True)
class InsightSource:
    """Source of the counts: the local backend's database, or the list of a hosted one."""

    count: CountDays
    names: NamePeople


def only(day: Day, teams: Teams) -> Day:
    """Return a day's counts of these workspaces."""
    return day if teams is None else {cell: counts for cell, counts in day.items() if cell[0] in teams}


def added(days: Iterable[Day], chosen: Chosen) -> Counts:
    """Return the sum of the days' cells that are wanted."""
    total: Counts = Counter()
    for day in days:
        for cell, counts in day.items():
            if chosen.takes(cell):
                total.update(counts)
    return total


def under(total: Counts, *above: str) -> Counts:
    """Return the counts below these first parts of their keys, by the rest of the key."""
    size = len(above)
    return Counter({key[size:]: times for key, times in total.items() if key[:size] == above and key[size:]})
