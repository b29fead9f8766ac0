"""Whether the channels and user groups that the configuration names are there, and read by nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.slack.access import fetch_channel
from tocsin.slack.calls import asked
from tocsin.workflows.ports import Finding

LATER = "Try again in a moment."


async def examine_channel(client: AsyncWebClient, name: str, channel: str) -> Finding:
    """Whether something can be posted there; `name` is the setting that says so."""
    try:
        found = await fetch_channel(client, channel)
    except SlackRefused as refusal:
        said = f"the bot cannot see {channel} ({refusal.code})."
        fix = "Give the channel's id (it begins with C), and invite the bot there if it is private."
        return Finding(name=name, ok=False, said=said, fix=fix)
    except Unavailable as error:
        return Finding(name=name, ok=False, said=str(error), fix=LATER)
    shown = f"#{found.get('name')}"
    if found.get("is_archived"):
        return Finding(name=name, ok=False, said=f"{shown} is archived.", fix="Choose another channel.")
    if found.get("is_ext_shared") or found.get("is_pending_ext_shared"):
        said = f"people of another organisation read {shown}."
        return Finding(name=name, ok=False, said=said, fix="Choose a channel of your own.")
    return Finding(name=name, ok=True, said=f"{shown} can be reached.")


async def examine_groups(client: AsyncWebClient, groups: Iterable[str]) -> list[Finding]:
    """Whether each user group, by its id or `@handle`, is there and has somebody in it.

    Slack, usergroups.list: one that was disabled is not among them.
    """
    wanted = list(groups)
    if not wanted:
        return []
    name = "TOCSIN_CONFIG user groups"
    try:
        answer = await asked(client.usergroups_list, include_count=True)
    except SlackRefused as refusal:
        fix = "Give the app the scope usergroups:read, and install it again."
        said = f"Slack does not tell of them ({refusal.code})."
        return [Finding(name=name, ok=False, said=said, fix=fix)]
    except Unavailable as error:
        return [Finding(name=name, ok=False, said=str(error), fix=LATER)]
    known = {}
    for group in answer.get("usergroups") or ():
        known[str(group.get("id"))] = known[f"@{group.get('handle')}"] = group
    return list(_findings(wanted, known, name))


def _findings(
    wanted: Iterable[str], known: Mapping[str, Mapping[str, object]], name: str
) -> Iterator[Finding]:
    for called in wanted:
        group = known.get(called)
        if group is None:
            said = f"{called} is no user group of this workspace."
            fix = "Give its id (it begins with S) or its handle, as under More, User groups in Slack."
            yield Finding(name=name, ok=False, said=said, fix=fix)
        elif str(group.get("user_count")) == "0":
            said = f"nobody is in @{group.get('handle')}."
            yield Finding(name=name, ok=False, said=said, fix="Add somebody, or name another group.")
        else:
            yield Finding(name=name, ok=True, said=f"@{group.get('handle')} is there.")
