"""Who may read what: the bearer token opens everything, loopback what is public, a sign-in what is theirs."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import Incident, TeamId
from tocsin.incidents.requests import NOBODY, IncidentFilter
from tocsin.incidents.validation import is_of, visible_to
from tocsin.web.guard import is_from_here
from tocsin.web.sessions import Sessions, Signed

Membership = Callable[[Signed], Awaitable[str]]
"""Why somebody may not read here, in a sentence; empty for a member. Raises Unavailable when nobody knows."""

Near = Callable[[str], frozenset[TeamId] | None]
"""The workspaces whose incidents people of this one may see; None, those of all."""


def alone(team: str) -> frozenset[TeamId] | None:
    """A workspace that sees what is its own."""
    return frozenset([TeamId(team)])


@dataclass(frozen=True)
class Reader:
    """Whoever sent a request, and what they may see."""

    trusted: bool = False
    public: bool = False
    signed: Signed | None = None
    near: Near = alone

    @property
    def may_enter(self) -> bool:
        return self.public or self.trusted or self.signed is not None

    @property
    def wanted(self) -> IncidentFilter:
        """What the backend is asked for: nothing that is hidden is read, so that it costs nobody anything."""
        if self.trusted:
            return IncidentFilter()
        person = self.signed.person if self.signed is not None else NOBODY
        # What is public is open here, whatever its workspace; of the rest `may_see` has the last word.
        near = None if self.public or self.signed is None else self.near(self.signed.team)
        return IncidentFilter(visible_to=person, teams=near)

    def may_see(self, incident: Incident) -> bool:
        if self.trusted or (self.public and not incident.is_private):
            return True
        signed = self.signed
        return (
            signed is not None
            and visible_to(signed.person, incident)
            and is_of(self.near(signed.team), incident)
        )


@dataclass(frozen=True)
class Access:
    """Decides for each request; `public` is whether public incidents are open to all on this machine."""

    api_token: str
    public: bool
    sessions: Sessions | None = None
    refusal: Membership | None = None
    near: Near = alone

    def is_open(self, request: Request) -> bool:
        """Whether public incidents are open to whoever sent this: somebody on this machine."""
        return self.public and is_from_here(request)

    def may_look_inside(self, request: Request) -> bool:
        """Whether whoever sent it may know how the process is, and what it counts."""
        return self.is_open(request) or self.is_trusted(request)

    def is_trusted(self, request: Request) -> bool:
        """Whether the request carries the token, as `Authorization: Bearer`."""
        given = request.headers.getlist("authorization")
        if len(given) != 1 or not self.api_token:
            return False
        scheme, _, token = given[0].partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode(), self.api_token.encode()
        )

    async def reader(self, request: Request) -> Reader:
        """Who reads, noted in `request.state`. Raises Unavailable when nobody can say who is a member."""
        trusted, public, signed = self.is_trusted(request), self.is_open(request), None
        if not trusted:
            try:
                signed = await self._signed(request)
            except Unavailable:
                if not public:
                    raise
        reader = Reader(trusted, public, signed, self.near)
        request.state.reader = reader
        return reader

    async def _signed(self, request: Request) -> Signed | None:
        signed = await self.sessions.find(request) if self.sessions else None
        # Asked each time: somebody who has left the workspace since they signed in reads nothing more.
        if signed is None or self.refusal is None or await self.refusal(signed):
            return None
        return signed
