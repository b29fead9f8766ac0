"""Several workspaces install the app by themselves, and one process serves them all."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_asyncio
from support.bot import RunningBot, chosen, typed
from support.estate import AWAY, AWAY_ADMIN, HOME, HOME_ADMIN, ORG, Lobby, heading, lobby, served_estate
from support.readings import settled, words
from support.terminal import Terminal

from slack_emulator.faults import Fault
from tocsin.incidents.model import Incident
from tocsin.settings import ConfigurationError
from tocsin.storage.workflow_engine import fetch_pending

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def open_lobby(tmp_path: Path) -> AsyncIterator[Lobby]:
    async with lobby(tmp_path / "data") as running:
        yield running


async def declared(running: Lobby, seen: RunningBot, person: str, channel: str, name: str) -> Incident:
    """Type the command, fill the form, press Declare."""
    view = await seen.type_command(person, channel, f"/incident {name}")
    await seen.fill(person, view, severity_id=chosen("major"))
    outcome = await seen.submit(person, view)
    assert outcome.ok, outcome
    await settled(seen)
    return await running.incident(name)


async def test_two_workspaces_install_and_each_declares_in_its_own(open_lobby: Lobby) -> None:
    assert heading(await open_lobby.install(HOME_ADMIN)) == "Tocsin is in Lumen Freight"
    assert heading(await open_lobby.install(AWAY_ADMIN)) == "Tocsin is in Northwind"
    home, away = open_lobby.of(HOME), open_lobby.of(AWAY)
    first = await declared(open_lobby, home, "ana", "general", "Checkout is slow")
    second = await declared(open_lobby, away, "max", "ops", "Orders are stuck")
    assert (first.slack_team_id, second.slack_team_id) == (HOME, AWAY)
    assert home.workspace.channel(first.slack_channel_id).creator == home.slack.app.bot_user_id
    assert away.workspace.channel(second.slack_channel_id).creator == away.slack.app.bot_user_id
    assert first.slack_channel_id not in away.workspace.state.channels
    assert all(call.token == away.slack.bot_token for call in away.calls("conversations.create"))


async def test_the_token_is_asked_who_it_is_once_for_each_install(open_lobby: Lobby) -> None:
    await open_lobby.install(HOME_ADMIN)
    home = open_lobby.of(HOME)
    await declared(open_lobby, home, "ana", "general", "Checkout is slow")
    assert len(home.calls("auth.test")) == 1


async def test_what_was_installed_is_there_after_a_restart_and_nobody_is_asked_again(tmp_path: Path) -> None:
    async with served_estate() as estate:
        async with lobby(tmp_path / "data", estate=estate) as running:
            await running.install(HOME_ADMIN)
        estate.first.clear()
        async with lobby(tmp_path / "data", estate=estate) as running:
            home = running.of(HOME)
            incident = await declared(running, home, "ana", "general", "Checkout is slow")
            assert incident.slack_channel_id in home.workspace.state.channels
            assert home.calls("auth.test") == []


async def test_whoever_is_taken_off_the_list_is_served_no_more(tmp_path: Path) -> None:
    async with served_estate() as estate:
        async with lobby(tmp_path / "data", estate=estate) as running:
            await running.install(HOME_ADMIN)
        async with lobby(tmp_path / "data", estate=estate, tocsin_teams=AWAY) as running:
            home = running.of(HOME)
            ana, general = home.slack.person("ana"), home.slack.channel("general")
            assert (await home.workspace.command(ana, general, "/incident help")).ok
            assert home.workspace.history(general, ana)[-1].text == "Tocsin does not serve this workspace."


async def test_any_workspace_may_install_only_where_the_list_says_so(tmp_path: Path) -> None:
    async with served_estate() as estate:
        async with lobby(tmp_path / "closed", estate=estate, tocsin_teams="") as running:
            assert (await running.install(HOME_ADMIN)).status_code == 403
            assert running.of(HOME).workspace.apps() == []
        async with lobby(tmp_path / "open", estate=estate, tocsin_teams="*") as running:
            assert (await running.install(HOME_ADMIN)).status_code == 200
            assert (await declared(running, running.of(HOME), "ana", "general", "Checkout is slow")).reference


@pytest.mark.process
async def test_the_doctor_says_no_without_a_list_and_without_a_key(tmp_path: Path) -> None:
    given = {
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "secret",
        "SLACK_SIGNING_SECRET": "secret",
        "SLACK_API_URL": "http://127.0.0.1:9/api/",
        "TOCSIN_DATA_DIR": str(tmp_path),
    }
    said = await examined(given)
    assert "NO  TOCSIN_TEAMS: not set: the bot does not start without it." in said
    assert "NO  TOCSIN_INSTALLATION_KEY: not set" in said
    assert "openssl rand -base64 32" in said
    said = await examined(given | {"TOCSIN_TEAMS": "*", "TOCSIN_INSTALLATION_KEY": "a" * 43 + "="})
    assert "ok  TOCSIN_TEAMS: *" in said
    assert "TOCSIN_INSTALLATION_KEY" not in said


async def test_a_state_is_good_once(open_lobby: Lobby) -> None:
    browser = open_lobby.browser()
    begun = await browser.get("/slack/install")
    back = await open_lobby.way_back(browser, begun.headers["location"], HOME_ADMIN)
    cookies = dict(browser.cookies)
    assert (await browser.get(back)).status_code == 200
    browser.cookies.update(cookies)
    again = await browser.get(back)
    assert again.status_code == 403
    assert "not begun in this browser" in again.text


async def test_a_state_of_another_browser_installs_nothing(open_lobby: Lobby) -> None:
    attacker, victim = open_lobby.browser(), open_lobby.browser()
    begun = await attacker.get("/slack/install")
    back = await open_lobby.way_back(attacker, begun.headers["location"], AWAY_ADMIN)
    assert (await victim.get(back)).status_code == 403
    await victim.get("/slack/install")
    assert (await victim.get(back)).status_code == 403
    assert open_lobby.of(AWAY).workspace.apps() == []


async def test_a_state_that_is_missing_or_altered_installs_nothing(open_lobby: Lobby) -> None:
    browser = open_lobby.browser()
    begun = await browser.get("/slack/install")
    back = await open_lobby.way_back(browser, begun.headers["location"], HOME_ADMIN)
    parts = urlsplit(back)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    altered = given["state"][:-1] + ("1" if given["state"].endswith("0") else "0")
    for state in ({"state": altered}, {"state": ""}, {}):
        query = urlencode({"code": given["code"], **state})
        assert (await browser.get(f"{parts.path}?{query}")).status_code == 403
    assert open_lobby.of(HOME).workspace.apps() == []


async def test_a_state_older_than_ten_minutes_installs_nothing(open_lobby: Lobby) -> None:
    browser = open_lobby.browser()
    begun = await browser.get("/slack/install")
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=600" in cookie
    assert state not in cookie


async def test_a_workspace_that_is_not_on_the_list_gets_a_sentence_and_its_token_back(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", tocsin_teams=HOME) as running:
        page = await running.install(AWAY_ADMIN)
        assert page.status_code == 403
        assert "This Tocsin is not meant for Northwind" in page.text
        assert running.of(AWAY).workspace.apps() == []
        assert running.bot.app.registry.installations == []


async def test_who_does_not_agree_reads_that_nothing_was_installed(open_lobby: Lobby) -> None:
    page = await open_lobby.install(HOME_ADMIN, decision="deny")
    assert page.status_code == 403
    assert "access_denied" in page.text


async def test_an_admin_may_leave_out_a_scope_that_is_optional(open_lobby: Lobby) -> None:
    page = await open_lobby.install(HOME_ADMIN, **{"grant canvases:write": ""})
    assert heading(page) == "Tocsin is in Lumen Freight"
    app = open_lobby.of(HOME).slack.app
    assert app.manifest.bot_scopes - app.scopes == {"canvases:write"}
    await open_lobby.install(HOME_ADMIN)
    assert open_lobby.of(HOME).slack.app.scopes == app.manifest.bot_scopes, "and may grant it later"


async def test_a_workspace_that_has_uninstalled_is_served_no_more(open_lobby: Lobby) -> None:
    await open_lobby.install(HOME_ADMIN)
    await open_lobby.install(AWAY_ADMIN)
    registry = open_lobby.bot.app.registry
    away = open_lobby.of(AWAY)
    open_lobby.estate.uninstall(away.workspace, open_lobby.app.app_id)
    await away.workspace.heard("event.app_uninstalled")
    await away.workspace.heard("event.tokens_revoked")
    assert [found.home for found in registry.installations] == [HOME]
    assert heading(await open_lobby.install(AWAY_ADMIN)) == "Tocsin is in Northwind"
    incident = await declared(open_lobby, open_lobby.of(AWAY), "noa", "general", "Back again")
    assert incident.slack_team_id == AWAY


async def test_an_event_of_an_older_uninstall_takes_nothing_away(open_lobby: Lobby) -> None:
    await open_lobby.install(HOME_ADMIN)
    home = open_lobby.of(HOME)
    home.workspace.events.emit({"type": "app_uninstalled"})
    await home.workspace.heard("event.app_uninstalled")
    registry = open_lobby.bot.app.registry
    assert [found.home for found in registry.installations] == [HOME]


async def test_tokens_are_not_in_the_clear_where_there_is_a_key(tmp_path: Path) -> None:
    key = "mR5Y4cJ0Yp1mC5nI1l9m0Q2n3o4p5q6r7s8t9u0v1w0="
    async with lobby(tmp_path / "data", tocsin_installation_key=key) as running:
        await running.install(HOME_ADMIN)
        token = running.of(HOME).slack.bot_token
        with sqlite3.connect(tmp_path / "data" / "journal.db") as journal:
            (body,) = journal.execute("SELECT body FROM tocsin_installations").fetchone()
        journal.close()
        assert token not in body
        assert token not in str(running.bot.app.registry.installations)


async def test_the_bot_does_not_start_with_another_key_and_starts_with_both(tmp_path: Path) -> None:
    old, new = (letter * 43 + "=" for letter in "ac")
    async with served_estate() as estate:
        async with lobby(tmp_path / "data", estate=estate, tocsin_installation_key=old) as running:
            await running.install(HOME_ADMIN)
        with pytest.raises(ConfigurationError, match="TOCSIN_INSTALLATION_KEY"):
            async with lobby(tmp_path / "data", estate=estate, tocsin_installation_key=new):
                pass
        both = f"{new},{old}"
        async with lobby(tmp_path / "data", estate=estate, tocsin_installation_key=both) as running:
            assert [found.home for found in running.bot.app.registry.installations] == [HOME]


def kept_bodies(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        return dict(journal.execute("SELECT home, body FROM tocsin_installations").fetchall())


def swap_body(folder: Path, home: str, body: str) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        journal.execute("INSERT OR REPLACE INTO tocsin_installations VALUES (?, ?)", [home, body])
        journal.commit()


async def test_what_was_kept_before_there_was_a_key_is_encrypted_at_the_first_start_with_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    async with served_estate() as estate:
        async with lobby(folder, estate=estate) as running:
            await running.install(HOME_ADMIN)
            token = running.of(HOME).slack.bot_token
        assert token in kept_bodies(folder)[HOME]
        for _ in range(2):
            async with lobby(folder, estate=estate, tocsin_installation_key="a" * 43 + "=") as running:
                assert [found.home for found in running.bot.app.registry.installations] == [HOME]
            assert token not in kept_bodies(folder)[HOME]


async def test_where_there_is_a_key_an_installation_in_the_clear_is_somebody_elses(tmp_path: Path) -> None:
    folder, key = tmp_path / "data", "a" * 43 + "="
    async with served_estate() as estate:
        async with lobby(folder, estate=estate) as running:
            await running.install(HOME_ADMIN)
        plain = kept_bodies(folder)[HOME]
        async with lobby(folder, estate=estate, tocsin_installation_key=key):
            pass
        swap_body(folder, HOME, plain.replace("xoxb-", "xoxb-swapped-"))
        with pytest.raises(ConfigurationError, match=f"{HOME}.*somebody else wrote it"):
            async with lobby(folder, estate=estate, tocsin_installation_key=key):
                pass


@pytest.mark.parametrize("key", [None, "a" * 43 + "="])
async def test_what_was_kept_for_one_workspace_is_good_for_no_other(tmp_path: Path, key: str | None) -> None:
    folder = tmp_path / "data"
    async with served_estate() as estate:
        async with lobby(folder, estate=estate, tocsin_installation_key=key) as running:
            await running.install(HOME_ADMIN)
        swap_body(folder, AWAY, kept_bodies(folder)[HOME])
        with pytest.raises(ConfigurationError, match=AWAY):
            async with lobby(folder, estate=estate, tocsin_installation_key=key):
                pass


async def test_a_token_that_ends_soon_is_renewed_and_the_old_one_works_until_then(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", rotates=True) as running:
        await running.install(HOME_ADMIN)
        before = running.of(HOME).slack.bot_token
        rotation = running.bot.app.oauth.rotation
        assert rotation is not None
        await rotation.rotate_due()
        assert running.of(HOME).slack.bot_token == before
        running.clock.turn(10.5 * 3600)
        await rotation.rotate_due()
        after = running.of(HOME).slack.bot_token
        assert after != before
        incident = await declared(running, running.of(HOME), "ana", "general", "Checkout is slow")
        calls = running.of(HOME).calls("conversations.create")
        assert [call.token for call in calls] == [after]
        assert incident.slack_channel_id


async def test_an_organization_is_served_by_one_token_in_all_its_workspaces(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", org=True) as running:
        page = await running.install(HOME_ADMIN, wide="1")
        assert heading(page) == f"Tocsin is in {ORG.name}"
        away = running.of(AWAY)
        before = len(away.calls("views.open"))
        outcome = await away.workspace.global_shortcut(away.slack.person("max"), "declare")
        assert outcome.ok, outcome
        (sent,) = [r for r in away.workspace.requests if r.method == "shortcut"]
        assert sent.args["team"] is None
        view = await away.opened_form("max", since=before)
        await away.fill("max", view, severity_id=chosen("major"), name=typed("No orders"))
        assert (await away.submit("max", view)).ok
        await settled(away)
        incident = await running.incident("No orders")
        assert incident.slack_team_id == AWAY
        assert incident.slack_channel_id in away.workspace.state.channels
        assert incident.reference in words(view)
        home = running.of(HOME)
        assert home.slack.bot_token == away.slack.bot_token
        second = await declared(running, home, "ana", "general", "Checkout is slow")
        assert second.slack_channel_id in home.workspace.state.channels


async def test_what_is_unfinished_where_it_was_uninstalled_waits_says_so_and_goes_on(
    open_lobby: Lobby,
) -> None:
    await open_lobby.install(HOME_ADMIN)
    home = open_lobby.of(HOME)
    home.workspace.faults.plan("conversations.create", *[Fault(error="account_inactive") for _ in range(99)])
    view = await home.type_command("ana", "general", "/incident Checkout is slow")
    await home.fill("ana", view, severity_id=chosen("major"))
    assert (await home.submit("ana", view)).ok
    await home.workspace.heard("conversations.create")
    open_lobby.estate.uninstall(home.workspace, open_lobby.app.app_id)
    await home.workspace.heard("event.app_uninstalled")
    (pending,) = await fetch_pending(open_lobby.bot.engine.url)
    assert pending.waits_for.startswith(f"Tocsin was uninstalled from its workspace ({HOME})")
    home.workspace.faults.clear()
    await open_lobby.install(HOME_ADMIN)
    await settled(open_lobby.of(HOME))
    incident = await open_lobby.incident("Checkout is slow")
    assert incident.slack_channel_id in home.workspace.state.channels
    assert await fetch_pending(open_lobby.bot.engine.url) == []


@pytest.mark.process
async def test_the_doctor_looks_at_every_installation(open_lobby: Lobby) -> None:
    await open_lobby.install(HOME_ADMIN)
    given = {
        name.upper(): str(value)
        for name, value in {
            "slack_client_id": open_lobby.app.client_id,
            "slack_client_secret": open_lobby.app.client_secret,
            "slack_signing_secret": open_lobby.app.signing_secret,
            "slack_api_url": open_lobby.settings.slack_api_url,
            "tocsin_data_dir": open_lobby.settings.tocsin_data_dir,
            "tocsin_teams": HOME,
            "tocsin_port": open_lobby.settings.tocsin_port,
        }.items()
    }
    said = await examined(given)
    assert "ok  Installed in Lumen Freight: Slack knows it as tocsin." in said
    assert "SLACK_BOT_TOKEN" not in said
    said = await examined(given | {"TOCSIN_TEAMS": AWAY})
    assert "NO  Installed in Lumen Freight: it is served no more." in said


async def examined(given: dict[str, str]) -> str:
    """What `tocsin doctor` says with these settings."""
    home = Path(given["TOCSIN_DATA_DIR"])
    return (await Terminal(home).run("doctor", **given)).out
