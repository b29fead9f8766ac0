"""Requests of the page that an app hears of: shortcuts, block actions, option lists, submissions."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from slack_emulator.elements import find_element
from slack_emulator.forms import MIN_QUERY
from slack_emulator.model import Outcome, Refused, View
from slack_emulator.page.desk import Desk, refused
from slack_emulator.page.forms import value_in, values_in
from slack_emulator.page.moments import zone

Json = dict[str, Any]


class AppActs:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workspace = desk.workspace

    # shortcuts

    async def message_shortcut(self, request: Request) -> Response:
        form, person = await request.form(), self._desk.acting(request)
        self._desk.notices.clear(person)
        channel, ts = request.path_params["channel"], request.path_params["ts"]
        callback_id = str(form.get("callback_id", ""))
        return self._desk.done(
            request, await self._workspace.message_shortcut(person, callback_id, channel, ts)
        )

    async def global_shortcut(self, request: Request) -> Response:
        form, person = await request.form(), self._desk.acting(request)
        self._desk.notices.clear(person)
        callback_id = str(form.get("callback_id", ""))
        return self._desk.done(request, await self._workspace.global_shortcut(person, callback_id))

    async def open_assistant(self, request: Request) -> Response:
        """Start a chat with an app's assistant, and go there."""
        person = self._desk.acting(request)
        opened = await self._workspace.open_assistant(person, request.path_params["app"])
        return self._desk.done(request, opened, f"/client/{opened.channel}/thread/{opened.ts}")

    # buttons and selects

    async def press_in_message(self, request: Request) -> Response:
        form, person = await request.form(), self._desk.acting(request)
        channel, ts = request.path_params["channel"], request.path_params["ts"]
        block_id, action_id = str(form.get("block_id", "")), str(form.get("action_id", ""))
        try:
            blocks = self._workspace.message(channel, ts).blocks
        except Refused as no:
            return self._desk.done(request, refused(no))
        value = self._pressed(person, blocks, block_id, action_id, form)
        outcome = await self._workspace.press(
            person, action_id, block_id, channel=channel, ts=ts, value=value
        )
        return self._desk.done(request, outcome)

    async def press_in_view(self, request: Request) -> Response:
        """Send the action, after saving what the user typed in the view so that the app gets it, too."""
        form, person = await request.form(), self._desk.acting(request)
        view = self._find_view(person, request.path_params["view"])
        if view is None:
            return Response(status_code=204)
        self._type(person, view, form)
        block_id, action_id = str(form.get("block_id", "")), str(form.get("action_id", ""))
        value = self._pressed(person, view.payload["blocks"], block_id, action_id, form)
        outcome = await self._workspace.press(person, action_id, block_id, view_id=view.id, value=value)
        if view.type == "home":
            return self._desk.done(request, outcome)
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
        query, person = request.query_params, self._desk.acting(request)
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
        html = self._desk.env.get_template("suggestions.html").render(
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
        person = self._desk.acting(request)
        view = self._find_view(person, request.path_params["view"])
        if view is not None:
            self._type(person, view, await request.form())
        return Response(status_code=204)

    async def submit(self, request: Request) -> Response:
        person = self._desk.acting(request)
        view = self._find_view(person, request.path_params["view"])
        if view is None:
            return Response(status_code=204)
        values = values_in(view.payload["blocks"], await request.form(), self._zone(person))
        return self._blamed(view.id, await self._workspace.submit(person, view.id, values))

    async def dismiss(self, request: Request) -> Response:
        form, person = await request.form(), self._desk.acting(request)
        whole = bool(form.get("whole_stack"))
        await self._workspace.dismiss(person, request.path_params["view"], whole_stack=whole)
        return Response(status_code=204)

    def _blamed(self, view_id: str, outcome: Outcome) -> Response:
        self._desk.notices.blame(view_id, outcome)
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
