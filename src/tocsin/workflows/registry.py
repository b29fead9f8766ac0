"""All workflows and background loops for existing incidents, built once for the whole process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.announcements import AnnouncementPolicy
from tocsin.incidents.model import Form, TeamId
from tocsin.incidents.postmortem import PostIncidentPolicy
from tocsin.workflows.accept import VERB as ANNOUNCE
from tocsin.workflows.accept import AnnounceAccepted
from tocsin.workflows.access import AccessDecisions, AccessRequests
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.archive import ChannelArchiver
from tocsin.workflows.change import ChangeEffects, ChangeIncident
from tocsin.workflows.export import Exports
from tocsin.workflows.follow import CatchUps, Followers
from tocsin.workflows.followups import FollowUps
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
    announcing: AnnounceAccepted
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
            self.access,
            self.decisions,
            self.followers,
            self.catch_ups,
            self.notes,
            self.exports,
            self.documents,
            self.follow_ups.add,
            self.follow_ups.complete,
        )
        return {command.verb: command.workflow for command in commands} | {ANNOUNCE: self.announcing.workflow}


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
    announcements: Callable[[TeamId], AnnouncementPolicy],
    leads: Callable[[], bool] | None = None,
) -> IncidentWorkflows:
    """`form` returns the form's choices, `current` gets changed incidents, `introduce` looks up names.

    `announcements` returns the announcement channel and rules of a workspace.
    `leads` says if this replica leads the others; None if there can be no others.
    """
    open_now = current.open_now
    archiving = ChannelArchiver(backend, state, workspace, clock, policy)
    announcing = AnnounceAccepted(backend, engine, state, workspace, form, announcements, clock)
    following = SlackSync(backend, state, workspace, open_now.put, archiving.plan, leads, announcing.begin)
    remind = ReminderScheduler(backend=backend, state=state, workspace=workspace, clock=clock)
    effects = ChangeEffects(backend, engine, state, workspace, following, remind)
    return IncidentWorkflows(
        change=ChangeIncident(backend, engine, form, workspace, effects, alerts, current.observe),
        access=AccessRequests(backend, engine, workspace),
        decisions=AccessDecisions(backend, engine, workspace, effects),
        follow_ups=FollowUps(backend=backend, engine=engine, state=state, workspace=workspace),
        notes=Notes(backend=backend, engine=engine, workspace=workspace),
        followers=Followers(backend, engine, state, workspace),
        catch_ups=CatchUps(backend, engine, state, workspace),
        exports=Exports(backend, engine, workspace, introduce),
        documents=Documents(backend, engine, state, workspace, policy.template, introduce),
        announcing=announcing,
        archiving=archiving,
        find=FindIncidents(backend=backend, channels=state),
        open_now=open_now,
        remind=remind,
        following=following,
        watching=BackendPoller(backend, state, following, alerts, open_now),
        unfurl=Unfurl(backend=backend, state=state, workspace=workspace),
        hosted_channels=backend.makes_channel,
    )
