"""Use a channel that exists as an incident's own: take it, keep its earlier topic, and give it back."""

from __future__ import annotations

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, TimelineEntry
from tocsin.workflows.ports import Channel, Clock, IncidentBackend, SlackStateStore
from tocsin.workflows.slack_client import SlackClient

USED = "used"
"""Mark of a channel that an incident uses and that existed before; the value is its earlier topic."""

GIVEN_BACK = "given back"
"""Stored instead of a topic's hash once the earlier topic of a used channel is back."""

LEFT = "left its channel"
"""Verb of the timeline's entry on an incident whose channel another one uses now; it gets no other."""

NO_CHANNEL = Channel(id=ChannelId(""), name="")


async def earlier_topic(state: SlackStateStore, incident: Incident, channel: str) -> str | None:
    """Return the topic that a used channel had before the incident; None if Tocsin created the channel."""
    return (await state.fingerprints(incident.id)).get((channel, USED))


async def has_left_channel(backend: IncidentBackend, state: SlackStateStore, incident: Incident) -> bool:
    """True if another incident uses the channel that this one used."""
    uses = any(thing == USED for _, thing in await state.fingerprints(incident.id))
    return uses and any(entry.verb == LEFT for entry in await backend.timeline(incident.id))


async def leave_channel(
    slack: SlackClient, state: SlackStateStore, incident: Incident, channel: ChannelId
) -> None:
    """Archive the channel that an incident has left.

    One that it used gets its earlier topic back instead, and loses the bookmarks, which name the incident.
    Raises SlackRefused after both were tried: what is left of either is read by all who are there.
    """
    topic = await earlier_topic(state, incident, channel)
    if topic is None:
        await slack.channels.archive(channel)
        return
    try:
        await slack.channels.restore_topic(channel, topic)
    finally:
        await slack.channels.remove_bookmarks(channel, incident)


async def holder(backend: IncidentBackend, state: SlackStateStore, channel: ChannelId) -> Incident | None:
    """Return the incident whose channel this stays; None if another incident may use the channel.

    It stays an incident's while that is open, and for good if it was created for it. Raises Unavailable.
    """
    owner_id = await state.incident_of_channel(channel)
    owner = await backend.find(owner_id) if owner_id is not None else None
    if owner is None or owner.slack_channel_id != channel:
        return None
    was_there = await earlier_topic(state, owner, channel) is not None
    return None if was_there and not owner.incident_status.is_open else owner


class UsedChannels:
    """Taking of existing channels in one workspace; two incidents never have the same one."""

    def __init__(
        self, backend: IncidentBackend, slack: SlackClient, state: SlackStateStore, clock: Clock
    ) -> None:
        self._backend = backend
        self._slack = slack
        self._state = state
        self._clock = clock

    async def take(self, channel: ChannelId, incident: Incident) -> Channel:
        """Make an existing channel the incident's own and return it; a repeat changes nothing.

        A closed incident that used it before has no channel from then on, so that it cannot share this one
        when it is reopened. Raises Refused if the channel cannot be used, or is another incident's.
        """
        joined, topic = await self._slack.channels.join(channel)
        owner = await self._state.claim_channel(channel, incident.id)
        if owner != incident.id:
            # Its topic may still be there, which is not the channel's own.
            left = await self._take_from(owner, channel, incident)
            topic = left if topic is None else topic
            # Who continues after a restart finds no earlier owner to ask for it.
            await self._keep_topic(incident, channel, topic)
            owner = await self._state.claim_channel(channel, incident.id, instead_of=owner)
        if owner != incident.id:
            raise Refused("That channel is another incident's.")
        await self._keep_topic(incident, channel, topic)
        return joined

    async def _keep_topic(self, incident: Incident, channel: ChannelId, topic: str | None) -> None:
        if await earlier_topic(self._state, incident, channel) is None:
            await self._state.save_fingerprint(incident.id, channel, USED, topic or "")

    async def _take_from(self, owner_id: str, channel: ChannelId, incident: Incident) -> str:
        """Take the channel from an incident that used it; return the topic from before that one."""
        if await holder(self._backend, self._state, channel) is not None:
            raise Refused("That channel is another incident's.")
        owner = await self._backend.find(owner_id)
        if owner is None:
            return ""
        if owner.slack_channel_id == channel:
            entry = TimelineEntry(
                at=self._clock(),
                verb=LEFT,
                text=f"It is the channel of {incident.reference} now",
            )
            await self._backend.note(owner.id, entry, f"{incident.id}:left")
            await self._backend.set_channel(owner.id, NO_CHANNEL)
        return await earlier_topic(self._state, owner, channel) or ""
