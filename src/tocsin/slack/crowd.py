"""What the bot asks a workspace about people: one of them, a user group, or who reads a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId, Person, PersonId
from tocsin.slack.accounts import Account, Home, account
from tocsin.slack.calls import Calls
from tocsin.slack.pace import Urgency
from tocsin.slack.places import Readership

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
