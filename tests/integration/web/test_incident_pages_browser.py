"""The incident pages in a real browser: they fit, they are readable, and a person finds their way."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from support.browser import Screen, axe_findings, opened
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration
from support.site import Site, served

from tocsin.incidents.model import ChannelId
from tocsin.incidents.requests import FollowUpRequest, IncidentChange
from tocsin.web.live import MOST_OF_A_READER
from tocsin.workflows.ports import Channel

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(tmp_path, public=True, slack_url="https://northwind.slack.com") as open_site:
        yield open_site


SUMMARY = """Payments take *40 s*, see <https://grafana.example.com/d/1|the dashboard>:
• EU is hit, `api-7` worst
• US is ~hit~ fine
> Disk full
```
/dev/sda1  100% /var/lib/postgresql/16/main/base/16384/2619/averylongnameofafile
```"""
CHANGES: tuple[dict[str, Any], ...] = (
    {"severity_id": "minor"},
    {"incident_status_id": "fixing", "message": "Rolling back:\n1. web\n2. api"},
    *({"message": f"Still at it, {number}."} for number in range(12)),
)
LONG = "Averylongwordwithoutanybreak" * 7


NARROWED = "/incidents/INC-3?kind=update&by=Ben+Okafor"
FILTERED = "/incidents?status=bogus&severity=minor&person=ben&role=lead&created_from=2026-01-01"


async def filled(site: Site) -> None:
    backend = site.backend
    await backend.remember_people([ANA, BEN])
    await backend.create(declaration("test", name="Drill: lose the primary database", mode="test"))
    await backend.create(declaration("long", name=LONG, summary=LONG, severity_id="minor"))
    made = await backend.create(full_declaration(summary=SUMMARY))
    for minute, change in enumerate(CHANGES):
        at = DAWN + timedelta(minutes=minute)
        await backend.change(made.id, IncidentChange(key=f"{minute}", by=BEN, at=at, **change))
    task = FollowUpRequest(key="f", by=ANA, at=DAWN, kind="follow_up", text="Watch it", assignee=BEN)
    await backend.add_follow_up(made.id, task)
    await backend.set_channel(made.id, Channel(id=ChannelId("C0INC"), name="inc-3-checkout-is-slow"))


async def overflow(screen: Screen) -> int:
    """How many pixels wider than the window the page is."""
    root = "document.documentElement"
    return int(await screen.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


@pytest.mark.parametrize("width", [1280, 400])
async def test_every_page_fits_and_has_nothing_for_axe_to_find(
    site: Site, chromium: Browser, width: int
) -> None:
    await filled(site)
    brief = await site.backend.create(declaration("brief"))
    closed = IncidentChange(key="closed", by=BEN, at=DAWN, incident_status_id="closed")
    await site.backend.change(brief.id, closed)
    async with opened(chromium, site.url, width=width) as screen:
        for path in (
            "/incidents",
            FILTERED,
            "/incidents/INC-3",
            "/incidents/INC-3?kind=update&by=Ben+Okafor",
            "/insights",
        ):
            await screen.page.goto(site.url + path)
            tables = screen.page.locator("details")
            await tables.evaluate_all("found => found.forEach(one => one.open = true)")
            assert await axe_findings(screen.page, path, any_impact=True) == []
            assert await overflow(screen) <= 0
        await screen.page.goto(f"{site.url}/incidents/INC-2")
        assert await overflow(screen) <= 0


async def test_a_person_goes_from_the_list_to_an_incident_and_back_with_the_keyboard(
    site: Site, chromium: Browser
) -> None:
    await filled(site)
    async with opened(chromium, site.url) as screen:
        page = screen.page
        await page.goto(f"{site.url}/incidents")
        link = page.get_by_role("link", name="INC-3 Checkout is slow")
        await link.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/incidents/INC-3")
        assert await page.get_by_role("heading", level=1).inner_text() == "Checkout is slow"
        assert await page.title() == "INC-3: Checkout is slow · Tocsin"
        door = page.get_by_role("link", name="Open #inc-3-checkout-is-slow")
        assert await door.get_attribute("href") == "https://northwind.slack.com/archives/C0INC"
        await page.get_by_role("link", name="Incidents", exact=True).click()
        await page.wait_for_url("**/incidents")


async def test_a_person_filters_the_list_and_takes_a_filter_away_with_the_keyboard(
    site: Site, chromium: Browser
) -> None:
    await filled(site)
    async with opened(chromium, site.url, width=400) as screen:
        page = screen.page
        await page.goto(f"{site.url}/incidents")
        await page.get_by_role("searchbox", name="Words").focus()
        for key in ("Tab", "Tab", "ArrowDown", "ArrowDown", "Tab", "Tab", "Enter", "Tab", "Tab"):
            await page.keyboard.press(key)
        await expect(page.get_by_label("Affected area")).to_be_focused()
        await page.get_by_role("button", name="Show").press("Enter")
        await page.wait_for_url("**/incidents?severity=major")
        rows = page.get_by_role("row").filter(has=page.get_by_role("rowheader"))
        await expect(rows).to_have_count(1)
        await expect(page.get_by_role("combobox", name="Severity")).to_have_value("major")
        link = page.get_by_role("link", name="Remove the filter Severity: Major")
        await link.press("Enter")
        await page.wait_for_url("**/incidents")
        await expect(rows).to_have_count(3)
        async with page.expect_download() as saving:
            await page.get_by_role("link", name="Save as CSV").press("Enter")
        assert (await saving.value).suggested_filename == "incidents.csv"


async def test_the_policy_lets_our_style_through_and_no_script(site: Site, chromium: Browser) -> None:
    await site.backend.create(declaration(name="<script>document.title = 'owned'</script>"))
    async with opened(chromium, site.url) as screen:
        await screen.page.goto(f"{site.url}/incidents/1")
        head = screen.page.locator(".head")
        assert await head.evaluate("element => getComputedStyle(element).borderTopWidth") == "4px"
        expected = "INC-1: <script>document.title = 'owned'</script> · Tocsin"
        assert await screen.page.title() == expected


async def test_an_open_page_shows_a_change_by_itself_and_takes_nothing_from_its_reader(
    site: Site, chromium: Browser
) -> None:
    await filled(site)
    found = await site.backend.find("INC-3")
    assert found is not None

    async def change(**what: Any) -> None:
        order = IncidentChange(key=str(what), by=ANA, at=DAWN + timedelta(hours=1), **what)
        await site.backend.change(found.id, order)

    async with opened(chromium, site.url, width=400) as screen:
        page = screen.page
        await page.goto(f"{site.url}/incidents/INC-3?order=newest")
        await page.get_by_text("By person").click()
        link = page.get_by_role("link", name="Updates 13")
        await link.focus()
        await page.evaluate("document.querySelector('#timeline').scrollIntoView()")
        place = await page.locator("#timeline").bounding_box()
        await change(message="It is <b>fine</b> again.", summary="Short now.")
        first = page.locator(".timeline .entry").first
        await expect(first).to_contain_text("Ana Torres wrote an update: It is <b>fine</b> again.")
        await expect(page.get_by_role("status")).to_have_text(re.compile("^Updated at "))
        updates = page.get_by_role("link", name="Updates 14")
        await expect(updates).to_be_focused()
        await expect(page.locator("details#by")).to_have_attribute("open", "")
        assert await page.locator("#timeline").bounding_box() == place
        assert await axe_findings(page, "live", any_impact=True) == []
        await change(incident_status_id="closed")
        await expect(page.locator("h1 + .line .status")).to_have_text("Closed")
        await change(visibility="private")
        assert screen.complaints == []


LOOK_AWAY_AND_BACK = """() => {
  for (const hidden of [true, false]) {
    Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }
}"""


async def test_a_page_that_is_live_again_says_no_longer_that_it_is_not(site: Site, chromium: Browser) -> None:
    await filled(site)
    async with opened(chromium, site.url) as screen, AsyncExitStack() as further:
        page, status = screen.page, screen.page.get_by_role("status")
        async with page.expect_response(lambda answer: answer.url.endswith("/events")) as begun:
            await page.goto(f"{site.url}/incidents/INC-3")
        events = (await begun.value).url
        for _ in range(MOST_OF_A_READER):
            await further.enter_async_context(site.client.stream("GET", events, timeout=None))
        await expect(status).to_have_text(re.compile("^No longer updated live"))
        await page.evaluate(LOOK_AWAY_AND_BACK)
        await expect(status).to_have_text("")


async def test_a_page_that_its_reader_may_not_see_any_more_shows_nothing_of_it(
    site: Site, chromium: Browser
) -> None:
    made = await site.backend.create(full_declaration(name="Canary 7f3a"))
    async with opened(chromium, site.url) as screen:
        await screen.page.goto(f"{site.url}/incidents/1")
        order = IncidentChange(key="private", by=ANA, at=DAWN, visibility="private")
        async with screen.page.expect_response(lambda answer: answer.url.endswith("/events")) as begun:
            await screen.page.reload()
        await begun.value
        await site.backend.change(made.id, order)
        await expect(screen.page.locator("main")).to_contain_text("There is no such page")
        assert "Canary" not in await screen.page.content()
        screen.complaints.clear()  # The browser says that it was answered 404.
