"""The page *Insights*: its ranges and filters, its tables for programs, and what no number tells of."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration
from support.site import Site, served

from tocsin.backends.local import LocalBackend
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.requests import FollowUpRequest, IncidentChange
from tocsin.web.insights import read_range
from tocsin.workflows.insights import ListedInsights

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = (
    *("by-time", "durations", "types", "field-affected_area", "field-detected_by", "hours", "weekdays"),
    *("follow-ups", "people"),
)


async def filled(backend: LocalBackend) -> None:
    """Three public incidents over three weeks, one of them closed, and a test."""
    await backend.remember_people([ANA, BEN])
    first = await backend.create(full_declaration(at=DAWN - timedelta(days=20), slack_team_id=""))
    await backend.create(declaration("b", at=DAWN - timedelta(days=9), severity_id="minor"))
    await backend.create(declaration("c", mode="test"))
    await backend.create(declaration("d", name="=now()"))
    fixed = DAWN - timedelta(days=20) + timedelta(hours=1)
    await backend.change(first.id, IncidentChange(key="f", at=fixed, by=BEN, incident_status_id="monitoring"))
    await backend.change(first.id, IncidentChange(key="e", at=fixed, by=BEN, incident_status_id="closed"))
    asked = FollowUpRequest(key="g", at=DAWN, by=BEN, kind="follow_up", text="Write an alert")
    await backend.add_follow_up(first.id, asked)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with served(tmp_path_factory.mktemp("shown"), public=True) as site:
        await filled(site.backend)
        yield site


async def test_the_page_says_what_is_counted_and_what_is_not(shown: Site) -> None:
    page = " ".join((await shown.page("/insights")).text.split())
    assert "<strong>3</strong> incidents declared from" in page
    assert "<strong>1</strong> closed, <strong>2</strong> open" in page
    assert "Counted apart and in no other figure: Test 1." in page
    assert "Private incidents are not counted." in page
    assert "Private incidents are counted." in (await shown.trusted("/insights")).text
    for title in ("Incidents a week, by severity", "How long it took", "Affected area", "Follow-ups"):
        assert f">{title}</h2>" in page
    assert page.count('role="img" aria-labelledby=') == page.count("<title id=") == len(TABLES)
    assert '<a href="/insights">Insights</a>' in (await shown.page("/incidents")).text


async def test_programs_get_every_table_as_json_and_as_csv(shown: Site) -> None:
    told = (await shown.json("/insights?weeks=4")).json()["insights"]
    assert (told["incidents"], told["open"], told["counted_apart"]) == (3, 2, {"Test": 1})
    assert (told["from"], told["to"]) == ("2026-02-02", "2026-03-01")
    assert [table["id"] for table in told["tables"]] == list(TABLES)
    for table in told["tables"]:
        saved = await shown.page(f"/insights/{table['id']}.csv?weeks=4")
        assert saved.headers["content-type"].startswith("text/csv")
        name = re.sub(r"[^a-z]", "-", table["id"])
        assert f'filename="{name}-2026-02-02-2026-03-01.csv"' in saved.headers["content-disposition"]
        rows = list(csv.reader(io.StringIO(saved.text)))
        assert rows == [table["columns"], *([str(cell) for cell in row] for row in table["rows"])]
    by_id = {table["id"]: table for table in told["tables"]}
    assert by_id["by-time"]["columns"] == ["Week of", "Critical", "Major", "Minor", "All"]
    assert [row[-1] for row in by_id["by-time"]["rows"]] == [0, 1, 1, 1]
    assert by_id["people"]["rows"][0][:3] == ["Ben Okafor", "Incident Lead", 1]
    assert (await shown.page("/insights/nothing.csv")).status_code == 404


async def test_a_range_and_filters_that_cannot_be_are_told_of_in_a_sentence(shown: Site) -> None:
    for query, sentence in {
        "from=yesterday": "“yesterday” is no day. Write it as 2026-03-31.",
        "from=2026-02-30&to=2026-03-01": "“2026-02-30” is no day.",
        "from=2026-02-20&to=2026-02-10": "The range ends on 2026-02-10, before it begins on 2026-02-20.",
        "from=2027-01-01": "2027-01-01 is still to come.",
        "from=1999-01-01": "A range has ten years at most.",
        "weeks=many": "“many” is no range that there is here.",
        "severity=%3Cb%3E": "There is no severity “&lt;b&gt;”. All are shown.",
        "time_zone=Europe": "There is no time zone “Europe”. Write it as Europe/Berlin.",
        "time_zone=../../etc/passwd": "There is no time zone “../../etc/passwd”.",
        "time_zone=%00": "There is no time zone",
        "type=none": "There is no type “none”. All are shown.",
    }.items():
        page = await shown.page(f"/insights?{query}")
        assert page.status_code == 400, query
        assert f'role="alert">{sentence}' in page.text, query
        assert "<strong>3</strong> incidents declared" in page.text, "the usual range is shown"
        assert (await shown.page(f"/insights/types.csv?{query}")).status_code == 400
        refused = await shown.json(f"/insights?{query}")
        assert refused.json()["errors"][0]["code"] == "validation_error"
    for query in ("to=0001-01-01", "from=0001-01-01&to=0001-01-01", "weeks=&to=0001-03-01"):
        page = await shown.page(f"/insights?{query}")
        assert (page.status_code, "No incidents in this range." in page.text) == (200, True), query


async def test_what_was_typed_and_cannot_be_stays_in_its_input(shown: Site) -> None:
    typed = {"from": "2026-02-20", "to": "2026-02-10", "time_zone": "Europe/Tokio", "severity": "minor"}
    for wrong in ({"time_zone": ""}, {"to": ""}):
        given = {**typed, **wrong}
        page = await shown.page(f"/insights?{urlencode(given)}")
        assert page.status_code == 400
        for name in {"from", "to", "time_zone"} - set(wrong):
            assert f'name="{name}" value="{given[name]}"' in page.text, (wrong, name)
        assert '<option value="minor" selected>' in page.text


async def test_filters_and_days_are_kept_in_every_link(shown: Site) -> None:
    page = (await shown.page("/insights?from=2026-02-15&to=2026-03-01&severity=minor")).text
    assert "<strong>1</strong> incident declared" in page
    assert 'href="/insights?weeks=52&amp;severity=minor"' in page
    assert "/insights/types.csv?from=2026-02-15&amp;to=2026-03-01&amp;severity=minor" in page
    assert '<option value="minor" selected>' in page
    local = (await shown.page("/insights?weeks=4&time_zone=Asia%2FTokyo")).text
    assert 'href="/insights?weeks=52&amp;time_zone=Asia%2FTokyo"' in local
    assert "/insights/hours.csv?weeks=4&amp;time_zone=Asia%2FTokyo" in local
    assert "By the hour of the declaration, in Asia/Tokyo;" in local
    assert 'name="time_zone" value="Asia/Tokyo"' in local
    mistaken = (await shown.page("/insights?severity=none&time_zone=Asia/Tokyo")).text
    assert 'name="time_zone" value="Asia/Tokyo"' in mistaken
    told = await shown.json("/insights?weeks=4&time_zone=Asia/Tokyo")
    assert told.json()["insights"]["time_zone"] == "Asia/Tokyo"
    long = await shown.json("/insights?from=2016-03-05&to=2026-03-01")
    assert long.json()["insights"]["incidents"] == 3
    nothing = (await shown.page("/insights?from=2025-01-01&to=2025-02-01")).text
    assert "No incidents in this range." in nothing


async def everything(site: Site) -> list[str]:
    """Every byte of figures that a reader of public incidents can get."""
    found = []
    for query in ("weeks=4", "weeks=12&severity=critical", "from=2026-02-01&to=2026-03-01&type=incident"):
        found += [(await site.page(f"/insights?{query}")).text, (await site.json(f"/insights?{query}")).text]
        found += [(await site.page(f"/insights/{table}.csv?{query}")).text for table in TABLES]
    return found


async def test_no_number_tells_of_a_private_incident(
    shown: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Byte for byte the same with and without them, whoever they name and whatever becomes of them."""
    before = await everything(shown)
    canary = Person(slack_user_id=PersonId("U0CANARY"), name="Canary")
    async with served(tmp_path_factory.mktemp("twin"), public=True) as twin:
        await filled(twin.backend)
        for number in range(6):
            at = DAWN - timedelta(days=4 * number)
            hidden = full_declaration(f"p{number}", visibility="private", at=at, reporter=canary)
            made = await twin.backend.create(hidden)
            if number == 2:
                assert await everything(twin) == before
            change = IncidentChange(
                key=f"q{number}", at=at + timedelta(hours=1), by=canary, incident_status_id="closed"
            )
            await twin.backend.change(made.id, change)
            asked = FollowUpRequest(key=f"r{number}", at=at, by=canary, kind="follow_up", text="Canary")
            await twin.backend.add_follow_up(made.id, asked)
        turned = await twin.backend.create(declaration("turned", reporter=canary))
        assert await everything(twin) != before
        private = IncidentChange(key="turn", at=DAWN, by=canary, visibility="private")
        await twin.backend.change(turned.id, private)
        assert await everything(twin) == before
        assert (await twin.trusted("/insights", Accept="application/json")).json()["insights"][
            "incidents"
        ] == 10


async def test_over_a_hosted_backend_the_figures_come_from_its_list(shown: Site) -> None:
    """The list of the newest, as any backend gives it; without follow-ups, and without private incidents."""
    chosen = read_range({"weeks": "4"}, date(2026, 3, 1)).chosen
    own = await shown.backend.insights.count(chosen, False, None)
    listed = ListedInsights(shown.backend).source
    theirs = await listed.count(chosen, False, None)
    assert (theirs.newest, theirs.has_follow_ups, list(theirs.days)) == (None, False, list(own.days))
    for day, cells in theirs.days.items():
        for cell, counts in cells.items():
            rest = {key: times for key, times in own.days[day][cell].items() if key[0] != "follow-up"}
            assert dict(counts) == rest
    assert await listed.names(["U0BEN"]) == {"U0BEN": "Ben Okafor"}


async def test_strangers_are_asked_to_sign_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with served(tmp_path_factory.mktemp("closed"), public=False) as site:
        for path in ("/insights", "/insights/types.csv"):
            assert (await site.page(path)).status_code == 401
        assert (await site.trusted("/insights")).status_code == 200
