"""Move an incident that became private into a private channel."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Card, ChannelId, Incident, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.validation import CardDestination
from tocsin.workflows.channels import PRIVATE, open_channel, private_names
from tocsin.workflows.ports import Channel, IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps
from tocsin.workflows.slack_client import SlackClient, WorkspaceOf
from tocsin.workflows.used_channel import leave_channel


class MakePrivate:
    """Steps that move an incident which became private into a private channel.

    Only an organisation's admin may make a channel private (Slack, admin.conversations.convertToPrivate). So
    the bot creates a new private channel for the incident's people and archives the old one.
    """

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        names: ChannelNames,
    ) -> None:
        self._backend = backend
        self._steps = Steps(engine)
        self._state = state
        self._workspace = workspace
        self._names = names

    async def move(self, incident: Incident, change: IncidentChange) -> tuple[Incident, list[Any]]:
        """Move the incident; return it with its new channel, and the steps that failed.

        Does nothing if it has no channel, or if the backend created its channel.
        """
        slack = self._workspace(TeamId(incident.slack_team_id))
        old = ChannelId(incident.slack_channel_id)
        if not old or self._backend.makes_channel:
            return incident, []
        opened = await self._steps.run_once(
            "open a private channel",
            self._open,
            slack,
            incident,
            on_failure=f"No private channel could be made; <#{old}> is still public",
            returns=Channel,
            attempts=ALL_DAY,
        )
        if not isinstance(opened, Channel):
            return incident, [opened]
        moved = incident.model_copy(update={"slack_channel_id": opened.id, "slack_channel_name": opened.name})
        failures = await self._furnish(slack, moved, change)
        left = await self._steps.run_once(
            "leave the public channel",
            self._leave,
            slack,
            moved,
            old,
            f"{change.key}:moved",
            on_failure=f"<#{old}> is still public and could not be left",
            attempts=ALL_DAY,
        )
        return moved, [*failures, left]

    async def _open(self, slack: SlackClient, incident: Incident, again: bool) -> Channel:
        names = private_names(self._names, incident)
        channel = await open_channel(slack, incident, names, private=True, again=again)
        await self._backend.set_channel(incident.id, channel)
        await self._state.remember_channel(channel.id, incident.id)
        await self._state.save_fingerprint(incident.id, channel.id, PRIVATE, PRIVATE)
        return channel

    async def _furnish(self, slack: SlackClient, incident: Incident, change: IncidentChange) -> list[Any]:
        done: Sequence[Any] = await asyncio.gather(
            self._steps.run(
                "bring people in there",
                self._bring_in,
                slack,
                incident,
                on_failure="Nobody could be brought in",
                attempts=ALL_DAY,
            ),
            self._steps.run_once(
                "post the headline there",
                self._post_headline,
                slack,
                incident,
                f"{change.key}:headline",
                on_failure="It has no card yet",
                returns=Card,
                attempts=ALL_DAY,
            ),
            self._steps.run_once(
                "label the private channel",
                self._label,
                slack,
                incident,
                on_failure="Its topic could not be set",
            ),
        )
        headline = next((card for card in done if isinstance(card, Card)), None)
        if headline is not None:
            pinned = await self._steps.run(
                "pin the headline there",
                slack.channels.pin,
                headline.channel,
                headline.ts,
                on_failure="The card could not be pinned",
            )
            done = [*done, pinned]
        return [one for one in done if isinstance(one, StepFailure)]

    async def _bring_in(self, slack: SlackClient, incident: Incident) -> None:
        await slack.channels.invite(ChannelId(incident.slack_channel_id), incident.people, incident)

    async def _post_headline(self, slack: SlackClient, incident: Incident, key: str, again: bool) -> Card:
        spot = CardDestination(place="headline", to=incident.slack_channel_id)
        card = await slack.messages.post_card(incident, spot, key=key, again=again)
        await self._state.remember_card(incident.id, card)
        return card

    async def _label(self, slack: SlackClient, incident: Incident, again: bool) -> None:
        channel = ChannelId(incident.slack_channel_id)
        await slack.channels.set_purpose(channel, incident)
        await slack.channels.set_topic(channel, incident)
        await slack.channels.bookmark(channel, incident, again=again)

    async def _leave(
        self, slack: SlackClient, incident: Incident, old: ChannelId, key: str, again: bool
    ) -> None:
        """Delete the card in the public channel, post the reason, and leave it; its messages stay.

        Raises SlackRefused after all of it was tried, and Unavailable before what follows.
        """
        sentence = (
            "This incident is private now and goes on in a channel of its own, with its reporter and "
            "people with a role. What was written here can still be read by whoever can read this channel."
        )
        cards, refused = await self._state.cards(incident.id), list[SlackRefused]()
        for act in (
            *(partial(self._take_back, slack, card) for card in cards if card.channel == old),
            partial(slack.messages.say, old, sentence, key=key, again=again),
            partial(leave_channel, slack, self._state, incident, old),
        ):
            try:
                await act()
            except SlackRefused as refusal:
                refused.append(refusal)
        if refused:
            raise refused[0]

    async def _take_back(self, slack: SlackClient, card: Card) -> None:
        await slack.messages.withdraw(card)
        await self._state.forget_card(card)
