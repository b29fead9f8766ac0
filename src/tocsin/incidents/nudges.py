"""Rules by which a bot asks for what an incident lacks, and the times at which it may ask. Pure.

The reminder for a promised update is one of these nudges, except that a person asked for it: it is counted
with the others, and the rule for updates waits for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from tocsin.incidents.announcements import is_one_of
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, FrozenModel, Incident, MessageTs, Person, TimelineEntry
from tocsin.incidents.permissions import Verb

Condition = Literal["no_lead", "no_update", "stale"]
Kind = Literal["no_lead", "no_update", "stale", "next_update"]
KINDS: tuple[str, ...] = get_args(Kind)

# Lengths of time in words.

_MINUTES = {
    "m": 1,
    "min": 1,
    "minute": 1,
    "h": 60,
    "hour": 60,
    "d": 1440,
    "day": 1440,
    "w": 10080,
    "week": 10080,
}
_LENGTH = re.compile(r"(?:an?|([0-9]{1,5}))\s*([a-z]+?)s?")
MOST_SNOOZED = 28 * 1440
EXAMPLE = "30 minutes, 4 hours or 2 days"


def parse_minutes(text: str) -> int:
    """Return the minutes of a length of time such as `30 minutes`, `4h` or `a day`. Raises ValueError."""
    found = _LENGTH.fullmatch(text.strip().casefold())
    if found is None or found[2] not in _MINUTES:
        raise ValueError(f"give a number and a unit, such as {EXAMPLE}")
    return int(found[1] or 1) * _MINUTES[found[2]]


def parse_snooze(text: str) -> int:
    """Return the minutes for which a person snoozes nudges; 0 ends it. Raises Refused with a sentence."""
    said = text.strip().strip(".!").casefold().removeprefix("for ")
    if said in {"off", "stop", "end", "wake", "0"}:
        return 0
    try:
        minutes = parse_minutes(said)
    except ValueError:
        raise Refused(f"Say for how long, such as {EXAMPLE}; or off, to end it.") from None
    if not 0 < minutes <= MOST_SNOOZED:
        raise Refused(f"Choose between a minute and {in_words(MOST_SNOOZED)}.")
    return minutes


def in_words(minutes: int) -> str:
    """Return so many minutes in the largest unit that fits: `4 hours`."""
    units = ((10080, "week"), (1440, "day"), (60, "hour"), (1, "minute"))
    size, unit = next(one for one in units if minutes % one[0] == 0)
    count = minutes // size
    return f"{count} {unit}{'s' * (count != 1)}"


def _as_timedelta(given: object) -> timedelta:
    return given if isinstance(given, timedelta) else timedelta(minutes=parse_minutes(str(given)))


After = Annotated[timedelta, BeforeValidator(_as_timedelta), Field(ge=timedelta(minutes=1))]
"""Length of time, written in words."""

# The rules.

GAP = timedelta(minutes=10)
"""Least time between two nudges of one incident."""

DAY = timedelta(days=1)
MOST_LOGGED = 50
MOST_DOUBLED = 8
FOREVER = datetime.max.replace(tzinfo=UTC)
ALL = "all"
"""Key in Snoozes of every kind together."""

UPDATED = frozenset(
    {*(verb.timeline for verb in (Verb.UPDATE, Verb.STATUS, Verb.SEVERITY)), "updated", "commented"}
)
"""Verbs of timeline entries that tell people where it stands; the last two are of hosted backends."""

LED = frozenset({Verb.STATUS.timeline, "gave up the role"})
"""Verbs of timeline entries after which a lead is waited for anew."""


class NudgeRule(FrozenModel):
    """A condition that is to be met for so long before it is nudged about, and the incidents it is for."""

    when: Condition
    after: After
    severities: tuple[str, ...] = ()
    incident_types: tuple[str, ...] = ()

    def is_for(self, incident: Incident) -> bool:
        """True if the incident has one of the severities and types, and the condition may hold for it."""
        severity, kind = incident.severity, incident.incident_type
        return (
            is_one_of(self.severities, [severity.id, severity.name] if severity else [])
            and is_one_of(self.incident_types, [kind.id, kind.name] if kind else [])
            and not (self.when == "no_lead" and incident.lead is not None)
        )


class NudgePolicy(FrozenModel):
    """Rules of all nudges, of which the first that fits counts for each condition, and the most in a day."""

    rules: tuple[NudgeRule, ...] = ()
    most_a_day: int = 4

    @property
    def is_on(self) -> bool:
        return bool(self.rules) and self.most_a_day > 0

    def rules_for(self, incident: Incident) -> tuple[NudgeRule, ...]:
        """Return the rules that may nudge about an incident now, at most one for each condition.

        Only an accepted incident that goes on is nudged about, and no test.
        """
        if incident.incident_status.category != "live" or incident.mode == "test" or incident.is_undeclared:
            return ()
        found: dict[str, NudgeRule] = {}
        for rule in self.rules:
            if rule.is_for(incident):
                found.setdefault(rule.when, rule)
        return tuple(found.values())


class Nudge(FrozenModel):
    """A message that asks for something: what for, the person it is for, and the time since it is missing."""

    kind: Kind
    asked: Person | None = None
    since: datetime


class SentNudge(FrozenModel):
    """A nudge that was sent, or is being sent: its message may be there, and is searched for first."""

    kind: str
    at: datetime
    key: str
    since: datetime
    channel: ChannelId = ChannelId("")
    ts: MessageTs = MessageTs("")
    is_done: bool = False


class NudgeLog(FrozenModel):
    """Nudges of one incident, oldest first."""

    sent: tuple[SentNudge, ...] = ()

    @property
    def unfinished(self) -> SentNudge | None:
        return next((one for one in self.sent if not one.is_done), None)

    @property
    def last_shown(self) -> SentNudge | None:
        """The last nudge whose message is known."""
        return next((one for one in reversed(self.sent) if one.ts), None)

    def with_sent(self, nudge: SentNudge) -> NudgeLog:
        """Return the log with this nudge, in place of the one with the same key."""
        others = tuple(one for one in self.sent if one.key != nudge.key)
        return NudgeLog(sent=(*others, nudge)[-MOST_LOGGED:])

    def free_at(self, most_a_day: int) -> datetime | None:
        """Return when the next nudge may be sent, by the gap and the day's limit; None if at any time."""
        if not self.sent:
            return None
        lately = [one.at for one in self.sent][-most_a_day:]
        full = lately[0] + DAY if len(lately) == most_a_day else lately[-1]
        return max(full, self.sent[-1].at + GAP)


