"""What people, user groups and channels that a message mentions are called."""

from __future__ import annotations

import asyncio
import contextlib
from collections import ChainMap
from collections.abc import Iterable, Mapping

from tocsin.actions.best_effort import best_effort
from tocsin.incidents.model import ChannelId, PersonId
from tocsin.slack.people import ASKED_AT_ONCE, KEPT, People
from tocsin.slack.permits import CHECK_SECONDS, UserGroups
from tocsin.slack.workspace import SlackWorkspace


class Mentions:
    """Names by id, and asking Slack for those that are not known yet."""

    def __init__(self, people: People, groups: UserGroups, workspace: SlackWorkspace) -> None:
        self._people = people
        self._groups = groups
        self._workspace = workspace
        self._channels: dict[str, str] = {}

    @property
    def names(self) -> Mapping[str, str]:
        """All names that are known now."""
        return ChainMap(self._channels, self._groups.handles, self._people.names)

    async def learn(self, ids: Iterable[str]) -> None:
        """Ask Slack what these are called, side by side and for a second at most."""
        wanted = sorted(ids)
        people = [PersonId(one) for one in wanted if one[:1] in {"U", "W"}]
        channels = [ChannelId(one) for one in wanted if one[:1] in {"C", "G"}]
        asking = [self._channel(channel) for channel in channels[:ASKED_AT_ONCE]]
        if any(one[:1] == "S" for one in wanted):
            asking.append(self._groups.learn_handles())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await asyncio.gather(self._people.introduce(people), *asking)

    async def _channel(self, channel: ChannelId) -> None:
        async with best_effort("ask Slack for a channel's name"):
            name = await self._workspace.public_name(channel)
            if name and len(self._channels) < KEPT:
                self._channels[channel] = name
