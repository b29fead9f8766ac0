"""A Slack workspace: its users, channels, apps and everything that happens in it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import replace

from slack_emulator.assistant_threads import AssistantThreads
from slack_emulator.channels import Bookmarks, Conversations
from slack_emulator.clock import Clock, TurnableClock
from slack_emulator.delivery import Delivery
from slack_emulator.entity_comments import EntityComments
from slack_emulator.events import Events, Tasks
from slack_emulator.faults import Faults, Rates
from slack_emulator.files import Files
from slack_emulator.interactions import Commands, Interactions
from slack_emulator.manifest import Manifest
from slack_emulator.message_streams import Streams
from slack_emulator.messages import Messages
from slack_emulator.models import (
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
from slack_emulator.payloads import Payloads
from slack_emulator.request_log import RequestLog, Wanted
from slack_emulator.response_urls import ResponseUrls
from slack_emulator.scheduled_messages import ScheduledMessages
from slack_emulator.socket_mode import Sockets
from slack_emulator.state import State, Store, new_id
from slack_emulator.unfurls import Unfurls
from slack_emulator.user_actions import UserActions
from slack_emulator.views import Views
from slack_emulator.workflow_steps import StepRuns


class Workspace:
    """A workspace put together from its parts; what users do is offered here by its name."""

    def __init__(
        self,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        base_url: str = "http://127.0.0.1:8080",
    ) -> None:
        self.clock: Clock = clock or TurnableClock()
        self.store = store
        self.state = State(store, self.clock)
        self.request_log = RequestLog(self.clock)
        self.faults = Faults()
        self.rates = Rates(self.clock)
        self.tasks = Tasks()
        self.sockets = Sockets()
        self.delivery = Delivery(self.clock, self.sockets, self.request_log)
        self.events = Events(self.state, self.delivery, self.tasks)
        self.messages = Messages(self.state, self.events)
        self.conversations = Conversations(self.state, self.events, self.messages)
        self.bookmarks = Bookmarks(self.state)
        self.files = Files(self.state, self.messages)
        self.views = Views(self.state)
        self.steps = StepRuns(self.state, self.events)
        self.unfurls = Unfurls(self.state, self.events, self.messages, self.views)
        self.messages.listeners.append(self.unfurls.on_message)
        self.scheduled = ScheduledMessages(self.state, self.messages, self.tasks)
        self.streams = Streams(self.state, self.messages)
        self.assistant_threads = AssistantThreads(self.state, self.events, self.messages, self.conversations)
        self.messages.listeners.append(self.assistant_threads.on_message)
        self.lacking: set[str] = set()
        """Methods of Slack's that an app called and that are not here."""
        self.response_urls = ResponseUrls(self.state, self.messages)
        self.base_url = base_url
        self.payloads = Payloads(self.state)
        shared = self.state, self.conversations, self.views, self.response_urls, self.delivery
        self.commands = Commands(*shared, self.payloads)
        self.interactions = Interactions(*shared, self.events, self.tasks, self.payloads)
        self.entity_comments = EntityComments(
            self.state, self.events, self.views, self.delivery, self.payloads
        )
        self.actions = UserActions(
            self.state, self.messages, self.conversations, self.assistant_threads, self.commands
        )
        self._offer()

    def _offer(self) -> None:
        """Name here what users do and read: `workspace.say(user, channel, text)`."""
        self.command = self.commands.command
        self.message_shortcut = self.commands.message_shortcut
        self.global_shortcut = self.commands.global_shortcut
        self.unread = self.messages.unread
        self.mentions = self.messages.mentions
        self.press = self.interactions.press
        self.press_entity = self.interactions.press_entity
        self.type_into = self.interactions.type_into
        self.suggest = self.interactions.suggest
        self.submit = self.interactions.submit
        self.dismiss = self.interactions.dismiss
        self.open_home = self.interactions.open_home
        self.say = self.actions.say
        self.edit = self.actions.edit
        self.delete = self.actions.delete
        self.react = self.actions.react
        self.unreact = self.actions.unreact
        self.pin = self.actions.pin
        self.unpin = self.actions.unpin
        self.mark_read = self.actions.mark_read
        self.create_channel = self.actions.create_channel
        self.open_dm = self.actions.open_dm
        self.join = self.actions.join
        self.leave = self.actions.leave
        self.invite = self.actions.invite
        self.kick = self.actions.kick
        self.archive = self.actions.archive
        self.unarchive = self.actions.unarchive
        self.set_topic = self.actions.set_topic
        self.set_purpose = self.actions.set_purpose
        self.open_assistant = self.actions.open_assistant
        self.view_beside_assistant = self.actions.view_beside_assistant

    def share_sockets(self, sockets: Sockets) -> None:
        """Deliver over connections that an app holds for several workspaces."""
        self.sockets = sockets
        self.delivery.sockets = sockets

    @property
    def base_url(self) -> str:
        """Address that this workspace is served at, without a final slash; set once the port is known."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self._base_url = url.rstrip("/")
        self.response_urls.base_url = self._base_url

    # apps

    def install(self, manifest: Manifest, *, installer: str | None = None) -> InstalledApp:
        """Install an app, or give the one already installed under this name its new manifest.

        Tokens stay the same across restarts.
        """
        known = next((a for a in self.state.apps.values() if a.name == manifest.name), None)
        if known is not None:
            known.manifest = manifest
            self.state.save(known)
            bot = self.person(known.bot_user_id)
            bot.name, bot.real_name = bot_name(manifest), manifest.bot_name
            self.state.save(bot)
            return known
        app = replace(
            new_app(manifest),
            bot_user_id=new_id("U"),
            bot_id=new_id("B"),
            bot_token="xoxb-" + secrets.token_hex(16),
            installer=installer or self._owner(),
        )
        self.state.save(bot_user(app))
        self.state.save(app)
        return app

    def add_app(self, app: InstalledApp, bot: Person) -> None:
        """An app that was agreed to elsewhere is installed here, or has other tokens."""
        known = self.state.people.get(bot.id)
        if known is None or known.deleted:
            self.state.save(bot)
        self.state.save(replace(app))

    def remove_app(self, app_id: str) -> None:
        """An app is here no more; what its bot wrote stays."""
        bot = self.state.people.get(self.app(app_id).bot_user_id)
        if bot is not None:
            bot.deleted = True
            self.state.save(bot)
        self.state.remove_app(app_id)

    async def verify_endpoint(self, app_id: str) -> bool:
        """Returns True if the address that the manifest gives for events answers Slack's challenge."""
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
        """The channels in their sidebar: rooms by name, then direct messages; nothing archived."""
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
            self.state.save(person)
            channel.members.append(person.id)
        self.state.save(channel)

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
        """Address of a message on the page; that of a reply names its thread."""
        message = self.state.message(channel_id, ts)
        link = f"{self.base_url}/archives/{channel_id}/p{ts.replace('.', '')}"
        return f"{link}?thread_ts={message.thread_ts}&cid={channel_id}" if message.is_reply else link

    # views

    def stack(self, person_id: str) -> list[View]:
        """The modals they have open, the one on top last."""
        return self.views.stack(person_id)

    def home(self, person_id: str, app_id: str) -> View | None:
        return self.views.home(person_id, app_id)

    # listening

    def subscribe(self) -> AbstractContextManager[AsyncIterator[Change]]:
        """Every change from now on."""
        return self.state.feed.subscribe()

    @property
    def requests(self) -> list[Request]:
        """Everything that went over the wire, in the order in which it began."""
        return self.request_log.requests

    async def heard(self, wanted: Wanted, count: int = 1, timeout: float = 120.0) -> list[Request]:  # noqa: ASYNC109
        """The finished exchanges of that method, or that match; TimeoutError after `timeout` seconds."""
        return await self.request_log.wait_finished(wanted, count, timeout)

    async def begun(self, wanted: Wanted, count: int = 1, timeout: float = 120.0) -> list[Request]:  # noqa: ASYNC109
        """As `heard`, but an exchange counts as soon as it began."""
        return await self.request_log.wait_begun(wanted, count, timeout)

    def clear(self) -> None:
        """Forget what went over the wire."""
        self.request_log.clear()

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


def new_app(manifest: Manifest) -> InstalledApp:
    """An app as it is made at api.slack.com/apps: with its secrets, and installed nowhere."""
    app_id = new_id("A")
    return InstalledApp(
        app_id=app_id,
        name=manifest.name,
        manifest=manifest,
        bot_user_id="",
        bot_id="",
        bot_token="",
        app_token="xapp-1-" + app_id + "-" + secrets.token_hex(16),
        signing_secret=secrets.token_hex(16),
        client_id=f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}",
        client_secret=secrets.token_hex(16),
        verification_token=secrets.token_hex(12),
        installer="",
    )


def bot_user(app: InstalledApp) -> Person:
    """The user that an installed app acts as."""
    return Person(
        id=app.bot_user_id,
        name=bot_name(app.manifest),
        real_name=app.manifest.bot_name,
        email="",
        is_bot=True,
        color="e06b56",
        app_id=app.app_id,
    )
