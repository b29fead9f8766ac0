"""What a responder and a program can read about incidents."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import timedelta

import httpx
import pytest
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration

from tocsin import __version__
from tocsin.incidents.model import ChannelId, Person, PersonId, TimelineEntry
from tocsin.incidents.requests import FollowUpRequest, IncidentChange
from tocsin.workflows.ports import Channel

CHLOE = Person(slack_user_id=PersonId("U0CHLOE"), name="Chloe Marchetti")
CHANNEL = Channel(id=ChannelId("C0INC"), name="inc-1-checkout-is-slow")


@pytest.mark.parametrize("written", ["INC-1", "inc-1", "1"])
async def test_the_permalink_shows_the_incident_however_its_reference_is_written(site, written: str) -> None:
    await site.backend.create(full_declaration())
    shown = await site.page(f"/incidents/{written}")
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert '<h1 dir="auto">Checkout is slow</h1>' in shown.text


async def test_the_page_tells_a_responder_what_there_is_to_know(site) -> None:
    made = await site.backend.create(full_declaration())
    await site.backend.set_channel(made.id, CHANNEL)
    await site.backend.remember_people([BEN])
    entry = TimelineEntry(at=DAWN + timedelta(minutes=5), by=BEN, verb="moved it to", text="Fixing")
    await site.backend.note(made.id, entry, "key")
    text = (await site.page("/incidents/INC-1")).text
    for told in (
        ">Investigating</span>",
        ">Critical</span>",
        '<dt>Incident Lead</dt><dd dir="auto">Ben Okafor</dd>',
        '<dt>Reporter</dt><dd dir="auto">Ana Torres</dd>',
        "Payments take 40 s.<br>\nSince the deploy of 21:05.",
        'href="https://northwind.slack.com/archives/C0INC"',
        "#inc-1-checkout-is-slow",
        'href="https://northwind.slack.com/archives/C0ALERTS/p1772334000000100"',
        '<span class="choice">API</span>',
        '<span class="choice">Payments</span>',
        "1200.5",
        'href="https://status.example.com/1"',
        "ZD-1881",
        '<h3 class="day">Sunday, 1 March 2026</h3>',
        '<time datetime="2026-03-01T03:05:00Z">03:05</time>',
    ):
        assert told in text
    words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    assert "Ben Okafor moved it to Fixing" in words
    assert "Ana Torres declared Checkout is slow (Critical)" in words


async def test_every_page_says_at_its_foot_which_version_serves_it(site) -> None:
    made = await site.backend.create(full_declaration())
    closed = await site.backend.create(declaration("over"))
    ended = IncidentChange(key="c", by=ANA, at=DAWN, incident_status_id="closed")
    await site.backend.change(closed.id, ended)
    paths = ("/incidents", f"/incidents/{made.reference}", f"/incidents/{closed.reference}", "/insights")
    for path in (*paths, "/alerts"):
        assert f">Tocsin {__version__}</footer>" in (await site.page(path)).text, path


async def test_the_page_lists_what_is_to_be_done_with_its_runbook_and_its_issue(site) -> None:
    made = await site.backend.create(full_declaration())
    assert "Actions and follow-ups" not in (await site.page("/incidents/1")).text
    wiki, link = "https://wiki.example.com/1", "https://github.com/acme/web/issues/12"
    asked = {"by": BEN, "at": DAWN, "kind": "follow_up", "text": "Add <b>an alert</b>", "assignee": BEN}
    added = await site.backend.add_follow_up(
        made.id, FollowUpRequest(key="1", runbook_url=wiki, issue_url=link, **asked)
    )
    text = (await site.page("/incidents/1")).text
    assert "Add &lt;b&gt;an alert&lt;/b&gt;" in text
    assert f'<a href="{wiki}" rel="noopener noreferrer">Runbook</a>' in text
    assert f'<a href="{link}" rel="noopener noreferrer">#12</a>' in text
    await site.backend.complete_follow_up(added.id, BEN, DAWN, "done")
    assert '<li class="done">' in (await site.page("/incidents/1")).text


async def test_the_page_says_that_nobody_leads_and_nothing_is_written_yet(site) -> None:
    await site.backend.create(declaration())
    text = (await site.page("/incidents/1")).text
    assert "Nobody yet" in text
    assert "Nothing written yet." in text
    assert "Not there yet" in text


async def test_incidents_in_triage_are_listed_apart_below_the_open_ones(site) -> None:
    await site.backend.create(declaration("live"))
    await site.backend.create(declaration("maybe", status="triage"))
    text = (await site.page("/incidents")).text
    titles = ['<h2 id="open">', "INC-1", '<h2 id="triage">', "INC-2"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)


async def test_a_program_gets_the_incident_as_json(site) -> None:
    made = await site.backend.create(full_declaration())
    answer = (await site.json("/incidents/INC-1")).json()["incident"]
    assert answer["id"] == made.id
    assert answer["incident_status"]["category"] == "live"
    assert answer["permalink"] == f"http://127.0.0.1:{site.port}/incidents/INC-1"
    assert answer["timeline"][0]["verb"] == "declared"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/html"),
        ("", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, text/html", "text/html"),
        ("application/json;q=0", "text/html"),
        ("application/json;q=much", "text/html"),
        (";;,,;q=", "text/html"),
    ],
)
async def test_html_is_for_people_and_json_for_who_prefers_it(site, accept: str, kind: str) -> None:
    shown = await site.page("/incidents", accept=accept)
    assert shown.headers["content-type"].startswith(kind)
    assert shown.headers["vary"] == "Accept, Authorization"


async def test_a_long_page_begins_to_show_before_it_is_drawn_to_its_end(site) -> None:
    made = await site.backend.create(full_declaration())
    for minute in range(200):
        entry = TimelineEntry(
            at=DAWN + timedelta(minutes=minute), by=BEN, verb="noted", text=f"line {minute}"
        )
        await site.backend.note(made.id, entry, f"key-{minute}")
    read, write = await asyncio.open_connection("127.0.0.1", site.port)
    write.write(f"GET /incidents/INC-1 HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    assert b"chunked" in await read.readuntil(b"\r\n\r\n")
    parts = []
    while size := int(await read.readline(), 16):
        parts.append((await read.readexactly(size + 2))[:-2])
    write.close()
    assert "Checkout is slow" in parts[0].decode()
    assert max(map(len, parts)) < len(b"".join(parts)) / 2
    assert "line 199" in b"".join(parts).decode()


async def test_an_empty_list_says_how_to_begin(site) -> None:
    text = (await site.page("/incidents")).text
    assert "No incidents yet." in text
    assert "/incident</code>" in text


async def test_the_list_shows_open_incidents_newest_first_with_lead_and_age(site) -> None:
    await site.backend.create(declaration("a", name="Old one", at=DAWN - timedelta(days=3)))
    await site.backend.create(full_declaration("b", incident_role_assignments={"lead": "U0ANA"}))
    text = (await site.page("/incidents")).text
    assert text.index("INC-2") < text.index("INC-1")
    assert re.search(r"INC-2.*Critical.*Ana Torres.*>1 h<.*INC-1.*No lead.*>3 d<", text, re.DOTALL)
    assert "Older" not in text


async def test_the_list_goes_on_page_by_page_to_the_first_incident(site) -> None:
    for number in range(120):
        await site.backend.create(declaration(f"key-{number}"))
    seen, path = [], "/incidents"
    for _ in range(3):
        text = (await site.page(path)).text
        seen += re.findall(r'<span class="reference">(INC-\d+)</span>', text)
        older = re.search(r'href="(/incidents\?after=[^"]+)" rel="next"', text)
        path = older[1] if older else ""
    assert seen == [f"INC-{number}" for number in range(120, 0, -1)]
    assert path == ""


async def test_the_json_list_pages_as_incident_io_does(site) -> None:
    for number in range(51):
        await site.backend.create(declaration(f"key-{number}"))
    first = (await site.json("/incidents")).json()
    assert len(first["incidents"]) == first["pagination_meta"]["page_size"] == 50
    second = (await site.json(f"/incidents?after={first['pagination_meta']['after']}")).json()
    assert [incident["reference"] for incident in second["incidents"]] == ["INC-1"]
    assert "after" not in second["pagination_meta"]


async def test_a_private_incident_cannot_be_told_from_one_that_does_not_exist(site) -> None:
    private = await site.backend.create(declaration(visibility="private", name="Canary 7f3a"))
    for accept in ("text/html", "application/json"):
        unknown = await site.page("/incidents/INC-99", accept=accept)
        assert unknown.status_code == 404
        for path in ("INC-1", "1", private.id):
            hidden = await site.page(f"/incidents/{path}", accept=accept)
            assert hidden.status_code == 404
            assert hidden.content == unknown.content
            assert without_date(hidden) == without_date(unknown)


async def test_private_incidents_are_on_no_list_and_leave_no_hole_in_its_pages(site) -> None:
    for number in range(160):
        visibility = "public" if number % 3 == 0 else "private"
        await site.backend.create(declaration(f"key-{number}", visibility=visibility))
    first = (await site.json("/incidents")).json()
    references = [incident["reference"] for incident in first["incidents"]]
    assert references == [f"INC-{number}" for number in range(160, 10, -3)]
    last = (await site.json(f"/incidents?after={first['pagination_meta']['after']}")).json()
    assert [i["reference"] for i in last["incidents"]] == ["INC-10", "INC-7", "INC-4", "INC-1"]


async def test_the_token_opens_private_incidents_and_marks_them(site) -> None:
    await site.backend.create(declaration(visibility="private", mode="test"))
    shown = await site.trusted("/incidents/INC-1")
    assert shown.status_code == 200
    assert '<span class="mark">private</span>' in shown.text
    assert '<span class="mark">test</span>' in shown.text
    assert "INC-1" in (await site.trusted("/incidents")).text
    assert shown.headers["cache-control"] == "no-store"


async def test_the_page_of_a_private_incident_lists_who_sees_it_and_why(site) -> None:
    private = await site.backend.create(full_declaration(visibility="private"))
    invitation = IncidentChange(
        key="invite", by=ANA, at=DAWN, invited=(CHLOE.slack_user_id,), assignees=(CHLOE,)
    )
    await site.backend.change(private.id, invitation)
    await site.backend.remember_people([BEN, CHLOE])
    shown = " ".join(re.sub(r"<[^>]+>", " ", (await site.trusted("/incidents/INC-1")).text).split())
    assert "Seen by Ana Torres (reporter) Ben Okafor (Incident Lead) Chloe Marchetti (invited)" in shown
    await site.backend.create(full_declaration("public"))
    assert "Seen by" not in (await site.trusted("/incidents/INC-2")).text


@pytest.mark.parametrize(
    "authorization",
    [
        *("", "Bearer", "Bearer wrong", "Basic YTpi", "a-token-of-the-operator"),
        *("Token a-token-of-the-operator", "Bearer a-token-of-the-operator2"),
        *("Bearer a-token-of-the-operato", "Bearer A-TOKEN-OF-THE-OPERATOR"),
    ],
)
async def test_nothing_but_the_whole_token_opens_a_private_incident(site, authorization: str) -> None:
    await site.backend.create(declaration(visibility="private"))
    assert (await site.page("/incidents/INC-1", authorization=authorization)).status_code == 404


async def test_two_authorization_headers_open_nothing(site) -> None:
    await site.backend.create(declaration(visibility="private"))
    twice = [("Authorization", "Bearer a-token-of-the-operator"), ("Authorization", "Bearer x")]
    assert (await site.client.get("/incidents/INC-1", headers=twice)).status_code == 404


@pytest.mark.parametrize("path", ["/incidents", "/incidents/INC-1", "/incidents/INC-9", "/metrics"])
async def test_away_from_loopback_every_page_needs_the_token(closed_site, path: str) -> None:
    await closed_site.backend.create(declaration(name="Canary 7f3a"))
    refused = await closed_site.page(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "Canary" not in refused.text
    assert (await closed_site.trusted(path)).status_code == (404 if path.endswith("9") else 200)


async def test_probes_need_no_token_anywhere(closed_site) -> None:
    assert (await closed_site.page("/healthz")).status_code == 200
    assert (await closed_site.page("/readyz")).status_code == 200


async def test_readiness_gives_its_reasons_while_health_stays(site) -> None:
    assert (await site.page("/readyz")).json() == {"ready": True, "reasons": []}
    site.reasons.append("no socket to Slack is open")
    refused = await site.page("/readyz")
    assert refused.status_code == 503
    assert refused.json()["reasons"] == ["no socket to Slack is open"]
    assert (await site.page("/healthz")).status_code == 200


async def test_what_is_wrong_is_told_to_nobody_without_the_token_where_others_can_reach_us(
    closed_site,
) -> None:
    closed_site.reasons.append("The incident file /var/lib/tocsin/incidents.db is closed: 12 private ones.")
    refused, told = await closed_site.page("/readyz"), await closed_site.trusted("/readyz")
    assert (refused.status_code, refused.json()["ready"]) == (503, False)
    assert "/var" not in refused.text
    assert "12" not in refused.text
    assert told.json()["reasons"] == closed_site.reasons


async def test_metrics_are_there_for_prometheus(site) -> None:
    shown = await site.page("/metrics")
    assert "incidents_declared_total 1.0" in shown.text
    assert shown.headers["content-type"].startswith("text/plain")


async def test_a_page_says_in_a_sentence_that_incidents_cannot_be_read(site) -> None:
    await site.backend.close()
    shown = await site.page("/incidents")
    assert shown.status_code == 503
    assert "The incident file is closed." in shown.text
    assert (await site.json("/incidents/1")).json()["errors"][0]["message"] == "The incident file is closed."


@pytest.mark.parametrize("after", ["", "nonsense", "' OR 1=1--", "%00", "x" * 2000])
async def test_a_list_after_nothing_known_is_an_answer(site, after: str) -> None:
    await site.backend.create(declaration())
    assert (await site.page(f"/incidents?after={after}")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/incidents/1/2", "/incidents/%00", "/static/incidents/..%2fapp.py"]
)
async def test_unknown_paths_are_not_found_in_a_sentence(site, path: str) -> None:
    shown = await site.page(path)
    assert shown.status_code == 404
    assert "There is no such page" in shown.text


async def test_pages_are_only_read(site) -> None:
    refused = await site.client.post("/incidents/INC-1")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_an_incident_is_shown_while_another_program_writes(site) -> None:
    await site.backend.create(declaration())
    writer = sqlite3.connect(site.backend.database.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert (await site.page("/incidents/INC-1")).status_code == 200
    writer.close()


def without_date(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name != "date"}
