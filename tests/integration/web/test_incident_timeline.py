"""The timeline on an incident's page: by days, in words, narrowed by the address, and the bar of phases."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN, full_declaration
from support.site import Site

from tocsin.incidents.model import Person, TimelineEntry
from tocsin.incidents.requests import IncidentChange

PAGE = "/incidents/INC-1"
ROLLING = "Ben Okafor wrote an update: Rolling back."
ROLLED = "Ana Torres wrote an update: Rolled back."


async def lived(site: Site) -> None:
    """INC-1, which was fixed, closed and reopened on two days."""
    await site.backend.remember_people([ANA, BEN])
    made = await site.backend.create(full_declaration())
    for hour, by, change in (
        (1, BEN, {"incident_status_id": "fixing", "message": "Rolling back."}),
        (2, BEN, {"severity_id": "minor"}),
        (3, ANA, {"incident_status_id": "closed", "message": "Rolled back."}),
        (25, ANA, {"incident_status_id": "fixing"}),
    ):
        at = DAWN + timedelta(hours=hour)
        order: dict[str, Any] = {"key": f"k{hour}", "by": by, "at": at, **change}
        await site.backend.change(made.id, IncidentChange(**order))
    sent = TimelineEntry(at=DAWN, by=Person(name="Prometheus"), verb="sent alerts:", text="1 firing: Disk")
    await site.backend.note(made.id, sent, "alerts")


def sentences(page: str) -> list[str]:
    """The days and the entries of the timeline, as words."""
    found = re.findall(r'<h3 class="day">.*?</h3>|<div class="entry">.*?</div>\n</li>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", "", one).split()) for one in found]


async def test_the_timeline_says_day_by_day_what_people_did(site: Site) -> None:
    await lived(site)
    assert sentences((await site.page(PAGE)).text) == [
        "Sunday, 1 March 2026",
        "Ana Torres declared Checkout is slow (Critical)",
        "Prometheus sent alerts: 1 firing: Disk",
        "Ben Okafor set the status to Fixing",
        "Ben Okafor wrote an update: Rolling back.",
        "Ben Okafor set the severity from Critical to Minor",
        "Ana Torres closed it",
        "Ana Torres wrote an update: Rolled back.",
        "Monday, 2 March 2026",
        "Ana Torres reopened it as Fixing",
    ]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("kind=update", [ROLLING, ROLLED]),
        ("kind=alert", ["Prometheus sent alerts: 1 firing: Disk"]),
        ("kind=update&by=Ana+Torres", [ROLLED]),
        ("kind=update&order=newest", [ROLLED, ROLLING]),
        ("kind=alert&by=Ana+Torres", []),
    ],
)  # fmt: skip
async def test_the_address_narrows_the_timeline(site: Site, query: str, shown: list[str]) -> None:
    await lived(site)
    page = (await site.page(f"{PAGE}?{query}")).text
    assert [one for one in sentences(page) if "March" not in one] == shown
    assert f"{len(shown)} of 8 entries" in page
    for link in re.findall(r'href="(\?[^"#]*)#timeline"', page):
        assert (await site.page(f"{PAGE}{link.replace('&amp;', '&')}")).status_code == 200


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("kind=x", "There is no such kind of entry, so all kinds are shown."),
        ("by=%00%3Cb%3E", "Nothing in this timeline is by a person of that name"),
        ("order=sideways", "There is no such order, so the oldest entries come first."),
        ("kind=&by=&order=oldest", ""),
        ("kind=update&kind=x", "There is no such kind of entry"),
    ],
)
async def test_an_address_that_means_nothing_says_so_above_the_whole_timeline(
    site: Site, query: str, sentence: str
) -> None:
    await lived(site)
    page = await site.page(f"{PAGE}?{query}")
    assert page.status_code == 200
    assert len(sentences(page.text)) == 10
    assert ('<p class="problem">' in page.text) == bool(sentence)
    assert sentence in page.text


MANY, LATER = 1_000, DAWN + timedelta(days=1)
NOTES = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many)
INSERT INTO incident_timeline_items (incident_id, idempotency_key, timestamp, verb, text, actor_name)
SELECT :id, 'note ' || n, printf('2026-03-01T%02d:%02d:00.000000Z', 4 + n / 600, n / 10 % 60),
    CASE n % 10 WHEN 0 THEN 'gave an update:' ELSE 'noted:' END, 'Look ' || n, 'Ana Torres'
FROM numbers
"""


async def looked_at(site: Site) -> None:
    """INC-1, with a thousand notes, a tenth of them updates."""
    made = await site.backend.create(full_declaration())
    await site.backend.database.run(lambda db: db.execute(NOTES, {"id": made.id, "many": MANY}) and None)


def looks(page: str) -> list[int]:
    return [int(number) for number in re.findall(r"Look (\d+)", page)]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", range(1, MANY + 1)),
        ("order=newest", range(MANY, 0, -1)),
        ("kind=update&by=Ana+Torres", range(10, MANY + 1, 10)),
    ],
)  # fmt: skip
async def test_of_very_many_entries_a_page_has_the_last_ones_and_leads_to_all_others(
    site: Site, query: str, numbers: range
) -> None:
    await looked_at(site)
    page, found = await site.page(f"{PAGE}?{query}"), list[int]()
    assert 'id="latest"' not in page.text
    while True:
        assert len(page.content) < 150_000
        shown = looks(page.text)
        found = [*found, *shown] if "newest" in query else [*shown, *found]
        links = re.findall(r'<a id="earlier" href="(\?[^"#]*)#timeline">', page.text)
        if not links:
            break
        page = await site.page(f"{PAGE}{links[0].replace('&amp;', '&')}")
        assert 'id="latest"' in page.text
    assert found == list(numbers)


async def test_a_place_in_the_timeline_stays_where_it_is_while_more_happens(site: Site) -> None:
    await looked_at(site)
    before = await site.page(f"{PAGE}?before=700")
    (incident,) = await site.backend.incidents()
    await site.backend.change(incident.id, IncidentChange(key="k", by=BEN, at=LATER, message="Still here."))
    assert looks((await site.page(f"{PAGE}?before=700")).text) == looks(before.text) == [*range(500, 700)]
    assert "Still here." in (await site.page(PAGE)).text
    for nowhere in ("x", "-1", "9" * 30, "1003"):
        page = (await site.page(f"{PAGE}?before={nowhere}")).text
        assert "There is no such place in this timeline, so its latest entries are shown." in page
        assert "Still here." in page


async def test_the_bar_shows_how_long_each_phase_took_and_says_it_in_a_list(site: Site) -> None:
    await lived(site)
    page = (await site.page(PAGE)).text
    bar = re.findall(r'<rect class="([\w-]+)" x="([\d.]+)" y="0" width="([\d.]+)"', page)
    assert [tone for tone, *_ in bar] == ["live-0", "live-1", "over", "live-1"][: len(bar)]
    assert abs(float(bar[-1][1]) + float(bar[-1][2]) - 1000) < 1
    told = re.findall(r'<span class="phase">(.*?)</span> <strong>(.*?)</strong>( so far)?', page)
    assert told[0] == ("Investigating", "1 h", "")


async def test_the_facts_name_what_they_are(site: Site) -> None:
    await lived(site)
    page = (await site.page(PAGE)).text
    facts = page.partition('<h2 id="facts">')[2]
    assert "<dt>Severity</dt><dd>Minor <span" in facts
    assert "<dt>Status</dt><dd>Fixing <span" in facts
    assert ">Source message</a>" in page
