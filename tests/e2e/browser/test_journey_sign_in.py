"""A private incident's page: its reporter signs in with Slack to read it, others do not get to see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect
from support.playground import Playground
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Picture = Callable[[Responder, str], Awaitable[None]]
NAME = "A key was leaked"
MISSING = "status of 404", "status of 403"


async def signed_in(page: Page, who: str) -> None:
    """From a page of ours to Slack's, and back as somebody."""
    await page.get_by_role("link", name="Sign in with Slack").click()
    await page.get_by_label("You are").select_option(label=who)
    await page.get_by_role("button", name="Allow").click()


async def test_open_incident_leads_its_reporter_to_it_and_nobody_else(
    ana: Responder, playground: Playground, window: Any, picture: Picture
) -> None:
    await ana.start_declaring(NAME)
    await ana.choose("Major")
    await ana.field("Private").check()
    reference = await ana.submit()
    await ana.close()
    other = await window(playground.address)
    for screen in (ana, other):
        for said in MISSING:
            screen.expects(said)
    page = ana.page
    await page.goto(f"{ana.url}/incidents/{reference}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    await picture(ana, "private-page")
    found = await ana.serious("private page")
    await page.get_by_role("link", name="Sign in with Slack").click()
    await picture(ana, "consent")
    found += await ana.serious("consent")
    await page.get_by_label("You are").select_option(label="Ana Ferreira")
    await page.get_by_role("button", name="Allow").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    await picture(ana, "signed-in")
    found += await ana.serious("signed in")
    assert found == []

    await other.page.goto(f"{ana.url}/incidents/{reference}")
    await signed_in(other.page, "Chloe Marchetti")
    await expect(other.page.get_by_text("it is not for you")).to_be_visible()
    await expect(other.page.get_by_text("Chloe Marchetti")).to_be_visible()
    await other.page.get_by_role("button", name="Sign out").click()
    await expect(other.page.get_by_role("heading", level=1)).to_have_text("Incidents")
    await other.page.goto(f"{ana.url}/incidents/{reference}")
    await signed_in(other.page, "Gus Lindqvist")
    await expect(other.page.get_by_role("heading", level=1)).to_have_text("Not signed in")
    await picture(other, "guest")
    assert await other.serious("a guest") == []
    await page.get_by_role("button", name="Sign out").click()
    await page.goto(f"{ana.url}/incidents/{reference}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
