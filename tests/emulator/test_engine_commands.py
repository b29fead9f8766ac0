"""Slash commands, shortcuts, buttons and the answers to them."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import httpx
from slack_sdk.web.async_client import AsyncWebClient
from support.bolt import bolt_app, connected
from support.clock import fitting_clock
from support.manifests import DECLARED

from slack_emulator.manifest import Manifest
from slack_emulator.testing import Slack, running_slack

BUTTON: list[dict[str, Any]] = [
    {
        "type": "actions",
        "block_id": "row",
        "elements": [{"type": "button", "action_id": "take", "text": {"type": "plain_text", "text": "Take"}}],
    }
]


async def run(slack: Slack, who: str, where: str, typed: str, **more: Any) -> Any:
    return await slack.workspace.command(slack.user_id(who), slack.channel_id(where), typed, **more)


def texts(slack: Slack, where: str, viewer: str) -> list[str]:
    return [m.text for m in slack.workspace.history(slack.channel_id(where), slack.user_id(viewer))]


async def test_an_undeclared_command_is_not_a_valid_command(slack: Slack) -> None:
    outcome = await run(slack, "ana", "general", "/nothing here")
    assert (outcome.error, outcome.message) == ("invalid_command", "/nothing is not a valid command.")
    assert slack.workspace.requests == []


async def test_commands_are_refused_in_threads(slack: Slack) -> None:
    outcome = await run(slack, "ana", "alerts", "/page", thread_ts="1.0")
    assert outcome.error == "no_commands_in_threads"
    assert slack.workspace.requests == []


async def test_a_deactivated_person_runs_nothing(slack: Slack) -> None:
    assert (await run(slack, "tom", "general", "/page")).error == "account_inactive"


async def test_names_in_the_text_are_escaped_when_the_manifest_says_so(slack: Slack) -> None:
    await run(slack, "ana", "general", "/page @ben in #alerts now")
    await run(slack, "ana", "general", "/raw @ben")
    escaped, raw = (r.args["text"] for r in slack.workspace.request_log.matching("slash_commands"))
    assert escaped == f"<@{slack.user_id('ben')}|ben> in <#{slack.channel_id('alerts')}|alerts> now"
    assert raw == "@ben"


async def test_the_text_is_escaped_as_slack_escapes_it(slack: Slack) -> None:
    """Slack, slash commands: `should_escape`. A private channel has no name; angle brackets mean nothing."""
    typed = "@oncall <b> & #leads https://a.example/x?a=1&b=2, #nowhere\n@nobody"
    for command in ("/page", "/raw"):
        await run(slack, "ana", "general", f"{command} {typed}")
    escaped, raw = (r.args["text"] for r in slack.workspace.request_log.matching("slash_commands"))
    group = next(group for group in slack.workspace.state.groups.values() if group.handle == "oncall")
    address = "https://a.example/x?a=1&amp;b=2"
    leads = f"<#{slack.channel_id('leads')}|>"
    oncall = f"<!subteam^{group.id}|@oncall>"
    assert escaped == f"{oncall} &lt;b&gt; &amp; {leads} <{address}>, #nowhere\n@nobody"
    assert raw == f"@oncall &lt;b&gt; &amp; #leads {address}, #nowhere\n@nobody"


async def test_what_was_picked_in_the_composer_goes_out_as_it_is(slack: Slack) -> None:
    picked = "<@U0BEN00002> <#C0GENERAL1|general> <!subteam^S0ONCALL01> <https://a.example|the graph>"
    await run(slack, "ana", "general", f"/page {picked} <@nobody> 1 < 2")
    (heard,) = slack.workspace.request_log.matching("slash_commands")
    assert heard.args["text"] == f"{picked} &lt;@nobody&gt; 1 &lt; 2"


async def test_a_private_channel_is_no_channel_for_who_is_not_in_it(slack: Slack) -> None:
    await run(slack, "gus", "general", "/page #leads")
    (heard,) = slack.workspace.request_log.matching("slash_commands")
    assert heard.args["text"] == "#leads"


async def test_a_command_tells_only_strings_and_hides_private_channel_names(slack: Slack) -> None:
    await run(slack, "ana", "leads", "/page")
    (heard,) = slack.workspace.request_log.matching("slash_commands")
    assert all(isinstance(value, str) for value in heard.args.values())
    assert heard.args["channel_name"] == "privategroup"
    assert heard.args["is_enterprise_install"] == "false"


async def test_an_acknowledgement_with_text_is_seen_by_its_sender_only(
    slack: Slack, client: AsyncWebClient
) -> None:
    app = bolt_app(slack)

    @app.command("/page")
    async def page(ack: Any) -> None:
        await ack("Paged")

    await slack.workspace.invite(slack.user_id("ana"), slack.channel_id("general"), slack.app.bot_user_id)
    async with connected(slack, app):
        assert (await run(slack, "ana", "general", "/page")).ok
    assert texts(slack, "general", "ana")[-1] == "Paged"
    assert "Paged" not in texts(slack, "general", "ben")
    history = await client.conversations_history(channel=slack.channel_id("general"))
    assert all(message["text"] != "Paged" for message in history["messages"])


async def test_a_response_url_answers_five_times_within_thirty_minutes(slack: Slack) -> None:
    await run(slack, "ana", "leads", "/page")
    (heard,) = slack.workspace.request_log.matching("slash_commands")
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        body = {"text": "Working", "response_type": "in_channel"}
        statuses = [(await http.post(heard.args["response_url"], json=body)).status_code for _ in range(6)]
        await run(slack, "ana", "leads", "/page")
        later = slack.workspace.request_log.matching("slash_commands")[1].args["response_url"]
        slack.clock.turn(30 * 60 + 1)
        expired = await http.post(later, json=body)
    assert statuses == [200] * 5 + [404]
    assert expired.json()["error"] == "expired_url"
    assert texts(slack, "leads", "ben").count("Working") == 5


async def test_a_response_url_may_take_its_own_message_away(slack: Slack, client: AsyncWebClient) -> None:
    ana, general = slack.user_id("ana"), slack.channel_id("general")
    await client.conversations_join(channel=general)
    await client.chat_postEphemeral(channel=general, user=ana, text="Only you", blocks=BUTTON)
    secret = slack.workspace.history(general, ana)[-1]
    await slack.workspace.press(ana, "take", "row", channel=general, ts=secret.ts)
    (heard,) = slack.workspace.request_log.matching("block_actions")
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        body = {"replace_original": True, "text": "Taken"}
        assert (await http.post(heard.args["response_url"], json=body)).text == "ok"
        assert texts(slack, "general", "ana")[-1] == "Taken"
        await http.post(heard.args["response_url"], json={"delete_original": True})
        invalid = await http.post(heard.args["response_url"], json={"text": "x", "blocks": [{"type": "no"}]})
    assert "Taken" not in texts(slack, "general", "ana")
    assert invalid.json()["error"] == "invalid_blocks"


async def test_without_interactivity_in_the_manifest_no_button_or_shortcut_works() -> None:
    declared = deepcopy(DECLARED)
    declared["settings"]["interactivity"] = {"is_enabled": False}
    del declared["features"]["shortcuts"]
    async with running_slack(Manifest.from_dict(declared), clock=fitting_clock()) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        ana, general = slack.user_id("ana"), slack.channel_id("general")
        await client.conversations_join(channel=general)
        ts = (await client.chat_postMessage(channel=general, text="Who?", blocks=BUTTON))["ts"]
        pressed = await slack.workspace.press(ana, "take", "row", channel=general, ts=ts)
        assert pressed.error == "interactivity_off"
        assert (await slack.workspace.global_shortcut(ana, "page")).error == "invalid_shortcut"


async def test_a_message_shortcut_brings_the_message_even_where_the_app_is_no_member(
    slack: Slack,
) -> None:
    app, told = bolt_app(slack), asyncio.Queue[dict[str, Any]]()

    @app.shortcut("page_about")
    async def about(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        told.put_nowait(body)

    alert = slack.workspace.history(slack.channel_id("alerts"), slack.user_id("ana"))[2]
    async with connected(slack, app):
        outcome = await slack.workspace.message_shortcut(
            slack.user_id("ana"), "page_about", alert.channel, alert.ts
        )
        body = await asyncio.wait_for(told.get(), 30)
    assert outcome.ok
    assert body["type"] == "message_action"
    assert body["message"]["attachments"][0]["title"].startswith("FIRING")
    assert body["channel"] == {"id": alert.channel, "name": "alerts"}
    assert body["message_ts"] == alert.ts


async def test_a_global_shortcut_has_neither_channel_nor_response_url(slack: Slack) -> None:
    await slack.workspace.global_shortcut(slack.user_id("ana"), "page")
    (heard,) = slack.workspace.request_log.matching("shortcut")
    assert "channel" not in heard.args
    assert "response_url" not in heard.args


async def test_shortcuts_are_not_offered_on_ephemeral_messages(slack: Slack, client: AsyncWebClient) -> None:
    ana, general = slack.user_id("ana"), slack.channel_id("general")
    await client.conversations_join(channel=general)
    await client.chat_postEphemeral(channel=general, user=ana, text="Only you")
    secret = slack.workspace.history(general, ana)[-1]
    outcome = await slack.workspace.message_shortcut(ana, "page_about", general, secret.ts)
    assert outcome.error == "shortcut_on_ephemeral"


async def test_a_button_in_a_message_reaches_the_app_and_may_replace_the_message(
    slack: Slack, client: AsyncWebClient
) -> None:
    app, general = bolt_app(slack), slack.channel_id("general")

    @app.action("take")
    async def take(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="Taken", blocks=[], replace_original=True)

    await client.conversations_join(channel=general)
    posted = await client.chat_postMessage(channel=general, text="Who?", blocks=BUTTON)
    async with connected(slack, app):
        outcome = await slack.workspace.press(
            slack.user_id("ben"), "take", "row", channel=general, ts=posted["ts"]
        )
        await slack.workspace.heard("response_url")
    assert outcome.ok
    message = slack.workspace.message(general, posted["ts"])
    assert (message.text, message.blocks) == ("Taken", [])


async def test_a_button_in_an_ephemeral_tells_the_app_no_message(
    slack: Slack, client: AsyncWebClient
) -> None:
    ana, general = slack.user_id("ana"), slack.channel_id("general")
    await client.conversations_join(channel=general)
    await client.chat_postEphemeral(channel=general, user=ana, text="Only you", blocks=BUTTON)
    secret = slack.workspace.history(general, ana)[-1]
    await slack.workspace.press(ana, "take", "row", channel=general, ts=secret.ts)
    (heard,) = slack.workspace.request_log.matching("block_actions")
    assert "message" not in heard.args
    assert heard.args["container"]["is_ephemeral"] is True
    other = await slack.workspace.press(slack.user_id("ben"), "take", "row", channel=general, ts=secret.ts)
    assert other.error == "message_not_found"
