"""How incidents look on a page: links that can be trusted, times, tones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from tocsin.incidents.model import Form, Incident, Severity, Status

_LINK = re.compile(r"https?://[^\s<>\"'|`]+", re.IGNORECASE)
_CODE = re.compile(r"`([^`\n]+)`")
FENCE = "```"
DEEPEST_QUOTE = 3
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


class Passage(NamedTuple):
    """A stretch of what was written: `text` or `code` as it is, or a `quote` of other passages."""

    kind: Literal["text", "code", "quote"]
    text: str = ""
    inside: tuple[Passage, ...] = ()


def passages(text: str, deep: int = 0) -> list[Passage]:
    """The text as people wrote it down: lines after `>` are a quotation, those between fences are code.

    One line alone is neither: `> 5 s` is a figure.
    """
    if not deep and "\n" not in text:
        return [Passage("text", text)]
    found: list[Passage] = []
    lines = text.split("\n")
    while lines:
        kind = _kind(lines[0], deep)
        if kind == "code":
            lines = lines[1:]
            length = next((n for n, line in enumerate(lines) if line.strip() == FENCE), len(lines))
            found.append(Passage(kind, "\n".join(lines[:length])))
            lines = lines[length + 1 :]
            continue
        length = next((n for n, line in enumerate(lines) if _kind(line, deep) != kind), len(lines))
        taken, lines = lines[:length], lines[length:]
        if kind == "quote":
            said = "\n".join(re.sub(r"^> ?", "", line) for line in taken)
            found.append(Passage(kind, inside=tuple(passages(said, deep + 1))))
        else:
            found.append(Passage(kind, "\n".join(taken)))
    return found


def _kind(line: str, deep: int) -> Literal["text", "code", "quote"]:
    if line.strip() == FENCE:
        return "code"
    return "quote" if deep < DEEPEST_QUOTE and line.startswith(">") else "text"


def with_code(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it stood between backticks."""
    for number, piece in enumerate(_CODE.split(text)):
        if piece:
            yield piece, number % 2 == 1


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
