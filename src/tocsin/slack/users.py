"""Users of a workspace: accounts and user groups, read from Slack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.parsing import fold_name
from tocsin.incidents.permissions import Membership
from tocsin.slack.web_api import WebApi, require

# An account and its membership, read from a user object.


@dataclass(frozen=True)
class HomeTeam:
    """Ids of the bot's own workspace and of its organisation; the latter is empty if it has none."""

    team: str
    enterprise: str = ""


@dataclass(frozen=True)
class WorkspaceUser:
    """A person's account in a workspace."""

    person: Person
    membership: Membership
    owns_workspace: bool = False
    names: frozenset[str] = frozenset()
    """Names that people may call them by, folded for comparison: handle, display name and full name."""
    handle: str = ""
    zone: str = ""
    """Time zone that they have set in Slack, by its IANA name (Slack, user object: `tz`)."""
    is_known: bool = True
    """True if Slack has such an account."""


NAMES = ("display_name", "display_name_normalized", "real_name", "real_name_normalized")
"""Fields of a profile with names (Slack, user object); the normalized ones are without accents."""


def user_of(user: Mapping[str, Any], home: HomeTeam) -> WorkspaceUser:
    """Return the account from a user object of users.info or users.list (Slack, user object)."""
    profile = user.get("profile") or {}
    name = profile.get("real_name") or user.get("real_name") or profile.get("display_name")
    return WorkspaceUser(
        person=Person(
            slack_user_id=PersonId(str(user["id"])),
            name=name or user.get("name"),
            email=profile.get("email") or None,
        ),
        membership=_membership(user, home),
        owns_workspace=bool(user.get("is_primary_owner")),
        handle=str(user.get("name") or ""),
        zone=str(user.get("tz") or ""),
        names=frozenset(fold_name(str(name)) for name in _names(user, profile) if name) - {""},
    )


def _names(user: Mapping[str, Any], profile: Mapping[str, Any]) -> Iterator[Any]:
    yield from (user.get("name"), user.get("real_name"))
    yield from (profile.get(part) for part in NAMES)


def _membership(user: Mapping[str, Any], home: HomeTeam) -> Membership:
    """Return the most restrictive membership that fits; UNKNOWN if the user object has no `team_id`.

    People of other organisations (Slack Connect) have another `team_id`, and `is_stranger` if we share no
    channel with them. People of other workspaces in our own organisation have its `enterprise_id`.
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


# Lookup of people and user groups.

NOBODY = frozenset({"user_not_found", "user_not_visible", "users_not_found"})
NO_GROUP = frozenset({"no_such_subteam", "subteam_not_found", "invalid_usergroup"})


class Users:
    """Reader of one workspace's people and user groups; it never lists a whole workspace."""

    def __init__(self, client: AsyncWebClient, api: WebApi, home: HomeTeam) -> None:
        self._client = client
        self._api = api
        self.home = home

    async def person(self, person: PersonId) -> Person | None:
        """Return a person's name and e-mail address; None if Slack does not know them."""
        found = await self.account(person)
        return found.person if found is not None else None

    async def account(self, person: PersonId) -> WorkspaceUser | None:
        """Return an account with its membership (Slack, users.info); None if Slack does not know it."""
        try:
            answer = await self._api.call_now(self._client.users_info, user=person)
        except SlackRefused as refusal:
            if refusal.code not in NOBODY:
                raise
            return None
        return user_of(answer.get("user") or {"id": person}, self.home)

    async def account_of_email(self, email: str) -> WorkspaceUser | None:
        """Return the account with this e-mail address (Slack, users.lookupByEmail); None without one."""
        try:
            answer = await self._api.call_now(self._client.users_lookupByEmail, email=email)
        except SlackRefused as refusal:
            if refusal.code not in NOBODY:
                raise
            return None
        require(answer, "user", "id")
        return user_of(answer["user"], self.home)

    async def knows(self, person: PersonId) -> bool:
        """True if Slack has an account with this id (Slack, users.info)."""
        try:
            await self._api.call_now(self._client.users_info, user=person)
        except SlackRefused as refusal:
            return refusal.code not in NOBODY
        return True

    async def some_accounts(self, limit: int) -> tuple[Sequence[WorkspaceUser], bool]:
        """Return the first `limit` people, in one call, and True if those are all.

        A large workspace is never listed whole.
        """
        answer = await self._api.call_now(self._client.users_list, limit=limit)
        found = [user_of(user, self.home) for user in answer.get("members") or () if user.get("id")]
        return found, not (answer.get("response_metadata") or {}).get("next_cursor")

    async def group(self, group: str) -> Sequence[PersonId] | None:
        """Return the current members of a user group by its id or `@handle` (usergroups.users.list).

        Returns None if Slack does not know the group.
        """
        if group.startswith("@"):
            handles = await self.group_handles()
            group = next((id_ for id_, handle in handles.items() if f"@{handle}" == group), "")
        if not group:
            return None
        try:
            answer = await self._api.call(self._client.usergroups_users_list, usergroup=group)
        except SlackRefused as refusal:
            if refusal.code not in NO_GROUP:
                raise
            return None
        return [PersonId(str(person)) for person in answer.get("users") or ()]

    async def group_handles(self) -> Mapping[str, str]:
        """Return the handles of the workspace's user groups by id (Slack, usergroups.list)."""
        answer = await self._api.call(self._client.usergroups_list)
        return {str(g.get("id")): str(g.get("handle") or "") for g in answer.get("usergroups") or ()}
