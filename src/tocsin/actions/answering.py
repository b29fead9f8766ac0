"""Answer the workflow whose step has declared: with what became of it, so that its next steps may go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from tocsin.actions.attempts import ALL_DAY, attempt
from tocsin.actions.orders import AnyOutcome, DeclareOrder, NotDeclared
from tocsin.actions.ports import Backend, Journal
from tocsin.incidents.errors import Unavailable, Withheld
from tocsin.incidents.model import Incident

PAUSES = (0.1, 0.2, 0.5, 1, 2, 4, 8, 15, 30)
"""Seconds between two looks for the incident's channel; a workflow waits no longer for it than a minute."""


class Steps(Protocol):
    """Workflows that wait for the end of a step."""

    async def complete_step(self, run: str, outputs: Mapping[str, str], *, about: Incident | None) -> None:
        """The step is done; nothing happens when the workflow does not wait for it any more.

        Raises Withheld where the incident that its outputs are about is private.
        """
        ...

    async def fail_step(self, run: str, sentence: str) -> None:
        """The step was not done, and why."""
        ...


class Answering:
    """One instance for each workspace."""

    def __init__(self, *, backend: Backend, workspace: Steps, journal: Journal) -> None:
        self._backend = backend
        self._workspace = workspace
        self._journal = journal

    def steps(self, order: DeclareOrder, outcome: AnyOutcome) -> list[Awaitable[Any]]:
        """The step of a declaration's story that answers its workflow; none where a person declared."""
        if not order.run:
            return []
        return [
            attempt(
                self._journal,
                "answer the workflow",
                "The workflow could not be answered",
                lambda _: self.answer(order, outcome),
                attempts=ALL_DAY,
            )
        ]

    async def answer(self, order: DeclareOrder, outcome: AnyOutcome) -> None:
        """Say to the workflow what became of the declaration; saying it again changes nothing.

        What a workflow is told its later steps may post anywhere, and its log is read by whoever may change
        it. So of a private incident it is told no more than that the step is done.
        """
        if isinstance(outcome, NotDeclared):
            await self._workspace.fail_step(order.run, outcome.in_full)
            return
        incident = await self._in_its_channel(outcome.incident)
        outputs = {
            "reference": incident.reference,
            "permalink": incident.permalink or "",
            "channel": incident.slack_channel_id,
        }
        told = {name: value for name, value in outputs.items() if value}
        try:
            await self._workspace.complete_step(order.run, told, about=incident)
        except Withheld:
            await self._workspace.complete_step(order.run, {}, about=None)

    async def _in_its_channel(self, incident: Incident) -> Incident:
        """The incident with its channel; without one where that has not come within a minute."""
        for pause in PAUSES:
            if incident.slack_channel_id or incident.is_private:
                break
            await asyncio.sleep(pause)
            with suppress(Unavailable):
                incident = await self._backend.find(incident.id) or incident
        return incident
