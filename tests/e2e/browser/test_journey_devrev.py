"""Incidents kept in DevRev, as a responder sees them: the form, the card, and an answer that was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect
from support.devrev import FakeOrg, Person, running_org
from support.devrev.org import TOKEN
from support.playground import Playground, running_playground
from support.responder import Responder

from slack_emulator.faults import Fault

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def org() -> FakeOrg:
    org = FakeOrg()
    org.people.append(Person(12, "Darius Novak", "darius@lumen.example"))
    return org


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def beside_devrev(org: FakeOrg, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Playground]:
    """A playground whose incidents are kept by the organisation, set as an operator sets it: in `.env`."""
    folder: Path = tmp_path_factory.mktemp("devrev")
    async with running_org(org) as (_, url):
        (folder / "home").mkdir()
        (folder / "home" / ".env").write_text(
            f"DEVREV_TOKEN={TOKEN}\nDEVREV_URL={url}\nDEVREV_PERMALINK={url}/works/{{display_id}}\n"
        )
        async with running_playground(folder, "--backend", "devrev") as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def ana_beside_devrev(beside_devrev: Playground, window: Any) -> Responder:
    screen: Responder = await window(beside_devrev.address)
    await screen.open("/client/C0GENERAL1")
    return screen


async def test_an_incident_is_declared_in_devrev_with_what_the_organisation_asks(
    ana_beside_devrev: Responder, org: FakeOrg, picture: Any
) -> None:
    ana = ana_beside_devrev
    await ana.start_declaring("Checkout is slow")
    await expect(ana.dialog).to_contain_text("DevRev cannot hold private incidents.")
    await ana.choose("SEV1")
    await ana.field("Summary").fill("Since noon.")
    await ana.field("Incident Lead").select_option(label="Darius Novak")
    await picture(ana, "devrev-form")
    await ana.button("More fields").click()
    parts = ana.dialog.get_by_role("combobox", name="Parts")
    await parts.fill("check")
    await ana.dialog.get_by_role("option", name="Checkout (PROD-1)").click()
    await ana.field("Stage").select_option(label="Investigating")
    await ana.field("Impact").select_option(label="Some")
    await ana.field("Detected by").select_option(label="Customer")
    await ana.field("Customers affected").fill("1200")
    await picture(ana, "devrev-more-fields")
    reference = await ana.submit()
    await picture(ana, "devrev-declared")
    await ana.close()
    await expect(ana.message(reference)).to_contain_text("Checkout is slow")
    await expect(ana.message(reference)).to_contain_text("Darius Novak")
    await expect(ana.message(reference).get_by_role("link", name="Open incident")).to_have_attribute(
        "href", f"{org_url(org, reference)}"
    )
    await picture(ana, "devrev-card")
    kept = next(incident for incident in org.incidents.values() if incident["display_id"] == reference)
    assert kept["owned_by"][0]["full_name"] == "Darius Novak"
    assert [part["display_id"] for part in kept["applies_to_parts"]] == ["PROD-1"]
    assert kept["stage"]["stage"]["name"] == "Investigating"
    assert kept["impact"]["count"]["label"] == "Some"
    assert kept["custom_fields"] == {"tnt__detected_by": "Customer", "tnt__customers_affected": 1200}
    assert kept["sync_metadata"]["origin_system"] == "tocsin"


def org_url(org: FakeOrg, reference: str) -> str:
    return f"{org.url}/works/{reference}"


async def test_an_alert_becomes_an_incident_that_says_where_it_came_from(
    ana_beside_devrev: Responder, org: FakeOrg
) -> None:
    ana = ana_beside_devrev
    await ana.enter("alerts")
    await ana.start_declaring_from(ana.message("FIRING: payment webhooks failing"))
    await ana.choose("SEV0")
    reference = await ana.submit()
    await ana.close()
    kept = next(incident for incident in org.incidents.values() if incident["display_id"] == reference)
    assert "312 errors in 5 minutes" in kept["body"]
    assert "\nFrom the message http" in kept["body"]
    assert kept["identified_date"]


async def test_a_lost_answer_leaves_one_incident_and_the_form_says_it_is_saved_meanwhile(
    ana_beside_devrev: Responder, org: FakeOrg, picture: Any
) -> None:
    ana = ana_beside_devrev
    before, org.lag = len(org.incidents), 4.0
    org.faults.plan("incidents.create", Fault(reset=True, after_effect=True))
    await ana.start_declaring("Search is down")
    await ana.choose("SEV2")
    await ana.button("Declare").click()
    await expect(ana.dialog).to_contain_text("Saved, still declaring")
    await picture(ana, "devrev-saved")
    await expect(ana.dialog).to_contain_text("is declared")
    await ana.close()
    assert len(org.incidents) == before + 1
