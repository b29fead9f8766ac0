"""Handlers of everything that is posted by the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from slack_emulator.interactions import MIN_QUERY
from slack_emulator.models import Outcome, Refused, View
from slack_emulator.ui.format import zone
from slack_emulator.ui.forms import value_in, values_in
from slack_emulator.ui.session import COOKIE, Session, refused, see_other
from slack_emulator.views import find_element

# POST requests of the page for actions in channels and on messages: post, react, pin, join, invite.

YEAR = 365 * 24 * 3600


class Acts:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._workspace = session.workspace

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
        form, person = await request.form(), self._session.acting(request)
        self._session.notices.clear(person)
        thread_ts = str(form.get("thread_ts") or "") or None
        text = str(form.get("text", "")).replace("\r\n", "\n").strip()
        outcome = await self._workspace.say(person, request.path_params["channel"], text, thread_ts)
        return self._session.done(request, outcome)

    async def _in_channel(
        self, request: Request, act: Callable[[str, str], Awaitable[Outcome]], goto: str = ""
    ) -> Response:
        channel = request.path_params["channel"]
        outcome = await act(self._session.acting(request), channel)
        return self._session.done(request, outcome, goto.format(channel=channel))

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
        person = self._session.acting(request)
        outcome = await self._workspace.create_channel(person, name, private=bool(form.get("private")))
        return self._session.done(request, outcome, f"/client/{outcome.channel}")

    async def message_person(self, request: Request) -> Response:
        person, other = self._session.acting(request), request.path_params["person"]
        outcome = await self._workspace.open_dm(person, *([] if other == person else [other]))
        if not outcome.ok:
            self._session.notices.add(person, outcome)
            return see_other("/people")
        return see_other(f"/client/{outcome.channel}")

    # on a message

    async def react(self, request: Request) -> Response:
        """Add the reaction, or remove it if the user has already added it."""
        name = str((await request.form()).get("name", ""))
        person, (channel, ts) = self._session.acting(request), _message(request)
        try:
            reactions = dict(self._workspace.message(channel, ts).reactions)
        except Refused as no:
            return self._session.done(request, refused(no))
        act = self._workspace.unreact if person in reactions.get(name, []) else self._workspace.react
        return self._session.done(request, await act(person, channel, ts, name))

    async def pin(self, request: Request) -> Response:
        person, (channel, ts) = self._session.acting(request), _message(request)
        found = self._session.channel(request)
        act = self._workspace.unpin if found is not None and ts in found.pins else self._workspace.pin
        return self._session.done(request, await act(person, channel, ts))

    async def delete(self, request: Request) -> Response:
        channel, ts = _message(request)
        return self._session.done(
            request, await self._workspace.delete(self._session.acting(request), channel, ts)
        )

    async def dismiss_notice(self, request: Request) -> Response:
        self._session.notices.dismiss(self._session.acting(request), int(request.path_params["notice"]))
        return Response(status_code=204)


def _message(request: Request) -> tuple[str, str]:
    return request.path_params["channel"], request.path_params["ts"]


# Requests of the page that an app hears of: shortcuts, block actions, option lists, submissions.

Json = dict[str, Any]


class AppActs:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._workspace = session.workspace

    # shortcuts

    async def message_shortcut(self, request: Request) -> Response:
        form, person = await request.form(), self._session.acting(request)
        self._session.notices.clear(person)
        channel, ts = request.path_params["channel"], request.path_params["ts"]
        callback_id = str(form.get("callback_id", ""))
        return self._session.done(
            request, await self._workspace.message_shortcut(person, callback_id, channel, ts)
        )

    async def global_shortcut(self, request: Request) -> Response:
        form, person = await request.form(), self._session.acting(request)
        self._session.notices.clear(person)
        callback_id = str(form.get("callback_id", ""))
        return self._session.done(request, await self._workspace.global_shortcut(person, callback_id))

    async def open_assistant(self, request: Request) -> Response:
        """Start a chat with an app's assistant, and go there."""
        person = self._session.acting(request)
        opened = await self._workspace.open_assistant(person, request.path_params["app"])
        return self._session.done(request, opened, f"/client/{opened.channel}/thread/{opened.ts}")

    # buttons and selects

    async def press_in_message(self, request: Request) -> Response:
        form, person = await request.form(), self._session.acting(request)
        channel, ts = request.path_params["channel"], request.path_params["ts"]
        block_id, action_id = str(form.get("block_id", "")), str(form.get("action_id", ""))
        try:
            blocks = self._workspace.message(channel, ts).blocks
        except Refused as no:
            return self._session.done(request, refused(no))
        value = self._pressed(person, blocks, block_id, action_id, form)
        outcome = await self._workspace.press(
            person, action_id, block_id, channel=channel, ts=ts, value=value
        )
        return self._session.done(request, outcome)

    async def press_in_view(self, request: Request) -> Response:
        """Send the action, after saving what the user typed in the view so that the app gets it, too."""
        form, person = await request.form(), self._session.acting(request)
        view = self._find_view(person, request.path_params["view"])
        if view is None:
            return Response(status_code=204)
        self._type(person, view, form)
        block_id, action_id = str(form.get("block_id", "")), str(form.get("action_id", ""))
        value = self._pressed(person, view.payload["blocks"], block_id, action_id, form)
        outcome = await self._workspace.press(person, action_id, block_id, view_id=view.id, value=value)
        if view.type == "home":
            return self._session.done(request, outcome)
        return self._blamed(view.id, outcome)

    def _pressed(
        self, person: str, blocks: list[Json], block_id: str, action_id: str, form: FormData
    ) -> Json | None:
        found = find_element(blocks, block_id, action_id)
        if found is None:
            return None
        if found[1].get("type") == "overflow":
            return {"selected_option": {"value": str(form.get("option", ""))}}
        return value_in(found[1], block_id, form, self._zone(person))

    async def suggest(self, request: Request) -> Response:
        """Return the options of an external select as HTML."""
        query, person = request.query_params, self._session.acting(request)
        block_id, action_id, typed = (query.get(k, "") for k in ("block_id", "action_id", "query"))
        view_id, ts = request.path_params.get("view"), request.path_params.get("ts")
        channel = request.path_params.get("channel")
        outcome = await self._workspace.suggest(
            person, view_id, block_id, action_id, typed, channel=channel, ts=ts
        )
        blocks = self._blocks(person, view_id, channel, ts)
        found = find_element(blocks, block_id, action_id)
        least = int(found[1].get("min_query_length", MIN_QUERY)) if found else MIN_QUERY
        nothing = "No matching options" if len(typed) >= least else f"Type {least} or more letters to search"
        html = self._session.env.get_template("suggestions.html").render(
            choices=[("", outcome.options or [])],
            list_id=f"{view_id or ts}-{block_id}-{action_id}",
            nothing=nothing if outcome.ok else outcome.message,
        )
        return HTMLResponse(html, headers={"cache-control": "no-store"})

    def _blocks(self, person: str, view_id: str | None, channel: str | None, ts: str | None) -> list[Json]:
        if view_id is not None:
            view = self._find_view(person, view_id)
            return view.payload["blocks"] if view is not None else []
        try:
            return self._workspace.message(channel or "", ts or "").blocks
        except Refused:
            return []

    # forms

    async def typed(self, request: Request) -> Response:
        """Save the form's values, so that a reload shows them; the app is not told."""
        person = self._session.acting(request)
        view = self._find_view(person, request.path_params["view"])
        if view is not None:
            self._type(person, view, await request.form())
        return Response(status_code=204)

    async def submit(self, request: Request) -> Response:
        person = self._session.acting(request)
        view = self._find_view(person, request.path_params["view"])
        if view is None:
            return Response(status_code=204)
        values = values_in(view.payload["blocks"], await request.form(), self._zone(person))
        return self._blamed(view.id, await self._workspace.submit(person, view.id, values))

    async def dismiss(self, request: Request) -> Response:
        form, person = await request.form(), self._session.acting(request)
        whole = bool(form.get("whole_stack"))
        await self._workspace.dismiss(person, request.path_params["view"], whole_stack=whole)
        return Response(status_code=204)

    def _blamed(self, view_id: str, outcome: Outcome) -> Response:
        self._session.notices.reject(view_id, outcome)
        return Response(status_code=204 if outcome.ok else 422)

    def _zone(self, person: str) -> ZoneInfo:
        return zone(self._workspace.person(person).tz)

    def _type(self, person: str, view: View, form: FormData) -> None:
        values = values_in(view.payload["blocks"], form, self._zone(person))
        for block_id, actions in values.items():
            for action_id, value in actions.items():
                self._workspace.type_into(person, view.id, block_id, action_id, value)

    def _find_view(self, person: str, view_id: str) -> View | None:
        homes = [self._workspace.home(person, app.app_id) for app in self._workspace.apps()]
        views = [*self._workspace.stack(person), *(home for home in homes if home is not None)]
        return next((view for view in views if view.id == view_id), None)
