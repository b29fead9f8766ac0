"""Where incidents are kept: each backend behind the same port."""

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

# Each imports what it needs when it is opened: of three, one is, and two need not delay the start.


@cache
def tls_context() -> SSLContext:
    """The certificates that httpx trusts, read once: each reading takes 20 ms of processor."""
    from httpx import create_ssl_context

    return create_ssl_context()


class MissingSetting(Exception):
    """A backend cannot be opened without a setting; the text is a line for the operator."""


@dataclass(frozen=True)
class Opening:
    """What any backend may need to open; each takes what concerns it."""

    data_dir: Path
    public_url: str
    clock: Clock
    catalogue: Mapping[str, Any] = field(default_factory=dict)
    """The part of the configuration file that names severities, statuses, types, roles and fields."""
    elsewhere: Collection[str] = ()
    """Keys in there that are somebody else's."""
    memory: KeyValueStore | None = None
    """What must be remembered between starts; None where the backend is only read."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Settings of the hosted backends by their variable's name in lower case, such as `devrev_part`."""
    operator: Alerts | None = None
    """Who is told of what is found by the way, such as an incident that was made twice; None for nobody.

    A key that is refused needs no word here: raise `Unavailable` with `operator` set.
    """
    reading: bool = False
    """Only to read, perhaps beside the running bot: nothing is made or changed."""


async def open_local(opening: Opening) -> IncidentBackend:
    """Raises CatalogueError for a wrong configuration and Unavailable for a file that cannot be used."""
    from tocsin.backends.local import LocalBackend

    catalogue = Catalogue.from_toml(opening.catalogue, elsewhere=opening.elsewhere)
    path = opening.data_dir / "incidents.db"
    way_in = LocalBackend.read if opening.reading else LocalBackend.open
    return await way_in(path, catalogue, public_url=opening.public_url, clock=opening.clock)


async def open_devrev(opening: Opening) -> IncidentBackend:
    """Roles are as configured, everything else is DevRev's own. Raises CatalogueError."""
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
    """Raises MissingSetting when there is no key."""
    from tocsin.backends.incident_io import IncidentIo

    key = opening.secrets.get("incident_io_api_key", "").strip()
    if not key:
        raise MissingSetting(
            "INCIDENT_IO_API_KEY is not set: make a key under Settings, API keys, at incident.io, and set it."
        )
    return IncidentIo(
        opening.secrets["incident_io_url"],
        key,
        memory=None if opening.reading else opening.memory,
        clock=opening.clock,
        create=CREATE[opening.secrets.get("incident_io_create", "auto")],
        operator=opening.operator,
    )


BACKENDS: Final[Mapping[str, Callable[[Opening], Awaitable[IncidentBackend]]]] = {
    "local": open_local,
    "devrev": open_devrev,
    "incident_io": open_incident_io,
}
