"""Whether what people did to incidents is kept once, and whoever did it knows (I1, I4, I6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reliability.history.deeds import Deed, Try
from reliability.history.evidence import Evidence, Kept
from reliability.history.violation import Invariant

Broken = tuple[Invariant, str]
NOT_DONE = "What you asked for was not done"
ADDED = {"action": "added an action:", "follow_up": "added a follow-up:"}


def managed(seen: Evidence) -> Iterator[Broken]:
    """A sentence for each deed that is lost, done twice, or that nobody was told of."""
    for kept in seen.kept:
        deeds = seen.deeds_of(kept)
        yield from _worded(seen, kept, deeds)
        yield from _as_it_was_set(seen, kept, deeds)
        for deed in deeds:
            if any(one.told == "ignored" for one in deed.tries):
                yield "I4", f"{deed.person} asked for {deed.verb} on {kept.reference} and was never answered"


def tokens_of(deed: Deed) -> dict[str, list[Try]]:
    """The tries by the word that stands in each; those of one form have the same."""
    found: dict[str, list[Try]] = {}
    for one in deed.tries:
        if one.token:
            found.setdefault(one.token, []).append(one)
    return found


def is_sure(seen: Evidence, deed: Deed) -> bool:
    """Whether it must have been done: somebody was told so, and never otherwise."""
    if any(one.told == "done" for one in deed.tries):
        return True
    return deed.surely and not _is_taken_back(seen, deed)


def _is_taken_back(seen: Evidence, deed: Deed) -> bool:
    return any(NOT_DONE in text for text in seen.told_in_person(deed.person))


def _worded(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Each word that was written is in the timeline once, or not at all where that is what was said."""
    removed = {token: deed for deed in deeds if deed.removes for token in tokens_of(deed)}
    for deed in deeds:
        if deed.removes or not (deed.worded or deed.adds):
            continue
        for token, tries in tokens_of(deed).items():
            verb = deed.worded or ADDED[deed.adds]
            count = sum(entry["verb"] == verb and token in entry["text"] for entry in kept.timeline)
            said = {one.told for one in tries}
            if token in removed:
                taken = removed[token].tries[-1].told
                if count and taken == "done":
                    yield "I6", f"{token} was taken out of the timeline of {kept.reference}, and is there"
            elif not count and ("done" in said or ("saved" in said and not _is_taken_back(seen, deed))):
                yield "I1", f"{token} ({deed.verb}) was answered as done, and there is no trace of it"
            if count > 1:
                yield "I6", f"{token} ({deed.verb}) is {count} times in the timeline of {kept.reference}"
            if count and not said & {"done", "saved", "cut off", "not saved", "ignored"}:
                yield "I6", f"{token} ({deed.verb}) was refused, and is in the timeline of {kept.reference}"
            if count and not said & {"done", "saved"} and deed.verb != "mark":
                yield from _told_at_last(seen, kept, deed, token)


def _told_at_last(seen: Evidence, kept: Kept, deed: Deed, token: str) -> Iterator[Broken]:
    """Who was cut off reads in the incident's channel, or in a message, that it is done."""
    there = [post for post in seen.posts if post["channel"] in seen.channels_of(kept)]
    noted = f"Added to the timeline of {kept.reference}"
    if any(token in f"{post['text']} {post['blocks']}" for post in there):
        return
    if not any(token in text or text.startswith(noted) for text in seen.told_in_person(deed.person)):
        yield "I4", f"{token} ({deed.verb}) is done, and {deed.person} was cut off and never told"


def expected_entries(seen: Evidence, kept: Kept) -> tuple[Counter[str], Counter[str]]:
    """How often each verb must at least, and may at most, be in the timeline."""
    low, high = Counter[str](), Counter[str]()
    removed = {token for deed in seen.deeds_of(kept) if deed.removes for token in tokens_of(deed)}
    for deed in seen.history.deeds:
        if deed.into and seen.is_called(kept, deed.into):
            low["merged into it:"] += is_sure(seen, deed)
            high["merged into it:"] += deed.perhaps
    for deed in seen.deeds_of(kept):
        once = [*deed.entries, *(["completed the action:"] if deed.completes else [])]
        for verb in once:
            low[verb] += is_sure(seen, deed)
            high[verb] += deed.perhaps
        for verb in deed.each:
            low[verb] += is_sure(seen, deed)
            high[verb] += sum(one.told != "refused" for one in deed.tries)
        verb = deed.worded or ADDED.get(deed.adds, "")
        for token, tries in tokens_of(deed).items() if verb and not deed.removes else ():
            said = {one.told for one in tries}
            sure = "done" in said or ("saved" in said and is_sure(seen, deed))
            low[verb] += sure and token not in removed
            high[verb] += said != {"refused"}
    return low, high


def _as_it_was_set(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """The incident is what the last deed made it."""
    columns = {name for deed in deeds for name in deed.sets}
    for name in columns:
        if wrong := _unless(seen, [(d, d.sets.get(name)) for d in deeds], str(kept.row[name])):
            yield "I1", f"{name} of {kept.reference} is {kept.row[name]}, and was last set to {wrong}"
    holders = {row.get("incident_role_id"): row["assignee_slack_user_id"] for row in kept.roles}
    for role in {role for deed in deeds for role in deed.holds}:
        is_now = str(holders.get(role))
        if wrong := _unless(seen, [(d, d.holds.get(role)) for d in deeds], is_now):
            yield "I1", f"{role} of {kept.reference} is {is_now}, and was last given to {wrong}"
    for deed in deeds:
        done = [r for r in kept.follow_ups if deed.completes and deed.completes in r["text"] and r["done_at"]]
        if deed.completes and is_sure(seen, deed) and not done:
            yield "I1", f"“{deed.completes}” was answered as done, and there is no trace of it"


def _unless(seen: Evidence, said: list[tuple[Deed, str | None]], is_now: str) -> str:
    """What it should be, where it is none of what it may be."""
    may_be: set[str] = set()
    for deed, value in said:
        if value is None or not deed.perhaps:
            continue
        if is_sure(seen, deed):
            may_be = {value}
        elif may_be:
            may_be.add(value)
    return " or ".join(sorted(may_be)) if may_be and is_now not in may_be else ""
