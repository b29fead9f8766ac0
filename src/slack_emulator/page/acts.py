"""POST requests of the page for actions in channels and on messages: post, react, pin, join, invite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from slack_emulator.model import Outcome, Refused
from slack_emulator.page.desk import COOKIE, Desk, refused, see_other

YEAR = 365 * 24 * 3600


class Acts:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workspace = desk.workspace

    async def act_as(self, request: Request) -> Response:
        """Act as another user from now on, and go to that user's front page."""
        wanted = str((await request.form()).get("person", ""))
        response = see_other("/")
        if any(p.id == wanted and not p.deleted and not p.is_bot for p in self._workspace.people()):
            response.set_cookie(COOKIE, wanted, max_age=YEAR, httponly=True, samesite="strict", path="/")
        return response

    # in a channel

    async def say(self, request: Request) -> Response:
        """Post a message or run a slash command, and clear the notices of earlier failures."""
        form, person = await request.form(), self._desk.acting(request)
        self._desk.notices.clear(person)
        thread_ts = str(form.get("thread_ts") or "") or None
        text = str(form.get("text", "")).replace("\r\n", "\n").strip()
        outcome = await self._workspace.say(person, request.path_params["channel"], text, thread_ts)
        return self._desk.done(request, outcome)

    async def _in_channel(
        self, request: Request, act: Callable[[str, str], Awaitable[Outcome]], goto: str = ""
    ) -> Response:
        channel = request.path_params["channel"]
        outcome = await act(self._desk.acting(request), channel)
        return self._desk.done(request, outcome, goto.format(channel=channel))

    async def join(self, request: Request) -> Response:
        return await self._in_channel(request, self._workspace.join, "/client/{channel}")

    async def leave(self, request: Request) -> Response:
        return await self._in_channel(request, self._workspace.leave, "/")

    async def archive(self, request: Request) -> Response:
        return await self._in_channel(request, self._workspace.archive, "/client/{channel}")

    async def invite(self, request: Request) -> Response:
        other = str((await request.form()).get("person", ""))
        return await self._in_channel(
            request, lambda person, channel: self._workspace.invite(person, channel, other)
        )

    async def create(self, request: Request) -> Response:
        form = await request.form()
        name = str(form.get("name", "")).strip().removeprefix("#")
        person = self._desk.acting(request)
        outcome = await self._workspace.create_channel(person, name, private=bool(form.get("private")))
        return self._desk.done(request, outcome, f"/client/{outcome.channel}")

    async def message_person(self, request: Request) -> Response:
        person, other = self._desk.acting(request), request.path_params["person"]
        outcome = await self._workspace.open_dm(person, *([] if other == person else [other]))
        if not outcome.ok:
            self._desk.notices.tell(person, outcome)
            return see_other("/people")
        return see_other(f"/client/{outcome.channel}")

    # on a message

    async def react(self, request: Request) -> Response:
        """Add the reaction, or remove it if the user has already added it."""
        name = str((await request.form()).get("name", ""))
        person, (channel, ts) = self._desk.acting(request), _message(request)
        try:
            reactions = dict(self._workspace.message(channel, ts).reactions)
        except Refused as no:
            return self._desk.done(request, refused(no))
        act = self._workspace.unreact if person in reactions.get(name, []) else self._workspace.react
        return self._desk.done(request, await act(person, channel, ts, name))

    async def pin(self, request: Request) -> Response:
        person, (channel, ts) = self._desk.acting(request), _message(request)
        found = self._desk.channel(request)
        act = self._workspace.unpin if found is not None and ts in found.pins else self._workspace.pin
        return self._desk.done(request, await act(person, channel, ts))

    async def delete(self, request: Request) -> Response:
        channel, ts = _message(request)
        return self._desk.done(request, await self._workspace.delete(self._desk.acting(request), channel, ts))

    async def dismiss_notice(self, request: Request) -> Response:
        self._desk.notices.dismiss(self._desk.acting(request), int(request.path_params["notice"]))
        return Response(status_code=204)


def _message(request: Request) -> tuple[str, str]:
    return request.path_params["channel"], request.path_params["ts"]
