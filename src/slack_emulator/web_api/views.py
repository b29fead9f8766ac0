"""views.*: an app opens, pushes and updates modals, and publishes Home tabs."""

from __future__ import annotations

from typing import Any

from slack_emulator.models import Json, Refused, View
from slack_emulator.serializers import view_json
from slack_emulator.web_api.arguments import Arguments, Call, Method, Object


class OpenView(Arguments):
    view: Object
    trigger_id: str | None = None
    interactivity_pointer: str | None = None


class UpdateView(Arguments):
    view: Object
    view_id: str | None = None
    external_id: str | None = None
    hash: str | None = None


class Publish(Arguments):
    view: Object
    user_id: str
    hash: str | None = None


def _trigger(given: OpenView) -> str:
    """Return the trigger (Slack, views.open: exactly one of trigger_id and interactivity_pointer)."""
    if bool(given.trigger_id) == bool(given.interactivity_pointer):
        raise Refused("invalid_arguments", "[ERROR] exactly one of trigger_id and interactivity_pointer")
    return given.trigger_id or given.interactivity_pointer or ""


def open_modal(call: Call, given: OpenView) -> Json:
    return _shown(call, call.workspace.views.open(call.app, _trigger(given), given.view))


def push(call: Call, given: OpenView) -> Json:
    return _shown(call, call.workspace.views.push(call.app, _trigger(given), given.view))


def update(call: Call, given: UpdateView) -> Json:
    if bool(given.view_id) == bool(given.external_id):
        raise Refused("invalid_arguments", "[ERROR] exactly one of view_id and external_id")
    view = call.workspace.views.update(
        call.app, given.view, view_id=given.view_id, external_id=given.external_id, hash=given.hash
    )
    return _shown(call, view)


def publish(call: Call, given: Publish) -> Json:
    return _shown(call, call.workspace.views.publish(call.app, given.user_id, given.view, given.hash))


def _shown(call: Call, view: View) -> Json:
    return {"view": view_json(call.workspace.state, view, call.app)}


METHODS: dict[str, Method[Any]] = {
    "views.open": Method(OpenView, open_modal),
    "views.push": Method(OpenView, push),
    "views.update": Method(UpdateView, update),
    "views.publish": Method(Publish, publish),
}
