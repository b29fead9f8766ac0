"""Publish a declared incident in Slack: its channel, its cards, and a message about steps that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from tocsin.incidents.announcements import Announcement
from tocsin.incidents.model import Card, Incident, PersonId
from tocsin.incidents.validation import CardDestination, card_destinations
from tocsin.workflows.briefing import briefings
from tocsin.workflows.channel_setup import ChannelSetup, as_it_is
from tocsin.workflows.channels import (
    A_DAY,
    PATIENCE_SECONDS,
    ChannelOpener,
    await_channel,
    members_seen,
    without_channel,
)
from tocsin.workflows.command import PendingReply
from tocsin.workflows.declaration import AnyOutcome, DeclareCommand, Declared
from tocsin.workflows.notify import DeclarationNotifier
from tocsin.workflows.ports import Channel, IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps
from tocsin.workflows.slack_client import SlackClient
from tocsin.workflows.sync import snapshot

CHANNEL_ATTEMPTS = 4
"""Lost answers (a few seconds) after which the cards are posted first and the channel is created later."""

CANCELED = "canceled"
UNOPENED = "The channel could not be made"
UNPOSTED = {
    "headline": "The card could not be posted in its channel",
    "source": "The card could not be posted where it was declared",
    "announcement": "It could not be announced",
    "reporter": "The card could not be sent to you",
}


class DeclarationPublisher:
    """Effects of a declaration in Slack.

    Two are steps of the declaration's workflow: the opening of the channel, and everything else together. A
    part that a killed process may have done is looked for before it is repeated.
    """

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        workspace: SlackClient,
        state: SlackStateStore,
        engine: WorkflowEngine,
        announce: str | None,
        opener: ChannelOpener,
    ) -> None:
        """`opener` creates the incident's channel if the backend does not."""
        self._backend = backend
        self._workspace = workspace
        self._state = state
        self._steps = Steps(engine)
        self._announce = announce
        self._opener = opener
        self._setup = ChannelSetup(backend=backend, workspace=workspace, engine=engine, state=state)
        self.notifier = DeclarationNotifier(backend=backend, workspace=workspace, engine=engine)

    async def publish(
        self, command: DeclareCommand, incident: Incident, waiting: PendingReply[AnyOutcome]
    ) -> Incident:
        """Create the channel, then do everything else concurrently, then pin the card: three calls in a row.

        The modal of the person who is `waiting` shows the outcome. If the channel cannot be created now, the
        cards are posted without it, and it is created once Slack works again.
        """
        command = _announced_now(command, incident)
        if self._backend.makes_channel or incident.is_retrospective:
            rest = self._steps.last(self.notifier.tell_backend, command, incident)
            return await _beside(rest, self._before_its_channel(command, incident, waiting))
        opened = await self._steps.run_once(
            "open the channel",
            self._opener.open,
            command.declaration,
            incident,
            on_failure=UNOPENED,
            returns=Channel,
            attempts=CHANNEL_ATTEMPTS,
        )
        unopened = [opened] if isinstance(opened, StepFailure) else []
        if isinstance(opened, Channel):
            incident = _in_channel(incident, opened)
            unopened = _not_used(command, opened)
        if isinstance(opened, StepFailure) and opened.passing:
            await self._steps.together(
                "publish it", self._publish, command, incident, unopened, waiting, returns=None
            )
        else:
            await self._steps.last(self._publish, command, incident, unopened, waiting)
        await self.notifier.show_late_presses(command, Declared(incident=incident), unopened, waiting)
        if isinstance(opened, StepFailure) and opened.passing:
            incident = await self._open_after_all(command, incident)
            # Show the channel also in modals that were submitted again in the meantime.
            waiting.shown = -1
            unopened = [] if incident.slack_channel_id else unopened
            await self.notifier.show_late_presses(command, Declared(incident=incident), unopened, waiting)
        return incident

    async def _publish(
        self,
        command: DeclareCommand,
        incident: Incident,
        unopened: Sequence[StepFailure],
        waiting: PendingReply[AnyOutcome],
    ) -> None:
        """Do everything that follows the opening of the channel, or its failure."""
        failures = [*unopened, *_withheld(command)]
        done = await asyncio.gather(
            self.notifier.show(command, Declared(incident=incident), failures, waiting),
            *(self._set_up_channel(command, incident) if incident.slack_channel_id else ()),
            *self._posts(command, incident),
            *self._announcements(command, incident),
            *self._setup.invitations(command.announcement.invite, incident),
            *briefings(self._steps, self._workspace, None, incident, command.declaration.key),
        )
        await self._pin_headline(done)
        await self._tell_failures(command, incident, failures, done)

    async def _tell_failures(
        self,
        command: DeclareCommand,
        incident: Incident,
        failures: Sequence[StepFailure],
        done: Sequence[Any],
    ) -> None:
        """Tell the reporter what failed, with the card if neither they nor the origin got one."""
        failures = [*failures, *(result for result in done if isinstance(result, StepFailure))]
        reporter = incident.creator.slack_user_id
        posted = {card.place for card in done if isinstance(card, Card)}
        if failures and reporter is not None and not posted & {"source", "reporter"}:
            await self._post(command, incident, CardDestination(place="reporter", to=reporter))
        await self.notifier.tell_failures(command, incident, failures)

    async def _before_its_channel(
        self, command: DeclareCommand, incident: Incident, waiting: PendingReply[AnyOutcome]
    ) -> Incident:
        """Post the cards first; add the channel once the backend has created it. What is over gets none."""
        # A repeated create may return the private channel, but the cards may name it only to its members,
        # who are looked up below.
        created, incident = incident, without_channel(incident) if incident.is_private else incident
        await self._steps.together(
            "publish it", self._publish_without_channel, command, incident, waiting, returns=None
        )
        late = await self.notifier.show_late_presses(command, Declared(incident=incident), (), waiting)
        if incident.is_retrospective:
            return incident
        arrived = await self._await_channel(created, "await the channel", PATIENCE_SECONDS)
        if isinstance(arrived, StepFailure):
            await self.notifier.tell_failures(command, incident, [arrived])
            arrived = await self._await_channel(created, "await the channel after all", A_DAY)
        if isinstance(arrived, StepFailure):
            return incident
        named = await self._steps.last(self._show_channel, command, incident, arrived)
        if named is None:
            return incident
        incident = _in_channel(incident, named)
        if late:
            # The step that showed the channel may have run in an earlier process; this process then replaced
            # the modal's content by one without the channel, above.
            waiting.shown = -1
        await self.notifier.show_late_presses(command, Declared(incident=incident), (), waiting)
        return incident

    async def _publish_without_channel(
        self, command: DeclareCommand, incident: Incident, waiting: PendingReply[AnyOutcome]
    ) -> None:
        done = await asyncio.gather(
            self.notifier.show(command, Declared(incident=incident), (), waiting),
            *self._posts(command, incident),
            *self._announcements(command, incident),
            *briefings(self._steps, self._workspace, None, incident, command.declaration.key),
        )
        await self._tell_failures(command, incident, _withheld(command), done)

    async def _show_channel(
        self, command: DeclareCommand, incident: Incident, channel: Channel
    ) -> Channel | None:
        """Show the channel that the backend has created; return None if it may not be named."""
        if not await _may_be_named(self._steps, self._workspace, incident, channel):
            return None
        incident = _in_channel(incident, channel)
        *invited, _, _ = await asyncio.gather(
            *self._setup.invitations(command.announcement.invite, incident),
            self._bring_up_to_date(incident),
            self.notifier.show(command, Declared(incident=incident)),
        )
        left_out = [one for one in invited if isinstance(one, StepFailure)]
        await self.notifier.tell_failures(command, incident, left_out)
        return channel

    async def _open_after_all(self, command: DeclareCommand, incident: Incident) -> Incident:
        opened = await self._steps.run(
            "open the channel after all",
            self._opener.open,
            command.declaration,
            incident,
            # An earlier attempt may have created it, with only the answer lost.
            True,
            on_failure=UNOPENED,
            returns=Channel,
            attempts=ALL_DAY,
        )
        if isinstance(opened, Channel):
            incident = _in_channel(incident, opened)
            await self._steps.last(self._publish_channel, command, incident)
        return incident

    async def _publish_channel(self, command: DeclareCommand, incident: Incident) -> None:
        done = await asyncio.gather(
            *self._set_up_channel(command, incident),
            self._bring_up_to_date(incident),
            *self._setup.invitations(command.announcement.invite, incident),
        )
        await self._pin_headline(done)
        await self.notifier.mended(command, incident)

    def _await_channel(
        self, incident: Incident, name: str, seconds: float
    ) -> Awaitable[Channel | StepFailure]:
        backend, state = self._backend, self._state
        return self._steps.record(
            name, await_channel, backend, state, incident, seconds, returns=Channel | StepFailure
        )

    def _set_up_channel(self, command: DeclareCommand, incident: Incident) -> list[Awaitable[Any]]:
        """Return the independent steps that set up the incident's own channel, with its headline."""
        headline = CardDestination(place="headline", to=incident.slack_channel_id)
        used = incident.slack_channel_id == command.declaration.slack_channel_id
        return [*self._setup.steps(incident, used=used), self._post(command, incident, headline)]

    def _posts(self, command: DeclareCommand, incident: Incident) -> list[Awaitable[Any]]:
        """Return one step for each place that gets a card at once."""
        origin = None if command.withheld else command.origin
        announce = None if _starts_in_triage(command, incident) else self._announce
        spots = card_destinations(incident, origin=origin, thread=command.thread, announce=announce)
        return [self._post(command, incident, spot) for spot in spots]

    def _post(self, command: DeclareCommand, incident: Incident, spot: CardDestination) -> Awaitable[Any]:
        return self._steps.run_once(
            "post the card in its channel" if spot.place == "headline" else f"post the {spot.place} card",
            self._card,
            command,
            incident,
            spot,
            on_failure=UNPOSTED[spot.place],
            returns=Card | None,
            attempts=ALL_DAY,
        )

    async def _card(
        self, command: DeclareCommand, incident: Incident, spot: CardDestination, again: bool
    ) -> Card | None:
        """Post the card and remember it; None if the incident was canceled, which takes its cards back."""
        # The key is the declaration's, not the incident's: after a restore from an older backup the incident
        # is created again, with another id.
        key = f"{command.declaration.key}:{spot.place}"
        if again and spot.place != "headline":
            now = await as_it_is(self._backend, incident)
            if now.incident_status.category == CANCELED:
                await self._workspace.messages.withdraw_lost(spot, key)
                return None
        card = await self._workspace.messages.post_card(incident, spot, key=key, again=again)
        await self._save_fingerprint(incident, card)
        return card

    async def _save_fingerprint(self, incident: Incident, card: Card) -> None:
        """Store the card and its hash, so that it is edited only if its content changes."""
        face = self._workspace.messages.fingerprints(incident)["card"]
        # The snapshot lets the next poll notice a change that was made before this card was posted.
        await self._state.save_rendered(incident, card, face, snapshot(incident))

    def _bring_up_to_date(self, incident: Incident) -> Awaitable[Any]:
        """Return the step that adds the channel to the cards that were posted without it."""
        return self._steps.run(
            "bring the cards up to date", self._edit_cards, incident, on_failure="The cards stay as they are"
        )

    async def _edit_cards(self, incident: Incident) -> None:
        for card in await self._state.cards(incident.id):
            if card.place != "headline":
                await self._workspace.messages.update_card(incident, card)
                await self._save_fingerprint(incident, card)

    async def _pin_headline(self, done: list[Any]) -> None:
        """Pin the headline card, if it was posted."""
        headline = next((card for card in done if isinstance(card, Card) and card.place == "headline"), None)
        if headline is not None:
            pinned = await self._steps.run(
                "pin the card",
                self._workspace.channels.pin,
                headline.channel,
                headline.ts,
                on_failure="The card could not be pinned",
            )
            done += [pinned]

    # Announcements of the operator's rules. They are stored with the command, so that a resumed workflow does
    # the same as before.

    def _announcements(self, command: DeclareCommand, incident: Incident) -> list[Awaitable[Any]]:
        """Return one step for each channel that the rules name; none for a private incident."""
        if incident.is_private:
            return []
        return [
            self._steps.run_once(
                f"announce it in {channel}",
                self._announce_in,
                command,
                incident,
                channel,
                on_failure=f"It could not be announced in <#{channel}>",
                returns=Card | None,
                attempts=ALL_DAY,
            )
            for channel in command.announcement.channels
        ]

    async def _announce_in(
        self, command: DeclareCommand, incident: Incident, channel: str, again: bool
    ) -> Card | None:
        """Post the card in a channel that the rules name; None if the channel has a card anyway."""
        declared_here = channel == command.origin and command.thread is None and not command.withheld
        if declared_here or channel in (self._announce, incident.slack_channel_id):
            return None
        return await self._card(command, incident, CardDestination(place="announcement", to=channel), again)


