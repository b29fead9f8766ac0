"""The pages, served on a free port over a real incident file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Counter

from support.declarations import DAWN, Ticking
from support.first_files import new_incidents
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.alert_payloads import AlertSource
from tocsin.incidents.alert_reader import AlertReader
from tocsin.incidents.alerts import Alert
from tocsin.incidents.webhooks import Subscription
from tocsin.server import listen, serving
from tocsin.web.api.webhook_bodies import BODIES
from tocsin.web.app import web_app
from tocsin.web.live import IncidentVersions
from tocsin.web.middleware import own_hosts, own_origins
from tocsin.web.webhooks import WebhookLog

TOKEN = "a-token-of-the-operator"
PUBLIC_URL = "https://incidents.example.com"


@dataclass
class Site:
    """The served pages, and the backend behind them."""

    port: int
    backend: LocalBackend
    client: httpx.AsyncClient
    reasons: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def page(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def trusted(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {TOKEN}", **headers})

    async def json(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers={"Accept": "application/json"})


def reading(alerts: Sequence[Alert]) -> AlertReader:
    """These alerts, newest first, as a database has them."""

    async def page(after: str | None, limit: int, incident_id: str | None = None) -> Sequence[Alert]:
        found = [alert for alert in alerts if incident_id in (None, alert.incident_id)]
        return [alert for alert in found if after is None or alert.id < after][:limit]

    async def find(alert_id: str) -> Alert | None:
        return next((alert for alert in alerts if alert.id == alert_id), None)

    sources = [AlertSource(id="prometheus", name="Prometheus")] if alerts else []
    return AlertReader(page, find, sources=sources)


@asynccontextmanager
async def served(
    folder: Path,
    *,
    public: bool,
    slack_url: str | None = None,
    alerts: Sequence[Alert] = (),
    subscriptions: Sequence[Subscription] = (),
    before: Callable[[LocalBackend], Any] = lambda backend: backend,
) -> AsyncIterator[Site]:
    """Pages an hour after dawn, over an empty incident file in this folder, and these alerts.

    What `before` makes of the backend stands between it and the pages.
    """
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    backend = await LocalBackend.open(
        await new_incidents(folder / "incidents.db"),
        IncidentConfig(),
        public_url=address,
        clock=Ticking(),
        subscriptions=subscriptions,
        bodies=BODIES,
    )
    log = backend.deliveries
    registry = CollectorRegistry()
    Counter("incidents_declared", "Incidents declared", registry=registry).inc()
    reasons: list[str] = []
    app = web_app(
        backend=before(backend),
        api_token=TOKEN,
        hosts=own_hosts(port, PUBLIC_URL),
        public=public,
        ready=lambda: reasons,
        registry=registry,
        slack_url=lambda team: slack_url,
        clock=Ticking(DAWN + timedelta(hours=1)),
        alerts=reading(alerts),
        insights=backend.insights,
        versions=IncidentVersions(backend.version, backend.find),
        webhooks=WebhookLog(log.newest, log.find, log.send_again, own_origins(port))
        if subscriptions
        else None,
    )
    async with (
        serving(app, listening),
        httpx.AsyncClient(base_url=address, trust_env=False, verify=False) as client,
    ):
        yield Site(port, backend, client, reasons)
    await backend.close()
