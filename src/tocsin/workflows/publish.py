"""Bring everybody to an incident: its channel, its cards, and a word on what did not work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Card, ChannelId, Incident, TimelineEntry
from tocsin.incidents.validation import Place, channel_name, in_words, places
from tocsin.workflows.channels import (
    A_DAY,
    PATIENCE_SECONDS,
    PRIVATE,
    Arrival,
    fitting_channel,
    opened_channel,
    private_names,
    unnamed,
)
from tocsin.workflows.command import Waiting
from tocsin.workflows.declaration import AnyOutcome, Declared, DeclareOrder
from tocsin.workflows.notify import Announcing, Answering, Telling
from tocsin.workflows.ports import Channel, Clock, IncidentBackend, Journal, SlackClient, SlackStateStore
from tocsin.workflows.retry import ALL_DAY, Trouble, attempt
from tocsin.workflows.sync import snapshot

CHANNEL_NAMES = 9
CHANNEL_ATTEMPTS = 4
"""Lost answers, a few seconds of them, after which the cards go out first and the channel is made later."""

UNPOSTED = {
    "source": "The card could not be posted where it was declared",
    "announcement": "It could not be announced",
    "reporter": "The card could not be sent to you",
}


class Gathering:
    """What follows a declaration in Slack; every part of it is a step of the declaration's story."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        workspace: SlackClient,
        ledger: SlackStateStore,
        journal: Journal,
        clock: Clock,
        announce: str | None,
        saw: Callable[[Incident], None],
        shelter: Callable[[str], Awaitable[Channel | None]] | None = None,
    ) -> None:
        """`saw` hears of the incident once its channel is known to its backend.

        `shelter` finds the channel in which people work already on what was declared with a key.
        """
        self._backend = backend
        self._workspace = workspace
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._announce = announce
        self._saw = saw
        self._shelter = shelter
        self._arrival = Arrival(backend=backend, workspace=workspace, ledger=ledger, journal=journal)
        self.answering = Answering(backend=backend, workspace=workspace, journal=journal)
        self.telling = Telling(workspace=workspace, journal=journal)
        self._announcing = Announcing(
            workspace=workspace, journal=journal, announce=announce, post=self._card
        )

    async def everyone(
        self, order: DeclareOrder, incident: Incident, waiting: Waiting[AnyOutcome]
    ) -> Incident:
        """Open the channel, then everything else side by side, then the pin: three calls deep.

        Who is `waiting` sees what became of it in the window. When the channel cannot be made just now, the
        cards go out without it, and it is made when Slack is well again.
        """
        if self._backend.makes_channel:
            return await self._before_its_channel(order, incident, waiting)
        opened = await self._open(order, incident, "open the channel", CHANNEL_ATTEMPTS)
        troubles = [opened] if isinstance(opened, Trouble) else []
        troubles += _withheld(order)
        if isinstance(opened, Channel):
            incident = _in_channel(incident, opened)
        origin = None if order.withheld else order.origin
        spots = places(incident, origin=origin, thread=order.thread, announce=self._announce)
        done = await asyncio.gather(
            self.telling.show(order, Declared(incident=incident), troubles, waiting),
            *(self._furnish(order, incident) if incident.slack_channel_id else ()),
            *(self._post(order, incident, spot) for spot in spots),
            *self._announcing.steps(order, incident),
        )
        await self._pinned(done)
        troubles += [result for result in done if isinstance(result, Trouble)]
        await self._without_a_card(order, incident, troubles, done)
        await self.telling.troubles(order, incident, troubles)
        unopened = [opened] if isinstance(opened, Trouble) else []
        await self.telling.show_latecomers(order, Declared(incident=incident), unopened, waiting)
        if isinstance(opened, Trouble) and opened.passing:
            incident = await self._open_after_all(order, incident)
            # Also for those who pressed meanwhile.
            waiting.shown = -1
            unopened = [] if incident.slack_channel_id else unopened
            await self.telling.show_latecomers(order, Declared(incident=incident), unopened, waiting)
        return incident

    async def _before_its_channel(
        self, order: DeclareOrder, incident: Incident, waiting: Waiting[AnyOutcome]
    ) -> Incident:
        """The cards first; the backend opens the channel some time later, and then they name it."""
        # A create that is repeated may answer with the channel; who may read of it is looked up first.
        created, incident = incident, unnamed(incident) if incident.is_private else incident
        origin = None if order.withheld else order.origin
        spots = places(incident, origin=origin, thread=order.thread, announce=self._announce)
        done = await asyncio.gather(
            self.telling.show(order, Declared(incident=incident), (), waiting),
            *(self._post(order, incident, spot) for spot in spots),
            attempt(
                self._journal,
                "tell the backend the rest",
                "The message it was declared from could not be added",
                lambda _: self._backend.follow_through(order.declaration, incident),
            ),
        )
        troubles = [*_withheld(order), *(result for result in done if isinstance(result, Trouble))]
        await self._without_a_card(order, incident, troubles, done)
        await self.telling.troubles(order, incident, troubles)
        late = await self.telling.show_latecomers(order, Declared(incident=incident), (), waiting)
        arrived = await self._arrival.awaited(created, "await the channel", PATIENCE_SECONDS)
        if isinstance(arrived, Trouble):
            await self.telling.troubles(order, incident, [arrived])
            arrived = await self._arrival.awaited(created, "await the channel after all", A_DAY)
        if isinstance(arrived, Trouble) or not await self._arrival.may_be_named(incident, arrived):
            return incident
        incident = _in_channel(incident, arrived)
        await asyncio.gather(
            self._bring_up_to_date(incident), self.telling.show(order, Declared(incident=incident))
        )
        if late:
            # In a process after the one that showed the channel, those words knew less and came after it.
            waiting.shown = -1
        await self.telling.show_latecomers(order, Declared(incident=incident), (), waiting)
        return incident

    async def _open_after_all(self, order: DeclareOrder, incident: Incident) -> Incident:
        # What was tried before may have made it, and only the answer was lost.
        opened = await self._open(order, incident, "open the channel after all", ALL_DAY, perhaps=True)
        if not isinstance(opened, Channel):
            return incident
        incident = _in_channel(incident, opened)
        done = await asyncio.gather(
            *self._furnish(order, incident),
            self._bring_up_to_date(incident),
            *self._announcing.invitations(order, incident),
        )
        await self._pinned(done)
        await self.telling.mended(order, incident)
        return incident

    def _open(
        self, order: DeclareOrder, incident: Incident, name: str, attempts: int, *, perhaps: bool = False
    ) -> Awaitable[Channel | Trouble]:
        return attempt(
            self._journal,
            name,
            "The channel could not be made",
            lambda again: self._open_channel(order, incident, again or perhaps),
            Channel,
            attempts,
        )

    async def _open_channel(self, order: DeclareOrder, incident: Incident, again: bool) -> Channel:
        """A channel for the incident as it is now: it may have become private since it was declared."""
        key = order.declaration.key
        if self._shelter is not None and (sheltered := await self._shelter(key)) is not None:
            return await self._taken(incident, sheltered, key)
        # Only a backend that is here is asked each time: no other lets an incident become private.
        incident = incident if self._backend.is_remote else await self._now(incident)
        private = incident.is_private
        if private and incident.slack_channel_id:
            return await self._noted(incident, await self._private_one(incident), key)
        if again and private and order.declaration.visibility == "public":
            await self._leave_public(incident, order)
        names = _names(order, incident.reference)
        channel = await opened_channel(self._workspace, incident, names, private=private, again=again)
        return await self._taken(incident, channel, key)

    async def _leave_public(self, incident: Incident, order: DeclareOrder) -> None:
        """Archive the public channel that Slack made before the incident became private, if it did.

        The answer was lost, so nobody was told of it, and nothing was said there.
        """
        names = _names(order, incident.reference)
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
        if await fitting_channel(self._workspace, self._ledger, incident) is not None:
            return own
        names = private_names(incident)
        channel = await opened_channel(self._workspace, incident, names, private=True, again=True)
        await self._ledger.remember_face(incident.id, channel.id, PRIVATE, PRIVATE)
        await self._backend.set_channel(incident.id, channel)
        await self._ledger.remember_channel(channel.id, incident.id)
        await self._workspace.channels.archive(own.id)
        return channel

    async def _taken(self, incident: Incident, channel: Channel, key: str) -> Channel:
        """The channel as the incident's own, known to its backend; another where that is private by now."""
        now = await self._backend.set_channel(incident.id, channel)
        self._saw(now)
        await self._ledger.remember_channel(channel.id, incident.id)
        if incident.is_private:
            await self._ledger.remember_face(incident.id, channel.id, PRIVATE, PRIVATE)
        elif now.is_private:
            channel = await self._private_one(now)
        return await self._noted(incident, channel, key)

    async def _noted(self, incident: Incident, channel: Channel, key: str) -> Channel:
        """The channel, once the timeline says that it was opened."""
        entry = TimelineEntry(at=self._clock(), verb="opened the channel", text=f"#{channel.name}")
        await self._backend.note(incident.id, entry, f"{key}:channel")
        return channel

    def _furnish(self, order: DeclareOrder, incident: Incident) -> list[Awaitable[Any]]:
        """What the incident's own channel needs, all of it independent."""
        channel = ChannelId(incident.slack_channel_id)
        slack = self._workspace
        return [
            attempt(
                self._journal,
                "bring people in",
                "Nobody could be brought into the channel",
                lambda _: self._bring_in(channel, incident),
                attempts=ALL_DAY,
            ),
            attempt(
                self._journal,
                "set the topic",
                "The topic could not be set",
                lambda _: slack.channels.set_topic(channel, incident),
            ),
            attempt(
                self._journal,
                "set the purpose",
                "The purpose could not be set",
                lambda _: slack.channels.set_purpose(channel, incident),
            ),
            attempt(
                self._journal,
                "add the bookmark",
                "The bookmark could not be added",
                lambda again: slack.channels.bookmark(channel, incident, again=again),
            ),
            attempt(
                self._journal,
                "post the headline",
                "The headline could not be posted",
                lambda again: self._card(order, incident, Place(place="headline", to=channel), again),
                Card,
                ALL_DAY,
            ),
        ]

    async def _bring_in(self, channel: ChannelId, incident: Incident) -> None:
        left_out = await self._workspace.channels.invite(channel, incident.people, incident)
        if left_out:
            names = in_words(f"<@{person}>" for person in left_out)
            raise Refused(f"{names} could not be brought into the channel")

    def _post(self, order: DeclareOrder, incident: Incident, spot: Place) -> Awaitable[Any]:
        return attempt(
            self._journal,
            f"post the {spot.place} card",
            UNPOSTED[spot.place],
            lambda again: self._card(order, incident, spot, again),
            Card,
            ALL_DAY,
        )

    async def _card(self, order: DeclareOrder, incident: Incident, spot: Place, again: bool) -> Card:
        # By the declaration, not by the incident: that one is made anew after an older copy was restored.
        key = f"{order.declaration.key}:{spot.place}"
        card = await self._workspace.messages.post_card(incident, spot, key=key, again=again)
        await self._ledger.remember_card(incident.id, card)
        await self._remember_face(incident, card)
        return card

    async def _remember_face(self, incident: Incident, card: Card) -> None:
        """What the card shows, so that it is edited when, and only when, it would show something else."""
        face = self._workspace.messages.faces(incident)["card"]
        # A change that came before this card did is seen at the next look.
        await self._ledger.remember_shown(incident, card, face, snapshot(incident))

    async def _bring_up_to_date(self, incident: Incident) -> Any:
        """The cards that went out without a channel, now with it."""

        async def edit(_: bool) -> None:
            for card in await self._ledger.cards(incident.id):
                if card.place != "headline":
                    await self._workspace.messages.update_card(incident, card)
                    await self._remember_face(incident, card)

        return await attempt(self._journal, "bring the cards up to date", "The cards stay as they are", edit)

    async def _pinned(self, done: list[Any]) -> None:
        """Pin the headline, if there is one."""
        headline = next((card for card in done if isinstance(card, Card) and card.place == "headline"), None)
        if headline is not None:
            pinned = await attempt(
                self._journal,
                "pin the headline",
                "The headline could not be pinned",
                lambda _: self._workspace.channels.pin(headline.channel, headline.ts),
            )
            done += [pinned]

    async def _without_a_card(
        self, order: DeclareOrder, incident: Incident, troubles: Sequence[Trouble], done: Sequence[Any]
    ) -> None:
        """Where no card could go, the incident itself goes to its reporter."""
        reporter = incident.creator.slack_user_id
        posted = {card.place for card in done if isinstance(card, Card)}
        if troubles and reporter is not None and not posted & {"source", "reporter"}:
            await self._post(order, incident, Place(place="reporter", to=reporter))


def _in_channel(incident: Incident, channel: Channel) -> Incident:
    return incident.model_copy(update={"slack_channel_id": channel.id, "slack_channel_name": channel.name})


def _withheld(order: DeclareOrder) -> list[Trouble]:
    if not order.withheld:
        return []
    return [Trouble(trouble="No card was posted where it was declared", why=order.withheld)]


def _names(order: DeclareOrder, reference: str) -> list[str]:
    """What its channel may be called, the best first; a name that nobody else can think of comes last.

    They are made of the name that it was declared with: a channel whose answer was lost is found by its name,
    also when the incident was renamed meanwhile. What shows the incident follows the new name afterwards.
    """
    endings = (*range(1, CHANNEL_NAMES + 1), order.declaration.key.replace("-", "")[:12])
    return [channel_name(reference, order.declaration.name, ending) for ending in endings]