async def _may_be_named(steps: Steps, slack: SlackClient, incident: Incident, channel: Channel) -> bool:
    """True if the cards may name the channel: a private one only if the reporter is a member.

    False if the bot cannot read the members of a private channel.
    """
    if not incident.is_private:
        return True
    seen = await steps.run(
        "see who is in the channel",
        members_seen,
        slack,
        channel.id,
        on_failure="Its members are not known",
        returns=list[PersonId],
    )
    return not isinstance(seen, StepFailure) and incident.creator.slack_user_id in seen


def _announced_now(command: DeclareCommand, incident: Incident) -> DeclareCommand:
    """Return the command without its announcement for an incident in triage.

    It is announced once it is accepted (`announce.py`).
    """
    if not _starts_in_triage(command, incident):
        return command
    return command.model_copy(update={"announcement": Announcement()})


def _starts_in_triage(command: DeclareCommand, incident: Incident) -> bool:
    """True if it was declared into triage, also if it has been accepted meanwhile, or if it is there now."""
    return command.declaration.status == "triage" or incident.incident_status.is_triage


def _in_channel(incident: Incident, channel: Channel) -> Incident:
    return incident.model_copy(update={"slack_channel_id": channel.id, "slack_channel_name": channel.name})


def _not_used(command: DeclareCommand, opened: Channel) -> list[StepFailure]:
    """Return the failure to use an existing channel, if the declaration asked for one."""
    wanted = command.declaration.slack_channel_id
    if wanted is None or wanted == opened.id:
        return []
    return [StepFailure(trouble=f"<#{wanted}> could not be used, so it has a channel of its own")]


def _withheld(command: DeclareCommand) -> list[StepFailure]:
    if not command.withheld:
        return []
    return [StepFailure(trouble="No card was posted where it was declared", why=command.withheld)]


async def _beside(rest: Coroutine[Any, Any, None], published: Awaitable[Incident]) -> Incident:
    """Tell the backend the rest while the incident is published; return it once both are done.

    A key that may create incidents may lack the permission for the rest, which is then retried until an
    operator has mended that: the channel does not wait for it. The rest is no recorded step, since it may be
    repeated.
    """
    task = asyncio.create_task(rest)
    try:
        incident = await published
        await task
    finally:
        task.cancel()
    return incident
