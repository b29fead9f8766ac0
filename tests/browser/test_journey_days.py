"""From one day to the next: what was there is there again, until somebody asks to start over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.playground import running_playground
from fakes.responder import Responder
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def first_day(ana: Responder, picture: Any) -> None:
    await ana.open("/client/C0GENERAL1")
    await ana.say("Is anybody else seeing slow carts?")
    await ana.start_declaring("Checkout is slow")
    await ana.choose("Major")
    await ana.field("Summary").fill("p95 above 4 s since 14:02, some carts time out")
    await ana.field("Incident Lead").select_option(label="Chloe Marchetti")
    await picture(ana, "declare")
    assert await ana.submit() == "INC-1"
    await expect(ana.dialog.get_by_role("link", name="#inc-1-checkout-is-slow").first).to_be_visible()
    await expect(ana.message("INC-1")).to_contain_text("#inc-1-checkout-is-slow")
    await expect(ana.row("inc-1-checkout-is-slow")).to_be_visible()
    await picture(ana, "declared")
    await ana.close()
    await picture(ana, "announced")


async def test_a_restart_keeps_everything_and_fresh_starts_over(
    tmp_path: Path, window: Any, picture: Any
) -> None:
    async with running_playground(tmp_path) as playground:
        ana = await window(playground.url)
        await first_day(ana, picture)
        await ana.page.goto("about:blank")
        assert await playground.interrupt() == 0
    async with running_playground(tmp_path) as playground:
        ana = await window(playground.url)
        await ana.open("/client/C0GENERAL1")
        await expect(ana.message("slow carts")).to_be_visible()
        await expect(ana.message("INC-1")).to_contain_text("Checkout is slow")
        await ana.row("inc-1-checkout-is-slow").click()
        await expect(ana.message("p95 above 4 s")).to_contain_text("Pinned")
        await ana.page.goto(f"{playground.url}/incidents/INC-1")
        await expect(ana.page.get_by_role("heading", name="Checkout is slow")).to_be_visible()
        await ana.open("/client/C0GENERAL1")
        assert await ana.declare("A second one") == "INC-2"
        await ana.page.goto("about:blank")
    async with running_playground(tmp_path, "--fresh") as playground:
        ana = await window(playground.url)
        await ana.open("/client/C0GENERAL1")
        await expect(ana.message("Type /incident")).to_be_visible()
        await expect(ana.page.locator("#messages")).not_to_contain_text("slow carts")
        await ana.page.goto(f"{playground.url}/incidents")
        await expect(ana.page.locator("main")).to_contain_text("No incidents yet.")
        await ana.open("/client/C0GENERAL1")
        assert await ana.declare("The first again") == "INC-1"
        await ana.page.goto("about:blank")
