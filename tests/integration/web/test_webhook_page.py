"""The page of webhooks: what was sent and answered, for whom it is, and *Send again*."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from support.browser import Screen, axe_findings, opened
from support.declarations import ANA, DAWN, declaration, full_declaration
from support.site import Site, served

from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.webhooks import EVENTS, Subscription

CANARY = "heron-4711"
ENDPOINTS = (Subscription(name="hook", events=frozenset(EVENTS)),)


async def filled(site: Site) -> None:
    """A delivered event, one that fails, one that was given up, one that waits, and one of a secret."""
    first = await site.backend.create(full_declaration("one"))
    change = {"by": ANA, "at": DAWN, "severity_id": "minor", "message": "x" * 90}
    await site.backend.change(first.id, IncidentChange(key="a", incident_status_id="monitoring", **change))
    await site.backend.create(declaration("two", name="Averylongwordwithoutanybreak" * 7))
    await site.backend.create(declaration("secret", name=CANARY, visibility="private"))
    outcomes = (
        {"state": "delivered", "status": 204, "attempts": 1},
        {"status": 503, "attempts": 2, "answer": "<b>busy</b> " + "y" * 150},
        {"state": "failed", "attempts": 8, "answer": "no answer within 15 s"},
    )
    for outcome, one in zip(outcomes, reversed(await site.backend.deliveries.newest(10)), strict=False):
        await site.backend.deliveries.save(one.model_copy(update={**outcome, "tried_at": DAWN}))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(tmp_path, public=True, subscriptions=ENDPOINTS) as open_site:
        await filled(open_site)
        yield open_site


@pytest.fixture
async def closed_site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(tmp_path, public=False, subscriptions=ENDPOINTS) as guarded:
        await filled(guarded)
        yield guarded


async def test_the_page_says_what_was_sent_and_what_was_answered(site: Site) -> None:
    assert '<a href="/webhooks">Webhooks</a>' in (await site.page("/incidents")).text
    text = (await site.page("/webhooks")).text
    for told in (
        "<strong>public_incident.incident_created_v2</strong> to hook",
        "1 attempt: <strong>204</strong>",
        "&lt;b&gt;busy&lt;/b&gt;",
        "8 attempts: <span",
        "no answer within 15 s",
        "Not sent yet",
        "&#34;event_type&#34;: &#34;public_incident.incident_status_updated_v2&#34;",
    ):
        assert told in text


async def test_older_deliveries_are_on_further_pages(site: Site) -> None:
    for number in range(60):
        await site.backend.create(declaration(f"more {number}"))
    first = (await site.page("/webhooks")).text
    assert first.count("Send now") == 50
    (link,) = {part.split('"')[0] for part in first.split('href="')[1:] if part.startswith("/webhooks?")}
    assert (await site.page(link)).text.count("<form") == 14
    assert "Nothing older" in (await site.page("/webhooks?before=1")).text
    assert (await site.page("/webhooks?before=x")).text == first


async def test_of_private_incidents_the_page_says_something_with_the_token_alone(
    site: Site, closed_site: Site
) -> None:
    secret = (await site.backend.deliveries.newest(1))[0]
    assert secret.is_private
    shown, trusted = (await site.page("/webhooks")).text, (await site.trusted("/webhooks")).text
    assert secret.reference not in shown
    assert "private_incident." not in shown
    assert secret.reference in trusted
    assert CANARY not in trusted
    assert (await closed_site.page("/webhooks")).status_code == 401
    assert (await closed_site.trusted("/webhooks")).status_code == 200
    where = f"/webhooks/{secret.event_id}/hook"
    hidden, unknown = await site.client.post(where), await site.client.post("/webhooks/999999/hook")
    assert (hidden.status_code, hidden.text) == (404, unknown.text)
    assert (await closed_site.client.post(where)).status_code == 401
    none = await served_without(site)
    assert none == 404


async def served_without(site: Site) -> int:
    """The status of the page where no webhooks are configured."""
    async with served(Path(site.backend.database.path).parent / "b", public=True) as plain:  # type: ignore[union-attr]
        assert "Webhooks" not in (await plain.page("/incidents")).text
        return (await plain.page("/webhooks")).status_code


async def test_how_many_private_incidents_there_are_is_not_told_either(tmp_path: Path) -> None:
    async with served(tmp_path, public=True, subscriptions=ENDPOINTS) as site:
        empty = (await site.page("/webhooks")).text
        for number in range(60):
            await site.backend.create(declaration(f"key {number}", visibility="private"))
        assert (await site.page("/webhooks")).text == empty
        for number in ("9" * 30, "9" * 5000, "x"):
            assert (await site.client.post(f"/webhooks/{number}/hook")).status_code == 404


async def test_send_again_is_for_our_own_page_alone(site: Site) -> None:
    first = (await site.backend.deliveries.newest(100))[-1]
    where = f"/webhooks/{first.event_id}/hook"
    for strange in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example.com"},
        {"Sec-Fetch-Site": "same-site", "Origin": "null"},
    ):
        assert (await site.client.post(where, headers=strange)).status_code == 403
    found = await site.backend.deliveries.find(first.event_id, "hook")
    assert found is not None
    assert found.state == "delivered"
    assert (await site.client.post(f"/webhooks/{first.event_id}/other")).status_code == 404
    assert (await site.page(where)).status_code == 405
    sent = await site.client.post(where, headers={"Sec-Fetch-Site": "same-origin", "Origin": "null"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/webhooks")
    found = await site.backend.deliveries.find(first.event_id, "hook")
    assert found is not None
    assert (found.state, found.attempts) == ("pending", 0)


@pytest_asyncio.fixture(loop_scope="session")
async def seen(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(tmp_path, public=True, subscriptions=ENDPOINTS) as open_site:
        await filled(open_site)
        yield open_site


async def overflow(screen: Screen) -> int:
    root = "document.documentElement"
    return int(await screen.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_fits_axe_finds_nothing_and_the_button_works_with_the_keyboard(
    seen: Site, chromium: Browser
) -> None:
    for width in (1280, 400):
        async with opened(chromium, seen.url, width=width) as screen:
            page = screen.page
            await page.goto(f"{seen.url}/webhooks")
            await page.locator("summary").first.click()
            assert await axe_findings(page, "/webhooks", any_impact=True) == []
            assert await overflow(screen) <= 0
    async with opened(chromium, seen.url) as screen:
        page = screen.page
        await page.goto(f"{seen.url}/webhooks")
        button = page.get_by_role(
            "button", name="Send public_incident.incident_created_v2 of INC-1 to hook again"
        )
        await button.focus()
        await page.keyboard.press("Enter")
        await page.get_by_text("delivered").wait_for(state="detached")
        assert page.url == f"{seen.url}/webhooks"
