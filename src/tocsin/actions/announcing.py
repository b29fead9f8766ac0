"""What the rules say of an incident besides the usual: where else it is announced, which groups come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tocsin.actions.attempts import ALL_DAY, attempt
from tocsin.actions.orders import DeclareOrder
from tocsin.actions.ports import Journal, Workspace
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Card, ChannelId, Incident
from tocsin.incidents.validation import Place

Post = Callable[[DeclareOrder, Incident, Place, bool], Awaitable[Card]]
"""Posts the card in a place, and remembers where it is; told whether it may be there already."""


class Announcing:
    """Each announcement and each user group is a step of the declaration's story.

    What the rules say was decided when it was declared, so that each life of a story does the same.
    """

    def __init__(self, *, workspace: Workspace, journal: Journal, announce: str | None, post: Post) -> None:
        self._workspace = workspace
        self._journal = journal
        self._announce = announce
        self._post = post

    def steps(self, order: DeclareOrder, incident: Incident) -> list[Awaitable[Any]]:
        """All of them, to be done side by side; none for a private incident."""
        if incident.is_private:
            return []
        announced = [self._announced(order, incident, channel) for channel in order.announcement.channels]
        return announced + self.invitations(order, incident)

    def invitations(self, order: DeclareOrder, incident: Incident) -> list[Awaitable[Any]]:
        """The user groups alone, for a channel that came late; nobody comes before there is one."""
        if incident.is_private:
            return []
        return [self._brought_in(incident, group) for group in order.announcement.invite]

    def _announced(self, order: DeclareOrder, incident: Incident, channel: str) -> Awaitable[Any]:
        return attempt(
            self._journal,
            f"announce it in {channel}",
            f"It could not be announced in <#{channel}>",
            partial(self._announce_in, order, incident, channel),
            Card | None,
            ALL_DAY,
        )

    async def _announce_in(
        self, order: DeclareOrder, incident: Incident, channel: str, again: bool
    ) -> Card | None:
        """The card, unless this channel has it already."""
        declared_here = channel == order.origin and order.thread is None and not order.withheld
        if channel == self._announce or declared_here:
            return None
        return await self._post(order, incident, Place(place="announcement", to=channel), again)

    def _brought_in(self, incident: Incident, group: str) -> Awaitable[Any]:
        return attempt(
            self._journal,
            f"bring {group} in",
            f"{_called(group)} could not be brought into the channel",
            partial(self._bring_in, incident, group),
            attempts=ALL_DAY,
        )

    async def _bring_in(self, incident: Incident, group: str, _again: bool) -> None:
        if not incident.slack_channel_id:
            return
        people = await self._workspace.group(group)
        if people is None:
            named = group if group.startswith("@") else "a user group that the rules name"
            raise Refused(f"{named} could not be brought in: Slack knows no such user group")
        left_out = await self._workspace.invite(ChannelId(incident.slack_channel_id), people, incident)
        if left_out:
            raise Refused(f"{len(left_out)} of {_called(group)} could not be brought into the channel")


def _called(group: str) -> str:
    """A user group in mrkdwn; Slack shows an id as the group's handle (Slack, mentioning groups)."""
    return group if group.startswith("@") else f"<!subteam^{group}>"
