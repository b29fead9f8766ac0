"""Conversations: names, membership, invitations, topics, archives, and who sees what."""

from __future__ import annotations

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.refusals import error_of, refused

from slack_emulator.testing import Slack


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "invalid_name_required"),
        ("a" * 81, "invalid_name_maxlength"),
        ("Inc-1", "invalid_name_specials"),
        ("inc 1", "invalid_name_specials"),
        ("inc.1", "invalid_name_specials"),
        ("--__", "invalid_name_punctuation"),
        ("general", "name_taken"),
        ("leads", "name_taken"),
    ],
)
async def test_channel_names_are_refused_not_corrected(client: AsyncWebClient, name: str, error: str) -> None:
    assert await error_of(client.conversations_create(name=name)) == error


async def test_an_archived_channel_keeps_its_name(client: AsyncWebClient) -> None:
    made = await client.conversations_create(name="a" * 80)
    await client.conversations_archive(channel=made["channel"]["id"])
    assert await error_of(client.conversations_create(name="a" * 80)) == "name_taken"
    assert await error_of(client.conversations_archive(channel=made["channel"]["id"])) == "already_archived"


async def test_an_archived_channel_takes_no_messages_until_it_is_back(client: AsyncWebClient) -> None:
    channel = (await client.conversations_create(name="inc-1"))["channel"]["id"]
    await client.conversations_archive(channel=channel)
    assert await error_of(client.chat_postMessage(channel=channel, text="late")) == "is_archived"
    await client.conversations_unarchive(channel=channel)
    assert (await client.chat_postMessage(channel=channel, text="again"))["ok"]


async def test_private_channels_do_not_exist_for_outsiders(slack: Slack, client: AsyncWebClient) -> None:
    leads = slack.channel_id("leads")
    assert await error_of(client.conversations_info(channel=leads)) == "channel_not_found"
    assert await error_of(client.conversations_join(channel=leads)) == "channel_not_found"
    assert await error_of(client.chat_postMessage(channel=leads, text="hi")) == "channel_not_found"
    listed = await client.conversations_list(types="public_channel,private_channel")
    assert leads not in [c["id"] for c in listed["channels"]]
    assert slack.workspace.can_see(slack.user_id("ben"), leads)
    assert not slack.workspace.can_see(slack.user_id("chloe"), leads)


async def test_a_public_channel_the_app_is_not_in_says_so(slack: Slack, client: AsyncWebClient) -> None:
    general = slack.channel_id("general")
    assert await error_of(client.chat_postMessage(channel=general, text="hi")) == "not_in_channel"
    assert await error_of(client.conversations_history(channel=general)) == "not_in_channel"
    await client.conversations_join(channel=general)
    assert (await client.chat_postMessage(channel="#general", text="hi"))["channel"] == general


async def test_an_app_cannot_enter_the_direct_messages_of_people(
    slack: Slack, client: AsyncWebClient
) -> None:
    talk = slack.workspace.channels_for(slack.user_id("darius"))[-1].id
    assert await error_of(client.conversations_join(channel=talk)) == "method_not_supported_for_channel_type"
    assert await error_of(client.chat_postMessage(channel=talk, text="hi")) == "channel_not_found"
    assert await error_of(client.chat_getPermalink(channel=talk, message_ts="1.0")) == "channel_not_found"


async def test_one_bad_invitation_stops_all_unless_forced(slack: Slack, client: AsyncWebClient) -> None:
    channel = (await client.conversations_create(name="inc-3"))["channel"]["id"]
    bad = [slack.user_id("ana"), slack.user_id("tom"), "U0NOBODY"]
    body = await refused(client.conversations_invite(channel=channel, users=bad))
    assert [(e["user"], e["error"]) for e in body["errors"]] == [
        (slack.user_id("tom"), "cant_invite"),
        ("U0NOBODY", "user_not_found"),
    ]
    assert slack.workspace.channel(channel).members == [slack.app.bot_user_id]
    await client.conversations_invite(channel=channel, users=bad, force=True)
    assert slack.workspace.channel(channel).members == [slack.app.bot_user_id, slack.user_id("ana")]
    again = client.conversations_invite(channel=channel, users=slack.user_id("ana"))
    assert await error_of(again) == "already_in_channel"
    itself = client.conversations_invite(channel=channel, users=slack.app.bot_user_id)
    assert await error_of(itself) == "cant_invite_self"