class Snoozes(FrozenModel):
    """Times until which an incident is not nudged about: by kind, and for all kinds together."""

    until: dict[str, datetime] = Field(default_factory=dict)

    def of(self, kind: str) -> datetime | None:
        """Return the end of the snooze of a kind; None if it is not snoozed."""
        return max((self.until[one] for one in (kind, ALL) if one in self.until), default=None)


def next_nudge(
    policy: NudgePolicy,
    incident: Incident,
    timeline: Sequence[TimelineEntry],
    log: NudgeLog,
    snoozes: Snoozes,
    *,
    promised: bool = False,
) -> tuple[datetime, Nudge] | None:
    """Return the next nudge about an incident, and when it is due if nothing happens; None if there is none.

    Without the timeline it may be too early. A nudge that changes nothing is repeated each time after twice
    as long. While an update is `promised`, its reminder asks for it.
    """
    due: list[tuple[datetime, Nudge]] = []
    for rule in policy.rules_for(incident):
        if rule.when == "no_update" and promised:
            continue
        since = max(_moments(rule.when, incident, timeline, log))
        again = [one.at for one in log.sent if one.kind == rule.when and one.at >= since]
        earliest = [(again or [since])[-1] + rule.after * 2 ** min(len(again), MOST_DOUBLED)]
        earliest += filter(None, [log.free_at(policy.most_a_day), snoozes.of(rule.when)])
        due.append((max(earliest), Nudge(kind=rule.when, asked=_asked(rule.when, incident), since=since)))
    return min(due, key=lambda one: one[0], default=None)


def _moments(
    kind: Condition, incident: Incident, timeline: Iterable[TimelineEntry], log: NudgeLog
) -> Iterator[datetime]:
    """Yield the moments from which the time is counted; the last one counts."""
    yield incident.created_at
    if kind == "stale":
        yield incident.updated_at
    for entry in timeline:
        if kind == "stale" or entry.verb in (UPDATED if kind == "no_update" else LED):
            yield entry.at
    if kind == "no_update":
        yield from (one.at for one in log.sent if one.kind == "next_update")


def _asked(kind: Condition, incident: Incident) -> Person | None:
    return None if kind == "no_lead" else incident.lead
