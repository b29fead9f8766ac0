"""Live updates of an incident's page: server-sent events that tell an open page when it has changed.

An event carries no content but an opaque version: the page then asks for itself anew, where its reader's
permission is checked as always. It is checked before each event too. Source: HTML, server-sent events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Incident
from tocsin.web.auth import Viewer
from tocsin.web.http_protocol import END_AT_SHUTDOWN
from tocsin.web.middleware import HEADERS
from tocsin.web.pages import Pages

POLL_SECONDS: Final = 1.0
"""Seconds between two looks at an incident, for all its listeners together."""

HEARTBEAT_SECONDS: Final = 15.0
"""Seconds of silence after which a comment is sent, so that no proxy takes the connection for dead."""

LONGEST_SECONDS: Final = 3600.0
"""Longest time for which one connection is kept; the browser then makes a new one by itself."""

RETRY_MILLISECONDS: Final = 3000

MOST_LISTENERS: Final = 100
"""Open pages that one process updates; the process has a few hundred connections for everything."""

MOST_OF_A_READER: Final = 8
"""Pages that are updated for one reader; a further one ends the oldest, so that others have theirs."""

TOO_MANY: Final = "Too many pages are updated live now. This one shows what is new when it is loaded again."

LIVE_POLICY: Final = f"{HEADERS['Content-Security-Policy']}; script-src 'self'; connect-src 'self'"
"""Content Security Policy of a page that is live: it runs our own script, which asks our own server."""

FindVisible = Callable[[str, Viewer], Awaitable[Incident | None]]
"""Returns the incident with a reference; None if the viewer may not see it. Raises TocsinError."""


@dataclass(frozen=True)
class IncidentVersions:
    """Looks at an incident that are cheap enough to be made each second. Both raise TocsinError."""

    version: Callable[[str], Awaitable[str | None]]
    """Returns a text that is another one when anything of the incident has changed; None if it is gone."""
    find: Callable[[str], Awaitable[Incident | None]]
    """Returns the incident with this id."""


def cached_versions(find: Callable[[str], Incident | None]) -> IncidentVersions:
    """Return looks at the open incidents that are at hand, for a backend that is not to be asked each second.

    An incident that is not among them has no version: it has ended.
    """

    async def found(incident_id: str) -> Incident | None:
        return find(incident_id)

    async def version(incident_id: str) -> str | None:
        incident = find(incident_id)
        return sha256(incident.model_dump_json().encode()).hexdigest()[:16] if incident else None

    return IncidentVersions(version, found)


class _Watch:
    """The version of one incident, looked at once for all who listen."""

    def __init__(self, version: str | None) -> None:
        self.version = version
        self.listeners: list[_Listener] = []
        self.task: asyncio.Task[None] | None = None

    def set(self, version: str | None) -> None:
        if version != self.version:
            self.version = version
            for listener in self.listeners:
                listener.woken.set()


class _Listener:
    """One open page of a reader, that listens to the version of an incident."""

    def __init__(self, watch: _Watch) -> None:
        self.watch = watch
        self.woken = asyncio.Event()
        self.is_replaced = False

    def replace(self) -> None:
        """End it, since its reader has opened further pages."""
        self.is_replaced = True
        self.woken.set()

    async def changed(self, since: str | None, seconds: float) -> bool:
        """Wait until the version is another one than `since`; False if it is not after so many seconds."""
        if self.watch.version == since and not self.is_replaced:
            self.woken.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self.woken.wait()
            except TimeoutError:
                return False
        return True


class LiveUpdates:
    """Endpoint of the events, `/incidents/{reference}/events`, and the watches behind it."""

    def __init__(self, pages: Pages, find: FindVisible, versions: IncidentVersions) -> None:
        self._pages = pages
        self._find = find
        self._versions = versions
        self._watches: dict[str, _Watch] = {}
        self._readers: dict[str, list[_Listener]] = {}
        """Listeners of each reader, oldest first."""

    @property
    def listeners(self) -> int:
        """Number of pages that listen now."""
        return sum(len(watch.listeners) for watch in self._watches.values())

    async def events(self, request: Request, viewer: Viewer) -> Response:
        """Respond with the events; 204, after which no browser asks again, once the incident has ended."""
        try:
            incident = await self._find(request.path_params["reference"], viewer)
        except TocsinError as error:
            return self._pages.unavailable(request, error)
        if incident is None:
            return self._pages.not_found(request)
        if not incident.incident_status.is_open:
            return self._pages.answer(Response(status_code=204))
        if self.listeners >= MOST_LISTENERS:
            refusal = self._pages.plain(request, 503, "too_many_requests", TOO_MANY)
            refusal.headers["Retry-After"] = "60"
            return refusal
        reader = _reader(request, viewer)
        events = self._events(request, reader, incident.id) if request.method == "GET" else _nothing()
        # Read by the server's protocol, which ends this response when the process stops.
        request.scope[END_AT_SHUTDOWN] = True
        answer = self._pages.answer(StreamingResponse(events, media_type="text/event-stream"))
        answer.headers["Cache-Control"] = "no-store, no-transform"
        answer.headers["X-Accel-Buffering"] = "no"
        return answer

    async def _events(self, request: Request, reader: str, incident_id: str) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        ends, told = loop.time() + LONGEST_SECONDS, None
        listener = self._join(reader, incident_id)
        watch = listener.watch
        try:
            watch.set(await self._version(incident_id, watch.version))
            yield f"retry: {RETRY_MILLISECONDS}\n\n"
            while loop.time() < ends:
                is_new, version = await listener.changed(told, HEARTBEAT_SECONDS), watch.version
                if listener.is_replaced:
                    yield "event: replaced\ndata: \n\n"
                    return
                incident = await self._seen(request, incident_id)
                if incident is None:
                    return
                if version is None or not incident.incident_status.is_open:
                    yield "event: end\ndata: \n\n"
                    return
                yield f"event: version\ndata: {version}\n\n" if is_new else ":\n\n"
                told = version
        finally:
            self._leave(reader, incident_id, listener)

    async def _seen(self, request: Request, incident_id: str) -> Incident | None:
        """Return the incident as it is now, if the sender of the request may still see it."""
        try:
            viewer = await self._pages.access.viewer(request)
            incident = await self._versions.find(incident_id)
        except TocsinError:
            return None
        return incident if incident is not None and viewer.may_see(incident) else None

    def _join(self, reader: str, incident_id: str) -> _Listener:
        watch = self._watches.get(incident_id)
        if watch is None:
            watch = self._watches[incident_id] = _Watch(None)
            watch.task = asyncio.create_task(self._poll(incident_id, watch))
        listener = _Listener(watch)
        watch.listeners.append(listener)
        own = self._readers.setdefault(reader, [])
        own.append(listener)
        if len(own) > MOST_OF_A_READER:
            own.pop(0).replace()
        return listener

    def _leave(self, reader: str, incident_id: str, listener: _Listener) -> None:
        watch, own = listener.watch, self._readers.get(reader, [])
        watch.listeners.remove(listener)
        if listener in own:
            own.remove(listener)
        if not own:
            self._readers.pop(reader, None)
        if not watch.listeners and watch.task is not None:
            watch.task.cancel()
            del self._watches[incident_id]

    async def _poll(self, incident_id: str, watch: _Watch) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            watch.set(await self._version(incident_id, watch.version))

    async def _version(self, incident_id: str, known: str | None) -> str | None:
        """Return the version now; the known one while it cannot be read."""
        try:
            return await self._versions.version(incident_id)
        except TocsinError:
            return known


def _reader(request: Request, viewer: Viewer) -> str:
    """Return the person who is signed in; else the address from which the request comes."""
    if viewer.signed is not None:
        return f"{viewer.signed.team} {viewer.signed.person}"
    return request.client.host if request.client else ""


async def _nothing() -> AsyncIterator[str]:
    """Yield no event: a HEAD request asks for the headers alone."""
    for event in list[str]():
        yield event
