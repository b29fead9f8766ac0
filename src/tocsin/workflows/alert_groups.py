"""Alerts of monitoring systems: taken in, grouped, and attached to one incident for each group.

An alert is a row of the database before its source is answered. The leader puts what came of one group into a
batch, and a durable workflow attaches the batch to the group's incident, which the first batch declares. So
ten thousand alerts are a few batches, each with one entry in the timeline and one edit of the card.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import structlog

from tocsin.incidents.alert_payloads import AlertSource
from tocsin.incidents.alerts import (
    LATEST,
    Alert,
    AlertBatch,
    AlertEvent,
    AlertGroup,
    AlertRule,
    batch_in_words,
    name_of_incident,
    route,
    severity_for,
    summary_of_incident,
)
from tocsin.incidents.announcements import announcement_for
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import (
    AlertSummary,
    Automation,
    ChannelId,
    Form,
    FrozenModel,
    Incident,
    IncidentType,
    Person,
    TeamId,
    TimelineEntry,
)
from tocsin.incidents.requests import NOBODY, Declaration, IncidentChange, IncidentFilter
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.announce import RulesOf
from tocsin.workflows.change import ChangeCommand, ChangeIncident
from tocsin.workflows.command import Bounded
from tocsin.workflows.declaration import DeclareCommand, NotDeclared
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.ports import AlertStore, Clock, IncidentBackend, WorkflowEngine
from tocsin.workflows.retry import StepFailure, Steps, best_effort, outside_workflow, retry_forever
from tocsin.workflows.sync import SlackSync

log = structlog.get_logger()
VERB = "group alerts"
KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000028")
"""Namespace of the keys of batches and of the incidents that they declare."""

LOOK_SECONDS = 60.0
UNFINISHED_SECONDS = 2.0
LEAST_SECONDS = 0.5
"""Seconds between two looks, at least: a look goes through all that waits, and a storm asks for many."""

FORGET_EVERY = timedelta(hours=1)
KEPT = timedelta(days=30)
"""Age at which an alert that no incident has is deleted."""

NONE_OPEN = "No incident was open to which it could be noted."
UNDECIDED = (
    "alert source {} names no workspace, and Tocsin is installed in several: add team = 'T…' to its "
    "[[alert_sources]]. Its alerts wait until then."
)


class Home(FrozenModel):
    """Workspace in which the incidents of a source are declared, and the channel that gets their cards."""

    team: TeamId
    enterprise: str = ""
    channel: ChannelId | None = None


HomeOf = Callable[[str, str], Home | None]
"""Returns the home of a source's incidents, by its id and the rule's channel; None if it is not known."""


class BatchCommand(FrozenModel):
    """A batch of a group's alerts to attach to the group's incident."""

    group_id: str
    batch: int
    team: TeamId
    enterprise: str = ""
    channel: ChannelId | None = None
    at: datetime

    @property
    def key(self) -> str:
        return batch_key(self.group_id, self.batch)


class Found(FrozenModel):
    """The incident of a batch; none if its alerts get none, or are left to a new group."""

    incident_id: str = ""


def batch_key(group_id: str, batch: int) -> str:
    return str(uuid5(KEYS, f"{group_id}/{batch}"))


def declaration_key(group_id: str) -> str:
    """Return the key of the declaration of a group's incident: one for each group."""
    return str(uuid5(KEYS, group_id))


@dataclass(frozen=True)
class AlertCounts:
    """Counters of alerts: received, by source and status; attached; incidents declared, by source."""

    received: Callable[[str, str], None] = lambda source, status: None
    attached: Callable[[str, int], None] = lambda source, count: None
    declared: Callable[[str], None] = lambda source: None


async def goes_on_in(backend: IncidentBackend, incident: Incident) -> Incident | None:
    """Return the open incident that an incident was merged into, over several merges too; None if none is.

    What belongs to a private incident goes into no public one.
    """
    seen, last = {incident.id}, incident
    while last.incident_status.category == "merged":
        into = await backend.merged_into(last.id)
        found = await backend.find(into) if into is not None and into not in seen else None
        if found is None or (last.is_private and not found.is_private):
            return None
        seen.add(found.id)
        last = found
    return last if last is not incident and last.incident_status.is_open else None


