"""Modals: how they open, keep what is typed, are submitted, and refuse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fakes.bolt import bolt_app, connected
from fakes.refusals import error_of, refused
from fakes.slack import RunningWorkspace
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.playground.model import Refused

NAME: dict[str, Any] = {
    "type": "input",
    "block_id": "name",
    "label": {"type": "plain_text", "text": "Name"},
    "element": {"type": "plain_text_input", "action_id": "name", "min_length": 3, "max_length": 20},
}
PAGE_BUTTON: dict[str, Any] = {
    "type": "actions",
    "block_id": "more",
    "elements": [
        {"type": "button", "action_id": "more", "text": {"type": "plain_text", "text": "More"}, "value": "1"}
    ],
}


def modal(title: str = "Page", *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "page",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": list(blocks) or [NAME, PAGE_BUTTON],
        **more,
    }


def typed(text: str) -> dict[str, Any]:
    return {"name": {"name": {"type": "plain_text_input", "value": text}}}


async def test_a_command_opens_a_modal_whose_submission_carries_what_was_typed(
    slack: RunningWorkspace,
) -> None:
    app, ana = bolt_app(slack), slack.person("ana")
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
        outcome = await slack.workspace.command(ana, slack.channel("general"), "/page")
        assert outcome.ok
        await slack.workspace.heard("views.open")
        (view,) = slack.workspace.stack(ana)
        assert (await slack.workspace.submit(ana, view.id, typed("checkout"))).ok
        body = await asyncio.wait_for(submitted, 5)
    assert body["view"]["state"]["values"]["name"]["name"]["value"] == "checkout"
    assert body["view"]["private_metadata"] == "kept"
    assert slack.workspace.stack(ana) == []


async def test_an_app_that_never_answers_is_shown_as_operation_timeout(slack: RunningWorkspace) -> None:
    app, ana = bolt_app(slack), slack.person("ana")
    reached, never = asyncio.Event(), asyncio.Event()

    @app.command("/page")
    async def page(ack: Any) -> None:
        reached.set()
        await never.wait()

    async with connected(slack, app):
        running = asyncio.create_task(slack.workspace.command(ana, slack.channel("general"), "/page"))
        await asyncio.wait_for(reached.wait(), 5)
        slack.clock.turn(3.1)
        outcome = await asyncio.wait_for(running, 5)
        never.set()
    assert outcome.error == "operation_timeout"
    assert "operation_timeout" in outcome.message
    assert "Pager didn't respond" in outcome.message


async def test_a_command_with_no_connection_says_that_the_app_did_not_respond(
    slack: RunningWorkspace,
) -> None:
    outcome = await slack.workspace.command(slack.person("ana"), slack.channel("general"), "/page")
    assert outcome.error == "app_not_responding"


class OpenForm:
    """A modal that ana has open, and what the app does with its submission."""

    def __init__(self, slack: RunningWorkspace, client: AsyncWebClient) -> None:
        self.slack, self.client = slack, client
        self.ana = slack.person("ana")

    def trigger(self) -> str:
        return self.slack.workspace.modals.trigger(self.slack.app, self.ana)

    def trigger_in(self, view_id: str) -> str:
        view = self.slack.workspace.modals.find(self.ana, view_id)
        return self.slack.workspace.modals.trigger(self.slack.app, self.ana, view)

    async def open(self, view: dict[str, Any]) -> dict[str, Any]:
        opened = await self.client.views_open(trigger_id=self.trigger(), view=view)
        return dict(opened["view"])


@pytest.fixture
def form(slack: RunningWorkspace, client: AsyncWebClient) -> OpenForm:
    return OpenForm(slack, client)


async def test_a_trigger_opens_one_view_only(form: OpenForm) -> None:
    trigger = form.trigger()
    await form.client.views_open(trigger_id=trigger, view=modal())
    again = form.client.views_open(trigger_id=trigger, view=modal())
    assert await error_of(again) == "exchanged_trigger_id"


async def test_a_trigger_expires_after_three_seconds(form: OpenForm) -> None:
    trigger = form.trigger()
    form.slack.clock.turn(3.1)
    late = form.client.views_open(trigger_id=trigger, view=modal())
    assert await error_of(late) == "expired_trigger_id"


async def test_a_made_up_trigger_opens_nothing(form: OpenForm) -> None:
    assert await error_of(form.client.views_open(trigger_id="1.2.a", view=modal())) == "invalid_trigger_id"


async def test_a_refused_view_leaves_the_trigger_for_a_better_one(form: OpenForm) -> None:
    trigger = form.trigger()
    long = await refused(form.client.views_open(trigger_id=trigger, view=modal("T" * 25)))
    assert long["error"] == "invalid_arguments"
    assert "/view/title/text" in long["response_metadata"]["messages"][0]
    assert (await form.client.views_open(trigger_id=trigger, view=modal()))["ok"]


async def test_the_stack_holds_three_views(form: OpenForm) -> None:
    view = await form.open(modal("1"))
    for title in ("2", "3"):
        pushed = await form.client.views_push(trigger_id=form.trigger_in(view["id"]), view=modal(title))
        assert pushed["view"]["previous_view_id"] == view["id"]
        view = pushed["view"]
    fourth = form.client.views_push(trigger_id=form.trigger_in(view["id"]), view=modal("4"))
    assert await error_of(fourth) == "push_limit_reached"
    titles = [v.payload["title"]["text"] for v in form.slack.workspace.stack(form.ana)]
    assert titles == ["1", "2", "3"]


async def test_a_push_needs_a_trigger_from_inside_an_open_modal(form: OpenForm) -> None:
    view = await form.open(modal())
    outside = form.client.views_push(trigger_id=form.trigger(), view=modal())
    assert await error_of(outside) == "invalid_trigger_id"
    inside = form.trigger_in(view["id"])
    await form.slack.workspace.dismiss(form.ana, view["id"])
    assert await error_of(form.client.views_push(trigger_id=inside, view=modal())) == "not_found"


async def test_an_update_with_an_old_hash_is_refused(form: OpenForm) -> None:
    view = await form.open(modal())
    updated = await form.client.views_update(view_id=view["id"], view=modal("New"), hash=view["hash"])
    assert updated["view"]["hash"] != view["hash"]
    stale = form.client.views_update(view_id=view["id"], view=modal("Newer"), hash=view["hash"])
    assert await error_of(stale) == "hash_conflict"


async def test_an_update_keeps_what_was_typed_where_the_ids_are_the_same(form: OpenForm) -> None:
    view = await form.open(modal())
    form.slack.workspace.type_into(form.ana, view["id"], "name", "name", typed("half")["name"]["name"])
    other = {**NAME, "block_id": "other", "element": {**NAME["element"], "action_id": "other"}}
    updated = await form.client.views_update(view_id=view["id"], view=modal("New", NAME, other))
    values = updated["view"]["state"]["values"]
    assert values["name"]["name"]["value"] == "half"
    assert values["other"]["other"]["value"] is None


async def test_a_view_is_found_by_its_external_id_which_is_unique(form: OpenForm) -> None:
    view = await form.open(modal(external_id="mine"))
    by_external = await form.client.views_update(external_id="mine", view=modal(external_id="mine"))
    assert by_external["view"]["id"] == view["id"]
    twice = form.client.views_push(
        trigger_id=form.trigger_in(view["id"]), view=modal("Other", external_id="mine")
    )
    assert await error_of(twice) == "duplicate_external_id"
    assert await error_of(form.client.views_update(external_id="no", view=modal())) == "not_found"


async def test_the_client_refuses_empty_and_short_fields_before_the_app_hears(form: OpenForm) -> None:
    view = await form.open(modal())
    empty = await form.slack.workspace.submit(form.ana, view["id"])
    short = await form.slack.workspace.submit(form.ana, view["id"], typed("ab"))
    assert set(empty.errors) == set(short.errors) == {"name"}
    assert form.slack.workspace.wire.matching("view_submission") == []
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
    (pressed,) = form.slack.workspace.wire.matching("block_actions")
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


async def test_clear_on_close_closes_the_whole_stack_and_says_so(form: OpenForm) -> None:
    view = await form.open(modal("1", notify_on_close=True))
    pushed = modal("2", notify_on_close=True, clear_on_close=True)
    await form.client.views_push(trigger_id=form.trigger_in(view["id"]), view=pushed)
    await form.slack.workspace.dismiss(form.ana)
    told = await form.slack.workspace.heard("view_closed", 2)
    assert [request.args["is_cleared"] for request in told] == [True, True]
    assert form.slack.workspace.stack(form.ana) == []


async def test_a_view_over_250_kilobytes_is_too_large(form: OpenForm) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    large = form.client.views_open(trigger_id=form.trigger(), view=modal("Page", *[section] * 90))
    assert await error_of(large) == "view_too_large"


async def test_a_form_may_start_with_the_channel_it_was_opened_from(form: OpenForm) -> None:
    element = {
        "type": "conversations_select",
        "action_id": "where",
        "default_to_current_conversation": True,
        "response_url_enabled": True,
    }
    block = {**NAME, "block_id": "where", "element": element}
    workspace, alerts = form.slack.workspace, form.slack.channel("alerts")
    trigger = workspace.modals.trigger(form.slack.app, form.ana, channel=alerts)
    await form.client.views_open(trigger_id=trigger, view=modal("Page", block))
    (view,) = workspace.stack(form.ana)
    await workspace.submit(form.ana, view.id)
    (heard,) = workspace.wire.matching("view_submission")
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
    ben = form.slack.person("ben")
    assert (await form.slack.workspace.submit(ben, view["id"], typed("x"))).error == "view_not_found"
