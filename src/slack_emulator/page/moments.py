"""Dates and times in the viewer's own time zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TOKEN = re.compile(r"\{(\w+)\}")


def zone(name: str) -> ZoneInfo:
    """Return the time zone of that name, or UTC if the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment_of(ts: str, tz: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(float(ts), tz)


def clock_time(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def day_words(moment: datetime, now: datetime) -> str:
    """Return "Today", "Yesterday" or the date, with the year if it is not the current one."""
    days = (now.date() - moment.date()) // timedelta(days=1)
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment:%A}, {moment.day} {moment:%B}{year}"


def since_words(moment: datetime, now: datetime) -> str:
    seconds = abs((now - moment).total_seconds())
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            spelled = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{spelled} ago" if now >= moment else f"in {spelled}"
    return "just now"


def _pretty(plain: Callable[[datetime], str]) -> Callable[[datetime], str]:
    def words(moment: datetime) -> str:
        days = (datetime.now(moment.tzinfo).date() - moment.date()) // timedelta(days=1)
        return {0: "today", 1: "yesterday", -1: "tomorrow"}.get(days) or plain(moment)

    return words


def _date(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


def _short(moment: datetime) -> str:
    return f"{moment:%b} {moment.day}, {moment.year}"


def _long(moment: datetime) -> str:
    return f"{moment:%A}, {_date(moment)}"


# Slack, formatting text: date tokens. Slack shows 12 or 24 hours by the user's setting; here always 24.
_TOKENS: Mapping[str, Callable[[datetime], str]] = {
    "date_num": lambda m: f"{m:%Y-%m-%d}",
    "date_slash": lambda m: f"{m:%d/%m/%Y}",
    "date": _date,
    "date_short": _short,
    "date_long": _long,
    "date_pretty": _pretty(_date),
    "date_short_pretty": _pretty(_short),
    "date_long_pretty": _pretty(_long),
    "time": clock_time,
    "time_secs": lambda m: f"{m:%H:%M:%S}",
    "ago": lambda m: since_words(m, datetime.now(m.tzinfo)),
}


def date_words(moment: datetime, form: str) -> str:
    """Fill in the token string of Slack's `<!date^…>`; unknown tokens stay as they are."""
    return _TOKEN.sub(lambda t: _TOKENS[t[1]](moment) if t[1] in _TOKENS else t[0], form)
