"""Server-sent events that tell an open page of changes it may show."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from slack_emulator.model import Change
from slack_emulator.page.desk import Desk


class Live:
    """Sends events without content: the page then asks for the regions that differ."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def stream(self, request: Request) -> Response:
        viewer = self._desk.acting(request)
        return StreamingResponse(
            self._events(viewer), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _events(self, viewer: str) -> AsyncIterator[str]:
        with self._desk.workspace.subscribe() as changes:
            yield "retry: 1000\nevent: hello\ndata: \n\n"
            async for change in changes:
                if self._concerns(viewer, change):
                    yield f"event: change\ndata: {change.kind}\n\n"

    def _concerns(self, viewer: str, change: Change) -> bool:
        if change.person not in (None, viewer):
            return False
        return change.channel is None or change.kind in ("channel", "member") or self._sees(viewer, change)

    def _sees(self, viewer: str, change: Change) -> bool:
        return self._desk.workspace.can_see(viewer, change.channel or "")
