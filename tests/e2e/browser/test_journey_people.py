"""Who sees what: the private stays private, a guest is no obstacle, two people do not make two incidents."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.async_api import expect
from support.playground import Playground
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_private_incident_is_known_to_its_reporter_and_nobody_else(
    ana: Responder, playground: Playground, window: Any, picture: Any
) -> None:
    secret = "Payroll was sent to everyone"
    await ana.start_declaring(secret)
    await ana.choose("Major")
    await ana.field("Private incident").check()
    reference = await ana.submit()
    await picture(ana, "result-private")
    await ana.close()
    channel = f"{reference.lower()}-payroll-was-sent-to-everyone"
    await ana.row(channel).click()
    await expect(ana.message(f"{reference} {secret}")).to_contain_text("Private")
    await expect(ana.page.get_by_role("heading", name=channel).first).to_be_visible()
    await picture(ana, "channel-private")
    address = ana.page.url.removeprefix(ana.url)

    priya = await window(playground.address)
    await priya.open("/client")
    await priya.act_as("Priya Raman")
    await expect(priya.row("general")).to_be_visible()
    await expect(priya.row(channel)).to_have_count(0)
    for public in ("general", "incidents"):
        await priya.enter(public)
        await expect(priya.page.locator("#messages")).not_to_contain_text(secret)
    await priya.page.goto(f"{ana.url}/incidents")
    await expect(priya.page.get_by_role("heading", name="Incidents")).to_be_visible()
    await expect(priya.page.locator("main")).not_to_contain_text(secret)
    priya.expects("status of 404")
    assert (await priya.page.goto(f"{ana.url}{address}")).status == 404
    async with httpx.AsyncClient(base_url=ana.url) as http:
        await http.get(playground.address)
        refused, unknown = [await http.get(f"/incidents/{which}") for which in (reference, "INC-99999")]
    assert (refused.status_code, refused.text) == (404, unknown.text)


async def test_a_guest_reads_whom_to_ask_and_what_they_typed_is_still_there(
    ana: Responder, playground: Playground, window: Any, picture: Any
) -> None:
    gus = await window(playground.address)
    await gus.open("/client")
    await gus.act_as("Gus Lindqvist")
    # Until Tocsin knows who somebody is, its form opens for them, and refuses when it is sent.
    await gus.page.get_by_role("link", name="Tocsin").click()
    await expect(gus.page.locator("main")).to_contain_text("Guests of this workspace may not")
    await gus.enter("haulpartner")
    await gus.say("/incident Our feed is late")
    await expect(gus.message("Ask a member of the workspace")).to_contain_text("/incident Our feed is late")
    await expect(gus.dialog).to_have_count(0)
    await picture(gus, "guest")


async def test_two_people_with_the_form_on_one_message_make_one_incident(
    ana: Responder, playground: Playground, window: Any, picture: Any
) -> None:
    await ana.enter("haulpartner")
    await ana.say("Gate 4 is stuck")
    priya = await window(playground.address)
    await priya.open("/client")
    await priya.act_as("Priya Raman")
    await priya.enter("haulpartner")
    for person in (ana, priya):
        await person.start_declaring_from(person.message("Gate 4 is stuck"))
        await person.choose("Minor")
    reference = await ana.submit()
    await ana.close()
    await priya.button("Declare").click()
    await expect(priya.dialog).to_contain_text(f"{reference}, declared by @Ana Ferreira")
    await picture(priya, "declared-meanwhile")
    await priya.close()
    await expect(priya.message("Gate 4 is stuck")).to_contain_text("1 reply")
