"""Whether Slack shows what became of incidents, once and nowhere else (I3, I5, I8)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

from reliability.history.deeds import ANNOUNCED, NEWS, Deed
from reliability.history.evidence import WORD, Evidence, Json, Kept
from reliability.history.managed import is_sure, tokens_of
from reliability.history.violation import Invariant

Broken = tuple[Invariant, str]
SIGNS = (":mega:", ":pencil2:", ":white_check_mark:")
"""What news begin with."""


def followed(seen: Evidence) -> Iterator[Broken]:
    """A sentence for each thing in Slack that is missing, there twice, or not what the incident is now."""
    for kept in seen.kept:
        deeds = seen.deeds_of(kept)
        if not deeds:
            continue
        yield from _news(seen, kept, deeds)
        yield from _announced(seen, kept, deeds)
        yield from _up_to_date(seen, kept)
        yield from _things_to_do(seen, kept, deeds)
        yield from _reminders(seen, kept, deeds)
        yield from _withdrawn(seen, kept, deeds)
        yield from _given_back(seen, kept)
    if seen.history.deeds:
        yield from _edited_for_nothing(seen)


def _said_there(seen: Evidence, kept: Kept) -> list[Json]:
    own = seen.channels_of(kept)
    return [post for post in seen.posts if post["channel"] in own and not post["ephemeral_to"]]


def _news(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """The incident's channel is told of every change, once; what was over already has none."""
    if kept.is_retrospective or not seen.channels_of(kept):
        return
    there = [
        post
        for post in _said_there(seen, kept)
        if post["text"].startswith(SIGNS) and f"|{kept.reference}>*" in post["text"]
    ]
    low = high = 0
    overtaken = _overtaken(seen, kept, deeds)
    for deed in _with_news(deeds):
        tokens = tokens_of(deed)
        for token, tries in tokens.items():
            said, count = {one.told for one in tries}, sum(token in _whole(post) for post in there)
            sure = "done" in said or ("saved" in said and is_sure(seen, deed))
            if sure and not count and overtaken[deed.person] > 0:
                overtaken[deed.person] -= 1
                sure = False
            low, high = low + sure, high + (said != {"refused"})
            if count > 1:
                yield "I3", f"{kept.reference}'s channel was told {count} times of {token} ({deed.verb})"
            if sure and not count:
                yield "I4", f"{kept.reference}'s channel was not told of {token} ({deed.verb})"
        if not tokens:
            low, high = low + is_sure(seen, deed), high + deed.perhaps
    if not low <= len(there) <= high:
        yield "I3", f"{kept.reference}'s channel was told news {len(there)} times, not {low} to {high} times"


def _with_news(deeds: list[Deed]) -> list[Deed]:
    """Those that its channel is told of; once it has left that there is none to tell."""
    before = takewhile(lambda deed: deed.verb != "leave", deeds)
    return [deed for deed in before if deed.verb in NEWS]


