"""The workflow that changes an incident, and the effects of the change in Slack."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tocsin.incidents.errors import Conflict, OutcomeUnknown, Refused, SlackRefused, Unchanged
from tocsin.incidents.model import (
    ChannelId,
    Form,
    Incident,
    Person,
    TeamId,
    TimelineEntry,
)
from tocsin.incidents.postmortem import PostIncidentPolicy
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import (
    MERGED_INTO_IT,
    NAMELESS,
    Ending,
    apply_transition,
    describe_change,
    validate_change,
)
from tocsin.incidents.updates import ChangeNotification, notification_of, summary_of
from tocsin.incidents.validation import is_visible_to
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.briefing import change_briefings
from tocsin.workflows.channels import (
    NEWS,
    POSTING,
    attempts_to_tell,
    awaits_channel,
    fitting_channel,
    is_told,
    withdraw_news,
    withdraw_posts,
)
from tocsin.workflows.command import (
    AnyChange,
    Change,
    Changed,
    Command,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.follow import FollowerUpdates, tells_followers
from tocsin.workflows.make_private import MakePrivate
from tocsin.workflows.people import PeopleOfChannel
from tocsin.workflows.phase_picture import PhasePictures
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.reminders import ReminderScheduler
from tocsin.workflows.retry import (
    ALL_DAY,
    SLACK_ATTEMPTS,
    StepFailure,
    Steps,
    retry_forever,
    sentences,
)
from tocsin.workflows.slack_client import SlackClient, WorkspaceOf
from tocsin.workflows.step_answers import answer_step
from tocsin.workflows.sync import OWN_PLACES, SlackSync
from tocsin.workflows.used_channel import leave_channel

# Effects of a change in Slack: each is a step of the change's workflow.

MISTAKE_TIME = timedelta(minutes=10)
"""Time after a declaration in which a cancel counts as a mistake: the bot deletes the incident's posts."""


FAILURES = list[StepFailure]


@dataclass(frozen=True)
class Notice:
    """A change to be posted, with the incident before and after it, and the time of the next update."""

    before: Incident
    incident: Incident
    change: IncidentChange
    due: datetime | None
    in_channel: bool = True
    """True if the incident's channel is told."""


async def _was_told(slack: SlackClient, incident: Incident, now: ChannelId, key: str) -> bool:
    """True if a change was posted in the channel that its incident had before it became private."""
    before = ChannelId(incident.slack_channel_id)
    if before in {now, ""}:
        # The post itself looks there before it is repeated.
        return False
    try:
        return await slack.messages.find_news(before, key) is not None
    except SlackRefused:
        return False


