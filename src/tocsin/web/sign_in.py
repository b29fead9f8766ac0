"""*Sign in with Slack*, and out again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import PersonId
from tocsin.web.access import Membership
from tocsin.web.guard import is_own
from tocsin.web.openid import OpenId
from tocsin.web.sessions import Sessions, Signed
from tocsin.web.trips import Trips

KIND = "sign-in"
DONE = "/sign-in/done"
STRANGE = "That sign-in was not begun in this browser, or is over. Try again."
ELSEWHERE = "Another site asked to sign you out, so nothing was done."
CANCELLED = "Slack says that you did not agree, so you are not signed in."


class Said(Protocol):
    """A page with one sentence, and below it a way to try again."""

    def __call__(self, request: Request, status: int, sentence: str) -> Response: ...


class SignIn:
    """The way to Slack and back, and the session that comes of it."""

    def __init__(
        self,
        openid: OpenId,
        sessions: Sessions,
        trips: Trips,
        *,
        refusal: Membership,
        public_url: Callable[[], str],
        origins: Collection[str],
    ) -> None:
        """`origins` are those of our own pages: nobody is signed out by another."""
        self.sessions = sessions
        self.refusal = refusal
        self._openid = openid
        self._trips = trips
        self._public_url = public_url
        self._origins = origins

    def routes(self, said: Said) -> list[Route]:
        async def begin(request: Request) -> Response:
            return self.begin("/incidents")

        async def done(request: Request) -> Response:
            try:
                answer = await self._done(request)
            except Refused as refusal:
                answer = said(request, 403, refusal.sentence)
            except TocsinError as trouble:
                answer = said(request, 503, str(trouble))
            return self._trips.forget(KIND, answer)

        async def leave(request: Request) -> Response:
            if not is_own(request, self._origins):
                return said(request, 403, ELSEWHERE)
            try:
                return await self.sessions.end(request, RedirectResponse("/incidents", 303))
            except TocsinError as trouble:
                return said(request, 503, str(trouble))

        return [
            Route("/sign-in", begin, methods=["GET"]),
            Route(DONE, done, methods=["GET"]),
            Route("/sign-out", leave, methods=["POST"]),
        ]

    def begin(self, goal: str) -> Response:
        """Go to Slack, and come back to this path."""
        trip = self._trips.begin(KIND, goal)
        url = self._openid.consent_url(trip.state, trip.nonce, self._back)
        return self._trips.send(KIND, trip, RedirectResponse(url, 303))

    @property
    def _back(self) -> str:
        return f"{self._public_url()}{DONE}"

    async def _done(self, request: Request) -> Response:
        trip = self._trips.end(KIND, request)
        if trip is None:
            raise Refused(STRANGE)
        code = request.query_params.get("code")
        if not code:
            raise Refused(CANCELLED)
        found = await self._openid.identify(code, trip.nonce, self._back)
        self._trips.arrived(KIND)
        signed = Signed(person=PersonId(found.person), team=found.team, org=found.org, name=found.name)
        if why := await self.refusal(signed):
            raise Refused(why)
        return await self.sessions.begin(signed, RedirectResponse(trip.goal, 303))
