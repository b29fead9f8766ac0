"""Slash commands, shortcuts, buttons and forms, and the payloads that they send to the app."""

from __future__ import annotations

from slack_emulator.block_kit import block_errors, input_errors
from slack_emulator.channels import Conversations
from slack_emulator.delivery import Answer, Delivery
from slack_emulator.error_messages import FORM_TROUBLE, refusal_words, unanswered_words
from slack_emulator.events import Events, Tasks
from slack_emulator.manifest import SlashCommand
from slack_emulator.messages import command_text
from slack_emulator.models import (
    Channel,
    InstalledApp,
    Json,
    Message,
    Outcome,
    Person,
    Refused,
    StateValues,
    View,
)
from slack_emulator.payloads import Payloads
from slack_emulator.response_urls import ResponseUrl, ResponseUrls, is_message
from slack_emulator.state import State
from slack_emulator.unfurls import EntityView
from slack_emulator.views import (
    STATE_FIELDS,
    Views,
    action_of,
    completed_state,
    elements_of,
    find_element,
    initial_values,
    input_blocks,
)

# Slash commands and shortcuts, which a user asks of an app by name.


class Commands:
    """Slash commands and shortcuts, delivered to the app that declares them."""

    def __init__(
        self,
        state: State,
        conversations: Conversations,
        views: Views,
        response_urls: ResponseUrls,
        delivery: Delivery,
        payloads: Payloads,
    ) -> None:
        self._state = state
        self._conversations = conversations
        self._views = views
        self._response_urls = response_urls
        self._delivery = delivery
        self._payloads = payloads

    async def command(self, person: str, channel: str, typed: str, thread_ts: str | None = None) -> Outcome:
        """Run a slash command as typed, `/name text`; what the app acknowledges with is shown."""
        name, text = [*typed.strip().split(None, 1), ""][:2]
        try:
            actor, room = self._state.active_person(person), self._conversations.entered(person, channel)
            app, declared = self._find_command(name)
            self._require_ours(app, actor)
            if thread_ts is not None:
                raise Refused("no_commands_in_threads")
        except Refused as no:
            return refusal(no, name)
        text = command_text(self._state, person, text.strip(), should_escape=declared.should_escape)
        url = self._response_urls.mint(app, actor.id, room.id)
        trigger = self._views.trigger(app, actor.id, channel=room.id)
        payload = self._payloads.command(app, actor, room, name, text, trigger, url)
        answer = await self._delivery.deliver(app, "slash_commands", payload, "slash_commands")
        if not answer.ok:
            return unanswered(answer, name, app)
        return self._show_answer(app, actor, room, answer)

    def _find_command(self, name: str) -> tuple[InstalledApp, SlashCommand]:
        for app in self._state.apps.values():
            command = app.manifest.command(name)
            if command is not None and "commands" in app.scopes:
                return app, command
        raise Refused("invalid_command")

    def _show_answer(self, app: InstalledApp, person: Person, channel: Channel, answer: Answer) -> Outcome:
        if answer.response is not None and is_message(answer.response):
            try:
                self._response_urls.say(ResponseUrl(app, person.id, channel.id, 0.0), answer.response)
            except Refused as no:
                return refusal(no)
        return Outcome(True)

    async def message_shortcut(self, person: str, callback_id: str, channel: str, ts: str) -> Outcome:
        """Offered on every message but ephemerals, also where the app's bot is no member."""
        try:
            actor, room = self._state.active_person(person), self._conversations.visible(person, channel)
            message = self._state.message(channel, ts)
            if message.ephemeral_to is not None:
                raise Refused("shortcut_on_ephemeral")
            app = self._find_shortcut(callback_id, "message")
            self._require_ours(app, actor)
        except Refused as no:
            return refusal(no, callback_id)
        url = self._response_urls.mint(app, actor.id, room.id, thread_ts=message.thread_ts)
        trigger = self._views.trigger(app, actor.id, channel=room.id)
        payload = self._payloads.message_shortcut(app, actor, callback_id, room, message, trigger, url)
        answer = await self._delivery.deliver(app, "interactive", payload, "message_action")
        return Outcome(True) if answer.ok else unanswered(answer, callback_id, app)

    async def global_shortcut(self, person: str, callback_id: str) -> Outcome:
        """Slack, Shortcuts: no channel and no response_url come with it."""
        try:
            actor = self._state.active_person(person)
            app = self._find_shortcut(callback_id, "global")
            self._require_ours(app, actor)
        except Refused as no:
            return refusal(no, callback_id)
        trigger = self._views.trigger(app, actor.id)
        payload = self._payloads.global_shortcut(app, actor, callback_id, trigger)
        answer = await self._delivery.deliver(app, "interactive", payload, "shortcut")
        return Outcome(True) if answer.ok else unanswered(answer, callback_id, app)

    def _require_ours(self, app: InstalledApp, actor: Person) -> None:
        """Commands and shortcuts are for members of the workspaces that installed the app; others press
        what it posts in a channel that is shared with them (Slack, Channels between organizations: apps).
        An org-wide install is one for all workspaces of the organization.
        """
        if actor.is_foreign and not (app.org and app.org == actor.org):
            raise Refused("restricted_action")

    def _find_shortcut(self, callback_id: str, kind: str) -> InstalledApp:
        for app in self._state.interactive_apps():
            if app.manifest.shortcut(callback_id, kind) is not None:
                return app
        raise Refused("invalid_shortcut")


