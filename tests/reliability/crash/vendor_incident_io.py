"""incident.io in a run: it opens channels in the same Slack some time later, and forgets nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from support.incident_io.account import Account
from support.incident_io.server import Fault, Heard, IncidentIoServer, running_incident_io

from reliability.crash.vendors import SEVERITIES, Scene
from reliability.history.evidence import Evidence, Intent, Kept
from reliability.history.history import Json

KEY = "a-key"
LOOK_SECONDS = 0.02
PEOPLE = ("ana", "ben", "chloe", "darius", "priya")
KNOWN_FOR = 14 * 60.0
"""Seconds after which a run's incident.io may have forgotten an idempotency key, if a scenario says so."""


class IncidentIoVendor:
    severities = SEVERITIES
    keeps_private = True

    def __init__(self, scene: Scene, server: IncidentIoServer) -> None:
        self.scene = scene
        self.server = server
        self.account = server.account
        self.patience = scene.rng.uniform(0.0, 8.0)
        """Seconds from an incident to its channel."""
        self.key = KEY
        self.forgets = False
        self._over = asyncio.Event()
        self._opened: set[str] = set()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "tocsin_backend": "incident_io",
            "incident_io_url": self.server.url,
            "incident_io_api_key": KEY,
        }

    # what goes wrong

    def fail(self, method: str, path: str, *faults: Fault) -> None:
        self.server.fail(method, path, *faults)

    async def later(self, seconds: float) -> None:
        """Until so many of the bot's seconds have passed, or the run is over."""
        until = self.scene.hurry.now().timestamp() + seconds
        while self.scene.hurry.now().timestamp() < until and not self._over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._over.wait()

    async def never(self) -> None:
        await self._over.wait()

    def over(self) -> None:
        self._over.set()

    # what it does by itself

    async def live(self) -> None:
        """Open the channel of each incident when it is time, and forget what is long ago."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self.account.clock()
            for key, incident in list(self.account.by_key.items()):
                age = (now - _moment(incident)).total_seconds()
                if incident["id"] not in self._opened and age >= self.patience:
                    self._open(incident)
                if self.forgets and age >= KNOWN_FOR:
                    del self.account.by_key[key]

    def _open(self, incident: Json) -> None:
        """Its own app opens the channel; of a private one, the bot is only sometimes a member."""
        self._opened.add(incident["id"])
        slack, is_private = self.scene.slack, incident["visibility"] == "private"
        people = [held["assignee"]["slack_user_id"] for held in incident["incident_role_assignments"]]
        name = f"io-{incident['reference'].lower()}-green-parrot"
        channel = slack.workspace.conversations.create(people[0], name, private=is_private)
        invited = [*people[1:], *([slack.app.bot_user_id] if self.scene.rng.random() < 0.5 else [])]
        channel.members += [person for person in invited if person not in channel.members]
        self.account.open_channel(incident, channel.id, name)

    # what its record says

    def kept(self, folder: Path) -> dict[str, list[Json]]:
        keys = {incident["id"]: key for key, incident in self._every_key().items()}
        remembered = _remembered(folder)
        incidents, roles = [], []
        for incident in self.account.incidents:
            known = remembered.get(incident["id"], {})
            held = incident["incident_role_assignments"]
            by = next((h for h in held if h["role"]["role_type"] == "reporter"), None)
            incidents.append(
                {
                    "id": incident["id"],
                    "reference": incident["reference"],
                    "name": incident["name"],
                    "visibility": incident["visibility"],
                    "permalink": incident["permalink"],
                    "slack_channel_id": incident["slack_channel_id"],
                    "creator_slack_user_id": by["assignee"]["slack_user_id"] if by else None,
                    "idempotency_key": keys.get(incident["id"], ""),
                    "source_message_permalink": (known.get("source") or {}).get("permalink"),
                    "strangers": known.get("strangers", []),
                }
            )
            roles += [
                {"incident_id": incident["id"], "assignee_slack_user_id": h["assignee"]["slack_user_id"]}
                for h in held
            ]
        return {"incidents": incidents, "incident_role_assignments": roles, "incident_timeline_items": []}

    def _every_key(self) -> dict[str, Json]:
        """By the declarations it heard, also of keys that it has forgotten."""
        named = {incident["name"]: incident for incident in self.account.incidents}
        heard = {h.body["idempotency_key"]: h.body.get("name") for h in self._creates() if h.body}
        return {key: named[name] for key, name in heard.items() if name in named} | self.account.by_key

    def _creates(self) -> list[Heard]:
        return [
            h
            for h in self.server.heard
            if h.method == "POST" and h.path in ("/v1/incidents", "/v2/incidents")
        ]

    def broken(self, seen: Evidence) -> Iterator[str]:
        yield from self._same_bytes()
        for kept in seen.kept:
            incident = self.account.incident(str(kept.row["id"]))
            intent = seen.intent_of(kept)
            if incident is not None and intent is not None:
                yield from self._told(seen, kept, intent)
                yield from self._source(kept, intent)
                yield from self._strangers(seen, kept)
        of_one = Counter(kept.channel for kept in seen.kept if kept.channel)
        for channel, count in of_one.items():
            if count > 1:
                yield f"{channel} is the channel of {count} incidents: "

    def _same_bytes(self) -> Iterator[str]:
        """Each attempt under a key is the same, but for people whom the account turned out not to know."""
        sent: defaultdict[tuple[str, str], list[bytes]] = defaultdict(list)
        for heard in self._creates():
            if "idempotency_key" not in heard.body:
                yield f"a declaration was sent to {heard.path} without a key"
            else:
                sent[(heard.body["idempotency_key"], heard.path)].append(heard.raw)
        known = {user["slack_user_id"] for user in self.account.users}
        for (key, path), bodies in sent.items():
            # With nobody to leave out, to the byte.
            strangers = any(_names_strangers(raw, known) for raw in bodies)
            if len({_without_strangers(raw, known) if strangers else raw for raw in bodies}) > 1:
                yield f"{key} was sent to {path} in different words"

    def _told(self, seen: Evidence, kept: Kept, intent: Intent) -> Iterator[str]:
        """The channel's name is on every card when it may be, and on none when it may not."""
        room = seen.channels.get(kept.channel)
        cards = [card for card in seen.cards_of(kept) if str(card["text"]).find(intent.token) >= 0]
        if room is None:
            yield f"the channel of {kept.reference} never came"
            return
        reporter, bot = intent.press.person, seen.history.bot
        may = not kept.is_private or {reporter, bot} <= set(room["members"])
        for card in cards:
            named = kept.channel in json.dumps(card["blocks"])
            if named is not may:
                said = "does not name" if may else "names"
                yield f"a card of {kept.reference} in {card['channel']} {said} its channel"

    def _strangers(self, seen: Evidence, kept: Kept) -> Iterator[str]:
        """Whom incident.io does not know is named on the cards, as somebody whom it does not know."""
        heard = (
            h.raw for h in self._creates() if h.body.get("idempotency_key") == kept.row["idempotency_key"]
        )
        known = {user["slack_user_id"] for user in self.account.users}
        wanted = {
            held["assignee"]["slack_user_id"]
            for raw in heard
            for held in json.loads(raw).get("incident_role_assignments", [])
            if "slack_user_id" in held["assignee"]
        }
        for person in wanted - known:
            for card in seen.cards_of(kept):
                if f"<@{person}>" not in json.dumps(card["blocks"]):
                    yield f"a card of {kept.reference} does not say that {person} is not known"

    def _source(self, kept: Kept, intent: Intent) -> Iterator[str]:
        """What it was declared from is known there: by V1 itself, by V2 in a link and one line each."""
        incident_id, message = str(kept.row["id"]), intent.press.message
        links = [a for a in self.account.attachments if a["incident_id"] == incident_id]
        items = [i for i in self.account.items if i["incident_id"] == incident_id]
        by_v1 = self.account.sources.get(incident_id)
        if message is None:
            if links or items or by_v1:
                yield f"{kept.reference} has a source message at incident.io, and was declared without"
        elif by_v1 is not None and by_v1 != message:
            yield f"{kept.reference} has another source message at incident.io"
        elif by_v1 is None and (len(links), len(items)) != (1, 1):
            counted = f"{len(links)} times as a link, {len(items)} times as a line"
            yield f"{kept.reference} has its message {counted}"
        elif by_v1 is not None and (links or items):
            yield f"{kept.reference} has its message at incident.io twice"


