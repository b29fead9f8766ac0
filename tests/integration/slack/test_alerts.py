"""What monitoring systems send becomes one incident for each group, and people decide about it in Slack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.alerts import TOKEN, VARIABLE, accepted, attached, body_of, fired, kept, keyed, sent
from support.bot import RunningBot
from support.declarations import BEN
from support.readings import cards, how_many, newest, own_channel, settled, words
from support.slash import slash

from tocsin.incidents.alerts import RESOLVED_FOR
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange
from tocsin.storage.keys import SqlKeyStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = f"""
[[alert_sources]]
id = "monitoring"
name = "Monitoring"
token_variable = "{VARIABLE}"

[[alert_sources]]
id = "prometheus"
kind = "alertmanager"
token_variable = "{VARIABLE}"

[[alert_sources]]
id = "unset"
token_variable = "TOCSIN_TEST_NO_SUCH_TOKEN"

[[alert_rules]]
labels = {{ severity = "page" }}
group_by = ["alertname"]
do = "declare"
severity = "Critical"

[[alert_rules]]
labels = {{ env = ["dev", "test"] }}
do = "nothing"

[[alert_rules]]
labels = {{ env = "quiet" }}
group_by = ["team"]
do = "triage"
close_when_resolved = true

[[alert_rules]]
labels = {{ env = "noted" }}
do = "note"

[[alert_rules]]
labels = {{ env = "secret" }}
visibility = "private"

[[alert_rules]]
group_by = ["team"]
"""


@pytest.fixture(autouse=True, scope="module")
def token() -> Iterator[None]:
    """Set before the module's bot starts."""
    with keyed():
        yield


async def test_an_alert_is_an_incident_in_triage_that_says_so_where_incidents_are_announced(
    bot: RunningBot,
) -> None:
    answer = await sent(bot, "monitoring", fired("Disk is full", description="/var has 1 % left"))
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "success",
        "message": "Event accepted for processing",
        "deduplication_key": "Disk is full",
    }
    await attached(bot)
    incident = await newest(bot)
    assert (incident.name, incident.incident_status.category) == ("Disk is full", "triage")
    assert incident.automation is not None
    assert incident.automation.kind == "alert"
    assert "/var has 1 % left" in incident.summary
    (card,) = cards(bot, bot.slack.channel("incidents"))
    assert "1 alert firing" in words(card)
    assert "Declared by the alert “Disk is full”" in words(card)
    assert "Accept" in words(card)
    assert own_channel(bot, incident).name.startswith("inc-1")
    timeline = await bot.backend.timeline(incident.id)
    assert ("Monitoring", "sent alerts:", "1 firing: Disk is full") in [
        (entry.by and entry.by.name, entry.verb, entry.text) for entry in timeline
    ]


async def test_what_repeats_is_one_alert_and_what_belongs_together_is_one_incident(bot: RunningBot) -> None:
    for _ in range(3):
        await accepted(bot, "monitoring", fired("CPU is busy", metadata={"team": "blue"}))
    await attached(bot)
    await accepted(bot, "monitoring", fired("Queue is long", metadata={"team": "blue"}))
    await accepted(bot, "monitoring", fired("CPU is busy", status="resolved", metadata={"team": "blue"}))
    await attached(bot)
    assert await how_many(bot) == 1
    incident = await newest(bot)
    assert [(alert.title, alert.status, alert.times) for alert in await kept(bot)] == [
        ("CPU is busy", "resolved", 4),
        ("Queue is long", "firing", 1),
    ]
    (card,) = cards(bot, bot.slack.channel("incidents"))
    assert "1 alert firing, 1 resolved" in words(card)
    assert "Queue is long" in words(card)
    texts = [entry.text for entry in await bot.backend.timeline(incident.id) if "alerts" in entry.verb]
    assert texts == ["1 firing: CPU is busy", "1 firing: Queue is long\n1 resolved: CPU is busy"]


async def test_another_group_is_another_incident(bot: RunningBot) -> None:
    await accepted(
        bot,
        "monitoring",
        fired("one", metadata={"team": "blue"}),
        fired("two", metadata={"team": "red"}),
    )
    await attached(bot)
    assert await how_many(bot) == 2


async def test_what_fires_again_is_a_new_alert_of_the_same_incident(bot: RunningBot) -> None:
    for status in ("firing", "resolved", "firing"):
        await accepted(bot, "monitoring", fired("flapping", status=status))
        await attached(bot)
    assert await how_many(bot) == 1
    assert [alert.status for alert in await kept(bot)] == ["resolved", "firing"]


