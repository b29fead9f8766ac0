"""Nudges about open incidents: the leader posts what the rules ask for, and people snooze it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import ChannelId, Incident, MessageTs, TeamId
from tocsin.incidents.nudges import (
    ALL,
    DAY,
    FOREVER,
    KINDS,
    Nudge,
    NudgeLog,
    NudgePolicy,
    SentNudge,
    Snoozes,
    in_words,
    next_nudge,
)
from tocsin.workflows.channels import fitting_channel
from tocsin.workflows.command import (
    AnyChange,
    AskedCommand,
    Bounded,
    Change,
    Changed,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.ports import Clock, IncidentBackend, KeyValueStore, SlackStateStore, WorkflowEngine
from tocsin.workflows.queries import OpenIncidentsCache
from tocsin.workflows.retry import best_effort, retry_forever
from tocsin.workflows.slack_client import WorkspaceOf

LOOK_SECONDS = 5.0
LONGEST_WAIT = timedelta(minutes=5)
"""Time after which an unchanged incident is looked at again: it may have been snoozed, or no longer be."""

MOST_KNOWN = 10_000

Count = Callable[[str, str], None]
"""Counts a nudge by its kind, and by what became of it: `sent`, `snoozed` or `acted`."""


class NudgeStore:
    """Log and snoozes of each incident, stored durably under its id. Every method may raise Unavailable.

    The leader writes the log, and whichever replica serves a person writes the snoozes.
    """

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._writing = asyncio.Lock()

    async def log(self, incident_id: str) -> NudgeLog:
        return NudgeLog.model_validate_json(await self._store.get(f"nudges/{incident_id}") or "{}")

    async def save(self, incident_id: str, nudge: SentNudge) -> None:
        """Add a nudge to the log, or replace the one with its key."""
        async with self._writing:
            log = (await self.log(incident_id)).with_sent(nudge)
            await self._store.set(f"nudges/{incident_id}", log.model_dump_json())

    async def snoozes(self, incident_id: str) -> Snoozes:
        return Snoozes.model_validate_json(await self._store.get(f"snoozed/{incident_id}") or "{}")

    async def snooze(self, incident_id: str, kind: str, until: datetime) -> None:
        """Snooze a kind of nudges, or all of them; one kind stays snoozed when all are."""
        known = (await self.snoozes(incident_id)).until
        snoozed = Snoozes(until={**known, kind: until})
        await self._store.set(f"snoozed/{incident_id}", snoozed.model_dump_json())

    async def wake(self, incident_id: str) -> None:
        """End every snooze of an incident."""
        await self._store.delete(f"snoozed/{incident_id}")

    async def forget(self, incident_id: str) -> None:
        """Delete everything about an incident, which has ended."""
        await self._store.delete(f"nudges/{incident_id}")
        await self.wake(incident_id)


class Nudger:
    """Sender of nudges, one at a time for each incident. One instance serves the whole process."""

    def __init__(
        self,
        backend: IncidentBackend,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        clock: Clock,
        policy: NudgePolicy,
        store: NudgeStore,
        open_now: OpenIncidentsCache,
        count: Count,
    ) -> None:
        self._backend = backend
        self._state = state
        self._workspace = workspace
        self._clock = clock
        self.policy = policy
        self._store = store
        self._open_now = open_now
        self._count = count
        self._one_look = asyncio.Lock()
        self._not_before: Bounded[str, tuple[datetime, datetime]] = Bounded(MOST_KNOWN)
        """When each incident was updated last, and the time before which no nudge about it is due."""

    async def keep_watch(self) -> None:
        """Send due nudges, forever. A failure is tried again in the next round."""
        while self.policy.is_on:
            async with best_effort("nudge about open incidents"):
                await self.nudge_due()
            await asyncio.sleep(LOOK_SECONDS)

    async def nudge_due(self) -> None:
        """Send every nudge that is due now, at most one about each incident."""
        async with self._one_look:
            await self._nudge_due()

    async def _nudge_due(self) -> None:
        now = self._clock()
        for incident in self._open_now.now:
            updated_at, not_before = self._not_before.get(incident.id, (None, now))
            is_early = updated_at == incident.updated_at and now < not_before
            if not is_early and self.policy.rules_for(incident):
                async with best_effort("nudge about an incident"):
                    await self._nudge(incident.id)

    async def _nudge(self, incident_id: str) -> None:
        incident = await self._backend.find(incident_id)
        if incident is None:
            return
        log = await self._store.log(incident_id)
        unfinished = log.unfinished
        if unfinished is not None and unfinished.kind in KINDS:
            await self._finish(incident, unfinished)
            return
        found = await self._next(incident, log)
        if found is None:
            return
        due, nudge = found
        now = self._clock()
        if due > now:
            self._not_before[incident_id] = incident.updated_at, min(due, now + LONGEST_WAIT)
            return
        key = f"nudge:{incident_id}:{nudge.kind}:{now.timestamp():.0f}"
        sending = SentNudge(kind=nudge.kind, at=now, key=key, since=nudge.since)
        await self._send(incident, nudge, sending, again=False)

    async def _next(self, incident: Incident, log: NudgeLog) -> tuple[datetime, Nudge] | None:
        """Return the next nudge and when it is due; the timeline is asked for only if it may be due now."""
        snoozes = await self._store.snoozes(incident.id)
        promised = await self._state.find_reminder(incident.id) is not None
        found = next_nudge(self.policy, incident, (), log, snoozes, promised=promised)
        if found is None or found[0] > self._clock():
            return found
        timeline = await self._backend.timeline(incident.id)
        return next_nudge(self.policy, incident, timeline, log, snoozes, promised=promised)

    async def _finish(self, incident: Incident, sending: SentNudge) -> None:
        """Send a nudge whose message may be there already; drop it if it is not called for any more."""
        wanted = [rule.when for rule in self.policy.rules_for(incident)]
        snoozed = (await self._store.snoozes(incident.id)).of(sending.kind)
        if sending.kind not in wanted or (snoozed is not None and snoozed > self._clock()):
            await self._store.save(incident.id, sending.model_copy(update={"is_done": True}))
            return
        asked = None if sending.kind == "no_lead" else incident.lead
        nudge = Nudge.model_validate({"kind": sending.kind, "asked": asked, "since": sending.since})
        await self._send(incident, nudge, sending, again=True)

    async def _send(self, incident: Incident, nudge: Nudge, sending: SentNudge, *, again: bool) -> None:
        slack = self._workspace(TeamId(incident.slack_team_id))
        channel = await fitting_channel(slack, self._state, incident)
        if channel is None:
            # It has no channel yet, or is moving to a private one; a later round nudges there.
            self._not_before[incident.id] = incident.updated_at, self._clock() + LONGEST_WAIT
            return
        # Once this is stored, another process searches for the message before it posts one.
        await self._store.save(incident.id, sending)
        shown: dict[str, object] = {}
        async with best_effort("post a nudge") as failed:
            ts = await slack.messages.remind(channel, incident, nudge, key=sending.key, again=again)
            shown = {"channel": channel, "ts": ts}
        if failed and not isinstance(failed[0], SlackRefused | Refused):
            return
        await self._store.save(incident.id, sending.model_copy(update={"is_done": True, **shown}))
        if not failed:
            self.count(nudge.kind, "sent", incident)

    def count(self, kind: str, outcome: str, incident: Incident | None) -> None:
        """Count what became of a nudge, unless its incident is private: others may read the metrics."""
        if incident is not None and not incident.is_private and kind in (*KINDS, ALL):
            self._count(kind, outcome)

    async def log_reminder(
        self, incident: Incident, key: str, since: datetime, channel: ChannelId, ts: MessageTs
    ) -> None:
        """Log the reminder for a promised update, so that no nudge follows at once. Raises Unavailable."""
        if self.policy.is_on:
            reminded = SentNudge(kind="next_update", at=self._clock(), key=key, since=since, is_done=True)
            shown = {"channel": channel, "ts": ts}
            await self._store.save(incident.id, reminded.model_copy(update=shown))
        self.count("next_update", "sent", incident)

    async def stop_updates(self, incident: Incident) -> None:
        """Ask for no more updates until the incident has ended. Raises Unavailable."""
        if self.policy.is_on:
            await self._store.snooze(incident.id, "no_update", FOREVER)

    async def wake(self, incident: Incident) -> None:
        """End every snooze of an incident, and look at it in the next round. Raises Unavailable."""
        self._not_before.pop(incident.id, None)
        await self._store.wake(incident.id)

    async def forget(self, incident: Incident) -> None:
        """Forget the nudges of an incident that has ended. Raises Unavailable."""
        self._not_before.pop(incident.id, None)
        if self.policy.is_on:
            await self._store.forget(incident.id)


# The verb that snoozes them.

VERB = "snooze"
GONE = "That incident is not here any more."


class SnoozeCommand(AskedCommand):
    """A request to be left alone about an incident for so many minutes; with 0, to be nudged again."""

    minutes: int
    kind: str = ALL
    """Kind of the nudge whose menu was used, for the metrics."""


class SnoozeNudges(DurableCommand[SnoozeCommand]):
    """Workflow that snoozes everything that is asked about an incident, the promised update too."""

    verb = VERB
    command_type = SnoozeCommand

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        store: NudgeStore,
        nudger: Nudger,
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._state = state
        self._store = store
        self._nudger = nudger

    async def run(self, command: SnoozeCommand) -> AnyChange:
        return await self._steps.record(
            "snooze it", retry_forever, "snooze the nudges", self._snooze, command, returns=Change
        )

    async def _snooze(self, command: SnoozeCommand) -> AnyChange:
        incident = await self._backend.find(command.incident_id)
        if incident is None:
            return NotChanged(sentence=GONE)
        reference = incident.reference
        if not incident.incident_status.is_open:
            return NotChanged(
                sentence=f"{reference} is {incident.incident_status.name}: there are no nudges about it."
            )
        reminder = await self._state.find_reminder(incident.id)
        if reminder is None and not self._nudger.policy.is_on:
            return NotChanged(sentence=f"There are no nudges about {reference}: no update of it is due.")
        if command.minutes == 0:
            await self._nudger.wake(incident)
            return Changed(incident=incident, said=f"{reference}: nudges about it come again.")
        until = command.at + timedelta(minutes=command.minutes)
        await self._store.snooze(incident.id, ALL, until)
        if reminder is not None and reminder.due_at < until:
            later = reminder.model_copy(update={"due_at": until, "key": command.key, "asking": False})
            await self._state.remember_reminder(later)
        self._nudger.count(command.kind, "snoozed", incident)
        return Changed(
            incident=incident,
            said=f"{reference}: nudges about it are snoozed for {in_words(command.minutes)}.",
        )

    async def after(self, command: SnoozeCommand, done: Changed) -> None:
        """Show in place of the last nudge who snoozed it, and until when."""
        if command.minutes:
            await self._steps.run(
                "show that it is snoozed",
                self._show,
                command,
                done.incident,
                on_failure="The nudge stays as it was",
            )

    async def _show(self, command: SnoozeCommand, incident: Incident) -> None:
        last = (await self._store.log(incident.id)).last_shown
        if last is not None and last.at > command.at - DAY:
            until = command.at + timedelta(minutes=command.minutes)
            slack = self._workspace(TeamId(incident.slack_team_id))
            await slack.messages.say_snoozed(last.channel, last.ts, incident, command.by, until)
