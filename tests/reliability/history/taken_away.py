"""Whether what was taken away, written up, shown below a link or put away is there once, and only there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from reliability.history.deeds import Deed
from reliability.history.evidence import Evidence, Json, Kept
from reliability.history.managed import is_sure
from reliability.history.violation import Invariant
from tocsin.incidents.transitions import UPDATE_VERBS

Broken = tuple[Invariant, str]
WRITTEN = ("What happened in ", ":page_facing_up:")
"""What a message begins with that has the document, or leads to it."""
KEPT = "keeps this channel"
LEAVING = "This channel is archived"
COMMENTED = {*UPDATE_VERBS.values(), "noted:"}


def taken_away(seen: Evidence) -> Iterator[Broken]:
    """A sentence for each file, notice and link that is missing, there twice, or in a wrong place."""
    for kept in seen.kept:
        deeds = seen.deeds_of(kept)
        if not deeds:
            continue
        yield from _exports(seen, kept, deeds)
        yield from _documents(seen, kept, deeds)
        yield from _pictures(seen, kept, deeds)
        yield from _leaving(seen, kept, deeds)
        yield from _links(seen, kept, deeds)
        yield from _steps_of(seen, kept, deeds)
    yield from _steps(seen)


def _named(kept: Kept, file: Json) -> bool:
    return str(file["name"]).startswith(f"{kept.reference.lower()}-")


def _exports(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Who asked has a file for each request that the timeline has, and nobody else has one."""
    own = seen.channels_of(kept)
    sent = [f for f in seen.history.files if _named(kept, f) and not own.intersection(f["channels"])]
    asked = {deed.person for deed in deeds if deed.takes}
    there = Counter[tuple[str, str]]()
    for file in sent:
        rooms = [seen.channels[place] for place in file["channels"]]
        readers = {person for room in rooms for person in room["members"]} & set(seen.history.people)
        if any(room["kind"] != "im" for room in rooms) or not readers & asked:
            yield "I5", f"{file['name']} went where nobody asked for it: {file['channels']}"
        for person in readers & asked:
            there[person, str(file["name"]).rpartition(".")[2]] += 1
    for person, ending in {(deed.person, deed.takes) for deed in deeds if deed.takes}:
        said, count = ENDINGS[ending], there[person, ending]
        asked_at = [
            str(entry["timestamp"])[:SECOND]
            for entry in kept.timeline
            if (entry["verb"], entry["text"], entry["actor_slack_user_id"])
            == ("exported it as", said, person)
        ]
        if count > len(asked_at):
            yield (
                "I3",
                f"{person} got {kept.reference} {count} times as {said}, and asked {len(asked_at)} times",
            )
        elif count < len(set(asked_at)):
            # A file is known by the second in which it was asked for.
            yield "I1", f"{person} asked for {kept.reference} as {said} at {asked_at}, and got {count} files"


SECOND = len("2026-03-01T03:00:00")
ENDINGS = {"md": "Markdown", "json": "JSON", "csv": "CSV"}