class AlertIntake:
    """Taking in of alerts: one durable write for each request, and nothing else before the answer."""

    def __init__(
        self,
        store: AlertStore,
        rules: Sequence[AlertRule],
        clock: Clock,
        counts: AlertCounts,
        tell: Callable[[], None],
    ) -> None:
        """`tell` is called with new alerts in the database, and has the leader look at them."""
        self._store = store
        self._rules = tuple(rules)
        self._clock = clock
        self._counts = counts
        self._tell = tell

    async def __call__(self, source: AlertSource, events: Sequence[AlertEvent]) -> None:
        """Store the events and what the rules say of each. Raises Unavailable: nothing is stored then."""
        routed = [(event, route(source.id, event, self._rules)) for event in events]
        await self._store.receive(source.id, routed, self._clock())
        for event in events:
            self._counts.received(source.id, event.status)
        if events:
            self._tell()


class AttachAlerts:
    """Durable workflow of one batch: find or declare its incident, and show the alerts there."""

    def __init__(
        self,
        *,
        store: AlertStore,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        declare: DeclareIncident,
        following: SlackSync,
        form: Callable[[], Awaitable[Form]],
        rules_of: RulesOf,
        names: Mapping[str, str],
        operator: OperatorAlerts,
        clock: Clock,
        counts: AlertCounts,
        tell: Callable[[], None],
    ) -> None:
        """`names` are the names of the sources by id; `tell` is called at the end of a batch."""
        self._store = store
        self._backend = backend
        self._engine = engine
        self._steps = Steps(engine)
        self._declare = declare
        self._following = following
        self._form = form
        self._rules_of = rules_of
        self._names = names
        self._operator = operator
        self._clock = clock
        self._counts = counts
        self._tell = tell

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = BatchCommand.model_validate(raw)
        found: Found = await self._steps.record(
            "find its incident",
            retry_forever,
            "find the incident of alerts",
            self._find,
            command,
            returns=Found,
        )
        await self._steps.last(self._show, command, found)
        return {"kind": "alerts attached", "incident": {"id": found.incident_id}}

    async def _find(self, command: BatchCommand) -> Found:
        group = await self._store.group(command.group_id)
        if group is None or (group.ended and not group.incident_id):
            return Found()
        if group.incident_id:
            return await self._known(command, group.incident_id)
        if group.rule.do == "note":
            return await self._noted(command)
        return await self._declared(command, group)

    async def _known(self, command: BatchCommand, incident_id: str) -> Found:
        """Return the incident of the group, or the one that it was merged into.

        Once that is over, what fires begins another group. So it does after the merge of a private incident:
        what fired before stays there, for those who could see it.
        """
        incident = await self._backend.find(incident_id)
        if incident is None or not incident.incident_status.is_open:
            into = await goes_on_in(self._backend, incident) if incident and not incident.is_private else None
            if into is not None:
                await self._store.move(command.group_id, into.id)
                return Found(incident_id=into.id)
            await self._store.begin_again(command.group_id, command.batch)
        return Found(incident_id=incident_id if incident is not None else "")

    async def _after_merge(self, group: AlertGroup) -> Incident | None:
        """Return the open incident into which the one of the last group with this key was merged."""
        before = await self._store.group_before(group)
        incident = await self._backend.find(before.incident_id) if before and before.incident_id else None
        return await goes_on_in(self._backend, incident) if incident is not None else None

    async def _noted(self, command: BatchCommand) -> Found:
        """Choose the newest public incident that is open, for a rule that declares none."""
        wanted = IncidentFilter(is_open=True, visible_to=NOBODY, teams=frozenset({command.team}))
        found = await self._backend.matching(wanted, limit=20)
        incident = next((one for one in found if one.mode == "standard"), None)
        if incident is None:
            await self._store.fail(command.group_id, NONE_OPEN)
            return Found()
        await self._store.set_incident(command.group_id, incident.id)
        return Found(incident_id=incident.id)

    async def _declared(self, command: BatchCommand, group: AlertGroup) -> Found:
        """Declare the group's incident by the same workflow as people do, and wait until it exists."""
        key, about = declaration_key(group.id), f"alerts from {group.source}"
        # An earlier attempt may have begun to declare; that incident must not stay without its alerts.
        has_begun = await self._engine.find_command(key) is not None
        if not has_begun and (into := await self._after_merge(group)) is not None:
            await self._store.set_incident(group.id, into.id)
            return Found(incident_id=into.id)
        declaring = await self._declare_command(command, group, key)
        if declaring is not None:
            await outside_workflow(self._declare.begin(declaring))
        created = await retry_forever("declare an incident for alerts", self._created, key)
        if isinstance(created, Incident):
            self._operator.resolve(about)
            await self._store.set_incident(group.id, created.id)
            return Found(incident_id=created.id)
        said = f"No incident could be declared for the alerts from {group.source}: {created.in_full}"
        self._operator.raise_alert(about, f"{said} Correct the [[alert_rules]].")
        await self._store.fail(group.id, created.in_full)
        return Found()

    async def _created(self, key: str) -> Incident | NotDeclared:
        """Return the incident, or the refusal. Raises Unavailable while neither is there."""
        incident = await self._declare.declared_as(key)
        if incident is not None:
            return incident
        outcome = await self._declare.outcome(key)
        if isinstance(outcome, NotDeclared):
            return outcome
        raise Unavailable("Its incident is being declared.")

    async def _declare_command(
        self, command: BatchCommand, group: AlertGroup, key: str
    ) -> DeclareCommand | None:
        """Return the command to declare the group's incident; None if its alerts are gone."""
        batch = await self._store.batch(group.id, command.batch)
        if batch.first is None:
            return None
        form = await self._form()
        declaration = declaration_of(batch, batch.first, group, command, form, key, self._name(group.source))
        is_public = declaration.visibility == "public"
        self._counts.declared(group.source)
        return DeclareCommand(
            declaration=declaration,
            origin=command.channel if is_public else None,
            announcement=announcement_for(self._rules_of(command.team), declaration, form),
        )

    async def _show(self, command: BatchCommand, found: Found) -> None:
        """Show the batch on the incident's timeline, card and page, and record that it is attached."""
        group = await retry_forever("look at alerts", self._store.group, command.group_id)
        if found.incident_id:
            for name, act in (("show the alerts", self._summarize), ("note the alerts", self._note)):
                shown = await self._steps.run(
                    name, act, command, found.incident_id, on_failure="The incident does not show its alerts"
                )
                if isinstance(shown, StepFailure):
                    log.warning("not done", doing=name, because=shown.why or shown.trouble)
        closes = group is not None and group.rule.close_when_resolved and bool(found.incident_id)
        await retry_forever("finish with alerts", self._finish_batch, command, found, closes)
        self._tell()

    async def _finish_batch(self, command: BatchCommand, found: Found, closes: bool) -> None:
        """Record the end of a batch; what its group has not declared is not declined once all is quiet."""
        declared = await self._declare.declared_as(declaration_key(command.group_id)) if closes else None
        is_its_own = declared is not None and declared.id == found.incident_id
        await self._store.finish(command.group_id, command.batch, self._clock(), closes=is_its_own)

    async def _summarize(self, command: BatchCommand, incident_id: str) -> None:
        summary = await self._store.summary(incident_id)
        incident = await self._backend.find(incident_id)
        if incident is not None and incident.alerts != summary:
            await self._backend.set_alerts(incident_id, summary)
            await self._following.sync(incident_id, incident)

    async def _note(self, command: BatchCommand, incident_id: str) -> None:
        batch = await self._store.batch(command.group_id, command.batch)
        text = batch_in_words(batch)
        if not text or "note" in (await self._form()).lacks:
            return
        group = await self._store.group(command.group_id)
        by = Person(name=self._name(group.source)) if group is not None else None
        entry = TimelineEntry(at=command.at, by=by, verb="sent alerts:", text=text)
        await self._backend.note(incident_id, entry, f"{command.key}:alerts")
        self._counts.attached(group.source if group is not None else "", batch.fired_count)

    def _name(self, source: str) -> str:
        return self._names.get(source, source)


