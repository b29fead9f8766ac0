"""One playground and one browser for all journeys; each journey has its own window; pictures are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from support.browser import PATIENCE, let_in
from support.playground import Playground, running_playground
from support.responder import Responder

PICTURES = pytest.StashKey[Path]()

Window = Callable[..., Awaitable[Responder]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playground(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Playground]:
    async with running_playground(tmp_path_factory.mktemp("playground")) as running:
        yield running
    # On a busy machine a look that may be left out is left out, and logged.
    said = [line for line in running.said if "not done in time" not in line]
    only = "It says where it is, how to send it an alert, and nothing else."
    assert len(said) == 3, "\n".join([only, *said])


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> Path:
    """The folder of this run's screenshots, which outlives pytest's own folders."""
    return request.config.stash.setdefault(PICTURES, Path(mkdtemp(prefix="tocsin-screenshots-")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (folder := config.stash.get(PICTURES, None)) is not None:
        terminalreporter.write_line(f"Screenshots of the browser journeys: {folder}")


@pytest_asyncio.fixture(loop_scope="session")
async def window(chromium: Browser) -> AsyncIterator[Window]:
    """Open windows; at the end no console has complained and no request has left this machine."""
    opened: list[Responder] = []
    async with AsyncExitStack() as stack:

        async def window(address: str, *, width: int = 1280, height: int = 800, **look: Any) -> Responder:
            context = await chromium.new_context(viewport={"width": width, "height": height}, **look)
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE)
            screen = Responder(await let_in(context, address), await context.new_page())
            context.on("request", screen.watch)
            context.on("console", screen.hear)
            context.on("weberror", lambda error: screen.complaints.append(str(error.error)))
            opened.append(screen)
            return screen

        yield window
        # A form left open by a failed journey would stand in the way of the next one.
        for screen in opened:
            await screen.leave_no_form()
    assert [complaint for screen in opened for complaint in screen.complaints] == []
    assert [url for screen in opened for url in screen.strangers] == []


@pytest_asyncio.fixture(loop_scope="session")
async def ana(playground: Playground, window: Window) -> Responder:
    """Ana at a wide screen, in #general."""
    screen = await window(playground.address)
    await screen.open("/client/C0GENERAL1")
    return screen


@pytest.fixture
def picture(pictures: Path) -> Callable[[Responder, str], Awaitable[None]]:
    """Keep a screenshot as an artefact."""

    async def picture(screen: Responder, name: str) -> None:
        path = pictures / f"{name}.png"
        await screen.page.mouse.move(0, 0)
        await screen.page.screenshot(path=path, animations="disabled", caret="hide")

    return picture
