"""Declaring, on every way in: by command, from an alert, from a reply, by keyboard alone, by touch."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest
from playwright.async_api import expect
from support.playground import Playground
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SUMMARY = "p95 above 4 s since 14:02, some carts time out"


async def fill_the_form(ana: Responder) -> None:
    await ana.page.keyboard.press("/")
    await ana.page.keyboard.type("inc")
    await expect(ana.page.get_by_role("option", name="/incident")).to_be_visible()
    await ana.page.keyboard.press("Enter")
    await ana.page.keyboard.press("Enter")
    await expect(ana.field("Name")).to_be_focused()
    await ana.field("Name").fill("Checkout is slow")
    await ana.choose("Major")
    await ana.field("Summary").fill(SUMMARY)
    await ana.field("Incident Lead").select_option(label="Chloe Marchetti")


async def test_a_command_gives_an_incident_with_reference_permalink_and_channel(
    ana: Responder, playground: Playground, picture: Any
) -> None:
    await fill_the_form(ana)
    await picture(ana, "form")
    reference = await ana.submit()
    permalink = f"{playground.url}/incidents/{reference}"
    channel = f"{reference.lower()}-checkout-is-slow"
    await expect(ana.dialog).to_contain_text(f"Carry on in #{channel}.")
    await expect(ana.dialog).to_contain_text("Major · Investigating · Lead: @Chloe Marchetti")
    await expect(ana.dialog.get_by_role("link", name=permalink)).to_have_attribute("href", permalink)
    await ana.dialog.get_by_role("link", name=f"#{channel}").hover()
    await picture(ana, "result")
    await ana.close()

    card = ana.message(reference)
    for said in ("Checkout is slow", SUMMARY, "Major", "Investigating", "@Chloe Marchetti", f"#{channel}"):
        await expect(card).to_contain_text(said)
    await expect(card).to_contain_text("Declared by @Ana Ferreira")
    await picture(ana, "card")
    await ana.row("incidents").click()
    await expect(ana.message(reference)).to_contain_text("Checkout is slow")

    await ana.row(channel).click()
    head = ana.page.locator("#head")
    await expect(head.locator(".topic")).to_have_text("Major · Investigating · Checkout is slow")
    await expect(head.get_by_test_id("bookmark")).to_have_attribute("href", permalink)
    await expect(head).to_contain_text("1 pinned")
    await expect(ana.message(SUMMARY)).to_contain_text("Pinned")
    await expect(ana.page.locator("#messages")).to_contain_text("Chloe Marchetti has joined the channel")
    await picture(ana, "channel")

    async with ana.page.context.expect_page() as opening:
        await ana.message(SUMMARY).get_by_role("link", name="Open incident").click()
    page = await opening.value
    await expect(page.get_by_role("heading", name="Checkout is slow")).to_be_visible()
    people = ("Chloe Marchetti", "Declared just now by Ana Ferreira")
    for said in (reference, SUMMARY, "Major", "Investigating", f"#{channel}", *people):
        await expect(page.locator("main")).to_contain_text(said)
    await picture(Responder(ana.url, page), "incident")
    await assert_kept(playground, permalink, reference)


async def assert_kept(playground: Playground, permalink: str, reference: str) -> None:
    """The permalink and the file say the same as the screen."""
    async with httpx.AsyncClient() as http:
        await http.get(playground.address)
        told = (await http.get(permalink, headers={"accept": "application/json"})).json()["incident"]
    with closing(sqlite3.connect(f"file:{playground.folder / 'incidents.db'}?mode=ro", uri=True)) as kept:
        rows = kept.execute("SELECT name, summary FROM incidents WHERE reference = ?", [reference]).fetchall()
    assert rows == [("Checkout is slow", SUMMARY)]
    assert (told["reference"], told["name"], told["summary"]) == (reference, *rows[0])


async def test_an_alert_becomes_an_incident_that_quotes_it_and_answers_in_its_thread(
    ana: Responder, picture: Any
) -> None:
    await ana.enter("alerts")
    alert = ana.message("FIRING: payment webhooks failing")
    await ana.start_declaring_from(alert)
    await expect(ana.field("Name")).to_have_value("payment webhooks failing")
    summary = await ana.field("Summary").input_value()
    assert "312 errors in 5 minutes" in summary
    assert "— Watchtower http" in summary
    await picture(ana, "form-from-an-alert")
    await ana.choose("Critical")
    reference = await ana.submit()
    await ana.close()
    await alert.get_by_role("link", name="1 reply").click()
    thread = ana.page.get_by_role("complementary", name="Thread")
    await expect(thread).to_contain_text(f"{reference}  payment webhooks failing")
    quote = thread.get_by_role("blockquote").last
    await expect(quote).to_contain_text(re.compile(r"^312 errors in 5 minutes .*— Watchtower$", re.DOTALL))
    await expect(thread.get_by_role("link", name="Source message")).to_be_visible()
    await picture(ana, "thread")


async def test_a_persons_reply_in_a_thread_becomes_an_incident_in_that_thread(ana: Responder) -> None:
    await ana.enter("alerts")
    await ana.message("Checkout p95 above 4 s").locator(".thread-link").click()
    thread = ana.page.get_by_role("complementary", name="Thread")
    reply = thread.get_by_test_id("message").filter(has_text="pool of connections")
    await ana.start_declaring_from(reply)
    await expect(ana.field("Name")).to_have_value("The pool of connections to orders-db is full")
    await ana.field("Name").fill("The pool of orders-db is full")
    await ana.choose("Major")
    reference = await ana.submit()
    await ana.close()
    await expect(thread).to_contain_text(f"{reference}  The pool of orders-db is full")
    await expect(ana.page.locator("#messages")).not_to_contain_text(f"{reference}  The pool")


async def test_everything_can_be_done_with_the_keyboard_alone(ana: Responder) -> None:
    await ana.enter("alerts")
    keys = ana.page.keyboard
    alert = ana.message("disk usage on db-replica-2")
    more = alert.get_by_role("button", name="More actions")
    shortcut = ana.page.get_by_role("button", name="Declare incident").filter(visible=True)
    await press_until_focused(ana, "Tab", more)
    await keys.press("Enter")
    await press_until_focused(ana, "Tab", shortcut)
    await keys.press("Enter")
    await expect(ana.field("Name")).to_be_focused()
    # What is open by now stands between the name and the severity, with its links.
    await press_until_focused(ana, "Tab", ana.field("Severity"))
    await keys.type("Minor")
    await press_until_focused(ana, "Tab", ana.button("Declare"))
    await keys.press("Enter")
    await ana.see_declared()
    await keys.press("Escape")
    await expect(ana.dialog).to_have_count(0)
    await keys.press("/")
    await expect(ana.composer).to_be_focused()


async def press_until_focused(ana: Responder, key: str, wanted: Any) -> None:
    for _ in range(80):
        await ana.page.keyboard.press(key)
        if await wanted.evaluate_all("found => found.includes(document.activeElement)"):
            return
    raise AssertionError(f"{key} never reached {wanted}")


async def test_a_phone_declares_from_an_alert_by_touch(
    playground: Playground, window: Any, picture: Any
) -> None:
    phone = await window(playground.address, width=400, height=860, has_touch=True, is_mobile=True)
    await phone.open("/client")
    await picture(phone, "phone-channels")
    await phone.row("haulpartner").tap()
    message = phone.message("Our maintenance window")
    await message.get_by_role("button", name="More actions").tap()
    await phone.page.get_by_role("button", name="Declare incident").filter(visible=True).tap()
    await expect(phone.button("Declare")).to_be_visible()
    await phone.choose("Minor")
    await picture(phone, "phone-form")
    await phone.button("Declare").tap()
    await phone.see_declared()
    assert await phone.page.evaluate("document.documentElement.scrollWidth") <= 400
    await picture(phone, "phone-result")
    await phone.button("Done").tap()
    await expect(phone.dialog).to_have_count(0)
    await picture(phone, "phone-channel")
    await message.get_by_role("link", name="1 reply").tap()
    await expect(phone.page.get_by_role("complementary", name="Thread")).to_contain_text("INC-")
    await picture(phone, "phone-thread")
