"""The API, served on a free port over a real incident file and real keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.declarations import Ticking
from support.first_files import new_incidents, own_tables
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.incidents.api_keys import Scope
from tocsin.metrics import Metrics
from tocsin.server import listen, serving
from tocsin.storage.database import Database
from tocsin.storage.keys import SqlKeyStore
from tocsin.storage.postgresql import postgresql_engine
from tocsin.web.api.endpoints import ApiServices
from tocsin.web.api.errors import PREFIXES
from tocsin.web.api.rate_limit import RateLimit
from tocsin.web.api.server import ApiServer
from tocsin.web.api.table import ENDPOINTS
from tocsin.web.app import web_app
from tocsin.web.middleware import own_hosts
from tocsin.workflows.ports import loop_time

OPERATOR_TOKEN = "a-token-of-the-operator"


@dataclass
class ApiSite:
    """The served API, the backend behind it, its keys, and a client without a key."""

    port: int
    backend: LocalBackend
    keys: SqlKeyStore
    clock: Ticking
    client: httpx.AsyncClient
    metrics: Metrics

    async def key(self, name: str, *scopes: Scope) -> str:
        return await self.keys.create(name, frozenset(scopes), self.clock())

    async def ask(
        self, path: str, key: str = OPERATOR_TOKEN, method: str = "GET", **given: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", **given.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **given)

    async def json(self, path: str, key: str = OPERATOR_TOKEN, **given: Any) -> Any:
        """The body of an answer that is none of the errors."""
        answer = await self.ask(path, key, **given)
        assert answer.is_success, answer.text
        return answer.json()


@asynccontextmanager
async def served_api(
    folder: Path, config: IncidentConfig | None = None, *, url: str = "", is_hosted: bool = False
) -> AsyncIterator[ApiSite]:
    """Serve the API over the PostgreSQL at this address, or else over files in the folder."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    address, clock, metrics = f"http://127.0.0.1:{port}", Ticking(), Metrics()
    where = (
        postgresql_engine(url, session=SESSION, autocommit=True)
        if url
        else await new_incidents(folder / "incidents.db")
    )
    backend = await LocalBackend.open(where, config or IncidentConfig(), public_url=address, clock=clock)
    database = Database(url or own_tables(folder / "journal.db"))
    keys = SqlKeyStore(database)
    api = ApiServer(
        ENDPOINTS,
        None if is_hosted else ApiServices(backend, clock, address),
        find_key=keys.find,
        operator_token=OPERATOR_TOKEN,
        clock=clock,
        limit=RateLimit(loop_time),
        count=metrics.count_api_request,
        product="incident.io",
    )
    app = web_app(
        backend=backend,
        api_token=OPERATOR_TOKEN,
        hosts=own_hosts(port),
        public=True,
        ready=list,
        clock=clock,
        any_host=PREFIXES,
        routes=api.routes(),
    )
    async with (
        serving(app, listening),
        httpx.AsyncClient(base_url=address, trust_env=False, verify=False) as client,
    ):
        yield ApiSite(port, backend, keys, clock, client, metrics)
    await backend.close()
    database.close()
