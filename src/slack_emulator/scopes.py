"""Bot scopes, and the scopes that Web API methods and events need."""

from collections.abc import Collection
from types import MappingProxyType
from typing import Final

Alternatives = tuple[frozenset[str], ...]

_CHANNELS = ("channels", "groups", "im", "mpim")
# The kind of conversation that each of Slack's scope families is for.
KIND_OF_FAMILY: Final = MappingProxyType(
    {"channels": "public", "groups": "private", "im": "im", "mpim": "mpim"}
)

# Slack, scopes reference: the scopes of bot tokens, by family.
_FAMILIES = {
    "app_mentions": "read",
    "assistant": "write",
    "bookmarks": "read write",
    "calls": "read write",
    "canvases": "read write",
    "channels": "history join manage read write.invites write.topic",
    "chat": "write write.customize write.public",
    "commands": "",
    "conversations.connect": "manage read write",
    "datastore": "read write",
    "dnd": "read",
    "emoji": "read",
    "files": "read write",
    "groups": "history read write write.invites write.topic",
    "im": "history read write write.topic",
    "incoming-webhook": "",
    "links": "read write",
    "links.embed": "write",
    "lists": "read write",
    "metadata.message": "read",
    "mpim": "history read write write.invites write.topic",
    "pins": "read write",
    "reactions": "read write",
    "reminders": "read write",
    "remote_files": "read share write",
    "search": "read.files read.public read.users",
    "team": "read",
    "team.billing": "read",
    "team.preferences": "read",
    "tokens.basic": "",
    "triggers": "read write",
    "usergroups": "read write",
    "users": "read read.email write",
    "users.profile": "read",
    "workflow.steps": "execute",
}
BOT_SCOPES: Final = frozenset(
    f"{family}:{action}".removesuffix(":")
    for family, actions in _FAMILIES.items()
    for action in actions.split(" ")
)


def _any(*scopes: str) -> Alternatives:
    return tuple(frozenset([scope]) for scope in scopes)


def _families(*actions: str, families: tuple[str, ...] = _CHANNELS) -> dict[str, Alternatives]:
    """Return, by kind of conversation, the alternative scopes (`channels:history`, `groups:history`, ...)."""
    return {KIND_OF_FAMILY[family]: _any(*(f"{family}:{act}" for act in actions)) for family in families}


_NONE: Alternatives = (frozenset(),)
_READ = _families("read")
_HISTORY = _families("history")
# Slack, channels:manage: for public channels the scope is `manage`, where other families have `write`.
_WRITE = {**_families("write", families=("groups", "im", "mpim")), "public": _any("channels:manage")}
_INVITE = {
    "public": _any("channels:manage", "channels:write.invites"),
    "private": _any("groups:write", "groups:write.invites"),
    "mpim": _any("mpim:write", "mpim:write.invites"),
}
_TOPIC = {
    "public": _any("channels:manage", "channels:write.topic"),
    "private": _any("groups:write", "groups:write.topic"),
    "im": _any("im:write", "im:write.topic"),
    "mpim": _any("mpim:write", "mpim:write.topic"),
}

# Slack, conversations.* references: the scope depends on the kind of conversation.
SCOPES_BY_KIND: Final[MappingProxyType[str, dict[str, Alternatives]]] = MappingProxyType(
    {
        "conversations.archive": _WRITE,
        "conversations.close": _WRITE,
        "conversations.create": {"public": _WRITE["public"], "private": _WRITE["private"]},
        "conversations.history": _HISTORY,
        "conversations.info": _READ,
        "conversations.invite": _INVITE,
        "conversations.join": {"public": _any("channels:join")},
        "conversations.kick": _WRITE,
        "conversations.leave": _WRITE,
        "conversations.list": _READ,
        "conversations.mark": _WRITE,
        "conversations.members": _READ,
        "conversations.open": {"im": _WRITE["im"], "mpim": _WRITE["mpim"]},
        "conversations.rename": _WRITE,
        "conversations.replies": _HISTORY,
        "conversations.setPurpose": _TOPIC,
        "conversations.setTopic": _TOPIC,
        "conversations.unarchive": _WRITE,
        "users.conversations": _READ,
    }
)

