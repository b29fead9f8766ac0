"""Channels of incidents: created or awaited, and posts in them taken back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, PersonId, TimelineEntry
from tocsin.incidents.postmortem import document_name
from tocsin.incidents.requests import Declaration
from tocsin.incidents.validation import channel_name
from tocsin.workflows.ports import (
    Channel,
    Clock,
    IncidentBackend,
    SlackClient,
    SlackStateStore,
)
from tocsin.workflows.retry import StepFailure

# Open an incident's channel under the first name that is free, and once, however often it is tried.

CHANNEL_NAMES = 9


def private_names(incident: Incident) -> list[str]:
    """Return names for the channel of an incident that becomes private; the last one is free."""
    endings = ("private", f"private-{incident.id[-12:].lower()}")
    return [channel_name(incident.reference, incident.name, ending) for ending in endings]


async def open_channel(
    slack: SlackClient, incident: Incident, names: Iterable[str], *, private: bool, again: bool
) -> Channel:
    """Make a channel, or with `again` find the one that an earlier attempt made whose answer was lost.

    A name is given once (Slack, conversations.create: `name_taken`), so asking for it again is safe, and only
    where it is taken does anybody go through the bot's channels. Raises SlackRefused when all are taken.
    """
    for name in names:
        try:
            return await slack.channels.create(name, incident, private=private)
        except SlackRefused as refusal:
            if refusal.code != "name_taken":
                raise
        if again and (ours := await slack.channels.find_own([name], incident, private=private)) is not None:
            return ours
    raise SlackRefused("conversations.create", "name_taken")


class ChannelOpener:
    """Opens the channels of declared incidents, each once, and lets the backend know of it."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        workspace: SlackClient,
        state: SlackStateStore,
        clock: Clock,
        saw: Callable[[Incident], None],
        shelter: Callable[[str], Awaitable[Channel | None]] | None,
    ) -> None:
        """`saw` hears of the incident once its channel is known to its backend.

        `shelter` finds the channel in which people work already on what was declared with a key.
        """
        self._backend = backend
        self._workspace = workspace
        self._state = state
        self._clock = clock
        self._saw = saw
        self._shelter = shelter

    async def open(self, declaration: Declaration, incident: Incident, again: bool) -> Channel:
        """Make a channel for the incident as it is now: it may have become private since it was declared."""
        key = declaration.key
        if self._shelter is not None and (sheltered := await self._shelter(key)) is not None:
            return await self._taken(incident, sheltered, key)
        # Only a backend that is here is asked each time: no other lets an incident become private.
        incident = incident if self._backend.is_remote else await self._now(incident)
        private = incident.is_private
        if private and incident.slack_channel_id:
            return await self._noted(incident, await self._private_one(incident), key)
        if again and private and declaration.visibility == "public":
            await self._leave_public(incident, declaration)
        names = _names(declaration, incident.reference)
        channel = await open_channel(self._workspace, incident, names, private=private, again=again)
        return await self._taken(incident, channel, key)

    async def _leave_public(self, incident: Incident, declaration: Declaration) -> None:
        """Archive the public channel that Slack made before the incident became private, if it did.

        The answer was lost, so nobody was told of it, and nothing was said there.
        """
        names = _names(declaration, incident.reference)
        left = await self._workspace.channels.find_own(names, incident, private=False)
        if left is not None:
            await self._workspace.channels.archive(left.id)

    async def _now(self, incident: Incident) -> Incident:
        return await self._backend.find(incident.id) or incident

    async def _private_one(self, incident: Incident) -> Channel:
        """A private channel for an incident that became private while a public one was made for it.

        Nothing has been said in the public one yet, and it is archived. Making the incident private moves it
        into a channel of the same name, so that there is one whoever comes first.
        """
        own = Channel(id=ChannelId(incident.slack_channel_id), name=incident.slack_channel_name)
        if await fitting_channel(self._workspace, self._state, incident) is not None:
            return own
        names = private_names(incident)
        channel = await open_channel(self._workspace, incident, names, private=True, again=True)
        await self._state.save_fingerprint(incident.id, channel.id, PRIVATE, PRIVATE)
        await self._backend.set_channel(incident.id, channel)
        await self._state.remember_channel(channel.id, incident.id)
        await self._workspace.channels.archive(own.id)
        return channel

    async def _taken(self, incident: Incident, channel: Channel, key: str) -> Channel:
        """The channel as the incident's own, known to its backend; another where that is private by now."""
        now = await self._backend.set_channel(incident.id, channel)
        self._saw(now)
        await self._state.remember_channel(channel.id, incident.id)
        if incident.is_private:
            await self._state.save_fingerprint(incident.id, channel.id, PRIVATE, PRIVATE)
        elif now.is_private:
            channel = await self._private_one(now)
        return await self._noted(incident, channel, key)

    async def _noted(self, incident: Incident, channel: Channel, key: str) -> Channel:
        """The channel, once the timeline says that it was opened."""
        entry = TimelineEntry(at=self._clock(), verb="opened the channel", text=f"#{channel.name}")
        await self._backend.note(incident.id, entry, f"{key}:channel")
        return channel


