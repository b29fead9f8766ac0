"""Texts that try to be a mention, a link, markup or too much, and incidents made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from tocsin.incidents.model import (
    ChannelId,
    Incident,
    MessageTs,
    Person,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    Status,
)

PIECES = (
    "<!channel>", "<!here|x>", "<!everyone>", "<@U0BEN00002>", "<@U0BEN00002|ben>", "<#C0GENERAL1>",
    "<!subteam^S0ONCALL>", "<https://evil.example|your bank>",
    "<mailto:a@evil.example>", "<!date^1^{date}|x>",
    "https://evil.example/?a=<b>&c", "&lt;!channel&gt;",
    "&amp;lt;!here&amp;gt;", "&#60;!channel&#62;", "<", ">",
    "<<!channel>>", "<!chan\u200bnel>", "＜!channel＞", "@channel",
    "@here", "#general", "|", "*", "_", "~", "`",
    "```", "\n> ", "\n", "\r\n", "\t", "\x00", "\x1b[31m", "\u202e",
    "\u2066", "\u200d", "\ufeff", "👩‍🚒", "🇧🇪", "ẞ",
    "é\u0301" * 20, "{{7*7}}", "{name}", "%s%n",
    "</script><script>alert(1)</script>", "javascript:alert(1)",
    "'\"><img src=x onerror=alert(1)>", "\\", "$(reboot)",
    "'; DROP TABLE incidents; --", ":fire:", "x" * 300,
    "checkout is slow", " ", "\u2028", "\ud7ff", "🔥" * 100, "INC-1",
    "<tel:1>", "<slack://x|y>", "<>", "<|>",
)  # fmt: skip


def hostile_text(rng: Random, most: int) -> str:
    """A few pieces after one another, no longer than what is let in."""
    text = "".join(rng.choice(PIECES) for _ in range(rng.choice((1, 1, 2, 3, 5, 12))))
    return (text * rng.choice((1, 1, 1, 40)))[:most]


def hostile_incident(rng: Random, text: Any) -> Incident:
    """An incident whose every word is a stranger's; ids, addresses and times are the backend's or Slack's."""

    def who() -> Person:
        known = rng.random() < 0.5
        return Person(slack_user_id=PersonId("U0ANA00001") if known else None, name=text(200))

    at = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    role = Role(id="lead", name=text(75), description=text(200), role_type="lead")
    return Incident(
        id="01", reference="INC-7", name=text(200), summary=text(3000),
        permalink="https://incidents.example/incidents/INC-7" if rng.random() < 0.8 else "",
        severity=Severity(id="s", name=text(100), description=text(200)) if rng.random() < 0.8 else None,
        incident_status=Status(id="i", name=text(100), description=text(200)),
        visibility=rng.choice(("public", "private")), mode=rng.choice(("standard", "test")),
        slack_channel_id=rng.choice(("", "C0OURS0001")), slack_channel_name="inc-7", creator=who(),
        source=SourceMessage(channel=ChannelId("C0SOURCE01"), timestamp=MessageTs("1.2"),
                             permalink="https://lumen.slack.com/archives/C0SOURCE01/p12"),
        incident_role_assignments=(RoleAssignment(role=role, assignee=who()),),
        created_at=at, updated_at=at,
    )  # fmt: skip
