"""Modals and Home tabs: stacks, triggers, and the state of input elements."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from slack_emulator.block_kit import view_errors, view_too_large
from slack_emulator.messages import with_block_ids
from slack_emulator.models import Change, InstalledApp, Json, Refused, StateValues, View
from slack_emulator.state import State, new_id

# Interactive elements of blocks, and their values in `view.state.values`.

STATE_FIELDS: dict[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", ""),
}
"""By element type: the field of its state in `view.state.values`, and the property with its initial value."""

MANY = {"selected_options", "selected_users", "selected_conversations", "selected_channels", "files"}
FIXED_OPTIONS = {"static_select", "multi_static_select", "radio_buttons", "checkboxes"}


def elements_of(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield each interactive element with its block."""
    for block in blocks:
        match block.get("type"):
            case "input":
                yield block, block["element"]
            case "actions" | "context_actions":
                for element in block.get("elements", []):
                    yield block, element
            case "section" if isinstance(block.get("accessory"), dict):
                if block["accessory"].get("type") != "image":
                    yield block, block["accessory"]


def find_element(blocks: list[Json], block_id: str, action_id: str) -> tuple[Json, Json] | None:
    for block, element in elements_of(blocks):
        if block.get("block_id") == block_id and element.get("action_id") == action_id:
            return block, element
    return None


def initial_state(element: Json) -> Json | None:
    """Return the element's state before any input. Returns None for one without state, such as a button."""
    kind = str(element.get("type"))
    if kind not in STATE_FIELDS:
        return None
    field, initial = STATE_FIELDS[kind]
    empty: object = [] if field in MANY else None
    return {"type": kind, field: element.get(initial, empty)}


def initial_values(payload: Json, channel: str | None = None) -> StateValues:
    """Return the initial values of a view or message.

    `channel` is where the user was: `default_to_current_conversation` selects it.
    """
    values: StateValues = {}
    for block, element in elements_of(payload["blocks"]):
        state = initial_state(element)
        if state is not None:
            if channel and element.get("default_to_current_conversation"):
                _select_current(state, channel)
            values.setdefault(block["block_id"], {})[element["action_id"]] = state
    return values


def _select_current(state: Json, channel: str) -> None:
    """Select the current channel (Slack, conversations_select: in place of an initial conversation)."""
    field = STATE_FIELDS[state["type"]][0]
    state[field] = [channel] if field in MANY else channel


def carried_over(old: StateValues, payload: Json) -> StateValues:
    """Return the values of an updated view.

    Slack, Modals: input is kept where block_id and action_id stay the same.
    """
    values = initial_values(payload)
    for block, element in elements_of(payload["blocks"]):
        kept = old.get(block["block_id"], {}).get(element["action_id"])
        if kept is not None and kept.get("type") == element["type"] and _still_offered(element, kept):
            values[block["block_id"]][element["action_id"]] = kept
    return values


def _still_offered(element: Json, state: Json) -> bool:
    if element["type"] not in FIXED_OPTIONS:
        return True
    field = STATE_FIELDS[element["type"]][0]
    chosen = state.get(field) or []
    offered = {o["value"] for o in options_of(element)}
    return all(o["value"] in offered for o in (chosen if isinstance(chosen, list) else [chosen]))


def options_of(element: Json) -> list[Json]:
    grouped = [o for group in element.get("option_groups") or [] for o in group["options"]]
    return [*(element.get("options") or []), *grouped]


def completed_state(element: Json, given: Json) -> Json:
    """Return the user's choice as Slack would send it: with whole options, found by their `value`.

    Raises Refused (`invalid_value`) if the element has no such state or does not offer the option.
    """
    kind = str(element.get("type"))
    if kind not in STATE_FIELDS or given.get("type", kind) != kind:
        raise Refused("invalid_value")
    field = STATE_FIELDS[kind][0]
    if field not in given:
        raise Refused("invalid_value")
    value = given[field]
    if kind in FIXED_OPTIONS and value:
        value = [_offered(element, o) for o in value] if isinstance(value, list) else _offered(element, value)
    if field in MANY:
        value = list(value or [])
    elif value == "":
        value = None
    return {"type": kind, field: value}