async def test_alertmanager_says_it_in_its_own_body_and_the_rule_declares_it_at_once(bot: RunningBot) -> None:
    await accepted(bot, "prometheus", body_of("alertmanager"))
    await attached(bot)
    incident = await newest(bot)
    assert incident.incident_status.category == "live"
    assert incident.severity is not None
    assert incident.severity.name == "Critical"
    assert incident.name == "Checkout takes 4 s on web-1"
    assert [alert.status for alert in await kept(bot)] == ["firing", "resolved"]


async def test_once_an_incident_is_over_what_fires_is_another_one(bot: RunningBot) -> None:
    await accepted(bot, "monitoring", fired("first"))
    await attached(bot)
    first = await newest(bot)
    await slash(bot, "ana", bot.slack.channel("general"), f"decline {first.reference} it is a test")
    await settled(bot)
    await accepted(bot, "monitoring", fired("second"), fired("first", status="resolved"))
    await attached(bot)
    assert await how_many(bot) == 2
    by_title = {alert.title: alert for alert in await kept(bot)}
    assert by_title["first"].incident_id == first.id
    assert by_title["second"].incident_id == (await newest(bot)).id


async def test_what_nobody_accepted_is_declined_once_it_has_been_resolved_for_a_while(
    bot: RunningBot,
) -> None:
    def of_team(name: str, status: str = "firing") -> dict[str, object]:
        return fired(name, status=status, metadata={"env": "quiet", "team": name})

    await accepted(bot, "monitoring", of_team("real"), of_team("blip"))
    await attached(bot)
    by_name = {incident.name: incident for incident in await bot.backend.incidents(limit=2)}
    blip, real = by_name["blip"], by_name["real"]
    status = next(one for one in (await bot.backend.form()).statuses if one.category == "live")
    at = real.created_at + timedelta(minutes=1)
    change = IncidentChange(key="accept", by=BEN, at=at, incident_status_id=status.id)
    await bot.backend.change(real.id, change)
    await accepted(bot, "monitoring", of_team("real", "resolved"), of_team("blip", "resolved"))
    await attached(bot)
    await asyncio.sleep(RESOLVED_FOR.total_seconds() - 30)
    assert await categories(bot, real, blip) == ["live", "triage"]
    await asyncio.sleep(60)
    await attached(bot)
    assert await categories(bot, real, blip) == ["live", "declined"]
    said = [words(message) for message in cards(bot, blip.slack_channel_id)]
    assert any("All of its alerts are resolved, and nobody accepted it." in one for one in said)


async def categories(bot: RunningBot, *incidents: Incident) -> list[str]:
    found = [await bot.backend.find(incident.id) for incident in incidents]
    return [one.incident_status.category for one in found if one is not None]


async def test_rules_keep_an_alert_to_the_list_or_note_it_to_what_is_open(bot: RunningBot) -> None:
    await accepted(bot, "monitoring", fired("dev is down", metadata={"env": "dev"}))
    await accepted(bot, "monitoring", fired("too early", metadata={"env": "noted"}))
    await attached(bot)
    assert await how_many(bot) == 0
    dev, early = await kept(bot)
    assert (dev.do, dev.incident_id, dev.failure) == ("nothing", "", "")
    assert early.failure == "No incident was open to which it could be noted."
    await accepted(bot, "monitoring", fired("real"), fired("a detail", metadata={"env": "noted"}))
    await attached(bot)
    await accepted(bot, "monitoring", fired("another", metadata={"env": "noted"}))
    await attached(bot)
    assert await how_many(bot) == 1
    assert (await kept(bot))[-1].incident_id == (await newest(bot)).id


async def test_an_alert_of_a_private_rule_is_in_its_private_channel_alone(bot: RunningBot) -> None:
    await accepted(bot, "monitoring", fired("the safe is open", metadata={"env": "secret"}))
    await attached(bot)
    incident = await newest(bot)
    assert incident.is_private
    assert own_channel(bot, incident).kind == "private"
    for room in bot.workspace.state.channels.values():
        if room.id != incident.slack_channel_id:
            assert "safe" not in " ".join(map(words, cards(bot, room.id)))


