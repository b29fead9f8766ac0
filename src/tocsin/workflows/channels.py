"""Channels of incidents: create one, wait for the backend's, and delete posts that may not stay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.errors import Refused, SlackRefused, Unavailable
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, Person, PersonId, TimelineEntry
from tocsin.incidents.postmortem import document_name
from tocsin.incidents.requests import Declaration
from tocsin.workflows.ports import Channel, Clock, IncidentBackend, SlackStateStore
from tocsin.workflows.retry import ALL_DAY, SLACK_ATTEMPTS, StepFailure
from tocsin.workflows.slack_client import SlackClient
from tocsin.workflows.used_channel import UsedChannels, has_left_channel, leave_channel

# Create an incident's channel under the first free name; a repeat finds the channel that exists.

CHANNEL_NAMES = 9
OPENED = "opened the channel"


def private_names(names: ChannelNames, incident: Incident) -> list[str]:
    """Return names for the channel of an incident that becomes private; the last one is always free."""
    endings = ("private", f"private-{incident.id[-12:].lower()}")
    return names.with_endings(incident, endings)


async def open_channel(
    slack: SlackClient, incident: Incident, names: Iterable[str], *, private: bool, again: bool
) -> Channel:
    """Create a channel; with `again`, return the one that an attempt whose answer was lost has created.

    Slack gives a name only once (conversations.create: `name_taken`), so a repeat is safe, and the bot's
    channels are searched only if the name is taken. Raises SlackRefused if all names are taken.
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
    """Creator of the channels of declared incidents, one for each; it tells the backend of each channel."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        workspace: SlackClient,
        state: SlackStateStore,
        clock: Clock,
        saw: Callable[[Incident], None],
        shelter: Callable[[str], Awaitable[Channel | None]] | None,
        names: ChannelNames,
    ) -> None:
        """`saw` is called with the incident once the backend knows its channel.

        `shelter` finds the fallback channel of the declaration with a key, in which people work already.
        """
        self._backend = backend
        self._workspace = workspace
        self._state = state
        self._clock = clock
        self._saw = saw
        self._shelter = shelter
        self._names = names
        self._used = UsedChannels(backend, workspace, state, clock)

    async def open(self, declaration: Declaration, incident: Incident, again: bool) -> Channel:
        """Create the channel of the incident, which may have become private since it was declared.

        Raises SlackRefused and Refused if it gets none, and remembers that for those who wait for it.
        """
        try:
            return await self._open(declaration, incident, again)
        except (SlackRefused, Refused):
            await self._state.save_fingerprint(incident.id, "", CHANNEL_REFUSED, CHANNEL_REFUSED)
            raise

    async def _open(self, declaration: Declaration, incident: Incident, again: bool) -> Channel:
        key, names = declaration.key, self._candidates(declaration, incident)
        if self._shelter is not None and (sheltered := await self._shelter(key)) is not None:
            return await self._taken(incident, sheltered, key)
        # Only the local backend lets an incident become private, so a remote one need not be asked.
        incident = incident if self._backend.is_remote else await self._now(incident)
        private = incident.is_private
        if private and incident.slack_channel_id:
            return await self._noted(incident, await self._private_one(incident), key)
        if (used := await self._existing(declaration, incident, names, again)) is not None:
            return await self._taken(incident, used, key, "uses the channel")
        if again and private and declaration.visibility == "public":
            await self._leave_public(incident, names)
        channel = await open_channel(self._workspace, incident, names, private=private, again=again)
        return await self._taken(incident, channel, key)

    async def _existing(
        self, declaration: Declaration, incident: Incident, names: Sequence[str], again: bool
    ) -> Channel | None:
        """Return the existing channel that the declaration asks for; None if none is to be used.

        Returns None also if that channel cannot be used any more: the incident then gets one of its own,
        which an earlier attempt may have created already.
        """
        wanted = declaration.slack_channel_id
        if wanted is None or incident.is_private:
            return None
        if again and await self._workspace.channels.find_own(names, incident, private=False) is not None:
            return None
        with suppress(Refused, SlackRefused):
            return await self._used.take(wanted, incident)
        return None

    def _candidates(self, declaration: Declaration, incident: Incident) -> list[str]:
        """Return names for the incident's channel, best first; the last is always free.

        They are those of the incident as it was declared: a channel whose answer was lost is then found by
        its name, even if the incident has been renamed. SlackSync renames the channel afterwards.
        """
        endings = (*range(1, CHANNEL_NAMES + 1), declaration.key.replace("-", "")[:12])
        declared = incident.model_copy(update={"name": declaration.name})
        return self._names.with_endings(declared, endings)

    async def _leave_public(self, incident: Incident, names: Sequence[str]) -> None:
        """Archive the public channel that Slack created before the incident became private, if there is one.

        Its answer was lost, so no person was told of it and nothing was posted there.
        """
        left = await self._workspace.channels.find_own(names, incident, private=False)
        if left is not None:
            await self._workspace.channels.archive(left.id)

    async def _now(self, incident: Incident) -> Incident:
        return await self._backend.find(incident.id) or incident

    async def _private_one(self, incident: Incident) -> Channel:
        """Return a private channel for an incident that became private while its public one was created.

        Nothing has been posted in the public one, which is archived. MakePrivate uses the same names, so
        that only one private channel is created, whichever workflow comes first.
        """
        own = Channel(id=ChannelId(incident.slack_channel_id), name=incident.slack_channel_name)
        if await fitting_channel(self._workspace, self._state, incident) is not None:
            return own
        names = private_names(self._names, incident)
        channel = await open_channel(self._workspace, incident, names, private=True, again=True)
        await self._state.save_fingerprint(incident.id, channel.id, PRIVATE, PRIVATE)
        await self._backend.set_channel(incident.id, channel)
        await self._state.remember_channel(channel.id, incident.id)
        await leave_channel(self._workspace, self._state, incident, own.id)
        return channel

    async def _taken(self, incident: Incident, channel: Channel, key: str, verb: str = OPENED) -> Channel:
        """Store the channel as the incident's own and return it.

        Returns a private one instead if the incident has become private in the meantime.
        """
        now = await self._backend.set_channel(incident.id, channel)
        self._saw(now)
        await self._state.remember_channel(channel.id, incident.id)
        if incident.is_private:
            await self._state.save_fingerprint(incident.id, channel.id, PRIVATE, PRIVATE)
        elif now.is_private:
            channel = await self._private_one(now)
        return await self._noted(incident, channel, key, verb)

    async def _noted(self, incident: Incident, channel: Channel, key: str, verb: str = OPENED) -> Channel:
        """Add the opening of the channel to the timeline, and return the channel."""
        entry = TimelineEntry(at=self._clock(), verb=verb, text=f"#{channel.name}" if channel.name else "")
        await self._backend.note(incident.id, entry, f"{key}:channel")
        return channel


# Poll a hosted backend until it has created the incident's channel.

PATIENCE_SECONDS = 600.0
"""Seconds until the reporter is told that there is no channel yet; the polling goes on."""

A_DAY = 86_400.0
LONGEST_PAUSE = 60.0


def pauses() -> Iterator[float]:
    """Yield the seconds before each poll: first 0.5 s, then at most 4.5 s for a minute, then at most 60 s."""
    passed = pause = 0.5
    yield pause
    while True:
        pause = min(pause * 1.6, 4.5 if passed < 60 else LONGEST_PAUSE)
        spread = pause * random.uniform(0.8, 1.0)
        passed += spread
        yield spread


async def seen_by(slack: SlackClient, incident: Incident, person: PersonId | None) -> Incident:
    """Return the incident with its channel if this person is a member, else without. Raises Unavailable.

    A channel whose members the bot cannot read counts as one without members.
    """
    channel = ChannelId(incident.slack_channel_id)
    members = await members_seen(slack, channel) if channel else []
    if person is not None and person in members:
        return incident
    return without_channel(incident)


def without_channel(incident: Incident) -> Incident:
    """Return the incident without its channel."""
    return incident.model_copy(update={"slack_channel_id": "", "slack_channel_name": ""})


async def await_channel(
    backend: IncidentBackend, state: SlackStateStore, incident: Incident, seconds: float
) -> Channel | StepFailure:
    """Return the channel of an incident that has none yet; poll for at most so many seconds in each process.

    Returns a StepFailure if it has not been opened by then, and as soon as it is known that it never will be.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    if incident.slack_channel_id:
        return await _known(state, incident)
    for pause in pauses():
        with suppress(Unavailable):
            if why := await why_channelless(backend, state, incident):
                return StepFailure(trouble=why)
        await asyncio.sleep(pause)
        found = None
        # The backend may also be unavailable for a while.
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
    """Return the members of a channel; an empty list if the bot cannot see it."""
    with suppress(SlackRefused):
        return list(await slack.channels.members(channel) or ())
    return []


