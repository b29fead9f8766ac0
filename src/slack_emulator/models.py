"""Data of a workspace: team, users, channels, messages, files, views, apps, requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from slack_emulator.manifest import Manifest

Json = dict[str, Any]
Role = Literal["owner", "admin", "member", "guest", "single_channel_guest"]
ChannelKind = Literal["public", "private", "im", "mpim"]
StateValues = dict[str, dict[str, Json]]
"""By block_id and action_id: the element's value, as in Slack's `view.state.values`."""


@dataclass
class Team:
    id: str
    name: str
    domain: str
    plan: Literal["free", "pro"] = "pro"
    """Slack plan: on the free one, apps cannot write channel canvases."""
    emoji: dict[str, str] = field(default_factory=dict)
    """Custom emoji: the URL of an image, or `alias:` and another emoji's name."""


@dataclass
class Enterprise:
    """An organization of several workspaces (Slack, Enterprise Grid)."""

    id: str
    name: str
    domain: str = ""


@dataclass
class Person:
    id: str
    name: str
    real_name: str
    email: str
    role: Role = "member"
    deleted: bool = False
    is_bot: bool = False
    tz: str = "Europe/Amsterdam"
    color: str = "4bbe2e"
    app_id: str | None = None
    title: str = ""
    team_id: str = ""
    """The user's workspace, if it is another one; empty for this one."""
    org: str = ""
    """The organization of that workspace, if it has one."""
    display_name: str = ""
    """The user's display name; empty if the user chose none."""
    status_text: str = ""
    status_emoji: str = ""
    presence: Literal["", "auto", "away"] = ""
    """The presence that the user or app set; empty if never set."""

    @property
    def is_guest(self) -> bool:
        return self.role in ("guest", "single_channel_guest")

    @property
    def is_foreign(self) -> bool:
        """True for a user of another workspace, who is here through a shared channel.

        The other workspace is of the same organization, or of another one (Slack Connect).
        """
        return bool(self.team_id)

    @property
    def is_confined(self) -> bool:
        """True if the user sees only the channels that the user is in."""
        return self.is_guest or self.is_foreign


@dataclass
class Channel:
    id: str
    name: str
    kind: ChannelKind
    creator: str
    created: int
    members: list[str] = field(default_factory=list)
    topic: str = ""
    topic_creator: str = ""
    """The user who set the topic last; empty if it was never set."""
    topic_last_set: int = 0
    purpose: str = ""
    purpose_creator: str = ""
    purpose_last_set: int = 0
    archived: bool = False
    is_general: bool = False
    pins: list[str] = field(default_factory=list)
    bookmarks: list[Json] = field(default_factory=list)
    shared_with: list[str] = field(default_factory=list)
    """Workspaces of other organizations that share the channel (Slack Connect)."""
    shared_in_org: list[str] = field(default_factory=list)
    """Other workspaces of the same organization that share the channel."""

    @property
    def is_direct(self) -> bool:
        return self.kind in ("im", "mpim")


@dataclass
class Message:
    """A message; `text` is escaped mrkdwn, `ephemeral_to` the one user who sees an ephemeral message."""

    channel: str
    ts: str
    user: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    username: str | None = None
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    edited: Json | None = None
    metadata: Json | None = None
    reactions: list[tuple[str, list[str]]] = field(default_factory=list)
    subtype: str | None = None
    ephemeral_to: str | None = None
    deleted: bool = False
    broadcast: bool = False
    icon_emoji: str | None = None
    mentions_unescaped: list[str] = field(default_factory=list)
    """Mentions in an app's text: perhaps typed by a user and not escaped, so a page may flag them."""

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class StoredFile:
    """A file or canvas (Slack counts canvases among the files); `content` is its text."""

    id: str
    name: str
    title: str
    user: str
    created: int
    mimetype: str
    filetype: str
    channels: list[str] = field(default_factory=list)
    """Channels that it is shared in: any user who can see one of them can see the file."""
    tab_of: str = ""
    """The channel that the canvas belongs to; empty for a file."""
    content: str = ""
    alt_txt: str = ""
    """Text in place of a picture; empty if there is none."""

    @property
    def is_canvas(self) -> bool:
        return bool(self.tab_of)


@dataclass
class ScheduledMessage:
    """A message that an app has scheduled; `draft` has the fields of the message to post."""

    id: str
    app_id: str
    channel: str
    post_at: int
    created: int
    draft: Json


@dataclass
class View:
    """A modal or Home tab.

    `payload` is the app's view with block and action ids added, `values` the current state of its inputs.
    """

    id: str
    type: Literal["modal", "home"]
    user: str
    app_id: str
    payload: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    external_id: str = ""
    values: StateValues = field(default_factory=dict)


@dataclass
class InstalledApp:
    app_id: str
    name: str
    manifest: Manifest
    bot_user_id: str
    bot_id: str
    bot_token: str
    app_token: str
    signing_secret: str
    client_id: str
    client_secret: str
    verification_token: str
    installer: str
    refresh_token: str = ""
    expires_at: float | None = None
    old_tokens: dict[str, float] = field(default_factory=dict)
    """Access tokens that were renewed, with the time at which each expires."""
    org: str = ""
    """The organization, if it installed the app for all its workspaces."""
    withheld_scopes: Sequence[str] = ()
    """Optional scopes that the installing user did not grant (Slack, optional scopes)."""

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes of the bot token."""
        return self.manifest.bot_scopes.difference(self.withheld_scopes)

    def holds(self, token: str) -> bool:
        return token in (self.bot_token, self.app_token) or token in self.old_tokens


@dataclass
class UserGroup:
    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    description: str = ""


Kept = Team | Person | Channel | Message | UserGroup | InstalledApp | StoredFile | ScheduledMessage
"""Objects that a workspace saves across restarts."""


@dataclass
class Outcome:
    """Result of a user's action; `message` is the error that Slack would show the user."""

    ok: bool
    error: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    view: View | None = None
    options: list[Json] | None = None
    message: str = ""
    ts: str | None = None
    channel: str | None = None


@dataclass(frozen=True)
class Change:
    """A change that a page may have to redraw; `person` is set if only that user sees it."""

    kind: Literal[
        "message",
        "message_changed",
        "message_deleted",
        "channel",
        "member",
        "reaction",
        "view_opened",
        "view_updated",
        "view_closed",
        "home",
        "read",
        "step",
    ]
    channel: str | None = None
    person: str | None = None
    ts: str | None = None
    view: str | None = None
    text: str = ""


@dataclass
class Request:
    """One request: a Web API call, a post to a response_url, or a delivery to the app.

    `method` is Slack's method name, "response_url", or for deliveries "slash_commands", the interaction's
    type ("view_submission", ...) or "event.<type>". `at` is when it began. `took` is the seconds until it was
    answered; None until then, and for a delivery that the app never acknowledged.
    """

    direction: Literal["call", "response_url", "delivery"]
    method: str
    args: Json
    at: float
    app_id: str | None = None
    token: str = ""
    ok: bool | None = None
    error: str | None = None
    response: Json | None = None
    took: float | None = None
    envelope_id: str | None = None
    retry_attempt: int = 0
    team_id: str = ""
    """`team_id` of the call. Most methods ignore it, so that `args` lacks it."""
    finished: bool = False
    lost: bool = False
    """True if a planned fault kept the answer from the app."""


class Refused(Exception):
    """Refusal of an action or a call, with Slack's error code and, if Slack gives any, its messages."""

    def __init__(self, error: str, *messages: str, **fields: object) -> None:
        super().__init__(error)
        self.error = error
        self.messages = list(messages)
        self.fields = fields
