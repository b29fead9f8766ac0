"""From one day to the next: what was there is there again, until somebody asks to start over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect
from support.playground import running_playground
from support.responder import Responder

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
        ana = await window(playground.address)
        await first_day(ana, picture)
        await ana.page.goto("about:blank")
        assert await playground.interrupt() == 0
    async with running_playground(tmp_path) as playground:
        ana = await window(playground.address)
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
        ana = await window(playground.address)
        await ana.open("/client/C0GENERAL1")
        await expect(ana.message("Type /incident")).to_be_visible()
        await expect(ana.page.locator("#messages")).not_to_contain_text("slow carts")
        await ana.page.goto(f"{playground.url}/incidents")
        await expect(ana.page.locator("main")).to_contain_text("No incidents yet.")
        await ana.open("/client/C0GENERAL1")
        assert await ana.declare("The first again") == "INC-1"
        await ana.page.goto("about:blank")


async def test_an_open_page_goes_on_after_a_restart_and_is_told_when_all_was_started_anew(
    tmp_path: Path, window: Any, picture: Any
) -> None:
    async with running_playground(tmp_path) as playground:
        ana = await window(playground.address)
        # A page without a drawing of its own has the browser ask for /favicon.ico.
        for said in ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "of 403", "of 404"):
            ana.expects(said)
        await ana.open("/client/C0GENERAL1")
        port = playground.url.rpartition(":")[2]
    told = ana.page.get_by_role("alert")
    await expect(told).to_contain_text("Is it still running?")
    async with running_playground(tmp_path, "--port", port):
        await expect(told).to_be_hidden()
        await ana.say("Still here")
        await expect(ana.message("Still here")).to_be_visible()
    async with running_playground(tmp_path, "--fresh", "--port", port) as playground:
        await expect(told).to_contain_text("started anew. Open the address that was printed then.")
        await ana.say("Is anybody there?")
        await expect(ana.composer).to_have_value("Is anybody there?")
        await picture(ana, "started-anew")
        await ana.page.reload()
        await expect(ana.page.get_by_text("Open the address that was printed")).to_be_visible()
        await picture(ana, "refused")
        await ana.page.goto(playground.address)
        await expect(ana.page.get_by_role("heading", name="general").first).to_be_visible()
        assert "token" not in ana.page.url
        await picture(ana, "let-in")
        await ana.page.goto("about:blank")
