"""Registry of backends: `BACKENDS` maps each value of `TOCSIN_BACKEND` to the function that opens it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tocsin.config import IncidentConfig
from tocsin.incidents.webhooks import Subscription
from tocsin.workflows.ports import Alerts, Clock, IncidentBackend, KeyValueStore

if TYPE_CHECKING:
    from ssl import SSLContext

    from sqlalchemy import Engine

    from tocsin.backends.incident_io.create import Choice
    from tocsin.backends.local.outbox import EventBodies

# Each function imports its backend when it is called: only one is used, and the others would delay the start.


@cache
def tls_context() -> SSLContext:
    """Return a TLS context with httpx's certificates, built once: a build takes 20 ms of processor time."""
    from httpx import create_ssl_context

    return create_ssl_context()


class MissingSetting(Exception):
    """A backend cannot be opened without a setting; the text is one line for the operator."""


Connect = Callable[[Mapping[str, str]], "Engine"]


@dataclass(frozen=True)
class BackendOptions:
    """Options for opening a backend; each backend takes those that concern it."""

    data_dir: Path
    public_url: str
    clock: Clock
    config: Mapping[str, Any] = field(default_factory=dict)
    """Part of the configuration file that defines severities, statuses, types, roles and custom fields."""
    other_keys: Collection[str] = ()
    """Keys of `config` that other parts of the bot read."""
    store: KeyValueStore | None = None
    """Store for values that outlast a restart; None if the backend is only read."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Settings of the hosted backends by their variable's name in lower case, such as `devrev_part`."""
    operator: Alerts | None = None
    """Alerts for the operator, such as an incident that was created twice; None for no alerts.

    A refused key needs no alert here: raise `Unavailable` with `operator` set.
    """
    connect: Connect | None = None
    """Returns an engine for PostgreSQL, whose sessions have these settings; None for a file in `data_dir`."""
    subscriptions: Sequence[Subscription] = ()
    """Events that the local backend writes for webhooks."""
    bodies: EventBodies | None = None
    """The bodies of these events."""
    read_only: bool = False
    """True to open for reading only, perhaps beside the running bot: nothing is created or changed."""


async def open_local(options: BackendOptions) -> IncidentBackend:
    """Open the local backend.

    Raises IncidentConfigError if the configuration is wrong, and Unavailable if the file or the database
    cannot be used.
    """
    from tocsin.backends.local import LocalBackend
    from tocsin.backends.local.postgresql import READING, SESSION

    config = IncidentConfig.from_toml(options.config, other_keys=options.other_keys)
    where: Path | Engine = options.data_dir / "incidents.db"
    if options.connect is not None:
        where = options.connect({**SESSION, **READING} if options.read_only else SESSION)
    if options.read_only:
        return await LocalBackend.read(where, config, public_url=options.public_url, clock=options.clock)
    return await LocalBackend.open(
        where,
        config,
        public_url=options.public_url,
        clock=options.clock,
        subscriptions=options.subscriptions,
        bodies=options.bodies,
    )


async def open_devrev(options: BackendOptions) -> IncidentBackend:
    """Open the DevRev backend; only its roles come from the configuration. Raises IncidentConfigError."""
    from tocsin.backends.devrev import DevRevBackend, DevRevClient

    form, given = IncidentConfig.from_toml(options.config).form(), options.secrets
    backend = DevRevBackend(
        DevRevClient(given["devrev_token"], given["devrev_url"]),
        store=options.store,
        clock=options.clock,
        roles=form.roles,
        part=given.get("devrev_part"),
        permalink=given.get("devrev_permalink"),
        key_field=given.get("devrev_key_field"),
        operator=options.operator,
    )
    if not options.read_only:
        backend.begin()
    return backend


CREATE: Final[Mapping[str, Choice]] = {"auto": "auto", "v1": "v1", "v2": "v2"}


async def open_incident_io(options: BackendOptions) -> IncidentBackend:
    """Open the incident.io backend. Raises MissingSetting without an API key."""
    from tocsin.backends.incident_io import IncidentIo

    key = options.secrets.get("incident_io_api_key", "").strip()
    if not key:
        raise MissingSetting(
            "INCIDENT_IO_API_KEY is not set: make a key under Settings, API keys, at incident.io, and set it."
        )
    return IncidentIo(
        options.secrets["incident_io_url"],
        key,
        store=None if options.read_only else options.store,
        clock=options.clock,
        create=CREATE[options.secrets.get("incident_io_create", "auto")],
        operator=options.operator,
    )


BACKENDS: Final[Mapping[str, Callable[[BackendOptions], Awaitable[IncidentBackend]]]] = {
    "local": open_local,
    "devrev": open_devrev,
    "incident_io": open_incident_io,
}
