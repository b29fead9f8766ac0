"""Decides from a history alone whether every promise was kept.

I1  what was acknowledged as saved or declared is exactly one incident
I2  no incident without somebody who declared it
I3  one channel, one post in each place and none elsewhere, one pin, one bookmark, everybody joins once;
    of a test of Tocsin nothing but its report, once
I4  everybody who pressed was told how it ended, and of all that could not be done
I5  nobody outside reads a private word; no live mention or link that we did not build
I6  every change is in the timeline once, and nothing else is
I7  the files are sound, no story is unfinished, no message claimed for nothing, every card known
I8  the reference that was answered is the one that is kept, and the one on the cards
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reliability.history.completeness import incomplete
from reliability.history.evidence import Evidence, Intent, Json, Kept
from reliability.history.followed import followed
from reliability.history.history import History
from reliability.history.managed import expected_entries, managed
from reliability.history.once import repeated
from reliability.history.secrecy import leaks, live_marks
from reliability.history.taken_away import taken_away
from reliability.history.tested import left_of_tests
from reliability.history.violation import Violation

ALERTED = "sent alerts:"
MOST_BATCHES = 5


def violations(history: History) -> list[Violation]:
    """Every broken promise, each in a sentence; empty when all is well.

    The history must be of a run that came to rest: bot quiet, or killed and restarted and then quiet.
    """
    seen = Evidence(history)
    found = [
        *(Violation("I1", said) for said in _kept_once(seen)),
        *(Violation("I2", said) for said in _nothing_unasked(seen)),
        *(Violation("I3", said) for said in (*repeated(seen), *left_of_tests(seen))),
        *(Violation("I4", said) for said in (*_nobody_waits(seen), *incomplete(seen))),
        *(Violation("I5", said) for said in (*leaks(seen), *live_marks(seen))),
        *(Violation("I6", said) for said in _timelines(seen)),
        *(Violation("I7", said) for said in _sound(seen)),
        *(Violation("I8", said) for said in _references(seen)),
        *(Violation(*broken) for broken in (*managed(seen), *followed(seen), *taken_away(seen))),
    ]
    return list(dict.fromkeys(found))


def _kept_once(seen: Evidence) -> Iterator[str]:
    for intent in seen.intents:
        incidents = seen.incidents_of(intent)
        promised = intent.was_told("declared") or (intent.was_told("saved") and not _denied(seen, intent))
        if promised and not incidents:
            yield f"{intent.token} was acknowledged, and there is no incident"
        if len(incidents) > 1:
            yield f"{intent.token} is {len(incidents)} incidents: {_names(incidents)}"
    yield from _one_for_each_message(seen)


def _denied(seen: Evidence, intent: Intent) -> bool:
    """Whether somebody who was told *saved* read afterwards that nothing was made."""
    words = seen.told_in_person(intent.press.person)
    return any(answer.said in {"already", "refused"} for answer in intent.later) or any(
        intent.token in text or "Nothing new was declared" in text for text in words
    )


def _one_for_each_message(seen: Evidence) -> Iterator[str]:
    """One message, one incident: among public ones, and among the private ones of one reporter."""
    taken: dict[tuple[object, ...], list[Kept]] = {}
    for kept in seen.kept:
        intent = seen.intent_of(kept)
        if intent is None or intent.press.another or intent.press.message is None:
            continue
        scope = kept.row["creator_slack_user_id"] if kept.is_private else ""
        taken.setdefault((*intent.press.message, scope), []).append(kept)
    for incidents in taken.values():
        if len(incidents) > 1:
            yield f"one message became {len(incidents)} incidents: {_names(incidents)}"


def _nothing_unasked(seen: Evidence) -> Iterator[str]:
    for kept in seen.kept:
        intent = seen.intent_of(kept)
        if intent is None:
            yield f"nobody declared {kept.reference} ({kept.row['name']})"
            continue
        ended = [answer.said for answer in intent.answers]
        if all(said in {"refused", "already"} for said in ended):
            yield f"{kept.reference} was made although its reporter was told otherwise: {ended}"
        if (kept.row["creator_slack_user_id"] or "") != intent.press.person:
            yield f"{kept.reference} is not by who declared it"
        if intent.is_private and not kept.is_private:
            yield f"{kept.reference} was declared private and is kept public"
        if intent.wants_private and not kept.is_private and not seen.told_of_public(intent):
            yield f"{kept.reference} is public, and {intent.press.person} is not told, who wanted it private"


def _nobody_waits(seen: Evidence) -> Iterator[str]:
    for intent in seen.intents:
        person = intent.press.person
        if any(answer.said == "unanswered" for answer in intent.answers):
            yield f"{person} pressed for {intent.token} and was not answered"
        window = seen.window(intent.press.view_id)
        if not intent.was_told("saved"):
            continue
        incidents = seen.incidents_of(intent)
        words = " ".join(seen.told_in_person(person))
        cards = [card for kept in incidents for card in seen.cards_of(kept)]
        ended = any(answer.said in {"declared", "already", "refused"} for answer in intent.later)
        if window is not None and "still declaring" in str(window) and not ended:
            yield f"the window of {person} says for ever that {intent.token} is still being declared"
        elif not ended and not cards and intent.token not in words and not _denied(seen, intent):
            yield f"{person} was told that {intent.token} is saved, and never how it ended"


def _timelines(seen: Evidence) -> Iterator[str]:
    if seen.history.backend != "local":
        # A vendor keeps its own, and only some of it is ours to write.
        return
    for kept in seen.kept:
        entries = Counter(entry["verb"] for entry in kept.timeline)
        low, high = expected_entries(seen, kept)
        opened = bool(kept.channel) and not seen.used_by(kept)
        due = Counter({"declared": 1, "opened the channel": int(opened)})
        low, high = low + due, high + due
        for verb in {*entries, *low}:
            if verb.startswith("could not be checked") and entries[verb] == 1:
                continue
            if verb == ALERTED and entries[verb] <= MOST_BATCHES:
                # How many alerts are told of at once is a matter of time; the scenario counts them.
                continue
            if not high[verb]:
                yield f"nothing explains “{verb}” in the timeline of {kept.reference}"
            elif not low[verb] <= entries[verb] <= high[verb]:
                due_times = f"{low[verb]}" if low[verb] == high[verb] else f"{low[verb]} to {high[verb]}"
                yield f"the timeline of {kept.reference} says “{verb}” {entries[verb]} times, not {due_times}"
        yield from _true_entries(seen, kept)


def _true_entries(seen: Evidence, kept: Kept) -> Iterator[str]:
    for entry in kept.timeline:
        if entry["verb"] == "opened the channel" and kept.channel:
            name = seen.channels[kept.channel]["name"]
            moved = any(deed.verb in {"rename", "private"} for deed in seen.deeds_of(kept))
            if entry["text"] != f"#{name}" and not moved:
                yield f"the timeline of {kept.reference} says {entry['text']}, its channel is #{name}"
        if entry["verb"] == "uses the channel":
            name = seen.channels[seen.used_by(kept)]["name"]
            if entry["text"] != f"#{name}":
                yield f"the timeline of {kept.reference} says that it uses {entry['text']}, not #{name}"
        if entry["verb"] == "declared" and entry["actor_slack_user_id"] != kept.row["creator_slack_user_id"]:
            yield f"the timeline of {kept.reference} names the wrong reporter"


def _sound(seen: Evidence) -> Iterator[str]:
    history = seen.history
    for name, said in history.integrity.items():
        if said != "ok":
            yield f"{name} is damaged: {said}"
    for key, status in history.stories.items():
        if status != "SUCCESS":
            yield f"the story {key} has not ended well: {status}"
    yield from _claimed_for_nothing(seen)
    yield from _ledger_of_cards(seen)


def _claimed_for_nothing(seen: Evidence) -> Iterator[str]:
    incidents = {kept.row["id"] for kept in seen.kept}
    declared = {row["key"]: row["incident_id"] for row in seen.history.tables["tocsin_declared"]}
    for row in seen.history.tables["tocsin_sources"]:
        if declared.get(row["key"]) not in incidents:
            yield f"message {row['timestamp']} is claimed by {row['key']}, which has no incident"


def _ledger_of_cards(seen: Evidence) -> Iterator[str]:
    """The cards that are remembered are those that people see: each is to be edited later."""
    known = {(row["channel"], row["ts"]): row["incident_id"] for row in seen.history.tables["tocsin_cards"]}
    for place in known.keys() - {(post["channel"], post["ts"]) for post in seen.posts}:
        yield f"the ledger has a card of {known[place]} where there is no message"
    for kept in seen.kept:
        for card in seen.cards_of(kept):
            if known.get((card["channel"], card["ts"])) != kept.row["id"]:
                yield f"a card of {kept.reference} in {card['channel']} is not in the ledger"


def _references(seen: Evidence) -> Iterator[str]:
    declared = {row["key"]: row["incident_id"] for row in seen.history.tables["tocsin_declared"]}
    for intent in seen.intents:
        incidents = seen.incidents_of(intent)
        kept = {incident.reference for incident in incidents}
        if wrong := intent.references - kept:
            yield f"{intent.press.person} read {sorted(wrong)} for {intent.token}, kept is {sorted(kept)}"
        yield from _named_already(seen, intent)
        for incident in incidents:
            if declared.get(incident.row["idempotency_key"]) not in {incident.row["id"], None}:
                yield f"the ledger takes {intent.token} for another incident than {incident.reference}"
            cards = [card for card in seen.posts_with(intent.token) if _is_card(card)]
            if seen.deeds_of(incident):
                # News of a change has blocks as well, and may name the incident.
                cards = [card for card in seen.cards_of(incident) if intent.token in card["text"]]
            if any(not card["text"].startswith(f"{incident.reference}: ") for card in cards):
                yield f"a card of {intent.token} does not say {incident.reference}"


def _is_card(post: Json) -> bool:
    """A message with blocks is a card, but for those that offer to open the form again."""
    buttons = ("open_form", "fix_and_send")
    return bool(post["blocks"]) and not any(button in str(post["blocks"]) for button in buttons)


def _named_already(seen: Evidence, intent: Intent) -> Iterator[str]:
    """Who is told that a message has an incident already is told of the one it has."""
    for answer in (*intent.answers, *intent.later):
        if answer.said != "already":
            continue
        of_message = {
            kept.reference
            for kept in seen.kept
            if (other := seen.intent_of(kept)) is not None and other.press.message == intent.press.message
        }
        if answer.reference not in of_message:
            yield f"{intent.token} is said to be {answer.reference}, its message has {sorted(of_message)}"


def _names(incidents: list[Kept]) -> str:
    return ", ".join(kept.reference for kept in incidents)
