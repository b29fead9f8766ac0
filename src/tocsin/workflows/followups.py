"""Actions and follow-ups: add one, complete it with a button, list what is open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, FollowUp, Incident, MessageTs, Person
from tocsin.incidents.requests import FollowUpRequest
from tocsin.incidents.transitions import follow_up_checked
from tocsin.incidents.validation import FOLLOW_UP_WORDS
from tocsin.workflows.channels import fitting_channel
from tocsin.workflows.command import (
    PATIENCE,
    AnyChange,
    Change,
    Changed,
    NotChanged,
    Order,
    Promises,
)
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, WorkflowEngine, WorkspaceOf
from tocsin.workflows.retry import Steps, retry_forever

VERB_ADD, VERB_COMPLETE = "add a follow-up", "complete a follow-up"
LACKED = {"action": "action", "follow_up": "follow-up"}
"""The verb that a backend may say it lacks, by the kind."""


class FollowUpOrder(Order):
    """Something to be done, asked for."""

    request: FollowUpRequest

    @property
    def key(self) -> str:
        return self.request.key

    @property
    def by(self) -> Person:
        return self.request.by

    @property
    def asked_at(self) -> datetime:
        return self.request.at

    def keyed(self, key: str) -> FollowUpOrder:
        return self.model_copy(update={"request": self.request.model_copy(update={"key": key})})


class CompleteOrder(Order):
    """Something was done."""

    follow_up_id: str
    asked: str
    """The key."""
    done_by: Person
    at: datetime

    @property
    def key(self) -> str:
        return self.asked

    @property
    def by(self) -> Person:
        return self.done_by

    @property
    def asked_at(self) -> datetime:
        return self.at

    def keyed(self, key: str) -> CompleteOrder:
        return self.model_copy(update={"asked": key})


class FollowUps:
    """What is to be done in and after an incident. One instance serves the whole process."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        journal: WorkflowEngine,
        ledger: SlackStateStore,
        workspace: WorkspaceOf,
    ) -> None:
        self._backend = backend
        self._steps = Steps(journal)
        self._ledger = ledger
        self._workspace = workspace
        self._adding = Promises(
            verb=VERB_ADD,
            order=FollowUpOrder,
            journal=journal,
            workspace=workspace,
            do=self._add,
            after=self._show,
        )
        self._completing = Promises(
            verb=VERB_COMPLETE,
            order=CompleteOrder,
            journal=journal,
            workspace=workspace,
            do=self._complete,
            after=self._show,
        )

    def stories(self) -> dict[str, Any]:
        """The durable part of each verb, by the verb."""
        return {VERB_ADD: self._adding.story, VERB_COMPLETE: self._completing.story}

    async def add(
        self, order: FollowUpOrder, acknowledged: asyncio.Event | None = None, patience: float = PATIENCE
    ) -> AnyChange | None:
        """Have something done; the answer has the follow-up. Waits and raises as ChangeIncident does."""
        return await self._adding.keep(order, acknowledged, patience)

    async def complete(
        self, order: CompleteOrder, acknowledged: asyncio.Event | None = None, patience: float = PATIENCE
    ) -> AnyChange | None:
        """Mark something as done; what is done already stays so. Waits and raises as ChangeIncident does."""
        return await self._completing.keep(order, acknowledged, patience)

    async def of(self, incident_id: str) -> Sequence[FollowUp]:
        """Actions and follow-ups, oldest first."""
        return await self._backend.follow_ups(incident_id)

    async def _add(self, order: FollowUpOrder) -> AnyChange:
        return await self._steps.record(
            "add the follow-up",
            retry_forever,
            "add a follow-up",
            self._answer,
            order,
            f"{FOLLOW_UP_WORDS[order.request.kind]} added",
            lambda: self._backend.add_follow_up(order.incident_id, _clean(order)),
            returns=Change,
        )

    async def _complete(self, order: CompleteOrder) -> AnyChange:
        return await self._steps.record(
            "complete the follow-up",
            retry_forever,
            "complete a follow-up",
            self._answer,
            order,
            "done",
            partial(self._completed, order),
            returns=Change,
        )

    async def _completed(self, order: CompleteOrder) -> FollowUp:
        """Complete it. Raises Refused where it is not of the incident that was asked about."""
        if all(known.id != order.follow_up_id for known in await self.of(order.incident_id)):
            raise Refused("That is not to be done in this incident.")
        return await self._backend.complete_follow_up(
            order.follow_up_id, order.done_by, order.at, order.asked
        )

    async def _answer(self, order: Order, did: str, act: Callable[[], Any]) -> AnyChange:
        try:
            form = await self._backend.form()
            lacking = isinstance(order, FollowUpOrder) and form.lacks.get(LACKED[order.request.kind])
            if lacking:
                return NotChanged(sentence=lacking)
            incident = await self._backend.find(order.incident_id)
            if incident is None:
                return NotChanged(sentence="That incident is not here any more.")
            follow_up: FollowUp = await act()
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        return Changed(
            incident=incident, said=f"{incident.reference}: {did}: {follow_up.text}", follow_up=follow_up
        )

    async def _show(self, order: Order, done: Changed) -> None:
        if done.follow_up is not None and done.incident.slack_channel_id:
            await self._steps.run_once(
                "show the follow-up",
                self._show_follow_up,
                order,
                done.incident,
                done.follow_up,
                on_failure="The channel was not told",
            )

    async def _show_follow_up(
        self, order: Order, incident: Incident, follow_up: FollowUp, again: bool
    ) -> None:
        """Post it in the incident's channel, with a button; the same message says later that it is done."""
        slack, thing = self._workspace(order.team), f"follow-up {follow_up.id}"
        faces = await self._ledger.faces(incident.id)
        posted = next(((place, ts) for (place, known), ts in faces.items() if known == thing), None)
        if posted is not None:
            channel, ts = ChannelId(posted[0]), MessageTs(posted[1])
            await slack.messages.update_follow_up(channel, ts, incident, follow_up)
            return
        now = await self._backend.find(incident.id) or incident
        fitting = await fitting_channel(slack, self._ledger, now)
        if fitting is not None and not follow_up.is_done:
            key = f"{order.key}:follow-up"
            ts = await slack.messages.post_follow_up(fitting, incident, follow_up, key=key, again=again)
            await self._ledger.remember_face(incident.id, fitting, thing, ts)


def _clean(order: FollowUpOrder) -> FollowUpRequest:
    return follow_up_checked(order.request)