class ChangeEffects:
    """Slack effects of every verb that changes an incident."""

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        following: SlackSync,
        reminders: ReminderScheduler,
        make_private: MakePrivate,
        policy: PostIncidentPolicy,
    ) -> None:
        self._backend = backend
        self._steps = Steps(engine)
        self._pictures = PhasePictures(backend, self._steps, workspace, is_on=policy.phases_picture)
        self._state = state
        self._workspace = workspace
        self._following = following
        self._reminders = reminders
        self._followers = FollowerUpdates(state, workspace)
        self.people = PeopleOfChannel(backend=backend, engine=engine, workspace=workspace)
        self._make_private = make_private

    async def apply(
        self,
        done: Changed,
        change: IncidentChange,
        *,
        ending: Ending | None = None,
        next_update_minutes: int | None = None,
        in_channel: bool = True,
    ) -> None:
        """Apply all effects of a change, independent ones concurrently; report failures to its requester.

        Without `in_channel` the incident's channel is not told of it.
        """
        before, incident = done.before or done.incident, done.incident
        failures: list[Any] = []
        left: list[Any] = []
        if incident.is_private and not before.is_private:
            left.append(await self._withdraw(incident, "withdraw the public cards", OWN_PLACES))
            incident, failures = await self._make_private.move(incident, change)
        due = await self._plan(incident, change, next_update_minutes)
        notice = Notice(before, incident, change, due, in_channel)
        # People who lost their part in a private incident leave its channel before anything is posted there.
        failures += await asyncio.gather(*self.people.take_out(before, incident))
        mistaken = ending == "cancel" and change.at - incident.created_at <= MISTAKE_TIME
        if mistaken:
            left.append(await self._withdraw(incident, "withdraw the cards", {"headline"}))
        failures += await self._steps.together("show the change", self._show, notice, returns=FAILURES)
        if mistaken:
            failures += await self._put_away(incident)
        await self._tell_failures(incident, change, [*left, *failures])
        if incident.is_private and any(isinstance(one, StepFailure) and one.passing for one in left):
            await self._take_back_the_rest(incident, change)

    async def _show(self, notice: Notice) -> list[StepFailure]:
        """Show and post the change everywhere, and bring in people who have a part in it now."""
        done: Sequence[Any] = await asyncio.gather(
            self._shown(notice.incident, notice.before),
            *self.people.bring_in(notice.before, notice.incident, notice.change),
            *change_briefings(self._steps, self._slack, notice.before, notice.incident, notice.change),
            *self._notify(notice),
            *self._merged(notice.incident, notice.change),
        )
        return [one for one in done if isinstance(one, StepFailure)]

    def _shown(self, incident: Incident, before: Incident) -> Awaitable[Any]:
        return self._steps.run(
            "bring what is shown up to date",
            self._following.sync,
            incident.id,
            before,
            on_failure="The cards stay as they were",
        )

    async def _plan(self, incident: Incident, change: IncidentChange, minutes: int | None) -> datetime | None:
        """Plan the reminder for the next update and return when it is due.

        Returns None if the change leaves the reminder alone, or if the incident has ended, which stops it.
        """
        if not incident.incident_status.is_open:
            minutes = 0
        if minutes is None:
            return None
        planned = await self._steps.run(
            "plan the next update",
            self._reminders.plan,
            incident,
            minutes,
            change.by,
            change.at,
            change.key,
            on_failure="Nobody will be asked for the next update",
            returns=datetime | None,
        )
        return planned if isinstance(planned, datetime) else None

    async def _news(self, notice: Notice) -> ChangeNotification:
        """Return the message about the change, with a summary if the change ended the incident."""
        before, incident, change = notice.before, notice.incident, notice.change
        summary = None
        if before.incident_status.is_open and not incident.incident_status.is_open:
            timeline = await self._backend.timeline(incident.id)
            summary = summary_of(incident, timeline, await self._backend.follow_ups(incident.id))
        if change.merged_into is not None:
            other = await self._backend.find(change.merged_into)
            if other is not None and other.is_private:
                change = change.model_copy(update={"merged_into": NAMELESS})
        return notification_of(before, incident, change, due=notice.due, summary=summary)

    def _notify(self, notice: Notice) -> list[Awaitable[Any]]:
        """Return the steps that post the change in the incident's channel and updates below announcements."""
        steps: list[Awaitable[Any]] = []
        if notice.in_channel and is_told(notice.incident, notice.change.by, notice.change.at):
            told = self._steps.run_once(
                "tell the channel",
                self._notify_channel,
                notice,
                on_failure="The channel was not told",
                attempts=attempts_to_tell(notice.incident),
            )
            before, incident, at = notice.before, notice.incident, notice.change.at
            steps.append(self._pictures.below_summary(told, before, incident, at, self._own_channel))
        if notice.change.message and not notice.incident.is_private:
            steps.append(
                self._steps.run_once(
                    "tell those who wait",
                    self._notify_others,
                    notice,
                    on_failure="Where it was announced, the update is missing",
                )
            )
        if tells_followers(notice.change):
            steps.append(
                self._steps.run_once(
                    "tell followers", self._tell_followers, notice, on_failure="Not all followers were told"
                )
            )
        return steps

    async def _tell_followers(self, notice: Notice, again: bool) -> None:
        await self._followers.tell(notice.incident, notice.change, partial(self._news, notice), again)

    async def _notify_channel(self, notice: Notice, again: bool) -> None:
        incident, key = notice.incident, f"{notice.change.key}:news"
        channel = await self._own_channel(incident)
        if again and await _was_told(self._slack(incident), incident, channel, key):
            return
        news = await self._news(notice)
        await self._slack(incident).messages.post_news(channel, news, incident, key=key, again=again)

    async def _notify_others(self, notice: Notice, again: bool) -> None:
        incident, slack = notice.incident, self._slack(notice.incident)
        for card in await self._state.cards(incident.id):
            if card.place == "announcement":
                key = f"{notice.change.key}:news:{card.channel}"
                news, posting = await self._news(notice), f"{POSTING}{key} {card.ts}"
                await self._state.save_fingerprint(incident.id, card.channel, posting, "news")
                ts = await slack.messages.post_news(
                    card.channel, news, incident, key=key, thread=card.ts, again=again
                )
                await self._state.save_fingerprint(incident.id, card.channel, f"{NEWS}{ts}", "news")
                await self._state.delete_fingerprint(incident.id, card.channel, posting)
        # A workflow that withdrew the cards meanwhile may have listed the posts before these were stored.
        now = await self._backend.find(incident.id)
        if now is not None and now.is_private:
            await withdraw_posts(slack, self._state, now, kept=OWN_PLACES)
        elif not any(card.place == "announcement" for card in await self._state.cards(incident.id)):
            await withdraw_news(slack, self._state, incident)

    async def _own_channel(self, incident: Incident) -> ChannelId:
        """Return the incident's channel now; an incident that became private may be moving to another one.

        Raises Refused if it will have none, and OutcomeUnknown while it moves: the step then retries for a
        minute or two, as it does after a lost answer.
        """
        now = await self._backend.find(incident.id) or incident
        channel = await fitting_channel(self._slack(incident), self._state, now)
        if channel is not None:
            return channel
        if not now.slack_channel_id and not await awaits_channel(self._backend, self._state, now):
            raise Refused(f"{incident.reference} has no channel, so nothing was said there")
        kind = "private channel" if now.is_private else "channel"
        said = f"{incident.reference} has no {kind} yet, so nothing was said there"
        raise Refused(said) if self._backend.makes_channel else OutcomeUnknown(said)

    def _merged(self, incident: Incident, change: IncidentChange) -> list[Awaitable[Any]]:
        """Return the step that adds a merge to the timeline of the incident merged into."""
        if change.merged_into is None:
            return []
        return [
            self._steps.run(
                "note it at the other incident",
                self._note_merged,
                incident,
                change,
                change.merged_into,
                on_failure=f"{change.merged_into} does not say that this was merged into it",
            )
        ]

    async def _note_merged(self, incident: Incident, change: IncidentChange, reference: str) -> None:
        other = await self._backend.find(reference)
        if other is not None:
            # Readers of the other incident may not know of a private one, so its reference is left out.
            text = NAMELESS if incident.is_private else incident.reference
            entry = TimelineEntry(at=change.at, by=change.by, verb=MERGED_INTO_IT, text=text)
            await self._backend.note(other.id, entry, f"{change.key}:merged")

    def _withdraw(
        self, incident: Incident, step: str, kept: Collection[str], attempts: int = SLACK_ATTEMPTS
    ) -> Awaitable[Any]:
        """Delete the incident's posts, except the cards in the places in `kept`."""
        return self._steps.run(
            step,
            withdraw_posts,
            self._slack(incident),
            self._state,
            incident,
            kept,
            on_failure="Not every card could be taken back",
            attempts=attempts,
        )

    async def _put_away(self, incident: Incident) -> list[Any]:
        if not incident.slack_channel_id or self._backend.makes_channel:
            return []
        return [
            await self._steps.run(
                "archive the channel",
                leave_channel,
                self._slack(incident),
                self._state,
                incident,
                ChannelId(incident.slack_channel_id),
                on_failure="The channel could not be archived",
            )
        ]

    async def _tell_failures(self, incident: Incident, change: IncidentChange, done: Sequence[Any]) -> None:
        failures = [one for one in done if isinstance(one, StepFailure)]
        if failures:
            said = f"{incident.reference} is changed, but not everything went well: "
            said += f"{'. '.join(sentences(failures))}."
            await self._tell_who_asked(incident, change, said, "tell of the troubles", "trouble")

    async def _take_back_the_rest(self, incident: Incident, change: IncidentChange) -> None:
        """Delete the remaining public posts of a private incident, retrying for a day; tell the requester."""
        if await self._withdraw(incident, "take back the rest", OWN_PLACES, ALL_DAY) is None:
            said = f"Everything that was shown of {incident.reference} elsewhere is taken back now."
            await self._tell_who_asked(incident, change, said, "tell that all is taken back", "back")

    async def _tell_who_asked(
        self, incident: Incident, change: IncidentChange, said: str, step: str, what: str
    ) -> None:
        """Send a direct message to the person who asked for the change; none if no person did."""
        person = change.by.slack_user_id
        if person is None:
            return
        await self._steps.run_once(
            step,
            self._slack(incident).messages.tell,
            person,
            said,
            incident,
            f"{change.key}:{what}",
            on_failure="Who asked could not be told",
            attempts=ALL_DAY,
        )

    def _slack(self, incident: Incident) -> SlackClient:
        return self._workspace(TeamId(incident.slack_team_id))


