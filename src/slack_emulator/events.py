"""Events API: subscriptions, scopes, envelopes and retries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from slack_emulator.delivery import Delivery
from slack_emulator.manifest import Manifest
from slack_emulator.models import Channel, InstalledApp, Json
from slack_emulator.scopes import SCOPES_OF_EVENT
from slack_emulator.state import State, new_id

RETRY_AFTER = (0.0, 0.0, 60.0, 300.0)
"""Seconds before each attempt (Slack, Events API: at once, nearly at once, a minute, five minutes)."""

SUBSCRIPTIONS = {
    "public": "message.channels",
    "private": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}


_SENT = """
    app_home_opened app_mention app_uninstalled assistant_thread_context_changed assistant_thread_started
    channel_archive channel_created channel_left channel_rename channel_unarchive
    entity_comments_requested entity_details_requested file_shared function_executed group_archive
    group_left group_rename group_unarchive link_shared member_joined_channel member_left_channel
    message.channels message.groups message.im message.mpim pin_added pin_removed reaction_added
    reaction_removed tokens_revoked url_verification
    """
SENT_EVENTS = frozenset(_SENT.split())
"""All events that a workspace ever sends."""


def unsent_events(manifest: Manifest) -> list[str]:
    """Return the app's subscriptions to events that no workspace sends, user events among them."""
    users = [f"{event} (for users)" for event in manifest.user_events]
    return [*sorted(manifest.bot_events - SENT_EVENTS), *sorted(users)]


class Tasks:
    """Registry of background tasks, so that none is garbage-collected or outlives the workspace."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class Events:
    def __init__(self, state: State, delivery: Delivery, tasks: Tasks) -> None:
        self._state = state
        self._delivery = delivery
        self._tasks = tasks

    def emit(
        self,
        event: Json,
        *,
        channel: Channel | None = None,
        only: InstalledApp | None = None,
        joined: bool = True,
    ) -> None:
        """Send to every app that subscribed, has the scope, and whose bot is in the channel if `joined`."""
        event.setdefault("event_ts", self._state.next_ts())
        name = event["type"]
        if name == "message" and channel is not None:
            name = SUBSCRIPTIONS[channel.kind]
        if name not in SENT_EVENTS:
            raise LookupError(f"{name} is not in SENT_EVENTS")
        for app in self._state.apps.values():
            if only in (None, app) and self._hears(app, name, channel if joined else None):
                self._tasks.start(self._send(app, dict(event), channel))

    def emit_mention(self, event: Json, channel: Channel) -> None:
        """Send app_mention to each app that a message names; "has joined" messages do not count."""
        if event.get("subtype") not in (None, "bot_message", "thread_broadcast"):
            return
        for app in self._state.apps.values():
            mentioned = f"<@{app.bot_user_id}>" in event["text"] or f"<@{app.bot_user_id}|" in event["text"]
            if mentioned and not channel.is_direct and event.get("bot_id") != app.bot_id:
                self.emit(dict(event) | {"type": "app_mention"}, channel=channel, only=app)

    def _hears(self, app: InstalledApp, name: str, channel: Channel | None) -> bool:
        if channel is not None and app.bot_user_id not in channel.members:
            return False
        return name in app.manifest.bot_events and has_scope_for(app, name)

    async def _send(self, app: InstalledApp, event: Json, channel: Channel | None) -> None:
        team, org = self._state.team.id, self._state.org.id if self._state.org else None
        payload: Json = {
            "token": app.verification_token,
            "team_id": team,
            "context_team_id": team,
            "context_enterprise_id": org,
            **({"enterprise_id": org} if org else {}),
            "api_app_id": app.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": new_id("Ev"),
            "event_time": int(self._state.now()),
            "authorizations": [
                {
                    "enterprise_id": org,
                    "team_id": team,
                    "user_id": app.bot_user_id,
                    "is_bot": True,
                    "is_enterprise_install": bool(app.org),
                }
            ],
            "is_ext_shared_channel": bool(channel is not None and channel.shared_with),
            "event_context": new_id("EC"),
        }
        if channel is not None:
            payload["event_context_channel"] = channel.id
        reason: str | None = None
        for attempt, pause in enumerate(RETRY_AFTER):
            await self._state.clock.sleep(pause)
            answer = await self._delivery.deliver(
                app, "events_api", payload, f"event.{event['type']}", retry=attempt, reason=reason
            )
            if answer.ok or answer.no_retry:
                return
            reason = answer.retry_reason


def has_scope_for(app: InstalledApp, event: str) -> bool:
    """True if the app has one of the alternative scopes of an event. An unknown event has none."""
    return any(needed <= app.scopes for needed in SCOPES_OF_EVENT.get(event, ()))
