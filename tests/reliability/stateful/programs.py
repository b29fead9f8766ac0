"""What programs do beside people: clients with a key declare and update, and monitoring sends alerts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.alerts import MONITORING, TOKEN, fired

from reliability.crash.by_alerts import COUNTED
from reliability.crash.life import API_TOKEN
from reliability.history.deeds import Deed, Try
from reliability.history.history import Answered, Press
from reliability.stateful.scene import Scene
from tocsin.incidents.alert_payloads import path_of

TRIES, AGAIN_SECONDS = 60, 0.2
MOST_ALERTS = 5
"""Of one group: its timeline tells of no more batches than the checker allows."""

ANNOUNCED_IN = "incidents"


@dataclass
class Asked:
    """Something that a client declares, as the model knows it."""

    key: str
    token: str
    is_private: bool
    body: dict[str, Any]
    incident_id: str = ""
    reference: str = ""
    updates: int = 0

    @property
    def press(self) -> Press:
        return Press(self.key, "", self.token, another=True)

    @property
    def state(self) -> dict[str, Any]:
        """As it would stand in a form."""
        lead = self.body["incident_role_assignments"][0]["assignee"]["slack_user_id"]
        return {
            "visibility": {"visibility": {"value": self.body["visibility"]}},
            "incident_role_assignments.lead": {"lead": {"selected_user": lead}},
        }


@dataclass
class Programs:
    """The model: each key is one incident, each group of alerts is one, and each alert is counted once."""

    scene: Scene
    asked: list[Asked] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    """By the word of a group, the titles of its alerts."""
    answered: list[Answered] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    # what they do

    async def declare(self, token: str, *, private: bool, times: int) -> None:
        """A request, several times at once where the client was impatient."""
        lead = self.scene.slack.person("chloe")
        one = Asked(f"key-{token}", token, private, {
            "idempotency_key": f"key-{token}",
            "visibility": "private" if private else "public",
            "name": f"Checkout is slow {token}",
            "severity_id": "major",
            "incident_role_assignments": [
                {"incident_role_id": "lead", "assignee": {"slack_user_id": lead}}
            ],
        })  # fmt: skip
        self.asked.append(one)
        await asyncio.gather(*(self._declared(one) for _ in range(times)))

    async def ask_again(self, which: int) -> None:
        """The same key comes once more, maybe long afterwards."""
        if self.asked:
            await self._declared(self.asked[which % len(self.asked)])

    async def _declared(self, one: Asked) -> None:
        told = (await self._told("/v2/incidents", one.body, API_TOKEN))["incident"]
        self.answered.append(Answered(one.key, "declared", told["reference"], one.state))
        if one.reference not in {"", told["reference"]}:
            self.wrong.append(f"{one.key} was {one.reference}, and is {told['reference']}")
        one.incident_id, one.reference = told["id"], told["reference"]

    async def update(self, which: int, *, times: int) -> None:
        """News of something that a client declared, with a key of its own."""
        if not self.asked:
            return
        one = self.asked[which % len(self.asked)]
        one.updates += 1
        word = f"{one.token}u{one.updates}"
        body = {"incident_id": one.incident_id, "message": f"it is warm {word}", "idempotency_key": word}
        asking = (self._told("/v2/incident_updates", body, API_TOKEN) for _ in range(times))
        await asyncio.gather(*asking)
        tries = (Try("done", word),)
        self.deeds.append(Deed("update", "", one.token, tries, worded="gave an update:"))

    async def alert(self, token: str) -> None:
        """One more alert of a group, which is an incident; monitoring repeats what was not taken."""
        titles = self.groups.setdefault(token, [])
        if len(titles) == MOST_ALERTS:
            return
        titles.append(f"Queue {len(titles)} is long {token}")
        await self._told(path_of(MONITORING), fired(titles[-1], metadata={"team": token}), TOKEN)

    async def _told(self, path: str, body: dict[str, Any], token: str) -> Any:
        """What it is answered in the end, by whichever life or replica of the bot."""
        for _ in range(TRIES):
            answer = await self.scene.asked(path, body, token)
            if answer is not None and answer.is_success:
                return answer.json()
            assert answer is None or answer.status_code == 503, answer.text
            await asyncio.sleep(AGAIN_SECONDS)
        raise AssertionError(f"{path} was never answered")

    # what they may rely on

    def presses(self) -> list[Press]:
        place = self.scene.slack.channel(ANNOUNCED_IN)
        alerts = [Press(f"alerts-{token}", "", token, origin=place, another=True) for token in self.groups]
        return [*(one.press for one in self.asked), *alerts]

    def answers(self) -> list[Answered]:
        """Who sends alerts is not told of incidents; what their group is stands in the record."""
        named = {row["name"]: str(row["reference"]) for row in self.scene.kept()}
        state = {"visibility": {"visibility": {"value": "public"}}}
        found = {
            token: next((reference for name, reference in named.items() if token in name), "")
            for token in self.groups
        }
        alerts = [Answered(f"alerts-{token}", "declared", found[token], state) for token in self.groups]
        return [*self.answered, *alerts]

    def lost_or_doubled(self) -> Iterator[str]:
        """A sentence for each key that was two incidents, and each alert that is not there once."""
        yield from self.wrong
        sent = Counter(title for titles in self.groups.values() for title in titles)
        kept = Counter(str(row["title"]) for row in self.scene.rows("tocsin_alerts"))
        if kept != sent:
            yield f"alerts: {kept - sent} too many, {sent - kept} too few"
        told = [row for row in self._timeline() if row["verb"] == "sent alerts:"]
        counted = sum(int(number) for row in told for number, _ in COUNTED.findall(str(row["text"])))
        if counted != sent.total():
            yield f"{sent.total()} alerts were sent, and timelines tell of {counted}"

    def _timeline(self) -> Sequence[Any]:
        return self.scene.rows("incident_timeline_items")