def refusal(no: Refused, what: str = "") -> Outcome:
    words = refusal_words(no.error, what)
    return Outcome(False, no.error, message="; ".join([words, *no.messages]))


def unanswered(answer: Answer, what: str, app: InstalledApp) -> Outcome:
    error = answer.error or "operation_timeout"
    return Outcome(False, error, message=unanswered_words(error, what, app.name))


# Validation of the options that an app returns for an external select.


def options_in(response: Json) -> list[Json]:
    """Return the options of a response, without their groups. Raises Refused (`invalid_options`).

    Slack: `options` or `option_groups`, at most a hundred of each.
    """
    if "options" in response and not response["options"]:
        return []
    element: Json = {"type": "static_select", "action_id": "a"}
    element |= {key: response[key] for key in ("options", "option_groups") if key in response}
    errors = block_errors([{"type": "actions", "block_id": "b", "elements": [element]}], "message")
    if errors:
        raise Refused("invalid_options", *errors)
    grouped = [o for group in response.get("option_groups", []) for o in group["options"]]
    return [*response.get("options", []), *grouped]


# Interactions of a user with an app's forms, messages and Home: press, type, search, submit, close.

MIN_QUERY = 3
"""Slack, external select: the default `min_query_length`."""


class Interactions:
    """Gestures in views and messages, delivered to the app whose they are."""

    def __init__(
        self,
        state: State,
        conversations: Conversations,
        views: Views,
        response_urls: ResponseUrls,
        delivery: Delivery,
        events: Events,
        tasks: Tasks,
        payloads: Payloads,
    ) -> None:
        self._state = state
        self._conversations = conversations
        self._views = views
        self._response_urls = response_urls
        self._delivery = delivery
        self._events = events
        self._tasks = tasks
        self._payloads = payloads

    # what stands where

    def _view(self, person: str, view_id: str) -> View:
        view = self._views.find(person, view_id)
        if view is None:
            raise Refused("view_not_found")
        return view

    def _element(self, blocks: list[Json], block_id: str, action_id: str) -> tuple[Json, Json]:
        found = find_element(blocks, block_id, action_id)
        if found is None:
            raise Refused("invalid_action")
        return found

    def _app_of(self, app_id: str | None) -> InstalledApp:
        for app in self._state.interactive_apps():
            if app.app_id == app_id:
                return app
        raise Refused("interactivity_off")

    # filling in

    def type_into(self, person: str, view_id: str, block_id: str, action_id: str, value: Json) -> None:
        """Change what is in the form, as the element's state; an option needs only its `value`.

        Refused with `view_not_found`, `invalid_action` or `invalid_value`. Tells the app nothing.
        """
        self._state.active_person(person)
        view = self._view(person, view_id)
        _, element = self._element(view.payload["blocks"], block_id, action_id)
        self._views.type_into(view, block_id, action_id, completed_state(element, value))

    async def press(
        self,
        person: str,
        action_id: str,
        block_id: str,
        *,
        view_id: str | None = None,
        channel: str | None = None,
        ts: str | None = None,
        value: Json | None = None,
    ) -> Outcome:
        """A button, or a choice in a select that stands in an actions or section block.

        In a view (`view_id`) or in a message (`channel` and `ts`). `value` is the element's state,
        for a select `{"selected_option": {"value": "high"}}`; a button needs none.
        """
        try:
            actor = self._state.active_person(person)
            if view_id is not None:
                view = self._view(person, view_id)
                return await self._press_in_view(actor, view, block_id, action_id, value or {})
            message = self._conversations.message(actor.id, channel or "", ts or "")
            return await self._press_in_message(actor, message, block_id, action_id, value or {})
        except Refused as no:
            return refusal(no, action_id)

    async def _press_in_view(
        self, person: Person, view: View, block_id: str, action_id: str, given: Json
    ) -> Outcome:
        app = self._app_of(view.app_id)
        block, element = self._element(view.payload["blocks"], block_id, action_id)
        action = action_of(block, element, given, self._state.next_ts())
        if element["type"] in STATE_FIELDS:
            self._views.type_into(view, block_id, action_id, completed_state(element, given))
        if block["type"] == "input" and not block.get("dispatch_action"):
            return Outcome(True, view=view)
        trigger = self._views.trigger(app, person.id, view if view.type == "modal" else None)
        payload = self._payloads.view_action(app, person, view, [action], trigger)
        answer = await self._delivery.deliver(app, "interactive", payload, "block_actions")
        return Outcome(True, view=view) if answer.ok else unanswered(answer, action_id, app)

    async def _press_in_message(
        self, person: Person, message: Message, block_id: str, action_id: str, given: Json
    ) -> Outcome:
        app = self._app_of(message.app_id)
        block, element = self._element(message.blocks, block_id, action_id)
        action = action_of(block, element, given, self._state.next_ts())
        values = initial_values({"blocks": message.blocks})
        if element["type"] in STATE_FIELDS:
            values[block_id][action_id] = completed_state(element, given)
        trigger = self._views.trigger(app, person.id, channel=message.channel)
        url = self._response_urls.mint(
            app, person.id, message.channel, message_ts=message.ts, thread_ts=message.thread_ts
        )
        payload = self._payloads.message_action(app, person, message, [action], values, trigger, url)
        answer = await self._delivery.deliver(app, "interactive", payload, "block_actions")
        return Outcome(True) if answer.ok else unanswered(answer, action_id, app)

    async def press_entity(self, person: str, look: EntityView, action_id: str) -> Outcome:
        """Press a button in the details of a Work Object that the person has open."""
        try:
            actor, app = self._state.active_person(person), self._app_of(look.app_id)
            button = look.action(action_id)
        except Refused as no:
            return refusal(no, action_id)
        action = {
            "type": "button",
            "action_id": action_id,
            "text": {"type": "plain_text", "text": button["text"], "emoji": True},
            "action_ts": self._state.next_ts(),
            **({"value": button["value"]} if "value" in button else {}),
        }
        trigger = self._views.trigger(app, actor.id, channel=look.message.channel)
        payload = self._payloads.entity_action(app, actor, look, [action], trigger)
        answer = await self._delivery.deliver(app, "interactive", payload, "block_actions")
        return Outcome(True) if answer.ok else unanswered(answer, action_id, app)

    async def suggest(
        self,
        person: str,
        view_id: str | None,
        block_id: str,
        action_id: str,
        query: str,
        *,
        channel: str | None = None,
        ts: str | None = None,
    ) -> Outcome:
        """The options of an external select for what was typed in its search; `options` on success."""
        try:
            actor = self._state.active_person(person)
            if view_id is not None:
                view = self._view(person, view_id)
                app, blocks = self._app_of(view.app_id), view.payload["blocks"]
                where = self._payloads.view_container(app, view)
            else:
                message = self._conversations.message(actor.id, channel or "", ts or "")
                app, blocks = self._app_of(message.app_id), message.blocks
                where = self._payloads.message_container(message)
            _, element = self._element(blocks, block_id, action_id)
        except Refused as no:
            return refusal(no, action_id)
        if len(query) < element.get("min_query_length", MIN_QUERY):
            return Outcome(True, options=[])
        payload = self._payloads.suggestion(app, actor, block_id, action_id, query, where)
        answer = await self._delivery.deliver(app, "interactive", payload, "block_suggestion")
        if not answer.ok:
            return unanswered(answer, action_id, app)
        try:
            return Outcome(True, options=options_in(answer.response or {}))
        except Refused as no:
            return refusal(no, action_id)

    # submitting

    async def submit(self, person: str, view_id: str, values: StateValues | None = None) -> Outcome:
        """Submit a modal, with `values` typed in first.

        What the client itself refuses, and what the app answers with `errors`, comes back in `errors`
        by block_id; the form stays open then, and when the app does not answer in time.
        """
        try:
            actor, view = self._state.active_person(person), self._view(person, view_id)
            app = self._app_of(view.app_id)
            for block_id, actions in (values or {}).items():
                for action_id, value in actions.items():
                    self.type_into(person, view_id, block_id, action_id, value)
            if view.type != "modal" or not view.payload.get("submit"):
                raise Refused("no_submit")
        except Refused as no:
            return refusal(no)
        if errors := input_errors(view.payload, view.values):
            words = refusal_words("missing_fields")
            return Outcome(False, "invalid_input", errors, view, message=words)
        trigger = self._views.trigger(app, actor.id, view)
        urls = self._response_urls_of(app, actor, view)
        payload = self._payloads.submission(app, actor, view, trigger, urls)
        answer = await self._delivery.deliver(app, "interactive", payload, "view_submission")
        if not answer.ok:
            return Outcome(False, answer.error, view=view, message=FORM_TROUBLE)
        return self._submitted(app, actor, view, answer)

    def _submitted(self, app: InstalledApp, person: Person, view: View, answer: Answer) -> Outcome:
        response = answer.response or {}
        try:
            match response.get("response_action"):
                case None:
                    self._views.close_view(view)
                    return Outcome(True)
                case "errors":
                    return self._field_errors(view, response.get("errors"))
                case "update":
                    self._views.changed(view, response.get("view") or {})
                    return Outcome(True, view=view)
                case "push":
                    pushed = self._views.pushed(app, person.id, response.get("view") or {})
                    return Outcome(True, view=pushed)
                case "clear":
                    self._views.close_all(person.id)
                    return Outcome(True)
                case _:
                    raise Refused("invalid_response_action")
        except Refused as no:
            words = "; ".join([FORM_TROUBLE, *no.messages])
            return Outcome(False, no.error, view=view, message=words)

    def _field_errors(self, view: View, errors: object) -> Outcome:
        """Slack, Modals: the keys of `errors` are block_ids of input blocks in this view."""
        known = input_blocks(view.payload)
        valid = isinstance(errors, dict) and errors and all(k in known and v for k, v in errors.items())
        if not isinstance(errors, dict) or not valid:
            raise Refused("invalid_response_errors", f"[ERROR] no input block for: {errors}")
        words = refusal_words("missing_fields")
        return Outcome(False, "view_errors", {k: str(v) for k, v in errors.items()}, view, message=words)

    def _response_urls_of(self, app: InstalledApp, person: Person, view: View) -> list[Json]:
        urls: list[Json] = []
        for block, element in elements_of(view.payload["blocks"]):
            if not element.get("response_url_enabled"):
                continue
            state = view.values[block["block_id"]][element["action_id"]]
            chosen = state.get("selected_conversation") or state.get("selected_channel")
            if chosen:
                url = self._response_urls.mint(app, person.id, chosen)
                ids = {"block_id": block["block_id"], "action_id": element["action_id"]}
                urls.append(ids | {"channel_id": chosen, "response_url": url})
        return urls

    # closing

    async def dismiss(self, person: str, view_id: str | None = None, whole_stack: bool = False) -> None:
        """Cancel, the cross or Esc: the top view, or every open one; the app hears if it asked to."""
        actor, stack = self._state.active_person(person), self._views.stack(person)
        if not stack or (view_id is not None and stack[-1].id != view_id and not whole_stack):
            return
        everything = whole_stack or stack[-1].payload.get("clear_on_close", False)
        closed = self._views.close_all(person) if everything else [self._views.close_top(person)]
        for view in closed:
            if view is None or not view.payload.get("notify_on_close"):
                continue
            app = self._state.apps[view.app_id]
            payload = self._payloads.closed(app, actor, view, bool(everything))
            self._tasks.start(self._delivery.deliver(app, "interactive", payload, "view_closed"))

    async def open_home(self, person: str, app_id: str, tab: str = "home") -> Outcome:
        """Look at an app's Home or Messages tab; the app hears of it as `app_home_opened`."""
        try:
            actor = self._state.active_person(person)
        except Refused as no:
            return refusal(no)
        app = self._state.apps[app_id]
        direct = self._conversations.open_direct(actor.id, [app.bot_user_id])
        event: Json = {"type": "app_home_opened", "user": actor.id, "channel": direct.id, "tab": tab}
        view = self._views.home(actor.id, app_id)
        if view is not None and tab == "home":
            event["view"] = self._payloads.view_container(app, view)["view"]
        self._events.emit(event, only=app)
        return Outcome(True, view=view, channel=direct.id)
