"""Who is signed in: kept here, so that signing out ends it wherever the cookie has been."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from tocsin.incidents.model import Frozen, PersonId
from tocsin.workflows.ports import Clock, Memory

SECONDS = 12 * 3600
"""A working day: then Slack is asked again who somebody is."""

MOST = 10
"""Browsers that one person is signed in with; the oldest makes room."""

_ID = re.compile(r"[A-Z0-9]{1,32}")


class Signed(Frozen):
    """Somebody who signed in with Slack, and where: their workspace, and its organization if it has one."""

    person: PersonId
    team: str
    org: str = ""
    name: str = ""


class _Kept(Frozen):
    """One sign-in; what its cookie holds is known by its hash alone."""

    id: str
    ends: int
    signed: Signed


_KEPT = TypeAdapter(tuple[_Kept, ...])


class Sessions:
    """Each session is kept with its person, and ends after a working day or at *Sign out*."""

    def __init__(self, memory: Memory, *, secure: bool, clock: Clock) -> None:
        self._memory = memory
        self._secure = secure
        self._clock = clock

    @property
    def cookie_name(self) -> str:
        return f"{'__Host-' if self._secure else ''}tocsin-session"

    async def begin(self, signed: Signed, response: Response) -> Response:
        """Sign somebody in with this answer. Raises Unavailable."""
        key = secrets.token_urlsafe(32)
        kept = _Kept(id=_hashed(key), ends=self._now() + SECONDS, signed=signed)
        await self._keep(signed, [*await self._kept(signed), kept][-MOST:])
        response.set_cookie(
            self.cookie_name,
            f"{signed.team}.{signed.person}.{key}",
            max_age=SECONDS,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def find(self, request: Request) -> Signed | None:
        """Who sends this request, if they are signed in. Raises Unavailable."""
        found = await self._of(request)
        return found.signed if found else None

    async def end(self, request: Request, response: Response) -> Response:
        """Sign out. Raises Unavailable."""
        found = await self._of(request)
        if found is not None:
            kept = [one for one in await self._kept(found.signed) if one.id != found.id]
            await self._keep(found.signed, kept)
        # Whoever brings no cookie is not told to drop the one that they may have kept back.
        if self.cookie_name in request.cookies:
            response.delete_cookie(self.cookie_name, secure=self._secure, httponly=True, samesite="lax")
        return response

    async def _of(self, request: Request) -> _Kept | None:
        team, _, rest = request.cookies.get(self.cookie_name, "").partition(".")
        person, _, key = rest.partition(".")
        if not _ID.fullmatch(team) or not _ID.fullmatch(person) or not key:
            return None
        claimed, given = Signed(team=team, person=PersonId(person)), _hashed(key)
        kept = await self._kept(claimed)
        return next((one for one in kept if hmac.compare_digest(one.id, given)), None)

    async def _kept(self, signed: Signed) -> list[_Kept]:
        written = await self._memory.recall(_name(signed))
        try:
            kept = _KEPT.validate_json(written or "[]")
        except ValidationError:
            return []
        return [one for one in kept if one.ends > self._now()]

    async def _keep(self, signed: Signed, kept: Sequence[_Kept]) -> None:
        if kept:
            written = json.dumps([one.model_dump(mode="json") for one in kept])
            await self._memory.remember(_name(signed), written)
        else:
            await self._memory.forget(_name(signed))

    def _now(self) -> int:
        return int(self._clock().timestamp())


def _name(signed: Signed) -> str:
    return f"signed in: {signed.team} {signed.person}"


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
