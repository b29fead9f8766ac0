"""One DevRev organisation as the other parts of this backend share it: its client, choices and records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from tocsin.actions.ports import Clock
from tocsin.backends.devrev.choices import Choices, fetch_choices
from tocsin.backends.devrev.client import DevRevClient, DevRevRefused
from tocsin.backends.devrev.kept import Keeper
from tocsin.backends.devrev.mapping import Told, incident_of, permalink_of
from tocsin.backends.devrev.wire import IncidentTold, User
from tocsin.incidents.errors import OutcomeUnknown, Refused, Unavailable
from tocsin.incidents.model import Incident, Role

GONE = "That incident is not in DevRev any more."


@dataclass
class Org:
    client: DevRevClient
    keeper: Keeper
    clock: Clock
    roles: Sequence[Role]
    part: str | None = None
    permalink: str | None = None
    key_field: str | None = None
    choices: Choices | None = None
    """As they were told last; None before they were asked for."""
    _me: User | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def lead(self) -> Role | None:
        return next((role for role in self.roles if role.role_type == "lead"), None)

    async def fresh_choices(self) -> Choices:
        self.choices = await fetch_choices(self.client, without=self.key_field)
        return self.choices

    async def known_choices(self) -> Choices:
        """The choices as we know them; asked for where they never were."""
        async with self._asking:
            return self.choices if self.choices is not None else await self.fresh_choices()

    async def me(self) -> User | None:
        """Who our token is; None where it is no person's (Dev Users, Self)."""
        if self._me is None:
            try:
                told = (await self.client.ask("dev-users.self")).get("dev_user")
            except DevRevRefused:
                return None
            self._me = User.model_validate(told or {})
        return self._me if self._me.id else None

    async def incident(self, told: IncidentTold) -> Incident:
        """The incident, with what Tocsin remembers of it."""
        try:
            fields = (await self.known_choices()).fields
        except Unavailable:
            # Its own fields stay unnamed, but an incident that is there is told.
            fields = ()
        known = Told(permalink=permalink_of(self.permalink, told), roles=self.roles, fields=fields)
        return incident_of(told, await self.keeper.of(told.id), known)

    async def fetch(self, incident_id: str) -> IncidentTold | None:
        """By its DevRev id or its `display_id` (Incidents, Get); None where there is none."""
        try:
            answer = await self.client.ask("incidents.get", {"id": incident_id})
        except DevRevRefused as refusal:
            if refusal.is_missing or refusal.kind in {"invalid_id", "unexpected_id_type"}:
                return None
            raise
        return incident_in(answer, Unavailable)

    async def fetch_here(self, incident_id: str) -> IncidentTold:
        """The incident with this id. Raises Refused when it is gone."""
        told = await self.fetch(incident_id)
        if told is None:
            raise Refused(GONE)
        return told


def incident_in(answer: dict[str, Any], unsure: type[Unavailable] = OutcomeUnknown) -> IncidentTold:
    """The incident in an answer; one without an id or a title tells nothing."""
    try:
        return IncidentTold.model_validate(answer.get("incident"))
    except ValidationError:
        raise unsure("DevRev's answer could not be read.") from None
