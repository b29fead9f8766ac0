"""Parts that take in alerts and make incidents of them, built once for the whole process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tocsin.incidents.alert_payloads import AlertSource
from tocsin.incidents.alert_reader import AlertReader
from tocsin.incidents.model import TeamId
from tocsin.resources import Resources
from tocsin.slack.registry import WorkspaceRegistry, channel_in
from tocsin.storage.alerts import SqlAlertStore
from tocsin.web.alert_events import AlertEvents
from tocsin.web.sns import SnsMessages
from tocsin.workflows.alert_groups import (
    VERB,
    AlertCounts,
    AlertGroups,
    AlertIntake,
    AttachAlerts,
    Home,
)
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.registry import IncidentWorkflows

NEWS = "alerts"
"""Kind of news by which replicas tell the leader that alerts came in."""


@dataclass(frozen=True)
class Alerting:
    """The sources of alerts, their address, the leader's watch, and the workflow of a batch."""

    sources: tuple[AlertSource, ...]
    store: SqlAlertStore
    groups: AlertGroups
    attach: AttachAlerts
    events: AlertEvents

    @property
    def reader(self) -> AlertReader:
        """The reader of alerts for pages and the API."""
        return AlertReader(self.store.alerts, self.store.find, self.sources)

    def workflows(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """Return the durable workflows to register with the engine, by persisted name."""
        return {VERB: self.attach.workflow}


def build_alerting(
    parts: Resources,
    registry: WorkspaceRegistry,
    declare: DeclareIncident,
    workflows: IncidentWorkflows,
    forms: FormCache,
) -> Alerting:
    """Build it all; with no sources in the configuration, nothing of it ever runs."""
    store, metrics = SqlAlertStore(parts.database), parts.metrics
    names = {source.id: source.name for source in parts.sources}
    counts = AlertCounts(metrics.count_alert, metrics.count_attached_alerts, metrics.count_alert_declaration)
    groups = AlertGroups(
        store=store,
        backend=parts.backend,
        engine=parts.engine,
        change=workflows.change,
        home_of=partial(_home_of, parts, registry),
        names=names,
        operator=parts.alerts,
        clock=parts.clock,
    )

    def tell() -> None:
        groups.wake()
        parts.replicas.tell(NEWS, "")

    if parts.database.is_shared:
        # What other replicas take in may not be heard of: then it is found a little later.
        groups.longest = SHARED_SECONDS
    attach = AttachAlerts(
        store=store,
        backend=parts.backend,
        engine=parts.engine,
        declare=declare,
        following=workflows.following,
        form=forms.fetch,
        rules_of=lambda team: parts.config.for_team(team).rules,
        names=names,
        operator=parts.alerts,
        clock=parts.clock,
        counts=counts,
        tell=tell,
    )
    return Alerting(parts.sources, store, groups, attach, _build_events(parts, store, counts, tell))


def _build_events(
    parts: Resources, store: SqlAlertStore, counts: AlertCounts, tell: Callable[[], None]
) -> AlertEvents:
    rules = [table.rule for table in parts.config.alert_rules]
    intake = AlertIntake(store, rules, parts.clock, counts, tell)
    sns = SnsMessages(parts.sns_client) if parts.sns_client is not None else None
    return AlertEvents(parts.sources, intake, sns, parts.clock)


SHARED_SECONDS = 10.0
"""Seconds between two looks where several replicas may share the database."""


def _home_of(parts: Resources, registry: WorkspaceRegistry, source: str, channel: str) -> Home | None:
    """Return the workspace of a source's incidents, and the channel that gets their cards.

    Without a workspace in the source's table it is the only one; None if there are several.
    """
    team = next((one.team for one in parts.sources if one.id == source), TeamId(""))
    if not team and len(registry.installations) == 1:
        team = registry.installations[0].team_id
    serving = registry.serving(team) if team else None
    if serving is None:
        return None
    shown_in = channel_in(team, channel or parts.settings.tocsin_announce_channel)
    return Home(team=team, enterprise=serving.enterprise_id, channel=shown_in)
