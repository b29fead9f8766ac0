"""Each workspace sees its own incidents, and has rules of its own; those of one organization share them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.bot import RunningBot, chosen, ticked
from support.estate import AWAY, AWAY_ADMIN, HOME, HOME_ADMIN, Lobby, lobby
from support.readings import cards, settled, words

from slack_emulator.models import UserGroup
from tocsin.incidents.model import Incident
from tocsin.incidents.permissions import NOT_SEEN

pytestmark = pytest.mark.asyncio
SECRET = "Quaggaword is slow"
RULES = f"""
[permissions]
close = ["{HOME}/S0ONCALL01", "{AWAY}/S0NIGHT001"]
private = ["{HOME}/S0ONCALL01"]

[[announcements]]
channels = ["{HOME}/C0ALERTS02", "{AWAY}/C0NORTHOPS"]
"""


@pytest_asyncio.fixture
async def both(tmp_path: Path) -> AsyncIterator[Lobby]:
    """Installed in Lumen Freight and in Northwind, which have nothing to do with each other."""
    async with lobby(tmp_path / "data") as running:
        await running.install(HOME_ADMIN)
        await running.install(AWAY_ADMIN)
        yield running


async def declared(running: Lobby, seen: RunningBot, person: str, channel: str, name: str) -> Incident:
    view = await seen.type_command(person, channel, f"/incident {name}")
    await seen.fill(person, view, severity_id=chosen("major"))
    assert (await seen.submit(person, view)).ok
    await settled(seen)
    return await running.incident(name)


async def answer(seen: RunningBot, person: str, channel: str, text: str) -> str:
    """What is said to a command, to who typed it alone, with every button's value."""
    seen.workspace.clear()
    who, where = seen.slack.person(person), seen.slack.channel(channel)
    assert (await seen.workspace.command(who, where, text)).ok
    delivered = next(r for r in seen.workspace.requests if r.method == "slash_commands")
    if answered := (delivered.response or {}).get("text"):
        return str(answered)
    await seen.workspace.heard("response_url")
    told = [m for m in seen.workspace.history(where, who) if m.ephemeral_to == who][-1]
    return f"{words(told)} {told.blocks}"


@pytest.mark.parametrize("listing", ["list", "list all", "find quaggaword", "show"])
async def test_a_list_has_the_incidents_of_its_own_workspace_alone(both: Lobby, listing: str) -> None:
    incident = await declared(both, both.of(HOME), "ana", "general", SECRET)
    assert incident.name in await answer(both.of(HOME), "ben", "general", f"/incident {listing}")
    said = await answer(both.of(AWAY), "max", "ops", f"/incident {listing}")
    assert "Quagga" not in said.replace("quaggaword", "")
    assert incident.reference not in said


@pytest.mark.parametrize("verb", ["show {}", "status {} fixing", "update {} all is well", "close {} done"])
async def test_a_reference_of_another_workspace_is_as_if_there_were_none(both: Lobby, verb: str) -> None:
    incident = await declared(both, both.of(HOME), "ana", "general", SECRET)
    for reference in (incident.reference, "INC-999"):
        said = await answer(both.of(AWAY), "max", "ops", f"/incident {verb.format(reference)}")
        assert NOT_SEEN in said
    assert (await both.incident(SECRET)).updated_at == incident.updated_at


async def test_an_incident_is_merged_into_none_of_another_workspace(both: Lobby) -> None:
    theirs = await declared(both, both.of(HOME), "ana", "general", SECRET)
    ours = await declared(both, both.of(AWAY), "max", "ops", "Orders are stuck")
    said = await answer(both.of(AWAY), "max", "ops", f"/incident merge {ours.reference} {theirs.reference}")
    assert NOT_SEEN in said
    assert (await both.incident("Orders are stuck")).incident_status.is_open


async def test_neither_form_nor_home_shows_what_is_open_elsewhere(both: Lobby) -> None:
    incident = await declared(both, both.of(HOME), "ana", "general", SECRET)
    home, away = both.of(HOME), both.of(AWAY)
    # Whoever is not known as a member is shown nothing at all, so both are known first.
    await answer(home, "ben", "general", "/incident list")
    await answer(away, "max", "ops", "/incident list")
    assert incident.name in words(await home.type_command("ben", "general", "/incident"))
    assert incident.name not in words(await away.type_command("max", "ops", "/incident"))
    for seen, person in ((home, "ben"), (away, "max")):
        who = seen.slack.person(person)
        await seen.workspace.open_home(who, seen.slack.app.app_id)
        await seen.workspace.heard("views.publish")
        shown = seen.workspace.home(who, seen.slack.app.app_id)
        assert (incident.name in words(shown)) == (seen is home)


async def test_a_page_is_for_who_signed_in_from_the_workspace_of_the_incident(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", tocsin_host="0.0.0.0") as running:
        await running.install(HOME_ADMIN)
        await running.install(AWAY_ADMIN)
        incident = await declared(running, running.of(HOME), "ana", "general", SECRET)
        ours, _ = await running.sign_in(HOME_ADMIN)
        theirs, _ = await running.sign_in(AWAY_ADMIN)
        page = f"/incidents/{incident.reference}"
        assert (await ours.get(page)).status_code == 200
        assert (await theirs.get(page)).status_code == 404
        assert (await theirs.get(page)).content == (await theirs.get("/incidents/INC-999")).content
        assert incident.name in (await ours.get("/incidents")).text
        assert incident.name not in (await theirs.get("/incidents")).text


async def test_the_workspaces_of_one_organization_see_each_others_incidents(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", org=True) as running:
        await running.install(HOME_ADMIN, wide="1")
        incident = await declared(running, running.of(HOME), "ana", "general", SECRET)
        # Northwind is known to be of the organization from its first gesture on.
        assert incident.name in await answer(running.of(AWAY), "max", "ops", "/incident list")
        said = await answer(running.of(AWAY), "max", "ops", f"/incident status {incident.reference} fixing")
        assert "Fixing" in said
        other = await declared(running, running.of(AWAY), "max", "ops", "Orders are stuck")
        assert other.name in await answer(running.of(HOME), "ana", "general", "/incident list")


async def test_each_workspace_has_the_user_groups_and_channels_that_the_rules_name_for_it(
    tmp_path: Path,
) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(RULES)
    async with lobby(tmp_path / "data", tocsin_config=config) as running:
        await running.install(HOME_ADMIN)
        await running.install(AWAY_ADMIN)
        home, away = running.of(HOME), running.of(AWAY)
        away.workspace.state.save(UserGroup("S0NIGHT001", "night", "Night", ["U0NOA00001"]))
        theirs = await declared(running, home, "ana", "general", SECRET)
        ours = await declared(running, away, "max", "general", "Orders are stuck")
        for seen, channel, incident, other in (
            (home, "alerts", theirs, ours),
            (away, "ops", ours, theirs),
        ):
            posted = " ".join(words(card) for card in cards(seen, seen.slack.channel(channel)))
            assert incident.name in posted
            assert other.name not in posted
        assert "@oncall" in await answer(home, "ana", "general", f"/incident close {theirs.reference} done")
        assert "@night" in await answer(away, "max", "general", f"/incident close {ours.reference} done")
        assert (
            "closed"
            in (await answer(away, "noa", "general", f"/incident close {ours.reference} done")).lower()
        )
        # Nothing is said of private incidents in Northwind, so its members may declare them.
        view = await away.type_command("max", "general", "/incident Payroll is public")
        await away.fill("max", view, severity_id=chosen("major"), visibility=ticked("private"))
        assert (await away.submit("max", view)).ok