async def test_a_storm_is_one_incident_with_a_count_and_a_handful_of_calls_to_slack(bot: RunningBot) -> None:
    def of_source(number: int) -> list[dict[str, object]]:
        titles = (f"host {number}-{one} is down" for one in range(100))
        labels = {"team": "storm"}
        return [
            {"status": "firing", "labels": labels, "annotations": {"summary": title}, "fingerprint": title}
            for title in titles
        ]

    for number in range(20):
        await accepted(bot, "prometheus", {"version": "4", "groupKey": "g", "alerts": of_source(number)})
        await asyncio.sleep(3)
    await attached(bot)
    assert await how_many(bot) == 1
    incident = await newest(bot)
    assert incident.alerts is not None
    assert incident.alerts.firing == 2000
    assert len(await kept(bot, incident_id=incident.id)) == 2000
    calls = [call.method for call in bot.calls()]
    assert len(calls) <= 24, calls
    assert calls.count("chat.postMessage") == 2
    timeline = [entry for entry in await bot.backend.timeline(incident.id) if "alerts" in entry.verb]
    assert len(timeline) <= 8
    assert timeline[-1].text.endswith("more")


async def test_a_storm_of_requests_is_looked_at_twice_a_second_and_no_more(bot: RunningBot) -> None:
    looks: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "GROUP BY coalesce" in statement:
            looks.append(statement)

    engine = bot.app.resources.database.open()
    sa.event.listen(engine, "before_cursor_execute", note)
    for number in range(50):
        await accepted(bot, "monitoring", fired(f"host {number}", metadata={"team": "storm"}))
        await asyncio.sleep(0.02)
    sa.event.remove(engine, "before_cursor_execute", note)
    await attached(bot)
    assert 1 <= len(looks) <= 6
    assert len(await kept(bot)) == 50


async def test_no_more_than_ten_incidents_of_a_rule_are_open_at_a_time(bot: RunningBot) -> None:
    for number in range(13):
        await accepted(bot, "monitoring", fired(f"alert {number}", metadata={"team": f"team {number}"}))
    await attached(bot)
    assert await how_many(bot) == 10
    assert all(alert.incident_id for alert in await kept(bot))


async def test_an_incident_that_is_over_holds_no_place_among_the_ten(bot: RunningBot) -> None:
    for number in range(10):
        await accepted(bot, "monitoring", fired(f"alert {number}", metadata={"team": f"team {number}"}))
    await attached(bot)
    over = next(alert for alert in await kept(bot) if alert.title == "alert 3").incident_id
    incident = await bot.backend.find(over)
    assert incident is not None
    await slash(bot, "ana", bot.slack.channel("general"), f"decline {incident.reference} it is a test")
    await settled(bot)
    await accepted(bot, "monitoring", fired("the next", metadata={"team": "another"}))
    await accepted(bot, "monitoring", fired("one more", metadata={"team": "one more"}))
    await attached(bot)
    assert await how_many(bot) == 11
    by_title = {alert.title: alert.incident_id for alert in await kept(bot)}
    assert by_title["one more"] == by_title["the next"] == (await newest(bot)).id


async def test_what_a_check_prints_in_another_encoding_is_an_alert_all_the_same(bot: RunningBot) -> None:
    """incident.io's plugin for Icinga forwards the output of a check byte by byte."""
    body = (
        b'{"title":"sensor on web-03 is CRITICAL","description":"f\xfcr Ger\xe4t 3",'
        b'"deduplication_key":"icinga/web-03/sensor","status":"firing","source_url":"","metadata":'
        b'{"host":"web-03","service":"sensor","state":"CRITICAL","notification_type":"PROBLEM",'
        b'"check_source":"","source":"icinga","hostgroups":["linux","prod"],"owner":{"squad":"core"}}}'
    )
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=bot.url, trust_env=False) as client:
        answer = await client.post("/v2/alert_events/http/monitoring", content=body, headers=headers)
    assert (answer.status_code, answer.json()["deduplication_key"]) == (202, "icinga/web-03/sensor")
    (alert,) = await kept(bot)
    assert alert.description == "f\ufffdr Ger\ufffdt 3"
    assert (alert.labels["hostgroups"], alert.labels["owner.squad"]) == ("linux, prod", "core")


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("monitoring", "wrong"),
        ("monitoring", None),
        ("monitoring", ""),
        ("nosuch", TOKEN),
        ("unset", TOKEN),
        ("unset", None),
    ],
)
async def test_an_unknown_source_is_answered_like_a_wrong_token(
    bot: RunningBot, source: str, given: str | None
) -> None:
    answer = await sent(bot, source, fired(), token=given)
    said = answer.json()
    assert answer.status_code == 401
    assert said.pop("request_id")
    assert said == {
        "type": "authentication_error",
        "status": 401,
        "errors": [
            {
                "code": "unauthenticated",
                "message": "There is no such source of alerts, or this is not its token.",
            }
        ],
    }
    assert await kept(bot) == []


