"""Pages that others can reach are read by members who sign in with Slack, and by nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from support.beginning import Beginning
from support.declarations import declaration
from support.estate import (
    AWAY,
    AWAY_ADMIN,
    CANARY,
    GUEST,
    HOME,
    HOME_ADMIN,
    Lobby,
    heading,
    private_incident,
    public_pages,
)

from tocsin.web.middleware import own_origins
from tocsin.web.oauth import MOST_UNCONFIRMED, is_local

shared = pytest.mark.asyncio(loop_scope="module")

ANA, BEN, CHLOE = (f"{HOME}/U0{rest}" for rest in ("ANA00001", "BEN00002", "CHLOE003"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Lobby, Beginning]]:
    async with public_pages(tmp_path_factory.mktemp("tocsin") / "data") as running:
        with closing(Beginning(running.bot)) as beginning:
            yield running, beginning


@pytest_asyncio.fixture(loop_scope="module")
async def street(shared_street: tuple[Lobby, Beginning]) -> AsyncIterator[Lobby]:
    """The file’s pages that others can reach, with the app just installed in both workspaces."""
    running, beginning = shared_street
    await beginning.again()
    yield running
    for browser in running.browsers:
        await browser.aclose()
    running.browsers.clear()


@shared
async def test_who_is_not_signed_in_is_shown_the_way_in_and_nothing_else(street: Lobby) -> None:
    await street.bot.backend.create(declaration(name=CANARY))
    pages = [await street.browser().get(path) for path in ("/incidents", "/incidents/1", "/incidents/9")]
    assert [page.status_code for page in pages] == [401, 401, 401]
    assert len({page.content for page in pages}) == 1
    assert 'href="?sign-in"' in pages[0].text
    assert "Sign in with Slack" in pages[0].text
    as_json = await street.browser().get("/incidents", headers={"Accept": "application/json"})
    assert (as_json.status_code, as_json.json()["type"]) == (401, "authentication_error")
    assert (await street.browser().get("/metrics")).status_code == 401


@shared
async def test_a_member_signs_in_and_comes_back_to_the_page_they_wanted(street: Lobby) -> None:
    await street.bot.backend.create(declaration(name="Checkout is slow", slack_team_id=HOME))
    browser, back = await street.sign_in(CHLOE, "/incidents/1")
    assert (back.status_code, back.headers["location"]) == (303, "/incidents/1")
    page = await browser.get("/incidents/1")
    assert heading(page) == "Checkout is slow"
    assert "Chloe Marchetti" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "Cookie" in page.headers["vary"]
    assert "access-control-allow-origin" not in page.headers


@shared
async def test_a_filtered_list_is_still_filtered_after_signing_in(street: Lobby) -> None:
    wanted = "/incidents?severity=critical&text=a%26b%3D%2F%2Fc"
    asked = await street.browser().get(wanted)
    assert 'href="?severity=critical&amp;text=a%26b%3D%2F%2Fc&amp;sign-in"' in asked.text
    _, back = await street.sign_in(CHLOE, wanted)
    assert (back.status_code, back.headers["location"]) == (303, wanted)
    _, back = await street.sign_in(CHLOE, f"/incidents?text={'x' * 4000}")
    assert back.headers["location"] == "/incidents"


@shared
async def test_members_of_every_workspace_that_is_served_may_read(street: Lobby) -> None:
    await street.bot.backend.create(declaration())
    browser, _ = await street.sign_in(AWAY_ADMIN)
    assert (await browser.get("/incidents")).status_code == 200


@shared
async def test_a_guest_is_refused_in_a_sentence(street: Lobby) -> None:
    browser, back = await street.sign_in(GUEST)
    assert back.status_code == 403
    assert "guests cannot read them here" in back.text
    assert (await browser.get("/incidents")).status_code == 401


@shared
async def test_a_private_incident_is_for_its_reporter_and_role_holders(street: Lobby) -> None:
    await private_incident(street, lead="U0BEN00002")
    for who in (ANA, BEN):
        browser, _ = await street.sign_in(who)
        assert CANARY in (await browser.get("/incidents/INC-1")).text
        assert CANARY in (await browser.get("/incidents")).text


@shared
async def test_to_other_members_a_private_incident_is_as_one_that_does_not_exist(street: Lobby) -> None:
    await private_incident(street)
    browser, _ = await street.sign_in(CHLOE)
    hidden, unknown = await browser.get("/incidents/INC-1"), await browser.get("/incidents/INC-9")
    assert (hidden.status_code, hidden.content) == (404, unknown.content)
    assert CANARY not in (await browser.get("/incidents")).text


@shared
async def test_an_id_of_another_workspace_opens_no_private_incident(street: Lobby) -> None:
    """Slack: an id says who somebody is within their workspace only."""
    away = street.of(AWAY).workspace.state
    away.save(replace(away.people["U0MAX00002"], id="U0ANA00001"))
    await private_incident(street)
    browser, back = await street.sign_in(f"{AWAY}/U0ANA00001")
    assert back.status_code == 303
    assert (await browser.get("/incidents/INC-1")).status_code == 404


@shared
async def test_the_token_of_the_operator_still_opens_everything(street: Lobby) -> None:
    await private_incident(street)
    headers = {"Authorization": f"Bearer {street.bot.app.resources.api_token}"}
    assert CANARY in (await street.browser().get("/incidents/INC-1", headers=headers)).text


@shared
async def test_a_sign_in_is_good_once_and_in_its_own_browser(street: Lobby) -> None:
    browser, victim = street.browser(), street.browser()
    begun = await browser.get("/sign-in")
    back = await street.way_back(browser, begun.headers["location"], CHLOE)
    assert (await victim.get(back)).status_code == 403
    kept = dict(browser.cookies)
    assert (await browser.get(back)).status_code == 303
    browser.cookies.update(kept)
    again = await browser.get(back)
    assert (again.status_code, heading(again)) == (403, "Not signed in")
    assert "not begun in this browser, or has expired" in again.text


@shared
async def test_a_code_of_another_sign_in_is_not_taken(street: Lobby) -> None:
    """OpenID Connect Core, 3.1.3.7: the nonce ties the identity to the browser that asked."""
    attacker, victim = street.browser(), street.browser()
    stolen = await street.way_back(attacker, (await attacker.get("/sign-in")).headers["location"], HOME_ADMIN)
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    state = parse_qs(urlsplit((await victim.get("/sign-in")).headers["location"]).query)["state"][0]
    refused = await victim.get(f"/sign-in/done?code={code}&state={state}")
    assert refused.status_code == 403
    assert (await victim.get("/incidents")).status_code == 401


@shared
async def test_who_signs_out_is_out_wherever_the_cookie_went(street: Lobby) -> None:
    browser, _ = await street.sign_in(CHLOE)
    copied = dict(browser.cookies)
    assert (await browser.post("/sign-out")).status_code == 303
    assert (await browser.get("/incidents")).status_code == 401
    browser.cookies.update(copied)
    assert (await browser.get("/incidents")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "{own}.evil.example"},
        {"Origin": "{own}0"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
    ],
)
@shared
async def test_no_other_page_signs_anybody_out(street: Lobby, headers: dict[str, str]) -> None:
    browser, _ = await street.sign_in(CHLOE)
    sent = {name: value.format(own=street.url) for name, value in headers.items()}
    refused = await browser.post("/sign-out", headers=sent)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    assert (await browser.get("/incidents")).status_code == 200
    without_cookies = await street.browser().post("/sign-out", headers=sent)
    assert "set-cookie" not in without_cookies.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "{own}"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ],
)
@shared
async def test_the_page_itself_signs_out_whatever_a_browser_says_of_it(
    street: Lobby, headers: dict[str, str]
) -> None:
    browser, _ = await street.sign_in(CHLOE)
    sent = {name: value.format(own=street.url) for name, value in headers.items()}
    assert (await browser.post("/sign-out", headers=sent)).status_code == 303
    assert (await browser.get("/incidents")).status_code == 401


@shared
async def test_who_has_no_session_is_told_to_drop_no_cookie(street: Lobby) -> None:
    assert "set-cookie" not in (await street.browser().post("/sign-out")).headers


@pytest.mark.parametrize(
    ("port", "public_url", "origin"),
    [
        (8080, None, "http://127.0.0.1:8080"),
        (80, None, "http://localhost"),
        (8080, "https://Tocsin.Example.com:443/", "https://tocsin.example.com"),
        (8080, "http://incidents.lan:8080", "http://incidents.lan:8080"),
    ],
)
def test_our_pages_are_called_as_browsers_call_them(port: int, public_url: str | None, origin: str) -> None:
    assert origin in own_origins(port, public_url)


@shared
async def test_any_number_of_members_may_sign_in(street: Lobby) -> None:
    browser = street.browser()
    for _ in range(MOST_UNCONFIRMED + 5):
        begun = await browser.get("/sign-in")
        assert (await street.agree(browser, begun.headers["location"], CHLOE)).status_code == 303


@shared
async def test_a_session_that_was_made_up_opens_nothing(street: Lobby) -> None:
    await street.sign_in(CHLOE)
    for made_up in ("", "x", f"{HOME}.U0CHLOE003.", f"{HOME}.U0CHLOE003.x", "a.b.c", f"{HOME}.U0CHLOE003"):
        headers = {"Cookie": f"tocsin-session={made_up}"}
        assert (await street.browser().get("/incidents", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("goal", "local"),
    [
        ("/incidents/INC-1", True),
        ("//evil.example.com", False),
        ("/\\evil.example.com", False),
        ("https://evil.example.com", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(goal: str, local: bool) -> None:
    assert is_local(goal) is local
