"""What incident.io alone knows of an incident is read in Slack: what declared it, its document, its call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.bot import typed
from support.errands import opened_by, sent, typed_verb
from support.hosted import Stage, staged
from support.incident_io.making import make
from support.patience import LIMIT
from support.readings import cards, said, settled, words

from slack_emulator.composer import rich_text_of

RULES = '[[calls]]\nseverities = ["major"]\nurl = "https://bridge.example.com/1"\n'
DOCUMENT = "https://docs.example.com/1"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    config = tmp_path / "tocsin.toml"
    config.write_text(RULES)
    async with staged(tmp_path / "data", tocsin_config=config) as ready:
        yield ready


async def test_an_incident_that_an_alert_declared_is_shown_with_all_that_is_known_of_it(stage: Stage) -> None:
    body = {
        "idempotency_key": "alert",
        "visibility": "public",
        "name": "Disk is full",
        "severity_id": "major",
    }
    more = {
        "creator": {"alert": {"id": "01ALERT", "title": "disk usage above 95 %"}},
        "postmortem_document_url": DOCUMENT,
        "workload_minutes_total": 61.5,
    }
    make(stage.io.account, body).update(more)
    general = stage.bot.slack.channel("general")
    said = await typed_verb(stage.bot, "ana", general, "/incident show INC-1")
    assert "Declared by the alert “disk usage above 95 %”" in said
    assert DOCUMENT in said
    assert "1 h 1 min" in said
    said = await typed_verb(stage.bot, "ana", general, "/incident document INC-1")
    assert f"INC-1 has its document already: {DOCUMENT}" in said


async def test_the_call_that_a_rule_gives_is_incident_ios_too(stage: Stage) -> None:
    assert (await stage.bot.submit("ana", await stage.filled())).ok
    await stage.until(lambda: stage.io.account.incidents[-1].get("call_url"))
    assert stage.io.account.incidents[-1]["call_url"] == "https://bridge.example.com/1"
    stage.open_channel("inc-1-checkout-is-slow", "ana")
    await settled(stage.bot)
    general = stage.bot.slack.channel("general")
    assert "https://bridge.example.com/1" in str(cards(stage.bot, general)[0].blocks)
    assert "huddle" in await typed_verb(stage.bot, "ana", general, "/incident call INC-1 huddle")
    assert stage.io.account.incidents[-1]["call_url"].startswith("https://app.slack.com/huddle/T")
    assert "Join the call" in words(cards(stage.bot, general)[0])


async def test_a_comment_below_a_link_is_in_incident_ios_timeline_and_is_read_with_its_author(
    stage: Stage,
) -> None:
    assert (await stage.bot.submit("ana", await stage.filled())).ok
    await stage.until(lambda: stage.io.account.incidents)
    stage.open_channel("inc-1-checkout-is-slow", "ana")
    await settled(stage.bot)
    link, ben = f"{stage.bot.url}/incidents/INC-1", stage.bot.slack.person("ben")
    message = await said(stage.bot, "ben", "general", f"see {link}")
    shown = {
        "url": link,
        "external_ref": {"id": stage.io.account.incidents[-1]["id"]},
        "entity_comments": {"count": 0},
    }
    below = {"app_unfurl_url": link, "app_id": stage.bot.slack.app.app_id, "entity": shown}
    stage.bot.workspace.messages.attach(message, [below])
    here = stage.bot.workspace.entity_comments
    async with asyncio.timeout(LIMIT):
        look = here.open(ben, message, link)
        await look.answered.wait()
        assert (look.error, look.can_post) == ({}, True)
        assert (await here.post(look, *rich_text_of("drained eu-1"))).ok
        await look.acted[-1].answered.wait()
        assert look.acted[-1].error == ""
        again = here.open(ben, message, link)
        await again.answered.wait()
    (posted,), (read,) = look.comments, again.comments
    assert (read["id"], read["comment"]) == (posted["id"], {"value": "drained eu-1"})
    assert read["sender"] == {"name": stage.bot.workspace.state.people[ben].real_name}


ODD = {
    "affected_area": [
        {"value_option": {"id": one, "value": one.title(), "sort_key": 9}} for one in ("api", "shop")
    ],
    "detected_by": [{"value_option": {"id": "a_gone_one", "value": "Pager", "sort_key": 1}}],
    "customers_affected": [{"value_numeric": "1234567.50"}],
    "status_page": [{"value_link": "status.example.com/a page"}],
    "customer_or_ticket": [{"value_text": " TKT-7\r\n\tand more \n"}],
    "team": [{"value_catalog_entry": {"id": "01GONE", "name": "A crew of old", "aliases": []}}],
}
"""Answers of each kind that incident.io may give: choices that are gone, spaces, an address that is none."""


async def test_the_fields_form_sends_back_only_what_was_changed_of_answers_that_no_form_offers(
    stage: Stage,
) -> None:
    account = stage.io.account
    made = make(account, {"idempotency_key": "k", "visibility": "public", "severity_id": "major"})
    fields = {field["id"]: field for field in account.fields}
    made["custom_field_entries"] = [
        {"custom_field": {**fields[name], "options": []}, "values": values} for name, values in ODD.items()
    ]
    general = stage.bot.slack.channel("general")
    view = await opened_by(stage.bot, "ana", general, "/incident fields INC-1")
    assert "Nothing was changed in the form" in await sent(stage.bot, "ana", view)
    (form,) = stage.bot.workspace.stack(stage.bot.slack.person("ana"))
    area = "custom_field_entries.affected_area"
    shown = form.values[area][area]["selected_options"]
    assert [one["text"]["text"] for one in shown] == ["API", "Shop"]
    customers = {"type": "number_input", "value": "12"}
    fields_sent = {"custom_field_entries__customers_affected": customers}
    fields_sent["custom_field_entries__status_page"] = typed("https://status.example.com")
    assert "Customers affected is 12 (was 1234567.50)" in await sent(stage.bot, "ana", form, **fields_sent)
    (edit,) = stage.io.asked("POST", f"/v2/incidents/{made['id']}/actions/edit")
    assert edit.body["incident"] == {
        "custom_field_entries": [
            {"custom_field_id": "customers_affected", "values": [{"value_numeric": "12"}]},
            {"custom_field_id": "status_page", "values": [{"value_link": "https://status.example.com"}]},
        ]
    }
