"""A Slack workspace on this machine: who is in it, what they see, what they and their apps may do."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import replace

from slack_emulator.manifest import Manifest
from slack_emulator.model import (
    Change,
    Channel,
    InstalledApp,
    Message,
    Person,
    Refused,
    Request,
    UserGroup,
    View,
)
from slack_emulator.people_acts import PeopleActs
from slack_emulator.state import new_id
from slack_emulator.text import broadcasts
from slack_emulator.wire_log import Wanted


class Workspace(PeopleActs):
    # apps

    def install(self, manifest: Manifest, *, installer: str | None = None) -> InstalledApp:
        """Install an app, or give the one already installed under this name its new manifest.

        Tokens stay the same across restarts.
        """
        known = next((a for a in self.state.apps.values() if a.name == manifest.name), None)
        if known is not None:
            known.manifest = manifest
            self.state.keep(known)
            bot = self.person(known.bot_user_id)
            bot.name, bot.real_name = bot_name(manifest), manifest.bot_name
            self.state.keep(bot)
            return known
        app_id = new_id("A")
        bot = Person(
            id=new_id("U"),
            name=bot_name(manifest),
            real_name=manifest.bot_name,
            email="",
            is_bot=True,
            color="e06b56",
            app_id=app_id,
        )
        app = InstalledApp(
            app_id=app_id,
            name=manifest.name,
            manifest=manifest,
            bot_user_id=bot.id,
            bot_id=new_id("B"),
            bot_token="xoxb-" + secrets.token_hex(16),
            app_token="xapp-1-" + app_id + "-" + secrets.token_hex(16),
            signing_secret=secrets.token_hex(16),
            client_id=f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}",
            client_secret=secrets.token_hex(16),
            verification_token=secrets.token_hex(12),
            installer=installer or self._owner(),
        )
        self.state.keep(bot)
        self.state.keep(app)
        return app

    def move_in(self, app: InstalledApp, bot: Person) -> None:
        """An app that was agreed to elsewhere is installed here, or has other tokens."""
        known = self.state.people.get(bot.id)
        if known is None or known.deleted:
            self.state.keep(bot)
        self.state.keep(replace(app))

    def move_out(self, app_id: str) -> None:
        """An app is here no more; what its bot wrote stays."""
        bot = self.state.people.get(self.app(app_id).bot_user_id)
        if bot is not None:
            bot.deleted = True
            self.state.keep(bot)
        self.state.part_with(app_id)

    async def verify_endpoint(self, app_id: str) -> bool:
        """Whether the address that the manifest gives for events answers Slack's challenge."""
        return await self.delivery.challenge(self.app(app_id))

    def _owner(self) -> str:
        return next((p.id for p in self.people() if p.role == "owner"), "")

    def apps(self) -> list[InstalledApp]:
        return list(self.state.apps.values())

    def app(self, app_id: str) -> InstalledApp:
        """Refused with `app_not_found`."""
        if (app := self.state.apps.get(app_id)) is None:
            raise Refused("app_not_found")
        return app

    # people and channels

    @property
    def team_name(self) -> str:
        return self.state.team.name

    def people(self) -> list[Person]:
        return list(self.state.people.values())

    def person(self, person_id: str) -> Person:
        """Refused with `user_not_found`."""
        return self.state.person(person_id)

    def person_by_name(self, name: str) -> Person:
        for person in self.people():
            if person.name == name:
                return person
        raise Refused("user_not_found")

    def groups(self) -> list[UserGroup]:
        return list(self.state.groups.values())

    def channel(self, channel_id: str) -> Channel:
        """Refused with `channel_not_found`."""
        return self.state.channel(channel_id)

    def channel_by_name(self, name: str) -> Channel:
        channel = self.state.find_channel_named(name.removeprefix("#"))
        if channel is None:
            raise Refused("channel_not_found")
        return channel

    def channels_for(self, person_id: str) -> list[Channel]:
        """What their sidebar lists: rooms they are in by name, then direct messages; nothing archived."""
        mine = [c for c in self.state.channels.values() if person_id in c.members and not c.archived]
        rooms = sorted((c for c in mine if not c.is_direct), key=lambda c: c.name)
        return rooms + [c for c in mine if c.is_direct]

    def joinable(self, person_id: str) -> list[Channel]:
        """Public channels they are not in; none for a guest."""
        if self.person(person_id).is_confined:
            return []
        return sorted(
            (
                c
                for c in self.state.channels.values()
                if c.kind == "public" and not c.archived and person_id not in c.members
            ),
            key=lambda c: c.name,
        )

    def share(self, channel_id: str, team_id: str, *people: Person) -> None:
        """Share a channel with another organisation's workspace, and let its people in (Slack Connect)."""
        channel = self.channel(channel_id)
        if team_id not in channel.shared_with:
            channel.shared_with.append(team_id)
        for person in people:
            person.team_id = team_id
            self.state.keep(person)
            channel.members.append(person.id)
        self.state.keep(channel)

    def can_see(self, person_id: str, channel_id: str) -> bool:
        try:
            self.conversations.visible(person_id, channel_id)
        except Refused:
            return False
        return True

    # messages

    def history(self, channel_id: str, viewer: str) -> list[Message]:
        """Top level, oldest first, with the viewer's own ephemerals. Refused if they may not see it."""
        self.conversations.visible(viewer, channel_id)
        return self.messages.history(channel_id, viewer)

    def replies(self, channel_id: str, ts: str, viewer: str) -> list[Message]:
        """The parent, then its replies. Refused if they may not see it."""
        self.conversations.visible(viewer, channel_id)
        return self.messages.replies(channel_id, ts, viewer)

    def message(self, channel_id: str, ts: str) -> Message:
        """Refused with `message_not_found`."""
        return self.state.message(channel_id, ts)

    def permalink(self, channel_id: str, ts: str) -> str:
        """Where the page shows this message; a reply's names its thread."""
        message = self.state.message(channel_id, ts)
        link = f"{self.base_url}/archives/{channel_id}/p{ts.replace('.', '')}"
        return f"{link}?thread_ts={message.thread_ts}&cid={channel_id}" if message.is_reply else link

    def _unseen(self, person_id: str, channel_id: str) -> list[Message]:
        read = self.state.reads.get((person_id, channel_id), "")
        found = self.messages.history(channel_id, person_id)
        return [m for m in found if m.ts > read]

    def unread(self, person_id: str, channel_id: str) -> int:
        return len(self._unseen(person_id, channel_id))

    def mentions(self, person_id: str, channel_id: str) -> int:
        """Unread messages that call this person: by name, group, or the whole channel; all in a DM."""
        unseen = self._unseen(person_id, channel_id)
        if self.channel(channel_id).is_direct:
            return len(unseen)
        calls = {person_id, "here", "channel", "everyone"}
        calls |= {g.id for g in self.groups() if person_id in g.users}
        return sum(any(m.target in calls for m in broadcasts(message.text)) for message in unseen)

    # views

    def stack(self, person_id: str) -> list[View]:
        """The modals they have open, the one on top last."""
        return self.modals.stack(person_id)

    def home(self, person_id: str, app_id: str) -> View | None:
        return self.modals.home(person_id, app_id)

    # listening

    def subscribe(self) -> AbstractContextManager[AsyncIterator[Change]]:
        """Every change from now on."""
        return self.state.feed.subscribe()

    @property
    def requests(self) -> list[Request]:
        """Everything that went over the wire, in the order in which it began."""
        return self.wire.requests

    async def heard(self, wanted: Wanted, count: int = 1, timeout: float = 120.0) -> list[Request]:  # noqa: ASYNC109
        """The finished exchanges of that method, or that match; TimeoutError after `timeout` seconds."""
        return await self.wire.heard(wanted, count, timeout)

    async def begun(self, wanted: Wanted, count: int = 1, timeout: float = 120.0) -> list[Request]:  # noqa: ASYNC109
        """As `heard`, but an exchange counts as soon as it began."""
        return await self.wire.begun(wanted, count, timeout)

    def clear(self) -> None:
        """Forget what went over the wire."""
        self.wire.clear()

    async def hang_up(self) -> None:
        """End every connection and whatever is still being delivered."""
        self.state.feed.close()
        self.sockets.close()
        await self.tasks.close()
        await self.delivery.close()

    async def close(self) -> None:
        """Hang up, and close the store: nothing can be changed any more."""
        await self.hang_up()
        if self.store is not None:
            self.store.close()


def bot_name(manifest: Manifest) -> str:
    return manifest.bot_name.lower().replace(" ", "_")
