"""DevRev in a run: an organisation whose list shows an incident some time after it was made."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from support.devrev import FakeOrg, Person, running_org

from reliability.crash.vendors import Scene
from reliability.history.evidence import Evidence, Kept
from reliability.history.history import Json

PERMALINK = "https://app.devrev.example/lumen/works/{display_id}"
PEOPLE = ("ana", "ben", "chloe", "darius", "priya")
LONGEST_LAG = 60.0
"""Seconds that its list may be behind: what is promised of an organisation that takes no key."""


class DevRevVendor:
    keeps_private = False

    def __init__(self, scene: Scene, org: FakeOrg) -> None:
        self.scene = scene
        self.org = org
        self.over = asyncio.Event()
        first, second, third = (str(severity["id"]) for severity in org.severities)
        self.severities = first, second, third

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "tocsin_backend": "devrev",
            "devrev_url": self.org.url,
            "devrev_token": self.org.token,
            "devrev_permalink": PERMALINK,
        }

    def kept(self, folder: Path) -> dict[str, list[Json]]:
        remembered = _remembered(folder)
        incidents, roles = [], []
        for incident in self.org.incidents.values():
            known = remembered.get(incident["id"], {})
            incidents.append(
                {
                    "id": incident["id"],
                    "reference": incident["display_id"],
                    "name": incident["title"],
                    "visibility": "public",
                    "permalink": PERMALINK.format(display_id=incident["display_id"]),
                    "slack_channel_id": known.get("channel_id", ""),
                    "creator_slack_user_id": known.get("reporter", {}).get("slack_user_id"),
                    "idempotency_key": _key(incident),
                    "source_message_permalink": (known.get("source") or {}).get("permalink"),
                }
            )
            roles += [
                {"incident_id": incident["id"], "assignee_slack_user_id": person.get("slack_user_id")}
                for person in known.get("roles", {}).values()
            ]
        return {"incidents": incidents, "incident_role_assignments": roles, "incident_timeline_items": []}

    def broken(self, seen: Evidence) -> Iterator[str]:
        yield from self._one_key_each()
        for kept in seen.kept:
            yield from self._timeline(seen, kept)

    def _one_key_each(self) -> Iterator[str]:
        """Whatever is sent for one declaration carries the same key, wherever it is carried.

        A severity that is gone is refused, which makes nothing; put right, it is another declaration.
        """
        sent: dict[str, set[str]] = {}
        known = {severity["id"] for severity in self.org.severities}
        for method, body in self.org.requests:
            if method == "incidents.create" and body.get("severity") in {None, *known}:
                sent.setdefault(body["title"], set()).add(_key(body))
        for title, keys in sent.items():
            if len(keys - {""}) > 1 or "" in keys:
                yield f"{title} was sent under the keys {sorted(keys)}"

    def _timeline(self, seen: Evidence, kept: Kept) -> Iterator[str]:
        """The channel and the source message stand there once, for colleagues alone."""
        entries = [entry for entry in self.org.entries if entry["object"] == kept.row["id"]]
        if any(entry["visibility"] != "internal" for entry in entries):
            yield f"customers can read what is said of {kept.reference} in DevRev"
        intent = seen.intent_of(kept)
        verbs = Counter(label for entry in entries for label in entry["labels"] if label.startswith("verb:"))
        due = {"verb:opened the channel": int(bool(kept.channel))}
        from_message = intent is not None and intent.press.message is not None
        due["verb:declared it from the message"] = int(from_message and bool(kept.channel))
        for verb, count in due.items():
            if verbs[verb] != count:
                yield f"DevRev says “{verb}” of {kept.reference} {verbs[verb]} times, not {count}"


def _key(body: Mapping[str, Any]) -> str:
    """The key of a declaration, in whichever place this organisation takes it."""
    carried = str((body.get("sync_metadata") or {}).get("external_reference") or "")
    if not carried:
        carried = (str(body.get("body") or "").strip().splitlines() or [""])[-1]
    return carried.rpartition("tocsin:")[2] if "tocsin:" in carried else ""


def _remembered(folder: Path) -> dict[str, Any]:
    """What the bot keeps of each incident, which DevRev has no field for, by the incident's id."""
    with closing(sqlite3.connect(f"{(folder / 'journal.db').as_uri()}?mode=ro", uri=True)) as journal:
        asked = "SELECT name, fact FROM tocsin_facts WHERE name LIKE 'devrev/incident/%'"
        found = {name: json.loads(fact) for name, fact in journal.execute(asked)}
    return {name.removeprefix("devrev/incident/"): fact for name, fact in found.items()}


@asynccontextmanager
async def devrev(scene: Scene) -> AsyncIterator[DevRevVendor]:
    org = FakeOrg(clock=scene.hurry.now, lag=scene.rng.uniform(0.0, 5.0))
    for number, name in enumerate(PEOPLE, 20):
        person = scene.slack.workspace.person_by_name(name)
        org.people.append(Person(number, person.real_name, person.email))
    async with running_org(org):
        vendor = DevRevVendor(scene, org)
        try:
            yield vendor
        finally:
            vendor.over.set()