def declaration_of(
    batch: AlertBatch,
    first: Alert,
    group: AlertGroup,
    command: BatchCommand,
    form: Form,
    key: str,
    source_name: str,
) -> Declaration:
    """Return the declaration of a group's incident, which is named after its first alert."""
    rule, kind = group.rule, _type_for(group.rule, form)
    severity = severity_for(rule, form)
    in_triage = form.starts_in_triage("triage" if rule.do == "triage" else "live", kind)
    only_private = kind is not None and kind.private_incidents_only
    titles = tuple(dict.fromkeys(alert.title for alert in batch.fired))
    return Declaration(
        key=key,
        name=name_of_incident(first),
        summary=summary_of_incident(first, source_name),
        severity_id=severity.id if severity is not None else None,
        incident_type_id=kind.id if kind is not None and rule.incident_type else None,
        visibility="private" if only_private else rule.visibility,
        status="triage" if in_triage else "live",
        slack_team_id=command.team,
        slack_enterprise_id=command.enterprise,
        reporter=Person(),
        automation=Automation(kind="alert", id=first.id, name=first.title),
        alerts=AlertSummary(
            firing=batch.fired_count - batch.resolved_count,
            resolved=batch.resolved_count,
            latest=titles[:LATEST],
        ),
        at=command.at,
    )


def _type_for(rule: AlertRule, form: Form) -> IncidentType | None:
    """Return the type that the rule names by id or name, else the usual one."""
    wanted = (rule.incident_type or "").casefold()
    named = (one for one in form.incident_types if wanted in {one.id.casefold(), one.name.casefold()})
    return next(named, form.usual_type)


