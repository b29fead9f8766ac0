"""Declare an incident: commit to it, create it, open its channel, and say so where it came from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter

from tocsin.actions.best_effort import patiently
from tocsin.actions.ports import Backend, Channel, Clock, Journal, Ledger, Workspace
from tocsin.actions.waiting import Waiting, WaitingRoom
from tocsin.incidents.errors import Refused, SlackRefused, Unavailable
from tocsin.incidents.model import (
    Card,
    ChannelId,
    Frozen,
    Incident,
    MessageTs,
    PersonId,
    SourceMessage,
    TimelineEntry,
)
from tocsin.incidents.requests import Declaration
from tocsin.incidents.rules import Place, channel_name, in_words, places, visible_to

T = TypeVar("T")
VERB = "declare"

# An acknowledgement is due at Slack within 3 s; this leaves a second for the way back.
PATIENCE = 2.0
SLACK_ATTEMPTS = 8
CHANNEL_NAMES = 9
LONGEST_ANSWER = 3.0
CLOCK_SKEW = timedelta(minutes=1)

UNPOSTED = {
    "source": "The card could not be posted where it was declared",
    "announcement": "It could not be announced",
    "reporter": "The card could not be sent to you",
}


class DeclareOrder(Frozen):
    """A declaration with where it came from and the modal it was made in."""

    declaration: Declaration
    origin: ChannelId | None = None
    thread: MessageTs | None = None
    view_id: str | None = None
    another: bool = False


class Declared(Frozen):
    kind: Literal["declared"] = "declared"
    incident: Incident


class AlreadyDeclared(Frozen):
    """Somebody else declared an incident from the same message first."""

    kind: Literal["already"] = "already"
    incident: Incident


class NotDeclared(Frozen):
    kind: Literal["refused"] = "refused"
    sentence: str
    fields: dict[str, str] = Field(default_factory=dict)


Outcome = Annotated[Declared | AlreadyDeclared | NotDeclared, Field(discriminator="kind")]
AnyOutcome = Declared | AlreadyDeclared | NotDeclared
OUTCOME: TypeAdapter[AnyOutcome] = TypeAdapter(Outcome)


class Trouble(Frozen):
    """Something that could not be done, in a sentence for the reporter."""

    trouble: str


class DeclareIncident:
    """The verb. One instance serves the whole process."""

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
        self._room: WaitingRoom[AnyOutcome] = WaitingRoom()
        self._saving: set[asyncio.Task[Waiting[AnyOutcome]]] = set()

    async def __call__(
        self, order: DeclareOrder, acknowledged: asyncio.Event, patience: float = PATIENCE
    ) -> AnyOutcome | None:
        """Commit to the declaration and wait up to `patience` seconds for what becomes of it.

        None means that it is saved and still being declared; the modal is updated when it is done. The same
        key answers the same outcome, however often and however late it comes. Raises Unavailable when it
        could not be saved in time: nothing was promised then, and asking again is safe.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        # The commit goes on when we stop waiting for it: a half-made promise is worse than a late one.
        saving = asyncio.create_task(self._save(order, acknowledged))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        saved, _ = await asyncio.wait({saving}, timeout=patience)
        if not saved:
            raise Unavailable("Tocsin's journal did not answer in time.")
        waiting = saving.result()
        outcome = await waiting.heard(until - loop.time())
        if outcome is None:
            waiting.late = True
            outcome = await self._finished(order.declaration.key)
        return outcome

    async def _save(self, order: DeclareOrder, acknowledged: asyncio.Event) -> Waiting[AnyOutcome]:
        key = order.declaration.key
        finished = await self._finished(key)
        waiting = self._room.enter(key)
        if finished is not None:
            self._room.leave(key)
            waiting.tell(finished)
            return waiting
        waiting.acknowledged = waiting.acknowledged or acknowledged
        await self._journal.start(VERB, key, order.model_dump(mode="json"))
        return waiting

    async def _finished(self, key: str) -> AnyOutcome | None:
        result = await self._journal.result(key)
        return None if result is None else OUTCOME.validate_python(result)

    async def story(self, raw: dict[str, Any]) -> Any:
        """The durable part, from top to bottom; each step is done once, also across a crash."""
        order = DeclareOrder.model_validate(raw)
        key = order.declaration.key
        waiting = self._room.enter(key)
        outcome: AnyOutcome = await self._journal.step(
            "create the incident", lambda again: self._create(order, waiting, again), Outcome
        )
        waiting.tell(outcome)
        await _read(waiting)
        if isinstance(outcome, Declared):
            outcome = Declared(incident=await self._gather_everyone(order, outcome.incident))
        elif waiting.late or waiting.acknowledged is None:
            await self._show(order, outcome)
        self._room.leave(key)
        return outcome.model_dump(mode="json")

    async def _create(self, order: DeclareOrder, waiting: Waiting[AnyOutcome], again: bool) -> AnyOutcome:
        declaration = order.declaration
        earlier = await self._claim(order)
        if earlier is not None and visible_to(declaration.reporter.slack_user_id, earlier):
            return AlreadyDeclared(incident=earlier)
        try:
            incident = await patiently(
                lambda _: self._backend.create(declaration), again=again, attempts=None
            )
        except Refused as refusal:
            await self._release(order)
            return NotDeclared(sentence=refusal.sentence, fields=refusal.fields)
        # Whoever waits is told before the step is recorded: the create is repeatable, and they have waited.
        waiting.tell(Declared(incident=incident))
        await self._ledger.remember_incident(declaration.key, incident)
        return Declared(incident=incident)

    async def _claim(self, order: DeclareOrder) -> Incident | None:
        """Take the source message; the incident of whoever took it first, when that was not us."""
        declaration, source = order.declaration, order.declaration.source
        if source is None or order.another:
            return None
        owner = await patiently(
            lambda _: self._ledger.claim_source(_scope(declaration), source, declaration.key),
            again=False,
            attempts=None,
        )
        return None if owner == declaration.key else await self._incident_of(owner)

    async def _release(self, order: DeclareOrder) -> None:
        declaration = order.declaration
        if declaration.source is not None:
            await self._ledger.release_source(_scope(declaration), declaration.source, declaration.key)

    async def _incident_of(self, key: str) -> Incident:
        """The incident of another declaration, which may still be on its way to the backend."""

        async def look(_: bool) -> Incident:
            found = await self.declared_as(key)
            if found is None:
                raise Unavailable("That message is being declared right now.", retry_after=0.1)
            return found

        return await patiently(look, again=False, attempts=None)

    async def declared_as(self, key: str) -> Incident | None:
        """The incident that the declaration with this key became."""
        incident_id = await self._ledger.incident_id(key)
        return None if incident_id is None else await self._backend.find(incident_id)

    async def declared_from(
        self, team: str, source: SourceMessage, person: PersonId | None
    ) -> Incident | None:
        """The incident that was declared from this message, publicly or privately by this person."""
        for scope in (team, f"{team}/{person}"):
            key = await self._ledger.source_key(scope, source)
            found = None if key is None else await self.declared_as(key)
            if found is not None and visible_to(person, found):
                return found
        return None

    async def _gather_everyone(self, order: DeclareOrder, incident: Incident) -> Incident:
        """Open the channel, then everything else side by side, then the pin: three calls deep."""
        opened = await self._attempt(
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
            self._show(order, Declared(incident=incident), trouble),
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
            self._attempt(
                "bring people in",
                "Nobody could be brought into the channel",
                lambda _: self._bring_in(channel, incident),
                None,
            ),
            self._attempt(
                "set the topic",
                "The topic could not be set",
                lambda _: slack.set_topic(channel, incident),
                None,
            ),
            self._attempt(
                "set the purpose",
                "The purpose could not be set",
                lambda _: slack.set_purpose(channel, incident),
                None,
            ),
            self._attempt(
                "add the bookmark",
                "The bookmark could not be added",
                lambda again: slack.bookmark(channel, incident, again=again),
                None,
            ),
            self._attempt(
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
        return self._attempt(
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
        return self._attempt(
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
        await self._attempt(
            "tell the reporter",
            "The reporter could not be told",
            lambda again: self._workspace.tell(
                PersonId(reporter), sentence, key=f"{incident.id}:trouble", again=again
            ),
            None,
        )

    def _show(self, order: DeclareOrder, outcome: AnyOutcome, trouble: Sequence[str] = ()) -> Awaitable[Any]:
        view = order.view_id

        async def show(_: bool) -> None:
            if view is None:
                return
            if isinstance(outcome, Declared):
                await self._workspace.show_declared(view, outcome.incident, trouble)
            elif isinstance(outcome, AlreadyDeclared):
                await self._workspace.show_already_declared(view, outcome.incident)
            else:
                await self._workspace.show_not_declared(view, outcome.sentence)

        return self._attempt("show the outcome", "The form could not be updated", show, None)

    async def _attempt(
        self, name: str, otherwise: str, act: Callable[[bool], Awaitable[T]], returns: Any
    ) -> T | Trouble:
        """One step that must not undo the others: what it answers, or the trouble it met."""

        async def attempt(again: bool) -> T | Trouble:
            try:
                return await patiently(act, again=again, attempts=SLACK_ATTEMPTS)
            except Refused as refusal:
                return Trouble(trouble=refusal.sentence)
            except SlackRefused as refusal:
                return Trouble(trouble=f"{otherwise} (Slack: {refusal.code})")
            except Unavailable as error:
                return Trouble(trouble=f"{otherwise} ({error})")

        return await self._journal.step(name, attempt, returns | Trouble if returns else Trouble | None)


def _scope(declaration: Declaration) -> str:
    """Within which a message has one incident: the workspace, or its reporter alone for a private one.

    A private incident must not be given away by telling others that the message is taken.
    """
    team = declaration.slack_team_id
    return team if declaration.visibility == "public" else f"{team}/{declaration.reporter.slack_user_id}"


async def _read(waiting: Waiting[AnyOutcome]) -> None:
    """Until the person has the answer: nothing is asked of Slack before the reference is visible."""
    if waiting.acknowledged is not None:
        await asyncio.wait({asyncio.ensure_future(waiting.acknowledged.wait())}, timeout=LONGEST_ANSWER)
