"""Move an incident that became private into a channel of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tocsin.incidents.model import Card, ChannelId, Incident, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.validation import Place
from tocsin.workflows.channels import PRIVATE, opened_channel, private_names
from tocsin.workflows.ports import (
    Channel,
    IncidentBackend,
    Journal,
    SlackClient,
    SlackStateStore,
    WorkspaceOf,
)
from tocsin.workflows.retry import ALL_DAY, Trouble, attempt


class Hiding:
    """The steps that move an incident which became private into a channel of its own.

    Slack, admin.conversations.convertToPrivate: only an organisation's admin may make a channel private. So a
    new private channel is made for the incident's people, and the old one is archived.
    """

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        journal: Journal,
        ledger: SlackStateStore,
        workspace: WorkspaceOf,
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._ledger = ledger
        self._workspace = workspace

    async def move(self, incident: Incident, change: IncidentChange) -> tuple[Incident, list[Any]]:
        """The incident as it is in a private channel of its own, and what could not be done."""
        slack = self._workspace(TeamId(incident.slack_team_id))
        old = ChannelId(incident.slack_channel_id)
        if not old or self._backend.makes_channel:
            return incident, []
        opened = await attempt(
            self._journal,
            "open a private channel",
            f"No private channel could be made; <#{old}> is still public",
            lambda again: self._open(slack, incident, again),
            Channel,
            ALL_DAY,
        )
        if not isinstance(opened, Channel):
            return incident, [opened]
        moved = incident.model_copy(update={"slack_channel_id": opened.id, "slack_channel_name": opened.name})
        troubles = await self._furnish(slack, moved, change)
        return moved, [*troubles, await self._leave(slack, moved, old, change)]

    async def _open(self, slack: SlackClient, incident: Incident, again: bool) -> Channel:
        channel = await opened_channel(slack, incident, private_names(incident), private=True, again=again)
        await self._backend.set_channel(incident.id, channel)
        await self._ledger.remember_channel(channel.id, incident.id)
        await self._ledger.remember_face(incident.id, channel.id, PRIVATE, PRIVATE)
        return channel

    async def _furnish(self, slack: SlackClient, incident: Incident, change: IncidentChange) -> list[Any]:
        channel = ChannelId(incident.slack_channel_id)

        async def bring_in(_: bool) -> None:
            await slack.channels.invite(channel, incident.people, incident)

        async def head(again: bool) -> Card:
            spot = Place(place="headline", to=channel)
            card = await slack.messages.post_card(incident, spot, key=f"{change.key}:headline", again=again)
            await self._ledger.remember_card(incident.id, card)
            return card

        async def label(again: bool) -> None:
            await slack.channels.set_purpose(channel, incident)
            await slack.channels.set_topic(channel, incident)
            await slack.channels.bookmark(channel, incident, again=again)

        done: Sequence[Any] = await asyncio.gather(
            attempt(
                self._journal, "bring people in there", "Nobody could be brought in", bring_in, None, ALL_DAY
            ),
            attempt(self._journal, "post the headline there", "It has no card yet", head, Card, ALL_DAY),
            attempt(self._journal, "label the private channel", "Its topic could not be set", label),
        )
        headline = next((card for card in done if isinstance(card, Card)), None)
        if headline is not None:
            pin = slack.channels.pin
            pinned = await attempt(
                self._journal,
                "pin the headline there",
                "The headline could not be pinned",
                lambda _: pin(headline.channel, headline.ts),
            )
            done = [*done, pinned]
        return [one for one in done if isinstance(one, Trouble)]

    async def _leave(
        self, slack: SlackClient, incident: Incident, old: ChannelId, change: IncidentChange
    ) -> Any:
        """The public channel loses its card, is told why, and is archived; what was said there stays said."""

        async def leave(again: bool) -> None:
            for card in await self._ledger.cards(incident.id):
                if card.channel == old:
                    await slack.messages.withdraw(card)
                    await self._ledger.forget_card(card)
            sentence = (
                "This incident is private now and goes on in a channel of its own, with its reporter and "
                "role holders. What was written here can still be read by whoever can read this channel."
            )
            await slack.messages.say(old, sentence, key=f"{change.key}:moved", again=again)
            await slack.channels.archive(old)

        failed = f"<#{old}> is still public and could not be archived"
        return await attempt(self._journal, "leave the public channel", failed, leave, None, ALL_DAY)
