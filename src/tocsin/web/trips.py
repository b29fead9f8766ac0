"""There and back: somebody goes to Slack, and comes back once, soon, and in the same browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from tocsin.incidents.errors import Unavailable
from tocsin.workflows.ports import Clock

SECONDS = 600
"""How long somebody may take at Slack; its own code lives as long (Slack, "Installing with OAuth")."""


MOST_UNPROVEN, UNPROVEN_SECONDS = 10, 30
"""Trips of one kind that may end in so many seconds with Slack vouching for nobody: each asks Slack once."""

CROWDED = "Too many came back from Slack just now with nothing that Slack knows; try again in a minute."


@dataclass(frozen=True)
class Trip:
    """What was taken along: `state` and `nonce` for Slack, `goal` for the way back."""

    state: str
    nonce: str
    goal: str
    cookie: str
    ends: int


class Trips:
    """A trip is kept in the browser's own cookie, signed, so that nobody can fill our memory."""

    def __init__(self, secret: bytes, *, secure: bool, clock: Clock) -> None:
        """With `secure` cookies go over HTTPS alone, and to no other host of the domain (`__Host-`)."""
        self._secret = secret
        self.secure = secure
        self._clock = clock
        self._ended: dict[str, int] = {}
        self._unproven: dict[str, list[int]] = {}

    def cookie_name(self, kind: str) -> str:
        return f"{'__Host-' if self.secure else ''}tocsin-{kind}"

    def begin(self, kind: str, goal: str = "/") -> Trip:
        ends = int(self._clock().timestamp()) + SECONDS
        packed = json.dumps([secrets.token_urlsafe(16), ends, goal if is_local(goal) else "/"])
        return self._trip(kind, base64.urlsafe_b64encode(packed.encode()).decode().rstrip("="))

    def send(self, kind: str, trip: Trip, response: Response) -> Response:
        """Have the browser remember the trip. `Lax`: Slack's way back is a link from another site."""
        response.set_cookie(
            self.cookie_name(kind),
            f"{trip.cookie}.{self._signed(kind, 'cookie', trip.cookie)}",
            max_age=SECONDS,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    def end(self, kind: str, request: Request) -> Trip | None:
        """The trip that ends with this request; None when it is not one of this browser, or ended before.

        It counts as unproven until `arrived`. Raises Unavailable where too many are.
        """
        packed, _, signature = request.cookies.get(self.cookie_name(kind), "").partition(".")
        if not hmac.compare_digest(signature.encode(), self._signed(kind, "cookie", packed).encode()):
            return None
        trip = self._trip(kind, packed)
        now = int(self._clock().timestamp())
        states = request.query_params.getlist("state")
        if len(states) != 1 or not hmac.compare_digest(states[0].encode(), trip.state.encode()):
            return None
        self._ended = {state: ends for state, ends in self._ended.items() if ends > now}
        if trip.ends <= now or trip.state in self._ended:
            return None
        unproven = [at for at in self._unproven.get(kind, ()) if at > now - UNPROVEN_SECONDS]
        if len(unproven) >= MOST_UNPROVEN:
            raise Unavailable(CROWDED)
        self._unproven[kind] = [*unproven, now]
        self._ended[trip.state] = trip.ends
        return trip

    def arrived(self, kind: str) -> None:
        """Slack has vouched for whoever ended a trip: it is one less that leads to nothing."""
        self._unproven[kind] = self._unproven.get(kind, [])[:-1]

    def forget(self, kind: str, response: Response) -> Response:
        response.delete_cookie(self.cookie_name(kind), secure=self.secure, httponly=True, samesite="lax")
        return response

    def _trip(self, kind: str, packed: str) -> Trip:
        _, ends, goal = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        state, nonce = (self._signed(kind, use, packed) for use in ("state", "nonce"))
        return Trip(state=state, nonce=nonce, goal=goal, cookie=packed, ends=ends)

    def _signed(self, kind: str, use: str, packed: str) -> str:
        return hmac.new(self._secret, f"{kind} {use} {packed}".encode(), hashlib.sha256).hexdigest()


def is_local(goal: str) -> bool:
    """Whether this is a path here: nobody is sent elsewhere by a link to our own sign-in."""
    try:
        parts = urlsplit(goal)
    except ValueError:
        return False
    return goal.startswith("/") and not goal.startswith(("//", "/\\")) and not parts.netloc
