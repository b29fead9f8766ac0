"""Slash commands and shortcuts, which a user asks of an app by name."""

from __future__ import annotations

from slack_emulator.conversations import Conversations
from slack_emulator.delivery import Answer, Delivery
from slack_emulator.manifest import Command
from slack_emulator.modals import Modals
from slack_emulator.model import Channel, InstalledApp, Outcome, Person, Refused
from slack_emulator.payloads import Payloads
from slack_emulator.response_urls import ResponseUrl, ResponseUrls, is_message
from slack_emulator.state import State
from slack_emulator.typed_text import command_text
from slack_emulator.words import refusal_words, unanswered_words


class Commands:
    """Slash commands and shortcuts, delivered to the app that declares them."""

    def __init__(
        self,
        state: State,
        conversations: Conversations,
        modals: Modals,
        response_urls: ResponseUrls,
        delivery: Delivery,
        payloads: Payloads,
    ) -> None:
        self._state = state
        self._conversations = conversations
        self._modals = modals
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
        trigger = self._modals.trigger(app, actor.id, channel=room.id)
        payload = self._payloads.command(app, actor, room, name, text, trigger, url)
        answer = await self._delivery.deliver(app, "slash_commands", payload, "slash_commands")
        if not answer.ok:
            return unanswered(answer, name, app)
        return self._show_answer(app, actor, room, answer)

    def _find_command(self, name: str) -> tuple[InstalledApp, Command]:
        for app in self._state.apps.values():
            command = app.manifest.command(name)
            if command is not None and "commands" in app.manifest.bot_scopes:
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
        trigger = self._modals.trigger(app, actor.id, channel=room.id)
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
        trigger = self._modals.trigger(app, actor.id)
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
