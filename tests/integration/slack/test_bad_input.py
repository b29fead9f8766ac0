"""Bad input of every kind ends in a clear sentence where the person is looking, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.bot import RunningBot, chosen, ticked, typed
from support.readings import (
    cards,
    deliver,
    how_many,
    last_delivery,
    newest,
    own_channel,
    post,
    pressed,
    settled,
    told,
    value,
    words,
)

from slack_emulator.models import View

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[severities]]
name = "Minor"
[[severities]]
name = "Major"
[[incident_types]]
name = "Incident"
is_default = true
[[incident_types]]
name = "Security"
private_incidents_only = true
[[roles]]
id = "lead"
name = "Lead"
role_type = "lead"
[[custom_fields]]
name = "Ticket"
[[custom_fields]]
name = "Customers"
field_type = "numeric"
[[custom_fields]]
name = "Status page"
field_type = "link"
[[custom_fields]]
name = "Found by"
field_type = "single_select"
options = ["Customer", "Monitoring"]
[[custom_fields]]
name = "Depots"
field_type = "multi_select"
options = [{ id = "ghent", name = "Ghent" }, { id = "bruges", name = "Bruges" }]
"""
FIELD = "custom_field_entries."
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


async def full_form(bot: RunningBot, name: str = "checkout is slow") -> View:
    view = await bot.type_command("ana", "general", f"/incident {name}")
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill("ana", view, severity_id=chosen("major"), summary=typed("Since noon"))
    return view


def submission(bot: RunningBot, view: View, **changed: Any) -> dict[str, Any]:
    """What Slack would send for this form, with anything in its view changed."""
    person = bot.workspace.person(view.user)
    payload = bot.workspace.payloads.submission(bot.slack.app, person, view, "1.2.abc", [])
    return json.loads(json.dumps(payload | {"view": payload["view"] | changed}))  # type: ignore[no-any-return]


def with_field(bot: RunningBot, view: View, field: str, state: dict[str, Any]) -> dict[str, Any]:
    payload = submission(bot, view)
    payload["view"]["state"]["values"][field] = {field: state}
    return payload


@pytest.mark.parametrize(
    ("field", "state", "sentence"),
    [
        ("name", typed(""), "Give the incident a name"),
        ("name", {"type": "plain_text_input", "value": None}, "Give the incident a name"),
        ("name", typed("   \t "), "Give the incident a name"),
        ("name", typed("\u200b\u200d\u200b"), "Give the incident a name"),
        ("name", typed("\u202e\u2066\u0000"), "Give the incident a name"),
        ("name", typed("\u3164\u2800"), "Give the incident a name"),
        ("name", typed("x" * 201), "Shorten the name to 200 characters; it has 201"),
        ("summary", typed("x" * 3001), "Shorten the summary to 3000 characters; it has 3001"),
        ("severity_id", chosen("apocalypse"), "That severity no longer exists"),
        ("severity_id", {"type": "static_select", "selected_option": None}, "Choose a severity"),
        ("incident_type_id", chosen("removed"), "That incident type no longer exists"),
        ("incident_role_assignments.scribe", {"selected_user": "U0BEN00002"}, "That role no longer exists"),
        (f"{FIELD}customers", typed("12 apples"), "Write a number"),
        (f"{FIELD}customers", typed("1e400"), "Write a number"),
        (f"{FIELD}customers", typed("NaN"), "Write a number"),
        (f"{FIELD}customers", typed("-Infinity"), "Write a number"),
        (f"{FIELD}customers", typed("1" + "0" * 40), "Write a number"),
        (f"{FIELD}customers", typed("1,5,3"), "Write a number"),
        (f"{FIELD}status_page", typed("javascript:alert(1)"), "Write a link"),
        (f"{FIELD}status_page", typed("status.example.com"), "Write a link"),
        (f"{FIELD}status_page", typed("https://exa mple.com"), "Write a link"),
        (f"{FIELD}status_page", typed("https://"), "Write a link"),
        (f"{FIELD}status_page", typed("https://[::1"), "Write a link"),
        (f"{FIELD}status_page", typed("https://a|b>c"), "Write a link"),
        (f"{FIELD}status_page", typed("https://example.com/" + "x" * 2048), "Write a link"),
        (f"{FIELD}found_by", chosen("nobody"), "That choice no longer exists"),
        (f"{FIELD}depots", {"selected_options": [{"value": "lyon"}]}, "That choice no longer exists"),
        (f"{FIELD}ticket", typed("x" * 3001), "Shorten this to 3000 characters"),
        (f"{FIELD}removed", typed("x"), "That field no longer exists"),
    ],
)
async def test_what_is_wrong_is_said_under_its_field_and_the_form_stays(
    bot: RunningBot, field: str, state: dict[str, Any], sentence: str
) -> None:
    before, view = await how_many(bot), await full_form(bot)
    answer = await deliver(bot, "interactive", with_field(bot, view, field, state))
    assert answer["response_action"] == "errors"
    assert sentence in answer["errors"][field]
    assert list(answer["errors"]) == [field]
    assert await how_many(bot) == before


