"""Whether anything was done twice, or done where it does not belong (I3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reliability.history.evidence import Evidence, Json, Kept


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
    for kept in seen.kept:
        if seen.was_hidden(kept):
            # The public channel that it has left is its own still.
            owners.update(seen.channels_of(kept) - {kept.channel})
    for channel in seen.own_channels:
        if owners[channel["id"]] != 1 and not _shelters(seen, channel):
            yield f"#{channel['name']} was made and is the channel of {owners[channel['id']]} incidents"
    for kept in seen.kept:
        room = seen.channels.get(kept.channel)
        if room is None or room["creator"] == seen.history.bot or seen.history.makes_channel:
            continue
        if kept.channel != seen.used_by(kept):
            yield f"{kept.reference} took #{room['name']}, which somebody else made"
        if owners[kept.channel] > 1:
            yield f"#{room['name']} is used by {owners[kept.channel]} incidents"


def _shelters(seen: Evidence, channel: Json) -> bool:
    """Whether people worked here while the backend was away, on something that has no channel of ours."""
    words = set(str(channel["name"]).split("-"))
    intent = next((intent for intent in seen.intents if intent.token in words), None)
    if seen.history.backend == "local" or intent is None:
        return False
    alone = sum(intent.token in str(own["name"]).split("-") for own in seen.own_channels) == 1
    return alone and (seen.history.makes_channel or not seen.incidents_of(intent))


def _cards(seen: Evidence, kept: Kept) -> Iterator[str]:
    places = Counter((card["channel"], _thread(card)) for card in seen.cards_of(kept))
    for (place, thread), count in places.items():
        if count > 1:
            yield f"the card of {kept.reference} stands {count} times in {place} {thread or ''}".rstrip()
    for card in seen.cards_of(kept):
        if not _belongs(seen, kept, card):
            yield f"a card of {kept.reference} stands in {card['channel']}, where it does not belong"


def _thread(card: Json) -> str | None:
    """The thread that it is a reply in; a message with replies names itself (Slack, `thread_ts`)."""
    return card["thread_ts"] if card["thread_ts"] != card["ts"] else None


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
    hidden = seen.was_hidden(kept)
    if intent is None or card["channel"] in {kept.channel, None if hidden else intent.press.origin}:
        return True
    if card["channel"] == seen.history.announce and not hidden:
        return not intent.is_test
    room = seen.channels[card["channel"]]
    return room["kind"] == "im" and intent.press.person in room["members"]


def _said_twice(seen: Evidence) -> Iterator[str]:
    sentences = Counter((m["channel"], m["text"]) for m in seen.posts if not m["blocks"])
    for (place, text), count in list(sentences.items()):
        if any(text.startswith(answer) for answer in ANSWERS) and count <= _gestures(seen):
            # Each of several gestures is answered, maybe in the same words.
            del sentences[(place, text)]
        elif text.startswith(OF_TESTS):
            # `tested.py` counts the reports of tests, which are no deeds.
            del sentences[(place, text)]
    keyed = Counter(
        (m["channel"], str((m["metadata"] or {}).get("event_payload"))) for m in seen.posts if m["metadata"]
    )
    for (place, text), count in (sentences | keyed).items():
        # Where time is hurried a connection seems lost whenever the machine is busy.
        hurried = seen.history.backend != "local" and "No connection to Slack has been open" in text
        if count > 1 and not hurried:
            yield f"said {count} times in {place}: {text}"


ANSWERS = (
    "INC-",
    "Added to the timeline",
    "Taken out of ",
    "The document of ",
    "What you asked for ",
    "Saved, not through yet.",
    "Tocsin's journal did not answer in time",
    "Nothing would change",
)


OF_TESTS = ("Each part of Tocsin is tried", "A test of yours is still running", "Tocsin was tested:")


def _gestures(seen: Evidence) -> int:
    return sum(len(deed.tries) for deed in seen.history.deeds)


def _joined_twice(seen: Evidence) -> Iterator[str]:
    joins = Counter(
        (m["channel"], m["user"]) for m in seen.history.messages if str(m["subtype"]).endswith("_join")
    )
    for (place, person), count in joins.items():
        if count > 1 and any(kept.channel == place for kept in seen.kept):
            yield f"{person} was brought into {place} {count} times"
