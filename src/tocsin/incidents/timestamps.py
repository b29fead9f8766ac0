"""Timestamps of an incident: reading of a typed time, the durations between them, and their order. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    DurationMetric,
    Form,
    FrozenModel,
    Incident,
    IncidentTimestamp,
    TimestampValue,
)
from tocsin.incidents.parsing import NOTHING, fold, match_prefix
from tocsin.incidents.validation import LEEWAY, clean_text, join_names

EXAMPLES = "Write it as 14:05, yesterday 23:40, 20 minutes ago or 2026-03-01 14:05."

# A typed time, read in the person's own zone.


class TypedTime(FrozenModel):
    """A time as a person typed it; `at` is None if the timestamp is to be cleared."""

    at: datetime | None
    note: str = ""
    """Sentence for the person on a time that the clock showed twice; empty if it did not."""


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AMOUNT = (
    r"\b(half an |an? |\d{1,6}(?:[.,]\d{1,2})? ?)"
    r"(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)\b"
)
_AGO = re.compile(rf"(?:{_AMOUNT}(?: and|,)? ?)+ago")
_WORDS = {"a ": 1.0, "an ": 1.0, "half an ": 0.5}
_CLOCK = re.compile(
    r"(\d{1,2})(?:[:h](\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?(?: ?([ap])\.?m\.?)?"
    r"(?: ?(?:(z|utc|gmt)|(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?))?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]*\.?"
_ISO_DAY = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})(?:t(?=\d)|\b)")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)? (?:of )?{_MONTH}(?:,? (\d{{4}}))?(?![\d:])")
_MONTH_DAY = re.compile(rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?(?![\d:])")
_DAYS_AGO = re.compile(r"\b(\d{1,3}|a) days? ago\b")
_NAMED_DAY = re.compile(rf"\b(?:last |on )?(today|yesterday|{'|'.join(_DAYS)})\b")
_BETWEEN = re.compile(r"^(?:(?:at|on|the|in) |, ?)+|(?: (?:at|on)|,)+$")
_SPELT = {"noon": "12:00", "midnight": "00:00"}
_CLEARING = frozenset({"none", "clear", "unset", "unknown"})


def zone_named(name: str) -> tzinfo:
    """Return the time zone with this name of the IANA database; UTC if the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return UTC


def parse_time(text: str, now: datetime, zone: tzinfo) -> TypedTime:
    """Parse a time that a person in this zone typed.

    Understood are `now`, `20 minutes ago`, a clock time, today's unless a day is named, and ISO 8601; a clock
    time may end in `Z`, `UTC` or an offset. Raises Refused for a time that is not understood, is still to
    come, or was left out when the clocks were put forward.
    """
    said = " ".join(fold(clean_text(text)).replace(NOTHING, "").split()).strip(" .!")
    if said in _CLEARING:
        return TypedTime(at=None)
    said = _BETWEEN.sub("", said)
    if said in {"now", "just now"} or _AGO.fullmatch(said):
        return TypedTime(at=(now - _amount(said)).replace(microsecond=0))
    today = now.astimezone(zone).date()
    day, rest = _day(said, today)
    clock, own = _clock(_BETWEEN.sub("", rest.strip()), text)
    if own is not None:
        today = now.astimezone(own).date() if day is None else today
        return _checked(datetime.combine(day or today, clock, own), "", day, now, clock)
    found, note = _in_zone(datetime.combine(day or today, clock), zone)
    return _checked(found, note, day, now, clock)


def _checked(found: datetime, note: str, day: date | None, now: datetime, clock: time) -> TypedTime:
    if day is None and found > now + LEEWAY:
        raise Refused(
            f"{clock:%H:%M} is still to come where you are ({zone_label(found)}). "
            f"For the day before, write: yesterday {clock:%H:%M}."
        )
    return TypedTime(at=found.astimezone(UTC), note=note)


def _amount(said: str) -> timedelta:
    total = 0.0
    for number, unit in re.findall(_AMOUNT, said):
        times = _WORDS[number] if number in _WORDS else float(number.replace(",", "."))
        total += times * _SECONDS[unit[0]]
    return timedelta(seconds=min(total, 100 * 366 * 86_400))


def _day(said: str, today: date) -> tuple[date | None, str]:
    """Return the day that the text names, None if it names none, and the rest of the text."""
    try:
        if found := _ISO_DAY.search(said):
            return date(*(int(part) for part in found.groups())), _without(said, found)
        if found := _DAYS_AGO.search(said):
            days = 1 if found[1] == "a" else int(found[1])
            return today - timedelta(days=days), _without(said, found)
        if found := _NAMED_DAY.search(said):
            return _named_day(found[1], today), _without(said, found)
        if found := _DAY_MONTH.search(said):
            return _dated(found[1], found[2], found[3], today), _without(said, found)
        if found := _MONTH_DAY.search(said):
            return _dated(found[2], found[1], found[3], today), _without(said, found)
    except ValueError:
        raise Refused(f"“{said}” names a day that is in no calendar. {EXAMPLES}") from None
    return None, said


def _without(said: str, found: re.Match[str]) -> str:
    return f"{said[: found.start()].rstrip()} {said[found.end() :].lstrip()}".strip()


def _named_day(word: str, today: date) -> date:
    if word in _DAYS:
        return today - timedelta(days=(today.weekday() - _DAYS.index(word)) % 7 or 7)
    return today if word == "today" else today - timedelta(days=1)


def _dated(day: str, month: str, year: str | None, today: date) -> date:
    """Return the date; without a year, the last such day that is not still to come."""
    number = _MONTHS.index(month) + 1
    if year is not None:
        return date(int(year), number, int(day))
    this_year = date(today.year, number, int(day))
    return this_year if this_year <= today else date(today.year - 1, number, int(day))


