"""Write the post-incident document once: a canvas in the incident's channel, or else a file there."""

from __future__ import annotations

import asyncio
from typing import Literal

import structlog

from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import ChannelId, FrozenModel, Incident, TimelineEntry
from tocsin.incidents.postmortem import CANVAS_LIMIT, document_name, render_document
from tocsin.workflows.channels import BEGUN, DOCUMENT, fitting_channel, withdraw_documents
from tocsin.workflows.command import (
    AnyChange,
    AskedCommand,
    Changed,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.export import fetch_report_with_names, in_full
from tocsin.workflows.ports import IncidentBackend, Introduce, SlackStateStore, WorkflowEngine, WorkspaceOf
from tocsin.workflows.retry import StepFailure

log = structlog.get_logger()

VERB = "document"


class DocumentCommand(AskedCommand):
    """A request for the incident's post-incident document."""


class Site(FrozenModel):
    """State of the incident's channel before the document is written."""

    incident: Incident | None = None
    channel: ChannelId = ChannelId("")
    canvas: str = ""
    """Id of the canvas that the channel has already; empty if it has none."""
    written: str = ""
    """Id of the document, if it exists already."""
    kind: str = ""


class DocumentWritten(FrozenModel):
    """A document that exists."""

    kind: Literal["canvas", "file"]
    id: str
    asked: str = ""
    """Key of the command that asked for it, which may be an earlier one."""


class Documents(DurableCommand[DocumentCommand]):
    """Workflow that writes the document; if one exists, it answers with a link to that one."""

    verb = VERB
    command_type = DocumentCommand

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        template: str,
        introduce: Introduce,
    ) -> None:
        super().__init__(engine, workspace)
        self._introduce = introduce
        self._backend = backend
        self._state = state
        self._template = template
        # Two people who ask at the same time get one document.
        self._one_by_one = asyncio.Lock()

    async def run(self, command: DocumentCommand) -> AnyChange:
        failed = "The document could not be written"
        site = await self._steps.run(
            "look at the channel", self._look, command, on_failure=failed, returns=Site
        )
        if isinstance(site, StepFailure):
            return NotChanged(sentence=in_full(site))
        if site.incident is None:
            return NotChanged(sentence="That incident is not here any more.")
        reference = site.incident.reference
        if document := site.incident.postmortem_document_url:
            # Two documents of one incident would each be half of it.
            return NotChanged(sentence=f"{reference} has its document already: {document}")
        if site.written:
            return self._there_already(command, reference, site.written, site.kind)
        if not site.channel:
            said = f"{reference} has no channel of its own to keep a document in; export it in its place."
            return NotChanged(sentence=said)
        written = await self._steps.run_once(
            "write the document", self._write, command, site, on_failure=failed, returns=DocumentWritten
        )
        if isinstance(written, StepFailure):
            return NotChanged(sentence=in_full(written))
        if written.asked not in {"", command.key}:
            return self._there_already(command, reference, written.id, written.kind)
        kind = "a canvas" if written.kind == "canvas" else "a file"
        return Changed(incident=site.incident, said=f"The document of {reference} is {kind} in its channel.")

    async def _look(self, command: DocumentCommand) -> Site:
        incident = await self._backend.find(command.incident_id)
        if incident is None:
            return Site()
        slack = self._workspace(command.team)
        channel = await fitting_channel(slack, self._state, incident)
        if channel is None:
            return Site(incident=incident)
        known = await self._known(incident, channel)
        written, kind = (known.id, known.kind) if known else ("", "")
        canvas = await slack.files.find_canvas(channel)
        return Site(incident=incident, channel=channel, canvas=canvas, written=written, kind=kind)

    async def _known(self, incident: Incident, channel: ChannelId) -> DocumentWritten | None:
        """Return the document that was written in this channel; None if there is none."""
        for (where, thing), face in (await self._state.fingerprints(incident.id)).items():
            if where == channel and thing.startswith(DOCUMENT):
                kind, _, asked = face.partition(" ")
                known = thing.removeprefix(DOCUMENT)
                return DocumentWritten(kind="canvas" if kind == "canvas" else "file", id=known, asked=asked)
        return None

    def _there_already(self, command: DocumentCommand, reference: str, written: str, kind: str) -> NotChanged:
        is_canvas = kind == "canvas"
        where = (
            self._workspace(command.team).files.canvas_link(written) if is_canvas else "a file in its channel"
        )
        return NotChanged(sentence=f"{reference} has its document already: {where}.")

    async def _write(self, command: DocumentCommand, site: Site, again: bool) -> DocumentWritten:
        async with self._one_by_one:
            incident = await self._backend.find(command.incident_id)
            slack = self._workspace(command.team)
            channel = incident and await fitting_channel(slack, self._state, incident)
            if incident is None or not channel:
                raise Refused("The incident's channel is not there any more")
            known = await self._known(incident, channel)
            if known is not None:
                return known

            async def still() -> None:
                """Raise Refused if the incident was made private while the bot waited for Slack."""
                now = await self._backend.find(incident.id)
                if now is None or await fitting_channel(slack, self._state, now) != channel:
                    raise Refused(f"{incident.reference} goes on in a private channel now; ask for it there")

            has_canvas = bool(site.canvas) and site.channel == channel
            text = render_document(
                self._template, await fetch_report_with_names(self._backend, incident, self._introduce)
            )
            written = await self._canvas(command, channel, incident, text, taken=has_canvas, again=again)
            if written is None:
                written = await self._file(command, channel, incident, text)
            face = f"{written.kind} {written.asked}"
            await self._state.save_fingerprint(incident.id, channel, f"{DOCUMENT}{written.id}", face)
            await self._state.delete_fingerprint(incident.id, channel, BEGUN)
            try:
                await still()
            except Refused:
                now = await self._backend.find(incident.id) or incident
                await withdraw_documents(slack, self._state, now)
                raise
            return written

    async def _canvas(
        self,
        command: DocumentCommand,
        channel: ChannelId,
        incident: Incident,
        text: str,
        *,
        taken: bool,
        again: bool,
    ) -> DocumentWritten | None:
        """Write the document as the channel's canvas; return None if it cannot have one or has another."""
        slack = self._workspace(command.team)
        begun, asked = await self._begun(incident, channel)
        if len(text) > CANVAS_LIMIT or begun == "file":
            return None
        if begun or (again and not taken):
            # The channel had no canvas before, so an existing one is ours: only its answer was lost.
            if there := await slack.files.find_canvas(channel):
                return DocumentWritten(kind="canvas", id=there, asked=asked or command.key)
        elif taken:
            return None
        asked = asked or command.key
        await self._state.save_fingerprint(incident.id, channel, BEGUN, f"canvas {asked}")
        try:
            title = f"{incident.reference}: what happened"
            canvas = await slack.files.write_canvas(channel, title, text, about=incident)
        except SlackRefused as refusal:
            log.info("a file in place of a canvas", because=refusal.sentence)
            return None
        return DocumentWritten(kind="canvas", id=canvas, asked=asked)

    async def _file(
        self, command: DocumentCommand, channel: ChannelId, incident: Incident, text: str
    ) -> DocumentWritten:
        _, asked = await self._begun(incident, channel)
        asked = asked or command.key
        await self._state.save_fingerprint(incident.id, channel, BEGUN, f"file {asked}")
        comment = f"What happened in {incident.reference}, to be completed"
        # An earlier process may have sent the file and died before it could store that.
        file = await self._workspace(command.team).files.send(
            channel, document_name(incident), text, comment, about=incident, again=True
        )
        return DocumentWritten(kind="file", id=file, asked=asked)

    async def _begun(self, incident: Incident, channel: ChannelId) -> tuple[str, str]:
        """Return the kind of the document that was begun there and its command's key; empty if none was."""
        kind, _, asked = (
            (await self._state.fingerprints(incident.id)).get((channel, BEGUN), "").partition(" ")
        )
        return kind, asked

    async def after(self, command: DocumentCommand, done: Changed) -> None:
        await self._steps.run_once(
            "lead to the document",
            self._lead_to_it,
            command,
            done.incident,
            on_failure="The channel was not told of it",
        )
        await self._steps.run(
            "note the document", self._note, command, done.incident, on_failure="The timeline does not say so"
        )

    async def _lead_to_it(self, command: DocumentCommand, incident: Incident, again: bool) -> None:
        slack = self._workspace(command.team)
        now = await self._backend.find(incident.id) or incident
        channel = await fitting_channel(slack, self._state, now)
        known = await self._known(now, channel) if channel else None
        # A file appears in the channel as a message, so only a canvas needs a link.
        if channel and known and known.kind == "canvas":
            key, link = f"{command.key}:document", slack.files.canvas_link(known.id)
            await slack.messages.say_written(channel, now, link, command.by, key=key, again=again)

    async def _note(self, command: DocumentCommand, incident: Incident) -> None:
        entry = TimelineEntry(at=command.at, by=command.by, verb="wrote the post-incident document")
        await self._backend.note(incident.id, entry, f"{command.key}:document")
