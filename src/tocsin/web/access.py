"""Who may read what: the bearer token opens everything, loopback opens what is public."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.requests import Request

from tocsin.incidents.model import Incident


@dataclass(frozen=True)
class Access:
    """Decides for each request; `public` is whether incidents that are not private need no token."""

    api_token: str
    public: bool

    def is_trusted(self, request: Request) -> bool:
        """Whether the request carries the token, as `Authorization: Bearer`."""
        given = request.headers.getlist("authorization")
        if len(given) != 1 or not self.api_token:
            return False
        scheme, _, token = given[0].partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode(), self.api_token.encode()
        )

    def may_enter(self, request: Request) -> bool:
        return self.public or self.is_trusted(request)

    def may_see(self, request: Request, incident: Incident) -> bool:
        if incident.is_private:
            return self.is_trusted(request)
        return self.may_enter(request)
