"""Channels of incidents: created or awaited, and posts in them taken back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, PersonId
from tocsin.incidents.postmortem import document_name
from tocsin.incidents.validation import channel_name
from tocsin.workflows.ports import Channel, IncidentBackend, Journal, SlackClient, SlackStateStore
from tocsin.workflows.retry import Trouble, attempt

# Open an incident's channel under the first name that is free, and once, however often it is tried.


def private_names(incident: Incident) -> list[str]:
    """Names for the channel into which an incident moves that becomes private; the last one is free."""
    endings = ("private", f"private-{incident.id[-12:].lower()}")
    return [channel_name(incident.reference, incident.name, ending) for ending in endings]


async def opened_channel(
    slack: SlackClient, incident: Incident, names: Iterable[str], *, private: bool, again: bool
) -> Channel:
    """A new channel, or with `again` the one that an earlier attempt made whose answer was lost.

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


# The channel of an incident whose backend opens it by itself: asked for until it is there.

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


async def seen_by(slack: SlackClient, incident: Incident, person: PersonId | None) -> Incident:
    """The incident with its channel if this person is in it, else without. Raises Unavailable.

    Where the bot cannot see who is in a channel, nobody is.
    """
    members: Sequence[PersonId] = ()
    if incident.slack_channel_id:
        with suppress(SlackRefused):
            members = await slack.channels.members(ChannelId(incident.slack_channel_id)) or ()
    if person is not None and person in members:
        return incident
    return unnamed(incident)


def unnamed(incident: Incident) -> Incident:
    """The incident without its channel."""
    return incident.model_copy(update={"slack_channel_id": "", "slack_channel_name": ""})


class Arrival:
    """Steps of a declaration's story that wait for the channel."""

    def __init__(
        self, *, backend: IncidentBackend, workspace: SlackClient, ledger: SlackStateStore, journal: Journal
    ) -> None:
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
                return list(await self._workspace.channels.members(channel.id) or ())
            return []

        seen = await attempt(
            self._journal, "see who is in the channel", "Its members are not known", look, list[str]
        )
        return not isinstance(seen, Trouble) and incident.creator.slack_user_id in seen


# Where an incident may be shown, and taking back what was posted where it does not belong any more.

NEWS = "news:"
"""What the ledger calls a piece of news outside the incident's own channel; its `ts` comes after it."""

POSTING = "posting:"
"""What the ledger calls news on its way there; its key and the `ts` of its thread come after it."""

DOCUMENT = "document:"
"""What the ledger calls the incident's document; its id comes after it.

Kept with it are its kind and the key of who asked for it.
"""

BEGUN = "begun-document"
"""What the ledger notes before a document is written: its kind and the key of who asked.

Until its id is known it is found by where it is: a channel whose canvas is begun had none.
"""

UNFURL = "unfurl:"
"""What the ledger calls an incident that is shown below a link; the message's `ts` and the link follow."""

UNKNOWN = ""
"""What the ledger notes of an incident that is to be followed at the next look, whatever it is then."""

PRIVATE = "private"
"""What the ledger notes of a channel that is known to be private: it stays so."""


async def withdraw_posts(
    slack: SlackClient, ledger: SlackStateStore, incident: Incident, *, kept: Collection[str]
) -> None:
    """Delete news and documents elsewhere, and every card but those in the places that are `kept`.

    News goes first: a message that is deleted before its replies leaves a trace (Slack, `tombstone`). Raises
    Unavailable, or else SlackRefused, once all that could be done is done.
    """
    faces, cards = await ledger.faces(incident.id), await ledger.cards(incident.id)
    unfurls = [where for where in faces if where[1].startswith(UNFURL)]
    await _each(
        [
            partial(withdraw_documents, slack, ledger, incident),
            partial(withdraw_news, slack, ledger, incident),
            *(partial(_fold, slack, ledger, incident, channel, thing) for channel, thing in unfurls),
            *(partial(_withdraw_card, slack, ledger, incident, card, kept) for card in cards),
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
    slack: SlackClient, ledger: SlackStateStore, incident: Incident, channel: str, thing: str
) -> None:
    await slack.messages.fold(ChannelId(channel), *unfurled(thing))
    await ledger.forget_face(incident.id, channel, thing)


async def _withdraw_card(
    slack: SlackClient, ledger: SlackStateStore, incident: Incident, card: Card, kept: Collection[str]
) -> None:
    is_kept = card.place in kept
    if is_kept and incident.is_private and card.place == "headline":
        # Its own channel may be public still, until it has moved into another.
        is_kept = card.channel == await fitting_channel(slack, ledger, incident)
    if not is_kept:
        await slack.messages.withdraw(card)
        await ledger.forget_card(card)


async def withdraw_documents(slack: SlackClient, ledger: SlackStateStore, incident: Incident) -> None:
    """Delete its documents elsewhere, also one that was written by a process that ended before noting so."""
    faces = await ledger.faces(incident.id)
    documents = {where: kind for where, kind in faces.items() if where[1].startswith((DOCUMENT, BEGUN))}
    own = await fitting_channel(slack, ledger, incident) if documents else None
    await _each(
        partial(_withdraw_document, slack, ledger, incident, where, face)
        for where, face in documents.items()
        if where[0] != own
    )


async def _withdraw_document(
    slack: SlackClient, ledger: SlackStateStore, incident: Incident, where: tuple[str, str], face: str
) -> None:
    (channel, thing), kind = where, face.partition(" ")[0]
    document = thing.removeprefix(DOCUMENT)
    if thing == BEGUN:
        document = await slack.files.find_document(ChannelId(channel), kind, document_name(incident))
    if document:
        await slack.files.delete_document(kind, document)
        await ledger.forget_face(incident.id, channel, thing)


async def withdraw_news(slack: SlackClient, ledger: SlackStateStore, incident: Incident) -> None:
    """Delete what was said of it elsewhere, also what a process posted that ended before it noted so."""
    said = [where for where in await ledger.faces(incident.id) if where[1].startswith((NEWS, POSTING))]
    await _each(partial(_withdraw_news, slack, ledger, incident, ChannelId(c), thing) for c, thing in said)


async def _withdraw_news(
    slack: SlackClient, ledger: SlackStateStore, incident: Incident, channel: ChannelId, thing: str
) -> None:
    ts: MessageTs | None = MessageTs(thing.removeprefix(NEWS))
    if thing.startswith(POSTING):
        key, _, thread = thing.removeprefix(POSTING).partition(" ")
        ts = await slack.messages.find_news(channel, key, MessageTs(thread))
    if ts is not None:
        await slack.messages.withdraw(Card(channel=channel, ts=ts, place="news"))
        await ledger.forget_face(incident.id, channel, thing)


def unfurled(thing: str) -> tuple[MessageTs, str]:
    """The message and the link that an incident is shown below, as the ledger has them."""
    ts, _, url = thing.removeprefix(UNFURL).partition(" ")
    return MessageTs(ts), url


async def fitting_channel(
    slack: SlackClient, ledger: SlackStateStore, incident: Incident
) -> ChannelId | None:
    """The incident's own channel; none where it has none, or where a private one's is public still.

    That is so between the moment it is made private and the moment it has moved: nothing may be said there.
    """
    channel = ChannelId(incident.slack_channel_id)
    if not channel or not incident.is_private:
        return channel or None
    if (channel, PRIVATE) in await ledger.faces(incident.id):
        return channel
    if not await slack.channels.is_private(channel):
        return None
    await ledger.remember_face(incident.id, channel, PRIVATE, PRIVATE)
    return channel
