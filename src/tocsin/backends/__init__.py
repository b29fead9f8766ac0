"""Registry of backends: `BACKENDS` maps each value of `TOCSIN_BACKEND` to the function that opens it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tocsin.config import Catalogue
from tocsin.workflows.ports import Alerts, Clock, IncidentBackend, KeyValueStore

if TYPE_CHECKING:
    from ssl import SSLContext

    from tocsin.backends.incident_io.create import Choice

# Each function imports its backend when it is called: only one is used, and the others would delay the start.


@cache
def tls_context() -> SSLContext:
    """Return a TLS context with httpx's certificates, built once: a build takes 20 ms of processor time."""
    from httpx import create_ssl_context

    return create_ssl_context()


class MissingSetting(Exception):
    """A backend cannot be opened without a setting; the text is one line for the operator."""


@dataclass(frozen=True)
class Opening:
    """Options for opening a backend; each backend takes those that concern it."""

    data_dir: Path
    public_url: str
    clock: Clock
    catalogue: Mapping[str, Any] = field(default_factory=dict)
    """Part of the configuration file that defines severities, statuses, types, roles and custom fields."""
    elsewhere: Collection[str] = ()
    """Keys of `catalogue` that other parts of the bot read."""
    memory: KeyValueStore | None = None
    """Store for values that outlast a restart; None if the backend is only read."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Settings of the hosted backends by their variable's name in lower case, such as `devrev_part`."""
    operator: Alerts | None = None
    """Alerts for the operator, such as an incident that was created twice; None for no alerts.

    A refused key needs no alert here: raise `Unavailable` with `operator` set.
    """
    reading: bool = False
    """True to open for reading only, perhaps beside the running bot: nothing is created or changed."""


async def open_local(opening: Opening) -> IncidentBackend:
    """Open the local backend.

    Raises CatalogueError if the configuration is wrong, and Unavailable if the file cannot be used.
    """
    from tocsin.backends.local import LocalBackend

    catalogue = Catalogue.from_toml(opening.catalogue, elsewhere=opening.elsewhere)
    path = opening.data_dir / "incidents.db"
    way_in = LocalBackend.read if opening.reading else LocalBackend.open
    return await way_in(path, catalogue, public_url=opening.public_url, clock=opening.clock)


async def open_devrev(opening: Opening) -> IncidentBackend:
    """Open the DevRev backend; only its roles come from the configuration. Raises CatalogueError."""
    from tocsin.backends.devrev import DevRevBackend, DevRevClient

    form, given = Catalogue.from_toml(opening.catalogue).form(), opening.secrets
    backend = DevRevBackend(
        DevRevClient(given["devrev_token"], given["devrev_url"]),
        memory=opening.memory,
        clock=opening.clock,
        roles=form.roles,
        part=given.get("devrev_part"),
        permalink=given.get("devrev_permalink"),
        key_field=given.get("devrev_key_field"),
        operator=opening.operator,
    )
    if not opening.reading:
        backend.begin()
    return backend


CREATE: Final[Mapping[str, Choice]] = {"auto": "auto", "v1": "v1", "v2": "v2"}


async def open_incident_io(opening: Opening) -> IncidentBackend:
    """Open the incident.io backend. Raises MissingSetting without an API key."""
    from tocsin.backends.incident_io import IncidentIo

    key = opening.secrets.get("incident_io_api_key", "").strip()
    if not key:
        raise MissingSetting(
            "INCIDENT_IO_API_KEY is not set: make a key under Settings, API keys, at incident.io, and set it."
        )
    return IncidentIo(
        opening.secrets["incident_io_url"],
        key,
        store=None if opening.reading else opening.memory,
        clock=opening.clock,
        create=CREATE[opening.secrets.get("incident_io_create", "auto")],
        operator=opening.operator,
    )


BACKENDS: Final[Mapping[str, Callable[[Opening], Awaitable[IncidentBackend]]]] = {
    "local": open_local,
    "devrev": open_devrev,
    "incident_io": open_incident_io,
}