def _offered(element: Json, option: object) -> Json:
    for candidate in options_of(element):
        if isinstance(option, dict) and candidate["value"] == option.get("value"):
            return candidate
    raise Refused("invalid_value")


def action_of(block: Json, element: Json, given: Json, at: str) -> Json:
    """Return the entry in `actions` of a block_actions payload."""
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": at,
    }
    if element["type"] in ("button", "workflow_button", "icon_button"):
        copied = {k: element[k] for k in ("text", "value", "style") if k in element}
        return action | copied
    if element["type"] == "overflow":
        return action | {"selected_option": _offered(element, given.get("selected_option") or {})}
    state = completed_state(element, given)
    placeholder = {"placeholder": element["placeholder"]} if "placeholder" in element else {}
    return action | placeholder | state


# Triggers, and the views that they open: a stack of modals for each user, a Home tab for each app.

TRIGGER_SECONDS = 3.0
"""Seconds until a trigger_id expires (Slack, views.open: three, and it is exchanged once)."""
STACK_LIMIT = 3
"""Views in a stack (Slack, views.push: the first and two more)."""


@dataclass
class Trigger:
    app_id: str
    person: str
    born: float
    view_id: str | None
    channel: str | None
    spent: bool = False


class Views:
    def __init__(self, state: State) -> None:
        self._state = state
        self._triggers: dict[str, Trigger] = {}
        self._stacks: dict[str, list[View]] = {}
        self._homes: dict[tuple[str, str], View] = {}

    # triggers

    def trigger(
        self, app: InstalledApp, person: str, view: View | None = None, *, channel: str | None = None
    ) -> str:
        """Return a new trigger_id; `view` and `channel` are the modal and the channel that the user is in."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**11)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = Trigger(
            app.app_id, person, self._state.now(), view.id if view is not None else None, channel
        )
        return trigger_id

    def exchange(self, app: InstalledApp, trigger_id: str) -> Trigger:
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.app_id != app.app_id:
            raise Refused("invalid_trigger_id")
        if self._state.now() - trigger.born > TRIGGER_SECONDS:
            raise Refused("expired_trigger_id")
        if trigger.spent:
            raise Refused("exchanged_trigger_id")
        return trigger

    # finding

    def knows(self, view_id: str | None, trigger_id: str | None) -> bool:
        """True if the view or the trigger is one of this workspace."""
        return trigger_id in self._triggers or any(view.id == view_id for view in self._all())

    def stack(self, person: str) -> list[View]:
        return list(self._stacks.get(person, []))

    def home(self, person: str, app_id: str) -> View | None:
        return self._homes.get((person, app_id))

    def find(self, person: str, view_id: str) -> View | None:
        views = [*self._stacks.get(person, []), *(h for (p, _), h in self._homes.items() if p == person)]
        return next((v for v in views if v.id == view_id), None)

    def _all(self) -> list[View]:
        return [v for stack in self._stacks.values() for v in stack] + list(self._homes.values())

    # calls of apps

    def open(self, app: InstalledApp, trigger_id: str, payload: Json) -> View:
        trigger = self.exchange(app, trigger_id)
        view = self._made(app, trigger.person, payload, "modal", trigger.channel)
        trigger.spent = True
        for old in self._stacks.get(trigger.person, []):
            self._announce("view_closed", old)
        self._stacks[trigger.person] = [view]
        self._announce("view_opened", view)
        return view

    def push(self, app: InstalledApp, trigger_id: str, payload: Json) -> View:
        trigger = self.exchange(app, trigger_id)
        if trigger.view_id is None:
            raise Refused("invalid_trigger_id")
        stack = self._stacks.get(trigger.person, [])
        if all(v.id != trigger.view_id for v in stack):
            raise Refused("not_found")
        view = self.pushed(app, trigger.person, payload)
        trigger.spent = True
        return view

    def pushed(self, app: InstalledApp, person: str, payload: Json) -> View:
        """Put a view on top of the user's stack. Raises Refused (`push_limit_reached`) if it has three."""
        stack = self._stacks.setdefault(person, [])
        if len(stack) >= STACK_LIMIT:
            raise Refused("push_limit_reached")
        view = self._made(app, person, payload, "modal")
        if stack:
            view.root_id, view.previous_id = stack[0].id, stack[-1].id
        stack.append(view)
        self._announce("view_opened", view)
        return view

    def update(
        self,
        app: InstalledApp,
        payload: Json,
        *,
        view_id: str | None = None,
        external_id: str | None = None,
        hash: str | None = None,
    ) -> View:
        views = [v for v in self._all() if v.app_id == app.app_id]
        if view_id:
            view = next((v for v in views if v.id == view_id), None)
        else:
            view = next((v for v in views if v.external_id and v.external_id == external_id), None)
        if view is None:
            raise Refused("not_found")
        if hash and hash != view.hash:
            raise Refused("hash_conflict")
        self.changed(view, payload)
        return view

    def changed(self, view: View, payload: Json) -> None:
        """Update an open view; its input is kept where block_id and action_id stay the same."""
        self._require_valid(payload, view.type)
        external = str(payload.get("external_id") or "")
        self._require_external(view.app_id, external, view)
        view.payload = completed(payload)
        view.external_id = external
        view.values = carried_over(view.values, view.payload)
        view.hash = self._hash()
        self._announce("view_updated", view)

    def publish(self, app: InstalledApp, person: str, payload: Json, hash: str | None) -> View:
        if not app.manifest.home_tab:
            raise Refused("not_enabled")
        self._state.person(person)
        existing = self._homes.get((person, app.app_id))
        if existing is not None:
            if hash and hash != existing.hash:
                raise Refused("hash_conflict")
            self.changed(existing, payload)
            self._state.feed.announce(Change("home", person=person, view=existing.id))
            return existing
        view = self._made(app, person, payload, "home")
        self._homes[(person, app.app_id)] = view
        self._state.feed.announce(Change("home", person=person, view=view.id))
        return view

    # actions of users

    def close_top(self, person: str) -> View | None:
        stack = self._stacks.get(person, [])
        if not stack:
            return None
        view = stack.pop()
        self._announce("view_closed", view)
        return view

    def close_view(self, view: View) -> None:
        stack = self._stacks.get(view.user, [])
        if view in stack:
            stack.remove(view)
            self._announce("view_closed", view)

    def close_all(self, person: str) -> list[View]:
        closed = []
        while (view := self.close_top(person)) is not None:
            closed.append(view)
        return closed

    def type_into(self, view: View, block_id: str, action_id: str, value: Json) -> None:
        values: StateValues = dict(view.values)
        values[block_id] = values.get(block_id, {}) | {action_id: value}
        view.values = values

    # internals

    def _made(
        self, app: InstalledApp, person: str, payload: Json, surface: str, channel: str | None = None
    ) -> View:
        self._require_valid(payload, surface)
        external = str(payload.get("external_id") or "")
        self._require_external(app.app_id, external, None)
        full = completed(payload)
        view_id = new_id("V")
        return View(
            id=view_id,
            type="home" if surface == "home" else "modal",
            user=person,
            app_id=app.app_id,
            payload=full,
            hash=self._hash(),
            root_id=view_id,
            external_id=external,
            values=initial_values(full, channel),
        )

    def _require_valid(self, payload: Json, surface: str) -> None:
        errors = view_errors(payload)
        if not errors and payload.get("type") != surface:
            errors = [f"[ERROR] must be a view of type {surface} [json-pointer:/view/type]"]
        if view_too_large(payload):
            raise Refused("view_too_large", *errors)
        if errors:
            raise Refused("invalid_arguments", *errors)

    def _require_external(self, app_id: str, external: str, but: View | None) -> None:
        taken = any(v.external_id == external and v is not but for v in self._all() if v.app_id == app_id)
        if external and taken:
            raise Refused("duplicate_external_id")

    def _hash(self) -> str:
        return f"{int(self._state.now())}.{secrets.token_hex(4)}"

    def _announce(self, kind: Literal["view_opened", "view_updated", "view_closed"], view: View) -> None:
        self._state.feed.announce(Change(kind, person=view.user, view=view.id))


def completed(payload: Json) -> Json:
    return payload | {"blocks": with_block_ids(payload.get("blocks", []))}


def input_blocks(payload: Json) -> set[str]:
    return {b["block_id"] for b in payload["blocks"] if b.get("type") == "input"}
