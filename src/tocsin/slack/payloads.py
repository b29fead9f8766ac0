"""Models of Slack's payloads: commands, shortcuts, actions, submissions, suggestions and events.

The models have only the fields that Tocsin uses, by Slack's names; fields that Slack may omit are optional,
and null is the same as omitted.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field, model_validator

from tocsin.incidents.model import ChannelId, FrozenModel, MessageTs, Person, PersonId, TeamId


class SlackObject(FrozenModel):
    """An object in a payload; a field that is null has its default value."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict) or None not in given.values():
            return given
        return {name: value for name, value in given.items() if value is not None}


class Team(SlackObject):
    id: TeamId
    domain: str | None = None


class Enterprise(SlackObject):
    """An organization of several workspaces."""

    id: str = ""


class User(SlackObject):
    id: PersonId
    name: str | None = None
    username: str | None = None
    team_id: TeamId | None = None


class ChannelRef(SlackObject):
    id: ChannelId
    name: str | None = None


class Option(SlackObject):
    value: str = ""


class Action(SlackObject):
    """The button or select that was used (Slack, block_actions payload: an element of `actions`)."""

    action_id: str = ""
    block_id: str = ""
    value: str | None = None
    selected_option: Option | None = None


class Container(SlackObject):
    """The message or view that an interaction happened in (Slack, block_actions payload: `container`)."""

    message_ts: MessageTs | None = None


class ViewState(SlackObject):
    values: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)


class OpenView(SlackObject):
    """A modal or Home tab in a payload."""

    id: str
    type: str = "modal"
    hash: str | None = None
    callback_id: str = ""
    private_metadata: str = ""
    state: ViewState | None = None
    root_view_id: str | None = None
    external_ref: dict[str, Any] | None = None
    """Reference of the Work Object in whose comments something was written."""
    entity_url: str | None = None
    team_id: TeamId | None = None
    app_installed_team_id: str | None = None
    """Workspace in which the app that opened the view is installed; the organization if it is org-wide."""

    @property
    def team(self) -> TeamId | None:
        """Workspace in which the view was opened; its reader may belong to another one."""
        installed = self.app_installed_team_id
        return TeamId(installed) if installed and not installed.startswith("E") else self.team_id

    @property
    def values(self) -> dict[str, dict[str, dict[str, Any]]]:
        return self.state.values if self.state else {}


class SlashCommand(SlackObject):
    """A slash command (Slack, app command payload: a flat object of strings)."""

    command: str
    text: str = ""
    team_id: TeamId
    enterprise_id: str | None = None
    channel_id: ChannelId
    user_id: PersonId
    user_name: str | None = None
    trigger_id: str
    response_url: str | None = None

    @cached_property
    def by(self) -> Person:
        return Person(slack_user_id=self.user_id, name=self.user_name)

    @property
    def org(self) -> str:
        """Id of the workspace's organization; empty if it has none."""
        return self.enterprise_id or ""


class Interaction(SlackObject):
    """Fields of every interactive payload: user, team, channel, and a trigger for opening a view."""

    user: User
    team: Team | None = None
    enterprise: Enterprise | None = None
    trigger_id: str | None = None
    response_url: str | None = None
    channel: ChannelRef | None = None
    view: OpenView | None = None

    @cached_property
    def by(self) -> Person:
        return Person(slack_user_id=self.user.id, name=self.user.name or self.user.username)

    @property
    def team_id(self) -> TeamId:
        """Workspace of the interaction.

        For a view it is the view's, since a person of another workspace may have opened it in a shared
        channel. Otherwise it is `team`, or the person's own workspace, because Slack omits `team` for an
        org-wide installation.
        """
        if self.view is not None and self.view.team:
            return self.view.team
        return self.team.id if self.team else self.user.team_id or TeamId("")

    @property
    def org(self) -> str:
        """Id of the workspace's organization; empty if it has none."""
        return self.enterprise.id if self.enterprise else ""


class Shortcut(Interaction):
    """A global shortcut, or a message shortcut with its message."""

    callback_id: str
    message_ts: MessageTs | None = None
    message: dict[str, Any] = Field(default_factory=dict)


class ViewSubmission(Interaction):
    view: OpenView


class BlockAction(Interaction):
    actions: tuple[Action, ...] = ()
    container: Container = Container()

    @property
    def _action(self) -> Action:
        return self.actions[0] if self.actions else Action()

    @property
    def action_id(self) -> str:
        return self._action.action_id

    @property
    def message_ts(self) -> MessageTs:
        """Timestamp of the message with the button; empty if it is in a view."""
        return self.container.message_ts or MessageTs("")

    @property
    def value(self) -> str:
        """Value of the pressed button; empty if it has none."""
        return self._action.value or ""

    @property
    def selected_value(self) -> str:
        """Value of the option chosen in a menu; empty if none was."""
        return self._action.selected_option.value if self._action.selected_option else ""


class BlockSuggestion(Interaction):
    """Text typed in an external select (Slack, block_suggestion payload)."""

    action_id: str
    value: str = ""


Payload = SlashCommand | Shortcut | BlockAction | ViewSubmission | BlockSuggestion
"""A payload of a person's interaction, which is answered; an event is only acknowledged."""


class Authorization(SlackObject):
    """An installation that an event was sent to (Slack, Events API: `authorizations`)."""

    team_id: TeamId | None = None
    enterprise_id: str | None = None


class EventCallback(SlackObject):
    """An event with its envelope (Slack, Events API)."""

    event_id: str
    event: dict[str, Any]
    team_id: TeamId = TeamId("")
    authorizations: tuple[Authorization, ...] = ()
    enterprise_id: str | None = None
    is_ext_shared_channel: bool = False
    """True if it happened in a channel that is shared with another organisation."""

    @property
    def kind(self) -> str:
        """Name of the event's subscription: `reaction_added`, or `message.im` for a direct message."""
        kind = str(self.event.get("type") or "")
        return f"message.{self._room}" if kind == "message" else kind

    @property
    def _room(self) -> str:
        """Last part of a message event's name, from its `channel_type`: channel, group, im or mpim."""
        room = str(self.event.get("channel_type") or "")
        return {"channel": "channels", "group": "groups"}.get(room, room)

    @property
    def user(self) -> PersonId | None:
        """User of the event; None if it has none."""
        user = self.event.get("user")
        return PersonId(user) if isinstance(user, str) else None

    @property
    def by(self) -> Person:
        return Person(slack_user_id=self.user)

    @property
    def served_team(self) -> TeamId:
        """Workspace to which the event was sent; in a shared channel it may happen in another one."""
        ours = next((found.team_id for found in self.authorizations if found.team_id), None)
        return ours or self.team_id

    @property
    def org(self) -> str:
        """Id of the workspace's organization; empty if it has none."""
        ours = next((found.enterprise_id for found in self.authorizations if found.enterprise_id), None)
        return ours or self.enterprise_id or ""

    @property
    def message(self) -> tuple[ChannelId, MessageTs] | None:
        """Channel and `ts` of the message with the reaction or pin; None for other items."""
        item = self.event.get("item")
        if not isinstance(item, dict) or item.get("type") != "message":
            return None
        pinned = item.get("message")
        ts = item.get("ts") or (pinned.get("ts") if isinstance(pinned, dict) else None)
        channel = item.get("channel")
        if not isinstance(channel, str) or not isinstance(ts, str):
            return None
        return ChannelId(channel), MessageTs(ts)
