"""Slack's rate limits, where they are switched on: each method by its tier, posts by their channel."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from types import MappingProxyType
from typing import Final

from slack_emulator.clock import Clock
from slack_emulator.limits import (
    CALLS_A_MINUTE,
    LOOKS_A_MINUTE,
    MESSAGES_A_LOOK,
    POSTS_A_SECOND_PER_CHANNEL,
)

MINUTE = 60.0
POST = "chat.postMessage"
LOOKS = frozenset({"conversations.history", "conversations.replies"})

# Slack, each method's reference: its tier. What is not here has a limit of its own that is not published.
_TIERS = {
    2: """chat.startStream chat.stopStream emoji.list users.setPresence
        bookmarks.add bookmarks.edit bookmarks.list bookmarks.remove conversations.archive
        conversations.create conversations.canvases.create conversations.list conversations.rename
        conversations.setPurpose conversations.setTopic conversations.unarchive pins.add pins.list
        pins.remove reactions.list reactions.remove usergroups.list usergroups.users.list users.list""",
    3: """chat.deleteScheduledMessage chat.meMessage chat.scheduleMessage chat.scheduledMessages.list
        conversations.mark users.getPresence
        apps.connections.open bots.info chat.delete chat.unfurl chat.update conversations.history
        conversations.info conversations.invite conversations.join conversations.kick conversations.leave
        conversations.open conversations.replies reactions.add reactions.get team.info
        users.conversations users.lookupByEmail entity.presentDetails functions.completeError
        functions.completeSuccess canvases.delete files.delete""",
    4: """assistant.threads.setSuggestedPrompts assistant.threads.setTitle chat.appendStream
        chat.postEphemeral conversations.members files.completeUploadExternal files.getUploadURLExternal
        files.info users.info users.profile.get views.open views.publish views.push views.update""",
}
TIER_OF: Final = MappingProxyType(
    {method: tier for tier, named in _TIERS.items() for method in named.split()}
)

Lane = tuple[str, str, str]
"""App, method, and the channel where that counts."""


class Rates:
    """How often each app has called; nothing is limited until `on`.

    `scale` is how many times more than Slack's own numbers are allowed, for a workspace that lives fast.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[Lane, deque[float]] = defaultdict(deque)
        self.on = False
        self.outside_marketplace = False
        """The app is distributed commercially, outside Slack's Marketplace: it may look once a minute."""
        self.scale = 1.0
        self.refused = 0
        """How many calls were answered with 429, up to now."""

    def take(self, app_id: str, method: str, channel: str = "") -> int | None:
        """Count a call; where it is one too many, after how many whole seconds it may come again.

        Slack, rate limits: calls a minute by the method's tier, per app and workspace; and one message a
        second for each channel, the answer then being 429 with `Retry-After`.
        """
        if self.outside_marketplace and method in LOOKS:
            return self._within((app_id, method, ""), LOOKS_A_MINUTE * self.scale, MINUTE)
        if not self.on:
            return None
        if method == POST:
            return self._within((app_id, method, channel), POSTS_A_SECOND_PER_CHANNEL * self.scale, 1.0)
        tier = TIER_OF.get(method)
        if tier is None:
            return None
        return self._within((app_id, method, ""), CALLS_A_MINUTE[tier] * self.scale, MINUTE)

    def page(self, limit: int) -> int:
        """How many messages a look of so many shows; Slack shortens it without a word."""
        return min(limit, MESSAGES_A_LOOK) if self.outside_marketplace else limit

    def _within(self, lane: Lane, most: float, seconds: float) -> int | None:
        now, calls = self._clock.now(), self._calls[lane]
        while calls and calls[0] <= now - seconds:
            calls.popleft()
        if len(calls) < max(1, int(most)):
            calls.append(now)
            return None
        self.refused += 1
        return max(1, math.ceil(calls[0] + seconds - now))

    def forget(self) -> None:
        """As if nobody had called yet."""
        self._calls.clear()
