"""Everything that a user does in Slack: post, react, invite, run a command, pick a shortcut."""

from __future__ import annotations

from collections.abc import Callable

from slack_emulator.assistant_threads import AssistantThreads
from slack_emulator.channels import Conversations
from slack_emulator.composer import escape, flatten, rich_text_of
from slack_emulator.interactions import Commands, refusal
from slack_emulator.messages import Messages, names_in
from slack_emulator.models import Change, Channel, Message, Outcome, Refused
from slack_emulator.state import State

TYPED_LIMIT = 12_000


class UserActions:
    """Actions of users that no app is asked about; each is refused in Slack's words if the user may not."""

    def __init__(
        self,
        state: State,
        messages: Messages,
        conversations: Conversations,
        assistant_threads: AssistantThreads,
        commands: Commands,
    ) -> None:
        self._state = state
        self._messages = messages
        self._conversations = conversations
        self._assistant_threads = assistant_threads
        self._commands = commands

    def _attempt(self, person: str, act: Callable[[], Outcome]) -> Outcome:
        """Do it as this person, who must still be active; a refusal comes back in Slack's words."""
        try:
            self._state.active_person(person)
            return act()
        except Refused as no:
            return refusal(no)

    # messages

    async def say(self, person: str, channel: str, text: str, thread_ts: str | None = None) -> Outcome:
        """Post what was typed, escaped and as rich text; what begins with a slash is a command."""
        if text.startswith("/"):
            return await self._commands.command(person, channel, text, thread_ts)
        return self._attempt(person, lambda: self._say(person, channel, text, thread_ts))

    def _say(self, person: str, channel: str, text: str, thread_ts: str | None) -> Outcome:
        room = self._conversations.entered(person, channel)
        draft = Message(room.id, "", user=person, thread_ts=thread_ts)
        self._write(draft, text)
        message = self._messages.post(room, draft)
        return Outcome(True, ts=message.ts, channel=room.id)

    def _write(self, message: Message, text: str) -> None:
        if not text.strip():
            raise Refused("no_text")
        if len(text) > TYPED_LIMIT:
            raise Refused("msg_too_long")
        message.blocks = rich_text_of(text, names_in(self._state))
        message.text = flatten(message.blocks)

    async def edit(self, person: str, channel: str, ts: str, text: str) -> Outcome:
        """People edit their own messages only."""

        def act() -> Outcome:
            message = self._own(person, channel, ts)
            draft = Message(channel, ts)
            self._write(draft, text)
            self._messages.update(message, person, {"text": draft.text, "blocks": draft.blocks})
            return Outcome(True, ts=ts, channel=channel)

        return self._attempt(person, act)

    async def delete(self, person: str, channel: str, ts: str) -> Outcome:
        """Their own messages, any message for an admin, and what only they can see."""

        def act() -> Outcome:
            message = self._conversations.message(person, channel, ts)
            admin = self._state.person(person).role in ("owner", "admin")
            if person not in (message.user, message.ephemeral_to) and not admin:
                raise Refused("cant_delete_message")
            self._messages.delete(message)
            return Outcome(True)

        return self._attempt(person, act)

    def _own(self, person: str, channel: str, ts: str) -> Message:
        self._conversations.entered(person, channel)
        message = self._conversations.message(person, channel, ts)
        if message.user != person:
            raise Refused("cant_update_message")
        return message

    async def react(self, person: str, channel: str, ts: str, name: str) -> Outcome:
        return self._attempt(person, lambda: self._on(person, channel, ts, "react", name))

    async def unreact(self, person: str, channel: str, ts: str, name: str) -> Outcome:
        return self._attempt(person, lambda: self._on(person, channel, ts, "unreact", name))

    async def pin(self, person: str, channel: str, ts: str) -> Outcome:
        return self._attempt(person, lambda: self._on(person, channel, ts, "pin"))

    async def unpin(self, person: str, channel: str, ts: str) -> Outcome:
        return self._attempt(person, lambda: self._on(person, channel, ts, "unpin"))

    def _on(self, person: str, channel: str, ts: str, act: str, name: str = "") -> Outcome:
        room = self._conversations.entered(person, channel)
        message = self._conversations.message(person, channel, ts)
        if message.ephemeral_to is not None:
            raise Refused("message_not_found")
        match act:
            case "react":
                self._messages.react(person, message, name)
            case "unreact":
                self._messages.unreact(person, message, name)
            case "pin":
                self._messages.pin(person, room, message)
            case _:
                self._messages.unpin(person, room, message)
        return Outcome(True, ts=ts, channel=channel)

    # assistants

    async def open_assistant(self, person: str, app_id: str, viewing: str | None = None) -> Outcome:
        """Begin a chat with an app beside the channel that the person looks at; `ts` is its thread."""

        def act() -> Outcome:
            if viewing is not None:
                self._conversations.visible(person, viewing)
            thread = self._assistant_threads.start(person, self._state.apps[app_id], viewing)
            return Outcome(True, ts=thread.ts, channel=thread.channel)

        return self._attempt(person, act)

    async def view_beside_assistant(self, person: str, channel: str, ts: str, viewing: str) -> Outcome:
        """Go to another channel while a chat with an app stays open beside it."""

        def act() -> Outcome:
            root = self._conversations.message(person, channel, ts)
            thread = self._assistant_threads.find(channel, ts)
            if thread is None or root.app_id is None:
                raise Refused("message_not_found")
            self._conversations.visible(person, viewing)
            self._assistant_threads.look_at(person, self._state.apps[root.app_id], thread, viewing)
            return Outcome(True, ts=ts, channel=channel)

        return self._attempt(person, act)

    def mark_read(self, person: str, channel: str) -> None:
        """Everything that is in the channel now has been seen."""
        messages = self._state.messages.get(channel, {})
        last = max(messages, default="")
        if last > self._state.reads.get((person, channel), ""):
            self._state.mark_read(person, channel, last)
            self._state.feed.announce(Change("read", channel=channel, person=person))

    # channels

    async def create_channel(self, person: str, name: str, *, private: bool = False) -> Outcome:
        return self._attempt(
            person, lambda: self._room(self._conversations.create(person, name, private=private))
        )

    async def open_dm(self, person: str, *others: str) -> Outcome:
        return self._attempt(person, lambda: self._room(self._conversations.open_direct(person, others)))

    async def join(self, person: str, channel: str) -> Outcome:
        return self._attempt(person, lambda: self._room(self._conversations.join(person, channel)))

    async def leave(self, person: str, channel: str) -> Outcome:
        def act() -> Outcome:
            self._conversations.leave(person, channel)
            return Outcome(True, channel=channel)

        return self._attempt(person, act)

    async def invite(self, person: str, channel: str, *others: str) -> Outcome:
        """Invite users, and apps by their bot user. Guests may not invite."""

        def act() -> Outcome:
            if self._state.person(person).is_confined:
                raise Refused("restricted_action")
            self._conversations.invite(person, channel, list(others))
            return Outcome(True, channel=channel)

        return self._attempt(person, act)

    async def kick(self, person: str, channel: str, other: str) -> Outcome:
        def act() -> Outcome:
            self._conversations.kick(person, channel, other)
            return Outcome(True, channel=channel)

        return self._attempt(person, act)

    async def archive(self, person: str, channel: str) -> Outcome:
        def act() -> Outcome:
            self._conversations.archive(person, channel)
            return Outcome(True, channel=channel)

        return self._attempt(person, act)

    async def unarchive(self, person: str, channel: str) -> Outcome:
        def act() -> Outcome:
            self._conversations.unarchive(person, channel)
            return Outcome(True, channel=channel)

        return self._attempt(person, act)

    async def set_topic(self, person: str, channel: str, topic: str) -> Outcome:
        return self._attempt(
            person, lambda: self._room(self._conversations.set_topic(person, channel, escape(topic)))
        )

    async def set_purpose(self, person: str, channel: str, purpose: str) -> Outcome:
        return self._attempt(
            person, lambda: self._room(self._conversations.set_purpose(person, channel, escape(purpose)))
        )

    def _room(self, channel: Channel) -> Outcome:
        return Outcome(True, channel=channel.id)
