"""The form under a tired hand: mistakes are named where they are, and nothing typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_name_that_is_too_long_is_marked_kept_and_then_sent(ana: Responder, picture: Any) -> None:
    long = "x" * 201
    await ana.start_declaring()
    await ana.field("Name").fill(long)
    await ana.choose("Minor")
    await ana.field("Summary").fill("two\nlines")
    await ana.button("Declare").click()
    name = ana.field("Name")
    await expect(name).to_have_attribute("aria-invalid", "true")
    await expect(name).to_have_accessible_description("Shorten the name to 200 characters; it has 201.")
    await expect(name).to_be_focused()
    await expect(name).to_have_value(long)
    await expect(ana.field("Summary")).to_have_value("two\nlines")
    await picture(ana, "form-refused")
    await name.fill("A shorter one")
    reference = await ana.submit()
    await ana.close()
    await expect(ana.message(reference)).to_contain_text("A shorter one")


async def test_every_kind_of_field_is_kept_refused_corrected_and_declared(
    ana: Responder, picture: Any
) -> None:
    await ana.start_declaring("Carts are empty")
    await ana.choose("Critical")
    await ana.field("Summary").fill("Since the deploy")
    await ana.field("Incident Lead").select_option(label="Darius Novak")
    await ana.button("More fields").click()
    await expect(ana.field("Status page")).to_be_visible()
    await expect(ana.field("Name")).to_have_value("Carts are empty")
    await expect(ana.field("Summary")).to_have_value("Since the deploy")
    await expect(ana.field("Incident Lead").locator("option:checked")).to_have_text("Darius Novak")
    area = ana.dialog.get_by_role("group", name="Affected area")
    await area.get_by_label("Payments").check()
    await area.get_by_label("Website").check()
    await ana.field("Detected by").select_option(label="Customer")
    await ana.field("Customers affected").fill("many")
    await ana.field("Status page").fill("status page")
    await ana.field("Customer or ticket").fill("Ticket 4711")
    await picture(ana, "form-more-fields")
    await ana.button("Declare").click()
    await expect(ana.field("Status page")).to_have_attribute("aria-invalid", "true")
    await expect(ana.field("Customers affected")).to_have_attribute("aria-invalid", "true")
    await expect(ana.field("Customers affected")).to_have_value("many")
    await expect(ana.field("Customer or ticket")).to_have_value("Ticket 4711")
    await picture(ana, "form-more-fields-refused")
    await ana.field("Status page").fill("https://status.lumen.example/today")
    await ana.field("Customers affected").fill("1200")
    reference = await ana.submit()
    await ana.close()
    await ana.page.goto(f"{ana.url}/incidents/{reference}")
    facts = ana.page.get_by_role("region", name="Facts")
    for said in (
        "Payments",
        "Website",
        "Customer",
        "1200",
        "https://status.lumen.example/today",
        "Ticket 4711",
    ):
        await expect(facts).to_contain_text(said)
    await picture(ana, "incident-full")


async def test_a_message_that_has_an_incident_says_so_and_another_is_made_on_purpose(
    ana: Responder, picture: Any
) -> None:
    await ana.enter("haulpartner")
    await ana.say("Trucks in Ghent cannot check in")
    message = ana.message("Trucks in Ghent cannot check in")
    await ana.start_declaring_from(message)
    await ana.choose("Major")
    first = await ana.submit()
    await ana.close()
    await ana.start_declaring_from(message)
    await expect(ana.dialog).to_contain_text(f"{first}, declared by @Ana Ferreira")
    await expect(ana.dialog.get_by_role("link", name="Open it")).to_have_attribute(
        "href", f"{ana.url}/incidents/{first}"
    )
    await picture(ana, "already-declared")
    await ana.button("Declare another").click()
    await expect(ana.field("Name")).to_have_value("Trucks in Ghent cannot check in")
    await ana.choose("Minor")
    assert await ana.submit() != first
    await ana.close()


async def test_help_is_whispered_and_a_slip_of_the_finger_is_asked_about(
    ana: Responder, picture: Any
) -> None:
    await ana.say("/incident help")
    whispered = ana.message("/incident help")
    await expect(whispered).to_contain_text("Only visible to you")
    await picture(ana, "help")
    await ana.say("/incident hlep")
    await expect(ana.dialog).to_contain_text("Did you mean /incident help?")
    await expect(ana.field("Name")).to_have_value("hlep")
    await picture(ana, "did-you-mean")
    await ana.page.keyboard.press("Escape")
    await expect(ana.dialog).to_have_count(0)
