"""Forms: what is typed, refused, submitted and answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.bolt import bolt_app, connected
from support.open_form import NAME, PAGE_BUTTON, OpenForm, modal, typed
from support.refusals import error_of

from slack_emulator.models import Refused
from slack_emulator.testing import Slack


async def test_a_command_opens_a_modal_whose_submission_carries_what_was_typed(
    slack: Slack,
) -> None:
    app, ana = bolt_app(slack), slack.user_id("ana")
    submitted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @app.command("/page")
    async def page(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=modal(private_metadata="kept"))

    @app.view("page")
    async def submit(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        submitted.set_result(body)

    async with connected(slack, app):
        outcome = await slack.workspace.command(ana, slack.channel_id("general"), "/page")
        assert outcome.ok
        await slack.workspace.heard("views.open")
        (view,) = slack.workspace.stack(ana)
        assert (await slack.workspace.submit(ana, view.id, typed("checkout"))).ok
        body = await asyncio.wait_for(submitted, 30)
    assert body["view"]["state"]["values"]["name"]["name"]["value"] == "checkout"
    assert body["view"]["private_metadata"] == "kept"
    assert slack.workspace.stack(ana) == []


async def test_an_app_that_never_answers_is_shown_as_operation_timeout(slack: Slack) -> None:
    app, ana = bolt_app(slack), slack.user_id("ana")
    reached, never = asyncio.Event(), asyncio.Event()

    @app.command("/page")
    async def page(ack: Any) -> None:
        reached.set()
        await never.wait()

    async with connected(slack, app):
        running = asyncio.create_task(slack.workspace.command(ana, slack.channel_id("general"), "/page"))
        await asyncio.wait_for(reached.wait(), 30)
        slack.clock.turn(3.1)
        outcome = await asyncio.wait_for(running, 30)
        never.set()
    assert outcome.error == "operation_timeout"
    assert "operation_timeout" in outcome.message
    assert "Pager didn't respond" in outcome.message


async def test_a_command_with_no_connection_says_that_the_app_did_not_respond(
    slack: Slack,
) -> None:
    outcome = await slack.workspace.command(slack.user_id("ana"), slack.channel_id("general"), "/page")
    assert outcome.error == "app_not_responding"


async def test_the_client_refuses_empty_and_short_fields_before_the_app_hears(form: OpenForm) -> None:
    view = await form.open(modal())
    empty = await form.slack.workspace.submit(form.ana, view["id"])
    short = await form.slack.workspace.submit(form.ana, view["id"], typed("ab"))
    assert set(empty.errors) == set(short.errors) == {"name"}
    assert form.slack.workspace.request_log.matching("view_submission") == []
    assert len(form.slack.workspace.stack(form.ana)) == 1


async def submission_answered_with(form: OpenForm, answer: dict[str, Any]) -> tuple[Any, str]:
    app = bolt_app(form.slack)

    @app.view("page")
    async def submit(ack: Any) -> None:
        await ack(**answer)

    view = await form.open(modal())
    async with connected(form.slack, app):
        return await form.slack.workspace.submit(form.ana, view["id"], typed("checkout")), view["id"]


async def test_errors_from_the_app_stand_under_their_fields(form: OpenForm) -> None:
    answer = {"response_action": "errors", "errors": {"name": "Taken"}}
    outcome, _ = await submission_answered_with(form, answer)
    assert outcome.errors == {"name": "Taken"}
    (view,) = form.slack.workspace.stack(form.ana)
    assert view.values["name"]["name"]["value"] == "checkout"


async def test_errors_for_a_block_that_is_no_input_are_trouble_connecting(form: OpenForm) -> None:
    answer = {"response_action": "errors", "errors": {"more": "No field"}}
    outcome, _ = await submission_answered_with(form, answer)
    assert (outcome.ok, outcome.errors) == (False, {})
    assert "trouble connecting" in outcome.message


async def test_update_changes_the_view_in_place(form: OpenForm) -> None:
    answer = {"response_action": "update", "view": modal("Done")}
    outcome, view_id = await submission_answered_with(form, answer)
    assert outcome.ok
    assert [(v.id, v.payload["title"]["text"]) for v in form.slack.workspace.stack(form.ana)] == [
        (view_id, "Done")
    ]


async def test_push_puts_a_view_on_top(form: OpenForm) -> None:
    outcome, _ = await submission_answered_with(form, {"response_action": "push", "view": modal("Next")})
    assert outcome.ok
    assert len(form.slack.workspace.stack(form.ana)) == 2


async def test_clear_closes_every_view(form: OpenForm) -> None:
    outcome, _ = await submission_answered_with(form, {"response_action": "clear"})
    assert outcome.ok
    assert form.slack.workspace.stack(form.ana) == []


async def test_an_invalid_view_in_the_answer_leaves_the_form_open(form: OpenForm) -> None:
    answer = {"response_action": "update", "view": modal("T" * 25)}
    outcome, _ = await submission_answered_with(form, answer)
    assert not outcome.ok
    (view,) = form.slack.workspace.stack(form.ana)
    assert view.payload["title"]["text"] == "Page"


async def test_an_app_that_asked_hears_of_a_closed_view(form: OpenForm) -> None:
    app = bolt_app(form.slack)

    @app.view_closed("page")
    async def closed(ack: Any) -> None:
        await ack()

    await form.open(modal(notify_on_close=True))
    async with connected(form.slack, app):
        await form.slack.workspace.dismiss(form.ana)
        (heard,) = await form.slack.workspace.heard("view_closed")
    assert heard.args["is_cleared"] is False
    assert form.slack.workspace.stack(form.ana) == []


async def test_a_button_in_a_modal_can_push_with_its_own_trigger(form: OpenForm) -> None:
    app = bolt_app(form.slack)

    @app.action("more")
    async def more(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_push(trigger_id=body["trigger_id"], view=modal("More"))

    view = await form.open(modal())
    async with connected(form.slack, app):
        assert (await form.slack.workspace.press(form.ana, "more", "more", view_id=view["id"])).ok
        await form.slack.workspace.heard("views.push")
    (pressed,) = form.slack.workspace.request_log.matching("block_actions")
    assert pressed.args["actions"][0]["value"] == "1"
    assert pressed.args["container"] == {"type": "view", "view_id": view["id"]}
    assert len(form.slack.workspace.stack(form.ana)) == 2


SEARCH: dict[str, Any] = {
    "type": "input",
    "block_id": "service",
    "label": {"type": "plain_text", "text": "Service"},
    "element": {"type": "external_select", "action_id": "service", "min_query_length": 1},
}


async def test_an_external_select_asks_the_app_for_options(form: OpenForm) -> None:
    app = bolt_app(form.slack)

    @app.options("service")
    async def services(ack: Any, payload: dict[str, Any]) -> None:
        name = payload["value"]
        await ack(options=[{"text": {"type": "plain_text", "text": name}, "value": name}])

    view = await form.open(modal("Page", SEARCH))
    async with connected(form.slack, app):
        found = await form.slack.workspace.suggest(form.ana, view["id"], "service", "service", "chec")
    assert [option["value"] for option in found.options or []] == ["chec"]


async def test_a_select_takes_only_what_it_offers(form: OpenForm) -> None:
    option = {"text": {"type": "plain_text", "text": "High"}, "value": "high"}
    block = {**SEARCH, "element": {"type": "static_select", "action_id": "service", "options": [option]}}
    view = await form.open(modal("Page", block))
    workspace = form.slack.workspace
    chosen = {"type": "static_select", "selected_option": {"value": "high"}}
    workspace.type_into(form.ana, view["id"], "service", "service", chosen)
    assert workspace.stack(form.ana)[0].values["service"]["service"]["selected_option"] == option
    unknown = {"type": "static_select", "selected_option": {"value": "low"}}
    with pytest.raises(Refused, match="invalid_value"):
        workspace.type_into(form.ana, view["id"], "service", "service", unknown)


async def test_a_home_tab_is_published_and_seen(form: OpenForm) -> None:
    home = {"type": "home", "blocks": [PAGE_BUTTON]}
    published = await form.client.views_publish(user_id=form.ana, view=home)
    assert published["view"]["type"] == "home"
    seen = form.slack.workspace.home(form.ana, form.slack.app.app_id)
    assert seen is not None
    assert seen.id == published["view"]["id"]
    stale = form.client.views_publish(user_id=form.ana, view=home, hash="1.0")
    assert await error_of(stale) == "hash_conflict"


async def test_a_form_may_start_with_the_channel_it_was_opened_from(form: OpenForm) -> None:
    element = {
        "type": "conversations_select",
        "action_id": "where",
        "default_to_current_conversation": True,
        "response_url_enabled": True,
    }
    block = {**NAME, "block_id": "where", "element": element}
    workspace, alerts = form.slack.workspace, form.slack.channel_id("alerts")
    trigger = workspace.views.trigger(form.slack.app, form.ana, channel=alerts)
    await form.client.views_open(trigger_id=trigger, view=modal("Page", block))
    (view,) = workspace.stack(form.ana)
    await workspace.submit(form.ana, view.id)
    (heard,) = workspace.request_log.matching("view_submission")
    assert heard.args["view"]["state"]["values"]["where"]["where"]["selected_conversation"] == alerts
    assert heard.args["response_urls"][0]["channel_id"] == alerts


async def test_a_submission_that_is_not_answered_keeps_the_form_and_its_text(form: OpenForm) -> None:
    view = await form.open(modal())
    outcome = await form.slack.workspace.submit(form.ana, view["id"], typed("checkout"))
    assert not outcome.ok
    assert "trouble connecting" in outcome.message
    (still,) = form.slack.workspace.stack(form.ana)
    assert still.values["name"]["name"]["value"] == "checkout"


async def test_nobody_else_can_type_into_or_submit_a_form(form: OpenForm) -> None:
    view = await form.open(modal())
    ben = form.slack.user_id("ben")
    assert (await form.slack.workspace.submit(ben, view["id"], typed("x"))).error == "view_not_found"
