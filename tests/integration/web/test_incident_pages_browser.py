"""The incident pages in a real browser: they fit, they are readable, and a person finds their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from support.browser import Screen, axe_findings, opened
from support.declarations import ANA, BEN, declaration, full_declaration
from support.site import Site, served

from tocsin.incidents.model import ChannelId
from tocsin.workflows.ports import Channel

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(tmp_path, public=True, slack_url="https://northwind.slack.com") as open_site:
        yield open_site


LONG = "Averylongwordwithoutanybreak" * 7


async def filled(site: Site) -> None:
    backend = site.backend
    await backend.remember_people([ANA, BEN])
    await backend.create(declaration("test", name="Drill: lose the primary database", mode="test"))
    await backend.create(declaration("long", name=LONG, summary=LONG, severity_id="minor"))
    made = await backend.create(full_declaration())
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
    async with opened(chromium, site.url, width=width) as screen:
        for path in ("/incidents", "/incidents/INC-3", "/insights"):
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


async def test_the_policy_lets_our_style_through_and_no_script(site: Site, chromium: Browser) -> None:
    await site.backend.create(declaration(name="<script>document.title = 'owned'</script>"))
    async with opened(chromium, site.url) as screen:
        await screen.page.goto(f"{site.url}/incidents/1")
        head = screen.page.locator(".head")
        assert await head.evaluate("element => getComputedStyle(element).borderTopWidth") == "4px"
        expected = "INC-1: <script>document.title = 'owned'</script> · Tocsin"
        assert await screen.page.title() == expected