async def test_everything_that_is_wrong_is_said_at_once(bot: RunningBot) -> None:
    payload = with_field(bot, await full_form(bot), "name", typed(" "))
    payload["view"]["state"]["values"]["severity_id"]["severity_id"] = chosen("gone")
    answer = await deliver(bot, "interactive", payload)
    assert set(answer["errors"]) == {"name", "severity_id"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<!channel> <!here> <!everyone> is slow", "<!channel> <!here> <!everyone> is slow"),
        ("<@U0BEN00002> broke it", "<@U0BEN00002> broke it"),
        ("<https://evil.example|the wiki> & more", "<https://evil.example|the wiki> & more"),
        ("*bold* _it_ ~no~ `code` :fire:", "*bold* _it_ ~no~ `code` :fire:"),
        ("slow\x00\x07\x1b[31m again", "slow[31m again"),
        ("slow \u202egnp.exe\u202c here", "slow gnp.exe here"),
        ("slow\nin\r\nlines", "slow in lines"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 down",
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 down",
        ),
        ("الدفع بطيء جدا", "الدفع بطيء جدا"),
        ('"quotes" \'n <script>alert(1)</script>', '"quotes" \'n <script>alert(1)</script>'),
        ("x" * 200, "x" * 200),
        ("'; DROP TABLE incidents; --", "'; DROP TABLE incidents; --"),
    ],
)
async def test_any_name_is_declared_as_it_reads_and_calls_nobody(
    bot: RunningBot, given: str, kept: str
) -> None:
    view = await full_form(bot)
    answer = await deliver(bot, "interactive", with_field(bot, view, "name", typed(given)))
    assert answer["response_action"] == "update", answer
    await settled(bot)
    incident = await newest(bot)
    assert incident.name == kept
    room = own_channel(bot, incident)
    ana = bot.slack.person("ana")
    for message in (*cards(bot, room.id), cards(bot, bot.slack.channel("incidents"))[-1]):
        assert set(message.mentions_unescaped) <= {ana}
    assert "<!" not in room.topic + room.purpose
    assert told(bot, "ana") == []


@pytest.mark.parametrize(
    "metadata",
    [
        "{",
        "null",
        "[]",
        '"origin"',
        '{"origin": 5}',
        '{"origin": {"a": 1}, "another": "perhaps"}',
        '{"origin": "U0BEN00002"}',
        '{"source_channel": "C0GENERAL1", "source_ts": "yesterday"}',
        '{"source_channel": "C0GENERAL1/../x", "source_ts": "1.1"}',
        "x" * 3000,
        "[" * 3000,
        "\u0000\ud83d\ude00",
    ],
)
async def test_form_data_that_makes_no_sense_costs_the_source_and_nothing_else(
    bot: RunningBot, metadata: str
) -> None:
    view = await full_form(bot)
    answer = await deliver(bot, "interactive", submission(bot, view, private_metadata=metadata))
    assert answer["response_action"] == "update"
    await settled(bot)
    incident = await newest(bot)
    assert incident.source is None
    assert any(incident.reference in words(message) for message in told(bot, "ana"))


