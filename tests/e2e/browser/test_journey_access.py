"""Nobody is kept out: what axe calls serious is nowhere, light or dark, wide or narrow."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect
from support.browser import SCHEMES, axe_findings
from support.playground import Playground
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("width", [1280, 400])
async def test_no_page_and_no_form_keeps_anyone_out(
    playground: Playground, window: Any, picture: Any, width: int
) -> None:
    screen = await window(playground.address, width=width)

    async def looked_at(name: str) -> list[str]:
        for scheme in SCHEMES:
            await screen.page.emulate_media(color_scheme=scheme)
            await picture(screen, f"{scheme}-{width}-{name}")
        return await axe_findings(screen.page, name)

    await screen.open("/client/C0GENERAL1")
    await screen.start_declaring("Checkout is slow")
    await screen.button("More fields").click()
    await expect(screen.field("Status page")).to_be_visible()
    await screen.field("Customers affected").fill("many")
    await screen.button("Declare").click()
    await expect(screen.field("Severity")).to_have_attribute("aria-invalid", "true")
    found = await looked_at("form")
    await screen.field("Customers affected").fill("12")
    await screen.choose("Critical")
    reference = await screen.submit()
    found += await looked_at("result")
    await screen.close()
    await expect(screen.message(reference)).to_be_visible()
    found += await looked_at("channel")
    for name, path in {"incident": f"/incidents/{reference}", "incidents": "/incidents"}.items():
        await screen.page.goto(screen.url + path)
        found += await looked_at(name)
    assert found == []


async def test_the_list_of_incidents_fits_a_phone(playground: Playground, window: Any) -> None:
    phone: Responder = await window(playground.address, width=400, height=860)
    await phone.page.goto(f"{playground.url}/incidents")
    assert await phone.page.evaluate("document.documentElement.scrollWidth") <= 400
