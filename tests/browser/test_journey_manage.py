"""One incident from the alert to its end, at the screen: every form and card on the way is pictured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.playground import Playground
from fakes.responder import SLOWLY, Responder
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

Picture = Callable[[Responder, str], Awaitable[None]]


async def open_form(screen: Responder, text: str) -> None:
    """`/incident …` typed, and its form on the screen."""
    await screen.say(f"/incident {text}")
    await expect(screen.dialog).to_be_visible(timeout=SLOWLY)


async def send(screen: Responder, button: str) -> None:
    """The form sent, and its answer read and closed."""
    await screen.button(button).click()
    await expect(screen.button("Done")).to_be_visible(timeout=SLOWLY)
    await screen.close()


async def test_one_incident_from_the_alert_to_its_end(ana: Responder, picture: Picture) -> None:
    await ana.enter("alerts")
    alert = ana.page.get_by_test_id("message").filter(has_text="checkout").first
    await ana.start_declaring_from(alert)
    await ana.choose("Major")
    reference = await ana.submit()
    await ana.close()
    await expect(ana.row(reference.lower())).to_be_visible(timeout=SLOWLY)
    await ana.row(reference.lower()).click()
    card = ana.message(reference).first
    await expect(ana.page.get_by_role("button", name="Take the lead").first).to_be_visible(timeout=SLOWLY)
    await picture(ana, "manage-1-card")
    await ana.page.get_by_role("button", name="Take the lead").first.click()
    await expect(ana.page.get_by_role("button", name="Take the lead")).to_have_count(0, timeout=SLOWLY)
    await open_form(ana, "update")
    await ana.dialog.get_by_role("textbox", name="Update").fill("The deploy of 21:05 is being rolled back.")
    await picture(ana, "manage-2-update")
    await send(ana, "Send")
    await expect(ana.message("is being rolled back")).to_be_visible(timeout=SLOWLY)
    await ana.say("/incident status monitoring")
    await expect(ana.message("status is Monitoring").first).to_be_visible(timeout=SLOWLY)
    await picture(ana, "manage-3-news")
    await open_form(ana, "role")
    await picture(ana, "manage-4-roles")
    await ana.leave_no_form()
    await ana.say("/incident action grow the pool")
    await expect(ana.message("grow the pool").first).to_be_visible(timeout=SLOWLY)
    await open_form(ana, "action")
    await picture(ana, "manage-5-actions")
    await ana.leave_no_form()
    await ana.say("/incident note the pool was too small")
    await expect(ana.message("Noted in the timeline").first).to_be_visible(timeout=SLOWLY)
    await ana.say("/incident show")
    await expect(ana.message("What happened").first).to_be_visible(timeout=SLOWLY)
    await picture(ana, "manage-6-show")
    await ana.say("/incident help")
    await expect(ana.message("In this channel").first).to_be_visible(timeout=SLOWLY)
    await picture(ana, "manage-7-help")
    await open_form(ana, "close")
    await expect(ana.dialog).to_contain_text("grow the pool")
    await picture(ana, "manage-8-close")
    await send(ana, "Close")
    await expect(ana.page.get_by_role("button", name="Reopen").first).to_be_visible(timeout=SLOWLY)
    await picture(ana, "manage-9-closed")
    assert card is not None


async def test_home_lists_and_choices_are_fit_to_be_seen(
    playground: Playground, window: Any, picture: Picture
) -> None:
    for width, height, name in ((1280, 800, "wide"), (390, 844, "phone")):
        screen = await window(playground.url, width=width, height=height)
        await screen.open("/client/C0GENERAL1")
        await screen.declare(f"login is slow {name}")
        await screen.say("/incident list")
        await expect(screen.message("Open incidents").first).to_be_visible(timeout=SLOWLY)
        await picture(screen, f"manage-list-{name}")
        await open_form(screen, "status")
        await picture(screen, f"manage-choose-{name}")
        await screen.leave_no_form()
        await open_form(screen, "")
        await expect(screen.dialog).to_contain_text("Open now:")
        await picture(screen, f"manage-declare-{name}")
        await screen.leave_no_form()
        await screen.open("/client")
        await screen.page.get_by_test_id("app").first.click()
        await expect(screen.page.get_by_text("login is slow").first).to_be_visible(timeout=SLOWLY)
        await picture(screen, f"manage-home-{name}")
        assert await screen.serious("Home") == []
