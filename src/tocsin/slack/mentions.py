"""Names in place of ids, for the people, user groups and channels that a text mentions."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import ChainMap
from collections.abc import Awaitable, Callable, Iterable, Mapping

from tocsin.incidents.model import ChannelId, PersonId
from tocsin.slack.authorization import ASKED_AT_ONCE, ASKING_SECONDS, FRESH_SECONDS, KEPT, People
from tocsin.slack.command_text import as_read, mentioned
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.ports import loop_time
from tocsin.workflows.retry import best_effort

PERSON = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")


class Mentions:
    """Cache of a workspace's names for people, user groups and channels."""

    def __init__(
        self, workspace: SlackWorkspace, people: People, now: Callable[[], float] = loop_time
    ) -> None:
        self._workspace = workspace
        self._people = people
        self._now = now
        self._groups: dict[str, str] = {}
        self._groups_at = -FRESH_SECONDS
        self._channels: dict[str, str] = {}

    async def spell(self, text: str, seconds: float = ASKING_SECONDS) -> str:
        """Return the text as people read it; asks Slack for unknown names, for `seconds` at most."""
        return as_read(text, await self.names_of(mentioned(text), seconds))

    async def names_of(self, ids: Iterable[str], seconds: float = ASKING_SECONDS) -> dict[str, str]:
        """Return the names of people, of user groups without `@`, and of public channels without `#`, by id.

        Names that Slack does not tell in time are left out.
        """
        wanted = list(dict.fromkeys(ids))
        unknown = [one for one in wanted if one not in self.names][:ASKED_AT_ONCE]
        if unknown:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*self._asked(unknown))
        return {one: self.names[one] for one in wanted if one in self.names}

    @property
    def names(self) -> Mapping[str, str]:
        """Names that are known now, by id."""
        return ChainMap(self._people.names, self._groups, self._channels)

    def _asked(self, ids: Iterable[str]) -> list[Awaitable[None]]:
        """Return the lookups: one call for each person and channel, and one for all user groups."""
        people = [self._learn_person(PersonId(one)) for one in ids if one[0] in "UW"]
        channels = [self._learn_channel(ChannelId(one)) for one in ids if one[0] in "CG"]
        groups = [self._learn_groups()] if any(one[0] == "S" for one in ids) else []
        return [*people, *channels, *groups]

    async def _learn_person(self, person: PersonId) -> None:
        await self._people.account(person)

    async def _learn_channel(self, channel: ChannelId) -> None:
        async with best_effort("ask Slack for a channel's name"):
            if name := await self._workspace.channels.public_name(channel):
                self._channels[channel] = name
        if len(self._channels) > KEPT:
            del self._channels[next(iter(self._channels))]

    async def _learn_groups(self) -> None:
        if self._now() - self._groups_at >= FRESH_SECONDS:
            async with best_effort("ask Slack for the names of user groups"):
                self._groups = dict(await self._workspace.users.group_handles())
                self._groups_at = self._now()