@pytest.mark.parametrize(
    "context",
    [
        {"origin": "C0NOBODY99"},
        {"origin": "C0NOBODY99", "source_channel": "C0NOBODY99", "source_ts": "1700000000.000100"},
        {"origin": "C0GENERAL1", "thread": "1700000000.000100"},
    ],
)
async def test_a_source_that_is_not_there_is_told_and_the_incident_stands(
    bot: RunningBot, context: dict[str, str]
) -> None:
    view = await full_form(bot)
    payload = submission(bot, view, private_metadata=json.dumps(context))
    assert (await deliver(bot, "interactive", payload))["response_action"] == "update"
    await settled(bot)
    reference = (await newest(bot)).reference
    assert any(
        f"{reference} is declared, but" in m.text and "could not be posted where it was declared" in m.text
        for m in told(bot, "ana")
    )


async def test_a_message_that_is_deleted_meanwhile_still_has_its_incident(bot: RunningBot) -> None:
    message = post(bot, "alerts", user=bot.slack.person("ana"), text="Slow again")
    view = await bot.pick_shortcut("ana", message)
    assert (await bot.workspace.delete(view.user, message.channel, message.ts)).ok
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    reference = (await newest(bot)).reference
    assert any(reference in words(message) for message in told(bot, "ana"))


async def test_a_guest_is_told_whom_to_ask_and_what_they_typed_is_not_lost(bot: RunningBot) -> None:
    gus, general = bot.slack.person("gus"), bot.slack.channel("general")
    assert (await bot.workspace.command(gus, general, "/incident the <!channel> feed is stale")).ok
    said = (bot.workspace.requests[-1].response or {})["text"]
    assert "Guests of this workspace may not declare incidents here. Ask a member" in said
    assert "/incident the &lt;!channel&gt; feed is stale" in said
    assert bot.calls() == []


async def test_a_form_sent_by_somebody_deactivated_meanwhile_stays_as_it_is_with_the_reason(
    bot: RunningBot,
) -> None:
    before, view = await how_many(bot), await full_form(bot)
    payload = submission(bot, view)
    payload["user"] |= {"id": "U0TOM00007", "name": "gone", "username": "gone"}
    answer = await deliver(bot, "interactive", payload)
    assert "Deactivated accounts may not declare" in answer["errors"]["name"]
    assert await how_many(bot) == before


async def test_somebody_whom_slack_does_not_know_declares_and_the_timeline_says_so(bot: RunningBot) -> None:
    before, view = await how_many(bot), await full_form(bot)
    payload = submission(bot, view)
    payload["user"] |= {"id": "U0NOBODY99", "name": "gone", "username": "gone"}
    answer = await deliver(bot, "interactive", payload)
    assert answer["response_action"] == "update"
    await settled(bot)
    assert await how_many(bot) == before + 1
    timeline = await bot.backend.timeline((await newest(bot)).id)
    assert "could not be checked: Slack did not say who they are" in [entry.verb for entry in timeline]


@pytest.mark.parametrize("person", ["USLACKBOT", "U0TOM00007", "U0NOBODY99", "the bot"])
async def test_a_role_for_somebody_who_cannot_take_it_on_is_refused_before_anything_is_declared(
    bot: RunningBot, person: str
) -> None:
    before, view = await how_many(bot), await full_form(bot)
    who = bot.slack.app.bot_user_id if person == "the bot" else person
    lead = {"type": "users_select", "selected_user": who}
    payload = with_field(bot, view, "incident_role_assignments.lead", lead)
    answer = await deliver(bot, "interactive", payload)
    assert "so they cannot take this on" in answer["errors"]["incident_role_assignments.lead"]
    assert who not in str(answer)
    assert await how_many(bot) == before


async def test_a_form_without_its_answers_is_asked_for_again(bot: RunningBot) -> None:
    payload = submission(bot, await full_form(bot))
    del payload["view"]["state"]
    answer = await deliver(bot, "interactive", payload)
    assert "Give the incident a name" in answer["errors"]["name"]


@pytest.mark.parametrize("how", ["callback", "no answers", "empty state"])
async def test_a_form_of_another_version_says_so_and_is_not_closed(bot: RunningBot, how: str) -> None:
    view = await full_form(bot)
    payload = submission(bot, view, callback_id="from_the_past")
    if how == "no answers":
        payload["view"]["state"] = {"values": {}}
    if how == "empty state":
        payload["view"]["state"] = None
    answer = await deliver(bot, "interactive", payload)
    assert "another version of Tocsin" in json.dumps(answer)


