"""What a workspace is made of: people, channels, messages, views, apps, and what happened among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from slack_emulator.manifest import Manifest

Json = dict[str, Any]
Role = Literal["owner", "admin", "member", "guest", "single_channel_guest"]
ChannelKind = Literal["public", "private", "im", "mpim"]
StateValues = dict[str, dict[str, Json]]
"""block_id, then action_id, then the element's value as Slack's `view.state.values` has it."""


@dataclass
class Team:
    id: str
    name: str
    domain: str
    plan: Literal["free", "pro"] = "pro"
    """What it pays for: a free one has no channel canvases for apps to write."""
    emoji: dict[str, str] = field(default_factory=dict)
    """Custom emoji: the address of an image, or `alias:` and another emoji's name."""


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
    """The workspace they are from, for people of other workspaces; empty for ours."""
    org: str = ""
    """The organization of that workspace, where it is in one."""
    display_name: str = ""
    """What they chose to be called here; empty where they chose nothing."""
    status_text: str = ""
    status_emoji: str = ""
    presence: Literal["", "auto", "away"] = ""
    """As it was set by hand; empty if it never was."""

    @property
    def is_guest(self) -> bool:
        return self.role in ("guest", "single_channel_guest")

    @property
    def is_foreign(self) -> bool:
        """Somebody of another workspace, whom a channel brings here that is shared with it: within our own
        organization, or with another one (Slack Connect).
        """
        return bool(self.team_id)

    @property
    def is_confined(self) -> bool:
        """They see the channels they are in, and no others."""
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
    purpose: str = ""
    archived: bool = False
    is_general: bool = False
    pins: list[str] = field(default_factory=list)
    bookmarks: list[Json] = field(default_factory=list)
    shared_with: list[str] = field(default_factory=list)
    """Workspaces of other organisations that have a part in it (Slack Connect)."""
    shared_in_org: list[str] = field(default_factory=list)
    """Sister workspaces that have a part in it: those of the same organization."""

    @property
    def is_direct(self) -> bool:
        return self.kind in ("im", "mpim")


@dataclass
class Message:
    """`text` is Slack's escaped mrkdwn; `ephemeral_to` is the one person who sees an ephemeral."""

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
    """Live mentions that an app's text carries: what a page may flag as possibly unescaped input."""

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class StoredFile:
    """A file, or a canvas, which Slack counts among the files; `content` is its text."""

    id: str
    name: str
    title: str
    user: str
    created: int
    mimetype: str
    filetype: str
    channels: list[str] = field(default_factory=list)
    """Where it is shared: whoever sees one of them sees it."""
    tab_of: str = ""
    """The channel whose own canvas it is."""
    content: str = ""

    @property
    def is_canvas(self) -> bool:
        return bool(self.tab_of)


@dataclass
class ScheduledMessage:
    """A message that an app has scheduled; `draft` has the fields of the message that will be posted."""

    id: str
    app_id: str
    channel: str
    post_at: int
    created: int
    draft: Json


@dataclass
class View:
    """`payload` is what the app gave, with block and action ids filled in; `values` what is in the form."""

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
    """Access tokens that were renewed, with when each ends."""
    org: str = ""
    """The organization that it is installed in as a whole."""

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
"""What a workspace remembers across restarts."""


@dataclass
class Outcome:
    """How something a person did ended; `message` is what Slack would show them when it failed."""

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
    """Something a page may have to redraw; `person` is set when only that person sees it."""

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
    """One exchange on the wire: a Web API call, a post to a response_url, or a delivery to the app.

    `method` is Slack's method name, "response_url", or for deliveries "slash_commands", the interaction's
    type ("view_submission", ...) or "event.<type>". `at` is when it began; `took` how many seconds until it
    was answered, None while it is not (or never was, for a delivery nobody acknowledged).
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
    """As a call gave it; most methods ignore it, and `args` has what is left."""
    finished: bool = False
    lost: bool = False
    """Its answer was kept from the app, by a fault that was planned."""


class Refused(Exception):
    """The workspace says no, as Slack would: an error code and, where it gives them, its messages."""

    def __init__(self, error: str, *messages: str, **fields: object) -> None:
        super().__init__(error)
        self.error = error
        self.messages = list(messages)
        self.fields = fields
