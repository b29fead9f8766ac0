"""What programs do by chance: clients with a key of the API, and a monitoring system that sends alerts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from support.alerts import MONITORING, TOKEN, declared_by, fired
from support.bot import RunningBot

from reliability.secrecy.gestures import AT_ONCE, MEMBERS
from reliability.secrecy.kept import Kept
from reliability.secrecy.looked import ANYBODY, Looked
from tocsin.incidents.alert_payloads import path_of
from tocsin.storage.keys import SqlKeyStore

CONFIG = declared_by("incident")

MOST_GROUPS = 8
"""Groups of alerts: fewer than one rule may have incidents open for (ten), beyond which they are joined."""

LISTS = (
    *("/v2/incidents", "/v1/incidents", "/v2/incident_updates", "/v2/actions", "/v2/follow_ups"),
    *("/v3/actions", "/v3/follow_ups", "/v2/alerts", "/v2/incident_alerts", "/v2/users"),
)
OF_ONE = (
    *("/v2/incidents/{}", "/v1/incidents/{}", "/v2/incident_updates?incident_id={}"),
    *("/v2/incident_timeline_items?incident_id={}", "/v1/incident_attachments?incident_id={}"),
    *(
        "/v3/actions?incident_id={}",
        "/v3/follow_ups?incident_id={}",
        "/v1/incident_memberships?incident_id={}",
    ),
    *("/v2/incident_alerts?incident_id={}",),
)


class Programs:
    """Gestures, each a method. One key sees what everybody may, the other private incidents besides.

    What the first is answered is looked at as if anybody had read it. The second writes what it knows of an
    incident into that incident alone, as a person who may know of it does.
    """

    def __init__(self, bot: RunningBot, looked: Looked, rng: random.Random, http: httpx.AsyncClient) -> None:
        self._bot = bot
        self._looked = looked
        self._rng = rng
        self._http = http
        self._keys: dict[str, str] = {}
        self._alerted: list[Kept] = []
        self.done: Counter[str] = Counter()

    async def settle_in(self) -> None:
        parts = self._bot.app.resources
        keys, now = SqlKeyStore(parts.database), parts.clock()
        for name, more in (("open", ()), ("trusted", ("private",))):
            self._keys[name] = await keys.create(name, frozenset({"view", "create", "edit", *more}), now)

    async def anything(self) -> None:
        acts: list[Callable[[], Awaitable[None]]] = [self._list, self._list, self._look_at_one, self._edit]
        acts += [self._update, self._add, self._declare, self._alert, self._alert]
        act = self._rng.choice(acts)
        self.done[f"program {act.__name__.strip('_')}"] += 1
        await act()

    async def _list(self) -> None:
        path = self._rng.choice(LISTS)
        await self._read(path + self._rng.choice(["", "?page_size=3"]) if path.startswith("/v2") else path)

    async def _look_at_one(self) -> None:
        if (kept := self._one()) is not None:
            await self._read(self._rng.choice(OF_ONE).format(kept.id))

    async def _read(self, path: str) -> None:
        asked = self._looked.now()
        answer = await self._ask("open", "GET", path)
        assert answer.status_code < 500, answer.text
        # It is read at some moment between these two.
        self._looked.shown(answer.text, "api", ANYBODY, since=asked)

    async def _edit(self) -> None:
        kept, name = self._one(), self._who()
        if kept is None:
            return
        word = self._word(kept, name)
        what = self._rng.choice(
            [
                {"name": f"Trouble with {word} {self._rng.randrange(1000)}"},
                {"summary": f"More of {word}"},
                {"severity_id": self._rng.choice(["minor", "major", "critical"])},
            ]
        )
        body = {"incident": what, "notify_incident_channel": True}
        await self._write(name, f"/v2/incidents/{kept.id}/actions/edit", body)

    async def _update(self) -> None:
        kept, name = self._one(), self._who()
        if kept is not None:
            word = self._word(kept, name)
            body = {"incident_id": kept.id, "message": f"News of {word}", "idempotency_key": self._key()}
            await self._write(name, "/v2/incident_updates", body)

    async def _add(self) -> None:
        """An action, a follow-up, or an entry of the timeline."""
        kept, name = self._one(), self._who()
        if kept is None:
            return
        body: dict[str, Any] = {"incident_id": kept.id}
        word = self._word(kept, name)
        kind = self._rng.choice(["actions", "follow_ups", "timeline"])
        if kind == "timeline":
            body |= {
                "idempotency_key": self._key(),
                "timestamp": "2026-01-02T03:04:05Z",
                "title": f"Seen at {word}",
            }
            await self._write(name, "/v2/incident_timeline_items", body)
        elif kind == "actions":
            await self._write(name, "/v3/actions", {**body, "description": f"Mend {word}"})
        else:
            await self._write(name, "/v3/follow_ups", {**body, "title": f"Say why {word}"})

    async def _declare(self) -> None:
        lead = self._bot.slack.person(self._rng.choice(MEMBERS))
        private = self._rng.random() < 0.5
        kept = self._looked.register.add(lead, private=private)
        body = {
            "idempotency_key": self._key(),
            "visibility": "private" if private else "public",
            "name": f"Trouble with {kept.word}",
            "summary": f"It is about {kept.word}.",
            "severity_id": self._rng.choice(["minor", "major", "critical"]),
            "incident_role_assignments": [
                {"incident_role_id": "lead", "assignee": {"slack_user_id": lead}},
            ],
        }
        await self._write("trusted" if private else self._who(), "/v2/incidents", body)

    async def _alert(self) -> None:
        """An alert that begins an incident, or one more for an incident that may be private or over by now.

        It has the word of what is public: monitoring does not know what became of its alert.
        """
        more = len(self._alerted) == MOST_GROUPS or (self._rng.random() < 0.7 and bool(self._alerted))
        if more:
            kept = self._rng.choice(self._alerted)
        else:
            kept = self._looked.register.add("", private=False)
            self._alerted.append(kept)
        status = self._rng.choice(["firing", "firing", "resolved"]) if more else "firing"
        title = f"Trouble with {kept.open_word} {self._rng.randrange(3)}"
        body = fired(title, status=status, metadata={"incident": str(kept.number)})
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = await self._http.post(path_of(MONITORING), json=body, headers=headers)
        assert answer.status_code == 202, answer.text

    async def _write(self, name: str, path: str, body: dict[str, Any]) -> None:
        asked = self._looked.now()
        answer = await self._ask(name, "POST", path, json=body)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if name == "open":
            self._looked.shown(answer.text, "api", ANYBODY, since=asked)

    async def _ask(self, name: str, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._keys[name]}"}
        return await self._http.request(method, path, headers=headers, **given)

    def _one(self) -> Kept | None:
        known = [kept for kept in self._looked.register.kept if kept.id]
        return self._rng.choice(known[-AT_ONCE:]) if known else None

    def _who(self) -> str:
        return self._rng.choice(list(self._keys))

    def _word(self, kept: Kept, name: str) -> str:
        return kept.word if name == "trusted" or not kept.private else "nothing of it"

    def _key(self) -> str:
        return f"key-{self._rng.randrange(10**12)}"
