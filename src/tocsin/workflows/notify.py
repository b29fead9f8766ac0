"""Messages about a declaration's outcome: in its modal, by direct message, to its Workflow Builder step."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from tocsin.incidents.model import Incident, PersonId
from tocsin.workflows.command import PendingReply
from tocsin.workflows.declaration import AlreadyDeclared, AnyOutcome, DeclareCommand, Declared, NotDeclared
from tocsin.workflows.ports import IncidentBackend, WorkflowEngine
from tocsin.workflows.retry import (
    ALL_DAY,
    SLACK_ATTEMPTS,
    StepFailure,
    Steps,
    best_effort,
    retry,
    sentences,
)
from tocsin.workflows.slack_client import SlackClient
from tocsin.workflows.step_answers import complete_step, in_its_channel

# Messages to the reporter: in the modal, or by direct message if the modal is closed.


class DeclarationNotifier:
    """Notifier of the reporter or the Workflow Builder step; most messages are steps of the workflow."""

    def __init__(self, *, backend: IncidentBackend, workspace: SlackClient, engine: WorkflowEngine) -> None:
        self._backend = backend
        self._workspace = workspace
        self._steps = Steps(engine)

    def show(
        self,
        command: DeclareCommand,
        outcome: AnyOutcome,
        failures: Sequence[StepFailure] = (),
        waiting: PendingReply[AnyOutcome] | None = None,
    ) -> Awaitable[Any]:
        """Return the step that shows the outcome in the modal.

        A reporter who was told *saved* and has closed the modal gets a direct message instead.
        """

        reporter = command.declaration.reporter.slack_user_id

        async def show(again: bool) -> None:
            if waiting is not None:
                waiting.shown = sum(answer.is_set() for answer in waiting.answers)
            wanted = waiting is not None and waiting.private
            seen = await self._shown(command, outcome, failures, wanted)
            missed = waiting is not None and waiting.waited and not seen
            if seen and waiting is not None:
                waiting.visible()
            if missed and reporter is not None and isinstance(outcome, Declared):
                key = f"{command.declaration.key}:declared"
                incident = outcome.incident
                said = _declared(incident)
                await self._workspace.messages.tell(reporter, said, about=incident, key=key, again=again)

        return self._steps.run_once("show the outcome", show, on_failure="The form could not be updated")

    async def show_late_presses(
        self,
        command: DeclareCommand,
        outcome: Declared,
        failures: Sequence[StepFailure],
        waiting: PendingReply[AnyOutcome],
    ) -> bool:
        """Show the outcome in the modal again if the answer to a press may have replaced it since.

        Returns True if that was necessary. It happens after a second press, or a press just before a crash.
        So this is no step of the workflow: each process checks it anew.
        """
        needed = waiting.has_late_presses
        while command.view_id is not None and waiting.has_late_presses:
            await waiting.read()
            waiting.shown = len(waiting.answers)
            async with best_effort("show the outcome again"):
                await retry(self._shown, command, outcome, failures, waiting.private, attempts=SLACK_ATTEMPTS)
        return needed

    async def _shown(
        self,
        command: DeclareCommand,
        outcome: AnyOutcome,
        failures: Sequence[StepFailure],
        wanted_private: bool = False,
    ) -> bool:
        """Show the outcome in the modal; return False if the reporter has closed it."""
        view_id, reporter = command.view_id, command.declaration.reporter.slack_user_id
        if view_id is None:
            return False
        if isinstance(outcome, Declared):
            said = [*too_late(outcome.incident, wanted_private), *sentences(failures)]
            return await self._workspace.show_declared(view_id, reporter, outcome.incident, said)
        if isinstance(outcome, AlreadyDeclared):
            return await self._workspace.show_already_declared(view_id, reporter, outcome.incident)
        return await self._workspace.show_not_declared(view_id, outcome.in_full)

    async def tell_failures(
        self,
        command: DeclareCommand,
        incident: Incident,
        failures: Sequence[StepFailure],
        about: str = "trouble",
    ) -> None:
        """Tell the reporter which steps failed, once for each `about`."""
        reporter = incident.creator.slack_user_id
        if not failures or reporter is None:
            return
        said = ". ".join(sentences(failures))
        sentence = f"{incident.reference} is declared, but not everything went well: {said}."
        await self._tell(command, incident, "tell the reporter", sentence, about)

    async def tell_backend(self, command: DeclareCommand, incident: Incident) -> None:
        """Tell the backend what no create call takes, and the reporter if that is refused."""
        done = await self._steps.run(
            "tell the backend the rest",
            self._backend.follow_through,
            command.declaration,
            incident,
            on_failure="Its source message and its call link could not be added where it is kept",
        )
        if done is not None:
            await self.tell_failures(command, incident, [done], "unadded")

    async def mended(self, command: DeclareCommand, incident: Incident) -> None:
        """Tell the reporter that the channel, which could not be created at first, now exists."""
        reporter = incident.creator.slack_user_id
        if reporter is not None:
            sentence = f"{incident.reference} has its channel now: <#{incident.slack_channel_id}>"
            await self._tell(command, incident, "tell of the channel", sentence, "mended")

    async def too_late(self, command: DeclareCommand, incident: Incident, said: Sequence[str]) -> None:
        """Tell the reporter that *private* was ticked too late.

        It is no step, since the workflow was started without it.
        """
        reporter, key = command.declaration.reporter.slack_user_id, f"{command.declaration.key}:public"
        if reporter is not None:
            tell, sentence = self._workspace.messages.tell, f"{said[0]}."
            async with best_effort("tell that it is public"):
                await retry(tell, reporter, sentence, incident, key, True, attempts=ALL_DAY)

    async def _tell(
        self, command: DeclareCommand, incident: Incident, name: str, sentence: str, about: str
    ) -> None:
        await self._steps.run_once(
            name,
            self._workspace.messages.tell,
            PersonId(incident.creator.slack_user_id or ""),
            sentence,
            incident,
            f"{command.declaration.key}:{about}",
            on_failure="The reporter could not be told",
            attempts=ALL_DAY,
        )

    async def late(self, command: DeclareCommand, outcome: AnyOutcome) -> None:
        """Tell the reporter in the modal and by direct message that no incident was created."""
        await self.show(command, outcome)
        if command.declaration.reporter.slack_user_id is not None:
            await self._steps.run_once(
                "say that nothing was made",
                self._say_that_nothing_was_made,
                command,
                command.declaration.reporter.slack_user_id,
                outcome,
                on_failure="The reporter could not be told",
                attempts=ALL_DAY,
            )

    async def _say_that_nothing_was_made(
        self, command: DeclareCommand, reporter: PersonId, outcome: AnyOutcome, again: bool
    ) -> None:
        messages, key = self._workspace.messages, command.declaration.key
        if isinstance(outcome, NotDeclared):
            name, wrong = command.declaration.name, outcome.in_full
            await messages.ask_to_fix(reporter, name, wrong, key=key, again=again)
        elif isinstance(outcome, AlreadyDeclared):
            incident, already = outcome.incident, f"{key}:already"
            earlier = " ".join(filter(None, [incident.reference, incident.permalink]))
            sentence = f"Nothing new was declared: that message already has {earlier}"
            await messages.tell(reporter, sentence, about=incident, key=already, again=again)

    def answers(self, command: DeclareCommand, outcome: AnyOutcome) -> list[Awaitable[Any]]:
        """Return the step that answers the Workflow Builder step; empty if a person declared."""
        if not command.run:
            return []
        failed = "The workflow could not be answered"
        answer = self.answer_workflow
        return [
            self._steps.run(
                "answer the workflow", answer, command, outcome, on_failure=failed, attempts=ALL_DAY
            )
        ]

    async def answer_workflow(self, command: DeclareCommand, outcome: AnyOutcome) -> None:
        """Report the outcome to the Workflow Builder step; a repeat changes nothing."""
        if isinstance(outcome, NotDeclared):
            await self._workspace.fail_step(command.run, outcome.in_full)
            return
        incident = await in_its_channel(self._backend, outcome.incident)
        await complete_step(self._workspace, command.run, incident)


def too_late(incident: Incident, wanted_private: bool) -> list[str]:
    """Return the sentence for a person who ticked *private* after a public declaration; else an empty list.

    The first press counts, even if its answer was lost: other people may have read the incident by now.
    """
    if not wanted_private or incident.is_private:
        return []
    return [
        f"{incident.reference} is public: your first press had declared it already when you ticked "
        "Private incident. Type /incident private in its channel to hide it from now on"
    ]


def _declared(incident: Incident) -> str:
    where = f"; carry on in <#{incident.slack_channel_id}>" if incident.slack_channel_id else ""
    at = f" ({incident.permalink})" if incident.permalink else ""
    return f"What you declared is through: it is {incident.reference}{at}{where}."
