"""What Slack's error codes mean to a person, and who can mend what they complain of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOKEN = frozenset(
    {
        "account_inactive",
        "app_uninstalled",
        "invalid_auth",
        "not_authed",
        "org_login_required",
        "token_expired",
        "token_revoked",
    }
)
"""Slack does not take our token any more: nothing can be done or said until the operator mends that."""

UNREADABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})
"""Slack, chat.postMessage: the message itself is at fault, and a plain one may pass."""

_GONE = "Slack does not show that channel to Tocsin; invite Tocsin there, or check the channel's id"
_POLICY = "this workspace does not allow apps to do that; a workspace owner can change it"
_INSTALL = "Tocsin's Slack app lacks a permission{scope}; a workspace admin can install it again"
_MEANINGS = {
    "cant_invite": "Slack does not let Tocsin invite them",
    "channel_not_found": _GONE,
    "ekm_access_denied": _POLICY,
    "expired_trigger_id": "Slack waits three seconds for a form, and it took longer",
    "invalid_trigger_id": "Slack waits three seconds for a form, and it took longer",
    "is_archived": "the channel is archived; somebody can unarchive it",
    "method_not_supported_for_channel_type": "that kind of conversation does not allow it",
    "missing_scope": _INSTALL,
    "no_permission": _POLICY,
    "not_allowed_token_type": _INSTALL,
    "not_in_channel": "Tocsin is not in that channel; invite it there",
    "org_user_not_in_team": "they are in another workspace of the organization",
    "restricted_action": _POLICY,
    "restricted_action_read_only_channel": "only some people may post in that channel",
    "restricted_action_thread_only_channel": "that channel allows posts in threads only",
    "team_access_not_granted": _POLICY,
    "thread_not_found": "the message is gone",
    "too_many_bookmarks": "the channel has as many bookmarks as Slack allows",
    "too_many_pins": "the channel has as many pins as Slack allows",
    "user_is_restricted": "guests may not do that",
    "user_not_found": "Slack does not know that person",
}


def meaning(code: str, body: Mapping[str, Any]) -> str:
    """Why Slack said no, without a full stop; empty for a code that we have no words for."""
    needed = str(body.get("needed") or "")
    return _MEANINGS.get(code, "").format(scope=f" ({needed})" if needed else "")
