"""Scheduled messages: saved, and posted once the workspace's clock reaches their time."""

from __future__ import annotations

from dataclasses import asdict

from slack_emulator.events import Tasks
from slack_emulator.messages import Messages
from slack_emulator.models import InstalledApp, Message, Refused, ScheduledMessage
from slack_emulator.state import State, new_id

FARTHEST_SECONDS = 120 * 24 * 3600
"""Seconds into the future, at most (Slack, chat.scheduleMessage: 120 days)."""
WINDOW_SECONDS, MOST_IN_WINDOW = 5 * 60, 30
"""Window in seconds, and messages in it for one channel (Slack, chat.scheduleMessage: 30 in 5 minutes)."""
TOO_LATE_SECONDS = 60
"""Seconds before the post in which it can no longer be deleted (Slack, chat.deleteScheduledMessage)."""


class ScheduledMessages:
    def __init__(self, state: State, messages: Messages, tasks: Tasks) -> None:
        self._state = state
        self._messages = messages
        self._tasks = tasks

    def add(self, app: InstalledApp, draft: Message, post_at: int) -> ScheduledMessage:
        """Schedule a message whose text and blocks were validated."""
        now = self._state.now()
        if post_at <= now:
            raise Refused("time_in_past")
        if post_at - now > FARTHEST_SECONDS:
            raise Refused("time_too_far")
        near = [
            other
            for other in self._state.scheduled.values()
            if other.channel == draft.channel and abs(other.post_at - post_at) < WINDOW_SECONDS
        ]
        if len(near) >= MOST_IN_WINDOW:
            raise Refused("restricted_too_many")
        scheduled = ScheduledMessage(new_id("Q"), app.app_id, draft.channel, post_at, int(now), asdict(draft))
        self._state.save(scheduled)
        self._tasks.start(self._post_when_due(scheduled))
        return scheduled

    def pending(self, app: InstalledApp, channel: str | None = None) -> list[ScheduledMessage]:
        """Return the app's scheduled messages in the order in which they will be posted."""
        found = [one for one in self._state.scheduled.values() if one.app_id == app.app_id]
        return sorted((one for one in found if channel in (None, one.channel)), key=lambda one: one.post_at)

    def delete(self, app: InstalledApp, channel: str, scheduled_id: str) -> None:
        found = self._state.scheduled.get(scheduled_id)
        if found is None or (found.app_id, found.channel) != (app.app_id, channel):
            raise Refused("invalid_scheduled_message_id")
        if found.post_at - self._state.now() < TOO_LATE_SECONDS:
            raise Refused("invalid_scheduled_message_id")
        self._state.drop_scheduled(found)

    def resume(self) -> None:
        """Wait again for messages that were saved before a restart; overdue ones are posted now."""
        for scheduled in self._state.scheduled.values():
            self._tasks.start(self._post_when_due(scheduled))

    async def _post_when_due(self, scheduled: ScheduledMessage) -> None:
        while (left := scheduled.post_at - self._state.now()) > 0:
            await self._state.clock.sleep(left)
        if scheduled.id not in self._state.scheduled:
            return
        self._state.drop_scheduled(scheduled)
        draft = Message(**scheduled.draft)
        channel = self._state.channels.get(scheduled.channel)
        here = scheduled.app_id in self._state.apps and channel is not None and not channel.archived
        # Slack, chat.scheduleMessage, "Bug alert": Slack never posts a message with metadata.
        if not here or channel is None or draft.metadata is not None:
            return
        try:
            self._messages.post(channel, draft)
        except Refused:
            # Its thread was deleted: Slack does not tell the app.
            return
