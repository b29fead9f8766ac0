"""No text that a stranger wrote becomes a mention or a link, and all of it is inside Slack's limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from reliability.hostile.sizes import sizes
from reliability.hostile.texts import hostile_incident, hostile_text

from slack_emulator.block_kit import view_too_large
from slack_emulator.block_kit.surfaces import message_errors, view_errors
from slack_emulator.composer import Span, broadcasts, parse_mrkdwn
from tocsin.config import IncidentConfig
from tocsin.incidents.channel_names import channel_name
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import DeclareRequest
from tocsin.incidents.validation import clean_text
from tocsin.slack.views.card import (
    BOOKMARK_LIMIT,
    TOPIC_LIMIT,
    bookmark_title,
    card,
    card_text,
    purpose,
    topic,
)
from tocsin.slack.views.declare import (
    already_modal,
    declare_modal,
    declared_modal,
    error_modal,
    refused_message,
)
from tocsin.slack.views.home import help_message
from tocsin.slack.views.message_text import name_and_summary
from tocsin.slack.views.metadata import DeclareMetadata

SOME, MANY = 150, 1_700
"""Incidents with six texts in each: of many, more than 10,000 go through every renderer."""

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
OURS = {
    "@U0ANA00001",
    "#C0OURS0001",
    "https://incidents.example/incidents/INC-7",
    "https://lumen.slack.com/archives/C0SOURCE01/p12",
    "!date^1772334000^{date_short_pretty} at {time}",
}
FORM = IncidentConfig().form()


def messages(incident: Incident, text: Any) -> Iterator[dict[str, Any]]:
    """Everything that is posted, as chat.postMessage gets it."""
    yield {"text": card_text(incident), "blocks": [b.to_dict() for b in card(incident)]}
    said, blocks = refused_message(incident.name, text(500), "key")
    yield {"text": said, "blocks": [b.to_dict() for b in blocks]}
    said, blocks = help_message((text(20), [(f"/incident {text(50)}", text(200)), (text(50), text(200))]))
    yield {"text": said, "blocks": [b.to_dict() for b in blocks]}


def views(incident: Incident, text: Any) -> Iterator[dict[str, Any]]:
    """Every window, as views.open gets it."""
    name, summary = name_and_summary(posted(text), "https://lumen.slack.com/archives/C0SOURCE01/p12", {})
    context = DeclareMetadata(origin="C0OURS0001", name=name, summary=summary)
    filled = DeclareRequest(name=name, summary=summary, severity_id=text(30))
    yield declare_modal(FORM, context, filled).to_dict()
    yield declared_modal(
        incident, incident.slack_channel_name or channel_name("INC-7", incident.name)
    ).to_dict()
    yield declared_modal(incident, text(80), [text(300), text(300)]).to_dict()
    yield already_modal(incident, NOW, context).to_dict()
    yield error_modal("Not declared", text(1000)).to_dict()


def posted(text: Any) -> dict[str, Any]:
    """A message of many shapes, which somebody declares from."""
    piece = {"type": "text", "text": text(500)}
    link = {"type": "link", "url": text(100), "text": text(100)}
    section = {"type": "rich_text_section", "elements": [piece, link, {"type": "user", "user_id": text(20)}]}
    return {
        "text": text(3000),
        "user": text(20),
        "username": text(80),
        "blocks": [{"type": "rich_text", "elements": [section]}, {"type": "section", "text": text(500)}],
        "attachments": [
            {"title": text(100), "text": text(500), "fields": [{"title": text(30), "value": text(90)}]}
        ],
        "files": [{"title": text(100)}],
    }


def marks(value: Any) -> Iterator[str]:
    """What is live in a payload, read without the playground's own eyes."""
    if isinstance(value, list):
        for part in value:
            yield from marks(part)
    elif isinstance(value, dict):
        kind = value.get("type")
        if kind == "mrkdwn":
            yield from angled(value["text"])
            assert value.get("verbatim") or "http" not in value["text"].replace("<http", ""), value
        elif kind == "user":
            yield f"@{value['user_id']}"
        elif kind in {"broadcast", "usergroup", "channel", "date", "team"}:
            yield f"!{value}"
        elif value.get("url"):
            yield str(value["url"])
        for part in value.values():
            yield from marks(part)


def angled(text: str) -> Iterator[str]:
    """What stands between angle brackets, without its label."""
    for part in text.split("<")[1:]:
        inside, closed, _ = part.partition(">")
        yield inside.partition("|")[0] if closed else f"unclosed {part[:40]}"
    for part in text.split("&")[1:]:
        assert part.startswith(("amp;", "lt;", "gt;")), part[:40]


def live(spans: list[Span]) -> Iterator[Span]:
    for span in spans:
        if span.kind in {"link", "person", "channel", "group", "broadcast"}:
            yield span
        yield from live(list(span.children))


@pytest.fixture(scope="module", params=sizes(SOME, MANY))
def incidents(request: pytest.FixtureRequest) -> list[tuple[Incident, Any]]:
    rng = Random(21)

    def text(most: int) -> str:
        # What people type is cleaned before it is kept; what a backend or an operator named is not.
        said = hostile_text(rng, most)
        return clean_text(said, lines=True) or "x" if rng.random() < 0.5 else said

    return [(hostile_incident(rng, text), text) for _ in range(request.param)]


def test_no_text_becomes_a_live_mention_or_link_in_a_message(incidents: list[tuple[Incident, Any]]) -> None:
    for incident, text in incidents:
        for message in messages(incident, text):
            assert not message_errors(message), (incident, message_errors(message))
            found = {*marks(message["blocks"]), *angled(message["text"])}
            assert found <= OURS, found - OURS
            assert {mention.target for mention in broadcasts(message)} <= {"U0ANA00001"}


def test_no_text_becomes_a_live_mention_or_link_in_a_window(incidents: list[tuple[Incident, Any]]) -> None:
    # A window holds more than twenty texts, so a third of them is more than 10,000 again.
    for incident, text in incidents[::3]:
        for view in views(incident, text):
            assert not view_errors(view), view_errors(view)
            assert not view_too_large(view)
            found = set(marks(view))
            assert found <= OURS, found - OURS
            assert {mention.target for mention in broadcasts(view)} <= {"U0ANA00001"}


def test_no_text_becomes_live_in_what_a_channel_says_of_itself(incidents: list[tuple[Incident, Any]]) -> None:
    for incident, _ in incidents:
        for said in (topic(incident), purpose(incident)):
            assert len(said) <= TOPIC_LIMIT
            assert not list(angled(said))
            assert not broadcasts(said)
            assert not [span for span in live(parse_mrkdwn(said)) if "http" not in span.text + span.target]
        assert 0 < len(bookmark_title(incident)) <= BOOKMARK_LIMIT
        name = channel_name(incident.reference, incident.name)
        assert name.startswith("inc-7")
        assert len(name) <= 80
        assert name == name.lower().strip("-")
