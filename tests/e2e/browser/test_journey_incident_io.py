"""The playground over incident.io: its form, a declaration from a message, the card before the channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, running_incident_io
from support.playground import Playground, running_playground

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PEOPLE = {"U0ANA00001": "Ana Ferreira", "U0BEN00002": "Ben Okafor"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hosted(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Playground, IncidentIoServer]]:
    """A playground whose incidents incident.io keeps."""
    account = Account()
    for person, name in PEOPLE.items():
        account.knows(person, name)
    backup = {**account.fields[-1], "id": "backup", "name": "Backup team"}
    backup["filter_by"] = {"catalog_attribute_id": "01STANDS_IN_FOR", "custom_field_id": "team"}
    account.fields.append(backup)
    checkout, search = account.entries
    for entry, other in ((checkout, search), (search, checkout)):
        entry["attribute_values"] = {"01STANDS_IN_FOR": {"value": {"literal": other["id"]}}}
    async with running_incident_io(account) as io:
        settings = {"INCIDENT_IO_URL": io.url, "INCIDENT_IO_API_KEY": account.key}
        folder = tmp_path_factory.mktemp("hosted")
        async with running_playground(folder, "--backend", "incident_io", **settings) as playground:
            yield playground, io


async def test_a_declaration_from_a_message_reaches_incident_io_and_comes_back(
    hosted: tuple[Playground, IncidentIoServer], window: Any, picture: Any
) -> None:
    playground, io = hosted
    screen = await window(playground.address)
    await screen.enter("alerts")
    message = screen.page.get_by_test_id("message").filter(has_text="payments-gateway").first
    await screen.start_declaring_from(message)
    await screen.button("More fields").click()
    for asked in ("Severity", "Type", "Incident Lead", "Communications", "Affected area", "Team"):
        await expect(screen.dialog.get_by_text(asked).first).to_be_visible()
    await picture(screen, "incident-io-form")
    await screen.choose("Critical")
    assert await screen.submit() == "INC-1"
    await picture(screen, "incident-io-declared")
    (sent,) = io.asked("POST", "/v1/incidents")
    assert {"source_message_channel_id", "source_message_timestamp"} <= set(sent.body)
    await screen.close()
    await screen.page.get_by_role("link", name="1 reply").click()
    card = screen.page.get_by_test_id("message").filter(has_text="INC-1")
    await expect(card).to_contain_text("None yet")
    io.account.open_channel(io.account.incidents[0], "C0ALERTS02", "alerts")
    await expect(card).not_to_contain_text("None yet")
    await picture(screen, "incident-io-card")


async def test_a_field_offers_what_fits_the_choice_in_another_one(
    hosted: tuple[Playground, IncidentIoServer], window: Any, picture: Any
) -> None:
    playground, _ = hosted
    screen = await window(playground.address)
    await screen.enter("general")
    await screen.start_declaring("Search is slow")
    await screen.choose("Minor")
    await screen.button("More fields").click()
    team = screen.dialog.get_by_role("combobox", name="Team (optional)", exact=True)
    await team.fill("search")
    await screen.dialog.get_by_role("option", name="Search crew").click()
    await screen.dialog.get_by_role("combobox", name="Backup team").fill("crew")
    await expect(screen.dialog.get_by_role("option", name="crew")).to_have_text(["Checkout crew"])
    await picture(screen, "incident-io-fits")