async def test_another_workspace_is_not_served(bot: RunningBot) -> None:
    before = await how_many(bot)
    payload = submission(bot, await full_form(bot))
    payload["team"]["id"] = payload["view"]["app_installed_team_id"] = "T0STRANGER"
    answer = await deliver(bot, "interactive", payload)
    assert answer["errors"] == {"name": "Tocsin does not serve this workspace."}
    assert await how_many(bot) == before
    command = last_delivery(bot, "slash_commands") | {"team_id": "T0STRANGER"}
    assert (await deliver(bot, "slash_commands", command))["text"] == "Tocsin does not serve this workspace."


async def test_a_shortcut_that_is_not_known_says_so(bot: RunningBot) -> None:
    app, ana = bot.slack.app, bot.workspace.person(bot.slack.person("ana"))
    trigger = bot.workspace.views.trigger(app, ana.id)
    payload = bot.workspace.payloads.global_shortcut(app, ana, "from_the_past", trigger)
    await deliver(bot, "interactive", payload)
    await bot.workspace.heard("views.open")
    assert "another version of Tocsin" in words(bot.workspace.stack(ana.id)[-1])


async def test_a_button_that_is_not_known_says_so_to_who_pressed_it(bot: RunningBot) -> None:
    ana = bot.slack.person("ana")
    button = {"type": "button", "action_id": "ring", "text": {"type": "plain_text", "text": "Ring"}}
    blocks = [{"type": "actions", "block_id": "old", "elements": [button]}]
    app = bot.slack.app
    message = post(bot, "general", app_id=app.app_id, bot_id=app.bot_id, blocks=blocks)
    outcome = await bot.workspace.press(ana, "ring", "old", channel=message.channel, ts=message.ts)
    assert outcome.ok
    await bot.workspace.heard("response_url")
    whispers = [m for m in bot.workspace.history(message.channel, ana) if m.ephemeral_to == ana]
    assert "another version of Tocsin" in whispers[-1].text


async def test_help_is_whispered_and_needs_no_call(bot: RunningBot) -> None:
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    assert (await bot.workspace.command(ana, general, "/incident HELP ")).ok
    assert bot.calls() == []
    answer = bot.workspace.requests[-1].response or {}
    assert answer["response_type"] == "ephemeral"
    assert "/incident help" in answer["text"]


@pytest.mark.parametrize("word", ["halp", "hlep", "hel", "hhelp", "h\u0435lp"])
async def test_a_word_close_to_a_verb_opens_the_form_with_a_question(bot: RunningBot, word: str) -> None:
    view = await bot.type_command("ana", "general", f"/incident {word}")
    assert "Did you mean `/incident help`?" in words(view)
    assert value(view, "name") == word


@pytest.mark.parametrize("text", ["helpdesk is down", "shelp", "help-desk"])
async def test_what_only_looks_like_a_verb_is_a_name(bot: RunningBot, text: str) -> None:
    view = await bot.type_command("ana", "general", f"/incident {text}")
    assert value(view, "name") == text


async def test_a_command_of_4000_characters_fills_name_and_summary(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident " + "all is slow " * 330)
    assert value(view, "name").startswith("all is slow")
    assert len(value(view, "name")) <= 200
    assert 2900 < len(value(view, "summary")) <= 3000


async def test_a_type_that_is_always_private_makes_the_incident_private(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident keys leaked")
    assert "Security (always private)" in json.dumps(view.payload)
    announced = len(cards(bot, bot.slack.channel("incidents")))
    await bot.fill("ana", view, severity_id=chosen("major"), incident_type_id=chosen("security"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    assert incident.is_private
    assert own_channel(bot, incident).kind == "private"
    assert len(cards(bot, bot.slack.channel("incidents"))) == announced


async def test_private_and_test_together_stay_private(bot: RunningBot) -> None:
    view = await full_form(bot, "a private drill")
    await bot.fill("ana", view, visibility=ticked("private"), mode=ticked("test"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    assert (incident.is_private, incident.mode) == (True, "test")
    assert set(own_channel(bot, incident).members) == {bot.slack.person("ana"), bot.slack.app.bot_user_id}