def _remembered(folder: Path) -> dict[str, Any]:
    """What the bot remembers of each incident that it declared, by the incident's id."""
    with closing(sqlite3.connect(f"{(folder / 'journal.db').as_uri()}?mode=ro", uri=True)) as journal:
        asked = "SELECT name, fact FROM tocsin_facts WHERE name LIKE 'incident_io/declared/%'"
        return {name.rpartition("/")[2]: json.loads(fact) for name, fact in journal.execute(asked)}


def _moment(incident: Json) -> datetime:
    return datetime.fromisoformat(incident["created_at"])


def _without_strangers(raw: bytes, known: set[str]) -> str:
    body = json.loads(raw)
    held = body.pop("incident_role_assignments", [])
    body["incident_role_assignments"] = [h for h in held if h["assignee"].get("slack_user_id") in known]
    return json.dumps(body)


def _names_strangers(raw: bytes, known: set[str]) -> bool:
    held = json.loads(raw).get("incident_role_assignments", [])
    return any(h["assignee"].get("slack_user_id") not in known for h in held)


@asynccontextmanager
async def incident_io(scene: Scene) -> AsyncIterator[IncidentIoVendor]:
    account = Account(key=KEY, team=scene.slack.workspace.state.team.id, clock=scene.hurry.now)
    for name in PEOPLE:
        person = scene.slack.workspace.person_by_name(name)
        account.knows(person.id, person.real_name)
    async with running_incident_io(account) as server:
        vendor = IncidentIoVendor(scene, server)
        living = asyncio.create_task(vendor.live())
        try:
            yield vendor
        finally:
            living.cancel()
            vendor.over()