def _clock(said: str, typed: str) -> tuple[time, timezone | None]:
    """Return the time of day, and the offset from UTC that was typed with it; None if there was none."""
    found = _CLOCK.fullmatch(_SPELT.get(said, said))
    if found is None or not (found[2] or found[4]):
        raise Refused(
            f"“{' '.join(clean_text(typed).split())}” is no time that Tocsin understands. {EXAMPLES}"
        )
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    if found[4]:
        hour = hour % 12 + 12 * (found[4] == "p") if 1 <= hour <= 12 else 99
    offset = timedelta(hours=int(found[7] or 0), minutes=int(found[8] or 0))
    own = timezone(-offset if found[6] == "-" else offset) if found[5] or found[6] else None
    try:
        return time(hour, minute, second), own
    except ValueError:
        raise Refused(f"There is no such time of day as {said}. {EXAMPLES}") from None


def _in_zone(naive: datetime, zone: tzinfo) -> tuple[datetime, str]:
    """Return the moment at which a clock in this zone showed the time, and a note if it did so twice.

    Raises Refused if it never did, because the clocks were put forward over it.
    """
    first, second = naive.replace(tzinfo=zone), naive.replace(tzinfo=zone, fold=1)
    shown = first.astimezone(UTC).astimezone(zone)
    if shown.replace(tzinfo=None) != naive:
        raise Refused(
            f"No clock showed {naive:%H:%M} on {naive:%Y-%m-%d} in {zone}: it was put forward over it. "
            f"Did you mean {shown:%H:%M}?"
        )
    if first.utcoffset() == second.utcoffset():
        return first, ""
    note = (
        f"{naive:%H:%M} came twice that day, because the clocks were put back; this is the first. "
        f"For the second, write {naive:%Y-%m-%d %H:%M} {offset_of(second)}."
    )
    return first, note


def zone_label(at: datetime) -> str:
    """Return the name of a moment's zone with its offset then: `Europe/Berlin, UTC+01:00`."""
    name = str(at.tzinfo)
    offset = offset_of(at)
    return offset if name.startswith("UTC") else f"{name}, {offset}"


def offset_of(at: datetime) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds() // 60)
    return (
        f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        if minutes
        else "UTC"
    )


def told_in(at: datetime, zone: tzinfo) -> str:
    """Format a moment for a person in this zone, with the zone: `Sun 1 Mar 2026, 14:05 (…)`."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} ({zone_label(local)})"


def match_timestamp(text: str, form: Form) -> tuple[IncidentTimestamp, str]:
    """Return the timestamp whose name begins the text, and the rest. Raises Refused, listing the names."""
    return match_prefix(text, form.incident_timestamps, "time")


# The order of the values.


def odd_order(values: Sequence[TimestampValue], changed: Collection[str]) -> str:
    """Return a sentence on changed timestamps that are out of the organisation's order; empty if none is.

    No order is forced: what was detected before it had any effect on people is no mistake.
    """
    wanted = set(changed)
    pairs = [
        (after, before)
        for place, after in enumerate(values)
        for before in values[:place]
        if after.value < before.value and wanted & {after.incident_timestamp.id, before.incident_timestamp.id}
    ]
    said = [f"{a.incident_timestamp.name} is before {b.incident_timestamp.name}" for a, b in pairs]
    return f"Look again: {join_names(said)}." if said else ""


def set_times(incident: Incident) -> tuple[tuple[str, datetime], ...]:
    """Return the name and value of each timestamp that is set, in the organisation's order."""
    return tuple((one.incident_timestamp.name, one.value) for one in incident.incident_timestamp_values)


# Durations between timestamps.


class DurationRule(FrozenModel):
    """A duration that the organisation measures; of several ids the first counts whose timestamp is set."""

    id: str
    name: str
    start: tuple[str, ...]
    end: tuple[str, ...]


def metrics_of(incident: Incident) -> tuple[tuple[str, timedelta], ...]:
    """Return the name and value of each duration between timestamps that is known."""
    known = ((one.name, one.seconds) for one in incident.duration_metrics)
    return tuple((name, timedelta(seconds=seconds)) for name, seconds in known if seconds is not None)


def measure(rules: Iterable[DurationRule], values: Iterable[TimestampValue]) -> tuple[DurationMetric, ...]:
    """Measure each duration (incident.io, Incidents V2: `duration_metrics`)."""
    known = {one.incident_timestamp.id: one.value for one in values}
    return tuple(measured(rule, known) for rule in rules)


def measured(rule: DurationRule, known: Mapping[str, datetime]) -> DurationMetric:
    """Measure one duration between timestamps that are known by their ids."""
    start = next((known[one] for one in rule.start if one in known), None)
    end = next((known[one] for one in rule.end if one in known), None)
    if start is None or end is None:
        return DurationMetric(id=rule.id, name=rule.name, status="timestamps_missing")
    if end < start:
        return DurationMetric(id=rule.id, name=rule.name, status="invalid_timestamps")
    return DurationMetric(id=rule.id, name=rule.name, value_seconds=int((end - start).total_seconds()))


class TimestampRule(FrozenModel):
    """Events at which a timestamp is set by itself: `declared`, `lead`, or the ids of statuses."""

    id: str
    set_when: tuple[str, ...] = ()
    keeps: str = "first"
    """`first` to keep the first time it happens, `last` to set it anew each time."""


def set_by(rules: Iterable[TimestampRule], event: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the ids of the timestamps that an event sets; `known` are those that have a value."""
    return tuple(r.id for r in rules if event in r.set_when and (r.keeps == "last" or r.id not in known))