class AlertGroups:
    """The leader's watch: it forms batches of what came, and closes what stays resolved."""

    def __init__(
        self,
        *,
        store: AlertStore,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        change: ChangeIncident,
        home_of: HomeOf,
        names: Mapping[str, str],
        operator: OperatorAlerts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._backend = backend
        self._engine = engine
        self._change = change
        self._home_of = home_of
        self._names = names
        self._operator = operator
        self._clock = clock
        self._awake = asyncio.Event()
        self._begun: Bounded[str, bool] = Bounded(10_000)
        self._forgot_at: datetime | None = None
        self.longest = LOOK_SECONDS
        """Seconds between two looks, at most."""

    def wake(self) -> None:
        """Have the watch look now."""
        self._awake.set()

    async def hear(self, subject: str) -> None:
        """Have the watch look now, because another replica took in alerts."""
        self.wake()

    async def keep_watch(self) -> None:
        """Look at what came, forever. Returns at once if the configuration names no sources."""
        while self._names:
            self._awake.clear()
            pause = UNFINISHED_SECONDS
            async with best_effort("look at alerts"):
                pause = await self.look()
            await asyncio.sleep(LEAST_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(pause - LEAST_SECONDS, 0)):
                    await self._awake.wait()

    async def look(self) -> float:
        """Form batches and begin their workflows; return the seconds until there may be more to do."""
        now = self._clock()
        await self._store.end_quiet(now)
        waiting, unfinished = await self._store.due()
        pause = UNFINISHED_SECONDS if unfinished else self.longest
        for group in unfinished:
            if group.is_busy:
                await self._begin(group)
            if group.is_closing:
                await self._close(group)
        for group_key, group_id in waiting:
            if group_id is None:
                await self._make_room(group_key, now)
            formed = await self._store.begin_batch(group_key, group_id, now)
            if formed is not None:
                await self._begin(formed)
            else:
                left = await self._store.pause(group_key, group_id, now)
                pause = min(pause, left or UNFINISHED_SECONDS)
        quiet = await self._store.next_quiet()
        if quiet is not None:
            pause = min(pause, max((quiet - now).total_seconds(), 0.5))
        await self._forget(now)
        return max(pause, 0.1)

    async def _make_room(self, group_key: str, now: datetime) -> None:
        """End the groups whose incidents are over, if a rule may have no more of them."""
        async with best_effort("look for alerts whose incident is closed"):
            for group in await self._store.crowding(group_key, now):
                if group.incident_id and not group.is_busy and await self._is_over(group.incident_id):
                    await self._store.end(group.id)

    async def _is_over(self, incident_id: str) -> bool:
        incident = await self._backend.find(incident_id)
        if incident is None or incident.incident_status.is_open:
            return incident is None
        return incident.is_private or await goes_on_in(self._backend, incident) is None

    async def _begin(self, group: AlertGroup) -> None:
        """Start the workflow of the group's batch, unless this process has."""
        key = batch_key(group.id, group.batch)
        if key in self._begun:
            return
        about, home = (
            f"workspace of alerts from {group.source}",
            self._home_of(group.source, group.rule.channel),
        )
        if home is None:
            self._operator.raise_alert(about, UNDECIDED.format(group.source).capitalize())
            return
        self._operator.resolve(about)
        command = BatchCommand(group_id=group.id, batch=group.batch, at=self._clock(), **home.model_dump())
        await self._engine.start(VERB, key, command.model_dump(mode="json"))
        self._begun[key] = True

    async def _close(self, group: AlertGroup) -> None:
        """Decline the group's incident if it is in triage; an acceptance that comes meanwhile stands."""
        incident = await self._backend.find(group.incident_id)
        if incident is not None and incident.incident_status.is_triage:
            change = IncidentChange(
                key=str(uuid5(KEYS, f"{group.id}/close")),
                by=Person(name=self._names.get(group.source, group.source)),
                at=self._clock(),
                message="All of its alerts are resolved, and nobody accepted it.",
                seen_status_id=incident.incident_status.id,
            )
            team = TeamId(incident.slack_team_id)
            await self._change.begin(
                ChangeCommand(incident_id=incident.id, team=team, change=change, ending="decline")
            )
        await self._store.closed(group.id)

    async def _forget(self, now: datetime) -> None:
        # A time in the future means that the clock was set back.
        if self._forgot_at is None or not timedelta() <= now - self._forgot_at <= FORGET_EVERY:
            await self._store.forget(now - KEPT)
            self._forgot_at = now