async def test_the_token_may_be_in_the_address_and_a_malformed_body_is_refused_by_its_field(
    bot: RunningBot,
) -> None:
    answer = await sent(bot, "monitoring", fired(), token=None, params={"token": TOKEN})
    assert answer.status_code == 202
    answer = await sent(bot, "monitoring", {"title": "x", "status": "burning"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "code": "invalid_value",
            "message": "status must be firing or resolved.",
            "source": {"field": "status", "pointer": "/status"},
        }
    ]
    answer = await sent(bot, "monitoring", fired("x" * 600_000))
    assert answer.status_code == 413
    assert answer.json()["type"] == "payload_too_large"
    assert [alert.title for alert in await kept(bot)] == ["Disk is full"]
    await attached(bot)


async def test_a_key_reads_alerts_sources_and_incidents_they_are_attached_to_but_no_private_ones(
    bot: RunningBot,
) -> None:
    await accepted(bot, "monitoring", fired("public", metadata={"team": "blue"}))
    await accepted(bot, "monitoring", fired("dev is down", metadata={"env": "dev"}))
    await accepted(bot, "monitoring", fired("the safe is open", metadata={"env": "secret"}))
    await attached(bot)
    keys = SqlKeyStore(bot.app.resources.database)
    some = await keys.create("some", frozenset({"view"}), bot.app.resources.clock())
    every = await keys.create("every", frozenset({"view", "private"}), bot.app.resources.clock())

    async def asked(path: str, key: str = some) -> httpx.Response:
        async with httpx.AsyncClient(base_url=bot.url, trust_env=False, verify=False) as client:
            return await client.get(path, headers={"Authorization": f"Bearer {key}"})

    def titles(answer: httpx.Response) -> list[str]:
        return [one["title"] for one in answer.json()["alerts"]]

    assert titles(await asked("/v2/alerts")) == ["dev is down", "public"]
    assert titles(await asked("/v2/alerts", every)) == ["the safe is open", "dev is down", "public"]
    assert titles(await asked("/v2/alerts?deduplication_key[is]=public")) == ["public"]
    assert titles(await asked("/v2/alerts?alert_source[not_in]=monitoring")) == []
    assert titles(await asked("/v2/alerts?status[one_of]=resolved")) == []
    assert (await asked("/v2/alerts?status[like]=x")).status_code == 422
    first = (await asked("/v2/alerts?page_size=1")).json()
    after = first["pagination_meta"]["after"]
    assert titles(await asked(f"/v2/alerts?page_size=1&after={after}")) == ["public"]
    secret = (await asked("/v2/alerts", every)).json()["alerts"][0]["id"]
    assert (await asked(f"/v2/alerts/{secret}")).status_code == 404
    assert (await asked(f"/v2/alerts/{secret}", every)).json()["alert"]["attributes"][0] == {
        "attribute": {"id": "env", "name": "env", "type": "String", "array": False, "required": False},
        "value": {"label": "secret", "literal": "secret"},
    }
    (link,) = (await asked("/v2/incident_alerts")).json()["incident_alerts"]
    assert (link["alert"]["title"], link["incident"]["reference"]) == ("public", "INC-1")
    assert len((await asked("/v2/incident_alerts", every)).json()["incident_alerts"]) == 2
    of_one = await asked(f"/v2/incident_alerts?incident_id={link['incident']['id']}", every)
    assert [one["alert"]["title"] for one in of_one.json()["incident_alerts"]] == ["public"]
    listed = (await asked("/v2/alert_sources")).json()["alert_sources"]
    assert [(one["id"], one["source_type"]) for one in listed][:2] == [
        ("monitoring", "http"),
        ("prometheus", "alertmanager"),
    ]
    assert TOKEN not in str(listed)
    assert (await asked("/v2/alert_sources/prometheus")).json()["alert_source"]["name"] == "prometheus"
    assert (await asked("/v2/alert_sources/nosuch")).status_code == 404


