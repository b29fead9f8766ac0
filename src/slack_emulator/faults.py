"""Faults that the Web API meets on demand, and Slack's rate limits."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from slack_emulator.clock import Clock
from slack_emulator.limits import CALLS_A_MINUTE, LOOKS_A_MINUTE, MESSAGES_A_LOOK, POSTS_A_SECOND_PER_CHANNEL

# Faults that a test plans for the next calls of a method.


@dataclass
class Fault:
    """One planned failure: answer with `status`, `error` or `body`, wait for `until`, or reset mid-response.

    `body` is sent as it is, as `content_type`; so is `retry_after`, even if malformed. With `after_effect`
    the method first does its work, and only the answer is lost or late.
    """

    status: int = 200
    error: str | None = None
    retry_after: float | str | None = None
    body: str | None = None
    content_type: str = "application/json"
    until: asyncio.Event | None = None
    reset: bool = False
    after_effect: bool = False

    @property
    def spoils(self) -> bool:
        """True if the app does not get the true answer; a fault that only waits gives it late."""
        said = (self.error, self.retry_after, self.body)
        return self.status != 200 or self.reset or any(part is not None for part in said)


class Faults:
    def __init__(self) -> None:
        self._planned: dict[str, list[Fault]] = {}

    def plan(self, method: str, *faults: Fault) -> None:
        """Have the next calls of this method meet these faults, one each."""
        self._planned.setdefault(method, []).extend(faults)

    def next_for(self, method: str) -> Fault | None:
        planned = self._planned.get(method)
        return planned.pop(0) if planned else None

    def planned(self) -> dict[str, int]:
        """Return the number of planned faults by method."""
        return {method: len(faults) for method, faults in self._planned.items() if faults}

    def clear(self) -> None:
        self._planned.clear()


# Slack's rate limits, which a test or a user can switch on: by method tier, and for posts by channel.

MINUTE = 60.0
POST = "chat.postMessage"
LOOKS = frozenset({"conversations.history", "conversations.replies"})

# Tiers from each method's reference. Slack does not publish the special limits of the other methods.
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
        users.conversations users.lookupByEmail entity.acknowledgeCommentAction entity.presentComments
        entity.presentDetails functions.completeError
        functions.completeSuccess canvases.delete files.delete""",
    4: """assistant.threads.setSuggestedPrompts assistant.threads.setTitle chat.appendStream
        chat.postEphemeral conversations.members files.completeUploadExternal files.getUploadURLExternal
        files.info users.info users.profile.get views.open views.publish views.push views.update""",
}
TIER_OF: Final = MappingProxyType(
    {method: tier for tier, named in _TIERS.items() for method in named.split()}
)

Lane = tuple[str, str, str]
"""App, method, and the channel if it counts."""


class Rates:
    """Recent calls of each app; nothing is limited until `on`.

    `scale` multiplies Slack's limits, for a workspace whose clock runs fast.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[Lane, deque[float]] = defaultdict(deque)
        self.on = False
        self.outside_marketplace = False
        """True for a commercial app outside Slack's Marketplace: it may read history once a minute."""
        self.scale = 1.0
        self.refused = 0
        """Number of calls answered with 429 so far."""

    def take(self, app_id: str, method: str, channel: str = "") -> int | None:
        """Count a call. Returns None if it is allowed, else the whole seconds until it may be made again.

        Slack, rate limits: calls a minute by the method's tier, per app and workspace; one message a second
        per channel. The response is then 429 with `Retry-After`.
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
        """Return the page size of a history call: Slack silently shortens it outside the Marketplace."""
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
        """Forget all calls."""
        self._calls.clear()
