"""The page of alerts shows what came and what became of it, to whoever may see its incident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from support.browser import axe_findings, opened
from support.declarations import DAWN, declaration
from support.site import Site, served

from tocsin.incidents.alert_reader import LOOKED_AT
from tocsin.incidents.alerts import Alert
from tocsin.incidents.model import AlertSummary

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = "Averylongtitlewithoutanybreak" * 8


def alert(number: int, **given: Any) -> Alert:
    plain = {
        "id": f"{number:032x}",
        "source": "prometheus",
        "title": f"Disk {number} is full",
        "status": "firing",
        "deduplication_key": f"disk/{number}",
        "created_at": DAWN + timedelta(minutes=number),
        "updated_at": DAWN + timedelta(minutes=number),
    }
    return Alert.model_validate(plain | given)


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A public incident INC-1 and a private one, with alerts, and alerts without an incident."""
    alerts = [alert(9)]
    async with served(tmp_path, public=True, alerts=alerts) as open_site:
        backend = open_site.backend
        public = await backend.create(declaration("a", name="Disks are full"))
        private = await backend.create(declaration("b", name="The safe is open", visibility="private"))
        await backend.set_alerts(public.id, AlertSummary(firing=1, resolved=1))
        resolved_at = DAWN + timedelta(minutes=30)
        alerts[:] = [
            alert(9, do="nothing"),
            alert(8, title=LONG, incident_id=public.id, times=12, source_url="https://prom.example/g"),
            alert(7, status="resolved", resolved_at=resolved_at, incident_id=public.id),
            alert(6, title="Secret alert", incident_id=private.id),
            alert(5, title="Secret to be", is_private=True),
            alert(4, do="note", failure="Nothing is open."),
            alert(3, do="nothing", title="<script>alert(1)</script>", source_url="javascript:alert(1)"),
            alert(2, title="Secret as long as it waits"),
            alert(1, title="Secret, as its type may be", failure="Choose a severity."),
        ]
        yield open_site


async def test_each_alert_says_what_became_of_it_and_a_private_incidents_is_for_its_people_alone(
    site: Site,
) -> None:
    page = (await site.page("/alerts")).text
    for words in (
        "INC-1",
        "12 events",
        "No rule makes an incident of it",
        "Nothing is open.",
        "Prometheus",
    ):
        assert words in page
    assert "&lt;script&gt;" in page
    assert "javascript:" not in page
    assert "Secret" not in page
    assert "Secret alert" in (await site.trusted("/alerts")).text
    listed = (await site.json("/alerts")).json()
    assert [one["title"] for one in listed["alerts"]][2] == "Disk 7 is full"
    assert "Secret" not in str(listed)


async def test_an_incidents_page_has_a_table_of_its_alerts(site: Site) -> None:
    page = (await site.page("/incidents/INC-1")).text
    assert "Disk 7 is full" in page
    assert "Not yet" in page
    assert "12 events" in page
    assert "Secret" not in page


async def test_links_that_backstage_makes_to_the_dashboard_lead_to_the_pages(site: Site) -> None:
    declare = await site.page("/incidents/create")
    assert (declare.status_code, "Type /incident in any channel of Slack" in declare.text) == (200, True)
    to_details = "/on-call/alerts/{}/details"
    leads = {
        "/on-call/alerts": "/alerts",
        to_details.format(alert(8).id): "/incidents/INC-1",
        to_details.format(alert(9).id): "/alerts",
        to_details.format(alert(6).id): "/alerts",
        to_details.format("none"): "/alerts",
    }
    assert {path: (await site.page(path)).headers["location"] for path in leads} == leads
    assert (await site.trusted(to_details.format(alert(6).id))).headers["location"] == "/incidents/INC-2"


async def test_a_page_looks_through_so_many_hidden_alerts_and_leads_on_to_the_rest(tmp_path: Path) -> None:
    hidden = [alert(number, title="Secret") for number in range(LOOKED_AT + 600, 1, -1)]
    async with served(tmp_path, public=True, alerts=[*hidden, alert(1, do="nothing")]) as site:
        page = (await site.page("/alerts")).text
        assert "Look further" in page
        assert "as many alerts as one page may" in page
        assert "No alerts yet" not in page
        assert "Disk 1 is full" not in page
        first = (await site.json("/alerts")).json()
        assert first["alerts"] == []
        after = first["pagination_meta"]["after"]
        rest = (await site.json(f"/alerts?after={after}")).json()
        assert [one["title"] for one in rest["alerts"]] == ["Disk 1 is full"]
        assert "after" not in rest["pagination_meta"]
        assert "Secret" in (await site.trusted("/alerts")).text


async def test_without_a_source_the_page_says_how_to_have_one(tmp_path: Path) -> None:
    async with served(tmp_path, public=True) as site:
        assert "tocsin docs alerts" in (await site.page("/alerts")).text


async def test_where_others_can_reach_the_pages_the_alerts_need_the_token(tmp_path: Path) -> None:
    async with served(tmp_path, public=False, alerts=[alert(1)]) as site:
        assert (await site.page("/alerts")).status_code == 401
        assert (await site.page("/on-call/alerts/none/details")).status_code == 401
        assert (await site.trusted("/alerts")).status_code == 200


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
async def test_the_alerts_fit_and_have_nothing_for_axe_to_find(
    site: Site, chromium: Browser, width: int
) -> None:
    async with opened(chromium, site.url, width=width) as screen:
        for path in ("/alerts", "/incidents/INC-1"):
            await screen.page.goto(site.url + path)
            assert await axe_findings(screen.page, path, any_impact=True) == []
            root = "document.documentElement"
            assert await screen.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0
