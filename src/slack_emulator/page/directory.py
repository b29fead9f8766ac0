"""Labels of users, channels and apps, and the choices of selects, for one viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_emulator.model import Channel, Message, Person, Refused
from slack_emulator.page.emoji import glyph
from slack_emulator.page.fields import Choice
from slack_emulator.page.moments import zone
from slack_emulator.workspace import Workspace

_ROLES = {"guest": "guest", "single_channel_guest": "guest", "owner": "owner", "admin": "admin"}
_SIGNS = {"public": "#", "private": "🔒", "mpim": "👥", "im": "@"}


@dataclass(frozen=True)
class Author:
    """The author of a message: name, icon and badges."""

    id: str
    name: str
    is_app: bool = False
    icon: str = ""
    note: str = ""
    handle: str = ""
    title: str = ""
    deactivated: bool = False


class Directory:
    def __init__(self, workspace: Workspace, viewer: str) -> None:
        self.workspace = workspace
        self.viewer = viewer
        self.tz = zone(workspace.person(viewer).tz)
        self._people = {person.id: person for person in workspace.people()}
        self._groups = {group.id: group.handle for group in workspace.groups()}
        self._apps = {app.bot_id: app for app in workspace.apps()}

    # names

    def person_label(self, person_id: str) -> str:
        person = self._people.get(person_id)
        return person.real_name or person.name if person else ""

    def group_handle(self, group_id: str) -> str:
        return self._groups.get(group_id, group_id)

    def find_channel_label(self, channel_id: str) -> str | None:
        if not self.workspace.can_see(self.viewer, channel_id):
            return None
        return self.channel_label(self.workspace.channel(channel_id))

    def channel_label(self, channel: Channel) -> str:
        if not channel.is_direct:
            return channel.name
        others = [member for member in channel.members if member != self.viewer]
        names = [self.person_label(member) for member in others]
        return ", ".join(names) or f"{self.person_label(self.viewer)} (you)"

    def sign(self, channel: Channel) -> str:
        return _SIGNS[channel.kind]

    def author(self, person: Person) -> Author:
        deactivated = person.deleted
        note = "deactivated" if deactivated else _ROLES.get(person.role, "")
        return Author(
            id=person.id,
            name=person.real_name or person.name,
            is_app=person.is_bot,
            note="" if person.is_bot else note,
            handle=person.name,
            title=person.title,
            deactivated=deactivated,
        )

    def author_of(self, message: Message) -> Author:
        """Return a message's author, for an app with the name and icon that it chose for this message."""
        icon = glyph(message.icon_emoji) if message.icon_emoji else ""
        person = self._people.get(message.user or "")
        app = self._apps.get(message.bot_id or "")
        if message.bot_id or (person is not None and person.is_bot):
            own = person.real_name if person is not None else app.name if app is not None else "App"
            return Author(message.bot_id or message.user or own, message.username or own, True, icon)
        if person is None:
            return Author(message.user or "?", message.username or "Someone", False, icon)
        author = self.author(person)
        note = author.note if author.note in ("guest", "deactivated") else ""
        return Author(author.id, author.name, note=note)

    # choices of selects

    def people_choices(self) -> list[Choice]:
        """Return the choices of a users_select (Slack, users_select: active members), apps last."""
        active = [person for person in self._people.values() if not person.deleted]
        active.sort(key=lambda p: (p.is_bot, p.real_name.casefold()))
        return [(p.id, self.author(p).name, "app" if p.is_bot else p.title) for p in active]

    def conversation_choices(self, filter: Mapping[str, Any]) -> list[Choice]:
        """Return the choices of a conversations_select (Slack, conversations_select).

        They are the viewer's conversations and all public channels; `filter.include` limits the kinds.
        """
        wanted = filter.get("include") or list(_SIGNS)
        without_apps = bool(filter.get("exclude_bot_users"))
        return [
            (c.id, f"{_SIGNS[c.kind]} {self.channel_label(c)}", "")
            for c in [*self.workspace.channels_for(self.viewer), *self.workspace.joinable(self.viewer)]
            if c.kind in wanted and not (without_apps and self._has_app(c))
        ]

    def _has_app(self, channel: Channel) -> bool:
        return channel.kind == "im" and any(
            self._people[member].is_bot for member in channel.members if member in self._people
        )

    def channel_choices(self) -> list[Choice]:
        """Return the choices of a channels_select (Slack, channels_select: public channels only)."""
        return self.conversation_choices({"include": ["public"]})


def seen_channel(workspace: Workspace, viewer: str, channel_id: str) -> Channel | None:
    """Return the channel. Returns None if it does not exist or the viewer may not see it."""
    try:
        return workspace.channel(channel_id) if workspace.can_see(viewer, channel_id) else None
    except Refused:
        return None
