"""Whether an incident has all that belongs to it, or its reporter knows what is missing (part of I4)."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.history.evidence import Evidence, Intent, Kept

WORDS = {
    "channel": "channel",
    "topic": "topic",
    "purpose": "purpose",
    "bookmark": "bookmark",
    "headline": "card could not be posted in its channel",
    "pin": "pinned",
    "people": "brought into the channel",
    "source": "where it was declared",
    "reporter": "card could not be sent",
    "announcement": "announced",
}
"""What the reporter must read when the part is missing."""


REFUSED = {
    "channel": "conversations.create",
    "topic": "conversations.setTopic",
    "purpose": "conversations.setPurpose",
    "bookmark": "bookmarks.add",
    "pin": "pins.add",
}
"""What Slack refuses where the part is missing, and nobody is there to be told: a program declared it."""


def incomplete(seen: Evidence) -> Iterator[str]:
    """A sentence for each part that is missing and that nobody was told of."""
    for kept in seen.kept:
        intent = seen.intent_of(kept)
        if intent is None:
            continue
        told = _told(seen, intent, kept)
        for part in _missing(seen, intent, kept):
            if WORDS[part] not in told and not (not intent.press.person and _was_refused(seen, part)):
                yield f"{kept.reference} has no {part}, and {intent.press.person} was not told"
        yield from _unfinished_window(seen, intent, kept)


def _was_refused(seen: Evidence, part: str) -> bool:
    return any(call.method == REFUSED.get(part) and call.error for call in seen.history.exchanges)


def _told(seen: Evidence, intent: Intent, kept: Kept) -> str:
    messages = [text for text in seen.told_in_person(intent.press.person) if kept.reference in text]
    windows = [answer.text for answer in (*intent.answers, *intent.later) if ":warning:" in answer.text]
    return " ".join(messages + windows)


def _missing(seen: Evidence, intent: Intent, kept: Kept) -> Iterator[str]:
    channel = seen.channels.get(kept.channel)
    if seen.history.makes_channel or kept.is_retrospective or seen.has_left(kept):
        # Whoever opens the channel fills it, and asks people in; what is over already has none, and what
        # used a channel that another one uses now has none any more.
        pass
    elif channel is None or (kept.is_private and channel["kind"] != "private"):
        yield "channel"
    else:
        for part in ("topic", "purpose"):
            if not channel[part]:
                yield part
        if not any(kept.reference in str(mark.get("link")) for mark in channel["bookmarks"]):
            yield "bookmark"
        headlines = [card["ts"] for card in seen.cards_of(kept) if card["channel"] == kept.channel]
        if not headlines:
            yield "headline"
        elif not set(headlines) & set(channel["pins"]):
            yield "pin"
        if kept.people & set(seen.history.people) - set(channel["members"]):
            yield "people"
    yield from _missing_cards(seen, intent, kept)


def _missing_cards(seen: Evidence, intent: Intent, kept: Kept) -> Iterator[str]:
    press, cards = intent.press, seen.cards_of(kept)
    announce = seen.history.announce
    if seen.was_hidden(kept) or any(deed.verb == "cancel" for deed in seen.deeds_of(kept)):
        # Its cards were withdrawn.
        return
    if press.origin is not None and not kept.is_private:
        parents = _thread(seen, press.message)
        at_source = [
            card
            for card in cards
            if card["channel"] == press.origin and (card["thread_ts"] or "") in parents | {card["ts"]}
        ]
        if not at_source:
            yield "source"
    elif press.person and not any(_is_direct(seen, card["channel"], press.person) for card in cards):
        yield "reporter"
    # Declared by a command in the announcement channel, the card at its source is the announcement.
    at_home = press.origin == announce and press.message is None
    announced = announce and not (at_home or kept.is_private or intent.is_test or kept.is_retrospective)
    if announced and not any(
        c["channel"] == announce and c["thread_ts"] in {None, "", c["ts"]} for c in cards
    ):
        yield "announcement"


def _thread(seen: Evidence, message: tuple[str, str] | None) -> set[str]:
    """Where in its channel the card must stand: in the message's thread, or at the top for a command."""
    if message is None:
        return {""}
    found = next((m for m in seen.history.messages if (m["channel"], m["ts"]) == message), None)
    return {message[1], (found or {}).get("thread_ts") or message[1]}


def _is_direct(seen: Evidence, channel: str, person: str) -> bool:
    room = seen.channels.get(channel) or {}
    return room.get("kind") == "im" and person in room.get("members", ())


def _unfinished_window(seen: Evidence, intent: Intent, kept: Kept) -> Iterator[str]:
    window = seen.window(intent.press.view_id)
    if window is not None and kept.channel and "is being opened" in str(window):
        yield f"a window says for ever that the channel of {kept.reference} is being opened"
