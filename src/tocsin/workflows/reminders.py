"""Reminders for the next update: posted once in the incident's channel when due, also across restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import ChannelId, Incident, Person, TeamId
from tocsin.incidents.nudges import Nudge
from tocsin.incidents.updates import Reminder
from tocsin.workflows.nudges import Nudger
from tocsin.workflows.ports import Clock, IncidentBackend, SlackStateStore
from tocsin.workflows.retry import best_effort
from tocsin.workflows.slack_client import WorkspaceOf

LOOK_SECONDS = 5.0
MOST_MINUTES = 24 * 60


class ReminderScheduler:
    """Reminders of all incidents, at most one each. One instance serves the whole process."""

    def __init__(
        self,
        backend: IncidentBackend,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        clock: Clock,
        nudger: Nudger,
    ) -> None:
        """`nudger` counts the reminders among its own messages."""
        self._backend = backend
        self._state = state
        self._workspace = workspace
        self._clock = clock
        self._nudger = nudger

    async def plan(
        self, incident: Incident, minutes: int, by: Person, at: datetime, key: str
    ) -> datetime | None:
        """Plan the reminder so many minutes after `at`, at most a day; return when it is due.

        With 0 minutes, deletes the reminder and returns None.
        """
        if minutes <= 0:
            await self._state.forget_reminder(incident.id)
            return None
        due = at + timedelta(minutes=min(minutes, MOST_MINUTES))
        # If it is due already, an earlier process may have posted it and died before it could store that.
        late = due <= self._clock()
        planned = Reminder(incident_id=incident.id, due_at=due, by=incident.lead or by, key=key, asking=late)
        await self._state.remember_reminder(planned)
        return due

    async def snooze(self, incident: Incident, minutes: int, by: Person, key: str) -> datetime | None:
        """Plan the reminder so many minutes from now; return when it is due. Raises Unavailable."""
        return await self.plan(incident, minutes, by, self._clock(), key)

    async def take_over(self, incident: Incident, minutes: int, by: Person, key: str) -> datetime:
        """Plan the reminder for this person, so many minutes from now; return when it is due.

        Raises Unavailable.
        """
        due = self._clock() + timedelta(minutes=minutes)
        taken = Reminder(incident_id=incident.id, due_at=due, by=by, key=key)
        await self._state.remember_reminder(taken)
        return due

    async def stop(self, incident: Incident) -> None:
        """Delete the incident's reminder, and ask for no update by a rule either. Raises Unavailable."""
        await self._state.forget_reminder(incident.id)
        await self._nudger.stop_updates(incident)

    async def forget(self, incident: Incident) -> None:
        """Delete the reminder of an incident that has ended, wherever that was, and that it is overdue."""
        await self._state.forget_reminder(incident.id)

    async def overdue(self, incidents: Iterable[Incident]) -> dict[str, datetime]:
        """Return when the updates of these incidents were due that are missing, by id, longest due first.

        Any change of an incident counts as one. Raises Unavailable.
        """
        shown = {one.id: one for one in incidents}
        due = await self._state.overdue_updates()
        return {id_: at for id_, at in due.items() if id_ in shown and shown[id_].updated_at <= at}

    async def planned(self, incident_id: str) -> Reminder | None:
        """Return the incident's reminder; None if it has none. Raises Unavailable."""
        return await self._state.find_reminder(incident_id)

    async def keep_watch(self) -> None:
        """Post due reminders, forever. A failure is tried again in the next round."""
        while True:
            async with best_effort("ask for the updates that are due"):
                await self.ask_due()
            await asyncio.sleep(LOOK_SECONDS)

    async def ask_due(self) -> None:
        """Post every reminder that is due now."""
        for reminder in await self._state.due_reminders(self._clock()):
            async with best_effort("ask for an update"):
                await self._ask(reminder)

    async def _ask(self, reminder: Reminder) -> None:
        incident = await self._backend.find(reminder.incident_id)
        if incident is not None and incident.slack_channel_id and incident.incident_status.is_open:
            slack = self._workspace(TeamId(incident.slack_team_id))
            channel = ChannelId(incident.slack_channel_id)
            if incident.is_private and not await slack.channels.is_private(channel):
                # The incident is moving to a private channel; a later round posts the reminder there.
                return
            # Once the claim is stored, another process searches for the message before it posts one.
            again = reminder.asking
            if not await self._state.claim_reminder(reminder):
                return
            async with best_effort("post the reminder") as failed:
                key, asking = (
                    f"{reminder.key}:due",
                    Nudge(kind="next_update", asked=reminder.by, since=reminder.due_at),
                )
                ts = await slack.messages.remind(channel, incident, asking, key=key, again=again)
                await self._nudger.log_reminder(incident, key, reminder.due_at, channel, ts)
            if failed and not isinstance(failed[0], SlackRefused | Refused):
                return
            posted = None if failed else reminder.due_at
            await self._state.forget_reminder(reminder.incident_id, reminder.key, overdue_since=posted)
            return
        await self._state.forget_reminder(reminder.incident_id, reminder.key)
