"""Two workspaces of one Slack, which may be of one organization, and an app that they may install."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from slack_emulator.clock import TurnableClock
from slack_emulator.manifest import Manifest
from slack_emulator.models import Channel, Enterprise, InstalledApp, Person, Team
from slack_emulator.organization import Organization
from slack_emulator.seed import seed
from slack_emulator.server import served
from slack_emulator.workspace import Workspace
from support.clock import fitting_clock

HOME, AWAY = "T0LUMEN0001", "T0NORTH0002"
ORG = Enterprise("E0GROUP0001", "Lumen Group", "lumen-group")
HOME_ADMIN, AWAY_ADMIN, GUEST = f"{HOME}/U0ANA00001", f"{AWAY}/U0NOA00001", f"{HOME}/U0GUS00006"


def second_workspace(clock: TurnableClock) -> Workspace:
    """Northwind: noa (owner) and max, in #general and #ops."""
    workspace = Workspace(clock=clock)
    state = workspace.state
    state.save(Team(AWAY, "Northwind", "northwind"))
    state.save(Person("U0NOA00001", "noa", "Noa Levi", "noa@northwind.example", "owner"))
    state.save(Person("U0MAX00002", "max", "Max Brandt", "max@northwind.example"))
    members = ["U0NOA00001", "U0MAX00002"]
    state.save(
        Channel("C0NORTHGEN", "general", "public", members[0], 1_700_000_000, members, is_general=True)
    )
    state.save(Channel("C0NORTHOPS", "ops", "public", members[0], 1_700_000_000, list(members)))
    return workspace


@asynccontextmanager
async def served_estate(*, org: bool = False) -> AsyncIterator[Organization]:
    """Lumen Freight and Northwind at one address; with `org` they are of one organization."""
    clock = fitting_clock()
    home = Workspace(clock=clock)
    seed(home)
    estate = Organization([home, second_workspace(clock)], ORG if org else None)
    async with served(estate):
        yield estate


def registered(estate: Organization, manifest: Manifest) -> InstalledApp:
    """The app in this Slack with this manifest, also where it is installed; made when there is none."""
    app = next(iter(estate.apps.values()), None) or estate.register(manifest)
    for known in [app, *(installed for _, installed in estate.installed(app))]:
        known.manifest = manifest
    return app
