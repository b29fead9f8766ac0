"""How incidents look on a page: links that can be trusted, times, tones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from tocsin.incidents.model import Form, Incident, Severity, Status

_LINK = re.compile(r"https?://[^\s<>\"'|`]+", re.IGNORECASE)
_OVER = frozenset({"closed", "declined", "merged", "canceled"})


def safe_link(url: str | None) -> str | None:
    """The address if it is an http or https one with a host; nothing else becomes a link."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return url if parts.scheme.lower() in {"http", "https"} and parts.hostname else None


def with_links(text: str) -> Iterator[tuple[str, str | None]]:
    """The text in pieces, each with its address where it is one."""
    done = 0
    for match in _LINK.finditer(text):
        shown = match[0].rstrip(".,;:!?)]}*_~")
        if safe_link(shown) is None:
            continue
        yield text[done : match.start()], None
        yield shown, shown
        done = match.start() + len(shown)
    yield text[done:], None


def channel_link(incident: Incident, slack_url: str | None) -> str | None:
    """Where the incident's channel opens; without the workspace's address, Slack finds the way itself.

    Source: Slack, deep linking: `https://slack.com/app_redirect?team=…&channel=…`.
    """
    if not incident.slack_channel_id:
        return None
    if slack_url:
        return safe_link(f"{slack_url.rstrip('/')}/archives/{quote(incident.slack_channel_id, safe='')}")
    if not incident.slack_team_id:
        return None
    where = urlencode({"team": incident.slack_team_id, "channel": incident.slack_channel_id})
    return f"https://slack.com/app_redirect?{where}"


def severity_tone(severity: Severity, form: Form) -> str:
    """`worst`, `mild` or `middle`, by where it stands among the severities that can be chosen now."""
    ranks = [known.rank for known in form.severities]
    if ranks and severity.rank >= max(ranks):
        return "worst"
    return "mild" if ranks and severity.rank <= min(ranks) else "middle"


def status_tone(status: Status) -> str:
    """`over`, `triage` or `live`."""
    if status.category in _OVER:
        return "over"
    return "triage" if status.category in {"triage", "paused"} else "live"


def in_utc(at: datetime) -> str:
    """`21 Nov 2026, 21:37`."""
    return at.astimezone(UTC).strftime("%-d %b %Y, %H:%M")
