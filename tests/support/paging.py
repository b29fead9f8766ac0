"""Stand-ins for PagerDuty, Opsgenie and a receiver of signed webhooks, as strict as their documents say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tocsin.server import listen, serving

ROUTING_KEY = "R0" + "1a2b3c4d5e" * 3
REST_TOKEN = "y_NbAkKc66ryYTWUXYEu"
GENIE_KEY = "eb243592-faa2-4ba2-a551-1afdf565c889"
SECRET = "whsec_" + base64.b64encode(b"a signing key of 32 bytes, yes!!").decode()
VARIABLES = {
    "TEST_PAGERDUTY_KEY": ROUTING_KEY,
    "TEST_PAGERDUTY_TOKEN": REST_TOKEN,
    "TEST_OPSGENIE_KEY": GENIE_KEY,
    "TEST_WEBHOOK_SECRET": SECRET,
}
CONFIG = """
[[paging]]
name = "payments"
provider = "pagerduty"
key_variable = "TEST_PAGERDUTY_KEY"
token_variable = "TEST_PAGERDUTY_TOKEN"
url = "{url}/events"
rest_url = "{url}/rest"

[[paging]]
name = "database"
provider = "opsgenie"
key_variable = "TEST_OPSGENIE_KEY"
url = "{url}/genie"

[[paging]]
name = "Own pager"
provider = "webhook"
key_variable = "TEST_WEBHOOK_SECRET"
url = "{url}/hook"
private = true
"""
Answer = Callable[[], Response]


@contextmanager
def keys_set() -> Iterator[None]:
    """The services' keys in the environment, where an operator has them."""
    before = dict(os.environ)
    os.environ.update(VARIABLES)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Alert:
    """A page as its service knows it."""

    said: dict[str, Any]
    status: str = "triggered"
    by: str = ""


