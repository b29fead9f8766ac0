"""Health of the running bot: what `/readyz` answers, and the alerts that the operator gets of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tocsin.incidents.errors import Unavailable
from tocsin.metrics import Metrics
from tocsin.slack.http import HttpReceiver
from tocsin.slack.registry import WorkspaceRegistry
from tocsin.slack.socket_mode import SocketModeReceiver
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.storage.workflow_engine import DbosEngine
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.ports import IncidentBackend

WATCH_SECONDS = 5.0
"""Seconds between two checks of the bot's own files."""

LOST_SECONDS = 60.0
"""Seconds that Slack may be out of reach before the operator is alerted."""

LOST = (
    "No connection to Slack has been open for a minute, so nothing can be declared. Tocsin goes on trying; "
    "look at the network to wss-primary.slack.com, and whether Socket Mode is still on for the app."
)

RENEW = "Install the app again, set SLACK_BOT_TOKEN to its bot token, and start Tocsin again."
RENEW_IN = "Have an admin of {} install Tocsin again."

STARTING = "Slack has not been reached yet."


class Health:
    """Checks of everything that a declaration needs, repeated every few seconds."""

    def __init__(
        self,
        backend: IncidentBackend,
        engine: DbosEngine,
        state: SqlSlackStateStore,
        registry: WorkspaceRegistry,
        receiver: SocketModeReceiver | HttpReceiver,
        alerts: OperatorAlerts,
        metrics: Metrics,
    ) -> None:
        self.problem = STARTING
        """Reason for which nothing can be declared while the bot starts or stops; empty in between."""
        self._backend = backend
        self._engine = engine
        self._state = state
        self._registry = registry
        self._receiver = receiver
        self._alerts = alerts
        self._metrics = metrics
        self._failed: Sequence[str] = ()

    @property
    def is_started(self) -> bool:
        return self.problem != STARTING

    def not_ready(self) -> Sequence[str]:
        """Return the reasons why nothing can be declared now; none if all is well."""
        if self.problem:
            return [self.problem]
        reasons = [*self._failed, self._engine.problem]
        if self._registry.sole:
            # Where there are many workspaces, one that refuses us does not keep the others from declaring.
            reasons += [workspace.api.problem for workspace in self._registry.installed]
        if not self._receiver.is_open:
            reasons.append("No connection to Slack is open.")
        return list(dict.fromkeys(filter(None, reasons)))

    async def watch(self) -> None:
        """Check every few seconds if something could be declared, and count what is pending."""
        while True:
            reasons = []
            for check in (self._state.beat, self._check_backend, self._count_pending):
                try:
                    async with asyncio.timeout(WATCH_SECONDS):
                        await check()
                except Unavailable as error:
                    reasons.append(str(error))
                except TimeoutError:
                    reasons.append("Tocsin's files did not answer in time.")
            self._failed = tuple(dict.fromkeys(reasons))
            self._check_slack()
            await asyncio.sleep(WATCH_SECONDS)

    def _check_slack(self) -> None:
        for workspace in self._registry.installed:
            refused, about, remedy = workspace.api.problem, "token", RENEW
            if not self._registry.sole:
                about, remedy = f"token of {workspace.team_id}", RENEW_IN.format(workspace.team_id)
            self._alerts.observe(about, f"{refused} {remedy}" if refused else "", after=0.0)
        lost = self.is_started and not self._receiver.is_open
        # Another replica may have its own connections, and lose them.
        about = self._alerts.of_replica("socket")
        self._alerts.observe(about, LOST if lost else "", after=LOST_SECONDS)

    async def _check_backend(self) -> None:
        # While a hosted backend is out of reach, what is declared is saved.
        if not self._backend.is_remote:
            await self._backend.remember_people(())
            await self._backend.incidents(limit=1)

    async def _count_pending(self) -> None:
        self._metrics.set_pending(len(await self._engine.unfinished()))
