"""The checklist of an incident: its actions, follow-ups and runbooks in the thread of its headline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakValueDictionary

from tocsin.incidents.errors import OutcomeUnknown
from tocsin.incidents.model import ChannelId, FollowUp, Form, Incident, MessageTs, TeamId
from tocsin.incidents.tasks import Checklist, TaskPolicy
from tocsin.incidents.tracker import Tracker
from tocsin.workflows.channels import fitting_channel
from tocsin.workflows.ports import IncidentBackend, SlackStateStore
from tocsin.workflows.slack_client import SlackClient, WorkspaceOf

HEADLINE_SECONDS = 10
"""Seconds to wait for a headline: a private channel is known before its headline is posted."""

THING = "checklist"
"""Mark of the checklist among the fingerprints; its `ts` is the value."""


class Checklists:
    """Poster of the checklists, which are edited in place. One instance serves the whole process."""

    def __init__(
        self,
        backend: IncidentBackend,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        form: Callable[[], Awaitable[Form]],
        policy: TaskPolicy,
        tracker: Tracker | None,
    ) -> None:
        self._backend = backend
        self._state = state
        self._workspace = workspace
        self._form = form
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.policy = policy
        self.tracker = tracker

    async def of(self, incident: Incident, items: Sequence[FollowUp] | None = None) -> Checklist:
        """Return the checklist of an incident; its `items` are read unless they are known."""
        if items is None:
            items = await self._backend.follow_ups(incident.id)
        return self.policy.checklist(incident, items, await self._form(), self.tracker)

    def new_issue_url(self, incident: Incident, follow_up: FollowUp) -> str | None:
        """Return the address of the tracker's form, filled in; None without a tracker or a need."""
        return self.tracker.new_issue_url(incident, follow_up) if self.tracker is not None else None

    async def post(self, incident_id: str, again: bool) -> None:
        """Post the checklist in the incident's channel, or edit the one that is there.

        Raises OutcomeUnknown while a private incident moves to its private channel.
        """
        await self._in_turn(incident_id, posts=True, again=again)

    async def refresh(self, incident_id: str) -> None:
        """Edit the checklist so that it shows the present state; does nothing if there is none."""
        await self._in_turn(incident_id, posts=False, again=True)

    async def _in_turn(self, incident_id: str, *, posts: bool, again: bool) -> None:
        """Show it, one caller after the other: each reads the state only when the one before is done."""
        turn = self._turns.setdefault(incident_id, asyncio.Lock())
        async with turn:
            known = {
                thing: (ChannelId(channel), MessageTs(ts))
                for (channel, thing), ts in (await self._state.fingerprints(incident_id)).items()
                if thing == THING
            }
            if posts or known:
                await self._show(incident_id, list(known.values()), posts, again)

    async def _show(
        self, incident_id: str, posted: Sequence[tuple[ChannelId, MessageTs]], posts: bool, again: bool
    ) -> None:
        incident = await self._backend.find(incident_id)
        if incident is None:
            return
        slack = self._workspace(TeamId(incident.slack_team_id))
        channel = await fitting_channel(slack, self._state, incident)
        if channel is None:
            if posts:
                raise OutcomeUnknown(f"{incident.reference} has no private channel yet.")
            return
        ts = next((ts for place, ts in posted if place == channel), None)
        checklist = await self.of(incident)
        if ts is None and not (checklist.items or checklist.runbooks):
            return
        shown = await self._shown(slack, incident, channel, checklist, ts, again)
        if ts is None:
            await self._state.save_fingerprint(incident_id, channel, THING, shown)

    async def _shown(
        self,
        slack: SlackClient,
        incident: Incident,
        channel: ChannelId,
        checklist: Checklist,
        ts: MessageTs | None,
        again: bool,
    ) -> MessageTs:
        """Post it below the incident's headline, or without a thread where the channel has no headline."""
        headline = await self._headline(incident, channel) if ts is None else None
        return await slack.messages.show_checklist(
            channel, incident, checklist, ts, thread=headline, again=again
        )

    async def _headline(self, incident: Incident, channel: ChannelId) -> MessageTs | None:
        """Return the headline of the channel, which may just be being posted; None if there is none."""
        pauses = 0 if self._backend.makes_channel else HEADLINE_SECONDS
        while True:
            cards = await self._state.cards(incident.id)
            found = next((c.ts for c in cards if c.place == "headline" and c.channel == channel), None)
            if found is not None or pauses == 0:
                return found
            pauses -= 1
            await asyncio.sleep(1)
