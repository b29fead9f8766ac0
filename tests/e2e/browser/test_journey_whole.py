"""An alert that may be no incident, accepted, paged for and closed: its page tells all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect
from support.paging import CONFIG, VARIABLES, PagingServices, running_services
from support.playground import Playground, running_playground
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Picture = Callable[[Responder, str], Awaitable[None]]

CLOSING = """
[[custom_fields]]
name = "Cause"
required_when = "closing"
"""
CALL = "https://meet.example.com/payments"


@pytest_asyncio.fixture(loop_scope="session")
async def services() -> AsyncIterator[PagingServices]:
    async with running_services() as services:
        yield services


@pytest_asyncio.fixture(loop_scope="session")
async def own_playground(tmp_path: Path, services: PagingServices) -> AsyncIterator[Playground]:
    """A playground of this journey's own, whose configuration names people on call."""
    config = tmp_path / "tocsin.toml"
    config.write_text(CLOSING + CONFIG.format(url=services.url))
    async with running_playground(tmp_path, TOCSIN_CONFIG=str(config), **VARIABLES) as playground:
        yield playground


async def declare_in_triage(ana: Responder, picture: Picture) -> str:
    await ana.enter("alerts")
    await ana.start_declaring_from(ana.message("FIRING: payment webhooks failing"))
    await ana.choose("Major")
    await ana.dialog.get_by_label("Start in triage").check()
    await picture(ana, "whole-01-form")
    reference = await ana.submit()
    await picture(ana, "whole-02-declared")
    await ana.close()
    return reference


async def accept(ana: Responder, reference: str, picture: Picture) -> None:
    await ana.row(reference.lower()).click()
    card = ana.message("Declared by")
    await expect(card).to_contain_text("Triage")
    await picture(ana, "whole-03-triage")
    await card.get_by_role("button", name="Accept").click()
    await expect(ana.dialog).to_be_visible()
    await ana.choose("Critical")
    await picture(ana, "whole-04-accept")
    await send(ana, "Accept")
    await expect(card.get_by_role("button", name="Take the lead")).to_be_visible()
    for said in ("Critical", "Investigating"):
        await expect(card).to_contain_text(said)
    await picture(ana, "whole-05-accepted")


async def send(ana: Responder, button: str) -> None:
    """The form sent, and its answer read and closed."""
    await ana.button(button).click()
    await expect(ana.button("Done")).to_be_visible()
    await ana.close()


async def page(ana: Responder, services: PagingServices, picture: Picture) -> None:
    await ana.say("/incident page payments webhooks are not delivered")
    await expect(ana.dialog).to_contain_text("Page payments now?")
    await picture(ana, "whole-08-page")
    assert services.asked == 0
    await send(ana, "Page")
    paged = ana.message("Paged payments (PagerDuty)").last
    await expect(paged).to_contain_text("webhooks are not delivered")
    await picture(ana, "whole-09-paged")
    await paged.get_by_role("button", name="Acknowledge").click()
    await expect(paged).to_contain_text("Acknowledged by")
    await picture(ana, "whole-10-acknowledged")
    (alert,) = services.alerts.values()
    assert alert.status == "acknowledged"


async def close(ana: Responder, picture: Picture) -> None:
    await ana.say("/incident close")
    await expect(ana.dialog).to_contain_text("restart the workers")
    await ana.field("Cause").fill("A certificate had expired")
    await ana.dialog.get_by_role("textbox", name="resolved").fill("The certificate was renewed.")
    await picture(ana, "whole-13-close")
    await send(ana, "Close")
    await expect(ana.page.get_by_role("button", name="Reopen").first).to_be_visible()
    await expect(ana.message("Open actions and follow-ups").last).to_be_visible()
    await picture(ana, "whole-14-closed")


async def test_an_alert_in_triage_becomes_a_closed_incident_whose_page_tells_all_of_it(
    own_playground: Playground, services: PagingServices, window: Any, picture: Picture
) -> None:
    ana = await window(own_playground.address)
    reference = await declare_in_triage(ana, picture)
    await accept(ana, reference, picture)
    await ana.say("/incident time detected 20 minutes ago")
    await expect(ana.message("Detected").last).to_be_visible()
    await ana.say("/incident times")
    await expect(ana.dialog).to_be_visible()
    await picture(ana, "whole-06-times")
    await ana.leave_no_form()
    await ana.say("/incident action restart the workers")
    await expect(ana.message("restart the workers").first).to_be_visible()
    await picture(ana, "whole-07-action")
    await page(ana, services, picture)
    await ana.say(f"/incident call {CALL}")
    await expect(ana.message(CALL).last).to_be_visible()
    await picture(ana, "whole-11-call")
    await ana.say("/incident update Their certificate has expired.")
    await expect(ana.message("Their certificate has expired.").last).to_be_visible()
    await picture(ana, "whole-12-update")
    await close(ana, picture)
    await ana.page.goto(f"{ana.url}/incidents/{reference}")
    main = ana.page.locator("main")
    told = [
        *("Critical", "Closed", "Detected", "Fixed", "Time to fix", CALL, "A certificate had expired"),
        *("restart the workers", "payments (PagerDuty): webhooks are not delivered", "acknowledged the page"),
        *("Their certificate has expired.", "The certificate was renewed.", "accepted it as"),
    ]
    for said in told:
        await expect(main).to_contain_text(said)
    await ana.page.set_viewport_size({"width": 1280, "height": 1900})
    await picture(ana, "whole-15-page")
    await ana.page.goto("about:blank")