# The workflow: change the incident at the backend, then apply the effects in Slack.

VERB = "change"
ByRules = Callable[[Incident, Incident, Person | None], Awaitable[None]]
"""Starts everything that rules do since a change: the incident before and after it, and who changed it."""

GONE = "That incident is not here any more."


class ChangeCommand(Command):
    """A change of an incident, with its transition and the time until the next update.

    `ending` is `close`, `reopen`, `accept`, `decline`, `merge` or `cancel`: it decides the status.
    `next_update_minutes` sets the reminder for the next update; 0 removes it, None leaves it as it is.
    """

    change: IncidentChange
    ending: Ending | None = None
    next_update_minutes: int | None = None
    run: str = ""
    """Run of the Workflow Builder step that asks for it (Slack, `function_execution_id`); empty if none."""
    in_channel: bool = True
    """True if the incident's channel is told (incident.io, Incidents V2, Edit: `notify_incident_channel`)."""

    @property
    def key(self) -> str:
        return self.change.key

    @property
    def by(self) -> Person:
        return self.change.by

    @property
    def asked_at(self) -> datetime:
        return self.change.at

    def with_key(self, key: str) -> ChangeCommand:
        return self.model_copy(update={"change": self.change.model_copy(update={"key": key})})


class ChangeIncident(DurableCommand[ChangeCommand]):
    """Workflow of every verb that changes an incident's fields or status."""

    verb = VERB
    command_type = ChangeCommand

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        form: Callable[[], Awaitable[Form]],
        workspace: WorkspaceOf,
        effects: ChangeEffects,
        by_rules: ByRules,
        alerts: OperatorAlerts,
        saw: Callable[[Incident], None],
    ) -> None:
        """`saw` is called with each changed incident at once, so that a newly private one is not listed."""
        super().__init__(engine, workspace)
        self._backend = backend
        self._form = form
        self._effects = effects
        self._by_rules = by_rules
        self._alerts = alerts
        self._saw = saw

    async def run(self, command: ChangeCommand) -> AnyChange:
        before = await self._steps.find_incident(self._backend.find, command.incident_id)
        if before is None:
            return NotChanged(sentence=GONE)
        return await self._steps.record(
            "change the incident",
            retry_forever,
            "change an incident",
            self._change,
            command,
            before,
            returns=Change,
        )

    async def _change(self, command: ChangeCommand, before: Incident) -> AnyChange:
        try:
            form = await self._form()
            change = command.change
            if command.ending is not None:
                change = apply_transition(change, command.ending, before, form)
            change = validate_change(await self._merging(change), before, form)
            after = await self._alerts.guard("backend", self._backend.change, before.id, change)
        except Refused as refusal:
            return NotChanged(
                sentence=refusal.sentence,
                fields=refusal.fields,
                overtaken=isinstance(refusal, Conflict),
                needless=isinstance(refusal, Unchanged),
            )
        self._saw(after)
        return Changed(
            incident=after, said=describe_change(before, after, change), before=before, change=change
        )

    async def _merging(self, change: IncidentChange) -> IncidentChange:
        """Return the change with `merged_into` as the backend writes that incident's reference.

        Raises Refused if there is no such incident, or if the requester may not see it.
        """
        if change.merged_into is None:
            return change
        other = await self._backend.find(change.merged_into)
        if other is None or not is_visible_to(change.by.slack_user_id, other):
            sentence = f"There is no incident {change.merged_into}."
            raise Refused(sentence, {"merged_into": sentence})
        return change.model_copy(update={"merged_into": other.reference})

    async def answer_again(self, command: ChangeCommand) -> None:
        """Report the outcome to the Workflow Builder step again; does nothing while the workflow runs."""
        outcome = await self._finished(command.key)
        if outcome is not None:
            slack = self._workspace(command.team)
            await answer_step(slack, self._backend, command.run, command.incident_id, outcome)

    async def _tell_late(self, command: ChangeCommand, outcome: AnyChange) -> None:
        if not command.run:
            await super()._tell_late(command, outcome)
        elif isinstance(outcome, NotChanged):
            await self._answer_step(command, outcome)

    async def _answer_step(self, command: ChangeCommand, outcome: AnyChange) -> None:
        await self._steps.run(
            "answer the workflow",
            answer_step,
            self._workspace(command.team),
            self._backend,
            command.run,
            command.incident_id,
            outcome,
            on_failure="The workflow could not be answered",
        )

    async def after(self, command: ChangeCommand, done: Changed) -> None:
        if command.run:
            await self._answer_step(command, done)
        before, incident, by = done.before or done.incident, done.incident, command.by
        await asyncio.gather(
            # No recorded step, since a repeat begins nothing twice.
            retry_forever("do what the rules say", self._by_rules, before, incident, by),
            self._effects.apply(
                done,
                done.change or command.change,
                ending=command.ending,
                next_update_minutes=command.next_update_minutes,
                in_channel=command.in_channel,
            ),
        )