@dataclass
class PagingServices:
    """The three services: what they were sent, and the answers that they are to give instead of their own."""

    url: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Every request that was taken: its path, and its body."""
    reads: Callable[[dict[str, Any]], None] = lambda said: None
    """Is told of each request as it is taken, for a test that judges what the service may know then."""
    asked: int = 0
    """Requests that came in, questions included."""
    alerts: dict[str, Alert] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    """Keys of the alerts that were opened: a deduplicated one is here once."""
    answers: deque[Answer] = field(default_factory=deque)
    """The next answers, given after the work is done, as if only they were lost."""
    down: Answer | None = None
    """The answer to everything, before anything is done."""

    def clear(self) -> None:
        for kept in (self.heard, self.alerts, self.opened, self.answers):
            kept.clear()
        self.down, self.asked = None, 0

    def sent(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body in self.heard if where.startswith(path)]

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/events/v2/enqueue", self._answered(self._enqueue), methods=["POST"]),
                Route("/rest/incidents", self._answered(self._incidents), methods=["GET"]),
                Route("/genie/v2/alerts", self._answered(self._create), methods=["POST"]),
                Route("/genie/v2/alerts/{alias}", self._answered(self._alert), methods=["GET"]),
                Route("/genie/v2/alerts/{alias}/{action}", self._answered(self._act), methods=["POST"]),
                Route("/hook", self._answered(self._hook), methods=["POST"]),
            ]
        )

    def _answered(self, act: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            raw = await request.body()
            self.asked += 1
            if self.down is not None:
                return self.down()
            response = act(request, raw)
            if response.status_code < 300 and request.method == "POST":
                self.heard.append((request.url.path, json.loads(raw)))
                self.reads(json.loads(raw))
            return self.answers.popleft()() if self.answers and request.method == "POST" else response

        return answer

    def _take(self, key: str, action: str, said: dict[str, Any]) -> None:
        """Open, acknowledge or resolve an alert; one that is resolved is opened anew by its key."""
        known = self.alerts.get(key)
        if action == "trigger" and (known is None or known.status == "resolved"):
            self.alerts[key] = Alert(said)
            self.opened.append(key)
        elif known is not None and action == "acknowledge" and known.status == "triggered":
            known.status = "acknowledged"
        elif known is not None and action == "resolve":
            known.status = "resolved"

    def _enqueue(self, request: Request, raw: bytes) -> Response:
        body = json.loads(raw)
        if errors := list(_enqueue_errors(body)):
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return JSONResponse(said, 400)
        self._take(body["dedup_key"], body["event_action"], body)
        said = {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}
        return JSONResponse(said, 202)

    def _incidents(self, request: Request, raw: bytes) -> Response:
        if request.headers.get("authorization") != f"Token token={REST_TOKEN}":
            return JSONResponse({"error": {"message": "Unauthorized", "code": 2006}}, 401)
        alert = self.alerts.get(request.query_params["incident_key"])
        found = []
        if alert is not None:
            answered = {"at": "2026-01-02T03:04:05Z", "acknowledger": {"summary": alert.by}}
            given = [answered] if alert.status == "acknowledged" else []
            found.append({"status": alert.status, "acknowledgements": given})
        return JSONResponse({"incidents": found, "limit": 1, "offset": 0, "more": False})

    def _create(self, request: Request, raw: bytes) -> Response:
        body = json.loads(raw)
        if refused := _genie_refusal(request, body, CREATE_LIMITS, required={"message"}):
            return refused
        self._take(body["alias"], "trigger", body)
        return _accepted()

    def _act(self, request: Request, raw: bytes) -> Response:
        action = {"acknowledge": "acknowledge", "close": "resolve"}.get(request.path_params["action"])
        if action is None or request.query_params.get("identifierType") != "alias":
            return JSONResponse({"message": "No such alert"}, 404)
        if refused := _genie_refusal(request, json.loads(raw), ACTION_LIMITS):
            return refused
        self._take(request.path_params["alias"], action, {})
        return _accepted()

    def _alert(self, request: Request, raw: bytes) -> Response:
        if refused := _genie_refusal(request, {}, {}):
            return refused
        alert = self.alerts.get(request.path_params["alias"])
        if alert is None or request.query_params.get("identifierType") != "alias":
            return JSONResponse({"message": "Alert not found"}, 404)
        data = {
            "status": "closed" if alert.status == "resolved" else "open",
            "acknowledged": alert.status == "acknowledged",
            "updatedAt": "2026-01-02T03:04:05.678Z",
            "report": {"acknowledgedBy": alert.by} if alert.by else {},
        }
        return JSONResponse({"data": data, "took": 0.01, "requestId": "1"})

    def _hook(self, request: Request, raw: bytes) -> Response:
        id_, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        signed = hmac.new(key, f"{id_}.{int(stamp)}.".encode() + raw, hashlib.sha256).digest()
        if request.headers["webhook-signature"] != f"v1,{base64.b64encode(signed).decode()}":
            return JSONResponse({"message": "The signature does not fit."}, 401)
        body = json.loads(raw)
        self._take(body["data"]["key"], HOOKS[body["type"]], body)
        return Response(status_code=204)


HOOKS = {"page.triggered": "trigger", "page.acknowledged": "acknowledge", "page.resolved": "resolve"}
EVENT = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
CREATE_LIMITS = {"message": 130, "alias": 512, "description": 15_000, "entity": 512, "priority": 2}
CREATE_LIMITS |= {"source": 100, "user": 100, "note": 25_000}
ACTION_LIMITS = {"user": 100, "source": 100, "note": 25_000}
UNLIMITED = {"details", "responders", "visibleTo", "tags", "actions"}


def _enqueue_errors(body: Mapping[str, Any]) -> Iterator[str]:
    """The reasons for which an event is refused (PagerDuty, Events API v2)."""
    yield from (f"'{name}' is not known" for name in body.keys() - EVENT)
    if len(body.get("routing_key", "")) != 32:
        yield f"Length of 'routing_key' is incorrect (should be 32 characters): {body.get('routing_key')}"
    if body.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        yield "'event_action' is invalid"
    if not 0 < len(body.get("dedup_key", "")) <= 255:
        yield "'dedup_key' is missing or too long"
    if body.get("event_action") != "trigger":
        return
    payload = body.get("payload", {})
    yield from (f"'payload.{name}' is not known" for name in payload.keys() - PAYLOAD)
    if not 0 < len(payload.get("summary", "")) <= 1024:
        yield "'payload.summary' is missing or too long"
    if not payload.get("source") or payload.get("severity") not in {"critical", "error", "warning", "info"}:
        yield "'payload.source' or 'payload.severity' is missing"
    if any(link.keys() != {"href", "text"} for link in body.get("links", [])):
        yield "'links' are invalid"


def _genie_refusal(
    request: Request, body: Mapping[str, Any], limits: Mapping[str, int], required: set[str] = frozenset()
) -> Response | None:
    """The answer to a request that Opsgenie refuses (Alert API); None if it takes it."""
    if request.headers.get("authorization") != f"GenieKey {GENIE_KEY}":
        return JSONResponse({"message": "Could not authenticate", "took": 0.1, "requestId": "1"}, 403)
    errors = dict.fromkeys(body.keys() - limits.keys() - UNLIMITED, "is not known")
    errors |= {name: "is too long" for name, limit in limits.items() if len(body.get(name, "")) > limit}
    errors |= {name: "may not be empty" for name in required if not body.get(name)}
    if sum(len(name) + len(value) for name, value in body.get("details", {}).items()) > 8_000:
        errors["details"] = "is too long"
    if errors:
        said = {"message": "Request body is not processable. Please check the errors.", "errors": errors}
        return JSONResponse({**said, "took": 0.1, "requestId": "1"}, 422)
    return None


def _accepted() -> Response:
    return JSONResponse({"result": "Request will be processed", "took": 0.1, "requestId": "1"}, 202)


@asynccontextmanager
async def running_services() -> AsyncIterator[PagingServices]:
    """The services on a free port, with their keys in the environment."""
    listening, services = listen("127.0.0.1", 0), PagingServices()
    services.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with keys_set():
        async with serving(services.app(), listening):
            yield services
