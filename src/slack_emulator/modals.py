"""Triggers, and the views that they open: a stack of modals for each user, a Home tab for each app."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from slack_emulator.blocks import view_errors, view_too_large
from slack_emulator.elements import carried_over, initial_values
from slack_emulator.messages import with_block_ids
from slack_emulator.model import Change, InstalledApp, Json, Refused, StateValues, View
from slack_emulator.state import State, new_id

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


class Modals:
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
