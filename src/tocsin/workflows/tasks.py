"""Add the tasks that rules give to an incident: when it is declared or accepted, and when it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid5

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, FrozenModel, Incident, Person, TeamId
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest
from tocsin.incidents.tasks import KEYS, Task
from tocsin.workflows.channels import A_DAY, await_channel
from tocsin.workflows.checklists import Checklists
from tocsin.workflows.command import act_for
from tocsin.workflows.followups import LACKED
from tocsin.workflows.ports import Channel, Clock, IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps, outside_workflow, sentences
from tocsin.workflows.slack_client import WorkspaceOf

VERB = "add tasks"


class AddTasksCommand(FrozenModel):
    """Tasks to add to an incident, or to give to the holders of their roles, and the checklist to show."""

    incident_id: str
    team: TeamId
    tasks: tuple[Task, ...] = ()
    version: str
    """The incident's last change when this was decided: each change adds tasks once."""
    by: Person
    """The person to be told if it fails: the one who changed the incident, else its reporter."""
    at: datetime

    @property
    def key(self) -> str:
        titles = "/".join(f"{task.kind} {task.title}" for task in self.tasks)
        return str(uuid5(KEYS, f"{self.incident_id}/{self.version}/{titles}"))


class AddTasks:
    """Durable workflow for each change that gives an incident tasks. One instance serves the process.

    An incident gets each task once, however often it is raised and lowered; nothing is taken back. A task
    with a role goes to its holder, also to one who takes the role later.
    """

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        form: Callable[[], Awaitable[Form]],
        checklists: Checklists,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._engine = engine
        self._steps = Steps(engine)
        self._state = state
        self._workspace = workspace
        self._form = form
        self._checklists = checklists
        self._clock = clock

    async def begin(self, before: Incident | None, incident: Incident, by: Person | None = None) -> None:
        """Start the workflow if a change calls for it, and return once it is saved; a repeat starts none.

        Without `before` the incident was declared. `by` changed it; None if it was changed elsewhere.
        Raises Unavailable.
        """
        policy = self._checklists.policy
        if not policy.is_on:
            return
        form = await self._form()
        due = policy.tasks_due(before, incident, form)
        # A backend that keeps no actions says so in their form, and `tocsin doctor` does.
        tasks = tuple(task for task in due if LACKED[task.kind] not in form.lacks)
        runbooks = policy.runbooks_for(incident, form)
        shown = policy.runbooks_for(before, form) if before is not None else ()
        # What is shown in the public channel does not go along to the private one.
        moves = before is not None and incident.is_private and not before.is_private
        left = moves and bool(runbooks or policy.tasks_of(incident, form))
        if not tasks and runbooks == shown and not left:
            return
        command = AddTasksCommand(
            incident_id=incident.id,
            team=TeamId(incident.slack_team_id),
            tasks=tasks,
            version=incident.updated_at.isoformat(),
            by=by if by is not None and by.slack_user_id else incident.creator,
            at=self._clock(),
        )
        starting = self._engine.start(VERB, command.key, command.model_dump(mode="json"))
        await outside_workflow(starting)

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = AddTasksCommand.model_validate(raw)
        act_for(command.by.slack_user_id, command.at)
        incident = await self._steps.find_incident(self._backend.find, command.incident_id)
        if incident is not None:
            failures = [await self._added(command, incident), await self._shown(incident)]
            if found := [one for one in failures if isinstance(one, StepFailure)]:
                await self._tell(command, incident, found)
        return {"kind": "tasks added", "incident": {"id": command.incident_id}}

    async def _added(self, command: AddTasksCommand, incident: Incident) -> StepFailure | None:
        return await self._steps.run(
            "add the tasks",
            self._add,
            command,
            incident,
            on_failure="Its actions and follow-ups could not be added",
            attempts=ALL_DAY,
        )

    async def _add(self, command: AddTasksCommand, incident: Incident) -> None:
        """Add each task unless the incident has it, and give it to the holder of its role."""
        now = await self._backend.find(incident.id) or incident
        for place, task in enumerate(command.tasks):
            # The moments keep the tasks in the rules' order.
            at, holder = command.at + timedelta(microseconds=place), task.holder(now)
            request = FollowUpRequest(
                key=task.key(incident.id),
                by=Person(),
                at=at,
                kind=task.kind,
                text=task.title,
                assignee=holder,
                runbook_url=task.runbook,
            )
            added = await self._backend.add_follow_up(incident.id, request)
            if holder is not None and added.assignee is None and not added.is_done:
                given = FollowUpChange(key=f"{command.key}:{place}", by=Person(), at=at, assignee=holder)
                # The backend may not know the person; the task then waits to be taken.
                with suppress(Refused):
                    await self._backend.change_follow_up(added.id, given)

    async def _shown(self, incident: Incident) -> StepFailure | None:
        """Show the checklist in the incident's channel, once that is there."""
        if incident.is_retrospective:
            return None
        if not incident.slack_channel_id:
            found = await self._steps.record(
                "await the channel",
                await_channel,
                self._backend,
                self._state,
                incident,
                A_DAY,
                returns=Channel | StepFailure,
            )
            if isinstance(found, StepFailure):
                return found
        return await self._steps.run_once(
            "show the checklist",
            self._checklists.post,
            incident.id,
            on_failure="Its checklist could not be shown",
        )

    async def _tell(self, command: AddTasksCommand, incident: Incident, failures: list[StepFailure]) -> None:
        person = command.by.slack_user_id
        if person is None:
            return
        await self._steps.run_once(
            "tell of the troubles",
            self._workspace(command.team).messages.tell,
            person,
            f"{incident.reference} did not get everything that the rules give it: "
            f"{'. '.join(sentences(failures))}.",
            incident,
            f"{command.key}:trouble",
            on_failure="Who changed it could not be told",
            attempts=ALL_DAY,
        )