def _documents(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """The incident has one document, in its own channel, and that channel is led to it once."""
    own = seen.channels_of(kept)
    there = [
        file
        for file in seen.history.files
        if file["user"] == seen.history.bot
        and own.intersection([*file["channels"], file["tab_of"]])
        and not _is_picture(file)
    ]
    for file in there:
        if kept.channel not in (*file["channels"], file["tab_of"]):
            yield "I5", f"the document of {kept.reference} is in a channel that it has left"
    hidden = max((number for number, deed in enumerate(deeds) if deed.verb == "private"), default=-1)
    asked = [deed for deed in deeds[hidden + 1 :] if deed.verb == "document"]
    low, high = any(is_sure(seen, deed) for deed in asked), any(deed.perhaps for deed in asked)
    if len(there) > high:
        yield "I3", f"{kept.reference} has {len(there)} documents, not {int(high)}"
    if len(there) < low:
        yield "I1", f"the document of {kept.reference} was answered as written, and there is none"
    led = [
        post
        for post in seen.posts
        if post["channel"] == kept.channel and post["text"].startswith(WRITTEN) and not post["ephemeral_to"]
    ]
    if len(led) != len(there):
        yield "I3", f"{kept.reference}'s channel is led to its document {len(led)} times, not {len(there)}"


def _pictures(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Each closing has one picture of the phases at most, in the incident's own channel."""
    there = [file for file in seen.history.files if _named(kept, file) and _is_picture(file)]
    closings = sum(deed.sets.get("incident_status_id") == "closed" and deed.perhaps for deed in deeds)
    if len(there) > closings:
        yield (
            "I3",
            f"{kept.reference} has {len(there)} pictures of its phases, and was closed {closings} times",
        )
    for file in there:
        if not seen.channels_of(kept).issuperset(file["channels"]):
            yield "I5", f"{file['name']} is in a channel that is none of {kept.reference}'s"


def _is_picture(file: Json) -> bool:
    return str(file["name"]).endswith(".png")


def _leaving(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Its channel was told once that it is to be archived; it was archived then, or is kept and says so."""
    room = seen.channels.get(kept.channel)
    if room is None:
        return
    there = [post for post in seen.posts if post["channel"] == kept.channel and not post["ephemeral_to"]]
    notices = [post for post in there if LEAVING in post["text"] or KEPT in post["text"]]
    due = sum(deed.verb == "notice" for deed in deeds)
    if len(notices) > due:
        yield "I3", f"{kept.reference}'s channel was told {len(notices)} times that it goes, not {due}"
    elif len(notices) < due:
        yield "I4", f"{kept.reference}'s channel was not told that it goes"
    keeps = any(deed.verb == "keep" and is_sure(seen, deed) for deed in deeds)
    if keeps and not any(KEPT in post["text"] for post in notices):
        yield "I8", f"{kept.reference}'s channel is kept, and says that it goes"
    goes = any(deed.verb in {"archive", "cancel"} for deed in deeds)
    if room["archived"] and not goes:
        yield "I3", f"{kept.reference}'s channel was archived, and was to stay"
    if not room["archived"] and any(deed.verb == "archive" for deed in deeds):
        yield "I1", f"{kept.reference}'s channel was to go, and is not archived"


def _links(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """Below a link the incident is shown as it is now; nothing is, once it is private."""
    status = next(
        str(row["name"])
        for row in seen.history.tables["incident_statuses"]
        if row["id"] == kept.row["incident_status_id"]
    )
    written = sum(row["verb"] in COMMENTED and bool(row["text"]) for row in kept.timeline)
    for deed in deeds:
        for one in deed.tries if deed.verb == "link" else ():
            found = next((m for m in seen.history.messages if one.token in m["text"]), None)
            if found is None or found["deleted"]:
                continue
            shown = json.dumps([a.get("entity", a) for a in found["attachments"]], ensure_ascii=False)
            if kept.is_private:
                if str(kept.row["name"]) in shown:
                    yield "I5", f"{kept.reference} is private, and is shown below a link"
            elif one.told == "done":
                for what in {str(kept.row["name"]), status}:
                    if what not in shown:
                        yield "I8", f"{kept.reference}: below a link it is not shown that it is {what}"
                counted = [a["entity"]["entity_comments"]["count"] for a in found["attachments"]]
                if counted != [written]:
                    yield (
                        "I8",
                        f"{kept.reference}: below a link {counted} comments are counted, not {written}",
                    )


def _steps_of(seen: Evidence, kept: Kept, deeds: list[Deed]) -> Iterator[Broken]:
    """A workflow whose step changed the incident goes on, and was told which incident that is."""
    runs = {run["id"]: run for run in seen.history.steps}
    for deed in deeds:
        run = runs.get(deed.run)
        if run is None:
            continue
        if run["state"] == "running" and deed.surely:
            yield "I4", f"the workflow that asked for {deed.verb} on {kept.reference} waits for ever"
        told = run["outputs"].get("reference")
        if run["state"] == "completed" and told != kept.reference:
            yield "I8", f"the workflow that asked for {deed.verb} on {kept.reference} was told of {told}"


def _steps(seen: Evidence) -> Iterator[Broken]:
    """A workflow whose step was taken goes on: it was told what was declared, or why nothing was."""
    runs = {run["id"]: run for run in seen.history.steps}
    for intent in seen.intents:
        run = runs.get(intent.press.view_id)
        if run is None:
            continue
        incidents = seen.incidents_of(intent)
        if run["state"] == "running" and intent.was_told("saved"):
            yield "I4", f"the workflow of {intent.token} waits for its step for ever"
        if run["state"] == "failed" and incidents:
            yield "I2", f"the step of {intent.token} failed, and {incidents[0].reference} was declared"
        for kept in incidents:
            channel, page = (str(run["outputs"].get(name)) for name in ("channel", "permalink"))
            due = kept.channel, kept.reference
            if (
                run["state"] == "completed"
                and not kept.is_private
                and (channel, page.rpartition("/")[2]) != due
            ):
                yield "I8", f"the workflow of {intent.token} was told of {channel} and {page}, not of {due}"