def _names(declaration: Declaration, reference: str) -> list[str]:
    """Return what its channel may be called, the best first; the last is one that is surely free.

    They are made of the name that it was declared with: a channel whose answer was lost is found by its name,
    also when the incident was renamed meanwhile. What shows the incident follows the new name afterwards.
    """
    endings = (*range(1, CHANNEL_NAMES + 1), declaration.key.replace("-", "")[:12])
    return [channel_name(reference, declaration.name, ending) for ending in endings]


# The channel of an incident whose backend opens it by itself: asked for until it is there.

PATIENCE_SECONDS = 600.0
"""Seconds until the reporter is told that the channel has not come; it is asked for still."""

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


async def seen_by(slack: SlackClient, incident: Incident, person: PersonId | None) -> Incident:
    """The incident with its channel if this person is in it, else without. Raises Unavailable.

    Where the bot cannot see who is in a channel, nobody is.
    """
    channel = ChannelId(incident.slack_channel_id)
    members = await members_seen(slack, channel) if channel else []
    if person is not None and person in members:
        return incident
    return without_channel(incident)


def without_channel(incident: Incident) -> Incident:
    """The incident without its channel."""
    return incident.model_copy(update={"slack_channel_id": "", "slack_channel_name": ""})


async def await_channel(
    backend: IncidentBackend, state: SlackStateStore, incident: Incident, seconds: float
) -> Channel | StepFailure:
    """Return the channel that the backend opens, asked for at most so many seconds in each process."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    if incident.slack_channel_id:
        return await _known(state, incident)
    for pause in pauses():
        await asyncio.sleep(pause)
        found = None
        # Whoever opens the channel may also be out of reach for a while.
        with suppress(Unavailable):
            found = await backend.find(incident.id)
        if found is not None and found.slack_channel_id:
            return await _known(state, found)
        if loop.time() > until:
            break
    minutes = round(seconds / 60)
    return StepFailure(trouble=f"Its channel has not been opened within {minutes} minutes", passing=True)


async def _known(state: SlackStateStore, incident: Incident) -> Channel:
    channel = Channel(id=ChannelId(incident.slack_channel_id), name=incident.slack_channel_name)
    with suppress(Unavailable):
        await state.remember_channel(channel.id, incident.id)
    return channel


async def members_seen(slack: SlackClient, channel: ChannelId) -> list[PersonId]:
    """Return the people in a channel; none where the bot cannot see it."""
    with suppress(SlackRefused):
        return list(await slack.channels.members(channel) or ())
    return []


# Where an incident may be shown, and taking back what was posted where it does not belong any more.

NEWS = "news:"
"""Marks a piece of news outside the incident's own channel; its `ts` comes after it."""

POSTING = "posting:"
"""Marks news on its way there; its key and the `ts` of its thread come after it."""

DOCUMENT = "document:"
"""Marks the incident's document; its id comes after it.

Kept with it are its kind and the key of who asked for it.
"""

BEGUN = "begun-document"
"""Marks a document that is about to be written: its kind and the key of who asked.

Until its id is known it is found by where it is: a channel whose canvas is begun had none.
"""

UNFURL = "unfurl:"
"""Marks an incident that is shown below a link; the message's `ts` and the link follow."""

UNKNOWN = ""
"""Noted of an incident that is to be followed at the next poll, whatever it is then."""

PRIVATE = "private"
"""Marks a channel that is known to be private: it stays so."""


async def withdraw_posts(
    slack: SlackClient, state: SlackStateStore, incident: Incident, kept: Collection[str]
) -> None:
    """Delete news and documents elsewhere, and every card but those in the places that are `kept`.

    News goes first: a message that is deleted before its replies leaves a trace (Slack, `tombstone`). Raises
    Unavailable, or else SlackRefused, once all that could be done is done.
    """
    fingerprints, cards = await state.fingerprints(incident.id), await state.cards(incident.id)
    unfurls = [where for where in fingerprints if where[1].startswith(UNFURL)]
    await _each(
        [
            partial(withdraw_documents, slack, state, incident),
            partial(withdraw_news, slack, state, incident),
            *(partial(_fold, slack, state, incident, channel, thing) for channel, thing in unfurls),
            *(partial(_withdraw_card, slack, state, incident, card, kept) for card in cards),
        ]
    )


