"""Take an incident away: everything that belongs to it, as a file for whoever asked and nobody else."""

from __future__ import annotations

import asyncio

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import FORMAT_NAMES, Format, Whole, exported, file_name
from tocsin.incidents.model import Frozen, Incident, PersonId, TimelineEntry
from tocsin.workflows.command import (
    AnyChange,
    AskedOrder,
    Changed,
    Kept,
    NotChanged,
    Promises,
)
from tocsin.workflows.ports import IncidentBackend, Introduce, WorkflowEngine, WorkspaceOf
from tocsin.workflows.retry import StepFailure, Steps

VERB = "export"


class ExportOrder(AskedOrder):
    """A file for one person."""

    wanted: Format = "markdown"


class Sent(Frozen):
    """It was handed to Slack."""

    incident: Incident


class Exports(Kept[ExportOrder]):
    """Sends the file to who asked, in a direct message."""

    def __init__(
        self,
        backend: IncidentBackend,
        journal: WorkflowEngine,
        workspace: WorkspaceOf,
        introduce: Introduce,
    ) -> None:
        self._backend = backend
        self._introduce = introduce
        self._steps = Steps(journal)
        self._workspace = workspace
        self._promises = Promises(
            verb=VERB,
            order=ExportOrder,
            journal=journal,
            workspace=workspace,
            do=self._do,
            after=self._after,
        )

    async def _do(self, order: ExportOrder) -> AnyChange:
        sent = await self._steps.run_once(
            "send the file", self._send, order, on_failure="The file could not be sent", returns=Sent
        )
        if isinstance(sent, StepFailure):
            return NotChanged(sentence=in_full(sent))
        said = f"{sent.incident.reference} is in your messages from Tocsin, as {FORMAT_NAMES[order.wanted]}."
        return Changed(incident=sent.incident, said=said)

    async def _send(self, order: ExportOrder, again: bool) -> Sent:
        incident = await self._backend.find(order.incident_id)
        if incident is None:
            raise Refused("That incident is not here any more.")
        text = exported([await fetch_named(self._backend, incident, self._introduce)], order.wanted)
        name = file_name(incident, order.wanted, order.at)
        comment = f"{incident.reference}: {incident.name}"
        to = order.by.slack_user_id or PersonId("")
        await self._workspace(order.team).files.send(to, name, text, comment, about=incident, again=again)
        return Sent(incident=incident)

    async def _after(self, order: ExportOrder, done: Changed) -> None:
        """Who took it away stands in the timeline."""
        said = FORMAT_NAMES[order.wanted]
        entry = TimelineEntry(at=order.at, by=order.by, verb="exported it as", text=said)
        await self._steps.run(
            "note the export",
            self._backend.note,
            done.incident.id,
            entry,
            f"{order.key}:exported",
            on_failure="The timeline does not say so",
        )


async def fetch_whole(backend: IncidentBackend, incident: Incident) -> Whole:
    """The incident with its timeline and what is to be done. Raises Unavailable and Refused."""
    timeline, follow_ups = await asyncio.gather(
        backend.timeline(incident.id), backend.follow_ups(incident.id)
    )
    return Whole(incident=incident, timeline=tuple(timeline), follow_ups=tuple(follow_ups))


async def fetch_named(backend: IncidentBackend, incident: Incident, introduce: Introduce) -> Whole:
    """The same with everybody's name, as far as it can be found out: it is written down for good."""
    whole = await fetch_whole(backend, incident)
    if whole.nameless and await introduce(incident.slack_team_id, whole.nameless):
        whole = await fetch_whole(backend, await backend.find(incident.id) or incident)
    return whole


def in_full(trouble: StepFailure) -> str:
    """A trouble as a sentence."""
    said = f"{trouble.trouble}: {trouble.why}" if trouble.why else trouble.trouble
    return f"{said.rstrip('.')}."
