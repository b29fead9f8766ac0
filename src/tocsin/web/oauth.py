"""OpenID Connect, OAuth `state` in a signed cookie, and the pages of an installation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin import USER_AGENT
from tocsin.incidents.errors import Refused, SlackRefused, TocsinError, Unavailable
from tocsin.workflows.ports import Clock

# Sign in with Slack: OpenID Connect with an authorization code, and an id token that Slack has signed.
# Sources: Slack, "Sign in with Slack" and openid.connect.token; OpenID Connect Core, 3.1.3.7 (checks of the
# token).

SCOPE = "openid profile"
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 10.0
NOT_SIGNED = "Slack's answer could not be trusted, so you are not signed in. Try again."


@dataclass(frozen=True)
class Identity:
    """A person's identity from Slack's signed id token."""

    person: str
    team: str
    org: str
    name: str


class OpenId:
    """Slack as the OpenID provider; its pages are on the host of `api_url`."""

    def __init__(self, client_id: str, client_secret: str, api_url: str) -> None:
        parts = urlsplit(api_url)
        self._id, self._secret, self._api = client_id, client_secret, api_url.rstrip("/")
        self.site = f"{parts.scheme}://{parts.netloc}"
        self._keys: dict[str, Any] = {}

    def consent_url(self, state: str, nonce: str, redirect_uri: str) -> str:
        asked_for = {
            "response_type": "code",
            "scope": SCOPE,
            "client_id": self._id,
            "state": state,
            "nonce": nonce,
            "redirect_uri": redirect_uri,
        }
        return f"{self.site}/openid/connect/authorize?{urlencode(asked_for)}"

    async def identify(self, code: str, nonce: str, redirect_uri: str) -> Identity:
        """Exchange the code for the person's identity.

        Raises Refused if Slack refuses the code or its token is not valid, and Unavailable if Slack cannot be
        reached.
        """
        try:
            async with httpx.AsyncClient(
                headers={"User-Agent": USER_AGENT}, timeout=TIMEOUT_SECONDS, trust_env=False
            ) as http:
                token = await self._token(http, code, redirect_uri)
                claims = await self._claims(http, token)
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("Slack cannot be reached; try again in a moment.") from error
        if claims.get("nonce") != nonce:
            raise Refused(NOT_SIGNED)
        found = {
            name: str(claims.get(f"https://slack.com/{name}") or "")
            for name in ("user_id", "team_id", "enterprise_id")
        }
        if not found["user_id"] or not found["team_id"]:
            raise Refused(NOT_SIGNED)
        return Identity(
            found["user_id"], found["team_id"], found["enterprise_id"], str(claims.get("name") or "")
        )

    async def _token(self, http: httpx.AsyncClient, code: str, redirect_uri: str) -> str:
        given = {
            "grant_type": "authorization_code",
            "client_id": self._id,
            "client_secret": self._secret,
            "code": code,
            "redirect_uri": redirect_uri,
        }
        answer = _object(await http.post(f"{self._api}/openid.connect.token", data=given))
        token = answer.get("id_token")
        if answer.get("ok") is not True or not isinstance(token, str):
            why = answer.get("error") or "no reason given"
            raise Refused(f"Slack did not sign you in ({why}). Try again.")
        return token

    async def _claims(self, http: httpx.AsyncClient, token: str) -> dict[str, Any]:
        # Imported here, because it takes a tenth of a second that only a sign-in needs.
        import jwt

        try:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            if key_id not in self._keys:
                await self._fetch_keys(http)
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys[key_id],
                algorithms=["RS256"],
                audience=self._id,
                issuer=self.site,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )
        except (jwt.PyJWTError, KeyError):
            raise Refused(NOT_SIGNED) from None
        return claims

    async def _fetch_keys(self, http: httpx.AsyncClient) -> None:
        import jwt

        found = jwt.PyJWKSet.from_dict(_object(await http.get(f"{self.site}/openid/connect/keys")))
        self._keys = {str(key.key_id): key for key in found.keys}


def _object(response: httpx.Response) -> dict[str, Any]:
    body = response.raise_for_status().json()
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body


# OAuth `state` and `nonce` in a signed, short-lived cookie. Each is good once, in the same browser, whichever
# replica the browser comes back to.

SECONDS = 600
"""Seconds until a state expires; Slack's own code lives as long (Slack, "Installing with OAuth")."""


MOST_UNCONFIRMED, UNCONFIRMED_SECONDS = 10, 30
"""Most unconfirmed redirects of one kind in so many seconds: each costs a request to Slack."""

CROWDED = "Too many came back from Slack just now with nothing that Slack knows; try again in a minute."

Claim = Callable[[str, int, int], Awaitable[bool]]
"""Takes a name until a time, and is told what time it is; False if any replica has taken it before."""


@dataclass(frozen=True)
class OAuthState:
    """One redirect to Slack and back: `state` and `nonce` for Slack, `goal` is the path to open after it."""

    state: str
    nonce: str
    goal: str
    cookie: str
    expires_at: int


