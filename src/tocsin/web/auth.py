"""Access to pages: the operator's bearer token, sessions, sign-in with Slack."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin.incidents.errors import Refused, TocsinError, Unavailable
from tocsin.incidents.model import FrozenModel, Incident, PersonId, TeamId
from tocsin.incidents.requests import NOBODY, IncidentFilter
from tocsin.incidents.validation import is_in_teams, is_visible_to
from tocsin.web.middleware import is_from_here, is_own
from tocsin.web.oauth import OAuthStates, OpenId
from tocsin.workflows.ports import Clock, KeyValueStore

# Sessions. They are stored on the server, so that signing out ends one even if its cookie was copied.

SECONDS = 12 * 3600
"""Lifetime of a session: one working day, after which the person signs in again."""

MOST = 10
"""Sessions that one person can have at once; a further one ends the oldest."""

_ID = re.compile(r"[A-Z0-9]{1,32}")


class SessionUser(FrozenModel):
    """A person who signed in with Slack, their workspace, and its organization if it has one."""

    person: PersonId
    team: str
    org: str = ""
    name: str = ""


class _StoredSession(FrozenModel):
    """One stored session; of its cookie's key only the hash is stored."""

    id: str
    ends: int
    signed: SessionUser


_STORED = TypeAdapter(tuple[_StoredSession, ...])


class Sessions:
    """Store of sessions by person; a session ends after a working day or at *Sign out*."""

    def __init__(self, store: KeyValueStore, *, secure: bool, clock: Clock) -> None:
        self._store = store
        self._secure = secure
        self._clock = clock

    @property
    def cookie_name(self) -> str:
        return f"{'__Host-' if self._secure else ''}tocsin-session"

    async def create(self, signed: SessionUser, response: Response) -> Response:
        """Start a session and set its cookie on the response. Raises Unavailable."""
        key = secrets.token_urlsafe(32)
        kept = _StoredSession(id=_hashed(key), ends=self._now() + SECONDS, signed=signed)
        await self._save(signed, [*await self._load(signed), kept][-MOST:])
        response.set_cookie(
            self.cookie_name,
            f"{signed.team}.{signed.person}.{key}",
            max_age=SECONDS,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def find(self, request: Request) -> SessionUser | None:
        """Return the person who is signed in with this request, or None. Raises Unavailable."""
        found = await self._of(request)
        return found.signed if found else None

    async def end(self, request: Request, response: Response) -> Response:
        """End the session of this request and delete its cookie. Raises Unavailable."""
        found = await self._of(request)
        if found is not None:
            kept = [one for one in await self._load(found.signed) if one.id != found.id]
            await self._save(found.signed, kept)
        # A request without the cookie may come from another site, where browsers withhold it: keep it then.
        if self.cookie_name in request.cookies:
            response.delete_cookie(self.cookie_name, secure=self._secure, httponly=True, samesite="lax")
        return response

    async def _of(self, request: Request) -> _StoredSession | None:
        team, _, rest = request.cookies.get(self.cookie_name, "").partition(".")
        person, _, key = rest.partition(".")
        if not _ID.fullmatch(team) or not _ID.fullmatch(person) or not key:
            return None
        claimed, given = SessionUser(team=team, person=PersonId(person)), _hashed(key)
        kept = await self._load(claimed)
        return next((one for one in kept if hmac.compare_digest(one.id, given)), None)

    async def _load(self, signed: SessionUser) -> list[_StoredSession]:
        written = await self._store.get(_name(signed))
        try:
            kept = _STORED.validate_json(written or "[]")
        except ValidationError:
            return []
        return [one for one in kept if one.ends > self._now()]

    async def _save(self, signed: SessionUser, kept: Sequence[_StoredSession]) -> None:
        if kept:
            written = json.dumps([one.model_dump(mode="json") for one in kept])
            await self._store.set(_name(signed), written)
        else:
            await self._store.delete(_name(signed))

    def _now(self) -> int:
        return int(self._clock().timestamp())


def _name(signed: SessionUser) -> str:
    return f"signed in: {signed.team} {signed.person}"


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


# Access: the bearer token opens everything, loopback what is public, a sign-in what the person may see.

CheckMembership = Callable[[SessionUser], Awaitable[str]]
"""Membership check: returns the reason a signed-in person may not read, or "" for a member.

Raises Unavailable if Slack cannot be asked.
"""

PeerTeams = Callable[[str], frozenset[TeamId] | None]
"""Function that returns the workspaces whose incidents a member may see; None for all."""


def alone(team: str) -> frozenset[TeamId] | None:
    """Return this workspace alone."""
    return frozenset([TeamId(team)])


@dataclass(frozen=True)
class Viewer:
    """The sender of a request, and what they may see."""

    trusted: bool = False
    public: bool = False
    signed: SessionUser | None = None
    peer_teams: PeerTeams = alone

    @property
    def may_enter(self) -> bool:
        return self.public or self.trusted or self.signed is not None

    @property
    def filter(self) -> IncidentFilter:
        """Return the filter for the backend, so that hidden incidents are not even read."""
        if self.trusted:
            return IncidentFilter()
        person = self.signed.person if self.signed is not None else NOBODY
        # Public incidents of every workspace are open on this machine; `may_see` decides about the others.
        near = None if self.public or self.signed is None else self.peer_teams(self.signed.team)
        return IncidentFilter(visible_to=person, teams=near)

    def may_see(self, incident: Incident) -> bool:
        if self.trusted or (self.public and not incident.is_private):
            return True
        signed = self.signed
        return (
            signed is not None
            and is_visible_to(signed.person, incident)
            and is_in_teams(self.peer_teams(signed.team), incident)
        )


@dataclass(frozen=True)
class Access:
    """Authorization of requests; with `public`, this machine may read public incidents."""

    api_token: str
    public: bool
    sessions: Sessions | None = None
    check_membership: CheckMembership | None = None
    peer_teams: PeerTeams = alone

    def is_open(self, request: Request) -> bool:
        """True if the sender may read public incidents because they are on this machine."""
        return self.public and is_from_here(request)

    def may_look_inside(self, request: Request) -> bool:
        """True if the sender may read metrics and the reasons for not being ready."""
        return self.is_open(request) or self.is_trusted(request)

    def is_trusted(self, request: Request) -> bool:
        """True if the request carries the API token as `Authorization: Bearer`."""
        given = request.headers.getlist("authorization")
        if len(given) != 1 or not self.api_token:
            return False
        scheme, _, token = given[0].partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode(), self.api_token.encode()
        )

    async def viewer(self, request: Request) -> Viewer:
        """Return the viewer, and store it in `request.state`.

        Raises Unavailable if it cannot be checked that a signed-in person is still a member.
        """
        trusted, public, signed = self.is_trusted(request), self.is_open(request), None
        if not trusted:
            try:
                signed = await self._signed(request)
            except Unavailable:
                if not public:
                    raise
        viewer = Viewer(trusted, public, signed, self.peer_teams)
        request.state.viewer = viewer
        return viewer

    async def _signed(self, request: Request) -> SessionUser | None:
        signed = await self.sessions.find(request) if self.sessions else None
        # Checked at each request, so that a person who has left the workspace can read nothing more.
        if signed is None or self.check_membership is None or await self.check_membership(signed):
            return None
        return signed


