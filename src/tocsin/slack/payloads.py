"""Models of Slack's payloads: commands, shortcuts, actions, submissions, suggestions and events.

Only what is used is read, and everything that Slack may leave out is optional. Field names are Slack's.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field

from tocsin.incidents.model import ChannelId, FrozenModel, MessageTs, Person, PersonId, TeamId


class Team(FrozenModel):
    id: TeamId
    domain: str | None = None


class Enterprise(FrozenModel):
    """An organization of several workspaces."""

    id: str = ""


class User(FrozenModel):
    id: PersonId
    name: str | None = None
    username: str | None = None
    team_id: TeamId | None = None


class ChannelRef(FrozenModel):
    id: ChannelId
    name: str | None = None


class Option(FrozenModel):
    value: str = ""


class Action(FrozenModel):
    """The button or select that was used (Slack, block_actions payload: an element of `actions`)."""

    action_id: str = ""
    block_id: str = ""
    value: str | None = None
    selected_option: Option | None = None


class ViewState(FrozenModel):
    values: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)


class OpenView(FrozenModel):
    """A modal, or a Home tab, as Slack hands it back."""

    id: str
    type: str = "modal"
    hash: str | None = None
    callback_id: str = ""
    private_metadata: str = ""
    state: ViewState | None = None
    root_view_id: str | None = None
    team_id: TeamId | None = None
    app_installed_team_id: str | None = None
    """The workspace that the app is installed in, and that the view is of; with an org-wide install it may
    be the organization."""

    @property
    def team(self) -> TeamId | None:
        """The workspace that the view is of, which may be another than its reader's."""
        installed = self.app_installed_team_id
        return TeamId(installed) if installed and not installed.startswith("E") else self.team_id

    @property
    def values(self) -> dict[str, dict[str, dict[str, Any]]]:
        return self.state.values if self.state else {}


class SlashCommand(FrozenModel):
    """A slash command (Slack, app command payload: flat, all strings)."""

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
        """The organization of the workspace, where it is in one."""
        return self.enterprise_id or ""


class Interaction(FrozenModel):
    """The fields of every interactive payload: user, team, channel, and a trigger to open a view with."""

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
        """The workspace: in a view that of the view, also for a person of another one who has it open from a
        shared channel; elsewhere an org-wide install leaves `team` out, and the person's own stands in.
        """
        if self.view is not None and self.view.team:
            return self.view.team
        return self.team.id if self.team else self.user.team_id or TeamId("")

    @property
    def org(self) -> str:
        """The organization of the workspace, where it is in one."""
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

    @property
    def _action(self) -> Action:
        return self.actions[0] if self.actions else Action()

    @property
    def action_id(self) -> str:
        return self._action.action_id

    @property
    def value(self) -> str:
        """The value of a button; empty where it has none."""
        return self._action.value or ""

    @property
    def selected_value(self) -> str:
        """The value of the option that was chosen in a menu; empty where none was."""
        return self._action.selected_option.value if self._action.selected_option else ""


class BlockSuggestion(Interaction):
    """Text typed in an external select (Slack, block_suggestion payload)."""

    action_id: str
    value: str = ""


Payload = SlashCommand | Shortcut | BlockAction | ViewSubmission | BlockSuggestion
"""What a person did, and may be answered; an event is told of, and answered with nothing."""


class Authorization(FrozenModel):
    """An installation that an event is meant for (Slack, Events API)."""

    team_id: TeamId | None = None
    enterprise_id: str | None = None


class EventCallback(FrozenModel):
    """Something happened in the workspace (Slack, Events API: the envelope, and the event in it)."""

    event_id: str
    event: dict[str, Any]
    team_id: TeamId = TeamId("")
    authorizations: tuple[Authorization, ...] = ()
    enterprise_id: str | None = None
    is_ext_shared_channel: bool = False
    """It happened in a channel that another organisation reads."""

    @property
    def kind(self) -> str:
        """The name it is subscribed to by: `reaction_added`, or `message.im` for a message in one."""
        kind = str(self.event.get("type") or "")
        return f"message.{self._room}" if kind == "message" else kind

    @property
    def _room(self) -> str:
        """Slack, message event: `channel_type` is channel, group, im or mpim."""
        room = str(self.event.get("channel_type") or "")
        return {"channel": "channels", "group": "groups"}.get(room, room)

    @property
    def user(self) -> PersonId | None:
        """The person that the event names, if it names one."""
        user = self.event.get("user")
        return PersonId(user) if isinstance(user, str) else None

    @property
    def by(self) -> Person:
        return Person(slack_user_id=self.user)

    @property
    def served_team(self) -> TeamId:
        """The workspace that hears of it: in a channel shared with others, the one where Tocsin is."""
        ours = next((found.team_id for found in self.authorizations if found.team_id), None)
        return ours or self.team_id

    @property
    def org(self) -> str:
        """The organization of the workspace, where it is in one."""
        ours = next((found.enterprise_id for found in self.authorizations if found.enterprise_id), None)
        return ours or self.enterprise_id or ""

    @property
    def message(self) -> tuple[ChannelId, MessageTs] | None:
        """The message that was reacted to or pinned; None where it was something else."""
        item = self.event.get("item")
        if not isinstance(item, dict) or item.get("type") != "message":
            return None
        pinned = item.get("message")
        ts = item.get("ts") or (pinned.get("ts") if isinstance(pinned, dict) else None)
        channel = item.get("channel")
        if not isinstance(channel, str) or not isinstance(ts, str):
            return None
        return ChannelId(channel), MessageTs(ts)