def _overtaken(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Counter[str]:
    """How often who asked was told that their news came after the channel of a mistake was archived.

    A story that a kill interrupted may go on later than the one that ended the incident.
    """
    if not seen.history.kills or not _is_canceled(seen, deeds):
        return Counter()
    late = f"{kept.reference} is changed, but not everything went well: "
    late += "The channel was not told: the channel is archived"
    return Counter(
        {
            person: sum(text.startswith(late) for text in seen.told_in_person(person))
            for person in {deed.person for deed in deeds}
        }
    )


def _announced(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Where it was announced, updates are in the card's thread, once; and gone with the card."""
    place = seen.history.announce
    there = [
        post
        for post in seen.posts
        if post["channel"] == place and post["thread_ts"] not in {None, post["ts"]}
    ]
    # Whether it could not be announced, and who was told, is looked at elsewhere.
    was_announced = any(card["channel"] == place for card in seen.cards_of(kept))
    gone = kept.is_private or _is_canceled(seen, deeds) or not was_announced
    for deed in deeds:
        for token in tokens_of(deed) if deed.worded in ANNOUNCED else ():
            count = sum(token in _whole(post) for post in there)
            due = any(token in entry["text"] for entry in kept.timeline) and not gone
            if count > due:
                yield (
                    "I3",
                    f"where {kept.reference} was announced, {token} is told {count} times, not {int(due)}",
                )
            elif count < due:
                yield "I4", f"where {kept.reference} was announced, {token} ({deed.verb}) is not told"


def _up_to_date(seen: Evidence, kept: Kept) -> Iterator[Broken]:
    """Cards, topic, purpose, bookmark and the channel's name say what the incident is now."""
    tables = seen.history.tables
    name = str(kept.row["name"])
    facts = {
        name,
        _name(tables["incident_statuses"], kept.row["incident_status_id"]),
        _name(tables["severities"], kept.row["severity_id"]),
    }
    shown = [(f"a card in {card['channel']}", card["text"], facts) for card in seen.cards_of(kept)]
    lead = next(
        (r["assignee_slack_user_id"] for r in kept.roles if r.get("incident_role_id") == "lead"), None
    )
    if lead:
        shown += [("a card", json.dumps(card["blocks"]), {f"<@{lead}>"}) for card in seen.cards_of(kept)]
    room = seen.channels.get(kept.channel)
    if room is not None and kept.channel == seen.used_by(kept):
        shown += _of_used_channel(kept, room, facts)
    elif room is not None:
        words = {word for word in WORD.findall(name) if word.startswith("zq")}
        shown += [
            ("the topic", room["topic"], facts),
            ("the purpose", room["purpose"], {name}),
            ("the bookmark", str([mark.get("title") for mark in room["bookmarks"]]), {name}),
            ("the channel", room["name"], words),
            ("the incident's own record of its channel", kept.row["slack_channel_name"], {room["name"]}),
        ]
    for where, text, due in shown:
        # Whether what is not there at all was refused, and who was told, is looked at elsewhere.
        for what in due if text not in {"", "[]"} else ():
            if what not in text:
                yield "I8", f"{kept.reference}: {where} does not say {what}"


def _of_used_channel(kept: Kept, room: Json, facts: set[str]) -> list[tuple[str, str, set[str]]]:
    """What a channel that was there before is to show: its bookmark, and its topic while it is used."""
    return [
        ("the topic", room["topic"], set() if kept.row["closed_at"] else facts),
        ("the bookmark", str([mark.get("title") for mark in room["bookmarks"]]), {str(kept.row["name"])}),
        ("the incident's own record of its channel", kept.row["slack_channel_name"], {room["name"]}),
    ]


def _given_back(seen: Evidence, kept: Kept) -> Iterator[Broken]:
    """A channel that was there before stays as it was, but for its topic while an incident uses it."""
    room = seen.channels.get(seen.used_by(kept))
    if room is None:
        return
    words = {word for word in WORD.findall(str(kept.row["name"])) if word.startswith(("zq", "tok"))}
    if room["archived"]:
        yield "I3", f"#{room['name']} was there before {kept.reference}, and is archived"
    for part in ("name", "purpose"):
        if any(word in room[part] for word in words):
            yield "I3", f"#{room['name']} was there before {kept.reference}, which is in its {part}"
    titles = str([mark.get("title") for mark in room["bookmarks"]])
    if kept.channel != room["id"] and kept.is_private and kept.reference in titles:
        yield "I5", f"{kept.reference} is private, and bookmarked in #{room['name']}, where it was before"
    before = next(deed.keeps for deed in seen.deeds_of(kept) if deed.keeps)
    is_used = any(other.channel == room["id"] and not other.row["closed_at"] for other in seen.kept)
    if not is_used and room["topic"] != before:
        yield "I8", f"the topic of #{room['name']} is {room['topic']} after {kept.reference}, not {before}"


def _name(rows: list[Json], wanted: str) -> str:
    return next(str(row["name"]) for row in rows if row["id"] == wanted)


def _things_to_do(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Each is one message, or stands in the checklist if rules gave it; it says whether it is done."""
    given = {title for deed in deeds for title in deed.gives}
    there = [post for post in _said_there(seen, kept) if f"|{kept.reference}>" not in post["text"]]
    for row in kept.follow_ups:
        shown = [post for post in there if row["text"] in post["text"]]
        if len(shown) != (row["text"] not in given):
            yield "I3", f"“{row['text']}” of {kept.reference} is shown {len(shown)} times, not once"
        if any(post["text"].startswith(":white_check_mark:") != bool(row["done_at"]) for post in shown):
            yield "I8", f"“{row['text']}” of {kept.reference} is not shown as it is"
    counted = Counter(row["text"] for row in kept.follow_ups)
    for text, count in counted.items():
        if count > 1:
            yield "I1", f"“{text}” is to be done {count} times in {kept.reference}"
    for title in given - counted.keys():
        yield "I1", f"{kept.reference} was to get “{title}” by the rules, and has not"
    if given:
        yield from _checklist(seen, kept)


def _checklist(seen: Evidence, kept: Kept) -> Iterator[Broken]:
    """There is one in its channel, which shows all that is to be done as it is now."""
    there = [
        post
        for post in _said_there(seen, kept)
        if post["channel"] == kept.channel and post["text"].startswith(":clipboard:")
    ]
    if len(there) != 1:
        yield "I3", f"{kept.reference} has {len(there)} checklists, not one"
    for post in there:
        shown = _whole(post)
        for row in kept.follow_ups:
            box = ":white_check_mark:" if row["done_at"] else "☐"
            if f"{box} {row['text']}" not in shown:
                yield "I8", f"“{row['text']}” of {kept.reference} is not in its checklist as it is"


def _reminders(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """An update that was due was asked for once, and a nudge that was called for came once."""
    asked = [post for post in _said_there(seen, kept) if post["text"].startswith(":alarm_clock:")]
    due = sum(deed.verb == "due" for deed in deeds)
    if len(asked) != due:
        yield "I3", f"{kept.reference}'s channel was asked for an update {len(asked)} times, not {due}"
    nudges = [post for post in _said_there(seen, kept) if post["text"].startswith((":bell:", ":zzz:"))]
    called_for = sum(deed.verb == "nudge" for deed in deeds)
    if len(nudges) != called_for:
        yield "I3", f"{kept.reference}'s channel was nudged {len(nudges)} times, not {called_for}"


def _withdrawn(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """What was made private, or taken back as a mistake, is shown where it was no more."""
    if _is_canceled(seen, deeds):
        for card in seen.cards_of(kept):
            if card["channel"] != kept.channel:
                yield "I3", f"{kept.reference} was a mistake, and its card still stands in {card['channel']}"
        if not seen.channels[kept.channel]["archived"] and kept.channel != seen.used_by(kept):
            yield "I3", f"{kept.reference} was a mistake, and its channel is not archived"
    if not seen.was_hidden(kept):
        return
    for channel in seen.channels_of(kept) - {kept.channel, seen.used_by(kept)}:
        if not seen.channels[channel]["archived"]:
            yield "I5", f"{kept.reference} is private, and its public channel is not archived"
    elsewhere = [post for post in seen.posts if post["channel"] not in seen.channels_of(kept)]
    for post in elsewhere:
        room = seen.channels[post["channel"]]
        if room["kind"] == "public" and not post["ephemeral_to"] and _tells_of(kept, post):
            yield "I5", f"a message in {room['name']} still tells of {kept.reference}, which is private"


def _tells_of(kept: Kept, post: Json) -> bool:
    said = _whole(post)
    return kept.row["name"] in said or f"|{kept.reference}>" in said


def _is_canceled(seen: Evidence, deeds: list[Deed]) -> bool:
    return any(deed.verb == "cancel" and is_sure(seen, deed) for deed in deeds)


def _edited_for_nothing(seen: Evidence) -> Iterator[Broken]:
    """A card is edited when it changes, and again only where a kill took the memory of it."""
    last: dict[tuple[str, str], str] = {}
    again: Counter[tuple[str, str]] = Counter()
    for exchange in seen.history.exchanges:
        # A checklist is drawn for each change; the second of two that come together finds nothing new.
        drawn = str(exchange.args.get("text")).startswith(":clipboard:")
        if exchange.method == "chat.update" and exchange.ok and not drawn:
            place = str(exchange.args.get("channel")), str(exchange.args.get("ts"))
            shown = json.dumps([exchange.args.get("text"), exchange.args.get("blocks")], default=str)
            again[place] += last.get(place) == shown
            # Who never hears that it was done does it again.
            last[place] = "" if exchange.lost else shown
    for (channel, ts), count in again.items():
        if count > len(seen.history.kills):
            yield "I3", f"message {ts} in {channel} was edited {count} times for nothing"


def _whole(post: Json) -> str:
    return f"{post['text']} {json.dumps(post['blocks'], ensure_ascii=False)}"
