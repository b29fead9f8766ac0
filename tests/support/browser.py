"""A real browser on the workspace's page, or a reason why there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    async_playwright,
    expect,
)

from support.patience import LIMIT

PATIENCE = 1000 * LIMIT
"""Milliseconds until something is seen."""

expect.set_options(timeout=PATIENCE)

ARGUMENTS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCHEMES: dict[Literal["light", "dark"], dict[str, object]] = {
    "light": {},
    "dark": {"runOnly": ["color-contrast", "link-in-text-block"]},
}
"""What of axe's rules runs in which colours: no other rule depends on them."""
# What the browser itself says when a form comes back with mistakes.
EXPECTED_CONSOLE = ("status of 422",)


def find_chromium() -> str | None:
    """The browser without a desktop's parts, which takes half of the processor's time; else the whole one."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def required_chromium() -> str:
    """Skips the test where there is no browser; fails it where CI=true says there must be one."""
    found = find_chromium()
    if found is None:
        reason = "needs Debian's chromium: apt-get install chromium-headless-shell"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@dataclass
class Screen:
    """One person's page, and the complaints of its console."""

    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Go there, and wait until the page listens to changes."""
        async with self.page.expect_response(lambda r: r.url.endswith("/live")):
            await self.page.goto(self.url + path)
        await self.page.wait_for_load_state("load")

    @property
    def composer(self) -> Locator:
        return self.page.locator("#composer")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def button(self, name: str) -> Locator:
        """A button of the open modal."""
        return self.dialog.get_by_role("button", name=name, exact=True)

    def message(self, text: str) -> Locator:
        """The newest message with that text in the conversation."""
        return self.page.locator("#messages [data-testid=message]").filter(has_text=text).last

    async def say(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def act_as(self, name: str) -> None:
        await self.page.get_by_test_id("switch-person").click()
        await self.page.get_by_role("button", name=name).last.click()
        await self.page.get_by_role("button", name=f"Acting as {name}").wait_for()

    def hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known in message.text for known in EXPECTED_CONSOLE):
            self.complaints.append(message.text)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """The browser as a process; a test opens windows of its own in it."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=required_chromium(), args=ARGUMENTS)
        yield chromium
        await chromium.close()


async def let_in(context: BrowserContext, address: str) -> str:
    """Have a browser open the address that a playground prints; where the pages are from then on."""
    answer = await context.request.get(address, max_redirects=0)
    assert answer.status == 303, await answer.text()
    return address.partition("/?")[0]


async def axe_findings(page: Page, where: str, *, any_impact: bool = False) -> list[str]:
    """What axe calls serious or critical on a page, or calls anything, in light colours and in dark ones."""
    found, axe = [], Axe()
    for scheme, options in SCHEMES.items():
        await page.emulate_media(color_scheme=scheme)
        results = await axe.run(page, options={"resultTypes": ["violations"], **options})
        # The page has it now: half a megabyte that is not read twice.
        axe.axe_script = ""
        found += [
            f"{where}, {scheme}: {violation['id']} {node['target']} {node['failureSummary']}"
            for violation in results.response["violations"]
            if any_impact or violation["impact"] in ("serious", "critical")
            for node in violation["nodes"][:3]
        ]
    await page.emulate_media(color_scheme="light")
    return found


@asynccontextmanager
async def opened(
    chromium: Browser,
    address: str,
    *,
    width: int = 1280,
    height: int = 800,
    touch: bool = False,
) -> AsyncIterator[Screen]:
    """A browser window on pages that are there, with a token or without; its console must stay silent."""
    context = await chromium.new_context(
        viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch
    )
    context.set_default_timeout(PATIENCE)
    url = await let_in(context, address) if "?" in address else address
    screen = Screen(url, await context.new_page())
    screen.page.on("console", screen.hear)
    screen.page.on("pageerror", lambda error: screen.complaints.append(str(error)))
    try:
        yield screen
    finally:
        await context.close()
    assert screen.complaints == []
