"""Who somebody is in a workspace, read from what Slack says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.parsing import folded_name
from tocsin.incidents.permissions import Standing


@dataclass(frozen=True)
class Home:
    """The workspace that is ours, and the organisation it belongs to, if any."""

    team: str
    enterprise: str = ""


@dataclass(frozen=True)
class Account:
    """Somebody as a workspace knows them."""

    person: Person
    standing: Standing
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
        standing=_standing(user, home),
        owns_workspace=bool(user.get("is_primary_owner")),
        handle=str(user.get("name") or ""),
        names=frozenset(folded_name(str(name)) for name in _names(user, profile) if name) - {""},
    )


def _names(user: Mapping[str, Any], profile: Mapping[str, Any]) -> Iterator[Any]:
    yield from (user.get("name"), user.get("real_name"))
    yield from (profile.get(part) for part in NAMES)


def _standing(user: Mapping[str, Any], home: Home) -> Standing:
    """The most cautious of what Slack says; somebody it says nothing about is unknown.

    Slack Connect: people of other organisations have another `team_id`, and `is_stranger` where we share no
    channel with them. In one organisation the workspaces differ, and the enterprise is the same.
    """
    if "team_id" not in user:
        return Standing.UNKNOWN
    enterprise = (user.get("enterprise_user") or {}).get("enterprise_id")
    is_ours = user["team_id"] == home.team or bool(home.enterprise and enterprise == home.enterprise)
    if user.get("deleted"):
        return Standing.DEACTIVATED
    if user.get("is_bot") or user.get("is_workflow_bot") or user["id"] == "USLACKBOT":
        return Standing.BOT
    if user.get("is_stranger") or not is_ours:
        return Standing.STRANGER
    if user.get("is_ultra_restricted"):
        return Standing.SINGLE_CHANNEL_GUEST
    return Standing.GUEST if user.get("is_restricted") else Standing.MEMBER
