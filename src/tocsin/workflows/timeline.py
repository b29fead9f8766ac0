"""Add entries to an incident's timeline, and remove them."""

from __future__ import annotations

from datetime import datetime

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Person, TimelineEntry
from tocsin.incidents.requests import TEXT_LIMIT
from tocsin.incidents.validation import clean_text, is_visible
from tocsin.workflows.command import (
    AnyChange,
    Change,
    Changed,
    Command,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.ports import IncidentBackend, WorkflowEngine
from tocsin.workflows.retry import SLACK_ATTEMPTS, best_effort, retry, retry_forever
from tocsin.workflows.slack_client import WorkspaceOf
from tocsin.workflows.sync import SlackSync

VERB = "note"


class NoteCommand(Command):
    """An entry to add or remove; both use the same `entry_key`, such as the message's channel and `ts`."""

    asked: str
    """Key of this command: adding, removing and adding again are three commands."""
    entry_key: str
    edited: str = ""
    """Time of the message's last edit: the edited text is an entry of its own."""
    entry: TimelineEntry
    removed: bool = False

    @property
    def key(self) -> str:
        return self.asked

    @property
    def entry_keys(self) -> tuple[str, ...]:
        """Keys of the entry for the original message and, if it was edited, for the edited one."""
        return (self.entry_key, f"{self.entry_key}:{self.edited}") if self.edited else (self.entry_key,)

    @property
    def by(self) -> Person:
        return self.entry.by or Person()

    @property
    def asked_at(self) -> datetime:
        return self.entry.at

    def with_key(self, key: str) -> NoteCommand:
        return self.model_copy(update={"asked": key})


class Notes(DurableCommand[NoteCommand]):
    """Workflow that adds notes, pinned messages and messages with a reaction to the timeline, each once."""

    verb = VERB
    command_type = NoteCommand

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        workspace: WorkspaceOf,
        following: SlackSync,
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._following = following

    async def run(self, command: NoteCommand) -> AnyChange:
        return await self._steps.record(
            "note it", retry_forever, "note something", self._note, command, returns=Change
        )

    async def _note(self, command: NoteCommand) -> AnyChange:
        try:
            form, incident = await self._backend.form(), await self._backend.find(command.incident_id)
            if incident is None:
                return NotChanged(sentence="That incident is not here any more.")
            if "note" in form.lacks:
                return NotChanged(sentence=form.lacks["note"])
            if command.removed:
                for key in command.entry_keys:
                    await self._backend.unnote(incident.id, key)
                return Changed(incident=incident, said=f"Taken out of the timeline of {incident.reference}.")
            text = clean_text(command.entry.text, lines=True)
            if not is_visible(text):
                return NotChanged(sentence="Say what is to be noted.")
            if len(text) > TEXT_LIMIT:
                return NotChanged(sentence=f"Shorten this to {TEXT_LIMIT} characters; it has {len(text)}.")
            entry = command.entry.model_copy(update={"text": text})
            await self._backend.note(incident.id, entry, command.entry_keys[-1])
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        return Changed(incident=incident, said=f"Added to the timeline of {incident.reference}.")

    async def after(self, command: NoteCommand, done: Changed) -> None:
        """Count the comments anew below links to the incident; nothing else in Slack shows the timeline."""
        async with best_effort("count the comments below links"):
            await retry(self._following.sync_previews, done.incident.id, attempts=SLACK_ATTEMPTS)
