"""*Add to Slack*: an admin goes to Slack, agrees, and comes back to read how it went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin.incidents.errors import Refused, SlackRefused, TocsinError
from tocsin.web.trips import Trips

KIND = "install"
DONE = "/slack/oauth_redirect"
NOT_YET = "Tocsin is starting; try again in a moment."
STRANGE = "That install was not begun in this browser, or is over. Begin again at /slack/install."
CANCELLED = "Nothing was installed: Slack says that you did not agree ({})."


class Installs(Protocol):
    """What can be installed."""

    def consent_url(self, state: str, redirect_uri: str) -> str: ...

    async def finish(self, code: str, redirect_uri: str) -> tuple[str, str]: ...


class Told(Protocol):
    """A page with a heading, a sentence, and a link where there is one."""

    def __call__(
        self, request: Request, status: int, heading: str, sentence: str, link: tuple[str, str] | None
    ) -> Response: ...


class InstallPages:
    def __init__(
        self, trips: Trips, installs: Callable[[], Installs | None], public_url: Callable[[], str]
    ) -> None:
        """`installs` answers None while the bot is not there yet."""
        self._trips = trips
        self._installs = installs
        self._public_url = public_url

    def routes(self, told: Told) -> list[Route]:
        async def begin(request: Request) -> Response:
            installs = self._installs()
            if installs is None:
                return told(request, 503, "Not yet", NOT_YET, None)
            trip = self._trips.begin(KIND)
            url = installs.consent_url(trip.state, self._back)
            return self._trips.send(KIND, trip, RedirectResponse(url, 303))

        async def done(request: Request) -> Response:
            try:
                name, url = await self._done(request)
            except Refused as refusal:
                answer = told(request, 403, "Not installed", refusal.sentence, None)
            except SlackRefused as refusal:
                said = f"Slack did not install it: {refusal.sentence}. Begin again at /slack/install."
                answer = told(request, 400, "Not installed", said, None)
            except TocsinError as trouble:
                said = f"{trouble} Begin again at /slack/install."
                answer = told(request, 503, "Not installed", said, None)
            else:
                link = (f"Open {name}", url) if url else None
                answer = told(request, 200, f"Tocsin is in {name}", "Type /incident there to begin.", link)
            return self._trips.forget(KIND, answer)

        return [
            Route("/slack/install", begin, methods=["GET"]),
            Route(DONE, done, methods=["GET"]),
        ]

    @property
    def _back(self) -> str:
        return f"{self._public_url()}{DONE}"

    async def _done(self, request: Request) -> tuple[str, str]:
        installs = self._installs()
        if installs is None or self._trips.end(KIND, request) is None:
            raise Refused(STRANGE)
        code = request.query_params.get("code")
        if not code:
            raise Refused(CANCELLED.format(request.query_params.get("error") or "no reason given"))
        installed = await installs.finish(code, self._back)
        self._trips.arrived(KIND)
        return installed
