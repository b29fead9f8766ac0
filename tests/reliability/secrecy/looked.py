"""A look at everything that anybody is shown in Slack and on the pages, for words that are not theirs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.bot import RunningBot

from reliability.secrecy.kept import Kept, Register
from slack_emulator.models import Channel, Message, Request, StoredFile, View

ANYBODY = ""
FILTERED = (
    "/incidents?status_category=closed&sort=oldest",
    "/incidents?severity=major&person=U0ANA00001",
    "/incidents?format=csv",
)
"""Pages of the list with filters."""
GIVEN_BACK = "You had typed:"


@dataclass
class Looked:
    """What was looked at, and what was a leak."""

    bot: RunningBot
    register: Register
    leaks: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    brought: set[tuple[str, str]] = field(default_factory=set)
    """Channels that somebody was brought into by hand, and who."""

    pointed_at: set[tuple[str, int]] = field(default_factory=set)
    """Who pointed at a message that stood where they read, and the number of the incident it names."""

    typed: set[tuple[str, str]] = field(default_factory=set)
    """Who typed what: an answer may give it back to them, and to nobody else."""

    _whose: dict[str, str] = field(default_factory=dict)
    """Whose a trigger or a window is."""
    _files: set[str] = field(default_factory=set)

    def now(self) -> float:
        return self.bot.workspace.state.now()

    # what is a leak

    def shown(
        self, said: object, where: str, person: str, at: float | None = None, since: float | None = None
    ) -> None:
        """This person is shown it, or anybody is: what they may know at that moment, and nothing else.

        There is no grace: time stands still while the bot computes, so what is sent is sent at the moment at
        which it was judged. `since` is the beginning of a moment that is only known to the second.
        """
        at = self.now() if at is None else at
        self.counted[where.split(" ")[0]] += 1
        text = self._without_what_they_typed(person, said if isinstance(said, str) else _text(said))
        since = at if since is None else since
        for kind, kept in self.register.named_in(text):
            read_already = (person, kept.number) in self.pointed_at
            open_to_them = kind == "open" and (not kept.since or kept.was_public(since, at) or read_already)
            if not open_to_them and not (person and kept.might_know(person, since, at)):
                self._leaked(where, person, kept, text)
        if not person:
            for kept in self.register.called_in(text):
                if kept.born_private and not kept.linked:
                    self._leaked(f"{where} by reference", person, kept, text)

    def _without_what_they_typed(self, person: str, text: str) -> str:
        if GIVEN_BACK not in text:
            return text
        longest_first = sorted((typed for who, typed in self.typed if who == person), key=len, reverse=True)
        for typed in [_text(typed)[1:-1] for typed in longest_first]:
            text = text.replace(f"{GIVEN_BACK} {typed}", GIVEN_BACK)
        return text

    def stands(self, said: object, where: str, channel: Channel) -> None:
        """It stands in a channel, for whoever is in it: of what was once open to them, nothing is said."""
        if channel.kind == "public":
            self.shown(said, where, ANYBODY)
            return
        self.counted[where.split(" ")[0]] += 1
        text = _text(said)
        secret = [kept for kind, kept in self.register.named_in(text) if kind == "secret"]
        for kept in secret:
            for person in set(channel.members) - {self.bot.slack.app.bot_user_id}:
                let_in = (channel.id, person) in self.brought or person in kept.hidden_by
                by_hand = channel.id in kept.channels and let_in
                if not by_hand and not kept.might_know(person, 0.0, self.now()):
                    self._leaked(where, person, kept, text)

    def _leaked(self, where: str, person: str, kept: Kept, text: str) -> None:
        """What stands around the word says which way it went."""
        words = "|".join([kept.secret_word, kept.open_word, rf"{kept.reference}\b"])
        around = re.search(f".{{0,200}}(?:{words}).{{0,60}}", text)
        self.leaks.append(
            f"{where}: {person or 'anybody'} read of {kept.reference}: …{around and around[0]}…"
        )

    # while it goes on

    async def watch(self) -> None:
        """For ever: what one person alone sees in a channel, as soon as it is there."""
        state = self.bot.workspace.state
        with self.bot.workspace.subscribe() as changes:
            async for change in changes:
                message = state.messages.get(change.channel or "", {}).get(change.ts or "")
                if message is not None and message.ephemeral_to:
                    self.shown(_text(message), "whisper", message.ephemeral_to)

    def sweep(self) -> None:
        """Everything that went over the wire since the last look, in order; then it is forgotten."""
        requests = self.bot.workspace.requests
        over = next((n for n, request in enumerate(requests) if not request.finished), len(requests))
        for request in requests[:over]:
            self._look_at(request)
        self.counted["exchanges"] += over
        del requests[:over]
        state = self.bot.workspace.state
        for file in [file for file in state.files.values() if file.id not in self._files]:
            self._files.add(file.id)
            self._look_at_file(file)

    def _look_at(self, request: Request) -> None:
        if request.direction == "delivery":
            self._look_at_delivery(request)
        elif request.direction == "call":
            method, args = request.method, request.args
            if method.startswith("views.") or method.startswith("entity."):
                self._look_at_view(request)
            elif method.startswith("functions."):
                self.shown(args, method, ANYBODY, request.at)
            elif method != "conversations.create" or not args.get("is_private"):
                self._look_at_post(request)

    def _look_at_delivery(self, request: Request) -> None:
        """What they typed is theirs; what they are answered with is ours."""
        args = request.args
        happened: Mapping[str, Any] = args.get("event") or args
        user = args.get("user_id") or happened.get("user") or ""
        person = str(user.get("id") or "") if isinstance(user, dict) else str(user)
        self._whose[str(happened.get("trigger_id"))] = person
        self.shown(request.response or {}, request.method, person, request.at + (request.took or 0.0))

    def _look_at_view(self, request: Request) -> None:
        args, method = request.args, request.method
        known = str(args.get("trigger_id") or args.get("view_id"))
        person = str(args.get("user_id") or self._whose.get(known, ANYBODY))
        if shown := (request.response or {}).get("view"):
            self._whose[shown["id"]] = person
        if method != "views.publish":
            self.shown(args, method, person, request.at)
            return
        # Home is drawn again and again for who looked once; how it stands in the end is looked at then.
        self.counted[method] += 1
        for kind, kept in self.register.named_in(_text(args)):
            if kind == "secret" and not kept.might_know(person, 0.0, request.at):
                self._leaked(method, person, kept, _text(args))

    def _look_at_post(self, request: Request) -> None:
        where = str(request.args.get("channel") or request.args.get("channel_id") or "")
        channel = self.bot.workspace.state.channels.get(where)
        said = f"{request.method} to {where}"
        if where in self.bot.workspace.state.people:
            self.shown(request.args, said, where, request.at)
        elif channel is None or channel.kind == "public":
            self.shown(request.args, said, ANYBODY, request.at)
        else:
            self.stands(request.args, said, channel)

    def _look_at_file(self, file: StoredFile) -> None:
        state, kind = self.bot.workspace.state, "canvas" if file.is_canvas else "file"
        for channel in [state.channels[one] for one in file.channels if one in state.channels]:
            said, where = [file.name, file.title, file.content], f"{kind} in {channel.id}"
            if channel.kind == "public":
                # Slack counts whole seconds: it was made before the next one.
                self.shown(said, where, ANYBODY, file.created + 1.0, file.created)
            else:
                self.stands(said, where, channel)

    # in the end

    def look_at_what_is_left(self) -> None:
        """Every message, topic, bookmark, file and Home that can still be read."""
        state = self.bot.workspace.state
        for channel in state.channels.values():
            for message in state.messages[channel.id].values():
                self._look_at_message(channel, message)
            self._look_at_board(channel)
        for file in state.files.values():
            rooms = [state.channels[one] for one in file.channels if one in state.channels]
            if any(room.kind == "public" for room in rooms):
                self._left([file.name, file.title, file.content], "left as a file", "")
        for name, view in self._homes():
            self._home_of(name, view)

    def _look_at_message(self, channel: Channel, message: Message) -> None:
        ours = self.bot.slack.app.app_id
        said = [one for one in message.attachments if one.get("app_id") == ours]
        if message.app_id == ours:
            said.append(vars(message))
        if not said:
            return
        if message.ephemeral_to:
            for kind, kept in self.register.named_in(_text(said)):
                if kind == "secret" and not kept.might_know(message.ephemeral_to, 0.0, self.now()):
                    self._leaked("left whisper", message.ephemeral_to, kept, _text(said))
        elif channel.kind == "public":
            self._left(said, f"left in {channel.id}", channel.id)
        else:
            self.stands(said, f"left in {channel.id}", channel)

    def _look_at_board(self, channel: Channel) -> None:
        said = [channel.name, channel.topic, channel.purpose, *channel.bookmarks]
        ours, there = self.bot.slack.app.app_id, self.bot.workspace.state.messages[channel.id].values()
        if channel.archived and not any(message.app_id == ours for message in there):
            # Made while its incident was public, and left empty: its name is all that stands there.
            said = said[1:]
        if channel.kind == "public":
            # One that was there before goes on without an incident that is private now, and names it no more.
            was_there = channel.creator != self.bot.slack.app.bot_user_id and not channel.archived
            self._left(said, f"board of {channel.id}", "" if was_there else channel.id)
        else:
            self.stands(said, f"board of {channel.id}", channel)

    def _left(self, said: object, where: str, channel: str) -> None:
        """Anybody can read it: nothing of what is private now, but for what was said in its own channel."""
        self.counted["left"] += 1
        for kind, kept in self.register.named_in(_text(said)):
            if kind == "secret" or (kept.private and channel not in kept.channels):
                self._leaked(where, ANYBODY, kept, _text(said))

    def _homes(self) -> Iterable[tuple[str, View]]:
        for person in self.bot.workspace.people():
            home = self.bot.workspace.home(person.id, self.bot.slack.app.app_id)
            if home is not None:
                yield person.id, home

    def _home_of(self, person: str, view: View) -> None:
        self.counted["homes"] += 1
        for _, kept in self.register.named_in(_text(view.payload)):
            if not kept.may_know(person):
                self._leaked("Home", person, kept, _text(view.payload))

    def homes_are_true(self) -> bool:
        """Whether nobody's Home shows what they may not know of now."""
        return all(
            kept.may_know(person)
            for person, view in self._homes()
            for _, kept in self.register.named_in(_text(view.payload))
        )


def _text(said: object) -> str:
    return json.dumps(said, default=lambda thing: getattr(thing, "__dict__", str(thing)))
