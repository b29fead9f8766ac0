"""Export an incident: a file with all of its content, sent to the person who asked and to no other."""

from __future__ import annotations

import asyncio

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import FORMAT_NAMES, Format, IncidentReport, file_name, render_export
from tocsin.incidents.model import FrozenModel, Incident, PersonId, TimelineEntry
from tocsin.workflows.command import (
    AnyChange,
    AskedCommand,
    Changed,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.ports import IncidentBackend, Introduce, WorkflowEngine
from tocsin.workflows.retry import StepFailure
from tocsin.workflows.slack_client import WorkspaceOf

VERB = "export"


class ExportCommand(AskedCommand):
    """A request for an incident's file in the format `wanted`."""

    wanted: Format = "markdown"


class ExportSent(FrozenModel):
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
            "send the file", self._send, command, on_failure="The file could not be sent", returns=ExportSent
        )
        if isinstance(sent, StepFailure):
            return NotChanged(sentence=in_full(sent))
        what, reference = FORMAT_NAMES[command.wanted], sent.incident.reference
        return Changed(
            incident=sent.incident, said=f"{reference} is in your messages from Tocsin, as {what}."
        )

    async def _send(self, command: ExportCommand, again: bool) -> ExportSent:
        incident = await self._backend.find(command.incident_id)
        if incident is None:
            raise Refused("That incident is not here any more.")
        text = render_export(
            [await fetch_report_with_names(self._backend, incident, self._introduce)], command.wanted
        )
        name = file_name(incident, command.wanted, command.at)
        comment = f"{incident.reference}: {incident.name}"
        to = command.by.slack_user_id or PersonId("")
        await self._workspace(command.team).files.send(to, name, text, comment, about=incident, again=again)
        return ExportSent(incident=incident)

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


async def fetch_report(backend: IncidentBackend, incident: Incident) -> IncidentReport:
    """Return the incident with its timeline, actions and follow-ups. Raises Unavailable and Refused."""
    timeline, follow_ups, form = await asyncio.gather(
        backend.timeline(incident.id), backend.follow_ups(incident.id), backend.form()
    )
    return IncidentReport(
        incident=incident, timeline=tuple(timeline), follow_ups=tuple(follow_ups), form=form
    )


async def fetch_report_with_names(
    backend: IncidentBackend, incident: Incident, introduce: Introduce
) -> IncidentReport:
    """Do as `fetch_whole`, but first look up the names of people that the backend does not know.

    A file is permanent, so it should hold every name that Slack can tell.
    """
    report = await fetch_report(backend, incident)
    if report.nameless and await introduce(incident.slack_team_id, report.nameless):
        report = await fetch_report(backend, await backend.find(incident.id) or incident)
    return report


def in_full(failure: StepFailure) -> str:
    """Return a failure and its reason as a sentence."""
    said = f"{failure.trouble}: {failure.why}" if failure.why else failure.trouble
    return f"{said.rstrip('.')}."
