"""Users of a workspace: their accounts, user groups and channel memberships, asked of Slack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId, Person, PersonId
from tocsin.incidents.parsing import folded_name
from tocsin.incidents.permissions import Membership
from tocsin.slack.rate_limiter import Urgency
from tocsin.slack.shared_channels import Readership
from tocsin.slack.web_api import Calls

# Who somebody is in a workspace, read from what Slack says of them.


@dataclass(frozen=True)
class Home:
    """The workspace that is ours, and the organisation it belongs to, if any."""

    team: str
    enterprise: str = ""


@dataclass(frozen=True)
class Account:
    """Somebody as a workspace knows them."""

    person: Person
    membership: Membership
    owns_workspace: bool = False
    names: frozenset[str] = frozenset()
    """All that people may call them by, `folded`: handle, display name and full name, each whole."""
    handle: str = ""
    is_known: bool = True
    """Slack knows such an account."""


NAMES = ("display_name", "display_name_normalized", "real_name", "real_name_normalized")
"""Of a profile (Slack, user object); the normalized ones are without accents."""


def account(user: Mapping[str, Any], home: Home) -> Account:
    """Somebody as users.info or users.list tells of them (Slack, user object)."""
    profile = user.get("profile") or {}
    name = profile.get("real_name") or user.get("real_name") or profile.get("display_name")
    return Account(
        person=Person(
            slack_user_id=PersonId(str(user["id"])),
            name=name or user.get("name"),
            email=profile.get("email") or None,
        ),
        membership=_membership(user, home),
        owns_workspace=bool(user.get("is_primary_owner")),
        handle=str(user.get("name") or ""),
        names=frozenset(folded_name(str(name)) for name in _names(user, profile) if name) - {""},
    )


def _names(user: Mapping[str, Any], profile: Mapping[str, Any]) -> Iterator[Any]:
    yield from (user.get("name"), user.get("real_name"))
    yield from (profile.get(part) for part in NAMES)


def _membership(user: Mapping[str, Any], home: Home) -> Membership:
    """The most cautious of what Slack says; somebody it says nothing about is unknown.

    Slack Connect: people of other organisations have another `team_id`, and `is_stranger` where we share no
    channel with them. In one organisation the workspaces differ, and the enterprise is the same.
    """
    if "team_id" not in user:
        return Membership.UNKNOWN
    enterprise = (user.get("enterprise_user") or {}).get("enterprise_id")
    is_ours = user["team_id"] == home.team or bool(home.enterprise and enterprise == home.enterprise)
    if user.get("deleted"):
        return Membership.DEACTIVATED
    if user.get("is_bot") or user.get("is_workflow_bot") or user["id"] == "USLACKBOT":
        return Membership.BOT
    if user.get("is_stranger") or not is_ours:
        return Membership.STRANGER
    if user.get("is_ultra_restricted"):
        return Membership.SINGLE_CHANNEL_GUEST
    return Membership.GUEST if user.get("is_restricted") else Membership.MEMBER


# What the bot asks a workspace about people: one of them, a user group, or who reads a channel.

NOBODY = frozenset({"user_not_found", "user_not_visible", "users_not_found"})
NO_GROUP = frozenset({"no_such_subteam", "subteam_not_found", "invalid_usergroup"})


class WorkspacePeople:
    """The part of SlackWorkspace that looks and changes nothing; nobody lists a workspace whole."""

    client: AsyncWebClient
    calls: Calls
    home: Home

    async def person(self, person: PersonId) -> Person | None:
        """What Slack shows somebody as; None for somebody it does not know."""
        found = await self.account(person)
        return found.person if found is not None else None

    async def account(self, person: PersonId) -> Account | None:
        """Who somebody is and how they stand (Slack, users.info); None for somebody it does not know."""
        try:
            answer = await self.calls.once(self.client.users_info, user=person)
        except SlackRefused as refusal:
            if refusal.code not in NOBODY:
                raise
            return None
        return account(answer.get("user") or {"id": person}, self.home)

    async def some_accounts(self, limit: int) -> tuple[Sequence[Account], bool]:
        """The first so many people, in one call, and whether those are all; a large workspace is never
        listed whole.
        """
        answer = await self.calls.once(self.client.users_list, limit=limit)
        found = [account(user, self.home) for user in answer.get("members") or () if user.get("id")]
        return found, not (answer.get("response_metadata") or {}).get("next_cursor")

    async def members(self, channel: ChannelId) -> Sequence[PersonId] | None:
        """Who is in a channel, the first thousand of them; None where the bot cannot see it."""
        try:
            answer = await self.calls.make(self.client.conversations_members, channel=channel, limit=1000)
        except SlackRefused as refusal:
            if refusal.code not in {"channel_not_found", "fetch_members_failed"}:
                raise
            return None
        return [PersonId(str(person)) for person in answer.get("members") or ()]

    async def group(self, group: str) -> Sequence[PersonId] | None:
        """As the port says, asked now (Slack, usergroups.users.list)."""
        if group.startswith("@"):
            handles = await self.group_handles()
            group = next((id_ for id_, handle in handles.items() if f"@{handle}" == group), "")
        if not group:
            return None
        try:
            answer = await self.calls.make(self.client.usergroups_users_list, usergroup=group)
        except SlackRefused as refusal:
            if refusal.code not in NO_GROUP:
                raise
            return None
        return [PersonId(str(person)) for person in answer.get("users") or ()]

    async def readership(self, channel: ChannelId) -> Readership | None:
        """Who reads a channel (Slack, conversations.info); None for one that the bot cannot see.

        Raises Unavailable, and SlackRefused where Slack does not let us ask.
        """
        try:
            answer = await self.calls.make(self.client.conversations_info, Urgency.ANSWER, channel=channel)
        except SlackRefused as refusal:
            needed = str(refusal.details.get("needed") or "")
            # Without a scope for direct messages, the bot cannot be in one of somebody else's.
            is_direct = refusal.code == "missing_scope" and needed.startswith(("im:", "mpim:"))
            if refusal.code != "channel_not_found" and not is_direct:
                raise
            return None
        found = answer.get("channel") or {}
        return Readership(
            is_private=bool(found.get("is_private")),
            is_shared=bool(found.get("is_ext_shared") or found.get("is_pending_ext_shared")),
            is_read_by_organization=bool(found.get("is_org_shared")),
        )

    async def public_name(self, channel: ChannelId) -> str:
        """What a public channel is called; empty for any other, whose name not everybody may know."""
        try:
            answer = await self.calls.once(self.client.conversations_info, channel=channel)
        except SlackRefused:
            return ""
        found = answer.get("channel") or {}
        return "" if found.get("is_private", True) else str(found.get("name") or "")

    async def group_handles(self) -> Mapping[str, str]:
        """What people call the workspace's user groups, by id (Slack, usergroups.list)."""
        answer = await self.calls.make(self.client.usergroups_list)
        return {str(g.get("id")): str(g.get("handle") or "") for g in answer.get("usergroups") or ()}
