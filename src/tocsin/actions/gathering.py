"""Bring everybody to an incident: its channel, its cards, and a word on what did not work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

from tocsin.actions.attempts import Trouble, attempt
from tocsin.actions.orders import AlreadyDeclared, AnyOutcome, Declared, DeclareOrder, NotDeclared
from tocsin.actions.ports import Backend, Channel, Clock, Journal, Ledger, Workspace
from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, PersonId, TimelineEntry
from tocsin.incidents.rules import Place, channel_name, in_words, places

CHANNEL_NAMES = 9
CLOCK_SKEW = timedelta(minutes=1)

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
        backend: Backend,
        workspace: Workspace,
        ledger: Ledger,
        journal: Journal,
        clock: Clock,
        announce: str | None,
    ) -> None:
        self._backend = backend
        self._workspace = workspace
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._announce = announce

    async def everyone(self, order: DeclareOrder, incident: Incident) -> Incident:
        """Open the channel, then everything else side by side, then the pin: three calls deep."""
        opened = await attempt(
            self._journal,
            "open the channel",
            "The channel could not be made",
            lambda again: self._open_channel(order, incident, again),
            Channel,
        )
        trouble = [opened.trouble] if isinstance(opened, Trouble) else []
        if isinstance(opened, Channel):
            incident = incident.model_copy(
                update={"slack_channel_id": opened.id, "slack_channel_name": opened.name}
            )
        spots = places(incident, origin=order.origin, thread=order.thread, announce=self._announce)
        done = await asyncio.gather(
            self.show(order, Declared(incident=incident), trouble),
            *(self._furnish(order, incident) if incident.slack_channel_id else ()),
            *(self._post(incident, spot) for spot in spots),
        )
        headline = next((card for card in done if isinstance(card, Card) and card.place == "headline"), None)
        if headline is not None:
            done.append(await self._pin(headline))
        trouble += [result.trouble for result in done if isinstance(result, Trouble)]
        await self._report(incident, trouble, everywhere=spots, done=done)
        return incident

    async def _open_channel(self, order: DeclareOrder, incident: Incident, again: bool) -> Channel:
        private = incident.is_private
        since = order.declaration.at - CLOCK_SKEW
        for number in range(1, CHANNEL_NAMES + 1):
            name = channel_name(incident.reference, incident.name, number)
            channel = None
            if again:
                channel = await self._workspace.find_own_channel(name, private=private, since=since)
            try:
                channel = channel or await self._workspace.create_channel(name, private=private)
            except SlackRefused as refusal:
                if refusal.code != "name_taken":
                    raise
                continue
            await self._backend.set_channel(incident.id, channel)
            entry = TimelineEntry(at=self._clock(), verb="opened the channel", text=f"#{channel.name}")
            await self._backend.note(incident.id, entry, f"{order.declaration.key}:channel")
            return channel
        raise SlackRefused("conversations.create", "name_taken")

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
            ),
            attempt(
                self._journal,
                "set the topic",
                "The topic could not be set",
                lambda _: slack.set_topic(channel, incident),
            ),
            attempt(
                self._journal,
                "set the purpose",
                "The purpose could not be set",
                lambda _: slack.set_purpose(channel, incident),
            ),
            attempt(
                self._journal,
                "add the bookmark",
                "The bookmark could not be added",
                lambda again: slack.bookmark(channel, incident, again=again),
            ),
            attempt(
                self._journal,
                "post the headline",
                "The headline could not be posted",
                lambda again: self._card(incident, channel, "headline", None, again),
                Card,
            ),
        ]

    async def _bring_in(self, channel: ChannelId, incident: Incident) -> None:
        left_out = await self._workspace.invite(channel, incident.people)
        if left_out:
            names = in_words(f"<@{person}>" for person in left_out)
            raise Refused(f"{names} could not be brought into the channel")

    def _post(self, incident: Incident, spot: Place) -> Awaitable[Any]:
        return attempt(
            self._journal,
            f"post the {spot.place} card",
            UNPOSTED[spot.place],
            lambda again: self._card(incident, spot.to, spot.place, spot.thread, again),
            Card,
        )

    async def _card(
        self, incident: Incident, to: str, place: str, thread: MessageTs | None, again: bool
    ) -> Card:
        card = await self._workspace.post_card(incident, to=to, place=place, thread=thread, again=again)
        await self._ledger.remember_card(incident.id, card)
        return card

    def _pin(self, headline: Card) -> Awaitable[Any]:
        return attempt(
            self._journal,
            "pin the headline",
            "The headline could not be pinned",
            lambda _: self._workspace.pin(headline.channel, headline.ts),
            None,
        )

    async def _report(
        self, incident: Incident, trouble: list[str], *, everywhere: tuple[Place, ...], done: list[Any]
    ) -> None:
        """Tell the reporter what could not be done; where no card could go, the incident itself goes too."""
        reporter = incident.creator.slack_user_id
        if not trouble or reporter is None:
            return
        posted = {card.place for card in done if isinstance(card, Card)}
        if not posted & {"source", "reporter"}:
            await self._post(incident, Place(place="reporter", to=reporter))
        sentence = f"{incident.reference} is declared, but not everything went well: {'; '.join(trouble)}."
        await attempt(
            self._journal,
            "tell the reporter",
            "The reporter could not be told",
            lambda again: self._workspace.tell(
                PersonId(reporter), sentence, key=f"{incident.id}:trouble", again=again
            ),
            None,
        )

    async def tell_late(self, order: DeclareOrder, outcome: AnyOutcome) -> None:
        """Nobody waits any more: say in the modal, and to the reporter, that no incident was made."""
        reporter, key = order.declaration.reporter.slack_user_id, order.declaration.key
        await self.show(order, outcome)
        if reporter is None:
            return

        async def tell(again: bool) -> None:
            if isinstance(outcome, NotDeclared):
                name, wrong = order.declaration.name, outcome.in_full
                await self._workspace.ask_to_fix(reporter, name, wrong, key=key, again=again)
            elif isinstance(outcome, AlreadyDeclared):
                earlier = " ".join(filter(None, [outcome.incident.reference, outcome.incident.permalink]))
                sentence = f"Nothing new was declared: that message already has {earlier}"
                await self._workspace.tell(reporter, sentence, key=f"{key}:already", again=again)

        await attempt(self._journal, "say that nothing was made", "The reporter could not be told", tell)

    def show(self, order: DeclareOrder, outcome: AnyOutcome, trouble: Sequence[str] = ()) -> Awaitable[Any]:
        view = order.view_id

        async def show(_: bool) -> None:
            if view is None:
                return
            if isinstance(outcome, Declared):
                await self._workspace.show_declared(view, outcome.incident, trouble)
            elif isinstance(outcome, AlreadyDeclared):
                await self._workspace.show_already_declared(view, outcome.incident)
            else:
                await self._workspace.show_not_declared(view, outcome.in_full)

        return attempt(self._journal, "show the outcome", "The form could not be updated", show, None)
