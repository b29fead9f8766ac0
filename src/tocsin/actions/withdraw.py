"""Where an incident may be shown, and taking back what was posted where it does not belong any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from tocsin.actions.ports import Ledger
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs

NEWS = "news:"
"""What the ledger calls a piece of news outside the incident's own channel; its `ts` comes after it."""


PRIVATE = "private"
"""What the ledger notes of a channel that is known to be private: it stays so."""


class Withdrawing(Protocol):
    async def is_private(self, channel: ChannelId) -> bool:
        """Whether a channel is private; False where we cannot see it."""
        ...

    async def withdraw(self, card: Card) -> None:
        """Delete a card; nothing happens when it is gone."""
        ...


class Faces(Ledger, Protocol):
    """What was shown where, so that what would look the same is left alone."""

    async def faces(self, incident_id: str) -> Mapping[tuple[str, str], str]:
        """By channel and thing, which is a card's `ts`, or `topic` and the like."""
        ...

    async def remember_face(self, incident_id: str, channel: str, thing: str, face: str) -> None: ...

    async def forget_face(self, incident_id: str, channel: str, thing: str) -> None: ...

    async def forget_card(self, card: Card) -> None: ...


async def withdraw_posts(
    slack: Withdrawing, ledger: Faces, incident: Incident, *, kept: Collection[str]
) -> None:
    """Delete news elsewhere, and every card but those in the places that are `kept`.

    News goes first: a message that is deleted before its replies leaves a trace (Slack, `tombstone`).
    """
    for channel, thing in await ledger.faces(incident.id):
        if thing.startswith(NEWS):
            ts = MessageTs(thing.removeprefix(NEWS))
            await slack.withdraw(Card(channel=ChannelId(channel), ts=ts, place="news"))
            await ledger.forget_face(incident.id, channel, thing)
    for card in await ledger.cards(incident.id):
        if card.place not in kept:
            await slack.withdraw(card)
            await ledger.forget_card(card)


async def fitting_channel(slack: Withdrawing, ledger: Faces, incident: Incident) -> ChannelId | None:
    """The incident's own channel; none where it has none, or where a private one's is public still.

    That is so between the moment it is made private and the moment it has moved: nothing may be said there.
    """
    channel = ChannelId(incident.slack_channel_id)
    if not channel or not incident.is_private:
        return channel or None
    if (channel, PRIVATE) in await ledger.faces(incident.id):
        return channel
    if not await slack.is_private(channel):
        return None
    await ledger.remember_face(incident.id, channel, PRIVATE, PRIVATE)
    return channel
