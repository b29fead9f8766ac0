"""The list of incidents: its filters stand in the address, in words that people read, and tell nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

import httpx
import pytest
import pytest_asyncio
from support.declarations import ANA, BEN, DAWN, Ticking, declaration, full_declaration
from support.incident_io.account import Account
from support.incident_io.server import running_incident_io
from support.site import Site, served

from tocsin.backends.incident_io import IncidentIo
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import ChannelId, FieldOption, FieldValue, Person, PersonId
from tocsin.incidents.requests import IncidentChange, IncidentQuery, ListedIncidents
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.workflows.ports import Channel

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = Person(slack_user_id=PersonId("U0CANARY"), name="Canary Quill")
AREA = "custom_field.affected_area"


async def close(site: Site, incident_id: str) -> None:
    change = IncidentChange(key=f"close {incident_id}", by=ANA, at=DAWN, incident_status_id="closed")
    await site.backend.change(incident_id, change)


async def fill(site: Site) -> None:
    """INC-1 closed, INC-2 in triage, INC-3 private, INC-4 closed and full, INC-5 and INC-6 open."""
    backend = site.backend
    await backend.remember_people([ANA, BEN, CANARY])
    old = DAWN - timedelta(days=40)
    await close(site, (await backend.create(declaration("1", name="Old outage", at=old))).id)
    await backend.create(declaration("2", name="Maybe search", status="triage", severity_id="minor"))
    secret = full_declaration(
        "3",
        name="Canary breach",
        summary="Canary summary",
        visibility="private",
        reporter=CANARY,
        incident_role_assignments={"lead": CANARY.slack_user_id},
        custom_field_entries={"customer_or_ticket": (FieldValue(value_text="Canary ticket"),)},
        at=DAWN - timedelta(days=900),
    )
    hidden = await backend.create(secret)
    await backend.set_channel(hidden.id, Channel(id=ChannelId("C0CANARY"), name="inc-3-canary"))
    await close(site, (await backend.create(full_declaration("4", name="=Payments"))).id)
    api = FieldValue(value_option=FieldOption(id="api", value="API", sort_key=2))
    made = await backend.create(declaration("5", custom_field_entries={"affected_area": (api,)}))
    await backend.set_channel(made.id, Channel(id=ChannelId("C0INC"), name="inc-5-checkout-is-slow"))
    await backend.create(declaration("6", name="Search is down", severity_id="critical", reporter=BEN))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("list")
    async with served(folder, public=True, slack_url="https://northwind.slack.com") as running:
        await fill(running)
        yield running


def shown(page: httpx.Response) -> list[str]:
    """The incidents of a page, in its order."""
    return re.findall(r'<span class="reference">(INC-\d+)</span>', page.text)


def sentences(page: httpx.Response) -> list[str]:
    notes = page.text.partition('<div class="said" role="status">')[2].partition("</div>")[0]
    return [unescape(note) for note in re.findall(r"<p>(.*?)</p>", notes)]


def active(page: httpx.Response) -> dict[str, str]:
    """The filters in force in words, each with the link that removes it."""
    found = re.findall(r'<li><a href="([^"]*)" aria-label="Remove the filter ([^"]*)"', page.text)
    return {unescape(words): unescape(address) for address, words in found}


ALL = ["INC-6", "INC-5", "INC-2", "INC-4", "INC-1"]
FOUND: dict[str, tuple[list[str], set[str]]] = {
    "": (ALL, set()),
    "status_category=open": (["INC-6", "INC-5"], set()),
    "status_category=triage": (["INC-2"], set()),
    "status_category=Closed": (["INC-4", "INC-1"], set()),
    "status=closed": (["INC-4", "INC-1"], {"Status: Closed"}),
    "status=investigating": (["INC-6", "INC-5"], {"Status: Investigating"}),
    "severity=Critical": (["INC-6", "INC-4"], {"Severity: Critical"}),
    "text=search": (["INC-6", "INC-2"], {"Words: search"}),
    "person=ben": (["INC-6", "INC-4"], {"Person: ben"}),
    "person=U0BEN": (["INC-6", "INC-4"], {"Person: Ben Okafor"}),
    "person=U0BEN&role=lead": (["INC-4"], {"Person: Ben Okafor", "Role: Incident Lead"}),
    f"{AREA}=api": (["INC-5", "INC-4"], {"Affected area: API"}),
    f"{AREA}=Payments": (["INC-4"], {"Affected area: Payments"}),
    "custom_field.customer_or_ticket=ZD-1881": (["INC-4"], {"Customer or ticket: ZD-1881"}),
    "created_to=2026-02-01": (["INC-1"], {"Declared to: 2026-02-01"}),
    "created_from=2026-03-01&sort=oldest": (
        ["INC-5", "INC-6", "INC-2", "INC-4"],
        {"Declared from: 2026-03-01"},
    ),
    "severity=critical&status_category=open&text=down": (["INC-6"], {"Severity: Critical", "Words: down"}),
    "text=zebra": ([], {"Words: zebra"}),
    "status=closed&status_category=open": ([], {"Status: Closed"}),
}


async def test_filters_in_the_address_find_what_they_say_in_words(site: Site) -> None:
    pages = {query: await site.page(f"/incidents?{query}") for query in FOUND}
    assert {query: (shown(page), set(active(page))) for query, page in pages.items()} == FOUND
    assert [sentences(page) for page in pages.values() if sentences(page)] == []


ONE_OF = "custom_field[affected_area][one_of]"
AS_INCIDENT_IO_WRITES_IT: dict[str, tuple[str, set[str]]] = {
    "status_category[one_of]=active": ("status_category=open", set()),
    "status_category[one_of]=active&status_category[one_of]=paused": ("status_category=open", set()),
    "status_category[one_of]=triage": ("status_category=triage", set()),
    "status_category[one_of]=declined&severity[one_of]=critical": (
        "status_category=closed&severity=critical",
        set(),
    ),
    f"status_category[one_of]=post-incident&{ONE_OF}=api": (f"status_category=open&{AREA}=api", set()),
    "status[one_of]=closed&incident_type[one_of]=incident": ("status=closed&incident_type=incident", set()),
    f"{ONE_OF}=moon": ("", {"“moon” is none of the options of Affected area."}),
    "status_category[one_of]=gone": (
        "",
        {
            "There is no part “gone” of this list: a status category is “open”, “triage” or “closed”.",
        },
    ),
    "status_category[one_of]=active&status_category[one_of]=closed": (
        "",
        {"“status_category” has several values, of which this page takes one: it is left out."},
    ),
    f"{AREA}=api&{ONE_OF}=payments": (
        "",
        {f"“{AREA}” has several values, of which this page takes one: it is left out."},
    ),
    "severity[not_in]=minor": ("", {"“severity[not_in]” is no filter of this page."}),
}


async def test_links_to_incident_ios_own_list_find_the_same_here(site: Site) -> None:
    for query, (plain, told) in AS_INCIDENT_IO_WRITES_IT.items():
        page, same = await site.page(f"/incidents?{query}"), await site.page(f"/incidents?{plain}")
        assert (shown(page), active(page)) == (shown(same), active(same)), query
        assert set(sentences(page)) == told, query


async def test_each_filter_is_removed_by_one_click_and_all_by_another(site: Site) -> None:
    query = "person=U0BEN&role=lead&severity=critical&status_category=closed"
    removing = active(await site.page(f"/incidents?{query}"))
    assert removing == {
        "Person: Ben Okafor": "/incidents?status_category=closed&severity=critical",
        "Role: Incident Lead": "/incidents?status_category=closed&severity=critical&person=U0BEN",
        "Severity: Critical": "/incidents?status_category=closed&person=U0BEN&role=lead",
    }
    nothing = await site.page("/incidents?text=zebra")
    assert "No incident matches." in nothing.text
    assert '<a href="/incidents">Clear all filters</a>' in nothing.text


async def test_the_form_leads_to_an_address_without_its_empty_fields(site: Site) -> None:
    sent = await site.page("/incidents?text=&status=&severity=minor&person=&created_from=")
    assert (sent.status_code, sent.headers["location"]) == (303, "/incidents?severity=minor")
    page = (await site.page("/incidents?severity=minor&text=a%26b%22%3E")).text
    assert '<option value="minor" selected>Minor</option>' in page
    assert 'value="a&amp;b&#34;&gt;"' in page
    assert '<details class="further">' in page
    assert '<details class="further" open>' in (await site.page("/incidents?created_to=2026-02-01")).text


WRONG = {
    "status=bogus": "There is no status “bogus”.",
    "severity=%00": "",
    "severity=%3Cb%3E": "There is no severity “<b>”.",
    "incident_type=x": "There is no type “x”.",
    "status_category=live": "There is no part “live” of this list: a status category is "
    "“open”, “triage” or “closed”.",
    "text=%E2%80%A6": "There is no word in “…” that could be looked for.",
    "person=me": "You are not signed in, so it is not known who “me” is.",
    "role=lead": "A role is looked for together with the person who holds it: name the person.",
    f"{AREA}=moon": "“moon” is none of the options of Affected area.",
    "custom_field.nothing=x": "There is no custom field “nothing” to filter by.",
    "created_from=yesterday": "“yesterday” is no day: write it as 2026-03-01.",
    "created_to=9999-12-31": "“9999-12-31” is no day: write it as 2026-03-01.",
    "created_from=2026-02-30": "“2026-02-30” is no day: write it as 2026-03-01.",
    "created_from=2026-03-02&created_to=2026-03-01": "2026-03-02 is after 2026-03-01, so there is no time "
    "between them.",
    "sort=name": "The list has no order “name”: it is newest or oldest.",
    "after=nonsense": "The list has no such place to go on from, so this is its beginning.",
    "after=closed.nonsense": "The list has no such place to go on from, so this is its beginning.",
    "after=open.": "The list has no such place to go on from, so this is its beginning.",
}


async def test_what_is_no_filter_is_a_sentence_above_the_list_without_it(site: Site) -> None:
    for query, sentence in WRONG.items():
        page = await site.page(f"/incidents?{query}")
        assert (page.status_code, shown(page)) == (200, ALL), query
        assert sentences(page) == ([sentence] if sentence else []), query
        told = (await site.json(f"/incidents?{query}")).json()
        if query.startswith("after"):
            assert (told["incidents"], told["warnings"]) == ([], [sentence.partition(",")[0] + "."])
        else:
            assert [one["reference"] for one in told["incidents"]] == sorted(ALL, reverse=True)
            assert told.get("warnings", []) == ([sentence] if sentence else [])


async def test_a_row_has_names_its_times_and_a_link_to_its_channel(site: Site) -> None:
    page = (await site.page("/incidents?status_category=open&text=checkout")).text
    row = page.partition("<tbody")[2].partition("</tbody>")[0]
    assert '<a href="https://northwind.slack.com/archives/C0INC"' in row
    assert "#inc-5-checkout-is-slow</a>" in row
    assert "1 Mar 2026, 03:00" in row
    assert re.search(r">Updated<", page)
    closed = (await site.page("/incidents?text=outage")).text
    assert "40 d" in closed.partition('data-label="Lasted">')[2].partition("</td>")[0]
    assert '<h2 id="closed">Closed <span class="count">1</span></h2>' in closed


async def test_the_file_has_the_same_incidents_and_no_formula(site: Site) -> None:
    for query in ("", "severity=critical", "text=search&sort=oldest", "text=zebra"):
        saved = await site.page(f"/incidents?{query}&format=csv")
        assert saved.headers["content-type"] == "text/csv; charset=utf-8"
        assert saved.headers["content-disposition"] == 'attachment; filename="incidents.csv"'
        rows = list(csv.DictReader(io.StringIO(saved.text)))
        listed = (await site.json(f"/incidents?{query}")).json()["incidents"]
        assert [row["reference"] for row in rows] == [one["reference"] for one in listed]
    whole = (await site.page("/incidents?format=csv")).text
    assert [row["name"] for row in csv.DictReader(io.StringIO(whole)) if row["lead"]] == ["'=Payments"]


# What is private, for whoever may not see it.

HIDDEN = (
    "", "text=canary", "text=breach", "text=INC-3", "text=3", "person=Canary", "person=canary+quill",
    "person=U0CANARY", "person=%3C%40U0CANARY%3E", "person=U0CANARY&role=lead", "status=investigating",
    "severity=critical", "incident_type=incident", f"{AREA}=api", "created_to=2024-01-01",
    "custom_field.customer_or_ticket=Canary+ticket", "status_category=open", "sort=oldest",
)  # fmt: skip


async def test_no_filter_tells_of_a_private_incident(site: Site) -> None:
    for query in HIDDEN:
        typed = parse_qs(query).values()
        for more in ("", "&format=csv"):
            told = unescape((await site.page(f"/incidents?{query}{more}")).text)
            for value in (value for values in typed for value in values):
                for echo in (value, quote_plus(value)):
                    told = told.replace(echo, "")
            assert not re.search(r"canary|quill|breach|INC-3\b", told, re.IGNORECASE), (query, more)
        listed = (await site.json(f"/incidents?{query}")).json()
        assert "INC-3" not in [one["reference"] for one in listed["incidents"]]
        assert "U0CANARY" not in str(listed)
    told = (await site.trusted("/incidents?text=canary")).text
    assert all(word in told for word in ("INC-3", "Canary breach", "Canary Quill"))


async def test_what_only_a_private_incident_has_is_answered_as_what_none_has(site: Site) -> None:
    pairs = {
        "text=canary": "text=zebraa",
        "person=Canary+Quill": "person=Nobody+Known",
        "person=U0CANARY": "person=U0NOBODY",
        "custom_field.customer_or_ticket=Canary": "custom_field.customer_or_ticket=Zebra1",
        "created_to=2024-01-01": "created_to=2023-01-01",
    }
    for hidden, none in pairs.items():
        answers = []
        for query in (hidden, none):
            page = await site.page(f"/incidents?{query}")
            assert shown(page) == []
            value = query.partition("=")[2]
            answers.append(page.text.replace(value, "…").replace(value.replace("+", " "), "…"))
        assert answers[0] == answers[1], hidden


# Pages.


async def test_pages_go_from_the_open_ones_to_the_closed_ones_and_keep_the_filters(tmp_path: Path) -> None:
    async with served(tmp_path, public=True) as site:
        for number in range(130):
            visibility = "private" if number % 13 == 0 else "public"
            status = "triage" if number % 10 == 9 else None
            severity = "minor" if number % 4 == 1 else "major"
            made = await site.backend.create(
                declaration(f"{number}", visibility=visibility, status=status, severity_id=severity)
            )
            if number % 2 == 0:
                await close(site, made.id)
        numbers = [n for n in range(129, -1, -1) if n % 4 != 1 and n % 13]
        parts = [
            [n for n in numbers if n % 2 and n % 10 != 9],
            [n for n in numbers if n % 10 == 9],
            [n for n in numbers if n % 2 == 0],
        ]
        seen, path, pages = list[str](), "/incidents?severity=major", list[str]()
        while path:
            page = await site.page(path)
            seen += shown(page)
            pages.append(page.text)
            older = re.search(r'href="([^"]+)" rel="next"', page.text)
            path = unescape(older[1]) if older else ""
        assert seen == [f"INC-{n + 1}" for part in parts for n in part]
        assert len(pages) == 2
        assert '<a href="/incidents?severity=major">Newest</a>' in pages[1]
        # A part that goes on to another page is not counted.
        assert re.findall(r"<h2 id.*?</h2>", pages[0]) == [
            f'<h2 id="open">Open <span class="count">{len(parts[0])}</span></h2>',
            f'<h2 id="triage">Triage <span class="count">{len(parts[1])}</span></h2>',
            '<h2 id="closed">Closed</h2>',
        ]
        rows = list(csv.DictReader(io.StringIO((await site.page("/incidents?format=csv")).text)))
        assert [row["reference"] for row in rows] == [f"INC-{n + 1}" for n in range(129, -1, -1) if n % 13]


class Ending:
    """A backend whose file is closed once it is asked for the second page of a list."""

    def __init__(self, behind: LocalBackend) -> None:
        self._behind = behind

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        if wanted.after is not None:
            await self._behind.close()
        return await self._behind.listed(wanted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


async def test_a_file_is_read_for_who_takes_it_and_says_in_its_last_line_if_it_is_not_complete(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, public=True, before=Ending) as site:
        for number in range(101):
            await site.backend.create(declaration(f"{number}"))
        head = await site.client.head("/incidents?format=csv")
        assert head.headers["content-type"] == "text/csv; charset=utf-8"
        lines = (await site.page("/incidents?format=csv")).text.splitlines()
        assert len(lines) == 102
        said = (
            "This file is not complete, the list could not be read any further: The incident file is closed."
        )
        assert lines[-1] == f'"{said}"'
        refused = await site.page("/incidents?format=csv")
        assert (refused.status_code, "The incident file is closed." in refused.text) == (503, True)


class Cut:
    """A hosted backend that has looked at as many incidents as it does, and found one."""

    def __init__(self, behind: LocalBackend) -> None:
        self._behind = behind

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        return (await self._behind.listed(wanted)).model_copy(update={"is_cut": True})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


async def test_a_file_of_a_list_that_no_cursor_goes_on_from_says_so_in_its_last_line(tmp_path: Path) -> None:
    async with served(tmp_path, public=True, before=Cut) as site:
        await site.backend.create(declaration())
        lines = (await site.page("/incidents?format=csv")).text.splitlines()
        assert [line.split(",")[1:2] for line in lines[:-1]] == [["reference"], ["INC-1"]]
        said = "only the newest thousand were looked through"
        assert lines[-1] == f'"This file is not complete, the list could not be read any further: {said}"'
        listed = (await site.json("/incidents")).json()
        assert listed["warnings"] == ["Only the newest thousand were looked through."]


async def test_over_incident_io_the_page_says_which_filters_its_list_does_not_have(tmp_path: Path) -> None:
    account = Account(clock=Ticking(DAWN - timedelta(seconds=1)))
    with closing(Database(f"sqlite:///{tmp_path / 'journal.db'}")) as memory:
        async with running_incident_io(account) as server:
            store = SqlKeyValueStore(memory)
            backend = IncidentIo(server.url, account.key, store=store, clock=Ticking())
            async with served(tmp_path, public=True, before=lambda local: backend) as site:
                await backend.create(full_declaration())
                await backend.create(declaration("hidden", name="Canary breach", visibility="private"))
                severity = next(one.id for one in (await backend.form()).severities if one.name == "Critical")
                page = await site.page("/incidents?severity=critical&text=canary&person=ana")
                assert shown(page) == ["INC-1"]
                assert active(page) == {"Severity: Critical": "/incidents"}
                assert sentences(page) == [
                    "incident.io cannot filter by words.",
                    "incident.io cannot filter by a person.",
                ]
                assert "incident.io cannot filter by words or a person." in page.text
                assert not re.search(r'name="(text|person|role)"', page.text)
                assert f'<option value="{severity}" selected>' in page.text
                saved = (await site.page(f"/incidents?severity={severity}&format=csv")).text
                assert [row["reference"] for row in csv.DictReader(io.StringIO(saved))] == ["INC-1"]
            await backend.close()


RETIRED = """
[[severities]]
id = "minor"
name = "Minor"
[[severities]]
id = "severe"
name = "Severe"
[[custom_fields]]
id = "affected_area"
name = "Affected area"
field_type = "multi_select"
options = ["Login"]
"""


async def test_what_cannot_be_chosen_any_more_still_finds_the_incidents_that_have_it(tmp_path: Path) -> None:
    async with served(tmp_path, public=True) as before:
        await fill(before)
    ruled = IncidentConfig.from_toml(RETIRED)
    changed = await LocalBackend.open(
        tmp_path / "incidents.db", ruled, public_url="http://x", clock=lambda: DAWN
    )
    await changed.close()
    async with served(
        tmp_path,
        public=True,
    ) as site:
        page = await site.page("/incidents")
        assert '<option value="severe">Severe</option><option value="minor">' in page.text
        assert '<option value="major">Major (archived)</option>' in page.text
        assert '<option value="payments">Payments (archived)</option>' in page.text
        for query, numbers in (
            ("severity=major", [5, 1]),
            ("severity=critical", [6, 4]),
            ("severity=Critical", [6, 4]),
            ("severity=critical&status_category=closed", [4]),
            (f"{AREA}=payments", [4]),
            ("custom_field.customer_or_ticket=ZD-1881", [4]),
        ):
            found = await site.page(f"/incidents?{query}")
            assert shown(found) == [f"INC-{number}" for number in numbers], query
            assert "(archived)</strong>" in found.text or "ZD" in query
        assert "Major (archived)" not in (await site.page("/incidents/1")).text


async def test_every_option_of_a_deleted_field_still_finds_the_incidents_that_have_it(tmp_path: Path) -> None:
    async with served(tmp_path, public=True) as site:
        await fill(site)
        catalogue = site.backend.catalogue
        assert await catalogue.delete("custom_field_options", "login")
        assert await catalogue.delete("custom_fields", "affected_area")
        page = await site.page("/incidents")
        assert "<span>Affected area (archived)</span>" in page.text
        assert '<option value="payments">Payments</option>' in page.text
        assert shown(await site.page(f"/incidents?{AREA}=payments")) == ["INC-4"]
