"""The page of webhooks: what was sent, what was answered, and *Send again*."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.webhooks import WebhookDelivery
from tocsin.web.middleware import is_own
from tocsin.web.pages import PAGE, Link, Pages

WEBHOOKS = "/webhooks"
LINKS = (Link("Webhooks", WEBHOOKS),)
ENDPOINTS_AT_MOST = 20
"""Endpoints of one event: the configuration names no more."""

OLDER = "before"
ELSEWHERE = "Another site asked to send a webhook again, so nothing was done."


@dataclass(frozen=True)
class WebhookLog:
    """Access to the log of webhooks; only pages of `origins`, our own, can have one sent again."""

    newest: Callable[[int, int | None, bool], Awaitable[Sequence[WebhookDelivery]]]
    """Returns so many deliveries of events below a number, of private incidents too or not."""
    find: Callable[[int, str], Awaitable[WebhookDelivery | None]]
    send_again: Callable[[int, str | None, datetime], Awaitable[int]]
    origins: Collection[str]


@dataclass(frozen=True)
class WebhookPages:
    """Endpoints of the page, for those who may look inside; private incidents are for the token alone."""

    pages: Pages
    log: WebhookLog

    def routes(self) -> list[Route]:
        return [
            Route(WEBHOOKS, self.listed, methods=["GET"]),
            Route(f"{WEBHOOKS}/{{event}}/{{endpoint}}", self.send_again, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """Show a page of deliveries, newest first, all of an event together."""
        pages = self.pages
        if not pages.access.may_look_inside(request):
            return pages.needs_token(request)
        given = request.query_params.get(OLDER, "")
        before = int(given) if _is_number(given) else None
        trusted = pages.access.is_trusted(request)
        try:
            found = list(await self.log.newest(PAGE + ENDPOINTS_AT_MOST, before, trusted))
        except TocsinError as error:
            return pages.unavailable(request, error)
        older = found[PAGE - 1].event_id if len(found) > PAGE else None
        shown = [one for one in found if older is None or one.event_id >= older]
        told = {
            "deliveries": shown,
            "before": before,
            "older": older,
            "action": _action,
            "body": _body,
        }
        return pages.html(request, "webhooks.html", told)

    async def send_again(self, request: Request) -> Response:
        """Have a delivery made again, and go back to the page."""
        pages = self.pages
        if not pages.access.may_look_inside(request):
            return pages.needs_token(request)
        if not is_own(request, self.log.origins):
            return pages.plain(request, 403, "invalid_request_error", ELSEWHERE)
        given, endpoint = request.path_params["event"], request.path_params["endpoint"]
        event = int(given) if _is_number(given) else 0
        try:
            found = await self.log.find(event, endpoint)
            if found is None or (found.is_private and not pages.access.is_trusted(request)):
                return pages.not_found(request)
            await self.log.send_again(event, endpoint, pages.clock())
        except TocsinError as error:
            return pages.unavailable(request, error)
        return RedirectResponse(WEBHOOKS, 303)


def _is_number(given: str) -> bool:
    """True for the number of an event: one that the database can hold."""
    return given.isascii() and given.isdecimal() and len(given) < 16


def _action(delivery: WebhookDelivery) -> str:
    return f"{WEBHOOKS}/{delivery.event_id}/{quote(delivery.endpoint, safe='')}"


def _body(delivery: WebhookDelivery) -> str:
    """Return the body as it may be told now, laid out for people."""
    return json.dumps(json.loads(delivery.payload), indent=2, ensure_ascii=False)