_FIXED: dict[str, Alternatives] = {
    **dict.fromkeys(
        (
            "api.test",
            "auth.revoke",
            "auth.test",
            "blocks.validate",
            "chat.getPermalink",
            "entity.acknowledgeCommentAction",
            "entity.presentComments",
            "entity.presentDetails",
            "functions.completeError",
            "functions.completeSuccess",
            "oauth.v2.access",
            "views.open",
            "views.publish",
            "views.push",
            "views.update",
        ),
        _NONE,
    ),
    # Needs an app-level token (`connections:write`), and no bot scope.
    "apps.connections.open": _NONE,
    **dict.fromkeys(("bookmarks.add", "bookmarks.edit", "bookmarks.remove"), _any("bookmarks:write")),
    # Slack, changelog 2026-03-05: either scope is enough for the status.
    "assistant.threads.setStatus": _any("chat:write", "assistant:write"),
    **dict.fromkeys(
        ("assistant.threads.setSuggestedPrompts", "assistant.threads.setTitle"), _any("assistant:write")
    ),
    "bookmarks.list": _any("bookmarks:read"),
    "bots.info": _any("users:read"),
    **dict.fromkeys(
        ("canvases.create", "canvases.edit", "canvases.delete", "conversations.canvases.create"),
        _any("canvases:write"),
    ),
    **dict.fromkeys(
        (
            "chat.appendStream",
            "chat.delete",
            "chat.deleteScheduledMessage",
            "chat.meMessage",
            "chat.postEphemeral",
            "chat.postMessage",
            "chat.scheduleMessage",
            "chat.startStream",
            "chat.stopStream",
            "chat.update",
        ),
        _any("chat:write"),
    ),
    "chat.scheduledMessages.list": _NONE,
    "chat.unfurl": _any("links:write"),
    "dnd.info": _any("dnd:read"),
    "dnd.teamInfo": _any("dnd:read"),
    "emoji.list": _any("emoji:read"),
    **dict.fromkeys(
        ("files.completeUploadExternal", "files.delete", "files.getUploadURLExternal"), _any("files:write")
    ),
    **dict.fromkeys(("files.info", "files.list"), _any("files:read")),
    **dict.fromkeys(("pins.add", "pins.remove"), _any("pins:write")),
    "pins.list": _any("pins:read"),
    **dict.fromkeys(("reactions.add", "reactions.remove"), _any("reactions:write")),
    **dict.fromkeys(("reactions.get", "reactions.list"), _any("reactions:read")),
    "team.info": _any("team:read"),
    **dict.fromkeys(
        (
            "usergroups.create",
            "usergroups.disable",
            "usergroups.enable",
            "usergroups.update",
            "usergroups.users.update",
        ),
        _any("usergroups:write"),
    ),
    **dict.fromkeys(("usergroups.list", "usergroups.users.list"), _any("usergroups:read")),
    **dict.fromkeys(("users.getPresence", "users.info", "users.list"), _any("users:read")),
    "users.lookupByEmail": (frozenset(["users:read.email"]),),
    "users.profile.get": _any("users.profile:read"),
    "users.setPresence": _any("users:write"),
}

# Any one of the alternatives allows the call; an empty alternative means that it needs no scope.
SCOPES_OF_METHOD: Final[MappingProxyType[str, Alternatives]] = MappingProxyType(
    {
        **_FIXED,
        **{
            method: tuple(dict.fromkeys(scopes for alternatives in kinds.values() for scopes in alternatives))
            for method, kinds in SCOPES_BY_KIND.items()
        },
    }
)


def needed_scopes(method: str, granted: Collection[str], kind: str | None = None) -> str | None:
    """Return the `needed` of a `missing_scope` error, comma-separated. Returns None if the call is allowed.

    `kind` is the conversation's: public, private, im or mpim; without it, a scope of any kind is enough. A
    method that is not in the table needs none.
    """
    by_kind = SCOPES_BY_KIND.get(method, {})
    alternatives = by_kind.get(kind) if kind else None
    alternatives = alternatives or SCOPES_OF_METHOD.get(method, _NONE)
    if any(scopes.issubset(granted) for scopes in alternatives):
        return None
    return ",".join(dict.fromkeys(scope for scopes in alternatives for scope in sorted(scopes)))