# *Sign in with Slack*, and signing out.

KIND = "sign-in"
DONE = "/sign-in/done"
STRANGE = "That sign-in was not begun in this browser, or has expired. Try again."
ELSEWHERE = "Another site asked to sign you out, so nothing was done."
CANCELLED = "Slack says that you did not agree, so you are not signed in."


RenderProblem = Callable[[Request, int, str], Response]
"""Function that renders a page of a status and one sentence and a button to try again."""


class SignIn:
    """Routes of signing in with Slack and of signing out."""

    def __init__(
        self,
        openid: OpenId,
        sessions: Sessions,
        states: OAuthStates,
        *,
        check_membership: CheckMembership,
        public_url: Callable[[], str],
        origins: Collection[str],
    ) -> None:
        """Only pages of `origins`, our own, can sign a person out."""
        self.sessions = sessions
        self.check_membership = check_membership
        self._openid = openid
        self._states = states
        self._public_url = public_url
        self._origins = origins

    def routes(self, render: RenderProblem) -> list[Route]:
        async def begin(request: Request) -> Response:
            return self.redirect("/incidents")

        async def done(request: Request) -> Response:
            try:
                answer = await self._done(request)
            except Refused as refusal:
                answer = render(request, 403, refusal.sentence)
            except TocsinError as error:
                answer = render(request, 503, str(error))
            return self._states.forget(KIND, answer)

        async def leave(request: Request) -> Response:
            if not is_own(request, self._origins):
                return render(request, 403, ELSEWHERE)
            try:
                return await self.sessions.end(request, RedirectResponse("/incidents", 303))
            except TocsinError as error:
                return render(request, 503, str(error))

        return [
            Route("/sign-in", begin, methods=["GET"]),
            Route(DONE, done, methods=["GET"]),
            Route("/sign-out", leave, methods=["POST"]),
        ]

    def redirect(self, goal: str) -> Response:
        """Redirect to Slack's consent page; afterwards the browser returns to the path `goal`."""
        begun = self._states.create(KIND, goal)
        url = self._openid.consent_url(begun.state, begun.nonce, self._back)
        return self._states.start(KIND, begun, RedirectResponse(url, 303))

    @property
    def _back(self) -> str:
        return f"{self._public_url()}{DONE}"

    async def _done(self, request: Request) -> Response:
        begun = await self._states.finish(KIND, request)
        if begun is None:
            raise Refused(STRANGE)
        code = request.query_params.get("code")
        if not code:
            raise Refused(CANCELLED)
        found = await self._openid.identify(code, begun.nonce, self._back)
        self._states.confirm(KIND)
        signed = SessionUser(person=PersonId(found.person), team=found.team, org=found.org, name=found.name)
        if why := await self.check_membership(signed):
            raise Refused(why)
        return await self.sessions.create(signed, RedirectResponse(begun.goal, 303))
