"""State shared by all parts of the DevRev backend, and the look-up of its users."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import ValidationError

from tocsin.backends.answers import read_answer
from tocsin.backends.devrev.api_models import IncidentResponse, UserResponse
from tocsin.backends.devrev.client import DevRevClient, DevRevRefused
from tocsin.backends.devrev.form import Choices, fetch_choices
from tocsin.backends.devrev.mapping import ExtrasStore, MappingContext, incident_of, permalink_of
from tocsin.incidents.errors import OutcomeUnknown, Refused, TocsinError, Unavailable
from tocsin.incidents.model import FrozenModel, Incident, Person, PersonId, Role, TeamId
from tocsin.workflows.ports import Clock, FindPerson

log = structlog.get_logger()

# The organisation: client, choices, stored extras.

GONE = "That incident is not in DevRev any more."


@dataclass
class DevRevAccount:
    client: DevRevClient
    extras: ExtrasStore
    clock: Clock
    roles: Sequence[Role]
    part: str | None = None
    permalink: str | None = None
    key_field: str | None = None
    choices: Choices | None = None
    """Choices as last fetched; None before the first fetch."""
    _me: UserResponse | None = None
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def lead(self) -> Role | None:
        return next((role for role in self.roles if role.role_type == "lead"), None)

    async def fresh_choices(self) -> Choices:
        self.choices = await fetch_choices(self.client, without=self.key_field)
        return self.choices

    async def known_choices(self) -> Choices:
        """Return the cached choices, or fetch them if there are none yet."""
        async with self._fetching:
            return self.choices if self.choices is not None else await self.fresh_choices()

    async def me(self) -> UserResponse | None:
        """Return the user of our token; None if it belongs to no person (Dev Users, Self)."""
        if self._me is None:
            try:
                response = (await self.client.ask("dev-users.self")).get("dev_user")
            except DevRevRefused:
                return None
            self._me = UserResponse.model_validate(response or {})
        return self._me if self._me.id else None

    async def incident(self, response: IncidentResponse) -> Incident:
        """Return the incident, with what the bot stores beside it."""
        try:
            choices = await self.known_choices()
        except Unavailable:
            # Without the choices its custom fields are left out, but the incident itself is returned.
            choices = Choices()
        known = MappingContext(
            permalink=permalink_of(self.permalink, response),
            roles=self.roles,
            fields=choices.fields_as_read,
            subtypes=choices.subtypes,
        )
        return incident_of(response, await self.extras.get(response.id), known)

    async def fetch(self, incident_id: str) -> IncidentResponse | None:
        """Return the incident with this DevRev id or `display_id`, or None (Incidents, Get)."""
        try:
            answer = await self.client.ask("incidents.get", {"id": incident_id})
        except DevRevRefused as refusal:
            if refusal.is_missing or refusal.kind in {"invalid_id", "unexpected_id_type"}:
                return None
            raise
        return incident_in(answer, Unavailable)

    async def fetch_here(self, incident_id: str) -> IncidentResponse:
        """Return the incident with this id. Raises Refused if it is gone."""
        response = await self.fetch(incident_id)
        if response is None:
            raise Refused(GONE)
        return response


def incident_in(answer: dict[str, Any], unsure: type[Unavailable] = OutcomeUnknown) -> IncidentResponse:
    """Return the incident of an answer, without what is not as documented.

    Raises `unsure` if it has no id or no title.
    """
    try:
        return read_answer(IncidentResponse, answer.get("incident"), "DevRev")
    except ValidationError:
        raise unsure("DevRev's answer could not be read.") from None


# Mapping of people in Slack to DevRev users, by e-mail address.

LOOKUP_SECONDS: Final = 1.5
"""Seconds that a declaration waits for each look-up; it continues without the answer."""

KNOWN_FOR: Final = timedelta(minutes=10)
MOST_KNOWN: Final = 5_000


class Member(FrozenModel):
    """A person in Slack, and their DevRev id if they have one."""

    person: Person
    devrev_id: str | None = None

    @property
    def name(self) -> str:
        return self.person.name or "somebody in Slack"


class UserDirectory:
    """User directory: asks Slack for e-mail addresses and DevRev for their owners. Caches for ten minutes."""

    def __init__(self, client: DevRevClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[PersonId, tuple[datetime, Member]] = {}
        self.find_person: FindPerson | None = None

    async def members(self, people: Mapping[PersonId, Person], team: str) -> dict[PersonId, Member]:
        """Return a Member for each person of a workspace.

        A person whose look-up fails or takes too long has no DevRev id.
        """
        found = await asyncio.gather(*(self._member(known, TeamId(team)) for known in people.values()))
        return dict(zip(people, found, strict=True))

    async def _member(self, person: Person, team: TeamId) -> Member:
        who = person.slack_user_id
        at, known = self._known.get(who or PersonId(""), (None, None))
        if known is not None and at is not None and self._clock() - at < KNOWN_FOR:
            return known
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                member = await self._look_up(person, team)
        except (TocsinError, TimeoutError) as error:
            log.warning(
                "somebody could not be looked up", person=who, because=str(error) or "no answer in time"
            )
            return Member(person=person)
        if who and len(self._known) < MOST_KNOWN:
            self._known[who] = (self._clock(), member)
        return member

    async def _look_up(self, person: Person, team: TeamId) -> Member:
        if self.find_person is not None and person.slack_user_id and not (person.name and person.email):
            response = await self.find_person(team, person.slack_user_id)
            if response is not None:
                person = person.model_copy(
                    update={"name": person.name or response.name, "email": response.email or person.email}
                )
        return Member(person=person, devrev_id=await self._devrev_id(person.email))

    async def _devrev_id(self, email: str | None) -> str | None:
        """Return the id of an active user with this address (Dev Users, List).

        The addresses in the answer are compared, since DevRev may ignore the filter.
        """
        if not email:
            return None
        answer = await self._client.ask("dev-users.list", {"email": [email], "state": ["active"], "limit": 5})
        users = [UserResponse.model_validate(user) for user in answer.get("dev_users") or ()]
        wanted = email.casefold()
        return next((user.id for user in users if (user.email or "").casefold() == wanted and user.id), None)
