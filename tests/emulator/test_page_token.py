"""The pages are for whoever started the workspace: nothing is shown, done or told to another browser."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from support.clock import fitting_clock
from support.form_bot import MANIFEST
from support.slack import browsing

from slack_emulator.server import playground_app
from slack_emulator.state import Store
from slack_emulator.testing import Slack, running_slack
from slack_emulator.ui import Authentication

WIRE = {"/api/{method}", "/upload/v1/{key}", "/response/{key}", "/link/"}
"""What apps speak to: tokens of their own, or addresses that nobody can guess."""
PUBLISHED = {"/openid/connect/keys", "/.well-known/openid-configuration"}
SENTENCE = "only for the person who started it. Open the address that was printed"


def outsider(slack: Slack) -> httpx.AsyncClient:
    """A browser that nobody let in."""
    origin = slack.url
    return httpx.AsyncClient(base_url=origin, headers={"origin": origin}, trust_env=False, verify=False)


def requests_to(slack: Slack) -> list[tuple[str, str]]:
    """Every method and path that the app answers, with ids that exist where that matters."""
    ids = {"channel": slack.channel_id("general"), "app": slack.app.app_id, "person": slack.user_id("ben")}
    found = []
    for route in playground_app(slack.workspace).routes:
        assert isinstance(route, Route | Mount | WebSocketRoute)
        if route.path in WIRE | PUBLISHED:
            continue
        path = route.path
        for name in route.param_convertors:
            path = path.replace(f"{{{name}}}", ids.get(name, "1")).replace(f"{{{name}:int}}", "1")
        path = f"{path}/page.js" if isinstance(route, Mount) else path
        methods = (route.methods if isinstance(route, Route) else None) or {"GET"}
        found += [(method, path.replace("/{path:path}", "")) for method in sorted(methods)]
    return found


async def test_without_the_token_every_page_action_and_stream_is_refused(slack: Slack) -> None:
    general = slack.workspace.state.messages[slack.channel_id("general")]
    before = len(general)
    async with outsider(slack) as browser:
        asked = requests_to(slack)
        assert {("GET", "/live"), ("GET", "/"), ("GET", "/openid/connect/authorize")} <= set(asked)
        for method, path in asked:
            answer = await browser.request(method, path, data={"text": "hi"} if method == "POST" else None)
            assert answer.status_code == 403, (method, path)
            assert method == "HEAD" or SENTENCE in answer.text
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["cache-control"] == "no-store"
            assert "set-cookie" not in answer.headers
    assert len(general) == before


async def test_the_address_leads_in_and_the_browser_keeps_the_token(slack: Slack) -> None:
    token = slack.workspace.state.page_token
    async with outsider(slack) as browser:
        answer = await browser.get(slack.address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
        page = await browser.get("/client")
        assert page.status_code == 200
        assert token not in page.text
        # The address is in the browser's history now: opened again it leads to the page.
        assert (await browser.get(slack.address)).status_code == 303


async def test_the_token_opens_any_page_and_leaves_its_address(slack: Slack) -> None:
    token = slack.workspace.state.page_token
    async with outsider(slack) as browser:
        answer = await browser.get("/browse", params={"a": "1", "token": token})
        assert answer.headers["location"] == "/browse?a=1"


@pytest.mark.parametrize("wrong", ["", "x", "{token}x", "{half}", "\u00e9\u4e2d", "a" * 9_000])
async def test_no_other_token_leads_in(slack: Slack, wrong: str) -> None:
    token = slack.workspace.state.page_token
    given = wrong.format(token=token, half=token[: len(token) // 2])
    port = slack.url.rpartition(":")[2]
    async with outsider(slack) as browser:
        assert (await browser.get("/client", params={"token": given})).status_code == 403
        cookie = f"playground_token_{port}={given}".encode("utf-8", "replace")
        assert (await browser.get("/client", headers={b"cookie": cookie})).status_code == 403
        # It is taken from an address that is opened, never from a form.
        assert (await browser.post("/act-as", params={"token": token})).status_code == 403
        assert (await browser.head("/client", params={"token": token})).status_code == 403


async def test_an_address_for_one_time_lets_in_the_first_browser_alone() -> None:
    authentication = Authentication("kept")
    first = authentication.one_time_address("http://127.0.0.1:8080")
    token = first.partition("token=")[2]
    assert token != "kept"
    assert [authentication.accepts(token), authentication.accepts(token)] == [True, False]
    assert authentication.accepts("kept")
    assert authentication.accepts("kept")


async def test_a_browser_that_was_let_in_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    async with running_slack(MANIFEST, store=Store(path), clock=fitting_clock()) as slack:
        token = slack.workspace.state.page_token
    async with running_slack(MANIFEST, store=Store(path), clock=fitting_clock()) as slack:
        assert slack.workspace.state.page_token == token
    assert path.stat().st_mode & 0o777 == 0o600
    async with running_slack(MANIFEST, clock=fitting_clock()) as other:
        assert other.workspace.state.page_token != token


async def test_one_browser_may_have_several_workspaces_open(slack: Slack) -> None:
    async with running_slack(MANIFEST, clock=fitting_clock()) as other, browsing(slack.workspace) as browser:
        await browser.get(other.address)
        for url in (slack.url, other.url):
            assert (await browser.get(f"{url}/client")).status_code == 200
