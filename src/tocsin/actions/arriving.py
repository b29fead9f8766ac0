"""The channel of an incident whose backend opens it by itself: asked for until it is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from tocsin.actions.attempts import Trouble, attempt
from tocsin.actions.ports import Backend, Channel, Journal, Ledger, Workspace
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import ChannelId, Incident, PersonId

PATIENCE_SECONDS = 600.0
"""When the reporter is told that the channel has not come; it is asked for still."""

A_DAY = 86_400.0
LONGEST_PAUSE = 60.0


def pauses() -> Iterator[float]:
    """Seconds between two looks: one within the first second, then every five at most for a minute."""
    passed = pause = 0.5
    yield pause
    while True:
        pause = min(pause * 1.6, 4.5 if passed < 60 else LONGEST_PAUSE)
        spread = pause * random.uniform(0.8, 1.0)
        passed += spread
        yield spread


class Membership(Protocol):
    async def members(self, channel: ChannelId) -> Sequence[PersonId] | None: ...


async def seen_by(slack: Membership, incident: Incident, person: PersonId | None) -> Incident:
    """The incident with its channel if this person is in it, else without. Raises Unavailable.

    Where the bot cannot see who is in a channel, nobody is.
    """
    members: Sequence[PersonId] = ()
    if incident.slack_channel_id:
        with suppress(SlackRefused):
            members = await slack.members(ChannelId(incident.slack_channel_id)) or ()
    if person is not None and person in members:
        return incident
    return unnamed(incident)


def unnamed(incident: Incident) -> Incident:
    """The incident without its channel."""
    return incident.model_copy(update={"slack_channel_id": "", "slack_channel_name": ""})


class Arrival:
    """Steps of a declaration's story that wait for the channel."""

    def __init__(self, *, backend: Backend, workspace: Workspace, ledger: Ledger, journal: Journal) -> None:
        self._backend = backend
        self._workspace = workspace
        self._ledger = ledger
        self._journal = journal

    def awaited(self, incident: Incident, name: str, seconds: float) -> Awaitable[Channel | Trouble]:
        """The channel, asked for at most so many seconds in each process."""
        return self._journal.step(name, lambda _: self._asked_for(incident, seconds), Channel | Trouble)

    async def _asked_for(self, incident: Incident, seconds: float) -> Channel | Trouble:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if incident.slack_channel_id:
            return await self._known(incident)
        for pause in pauses():
            await asyncio.sleep(pause)
            found = None
            # Whoever opens the channel may also be out of reach for a while.
            with suppress(Unavailable):
                found = await self._backend.find(incident.id)
            if found is not None and found.slack_channel_id:
                return await self._known(found)
            if loop.time() > until:
                break
        minutes = round(seconds / 60)
        return Trouble(trouble=f"Its channel has not been opened within {minutes} minutes", passing=True)

    async def _known(self, incident: Incident) -> Channel:
        channel = Channel(id=ChannelId(incident.slack_channel_id), name=incident.slack_channel_name)
        with suppress(Unavailable):
            await self._ledger.remember_channel(channel.id, incident.id)
        return channel

    async def may_be_named(self, incident: Incident, channel: Channel) -> bool:
        """Whether the cards may name the channel: a private one only to a reporter who is in it.

        Where the bot cannot see who is in it, nobody is told its name.
        """
        if not incident.is_private:
            return True

        async def look(_: bool) -> list[str]:
            with suppress(SlackRefused):
                return list(await self._workspace.members(channel.id) or ())
            return []

        seen = await attempt(
            self._journal, "see who is in the channel", "Its members are not known", look, list[str]
        )
        return not isinstance(seen, Trouble) and incident.creator.slack_user_id in seen
