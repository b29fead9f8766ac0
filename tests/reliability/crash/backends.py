"""Each backend of a campaign: its vendor, what people do over it, and how much of it they reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reliability.crash import scenarios, troubles_devrev, troubles_incident_io
from reliability.crash.by_alerts import BY_ALERTS
from reliability.crash.by_key import BY_KEY
from reliability.crash.by_rules import BY_RULES
from reliability.crash.by_steps import BY_STEPS
from reliability.crash.managing import MANAGING
from reliability.crash.points import Point, found_points
from reliability.crash.scenarios import Scenario
from reliability.crash.taking_away import TAKING_AWAY
from reliability.crash.unreached import shares_reached
from reliability.crash.used_channels import USED_CHANNELS
from reliability.crash.vendor_devrev import devrev
from reliability.crash.vendor_incident_io import incident_io
from reliability.crash.vendors import Opened, own_file

OWN_FILE_ONLY = {scenarios.the_file_is_held, scenarios.a_choice_is_gone, scenarios.refused_later}
NAMED_BY_US = {scenarios.the_name_is_taken}


@dataclass(frozen=True)
class Backend:
    name: str
    scenarios: Mapping[str, Scenario]
    vendor: Opened

    @property
    def hosted(self) -> bool:
        return self.name != "local"

    def points(self) -> list[Point]:
        return found_points(self.name)

    def shares(self, missed: Iterable[str]) -> dict[str, float]:
        """Of each package, how much was reached of what there is no reason not to reach."""
        return shares_reached(self.name, self.points(), missed)


def _by_name(*found: Scenario) -> dict[str, Scenario]:
    return {scenario.__name__: scenario for scenario in found}


_ANYWHERE = [scenarios.SCENARIOS[name] for name in scenarios.DECLARING]

MANAGED = {
    "managing": MANAGING,
    "taking-away": TAKING_AWAY,
    "by-key": BY_KEY,
    "by-alerts": BY_ALERTS,
    "by-rules": BY_RULES,
    "by-steps": BY_STEPS,
    "used-channels": USED_CHANNELS,
}
"""Scenarios by family, beside those that are about a declaration alone; they are played over our own file."""

LOCAL = Backend(
    "local",
    {**scenarios.SCENARIOS, **{name: one for family in MANAGED.values() for name, one in family.items()}},
    own_file,
)
INCIDENT_IO = Backend(
    "incident_io",
    _by_name(
        *(known for known in _ANYWHERE if known not in OWN_FILE_ONLY | NAMED_BY_US),
        *troubles_incident_io.TROUBLES,
    ),
    incident_io,
)
DEVREV = Backend(
    "devrev",
    _by_name(
        *(known for known in _ANYWHERE if known not in OWN_FILE_ONLY | {scenarios.privately}),
        *troubles_devrev.TROUBLES,
    ),
    devrev,
)
BACKENDS: Mapping[str, Backend] = {backend.name: backend for backend in (LOCAL, INCIDENT_IO, DEVREV)}