async def test_topic_and_purpose_hold_250_characters(slack: Slack, client: AsyncWebClient) -> None:
    channel = (await client.conversations_create(name="inc-4"))["channel"]["id"]
    await client.conversations_setTopic(channel=channel, topic="t" * 250)
    await client.conversations_setPurpose(channel=channel, purpose="p" * 250)
    assert await error_of(client.conversations_setTopic(channel=channel, topic="t" * 251)) == "too_long"
    assert await error_of(client.conversations_setPurpose(channel=channel, purpose="p" * 251)) == "too_long"
    shown = slack.workspace.channel(channel)
    assert (shown.topic, shown.purpose) == ("t" * 250, "p" * 250)


async def test_a_channel_is_renamed_left_and_people_removed(slack: Slack, client: AsyncWebClient) -> None:
    channel = (await client.conversations_create(name="inc-5", is_private=True))["channel"]["id"]
    await client.conversations_invite(channel=channel, users=slack.user_id("chloe"))
    renamed = await client.conversations_rename(channel=channel, name="inc-5-slow")
    assert renamed["channel"]["name"] == "inc-5-slow"
    members = await client.conversations_members(channel=channel)
    assert members["members"] == [slack.app.bot_user_id, slack.user_id("chloe")]
    await client.conversations_kick(channel=channel, user=slack.user_id("chloe"))
    await client.conversations_leave(channel=channel)
    assert await error_of(client.conversations_info(channel=channel)) == "channel_not_found"


async def test_a_direct_message_is_opened_once(slack: Slack, client: AsyncWebClient) -> None:
    ana, ben = slack.user_id("ana"), slack.user_id("ben")
    first = await client.conversations_open(users=ana)
    assert (await client.conversations_open(users=ana))["channel"]["id"] == first["channel"]["id"]
    posted = await client.chat_postMessage(channel=ana, text="psst")
    assert posted["channel"] == first["channel"]["id"]
    group = await client.conversations_open(users=[ana, ben], return_im=True)
    assert group["channel"]["is_mpim"] is True
    assert await error_of(client.conversations_open(users=slack.user_id("tom"))) == "user_disabled"


async def test_lists_come_in_pages(slack: Slack, client: AsyncWebClient) -> None:
    names: list[str] = []
    cursor = None
    for _ in range(2):
        page = await client.conversations_list(limit=2, cursor=cursor)
        names += [c["name"] for c in page["channels"]]
        cursor = page["response_metadata"]["next_cursor"]
    assert names == ["general", "alerts", "incidents", "haulpartner"]
    assert cursor == ""


async def test_guests_see_their_channels_only_and_make_none(slack: Slack) -> None:
    gus = slack.user_id("gus")
    assert [c.name for c in slack.workspace.channels_for(gus)] == ["general", "haulpartner"]
    assert slack.workspace.joinable(gus) == []
    assert (await slack.workspace.create_channel(gus, "mine")).error == "restricted_action"
    assert (await slack.workspace.join(gus, slack.channel_id("alerts"))).error == "channel_not_found"


async def test_an_app_lists_the_conversations_of_a_person(slack: Slack, client: AsyncWebClient) -> None:
    found = await client.users_conversations(
        user=slack.user_id("ben"), types="public_channel,private_channel"
    )
    assert [c["name"] for c in found["channels"]] == ["general", "alerts", "incidents"]


async def test_an_app_moves_its_read_cursor(slack: Slack, client: AsyncWebClient) -> None:
    general = slack.channel_id("general")
    last = slack.workspace.history(general, slack.user_id("ana"))[-1].ts
    assert await error_of(client.conversations_mark(channel=general, ts=last)) == "not_in_channel"
    await client.conversations_join(channel=general)
    await client.conversations_mark(channel=general, ts=last)
    assert (await client.conversations_info(channel=general))["channel"]["last_read"] == last
    assert await error_of(client.conversations_mark(channel=general, ts="soon")) == "invalid_timestamp"


async def test_a_topic_names_who_set_it_last(slack: Slack, client: AsyncWebClient) -> None:
    channel = (await client.conversations_create(name="inc-1"))["channel"]["id"]
    assert (await client.conversations_info(channel=channel))["channel"]["topic"]["creator"] == ""
    await client.conversations_setTopic(channel=channel, topic="down")
    topic = (await client.conversations_info(channel=channel))["channel"]["topic"]
    assert (topic["value"], topic["creator"]) == ("down", (await client.auth_test())["user_id"])
    assert topic["last_set"] > 0
