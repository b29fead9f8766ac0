"""Who could read what (I5): private words outside their audience, and marks that nobody meant to be live."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

from reliability.history.evidence import Evidence, Intent, Kept

Json = dict[str, Any]
EVERYBODY = "everybody"

_MARK = re.compile(r"<([^<>]*)>")
_OURS = re.compile(r"!date\^\d+\^")


@dataclass(frozen=True)
class Surface:
    """Something that people could read, and who; `audience` holds EVERYBODY where anyone may."""

    where: str
    audience: frozenset[str]
    text: str


def leaks(seen: Evidence) -> Iterator[str]:
    """Private words that somebody could read who may not."""
    surfaces = list(_surfaces(seen))
    for intent in seen.intents:
        incidents = seen.incidents_of(intent)
        if not intent.is_private and not any(kept.is_private for kept in incidents):
            continue
        if incidents and all(seen.was_hidden(kept) for kept in incidents):
            # What was said while it was public was said to all; what is left of it is looked at elsewhere.
            continue
        if incidents and not any(kept.is_private for kept in incidents) and seen.told_of_public(intent):
            # Private was ticked too late, and whoever did so knows that all may read it.
            continue
        allowed = intent.insiders | {seen.history.bot}
        for surface in surfaces:
            if surface.audience <= allowed:
                continue
            for word in _secrets(seen, intent, incidents):
                if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w])", surface.text):
                    outside = sorted(surface.audience - allowed)
                    yield f"{surface.where} shows “{word}” of a private incident to {', '.join(outside)}"


def _secrets(seen: Evidence, intent: Intent, incidents: list[Kept]) -> set[str]:
    words = {intent.token, *intent.press.secrets}
    for kept in incidents:
        words.add(kept.reference)
        if kept.channel:
            words |= {kept.channel, str(seen.channels.get(kept.channel, {}).get("name") or kept.channel)}
    return words


def _surfaces(seen: Evidence) -> Iterator[Surface]:
    for message in seen.history.messages:
        if message["user"] != seen.history.bot:
            continue
        only = message["ephemeral_to"]
        audience = frozenset({only}) if only else _audience(seen, message["channel"])
        # What they are given back they typed themselves.
        said = {**message, "text": message["text"].partition(" You had typed: ")[0]} if only else message
        yield Surface(f"message {message['ts']} in {message['channel']}", audience, _flat(said))
    for channel in seen.history.channels:
        said = {part: channel[part] for part in ("id", "name", "topic", "purpose", "bookmarks")}
        yield Surface(f"channel {channel['name']}", _audience(seen, channel["id"]), _flat(said))
    for person, view in seen.shown():
        yield Surface(f"a window of {person}", frozenset({person or EVERYBODY}), _flat(view))
    for page in seen.history.pages:
        if not page.signed_in:
            yield Surface(f"page {page.url}", frozenset({EVERYBODY}), page.text)
    for file in seen.history.files:
        readers = [_audience(seen, place) for place in file["channels"]]
        yield Surface(f"file {file['name']}", frozenset({file["user"]}).union(*readers), _flat(file))
    yield Surface("the log", frozenset({EVERYBODY}), seen.history.log)
    yield from _on_the_wire(seen)


def _on_the_wire(seen: Evidence) -> Iterator[Surface]:
    """What was sent somewhere, also if it was changed or deleted since."""
    for exchange in seen.history.exchanges:
        args = exchange.args
        place = args.get("channel") or args.get("channel_id")
        if exchange.direction == "call" and exchange.ok and isinstance(place, str):
            if exchange.method.endswith((".history", ".replies", ".list", ".info", ".members")):
                continue
            yield Surface(f"{exchange.method} to {place}", _audience(seen, place), _flat(args))
        elif exchange.method == "conversations.create" and args.get("is_private") in (
            None,
            False,
            "false",
            "0",
        ):
            yield Surface("conversations.create", frozenset({EVERYBODY}), str(args.get("name")))


def _audience(seen: Evidence, place: str) -> frozenset[str]:
    channel = seen.channels.get(place)
    if channel is None:
        return frozenset({place})
    return frozenset({EVERYBODY} if channel["kind"] == "public" else channel["members"])


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def live_marks(seen: Evidence) -> Iterator[str]:
    """Mentions and links in what the bot said that are none of those a card is made of."""
    ours = _Ours(seen)
    for where, content in _spoken(seen):
        for kind, target in _marks(content):
            if not ours.built(kind, target):
                yield f"{where} has a live {kind} that we did not build: {target}"


class _Ours:
    """The people, channels and addresses that the bot has a reason to name."""

    def __init__(self, seen: Evidence) -> None:
        reporters = {intent.press.person for intent in seen.intents}
        strangers = {person for kept in seen.kept for person in kept.row.get("strangers", ())}
        self.people = reporters.union(strangers, *(kept.people for kept in seen.kept))
        self.people |= {deed.person for deed in seen.history.deeds}
        self.people |= {person for deed in seen.history.deeds for person in deed.holds.values()}
        self.people |= {row["assignee_slack_user_id"] for kept in seen.kept for row in kept.follow_ups}
        # Also those that people work in while a backend is away.
        elsewhere = () if seen.history.backend == "local" else seen.own_channels
        self.channels = set[str]().union(*(seen.channels_of(kept) for kept in seen.kept))
        self.channels |= {channel["id"] for channel in elsewhere}
        # Who asked for a channel that is there reads its name, also when it cannot be used after all.
        self.channels |= {intent.wants_channel for intent in seen.intents}
        self.references = {kept.reference for kept in seen.kept}
        self.sources = {kept.row["source_message_permalink"] for kept in seen.kept}
        exchanges = (e for e in seen.history.exchanges if e.method == "conversations.canvases.create")
        self.canvases = {str((e.response or {}).get("canvas_id")) for e in exchanges}
        self.permalinks = {kept.row.get("permalink") for kept in seen.kept}
        self.by_rules = tuple(start for deed in seen.history.deeds for start in deed.links)
        self.calls = {deed.sets.get("call_url") for deed in seen.history.deeds}

    def built(self, kind: str, target: str) -> bool:
        if kind == "person":
            return target in self.people
        if kind == "channel":
            return target in self.channels
        if kind == "link":
            page = target.rpartition("/incidents/")[2]
            if target.rpartition("/docs/")[2].rpartition("/")[2] in self.canvases:
                return True
            if target.startswith(self.by_rules):
                return True
            return page in self.references or unescape(target) in self.sources | self.permalinks | self.calls
        return False


def _spoken(seen: Evidence) -> Iterator[tuple[str, Any]]:
    for message in seen.posts:
        yield f"message {message['ts']}", {"mrkdwn": message["text"], "blocks": message["blocks"]}
    for channel in seen.own_channels:
        yield f"#{channel['name']}", {"mrkdwn": channel["topic"]}
        yield f"#{channel['name']}", {"mrkdwn": channel["purpose"]}
    for person, view in seen.shown():
        yield f"a window of {person}", view
    for exchange in seen.history.exchanges:
        if exchange.method == "response_url":
            yield "an answer to a command", {"mrkdwn": exchange.args.get("text") or ""}


def _marks(content: Any) -> Iterator[tuple[str, str]]:
    """Every live mark in mrkdwn and in rich text; plain text has none."""
    if isinstance(content, list):
        for part in content:
            yield from _marks(part)
    if not isinstance(content, dict):
        return
    if content.get("type") == "mrkdwn":
        yield from _in_mrkdwn(str(content.get("text")))
    if isinstance(content.get("mrkdwn"), str):
        yield from _in_mrkdwn(content["mrkdwn"])
    yield from _in_rich_text(content)
    for part in content.values():
        yield from _marks(part)


def _in_rich_text(element: Json) -> Iterator[tuple[str, str]]:
    match element.get("type"):
        case "user":
            yield "person", str(element.get("user_id"))
        case "channel":
            yield "channel", str(element.get("channel_id"))
        case "link":
            yield "link", str(element.get("url"))
        case "broadcast" | "usergroup" | "team":
            yield "broadcast", str(element.get("range") or element.get("usergroup_id"))
        case "button" if element.get("url"):
            yield "link", str(element["url"])


def _in_mrkdwn(text: str) -> Iterator[tuple[str, str]]:
    for inside in _MARK.findall(text):
        target = inside.partition("|")[0]
        if target.startswith("@"):
            yield "person", target[1:]
        elif target.startswith("#"):
            yield "channel", target[1:]
        elif not target.startswith("!"):
            yield "link", target
        elif not _OURS.match(target):
            yield "broadcast", target
