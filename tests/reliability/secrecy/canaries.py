"""Operations by chance on public and private incidents, and a look at everything that was shown.

Every incident has a word that nobody would guess, in all that is written while it is private. That word may
be in its own private channel, in messages to its people, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from support.bot import RunningBot
from support.managing import verbs

from reliability.secrecy.looked import FILTERED
from tocsin.incidents.model import ChannelId, Person, PersonId, TeamId, TimelineEntry
from tocsin.incidents.requests import Declaration, FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.workflows.change import ChangeCommand
from tocsin.workflows.command import AnyChange, Changed
from tocsin.workflows.declaration import DeclareCommand, Declared
from tocsin.workflows.followups import AddFollowUpCommand
from tocsin.workflows.timeline import NoteCommand

NAMES = ("ana", "ben", "chloe", "darius", "priya")
PLACES = ("general", "alerts", "haulpartner")
MOST = 60
"""Incidents at once; more than that, and no two operations would meet."""

READS, WRITES = 9, 1
AT_ONCE = 8


@dataclass
class Kept:
    """One incident, with the word for what is written while it is public, and the one for afterwards."""

    id: str
    reference: str
    open_word: str
    secret_word: str
    private: bool
    born_private: bool
    people: set[str] = field(default_factory=set)
    """Everybody who ever was one of its people, or did something to it while they might."""


@dataclass
class Canaries:
    bot: RunningBot
    rng: random.Random
    kept: list[Kept] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    async def run(self, operations: int) -> None:
        """So many operations, several at once, and then a look at everything."""
        self._http = httpx.AsyncClient(base_url=self.bot.url)
        for _ in range(6):
            await self._declare()
        left = iter(range(operations))
        await asyncio.gather(*(self._worker(left) for _ in range(AT_ONCE)))
        await self.bot.app.settled()
        await verbs(self.bot).watching.poll()
        await self._http.aclose()
        self._look_at_slack()

    def lines(self) -> list[str]:
        return [
            f"{sum(self.done.values())} operations: {dict(self.done)}",
            f"{len(self.leaks)} leaks",
            *self.leaks,
        ]

    async def _worker(self, left: Iterator[int]) -> None:
        for _ in left:
            act = self._chosen()
            self.done[act.__name__.strip("_")] += 1
            await act()

    def _chosen(self) -> Callable[[], Awaitable[None]]:
        if self.rng.randrange(READS + WRITES) < READS:
            return self.rng.choice([self._list, self._search, self._show, self._read_page, self._read_pages])
        writes = [self._change] * 6 + [self._note, self._follow_up, self._make_private, self._assign]
        return self.rng.choice(writes + [self._declare] * (len(self.kept) < MOST))

    # what people do

    async def _declare(self) -> None:
        n, private, who = len(self.kept), self.rng.random() < 0.4, self._somebody()
        kept = Kept("", "", f"openword{n}x", f"secretword{n}x", private, private)
        self.kept.append(kept)
        word = kept.secret_word if private else kept.open_word
        order = DeclareCommand(
            declaration=Declaration(
                key=self._key(),
                name=f"Trouble with {word}",
                summary=f"It is about {word}.",
                severity_id=self.rng.choice(["minor", "major", "critical"]),
                visibility="private" if private else "public",
                slack_team_id=self._team(),
                reporter=self._person(who),
                at=datetime.now(UTC),
            ),
            origin=ChannelId(self.bot.slack.channel(self.rng.choice(PLACES))),
        )
        acknowledged = asyncio.Event()
        acknowledged.set()
        context = self.bot.app.contexts.context_of(self._team())
        outcome = await context.declare(order, acknowledged, patience=30)
        assert isinstance(outcome, Declared), outcome
        kept.id, kept.reference = outcome.incident.id, outcome.incident.reference
        kept.people.add(self.bot.slack.person(who))

    async def _change(self) -> None:
        kept, who = self._one(), self._somebody()
        word = self._word(kept)
        what: dict[str, Any] = self.rng.choice(
            [
                {"severity_id": self.rng.choice(["minor", "major", "critical"])},
                {"incident_status_id": self.rng.choice(["investigating", "fixing", "monitoring", "closed"])},
                {"message": f"News of {word} {self.rng.randrange(1000)}"},
                {"name": f"Trouble with {word} {self.rng.randrange(1000)}"},
                {"summary": f"More of {word} {self.rng.randrange(1000)}"},
                {"ending": self.rng.choice(["close", "reopen", "cancel"]), "message": f"Because of {word}"},
                {"ending": "merge", "merged_into": self._one().reference},
            ]
        )
        await self._ordered(kept, who, **what)

    async def _assign(self) -> None:
        """Somebody may know of it from then on."""
        kept, who, whom = self._one(), self._somebody(), self._somebody()
        role = self.rng.choice(["lead", "communications"])
        if not await self._may(kept, who):
            return
        kept.people.add(self.bot.slack.person(whom))
        await self._ordered(kept, who, incident_role_assignments={role: self.bot.slack.person(whom)})

    async def _make_private(self) -> None:
        kept, who = self._one(), self._somebody()
        if kept.private or not await self._may(kept, who):
            return
        kept.people.add(self.bot.slack.person(who))
        await self._ordered(kept, who, visibility="private")
        kept.private = True

    async def _ordered(self, kept: Kept, who: str, ending: Any = None, **what: Any) -> None:
        if not await self._may(kept, who):
            return
        change = IncidentChange(key=self._key(), by=self._person(who), at=datetime.now(UTC), **what)
        order = ChangeCommand(incident_id=kept.id, team=self._team(), change=change, ending=ending)
        outcome = await verbs(self.bot).change(order, patience=30)
        self._heard(who, _said(outcome), f"{what}")

    async def _note(self) -> None:
        kept, who = self._one(), self._somebody()
        if await self._may(kept, who):
            entry = TimelineEntry(
                at=datetime.now(UTC), by=self._person(who), verb="noted", text=f"Seen at {self._word(kept)}"
            )
            order = NoteCommand(
                incident_id=kept.id, team=self._team(), asked=self._key(), entry_key=self._key(), entry=entry
            )
            self._heard(who, _said(await verbs(self.bot).notes(order, patience=30)), "note")

    async def _follow_up(self) -> None:
        kept, who = self._one(), self._somebody()
        if await self._may(kept, who):
            request = FollowUpRequest(
                key=self._key(), by=self._person(who), at=datetime.now(UTC), text=f"Mend {self._word(kept)}"
            )
            order = AddFollowUpCommand(incident_id=kept.id, team=self._team(), request=request)
            self._heard(who, _said(await verbs(self.bot).follow_ups.add(order, patience=30)), "follow-up")

    # what people see

    async def _list(self) -> None:
        who = self._somebody()
        wanted = IncidentFilter(
            visible_to=PersonId(self.bot.slack.person(who)),
            is_open=self.rng.choice([None, True, False]),
            severity_id=self.rng.choice([None, "major"]),
            involving=self.rng.choice([None, PersonId(self.bot.slack.person(self._somebody()))]),
        )
        self._heard(who, await verbs(self.bot).find.matching(wanted), "list")

    async def _search(self) -> None:
        who, kept = self._somebody(), self._one()
        text = self.rng.choice([kept.secret_word, kept.open_word, kept.reference, "trouble"])
        wanted = IncidentFilter(visible_to=PersonId(self.bot.slack.person(who)), text=text)
        self._heard(who, await verbs(self.bot).find.matching(wanted), "search")

    async def _show(self) -> None:
        who, kept = self._somebody(), self._one()
        person = PersonId(self.bot.slack.person(who))
        found = await verbs(self.bot).find.named(kept.reference or "INC-1", person)
        self._heard(who, found, "show")

    async def _read_page(self) -> None:
        kept = self._one()
        answer = await self._http.get(f"/incidents/{kept.reference or 'INC-1'}")
        self._heard(None, answer.text, "page")

    async def _read_pages(self) -> None:
        path = self.rng.choice(["/incidents", *FILTERED, "/insights", "/metrics", "/readyz"])
        self._heard(None, (await self._http.get(path)).text, path)

    # what is a leak

    def _heard(self, who: str | None, said: object, where: str) -> None:
        """Whatever this person was shown, or anybody with the address of a page."""
        text = said if isinstance(said, str) else _text(said)
        person = self.bot.slack.person(who) if who else ""
        for kept in self.kept:
            if kept.secret_word in text and person not in kept.people:
                self.leaks.append(f"{where}: {who or 'anybody'} read of {kept.reference}")

    def _look_at_slack(self) -> None:
        """Every call the bot made, and every message that can still be read in a public place."""
        private = {channel.id for channel in self.bot.workspace.state.channels.values() if _closed(channel)}
        for request in self.bot.calls():
            where = str(request.args.get("channel") or request.args.get("channel_id") or "")
            self._look_at(f"{request.method} to {where}", _text(request.args), where, private)
        for channel in self.bot.workspace.state.channels.values():
            # What was said in an incident's own channel while it was public stays said.
            if channel.id not in private and not channel.name.startswith("inc-"):
                shown = " ".join(map(_text, self.bot.workspace.state.lasting(channel.id)))
                self.leaks += [
                    f"#{channel.name} still says something of {kept.reference}"
                    for kept in self.kept
                    if kept.private and kept.open_word in shown
                ]

    def _look_at(self, what: str, text: str, where: str, private: set[str]) -> None:
        for kept in self.kept:
            if kept.secret_word not in text:
                continue
            channel = self.bot.workspace.state.channels.get(where)
            members = set(channel.members) if channel is not None else {where}
            allowed = kept.people | {self.bot.slack.app.bot_user_id}
            if where.startswith(("U", "W")):
                if where not in kept.people:
                    self.leaks.append(f"{what}: a word of {kept.reference}")
            elif what.startswith("conversations.create"):
                continue
            elif where not in private or not members <= allowed:
                self.leaks.append(f"{what}: a word of {kept.reference}")

    # by chance

    def _one(self) -> Kept:
        return self.rng.choice([kept for kept in self.kept if kept.id] or self.kept)

    def _somebody(self) -> str:
        return self.rng.choice(NAMES)

    def _person(self, who: str) -> Person:
        return Person(slack_user_id=PersonId(self.bot.slack.person(who)), name=who.capitalize())

    def _word(self, kept: Kept) -> str:
        return kept.secret_word if kept.private else kept.open_word

    def _key(self) -> str:
        return str(UUID(int=self.rng.getrandbits(128)))

    def _team(self) -> TeamId:
        return TeamId(self.bot.workspace.state.team.id)

    async def _may(self, kept: Kept, who: str) -> bool:
        """As the listeners ask before they do anything."""
        person = PersonId(self.bot.slack.person(who))
        return bool(kept.id) and await verbs(self.bot).find.named(kept.id, person) is not None


def _text(said: object) -> str:
    dumped = getattr(said, "model_dump_json", None)
    if dumped is not None:
        return str(dumped())
    if isinstance(said, list | tuple):
        return " ".join(map(_text, said))
    try:
        return json.dumps(said, default=lambda thing: getattr(thing, "__dict__", str(thing)))
    except (TypeError, ValueError):
        return str(said)


def _said(outcome: AnyChange | None) -> str:
    """What who asked is answered with."""
    return outcome.said if isinstance(outcome, Changed) else outcome.sentence if outcome else ""


def _closed(channel: Any) -> bool:
    return channel.kind != "public"