# Delete posts that may not stay, for example after an incident has become private. These prefixes mark the
# kinds of posts in the table of fingerprints.

NEWS = "news:"
"""Prefix of an update that was posted outside the incident's own channel; the message's `ts` follows."""

POSTING = "posting:"
"""Prefix of an update that is being posted there; its key and the `ts` of its thread follow."""

DOCUMENT = "document:"
"""Prefix of the post-incident document; its id follows.

The value stored with it is the document's kind and the key of the command that asked for it.
"""

BEGUN = "begun-document"
"""Mark of a document that is about to be written; the value is its kind and the key of the command.

Until its id is known, a canvas is found by its channel, which had none before, and a file by its name.
"""

UNFURL = "unfurl:"
"""Prefix of a link preview (unfurl) of the incident; the message's `ts` and the link follow."""

UNKNOWN = ""
"""Stored instead of a snapshot: the next poll syncs the incident even if it has not changed."""

INVITED = "invited"
"""Mark of a user group that a rule brought into the channel; it is stored under the group's id or handle."""

CHANNEL_REFUSED = "channel refused"
"""Mark of an incident whose channel could not be created; it is stored without a channel."""

PRIVATE = "private"
"""Mark of a channel that was created as private or found to be; `fitting_channel` does not check it again."""


async def withdraw_posts(
    slack: SlackClient, state: SlackStateStore, incident: Incident, kept: Collection[str]
) -> None:
    """Delete updates, documents and link previews elsewhere, and every card not in the places in `kept`.

    Updates go before cards: a message that is deleted before its replies leaves a trace (Slack, `tombstone`).
    Raises Unavailable, or else SlackRefused, after every post has been tried.
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
    """Call all of them, even if some fail: Slack refuses edits in an archived channel, for example.

    Raises the first Unavailable, or else the first SlackRefused, at the end.
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
        # Its channel may still be public until the incident has moved to a private one.
        is_kept = card.channel == await fitting_channel(slack, state, incident)
    if not is_kept:
        await slack.messages.withdraw(card)
        await state.forget_card(card)