class OAuthStates:
    """OAuth states, kept in the browser's signed cookie, so that no client can fill our memory."""

    def __init__(self, secret: bytes, claim: Claim, *, secure: bool, clock: Clock) -> None:
        """With `secure`, cookies are sent over HTTPS only, and to no other host of the domain (`__Host-`)."""
        self._secret = secret
        self.secure = secure
        self._clock = clock
        self._claim = claim
        self._unconfirmed: dict[str, list[int]] = {}

    def cookie_name(self, kind: str) -> str:
        return f"{'__Host-' if self.secure else ''}tocsin-{kind}"

    def create(self, kind: str, goal: str = "/") -> OAuthState:
        ends = int(self._clock().timestamp()) + SECONDS
        packed = json.dumps([secrets.token_urlsafe(16), ends, goal if is_local(goal) else "/"])
        return self._parse(kind, base64.urlsafe_b64encode(packed.encode()).decode().rstrip("="))

    def start(self, kind: str, begun: OAuthState, response: Response) -> Response:
        """Set the cookie. `Lax`, because Slack's redirect back is a link from another site."""
        response.set_cookie(
            self.cookie_name(kind),
            f"{begun.cookie}.{self._sign(kind, 'cookie', begun.cookie)}",
            max_age=SECONDS,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    async def finish(self, kind: str, request: Request) -> OAuthState | None:
        """Return the redirect that ends with this request, or None.

        It is None for a redirect that began in another browser, expired, or ended before. A returned one
        counts as unconfirmed until `confirm`. Raises Unavailable if too many are, or the database is away.
        """
        packed, _, signature = request.cookies.get(self.cookie_name(kind), "").partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(kind, "cookie", packed).encode()):
            return None
        begun = self._parse(kind, packed)
        now = int(self._clock().timestamp())
        states = request.query_params.getlist("state")
        if len(states) != 1 or not hmac.compare_digest(states[0].encode(), begun.state.encode()):
            return None
        if begun.expires_at <= now:
            return None
        unconfirmed = [at for at in self._unconfirmed.get(kind, ()) if at > now - UNCONFIRMED_SECONDS]
        if len(unconfirmed) >= MOST_UNCONFIRMED:
            raise Unavailable(CROWDED)
        self._unconfirmed[kind] = [*unconfirmed, now]
        if not await self._claim(f"{kind} {begun.state}", begun.expires_at, now):
            # Slack is not asked.
            self.confirm(kind)
            return None
        return begun

    def confirm(self, kind: str) -> None:
        """Record that Slack confirmed a redirect, so that it no longer counts towards the limit."""
        self._unconfirmed[kind] = self._unconfirmed.get(kind, [])[:-1]

    def forget(self, kind: str, response: Response) -> Response:
        response.delete_cookie(self.cookie_name(kind), secure=self.secure, httponly=True, samesite="lax")
        return response

    def _parse(self, kind: str, packed: str) -> OAuthState:
        _, ends, goal = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        state, nonce = (self._sign(kind, use, packed) for use in ("state", "nonce"))
        return OAuthState(state=state, nonce=nonce, goal=goal, cookie=packed, expires_at=ends)

    def _sign(self, kind: str, use: str, packed: str) -> str:
        return hmac.new(self._secret, f"{kind} {use} {packed}".encode(), hashlib.sha256).hexdigest()


def is_local(goal: str) -> bool:
    """True if `goal` is a path on this server, so that a link to our sign-in cannot lead to another site."""
    try:
        parts = urlsplit(goal)
    except ValueError:
        return False
    return goal.startswith("/") and not goal.startswith(("//", "/\\")) and not parts.netloc


# *Add to Slack*: an admin goes to Slack, agrees, and returns to a page with the result.

KIND = "install"
DONE = "/slack/oauth_redirect"
NOT_YET = "Tocsin is starting; try again in a moment."
STRANGE = "That install was not begun in this browser, or is over. Begin again at /slack/install."
CANCELLED = "Nothing was installed: Slack says that you did not agree ({})."


class Installs(Protocol):
    """The OAuth installation flow."""

    def consent_url(self, state: str, redirect_uri: str) -> str: ...

    async def finish(self, code: str, redirect_uri: str) -> tuple[str, str]: ...


RenderPage = Callable[[Request, int, str, str, tuple[str, str] | None], Response]
"""Makes a page of a status, a heading, a sentence, and a link where there is one."""


class InstallPages:
    def __init__(
        self, states: OAuthStates, installs: Callable[[], Installs | None], public_url: Callable[[], str]
    ) -> None:
        """`installs` returns None while the bot is still starting."""
        self._states = states
        self._installs = installs
        self._public_url = public_url

    def routes(self, render: RenderPage) -> list[Route]:
        async def begin(request: Request) -> Response:
            installs = self._installs()
            if installs is None:
                return render(request, 503, "Not yet", NOT_YET, None)
            begun = self._states.create(KIND)
            url = installs.consent_url(begun.state, self._back)
            return self._states.start(KIND, begun, RedirectResponse(url, 303))

        async def done(request: Request) -> Response:
            try:
                name, url = await self._done(request)
            except Refused as refusal:
                answer = render(request, 403, "Not installed", refusal.sentence, None)
            except SlackRefused as refusal:
                said = f"Slack did not install it: {refusal.sentence}. Begin again at /slack/install."
                answer = render(request, 400, "Not installed", said, None)
            except TocsinError as error:
                said = f"{error} Begin again at /slack/install."
                answer = render(request, 503, "Not installed", said, None)
            else:
                link = (f"Open {name}", url) if url else None
                answer = render(request, 200, f"Tocsin is in {name}", "Type /incident there to begin.", link)
            return self._states.forget(KIND, answer)

        return [
            Route("/slack/install", begin, methods=["GET"]),
            Route(DONE, done, methods=["GET"]),
        ]

    @property
    def _back(self) -> str:
        return f"{self._public_url()}{DONE}"

    async def _done(self, request: Request) -> tuple[str, str]:
        installs = self._installs()
        if installs is None or await self._states.finish(KIND, request) is None:
            raise Refused(STRANGE)
        code = request.query_params.get("code")
        if not code:
            raise Refused(CANCELLED.format(request.query_params.get("error") or "no reason given"))
        installed = await installs.finish(code, self._back)
        self._states.confirm(KIND)
        return installed
