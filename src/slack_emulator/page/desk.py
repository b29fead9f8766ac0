"""Context of a request to the page: the workspace, the acting user, and the response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from slack_emulator.model import Channel, Outcome, Refused
from slack_emulator.page.directory import seen_channel
from slack_emulator.page.drawing import Drawing, Place, changed_regions
from slack_emulator.page.notices import Notices
from slack_emulator.page.render import environment
from slack_emulator.workspace import Workspace

COOKIE = "playground_person"
ELSEWHERE = Place("other")
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass
class Desk:
    workspace: Workspace
    advice: str = ""
    """Hint for a new user, on the page that has no channel open."""
    env: Environment = field(default_factory=environment)
    notices: Notices = field(default_factory=Notices)

    def acting(self, request: Request) -> str:
        """Return the acting user: the cookie's, else the first active one; "" in an empty workspace."""
        people = [p for p in self.workspace.people() if not p.is_bot and not p.deleted]
        wanted = request.cookies.get(COOKIE, "")
        return wanted if any(p.id == wanted for p in people) else people[0].id if people else ""

    def channel(self, request: Request) -> Channel | None:
        return seen_channel(self.workspace, self.acting(request), request.path_params["channel"])

    def drawing(self, request: Request, place: Place) -> Drawing:
        return Drawing(self.workspace, self.env, self.notices, self.acting(request), place)

    def answer(
        self, request: Request, place: Place, template: str, status: int = 200, **context: object
    ) -> Response:
        """Return the whole page, or for an htmx request only the regions that changed in the meantime."""
        drawing = self.drawing(request, place)
        headers = {"cache-control": "no-store", "vary": "HX-Request, Cookie"}
        if request.headers.get("hx-request"):
            marks = request.headers.get("x-have", "").split(",")
            have = dict(mark.split(":", 1) for mark in marks if ":" in mark)
            body = changed_regions(drawing.regions(), have)
            return HTMLResponse(body, 200 if body else 204, headers=headers)
        return HTMLResponse(drawing.page(template, **context), status, headers=headers)

    def missing(self, request: Request) -> Response:
        return self.answer(
            request,
            ELSEWHERE,
            "welcome.html",
            404,
            title="Not found",
            showing="main",
            heading="There is nothing here",
            sentence="This channel, thread or app does not exist, or you can't see it.",
        )

    def done(self, request: Request, outcome: Outcome, goto: str = "") -> Response:
        """Answer a change with 204, or with 422 and a notice for the user; `goto` opens another page."""
        if not outcome.ok:
            self.notices.tell(self.acting(request), outcome)
            return Response(status_code=422)
        return Response(status_code=204, headers={"HX-Redirect": goto} if goto else {})


def refused(no: Refused) -> Outcome:
    return Outcome(False, no.error, message="; ".join(no.messages))


def see_other(url: str) -> Response:
    return RedirectResponse(url, status_code=303)
