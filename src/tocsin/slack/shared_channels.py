"""Who reads a channel besides its workspace: learnt beside, and waited for only a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId
from tocsin.workflows.ports import loop_time
from tocsin.workflows.retry import best_effort

KEPT = 10_000
FRESH_SECONDS = 300.0
"""How long a channel is taken for what it was, where a public incident is shown."""


@dataclass(frozen=True)
class Readership:
    """Who reads a channel, as Slack says (conversation object)."""

    is_private: bool
    is_shared: bool
    """People of another organisation read it (Slack Connect), or are about to."""
    is_read_by_organization: bool = False
    """People of other workspaces of the same organization read it (Enterprise Grid)."""


class SharedChannels:
    """What is known of the workspace's channels."""

    def __init__(
        self,
        look: Callable[[ChannelId], Awaitable[Readership | None]],
        now: Callable[[], float] = loop_time,
    ) -> None:
        """`look` asks Slack, and answers None for a channel that the bot cannot see.

        It raises Unavailable and SlackRefused.
        """
        self._look = look
        self._now = now
        self._known: dict[ChannelId, tuple[Readership | None, float]] = {}
        self._asking: dict[ChannelId, asyncio.Task[Readership | None]] = {}

    async def is_shared(self, channel: ChannelId | None, seconds: float) -> bool | None:
        """Return whether another organisation reads a channel; None where Slack does not say so in time."""
        if channel is None or not _is_channel(channel):
            return False
        if not self.knows(channel):
            asking = self._ask(channel)
            await asyncio.wait({asking}, timeout=seconds)
            if not asking.done():
                return None
            async with best_effort("ask Slack who reads a channel"):
                return _is_shared(asking.result())
            return None
        return _is_shared(self._known[channel][0])

    def knows(self, channel: ChannelId | None) -> bool:
        """Return whether nothing need be asked about a channel."""
        if channel is None or not _is_channel(channel):
            return True
        known = self._known.get(channel)
        return known is not None and self._now() - known[1] < FRESH_SECONDS

    async def read_by_others(self, channel: ChannelId) -> bool:
        """Return whether another organisation reads a channel, asking Slack where that is not known.

        Slack tells of direct messages and of private channels without the bot nothing: there the bot cannot
        post anyway. Raises Unavailable and SlackRefused.
        """
        if self.knows(channel):
            return _is_channel(channel) and _is_shared(self._known[channel][0])
        return _is_shared(await self._asked(channel))

    async def is_for_its_members_alone(self, channel: ChannelId) -> bool:
        """Return whether a channel is private and this organisation's alone, asked of Slack now.

        An owner can make a private channel public at any time. Raises Unavailable and SlackRefused.
        """
        found = await self._asked(channel)
        return found is not None and found.is_private and not found.is_shared

    async def is_for_the_workspace_alone(self, channel: ChannelId) -> bool:
        """Return whether no other organisation and no other workspace reads a channel, asked of Slack now.

        False for one that Slack does not tell of. Raises Unavailable.
        """
        try:
            found = await self._asked(channel)
        except SlackRefused:
            return False
        return found is not None and not found.is_shared and not found.is_read_by_organization

    async def _asked(self, channel: ChannelId) -> Readership | None:
        # Who stops waiting does not stop the asking: the next one finds the answer.
        return await asyncio.shield(self._ask(channel))

    def _ask(self, channel: ChannelId) -> asyncio.Task[Readership | None]:
        """Ask Slack now; those who ask at the same time share one call."""
        asking = self._asking.get(channel)
        if asking is None:
            asking = self._asking[channel] = asyncio.create_task(self._learn(channel))
            asking.add_done_callback(lambda _: self._asking.pop(channel, None))
            # Perhaps nobody waits for it any more when it fails.
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return asking

    async def _learn(self, channel: ChannelId) -> Readership | None:
        found = await self._look(channel)
        self._known.pop(channel, None)
        self._known[channel] = (found, self._now())
        if len(self._known) > KEPT:
            # The one that was learnt longest ago comes first.
            del self._known[next(iter(self._known))]
        return found


def _is_shared(readership: Readership | None) -> bool:
    return readership is not None and readership.is_shared


def _is_channel(channel: ChannelId) -> bool:
    return channel.startswith(("C", "G"))
