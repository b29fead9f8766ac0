"""Files, databases and the backend: everything that is opened before Slack is asked for anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tocsin import USER_AGENT
from tocsin.alert_tables import open_sources
from tocsin.backends import tls_context
from tocsin.backends.local import LocalBackend
from tocsin.data_dir import (
    data_dir,
    journal_url,
    lasting_secret,
    now,
    only_one,
    open_backend,
    open_database,
)
from tocsin.incidents.alert_payloads import AlertSource
from tocsin.incidents.paging import PageTarget
from tocsin.metrics import Metrics
from tocsin.paging import open_targets
from tocsin.rules import Config, open_config
from tocsin.settings import Settings, read_secret
from tocsin.slack.context import Tasks
from tocsin.storage.database import Database
from tocsin.storage.earlier_formats import FORMAT
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.postgresql import is_postgresql
from tocsin.storage.replicas import Replicas
from tocsin.storage.workflow_engine import DbosEngine
from tocsin.web.api.webhook_bodies import BODIES
from tocsin.webhooks.endpoints import Endpoint, open_endpoints
from tocsin.webhooks.sender import WebhookSender
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.ports import Clock, IncidentBackend


@dataclass
class Resources:
    """Files, databases and the backend: everything that is opened before Slack is asked for anything."""

    settings: Settings
    config: Config
    database: Database
    backend: IncidentBackend
    engine: DbosEngine
    key_value: SqlKeyValueStore
    replicas: Replicas
    alerts: OperatorAlerts
    api_token: str
    state_key: str
    """Signs the OAuth state that a browser keeps while its user is at Slack. Signs nothing else."""
    targets: tuple[PageTarget, ...] = ()
    """Teams and services that can be paged."""
    sources: tuple[AlertSource, ...] = ()
    """Systems that send alerts."""
    sns_client: httpx.AsyncClient | None = None
    """Fetches certificates and confirmations from Amazon SNS, where a source sends by it."""
    clock: Clock = now
    metrics: Metrics = field(default_factory=Metrics)
    webhooks: WebhookSender | None = None
    """Sender of webhooks; None where none are configured."""
    tasks: Tasks = field(default_factory=Tasks)


@asynccontextmanager
async def _open_sns_client(config: Config) -> AsyncIterator[httpx.AsyncClient | None]:
    if not any(source.kind == "cloudwatch" for source in config.alert_sources):
        yield None
        return
    async with httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT}, verify=tls_context(), trust_env=False, follow_redirects=False
    ) as client:
        yield client


@asynccontextmanager
async def open_resources(
    settings: Settings, folder: Path, *, playing: bool = False
) -> AsyncIterator[Resources]:
    """Open the files and databases in this data folder, and the backend. Raises ConfigurationError.

    With `playing`, for the playground, pages and webhooks go only to services on this machine.
    """
    async with AsyncExitStack() as stack:
        url = journal_url(settings, folder)
        if not is_postgresql(url):
            stack.enter_context(only_one(data_dir(folder)))
        config = open_config(settings)
        database = open_database(url)
        stack.callback(database.close)
        key_value, replicas = SqlKeyValueStore(database), Replicas(database, FORMAT)
        alerts = OperatorAlerts(key_value)
        secrets = partial(read_secret, env_file=None) if playing else read_secret
        endpoints = await stack.enter_async_context(
            open_endpoints(config.webhooks, secrets, backend=settings.tocsin_backend, here_only=playing)
        )
        backend = await open_backend(
            settings,
            folder,
            store=key_value,
            operator=alerts,
            subscriptions=[endpoint.subscription for endpoint in endpoints],
            bodies=BODIES if endpoints else None,
        )
        stack.push_async_callback(backend.close)
        targets = await stack.enter_async_context(
            open_targets(config.paging, secrets, now, here_only=playing)
        )
        parts = Resources(
            settings=settings,
            config=config,
            database=database,
            backend=backend,
            engine=DbosEngine(database, replicas),
            key_value=key_value,
            replicas=replicas,
            alerts=alerts,
            api_token=settings.api_token or await lasting_secret(key_value, folder, "api-token"),
            state_key=await lasting_secret(key_value, folder, "trip-key"),
            targets=targets,
            sources=open_sources(config.alert_sources, secrets),
            sns_client=await stack.enter_async_context(_open_sns_client(config)),
        )
        if endpoints:
            parts.webhooks = _build_webhooks(parts, endpoints)
        yield parts


def _build_webhooks(parts: Resources, endpoints: Sequence[Endpoint]) -> WebhookSender:
    """Return the sender of what the local backend's outbox has; no other backend takes endpoints."""
    assert isinstance(parts.backend, LocalBackend)
    return WebhookSender(
        endpoints,
        parts.backend.deliveries,
        parts.clock,
        parts.alerts,
        check=parts.replicas.check,
        count=parts.metrics.count_webhook,
        set_pending=parts.metrics.set_pending_webhooks,
    )
