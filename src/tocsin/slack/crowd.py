"""What the bot asks a workspace about people: one of them, a user group, or who reads a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId, Person, PersonId
from tocsin.slack.accounts import Account, Home, account
from tocsin.slack.calls import Calls

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
        except SlackRefused:
            return None
        return account(answer.get("user") or {"id": person}, self.home)

    async def some_accounts(self, limit: int) -> Sequence[Account]:
        """The first so many people, in one call; a large workspace is never listed whole."""
        answer = await self.calls.once(self.client.users_list, limit=limit)
        return [account(user, self.home) for user in answer.get("members") or () if user.get("id")]

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

    async def is_shared(self, channel: ChannelId) -> bool:
        """Whether another organisation has a part in it, or is about to (Slack, conversation object)."""
        try:
            answer = await self.calls.once(self.client.conversations_info, channel=channel)
        except SlackRefused:
            # What the bot cannot see it cannot post to.
            return False
        found = answer.get("channel") or {}
        return bool(found.get("is_ext_shared") or found.get("is_pending_ext_shared"))

    async def public_name(self, channel: ChannelId) -> str | None:
        """The name of a public channel; None of one that not everybody may know of."""
        try:
            answer = await self.calls.once(self.client.conversations_info, channel=channel)
        except SlackRefused:
            return None
        found = answer.get("channel") or {}
        return (
            None if found.get("is_private") or not found.get("is_channel") else str(found.get("name") or "")
        )

    async def group_handles(self) -> Mapping[str, str]:
        """What people call the workspace's user groups, by id (Slack, usergroups.list)."""
        answer = await self.calls.make(self.client.usergroups_list)
        return {str(g.get("id")): str(g.get("handle") or "") for g in answer.get("usergroups") or ()}
