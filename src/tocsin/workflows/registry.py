"""All workflows and background loops for existing incidents, built once for the whole process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.model import Form
from tocsin.incidents.postmortem import PostIncidentPolicy
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.archive import ChannelArchiver
from tocsin.workflows.change import ChangeEffects, ChangeIncident
from tocsin.workflows.export import Exports
from tocsin.workflows.followups import FollowUps
from tocsin.workflows.make_private import MakePrivate
from tocsin.workflows.ports import (
    Clock,
    IncidentBackend,
    Introduce,
    SlackStateStore,
    WorkflowEngine,
    WorkspaceOf,
)
from tocsin.workflows.postmortem import Documents
from tocsin.workflows.queries import CurrentIncidents, FindIncidents, OpenIncidentsCache
from tocsin.workflows.reminders import ReminderScheduler
from tocsin.workflows.self_test import VERB as TEST
from tocsin.workflows.self_test import SelfTest
from tocsin.workflows.sync import BackendPoller, SlackSync, Unfurl
from tocsin.workflows.timeline import Notes


@dataclass(frozen=True)
class IncidentWorkflows:
    """The workflows, the queries, and the background loops that keep Slack up to date."""

    change: ChangeIncident
    follow_ups: FollowUps
    notes: Notes
    exports: Exports
    documents: Documents
    self_test: SelfTest
    archiving: ChannelArchiver
    find: FindIncidents
    open_now: OpenIncidentsCache
    remind: ReminderScheduler
    following: SlackSync
    watching: BackendPoller
    unfurl: Unfurl
    hosted_channels: bool = False
    """True if the backend creates the channels: the bot and the incident's people may not be members."""

    @property
    def leaders_loops(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """The background loops of which one runs at a time, on the replica that leads."""
        return self.remind.keep_watch, self.archiving.keep_watch

    def workflows(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """Return the durable workflows to register with the engine, by persisted name."""
        commands = (
            self.change,
            self.notes,
            self.exports,
            self.documents,
            self.follow_ups.add,
            self.follow_ups.complete,
        )
        return {TEST: self.self_test.workflow} | {command.verb: command.workflow for command in commands}


def build_workflows(
    *,
    backend: IncidentBackend,
    engine: WorkflowEngine,
    state: SlackStateStore,
    workspace: WorkspaceOf,
    form: Callable[[], Awaitable[Form]],
    clock: Clock,
    alerts: OperatorAlerts,
    policy: PostIncidentPolicy,
    names: ChannelNames,
    current: CurrentIncidents,
    introduce: Introduce,
    self_test: SelfTest,
    leads: Callable[[], bool] | None = None,
) -> IncidentWorkflows:
    """`form` returns the form's choices, `current` gets changed incidents, `introduce` looks up names.

    `leads` says if this replica leads the others; None if there can be no others.
    """
    archiving = ChannelArchiver(backend, state, workspace, clock, policy)
    following = SlackSync(backend, state, workspace, current.open_now.put, archiving.plan, leads, names)
    remind = ReminderScheduler(backend=backend, state=state, workspace=workspace, clock=clock)
    moving = MakePrivate(backend, engine, state, workspace, names)
    effects = ChangeEffects(backend, engine, state, workspace, following, remind, moving)
    return IncidentWorkflows(
        change=ChangeIncident(
            backend=backend,
            engine=engine,
            form=form,
            workspace=workspace,
            effects=effects,
            alerts=alerts,
            saw=current.observe,
        ),
        follow_ups=FollowUps(backend=backend, engine=engine, state=state, workspace=workspace),
        notes=Notes(backend=backend, engine=engine, workspace=workspace),
        exports=Exports(backend, engine, workspace, introduce),
        documents=Documents(backend, engine, state, workspace, policy.template, introduce),
        self_test=self_test,
        archiving=archiving,
        find=FindIncidents(backend=backend, channels=state),
        open_now=current.open_now,
        remind=remind,
        following=following,
        watching=_build_poller(backend, state, following, alerts, current),
        unfurl=Unfurl(backend=backend, state=state, workspace=workspace),
        hosted_channels=backend.makes_channel,
    )


def _build_poller(
    backend: IncidentBackend,
    state: SlackStateStore,
    following: SlackSync,
    alerts: OperatorAlerts,
    current: CurrentIncidents,
) -> BackendPoller:
    return BackendPoller(
        backend=backend, state=state, following=following, alerts=alerts, open_now=current.open_now
    )
