"""All workflows and background loops for existing incidents, built once for the whole process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.model import Form, Incident, Person
from tocsin.incidents.postmortem import PostIncidentPolicy
from tocsin.workflows.access import AccessDecisions, AccessRequests
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.announce import VERB as ANNOUNCE
from tocsin.workflows.announce import Announcer, RulesOf
from tocsin.workflows.archive import ChannelArchiver
from tocsin.workflows.change import ChangeEffects, ChangeIncident
from tocsin.workflows.digest import VERB as DIGEST
from tocsin.workflows.digest import Digests
from tocsin.workflows.export import Exports
from tocsin.workflows.follow import CatchUps, Followers
from tocsin.workflows.followups import FollowUps
from tocsin.workflows.make_private import MakePrivate
from tocsin.workflows.nudges import Nudger, SnoozeNudges
from tocsin.workflows.paging import Paging
from tocsin.workflows.ports import Clock, IncidentBackend, Introduce, SlackStateStore, WorkflowEngine
from tocsin.workflows.postmortem import Documents
from tocsin.workflows.queries import CurrentIncidents, FindIncidents, OpenIncidentsCache
from tocsin.workflows.reminders import ReminderScheduler
from tocsin.workflows.self_test import VERB as TEST
from tocsin.workflows.self_test import SelfTest
from tocsin.workflows.slack_client import WorkspaceOf
from tocsin.workflows.sync import BackendPoller, SlackSync, Unfurl
from tocsin.workflows.tasks import VERB as ADD_TASKS
from tocsin.workflows.tasks import AddTasks
from tocsin.workflows.timeline import Notes


@dataclass(frozen=True)
class IncidentWorkflows:
    """The workflows, the queries, and the background loops that keep Slack up to date."""

    change: ChangeIncident
    access: AccessRequests
    decisions: AccessDecisions
    followers: Followers
    catch_ups: CatchUps
    follow_ups: FollowUps
    notes: Notes
    exports: Exports
    documents: Documents
    self_test: SelfTest
    archiving: ChannelArchiver
    paging: Paging
    find: FindIncidents
    open_now: OpenIncidentsCache
    remind: ReminderScheduler
    nudger: Nudger
    snooze: SnoozeNudges
    following: SlackSync
    watching: BackendPoller
    unfurl: Unfurl
    rules: RuleEffects
    hosted_channels: bool = False
    """True if the backend creates the channels: the bot and the incident's people may not be members."""

    @property
    def leaders_loops(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """The background loops of which one runs at a time, on the replica that leads."""
        return (
            self.remind.keep_watch,
            self.archiving.keep_watch,
            self.nudger.keep_watch,
            self.paging.keep_watch,
            self.rules.digests.keep_watch,
        )

    def workflows(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """Return the durable workflows to register with the engine, by persisted name."""
        commands = (
            self.change,
            self.access,
            self.decisions,
            self.followers,
            self.catch_ups,
            self.notes,
            self.exports,
            self.documents,
            self.snooze,
            self.follow_ups.add,
            self.follow_ups.complete,
            self.follow_ups.change,
            self.paging.send,
            self.paging.signal,
        )
        return {
            **{command.verb: command.workflow for command in commands},
            ANNOUNCE: self.rules.announcer.workflow,
            ADD_TASKS: self.rules.add_tasks.workflow,
            TEST: self.self_test.workflow,
            DIGEST: self.rules.digests.workflow,
        }


@dataclass(frozen=True)
class RuleEffects:
    """Everything that rules do: announcements and tasks when an incident changes, and digests by the week."""

    announcer: Announcer
    add_tasks: AddTasks
    digests: Digests

    async def begin(self, before: Incident, incident: Incident, by: Person | None = None) -> None:
        """Start the workflows that a change calls for; a repeat starts none. Raises Unavailable."""
        await self.announcer.begin(before, incident, by)
        await self.add_tasks.begin(before, incident, by)


@dataclass(frozen=True)
class WorkflowPorts:
    """Everything outside that the workflows work on."""

    backend: IncidentBackend
    engine: WorkflowEngine
    state: SlackStateStore
    workspace: WorkspaceOf
    clock: Clock
    alerts: OperatorAlerts


@dataclass(frozen=True)
class ReadyWorkflows:
    """Workflows that need more than the ports, or that declaring needs, too; they are built before."""

    nudger: Nudger
    snooze: SnoozeNudges
    add_tasks: AddTasks
    follow_ups: FollowUps
    paging: Paging
    self_test: SelfTest
    digests: Digests


def build_workflows(
    ports: WorkflowPorts,
    *,
    form: Callable[[], Awaitable[Form]],
    policy: PostIncidentPolicy,
    names: ChannelNames,
    current: CurrentIncidents,
    introduce: Introduce,
    rules_of: RulesOf,
    ready: ReadyWorkflows,
    leads: Callable[[], bool] | None = None,
) -> IncidentWorkflows:
    """`current` gets changed incidents; `leads` says if this replica leads the others, None if alone."""
    backend, engine, state = ports.backend, ports.engine, ports.state
    workspace, clock, alerts = ports.workspace, ports.clock, ports.alerts
    archiving = ChannelArchiver(backend, state, workspace, clock, policy)
    open_now = current.open_now
    remind = ReminderScheduler(backend, state, workspace, clock, ready.nudger)
    ended = archiving.plan, remind.forget, ready.nudger.forget, ready.paging.wake
    following = SlackSync(backend, state, workspace, open_now.put, ended, leads, names)
    announcer = Announcer(backend, engine, state, workspace, following, rules_of, clock)
    rules = RuleEffects(announcer, ready.add_tasks, ready.digests)
    moving = MakePrivate(backend, engine, state, workspace, names)
    effects = ChangeEffects(backend, engine, state, workspace, following, remind, moving, policy)
    return IncidentWorkflows(
        change=ChangeIncident(
            backend, engine, form, workspace, effects, rules.begin, alerts, current.observe
        ),
        access=AccessRequests(backend, engine, workspace),
        decisions=AccessDecisions(backend, engine, workspace, effects),
        follow_ups=ready.follow_ups,
        notes=Notes(backend=backend, engine=engine, workspace=workspace, following=following),
        followers=Followers(backend, engine, state, workspace),
        catch_ups=CatchUps(backend, engine, state, workspace),
        exports=Exports(backend, engine, workspace, introduce),
        documents=Documents(backend, engine, state, workspace, policy.template, introduce),
        self_test=ready.self_test,
        archiving=archiving,
        paging=ready.paging,
        find=FindIncidents(backend=backend, channels=state),
        open_now=current.open_now,
        remind=remind,
        nudger=ready.nudger,
        snooze=ready.snooze,
        following=following,
        watching=BackendPoller(backend, state, following, alerts, open_now, rules.begin),
        unfurl=Unfurl(backend=backend, state=state, workspace=workspace),
        rules=rules,
        hosted_channels=backend.makes_channel,
    )
