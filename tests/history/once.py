"""Whether anything was done twice, or done where it does not belong (I3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from history.evidence import Evidence, Json, Kept


def repeated(seen: Evidence) -> Iterator[str]:
    """A sentence for each thing that was done more than once, or in a wrong place."""
    yield from _channels(seen)
    for kept in seen.kept:
        yield from _cards(seen, kept)
        yield from _marks(seen, kept)
    yield from _said_twice(seen)
    yield from _joined_twice(seen)


def _channels(seen: Evidence) -> Iterator[str]:
    owners = Counter(kept.channel for kept in seen.kept if kept.channel)
    for channel in seen.own_channels:
        if owners[channel["id"]] != 1:
            yield f"#{channel['name']} was made and is the channel of {owners[channel['id']]} incidents"
    for kept in seen.kept:
        room = seen.channels.get(kept.channel)
        if room is not None and room["creator"] != seen.history.bot:
            yield f"{kept.reference} took #{room['name']}, which somebody else made"


def _cards(seen: Evidence, kept: Kept) -> Iterator[str]:
    places = Counter((card["channel"], card["thread_ts"]) for card in seen.cards_of(kept))
    for (place, thread), count in places.items():
        if count > 1:
            yield f"the card of {kept.reference} stands {count} times in {place} {thread or ''}".rstrip()
    for card in seen.cards_of(kept):
        if not _belongs(seen, kept, card):
            yield f"a card of {kept.reference} stands in {card['channel']}, where it does not belong"


def _marks(seen: Evidence, kept: Kept) -> Iterator[str]:
    room = seen.channels.get(kept.channel) or {}
    links = [mark.get("link") for mark in room.get("bookmarks", ())]
    if len(links) != len(set(links)):
        yield f"{kept.reference}'s channel has a bookmark twice"
    cards = {card["ts"] for card in seen.cards_of(kept) if card["channel"] == kept.channel}
    if len(cards & set(room.get("pins", ()))) > 1:
        yield f"{kept.reference}'s channel has two headlines pinned"


def _belongs(seen: Evidence, kept: Kept, card: Json) -> bool:
    """In its own channel, where it was declared, with its reporter, and announced if it is not a test."""
    intent = seen.intent_of(kept)
    if intent is None or card["channel"] in {kept.channel, intent.press.origin}:
        return True
    if card["channel"] == seen.history.announce:
        return not intent.is_test
    room = seen.channels[card["channel"]]
    return room["kind"] == "im" and intent.press.person in room["members"]


def _said_twice(seen: Evidence) -> Iterator[str]:
    sentences = Counter((m["channel"], m["text"]) for m in seen.posts if not m["blocks"])
    keyed = Counter(
        (m["channel"], str((m["metadata"] or {}).get("event_payload"))) for m in seen.posts if m["metadata"]
    )
    for (place, text), count in (sentences | keyed).items():
        if count > 1:
            yield f"said {count} times in {place}: {text}"


def _joined_twice(seen: Evidence) -> Iterator[str]:
    joins = Counter(
        (m["channel"], m["user"]) for m in seen.history.messages if str(m["subtype"]).endswith("_join")
    )
    for (place, person), count in joins.items():
        if count > 1 and any(kept.channel == place for kept in seen.kept):
            yield f"{person} was brought into {place} {count} times"
