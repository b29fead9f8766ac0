"""A workflow declares by its step, and a link to what it declared is shown as an incident."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect
from support.responder import Responder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_step_is_run_and_what_it_gave_is_linked_to(ana: Responder, picture: Any) -> None:
    await ana.page.get_by_role("link", name="Workflow Builder").click()
    step = ana.page.get_by_role("region", name="Declare an incident")
    run = ana.page.get_by_test_id("run").first
    await step.get_by_label("Name").fill("The nightly import failed")
    await step.get_by_label("Severity").fill("dreadful")
    await step.get_by_role("button", name="Run this step").click()
    await expect(run).to_contain_text("There is no severity “dreadful”")
    await step.get_by_label("Name").fill("The nightly import failed")
    await step.get_by_label("Severity").fill("min")
    await step.get_by_label("Summary").fill("It stopped at noon")
    await step.get_by_role("button", name="Run this step").click()
    await expect(run).to_contain_text("completed")
    await expect(run).to_contain_text("INC-")
    await picture(ana, "workflow-step")
    found = re.search(r"http://\S+/incidents/INC-\d+", await run.inner_text())
    assert found is not None
    await ana.open("/client/C0GENERAL1")
    await ana.say(f"The import again: {found[0]}")
    shown = ana.message("The import again").get_by_test_id("entity")
    await expect(shown).to_contain_text("The nightly import failed")
    await expect(shown).to_contain_text("Investigating")
    await picture(ana, "link-shown")
    assert await ana.serious("a link that is shown") == []
