"""Links that people post: who hears of them, and what may be shown below one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.manifests import DECLARED
from support.slack import refused

from slack_emulator.composer import rich_text_of
from slack_emulator.entity_comments import CommentsView
from slack_emulator.manifest import Manifest, manifest_errors
from slack_emulator.models import Message, Refused
from slack_emulator.testing import Slack, running_slack

URL = "https://pager.example.com/incidents/1"
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "*One*"}}]


def declared() -> dict[str, Any]:
    whole = deepcopy(DECLARED)
    whole["oauth_config"]["scopes"]["bot"] += ["links:read", "links:write"]
    whole["features"]["unfurl_domains"] = ["example.com"]
    whole["features"]["rich_previews"] = {"is_active": True, "entity_types": ["slack#/entities/incident"]}
    whole["settings"]["event_subscriptions"]["bot_events"] += [
        "entity_comments_requested",
        "entity_details_requested",
        "link_shared",
    ]
    return whole


def entity(url: str = URL, **changed: Any) -> dict[str, Any]:
    return {
        "app_unfurl_url": url,
        "url": url,
        "external_ref": {"id": "1"},
        "entity_type": "slack#/entities/incident",
        "entity_payload": {"attributes": {"title": {"text": "One"}}, "fields": {"status": {"value": "On"}}},
        **changed,
    }


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with running_slack(Manifest.from_dict(declared()), clock=fitting_clock()) as running:
        yield running


async def posted(slack: Slack, text: str, channel: str = "general") -> Message:
    where = slack.channel_id(channel)
    outcome = await slack.workspace.say(slack.user_id("ana"), where, text)
    assert outcome.ts is not None
    return slack.workspace.message(where, outcome.ts)


async def test_a_link_is_told_to_the_app_of_its_domain_also_where_the_app_is_not(
    slack: Slack,
) -> None:
    message = await posted(slack, f"look at {URL}?a=1&b=2, and at https://elsewhere.test/1")
    (heard, *_) = await slack.workspace.begun("event.link_shared")
    event = heard.args["event"]
    assert event["links"] == [{"domain": "pager.example.com", "url": f"{URL}?a=1&b=2"}]
    assert (event["channel"], event["message_ts"]) == (message.channel, message.ts)
    assert (event["is_bot_user_member"], event["source"]) == (False, "conversations_history")
    assert heard.args["is_ext_shared_channel"] is False


async def test_what_an_app_shows_stands_below_the_message_and_is_replaced(
    slack: Slack, client: AsyncWebClient
) -> None:
    message = await posted(slack, f"look at {URL}")
    (heard, *_) = await slack.workspace.begun("event.link_shared")
    unfurl_id = heard.args["event"]["unfurl_id"]
    await client.chat_unfurl(
        unfurl_id=unfurl_id, source="conversations_history", unfurls={URL: {"blocks": BLOCKS}}
    )
    await client.chat_unfurl(channel=message.channel, ts=message.ts, unfurls={URL: {"text": "again"}})
    (shown,) = message.attachments
    assert (shown["text"], shown["app_unfurl_url"]) == ("again", URL)
    assert message.edited is None


async def test_only_links_of_that_message_are_unfurled_and_only_as_slack_takes_it(
    slack: Slack, client: AsyncWebClient
) -> None:
    message = await posted(slack, f"look at {URL} and https://elsewhere.test/1")
    at: dict[str, Any] = {"channel": message.channel, "ts": message.ts}
    for url in ("https://pager.example.com/2", "https://elsewhere.test/1"):
        with refused("cannot_unfurl_url"):
            await client.chat_unfurl(**at, unfurls={url: {"text": "no"}})
    with refused("invalid_unfurls_format"):
        await client.chat_unfurl(**at, unfurls={URL: {"blocks": [{"type": "no_such"}]}})
    with refused("missing_unfurls"):
        await client.chat_unfurl(**at)
    with refused("invalid_arguments"):
        await client.chat_unfurl(**at, unfurls={URL: {"text": "x"}}, metadata={"entities": [entity()]})
    with refused("cannot_find_message"):
        await client.chat_unfurl(channel=message.channel, ts="1.000001", unfurls={URL: {"text": "x"}})
    with refused("invalid_unfurl_id"):
        await client.chat_unfurl(
            unfurl_id="Unone", source="conversations_history", unfurls={URL: {"text": "x"}}
        )
    private = await posted(slack, URL, "leads")
    with refused("cannot_find_channel"):
        await client.chat_unfurl(channel=private.channel, ts=private.ts, unfurls={URL: {"text": "x"}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"entity_type": "slack#/entities/task"},
        {"external_ref": {}},
        {"entity_payload": {"attributes": {"title": {"text": "One"}}}},
        {"entity_payload": {"attributes": {"title": "One"}, "fields": {}}},
        {"entity_payload": {"attributes": {"title": {"text": "One"}}, "fields": {"mood": {"value": "x"}}}},
    ],
)
async def test_a_work_object_is_taken_only_whole(
    slack: Slack, client: AsyncWebClient, wrong: dict[str, Any]
) -> None:
    message = await posted(slack, URL)
    at: dict[str, Any] = {"channel": message.channel, "ts": message.ts}
    with refused("invalid_metadata"):
        await client.chat_unfurl(**at, metadata={"entities": [entity(**wrong)]})
    await client.chat_unfurl(**at, metadata={"entities": [entity()]})
    assert message.attachments[0]["entity"]["entity_payload"]["attributes"]["title"]["text"] == "One"


async def test_who_opens_a_work_object_is_shown_what_the_app_presents_to_them(
    slack: Slack, client: AsyncWebClient
) -> None:
    message = await posted(slack, URL)
    await client.chat_unfurl(channel=message.channel, ts=message.ts, metadata={"entities": [entity()]})
    look = slack.workspace.unfurls.open(slack.user_id("ben"), message, URL)
    (heard, *_) = await slack.workspace.begun("event.entity_details_requested")
    event = heard.args["event"]
    assert (event["user"], event["external_ref"]) == (slack.user_id("ben"), {"id": "1"})
    shown = {name: value for name, value in entity().items() if name != "app_unfurl_url"}
    with refused("entity_metadata_does_not_match_trigger"):
        await client.entity_presentDetails(
            event["trigger_id"], metadata={**shown, "external_ref": {"id": "2"}}
        )
    with refused("invalid_trigger_id"):
        await client.entity_presentDetails("1.2.3", metadata=shown)
    await client.entity_presentDetails(event["trigger_id"], metadata=shown)
    assert look.shown == shown


async def test_a_button_of_a_work_object_is_pressed_where_its_details_are(
    slack: Slack, client: AsyncWebClient
) -> None:
    message = await posted(slack, URL)
    await client.chat_unfurl(channel=message.channel, ts=message.ts, metadata={"entities": [entity()]})
    look = slack.workspace.unfurls.open(slack.user_id("ben"), message, URL)
    (heard, *_) = await slack.workspace.begun("event.entity_details_requested")
    trigger, shown = heard.args["event"]["trigger_id"], entity()
    del shown["app_unfurl_url"]
    buttons = [{"text": f"Button {number}", "action_id": f"b{number}", "value": "1"} for number in range(3)]
    with refused("invalid_metadata"):
        shown["entity_payload"]["actions"] = {"primary_actions": buttons}
        await client.entity_presentDetails(trigger, metadata=shown)
    shown["entity_payload"]["actions"] = {"primary_actions": buttons[:2], "overflow_actions": buttons[2:]}
    await client.entity_presentDetails(trigger, metadata=shown)
    assert (await slack.workspace.press_entity(slack.user_id("ben"), look, "b9")).error == "invalid_action"
    await slack.workspace.press_entity(slack.user_id("ben"), look, "b2")
    (pressed, *_) = await slack.workspace.begun("block_actions")
    container, (action,) = pressed.args["container"], pressed.args["actions"]
    assert (container["type"], container["external_ref"]) == ("entity_detail", {"id": "1"})
    assert (action["action_id"], action["value"], action["text"]["text"]) == ("b2", "1", "Button 2")


# comments


def comment(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "sender": {"name": "Pager"},
        "timestamp": number,
        "comment": {"value": f"Comment {number}"},
        **changed,
    }


async def commented(slack: Slack, client: AsyncWebClient, cursor: str = "") -> tuple[CommentsView, str]:
    """Ben has opened the comments; the trigger with which the app answers."""
    message = await posted(slack, URL)
    shown = entity(entity_comments={"count": 2, "latest_timestamp": 2})
    await client.chat_unfurl(channel=message.channel, ts=message.ts, metadata={"entities": [shown]})
    look = slack.workspace.entity_comments.open(slack.user_id("ben"), message, URL, cursor)
    (heard, *_) = await slack.workspace.begun("event.entity_comments_requested")
    event = heard.args["event"]
    assert (event["user"], event["external_ref"]) == (slack.user_id("ben"), {"id": "1"})
    assert event.get("cursor", "") == cursor
    return look, event["trigger_id"]


async def test_comments_are_offered_only_where_the_app_counts_them(
    slack: Slack, client: AsyncWebClient
) -> None:
    message = await posted(slack, URL)
    at: dict[str, Any] = {"channel": message.channel, "ts": message.ts}
    with refused("invalid_metadata"):
        await client.chat_unfurl(**at, metadata={"entities": [entity(entity_comments={"count": "2"})]})
    await client.chat_unfurl(**at, metadata={"entities": [entity()]})
    with pytest.raises(Refused, match="comments_not_supported"):
        slack.workspace.entity_comments.open(slack.user_id("ben"), message, URL)


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        ("invalid_arguments", {"comments": [{"id": "c1"}]}),
        ("invalid_arguments", {"comments": [comment(1, comment={"value": "a", "format": "html"})]}),
        ("invalid_arguments", {"comments": [comment(1, comment={"blocks": BLOCKS})]}),
        ("invalid_arguments", {"comments": [comment(1, sender={"user_id": "U1", "name": "Ana"})]}),
        ("invalid_arguments", {"comments": [], "error": {"status": "gone"}}),
        ("invalid_arguments", {}),
        ("missing_delete_action_id", {"comments": [comment(1, can_delete=True)]}),
        ("user_auth_url_missing", {"user_auth_required": True}),
    ],
)
async def test_comments_are_taken_only_as_slack_takes_them(
    slack: Slack, client: AsyncWebClient, error: str, wrong: dict[str, Any]
) -> None:
    look, trigger = await commented(slack, client, cursor="older")
    with refused(error):
        await client.api_call("entity.presentComments", json={"trigger_id": trigger, **wrong})
    with refused("invalid_trigger_id"):
        await client.api_call("entity.presentComments", json={"trigger_id": "1.2", "comments": []})
    assert not look.answered.is_set()


async def test_a_user_posts_edits_and_deletes_comments_as_far_as_the_app_lets_them(
    slack: Slack, client: AsyncWebClient
) -> None:
    look, trigger = await commented(slack, client)
    here, (said,) = slack.workspace.entity_comments, rich_text_of("Looking")
    assert (await here.post(look, said)).error == "invalid_action"
    mine = comment(2, sender={"user_id": look.entity.person}, can_edit=True, can_delete=True)
    shown = {"comments": [mine, comment(1)], "can_post_comment": True, "delete_action_id": "away"}
    await client.api_call("entity.presentComments", json={"trigger_id": trigger, **shown})
    assert [one["id"] for one in look.comments] == ["c2", "c1"]

    await here.post(look, said)
    (heard, *_) = await slack.workspace.begun("view_submission")
    view = heard.args["view"]
    assert (view["type"], view["callback_id"]) == ("entity_comment", "work-object-post-comment")
    assert (view["external_ref"], view["external_id"]) == ({"id": "1"}, "")
    typed = view["state"]["values"]["comment_input_block"]["comment_input_action"]
    assert typed["rich_text_value"] == said
    answer = {"trigger_id": heard.args["trigger_id"]}
    for error, part in (
        ("missing_comment_data", {"id": "c3"}),
        ("invalid_sender_schema", comment(3, sender={})),
        ("invalid_sender_schema", comment(3, sender={"user_id": "U0NOBODY"})),
        ("invalid_action", comment(3, thread_root_id="c1")),
    ):
        with refused(error):
            await client.api_call("entity.acknowledgeCommentAction", json={**answer, "comment": part})
    await client.api_call("entity.acknowledgeCommentAction", json={**answer, "comment": comment(3)})
    with refused("invalid_trigger_id"):
        await client.api_call("entity.acknowledgeCommentAction", json=answer)
    assert [one["id"] for one in look.comments] == ["c3", "c2", "c1"]

    assert (await here.edit(look, "c1", said)).error == "invalid_action"
    await here.edit(look, "c2", said)
    heard = (await slack.workspace.begun("view_submission", 2))[-1]
    assert (heard.args["view"]["callback_id"], heard.args["view"]["external_id"]) == (
        "work-object-edit-comment",
        "c2",
    )
    await client.api_call(
        "entity.acknowledgeCommentAction", json={"trigger_id": heard.args["trigger_id"], "error": "Too late."}
    )
    assert (look.acted[-1].error, look.acted[-1].answered.is_set()) == ("Too late.", True)

    await here.delete(look, "c2")
    (pressed, *_) = await slack.workspace.begun("block_actions")
    assert pressed.args["container"]["type"] == "entity_comment"
    assert [(one["action_id"], one["value"]) for one in pressed.args["actions"]] == [("away", "c2")]
    await client.api_call("entity.acknowledgeCommentAction", json={"trigger_id": pressed.args["trigger_id"]})
    assert [one["id"] for one in look.comments] == ["c3", "c1"]


async def test_an_app_that_may_not_show_work_objects_is_told_so() -> None:
    whole = declared()
    whole["features"]["rich_previews"]["is_active"] = False
    async with running_slack(Manifest.from_dict(whole), clock=fitting_clock()) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        message = await posted(slack, URL)
        with refused("feature_not_enabled"):
            await client.chat_unfurl(
                channel=message.channel, ts=message.ts, metadata={"entities": [entity()]}
            )


async def test_a_link_that_is_not_sent_yet_is_told_of_without_its_place(slack: Slack) -> None:
    slack.workspace.unfurls.compose(slack.user_id("ana"), slack.app, URL)
    (heard, *_) = await slack.workspace.begun("event.link_shared")
    assert (heard.args["event"]["channel"], heard.args["event"]["source"]) == ("COMPOSER", "composer")


def test_domains_and_previews_need_their_scope_and_their_event() -> None:
    whole = declared()
    assert manifest_errors(whole) == []
    whole["settings"]["event_subscriptions"]["bot_events"].remove("entity_details_requested")
    assert [line for line in manifest_errors(whole) if "entity_details_requested" in line]
    whole["oauth_config"]["scopes"]["bot"].remove("links:read")
    assert [line for line in manifest_errors(whole) if "links:read" in line]