async def _each(acts: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do all of them, whatever Slack refuses, as it does in an archived channel, and whatever it fails at.

    Raises the first failure that may pass, or else the first refusal.
    """
    failures: list[SlackRefused | Unavailable] = []
    for act in acts:
        try:
            await act()
        except (SlackRefused, Unavailable) as failure:
            failures.append(failure)
    if failures:
        raise min(failures, key=lambda one: isinstance(one, SlackRefused))


async def _fold(
    slack: SlackClient, state: SlackStateStore, incident: Incident, channel: str, thing: str
) -> None:
    await slack.messages.fold(ChannelId(channel), *unfurled(thing))
    await state.delete_fingerprint(incident.id, channel, thing)


async def _withdraw_card(
    slack: SlackClient, state: SlackStateStore, incident: Incident, card: Card, kept: Collection[str]
) -> None:
    is_kept = card.place in kept
    if is_kept and incident.is_private and card.place == "headline":
        # Its own channel may be public still, until it has moved into another.
        is_kept = card.channel == await fitting_channel(slack, state, incident)
    if not is_kept:
        await slack.messages.withdraw(card)
        await state.forget_card(card)


async def withdraw_documents(slack: SlackClient, state: SlackStateStore, incident: Incident) -> None:
    """Delete its documents elsewhere, also one that was written by a process that ended before noting so."""
    fingerprints = await state.fingerprints(incident.id)
    documents = {
        where: kind for where, kind in fingerprints.items() if where[1].startswith((DOCUMENT, BEGUN))
    }
    own = await fitting_channel(slack, state, incident) if documents else None
    await _each(
        partial(_withdraw_document, slack, state, incident, where, face)
        for where, face in documents.items()
        if where[0] != own
    )


async def _withdraw_document(
    slack: SlackClient, state: SlackStateStore, incident: Incident, where: tuple[str, str], face: str
) -> None:
    (channel, thing), kind = where, face.partition(" ")[0]
    document = thing.removeprefix(DOCUMENT)
    if thing == BEGUN:
        document = await slack.files.find_document(ChannelId(channel), kind, document_name(incident))
    if document:
        await slack.files.delete_document(kind, document)
        await state.delete_fingerprint(incident.id, channel, thing)


async def withdraw_news(slack: SlackClient, state: SlackStateStore, incident: Incident) -> None:
    """Delete what was said of it elsewhere, also what a process posted that ended before it noted so."""
    said = [where for where in await state.fingerprints(incident.id) if where[1].startswith((NEWS, POSTING))]
    await _each(partial(_withdraw_news, slack, state, incident, ChannelId(c), thing) for c, thing in said)


async def _withdraw_news(
    slack: SlackClient, state: SlackStateStore, incident: Incident, channel: ChannelId, thing: str
) -> None:
    ts: MessageTs | None = MessageTs(thing.removeprefix(NEWS))
    if thing.startswith(POSTING):
        key, _, thread = thing.removeprefix(POSTING).partition(" ")
        ts = await slack.messages.find_news(channel, key, MessageTs(thread))
    if ts is not None:
        await slack.messages.withdraw(Card(channel=channel, ts=ts, place="news"))
        await state.delete_fingerprint(incident.id, channel, thing)


def unfurled(thing: str) -> tuple[MessageTs, str]:
    """The message and the link that an incident is shown below, as the store has them."""
    ts, _, url = thing.removeprefix(UNFURL).partition(" ")
    return MessageTs(ts), url


async def fitting_channel(slack: SlackClient, state: SlackStateStore, incident: Incident) -> ChannelId | None:
    """The incident's own channel; none where it has none, or where a private one's is public still.

    That is so between the moment it is made private and the moment it has moved: nothing may be said there.
    """
    channel = ChannelId(incident.slack_channel_id)
    if not channel or not incident.is_private:
        return channel or None
    if (channel, PRIVATE) in await state.fingerprints(incident.id):
        return channel
    if not await slack.channels.is_private(channel):
        return None
    await state.save_fingerprint(incident.id, channel, PRIVATE, PRIVATE)
    return channel
