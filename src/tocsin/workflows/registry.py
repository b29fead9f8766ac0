"""All workflows and background loops for existing incidents, built once for the whole process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.model import Form
from tocsin.incidents.postmortem import PostIncidentPolicy
from tocsin.workflows.access import AccessDecisions, AccessRequests
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.announce import VERB as ANNOUNCE
from tocsin.workflows.announce import Announcer, RulesOf
from tocsin.workflows.archive import ChannelArchiver
from tocsin.workflows.change import ChangeEffects, ChangeIncident
from tocsin.workflows.export import Exports
from tocsin.workflows.follow import CatchUps, Followers
from tocsin.workflows.followups import FollowUps
from tocsin.workflows.nudges import Nudger, SnoozeNudges
from tocsin.workflows.paging import Paging
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
from tocsin.workflows.sync import BackendPoller, SlackSync, Unfurl
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
    announcer: Announcer
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
            self.paging.send,
            self.paging.signal,
        )
        return {
            **{command.verb: command.workflow for command in commands},
            ANNOUNCE: self.announcer.workflow,
        }


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
    current: CurrentIncidents,
    introduce: Introduce,
    rules_of: RulesOf,
    nudger: Nudger,
    snooze: SnoozeNudges,
    paging: Paging,
    leads: Callable[[], bool] | None = None,
) -> IncidentWorkflows:
    """`current` gets changed incidents; `leads` says if this replica leads the others, None if alone."""
    archiving = ChannelArchiver(backend, state, workspace, clock, policy)
    open_now = current.open_now
    ended = archiving.plan, nudger.forget, paging.wake
    following = SlackSync(backend, state, workspace, open_now.put, ended, leads)
    remind = ReminderScheduler(backend, state, workspace, clock, nudger)
    announcer = Announcer(backend, engine, state, workspace, following, rules_of, clock)
    effects = ChangeEffects(backend, engine, state, workspace, following, remind)
    return IncidentWorkflows(
        change=ChangeIncident(backend, engine, form, workspace, effects, announcer, alerts, current.observe),
        access=AccessRequests(backend, engine, workspace),
        decisions=AccessDecisions(backend, engine, workspace, effects),
        follow_ups=FollowUps(backend=backend, engine=engine, state=state, workspace=workspace),
        notes=Notes(backend=backend, engine=engine, workspace=workspace),
        followers=Followers(backend, engine, state, workspace),
        catch_ups=CatchUps(backend, engine, state, workspace),
        exports=Exports(backend, engine, workspace, introduce),
        documents=Documents(backend, engine, state, workspace, policy.template, introduce),
        archiving=archiving,
        paging=paging,
        find=FindIncidents(backend=backend, channels=state),
        open_now=open_now,
        remind=remind,
        nudger=nudger,
        snooze=snooze,
        following=following,
        watching=BackendPoller(backend, state, following, alerts, open_now, announcer.begin),
        unfurl=Unfurl(backend=backend, state=state, workspace=workspace),
        announcer=announcer,
        hosted_channels=backend.makes_channel,
    )