async def withdraw_documents(slack: SlackClient, state: SlackStateStore, incident: Incident) -> None:
    """Delete documents outside the incident's channel, also one whose id a dead process did not store."""
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
    """Delete updates posted outside the incident's channel.

    Includes an update whose `ts` was not stored because the process died: it is found by its key.
    """
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
    """Parse the stored mark of a link preview; return the message's `ts` and the link."""
    ts, _, url = thing.removeprefix(UNFURL).partition(" ")
    return MessageTs(ts), url


NEW_FOR = timedelta(minutes=10)
"""Time after a declaration in which its channel may still come."""


def is_told(incident: Incident, by: Person, at: datetime) -> bool:
    """True if the incident's channel is told of a change at this moment.

    A program may change what it has just declared sooner than the channel is opened (`awaits_channel`).
    """
    comes = by.slack_user_id is None and not incident.is_retrospective and at - incident.created_at <= NEW_FOR
    return bool(incident.slack_channel_id) or comes


def attempts_to_tell(incident: Incident) -> int:
    """Return the lost answers after which a channel is not told any more; one that is to come has a day."""
    return SLACK_ATTEMPTS if incident.slack_channel_id else ALL_DAY


async def why_channelless(backend: IncidentBackend, state: SlackStateStore, incident: Incident) -> str:
    """Return why an incident without a channel will get none; empty if it may still get one."""
    if ("", CHANNEL_REFUSED) in await state.fingerprints(incident.id):
        return "Slack did not let Tocsin open its channel"
    if await has_left_channel(backend, state, incident):
        return "Its channel is another incident's now"
    return ""


async def awaits_channel(backend: IncidentBackend, state: SlackStateStore, incident: Incident) -> bool:
    """True if the incident has no channel and may still get one."""
    return not incident.slack_channel_id and not await why_channelless(backend, state, incident)


async def fitting_channel(slack: SlackClient, state: SlackStateStore, incident: Incident) -> ChannelId | None:
    """Return the incident's own channel; None if it has none, or if a private incident's is still public.

    The latter holds between the moment an incident is made private and the moment it has moved to a private
    channel: nothing may be posted in the public one.
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
