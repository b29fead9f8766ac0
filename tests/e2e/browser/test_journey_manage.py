"""One incident from the alert to its end, at the screen: every form and card on the way is pictured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Locator, expect
from support.playground import Playground
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Picture = Callable[[Responder, str], Awaitable[None]]


async def open_form(screen: Responder, text: str) -> None:
    """`/incident …` typed, and its form on the screen."""
    await screen.say(f"/incident {text}")
    await expect(screen.dialog).to_be_visible()


async def send(screen: Responder, button: str) -> None:
    """The form sent, and its answer read and closed."""
    await screen.button(button).click()
    await expect(screen.button("Done")).to_be_visible()
    await screen.close()


async def pin(screen: Responder, message: Locator) -> None:
    await screen.pick(message, "Pin to this channel")
    await expect(message).to_contain_text("Pinned")


async def declare_from_the_alert(screen: Responder) -> str:
    """The reference of what was declared; its channel is in the sidebar."""
    await screen.enter("alerts")
    alert = screen.page.get_by_test_id("message").filter(has_text="checkout").first
    await screen.start_declaring_from(alert)
    await screen.choose("Major")
    reference = await screen.submit()
    await screen.close()
    await expect(screen.row(reference.lower())).to_be_visible()
    return reference


async def take_away(screen: Responder, picture: Picture, reference: str) -> None:
    """What is left of a closed incident: its document in the channel, and its export in a message."""
    summary = screen.message("Open actions and follow-ups:")
    await summary.get_by_role("button", name="Write the post-incident document").click()
    canvas = screen.page.get_by_test_id("canvas")
    await expect(canvas).to_be_visible()
    await summary.get_by_role("button", name="Export").click()
    await expect(screen.message("in your messages").last).to_be_visible()
    await picture(screen, "manage-10-taken-away")
    await canvas.click()
    for word in ("the pool was at 20 of 20", "write a runbook", "Critical"):
        await expect(screen.page.get_by_text(word).first).to_be_visible()
    await picture(screen, "manage-11-document")
    await screen.enter("Tocsin")
    file = screen.page.get_by_role("link", name=reference).last
    await expect(file).to_be_visible()
    await picture(screen, "manage-12-export")


async def test_one_incident_from_the_alert_to_its_end(ana: Responder, picture: Picture) -> None:
    reference = await declare_from_the_alert(ana)
    await ana.row(reference.lower()).click()
    card = ana.message(reference).first
    await expect(ana.page.get_by_role("button", name="Take the lead").first).to_be_visible()
    await picture(ana, "manage-1-card")
    await ana.page.get_by_role("button", name="Take the lead").first.click()
    await expect(ana.page.get_by_role("button", name="Take the lead")).to_have_count(0)
    await open_form(ana, "update")
    await ana.dialog.get_by_role("textbox", name="Update").fill("The deploy of 21:05 is being rolled back.")
    await picture(ana, "manage-2-update")
    await send(ana, "Send")
    await expect(ana.message("is being rolled back")).to_be_visible()
    await ana.say("/incident status monitoring")
    await expect(ana.message("status is Monitoring").first).to_be_visible()
    await picture(ana, "manage-3-news")
    await ana.say("/incident severity critical")
    await expect(ana.message("severity is Critical").first).to_be_visible()
    await ana.say("the pool was at 20 of 20 since 21:06")
    evidence = ana.message("the pool was at 20 of 20")
    await expect(evidence).to_be_visible()
    await pin(ana, evidence)
    await open_form(ana, "role")
    await picture(ana, "manage-4-roles")
    await ana.leave_no_form()
    await ana.say("/incident action grow the pool")
    await expect(ana.message("grow the pool").first).to_be_visible()
    await open_form(ana, "action")
    await picture(ana, "manage-5-actions")
    await ana.leave_no_form()
    await ana.say("/incident follow-up write a runbook for the pool")
    await expect(ana.message("write a runbook").first).to_be_visible()
    await ana.say("/incident note the pool was too small")
    await expect(ana.message("Added to the timeline").first).to_be_visible()
    await ana.say("/incident show")
    await expect(ana.message("Timeline").first).to_be_visible()
    await picture(ana, "manage-6-show")
    await ana.say("/incident help")
    await expect(ana.message("In this channel").first).to_be_visible()
    await picture(ana, "manage-7-help")
    await open_form(ana, "close")
    await expect(ana.dialog).to_contain_text("grow the pool")
    await picture(ana, "manage-8-close")
    await send(ana, "Close")
    await expect(ana.page.get_by_role("button", name="Reopen").first).to_be_visible()
    await picture(ana, "manage-9-closed")
    assert card is not None
    await take_away(ana, picture, reference)
    await picture(ana, "manage-12-export")


async def test_home_lists_and_choices_are_fit_to_be_seen(
    playground: Playground, window: Any, picture: Picture
) -> None:
    for width, height, name in ((1280, 800, "wide"), (390, 844, "phone")):
        screen = await window(playground.address, width=width, height=height)
        await screen.open("/client/C0GENERAL1")
        await screen.declare(f"login is slow {name}")
        await screen.say("/incident list")
        await expect(screen.message("Open incidents").first).to_be_visible()
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
        await expect(screen.page.get_by_text("login is slow").first).to_be_visible()
        await picture(screen, f"manage-home-{name}")
        assert await screen.serious("Home") == []
