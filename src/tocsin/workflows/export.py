"""Export an incident: a file with all of its content, sent to the person who asked and to no other."""

from __future__ import annotations

import asyncio

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import FORMAT_NAMES, Format, Whole, exported, file_name
from tocsin.incidents.model import Frozen, Incident, PersonId, TimelineEntry
from tocsin.workflows.command import (
    AnyChange,
    AskedCommand,
    Changed,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.ports import IncidentBackend, Introduce, WorkflowEngine, WorkspaceOf
from tocsin.workflows.retry import StepFailure

VERB = "export"


class ExportCommand(AskedCommand):
    """A request for an incident's file in the format `wanted`."""

    wanted: Format = "markdown"


class Sent(Frozen):
    """The file was handed to Slack; with the incident as it was exported."""

    incident: Incident


class Exports(DurableCommand[ExportCommand]):
    """Workflow that sends the file to the person who asked, by direct message."""

    verb = VERB
    command_type = ExportCommand

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        workspace: WorkspaceOf,
        introduce: Introduce,
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._introduce = introduce

    async def run(self, command: ExportCommand) -> AnyChange:
        sent = await self._steps.run_once(
            "send the file", self._send, command, on_failure="The file could not be sent", returns=Sent
        )
        if isinstance(sent, StepFailure):
            return NotChanged(sentence=in_full(sent))
        what, reference = FORMAT_NAMES[command.wanted], sent.incident.reference
        return Changed(
            incident=sent.incident, said=f"{reference} is in your messages from Tocsin, as {what}."
        )

    async def _send(self, order: ExportCommand, again: bool) -> Sent:
        incident = await self._backend.find(order.incident_id)
        if incident is None:
            raise Refused("That incident is not here any more.")
        text = exported([await fetch_named(self._backend, incident, self._introduce)], order.wanted)
        name = file_name(incident, order.wanted, order.at)
        comment = f"{incident.reference}: {incident.name}"
        to = order.by.slack_user_id or PersonId("")
        await self._workspace(order.team).files.send(to, name, text, comment, about=incident, again=again)
        return Sent(incident=incident)

    async def after(self, command: ExportCommand, done: Changed) -> None:
        """Add the export, with the person and the format, to the timeline."""
        said = FORMAT_NAMES[command.wanted]
        entry = TimelineEntry(at=command.at, by=command.by, verb="exported it as", text=said)
        await self._steps.run(
            "note the export",
            self._backend.note,
            done.incident.id,
            entry,
            f"{command.key}:exported",
            on_failure="The timeline does not say so",
        )


async def fetch_whole(backend: IncidentBackend, incident: Incident) -> Whole:
    """Return the incident with its timeline, actions and follow-ups. Raises Unavailable and Refused."""
    timeline, follow_ups = await asyncio.gather(
        backend.timeline(incident.id), backend.follow_ups(incident.id)
    )
    return Whole(incident=incident, timeline=tuple(timeline), follow_ups=tuple(follow_ups))


async def fetch_named(backend: IncidentBackend, incident: Incident, introduce: Introduce) -> Whole:
    """Do as `fetch_whole`, but first look up the names of people that the backend does not know.

    A file is permanent, so it should hold every name that Slack can tell.
    """
    whole = await fetch_whole(backend, incident)
    if whole.nameless and await introduce(incident.slack_team_id, whole.nameless):
        whole = await fetch_whole(backend, await backend.find(incident.id) or incident)
    return whole


def in_full(trouble: StepFailure) -> str:
    """Return a failure and its reason as a sentence."""
    said = f"{trouble.trouble}: {trouble.why}" if trouble.why else trouble.trouble
    return f"{said.rstrip('.')}."