async def test_the_labels_of_alerts_are_listed_as_their_attributes_to_whom_may_see_them(
    bot: RunningBot,
) -> None:
    await accepted(bot, "monitoring", fired("public", metadata={"team": "blue", "zone": "a"}))
    await accepted(bot, "monitoring", fired("the safe is open", metadata={"env": "secret", "code": "1"}))
    await attached(bot)
    keys, now = SqlKeyStore(bot.app.resources.database), bot.app.resources.clock()
    seen = {("view",): ["team", "zone"], ("view", "private"): ["code", "env", "team", "zone"]}
    async with httpx.AsyncClient(base_url=bot.url, trust_env=False) as client:
        for scopes, labels in seen.items():
            key = await keys.create(" ".join(scopes), frozenset(scopes), now)
            answer = await client.get("/v2/alert_attributes", headers={"Authorization": f"Bearer {key}"})
            listed = answer.json()["alert_attributes"]
            assert [one["id"] for one in listed] == labels
            assert listed[0] == {
                "id": labels[0],
                "name": labels[0],
                "type": "String",
                "array": False,
                "required": False,
            }


async def test_a_list_of_alerts_takes_every_filter_that_incident_io_has(bot: RunningBot) -> None:
    await accepted(bot, "monitoring", fired("one", metadata={"team": "blue", "zone": "a"}))
    await asyncio.sleep(90)
    for title, team in (("two", "red"), ("three", "blue")):
        await accepted(bot, "monitoring", fired(title, metadata={"team": team}))
    await attached(bot)
    await accepted(bot, "monitoring", fired("one", status="resolved", metadata={"team": "blue"}))
    await attached(bot)
    by_title = {alert.title: alert for alert in await kept(bot)}
    first = by_title["one"].created_at.isoformat().replace("+00:00", "Z")
    ended = by_title["one"].updated_at.isoformat().replace("+00:00", "Z")
    blue = by_title["one"].group_id
    key = await SqlKeyStore(bot.app.resources.database).create(
        "filters", frozenset({"view"}), bot.app.resources.clock()
    )
    async with httpx.AsyncClient(
        base_url=bot.url, trust_env=False, headers={"Authorization": f"Bearer {key}"}
    ) as client:
        for query, titles in FILTERED.items():
            asked = query.format(first=first, ended=ended, blue=blue)
            answer = await client.get(f"/v2/alerts?{asked}")
            assert answer.status_code == 200, answer.text
            assert [one["title"] for one in answer.json()["alerts"]] == titles, query
        for query, field in REFUSED.items():
            answer = await client.get(f"/v2/alerts?{query}")
            assert answer.status_code == 422, query
            assert [one["source"]["field"] for one in answer.json()["errors"]] == [field]


EVERY = ["three", "two", "one"]
FILTERED: dict[str, list[str]] = {
    "deduplication_key[is]=two": ["two"],
    "deduplication_key=two": ["two"],
    "status[one_of]=resolved": ["one"],
    "status[not_in]=resolved&alert_source[one_of]=monitoring": ["three", "two"],
    "alert_source[not_in]=monitoring": [],
    "alert_group_id[one_of]={blue}": ["three", "one"],
    "alert_group_id[one_of]=nosuch": [],
    "created_at[lte]={first}": ["one"],
    "created_at[gte]={first}": EVERY,
    "created_at[gte]={first}&created_at[lte]={first}": ["one"],
    "created_at[date_range]=2000-01-01~2001-01-01": [],
    "created_at[gte]=0001-01-01T00:00:00Z&created_at[lte]=9999-12-31T23:59:59Z": EVERY,
    "created_at[gte]=9999-12-31T23:59:59Z": [],
    "created_at[date_range]=0001-01-01~9999-12-31": EVERY,
    "updated_at[gte]={ended}": ["one"],
    "attributes[team][one_of]=blue": ["three", "one"],
    "attributes[team][one_of]=blue&attributes[zone][is]=a": ["one"],
    "attributes[team][not_in]=blue": ["two"],
    "attributes[zone][is_blank]=true": ["three", "two"],
    "has_notes[is]=false": EVERY,
    "has_notes[is]=true": [],
    "tags[one_of]=noise": [],
    "tags[not_in]=noise": EVERY,
    "include_maintenance_window[is]=true": EVERY,
}
REFUSED = {
    "deduplication_key[like]=two": "deduplication_key.like",
    "alert_group_id[not_in]=x": "alert_group_id.not_in",
    "created_at[gte]=yesterday": "created_at",
    "created_at[date_range]=2024-12-02": "created_at.date_range",
    "updated_at[is]=2024-12-02": "updated_at.is",
    "attributes[team][like]=b": "attributes.team.like",
    "attributes[team][is_blank]=maybe": "attributes.team",
    "has_notes[is]=maybe": "has_notes",
    "tags[any]=x": "tags.any",
    "include_maintenance_window[is]=x": "include_maintenance_window",
}
