"""Archive channels of ended incidents: after a set time, with a day's notice, unless a person keeps them."""

from __future__ import annotations

import asyncio

import structlog

from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import ChannelId, Incident, Person, TeamId, TimelineEntry
from tocsin.incidents.postmortem import NOTICE, PostIncidentPolicy, ScheduledArchive, scheduled_archive
from tocsin.workflows.channels import fitting_channel
from tocsin.workflows.ports import Clock, IncidentBackend, SlackStateStore
from tocsin.workflows.retry import best_effort
from tocsin.workflows.slack_client import SlackClient, WorkspaceOf
from tocsin.workflows.used_channel import earlier_topic

log = structlog.get_logger()

LOOK_SECONDS = 5.0


class ChannelArchiver:
    """Archiver for the whole process. Its plans are stored, so they survive a restart."""

    def __init__(
        self,
        backend: IncidentBackend,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        clock: Clock,
        policy: PostIncidentPolicy,
    ) -> None:
        self._backend = backend
        self._state = state
        self._workspace = workspace
        self._clock = clock
        self._policy = policy
        self._days = policy.archive_after_days
        # A person may press *keep* while the notice is being posted: their press waits for the notice.
        self._one_by_one = asyncio.Lock()
        if backend.makes_channel and not policy.archive_hosted:
            # A channel that the backend created is the backend's to archive.
            self._days = None

    async def plan(self, incident: Incident) -> None:
        """Plan the archiving of an ended incident's channel.

        A channel that a person kept stays kept until the incident ends again.
        """
        if self._days is None or incident.incident_status.is_open or not incident.slack_channel_id:
            return
        used = await earlier_topic(self._state, incident, incident.slack_channel_id) is not None
        if used and not self._policy.archive_used:
            # A channel that was there before the incident goes on without it.
            return
        known = await self._state.find_scheduled_archive(incident.id)
        if known is None or (incident.closed_at is not None and incident.closed_at > known.ended_at):
            await self._state.save_scheduled_archive(scheduled_archive(incident, self._days))

    async def keep(self, incident: Incident, by: Person) -> bool:
        """Keep the channel; return False if it was not planned to be archived. Raises Unavailable.

        Every call edits the notice again: an earlier process may have died before it could.
        """
        async with self._one_by_one:
            known = await self._state.find_scheduled_archive(incident.id)
            if known is None or known.stage == "gone":
                return False
            await self._state.save_scheduled_archive(known.model_copy(update={"stage": "kept"}))
        if known.ts:
            async with best_effort("say that the channel is kept"):
                slack = self._workspace(TeamId(incident.slack_team_id))
                await slack.messages.say_kept(known.channel, known.ts, by)
        return True

    async def keep_watch(self) -> None:
        """Give notice and archive channels, forever. A failure is tried again in the next round."""
        while self._days is not None:
            async with best_effort("archive channels"):
                await self.archive_due()
            await asyncio.sleep(LOOK_SECONDS)

    async def archive_due(self) -> None:
        """Give every notice and archive every channel that is due now."""
        for due in await self._state.archives_due(self._clock() + NOTICE):
            async with best_effort("archive a channel"), self._one_by_one:
                await self._go_on(due.incident_id)

    async def _go_on(self, incident_id: str) -> None:
        due = await self._state.find_scheduled_archive(incident_id)
        if due is None or due.is_over:
            return
        incident = await self._backend.find(incident_id)
        if incident is None or incident.incident_status.is_open:
            await self._end(due)
            return
        slack = self._workspace(TeamId(incident.slack_team_id))
        channel = await fitting_channel(slack, self._state, incident)
        if channel is None:
            return
        try:
            if due.stage != "told":
                await self._tell(slack, channel, incident, due)
            elif due.due_at <= self._clock():
                await self._archive(slack, channel, incident, due)
        except (Refused, SlackRefused) as refusal:
            log.warning("not done", doing="archive a channel", because=refusal.sentence)
            await self._end(due)

    async def _tell(
        self, slack: SlackClient, channel: ChannelId, incident: Incident, due: ScheduledArchive
    ) -> None:
        # The notice is a full day, even if it is posted late.
        at = max(due.due_at, self._clock() + NOTICE)
        telling = due.model_copy(update={"stage": "telling", "due_at": at, "channel": channel})
        # Once this is stored, the next process searches for the notice before it posts one.
        await self._state.save_scheduled_archive(telling)
        key = f"departure:{incident.id}:{due.ended_at.timestamp():.0f}"
        ts = await slack.messages.say_leaving(channel, incident, at, key=key, again=due.stage == "telling")
        if await self._state.find_scheduled_archive(incident.id) == telling:
            await self._state.save_scheduled_archive(telling.model_copy(update={"stage": "told", "ts": ts}))

    async def _archive(
        self, slack: SlackClient, channel: ChannelId, incident: Incident, due: ScheduledArchive
    ) -> None:
        await slack.channels.archive(channel)
        entry = TimelineEntry(at=self._clock(), verb="archived the channel")
        await self._backend.note(incident.id, entry, f"departure:{due.ended_at.timestamp():.0f}")
        # Stored last: a process that died before this repeats both calls, which is harmless.
        await self._end(due)

    async def _end(self, due: ScheduledArchive) -> None:
        await self._state.save_scheduled_archive(due.model_copy(update={"stage": "gone"}))