_MESSAGES = {
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
}
_LIFE = (
    "archive",
    "created",
    "deleted",
    "left",
    "rename",
    "unarchive",
    "shared",
    "unshared",
    "history_changed",
)

_OF_CHANNELS_ONLY = ("created", "shared", "unshared")

# Slack, events reference: the scopes that an app needs to get each event.
SCOPES_OF_EVENT: Final[MappingProxyType[str, Alternatives]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "app_home_opened",
                "call_rejected",
                "entity_comments_requested",
                "app_rate_limited",
                "app_uninstalled",
                "grid_migration_finished",
                "grid_migration_started",
                "team_access_granted",
                "team_access_revoked",
                "entity_details_requested",
                "function_executed",
                "tokens_revoked",
                "url_verification",
            ),
            _NONE,
        ),
        **{event: _any(scope) for event, scope in _MESSAGES.items()},
        "message.app_home": _any("im:history"),
        **{f"channel_{act}": _any("channels:read") for act in _LIFE},
        "channel_created": _any("channels:read"),
        "channel_shared": _any("channels:read", "groups:read"),
        "channel_unshared": _any("channels:read", "groups:read"),
        "channel_id_changed": _any("channels:read"),
        "channel_history_changed": _any("channels:history", "groups:history", "mpim:history"),
        **{f"group_{act}": _any("groups:read") for act in _LIFE if act not in _OF_CHANNELS_ONLY},
        "group_close": _any("groups:read"),
        "group_open": _any("groups:read"),
        "group_history_changed": _any("groups:history"),
        **{f"im_{act}": _any("im:read") for act in ("close", "created", "open")},
        "im_history_changed": _any("im:history"),
        **dict.fromkeys(
            ("agent_session_stopped", "agent_session_title_changed", "message_stream_stopped"),
            _any("chat:write"),
        ),
        "app_context_changed": _any("assistant:write"),
        "channel_posting_permissions": _any(*_MESSAGES.values()),
        "email_domain_changed": _any("team:read"),
        "user_connection": _any("users:write"),
        **{f"file_comment_{act}": _any("files:read") for act in ("added", "deleted", "edited")},
        "app_mention": _any("app_mentions:read"),
        "assistant_thread_context_changed": _NONE,
        "assistant_thread_started": _NONE,
        "dnd_updated_user": _any("dnd:read"),
        "emoji_changed": _any("emoji:read"),
        **{
            f"file_{act}": _any("files:read")
            for act in ("change", "created", "deleted", "public", "shared", "unshared")
        },
        "link_shared": _any("links:read"),
        "member_joined_channel": _any("channels:read", "groups:read", "mpim:read"),
        "member_left_channel": _any("channels:read", "groups:read"),
        **{
            f"message_metadata_{act}": _any("metadata.message:read")
            for act in ("deleted", "posted", "updated")
        },
        **dict.fromkeys(("pin_added", "pin_removed"), _any("pins:read")),
        **dict.fromkeys(("reaction_added", "reaction_removed"), _any("reactions:read")),
        **{f"subteam_{act}": _any("usergroups:read") for act in ("created", "members_changed", "updated")},
        "subteam_self_added": _any("usergroups:read"),
        "subteam_self_removed": _any("usergroups:read"),
        "team_domain_change": _any("team:read"),
        "team_rename": _any("team:read"),
        "team_join": _any("users:read"),
        "user_change": _any("users:read"),
        "user_profile_changed": _any("users.profile:read"),
        "user_status_changed": _any("users:read"),
        "user_huddle_changed": _any("users:read"),
        **{
            f"shared_channel_invite_{act}": _any("conversations.connect:manage", "conversations.connect:read")
            for act in ("accepted", "approved", "declined", "received", "requested")
        },
    }
)
