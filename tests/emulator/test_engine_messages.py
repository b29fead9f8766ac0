"""Messages as an app posts, changes and reads them, and as people see them."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.refusals import error_of, refused

from slack_emulator.testing import Slack


@pytest.fixture
async def room(client: AsyncWebClient, slack: Slack) -> str:
    made = await client.conversations_create(name="inc-9")
    channel = str(made["channel"]["id"])
    await client.conversations_invite(channel=channel, users=slack.user_id("ana"))
    return channel


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({}, "no_text"),
        ({"text": "t" * 40_001}, "msg_too_long"),
        ({"blocks": [section("s" * 3001)]}, "invalid_blocks"),
        ({"blocks": [{"type": "unheard_of"}]}, "invalid_blocks"),
        ({"blocks": "{"}, "invalid_blocks_format"),
        (
            {"text": "a", "metadata": {"event_type": "x", "event_payload": {"a": {"b": {}}}}},
            "invalid_metadata_format",
        ),
        ({"text": "a", "thread_ts": "1.000000"}, "thread_not_found"),
        ({"text": "a", "username": "Someone else"}, "missing_scope"),
    ],
)
async def test_bad_posts_are_refused(
    client: AsyncWebClient, room: str, content: dict[str, Any], error: str
) -> None:
    body = await refused(client.api_call("chat.postMessage", json={"channel": room, **content}))
    assert body["error"] == error


async def test_a_refused_block_is_pointed_at(client: AsyncWebClient, room: str) -> None:
    body = await refused(client.chat_postMessage(channel=room, text="a", blocks=[section("")]))
    assert body["error"] == "invalid_blocks"
    assert "/blocks/0/text/text" in body["response_metadata"]["messages"][0]


async def test_timestamps_rise_even_when_the_clock_goes_back(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    first = (await client.chat_postMessage(channel=room, text="one"))["ts"]
    slack.clock.turn(-3600)
    second = (await client.chat_postMessage(channel=room, text="two"))["ts"]
    assert second > first


async def test_an_update_keeps_what_it_does_not_name(client: AsyncWebClient, room: str) -> None:
    metadata = {"event_type": "incident", "event_payload": {"id": 1}}
    ts = (
        await client.chat_postMessage(channel=room, text="one", blocks=[section("one")], metadata=metadata)
    )["ts"]
    await client.chat_update(channel=room, ts=ts, text="two")
    history = await client.conversations_history(channel=room, include_all_metadata=True, limit=1)
    message = history["messages"][0]
    assert (message["text"], message["blocks"][0]["text"]["text"]) == ("two", "one")
    assert message["metadata"] == metadata
    assert "edited" in message
    plain = await client.conversations_history(channel=room, limit=1)
    assert "metadata" not in plain["messages"][0]
    assert plain["has_more"] is True


async def test_an_update_holds_4000_characters_and_is_the_authors_own(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    ts = (await client.chat_postMessage(channel=room, text="one"))["ts"]
    long = client.chat_update(channel=room, ts=ts, text="t" * 4001)
    assert await error_of(long) == "msg_too_long"
    said = await slack.workspace.say(slack.user_id("ana"), room, "mine")
    other = client.chat_update(channel=room, ts=said.ts or "", text="not yours")
    assert await error_of(other) == "cant_update_message"
    deleting = client.chat_delete(channel=room, ts=said.ts or "")
    assert await error_of(deleting) == "cant_delete_message"


async def test_a_deleted_message_is_gone(client: AsyncWebClient, room: str) -> None:
    ts = (await client.chat_postMessage(channel=room, text="one"))["ts"]
    await client.chat_delete(channel=room, ts=ts)
    assert await error_of(client.chat_delete(channel=room, ts=ts)) == "message_not_found"
    assert await error_of(client.chat_getPermalink(channel=room, message_ts=ts)) == "message_not_found"


async def test_a_deleted_message_with_replies_leaves_a_tombstone(client: AsyncWebClient, room: str) -> None:
    parent = (await client.chat_postMessage(channel=room, text="parent"))["ts"]
    await client.chat_postMessage(channel=room, text="reply", thread_ts=parent)
    await client.chat_delete(channel=room, ts=parent)
    thread = (await client.conversations_replies(channel=room, ts=parent))["messages"]
    assert [m.get("subtype") for m in thread] == ["tombstone", None]
    assert thread[0]["text"] == "This message was deleted."
    assert await error_of(client.chat_update(channel=room, ts=parent, text="x")) == "message_not_found"


async def test_a_topic_that_a_person_types_calls_nobody(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    await slack.workspace.set_topic(slack.user_id("ana"), room, "<!channel> & more")
    assert slack.workspace.channel(room).topic == "&lt;!channel&gt; &amp; more"


async def test_replies_stand_in_their_thread_only(client: AsyncWebClient, room: str) -> None:
    parent = (await client.chat_postMessage(channel=room, text="parent"))["ts"]
    reply = (await client.chat_postMessage(channel=room, text="reply", thread_ts=parent))["ts"]
    deeper = await client.chat_postMessage(channel=room, text="deeper", thread_ts=reply)
    assert deeper["message"]["thread_ts"] == parent
    await client.chat_postMessage(channel=room, text="for all", thread_ts=parent, reply_broadcast=True)
    history = [m["text"] for m in (await client.conversations_history(channel=room))["messages"]]
    thread = await client.conversations_replies(channel=room, ts=parent)
    assert history[:2] == ["for all", "parent"]
    assert [m["text"] for m in thread["messages"]] == ["parent", "reply", "deeper", "for all"]
    assert thread["messages"][0]["reply_count"] == 3
    link = (await client.chat_getPermalink(channel=room, message_ts=reply))["permalink"]
    assert link.endswith(f"/archives/{room}/p{reply.replace('.', '')}?thread_ts={parent}&cid={room}")


async def test_an_ephemeral_needs_its_reader_in_the_channel(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    outside = client.chat_postEphemeral(channel=room, user=slack.user_id("ben"), text="psst")
    assert await error_of(outside) == "user_not_in_channel"
    await client.chat_postEphemeral(channel=room, user=slack.user_id("ana"), text="psst")
    assert slack.workspace.history(room, slack.user_id("ana"))[-1].ephemeral_to == slack.user_id("ana")


async def test_names_become_mentions_only_when_asked(slack: Slack, client: AsyncWebClient, room: str) -> None:
    linked = await client.chat_postMessage(channel=room, text="@ana #alerts", link_names=True)
    plain = await client.chat_postMessage(channel=room, text="@ana")
    assert linked["message"]["text"] == f"<@{slack.user_id('ana')}> <#{slack.channel_id('alerts')}>"
    assert plain["message"]["text"] == "@ana"


async def test_live_mentions_in_an_apps_text_are_flagged(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    loud = await client.chat_postMessage(channel=room, text="<!channel> help")
    escaped = await client.chat_postMessage(channel=room, text="&lt;!channel&gt; help")
    assert slack.workspace.message(room, loud["ts"]).mentions_unescaped == ["channel"]
    assert slack.workspace.message(room, escaped["ts"]).mentions_unescaped == []


async def test_reactions_are_counted_once_each(slack: Slack, client: AsyncWebClient, room: str) -> None:
    ts = (await client.chat_postMessage(channel=room, text="one"))["ts"]
    await client.reactions_add(channel=room, timestamp=ts, name="eyes")
    again = client.reactions_add(channel=room, timestamp=ts, name="eyes")
    assert await error_of(again) == "already_reacted"
    await slack.workspace.react(slack.user_id("ana"), room, ts, "eyes")
    shown = (await client.reactions_get(channel=room, timestamp=ts))["message"]["reactions"]
    assert shown == [{"name": "eyes", "users": [slack.app.bot_user_id, slack.user_id("ana")], "count": 2}]
    await client.reactions_remove(channel=room, timestamp=ts, name="eyes")
    gone = client.reactions_remove(channel=room, timestamp=ts, name="eyes")
    assert await error_of(gone) == "no_reaction"
    missing = client.reactions_add(channel=room, timestamp="1.0", name="eyes")
    assert await error_of(missing) == "message_not_found"


async def test_a_message_is_pinned_once(client: AsyncWebClient, room: str) -> None:
    ts = (await client.chat_postMessage(channel=room, text="headline"))["ts"]
    await client.pins_add(channel=room, timestamp=ts)
    assert await error_of(client.pins_add(channel=room, timestamp=ts)) == "already_pinned"
    items = (await client.pins_list(channel=room))["items"]
    assert [item["message"]["text"] for item in items] == ["headline"]
    await client.pins_remove(channel=room, timestamp=ts)
    assert await error_of(client.pins_remove(channel=room, timestamp=ts)) == "no_pin"


async def test_bookmarks_are_links_at_the_top_of_a_channel(client: AsyncWebClient, room: str) -> None:
    link = "https://incidents.example/INC-1"
    made = await client.bookmarks_add(channel_id=room, title="INC-1", type="link", link=link)
    bookmark = made["bookmark"]["id"]
    await client.bookmarks_edit(channel_id=room, bookmark_id=bookmark, title="INC-1: slow")
    listed = (await client.bookmarks_list(channel_id=room))["bookmarks"]
    assert [(b["title"], b["link"]) for b in listed] == [("INC-1: slow", link)]
    await client.bookmarks_remove(channel_id=room, bookmark_id=bookmark)
    assert await error_of(client.bookmarks_remove(channel_id=room, bookmark_id=bookmark)) == "not_found"
    unsafe = client.bookmarks_add(channel_id=room, title="x", type="link", link="ftp://files.example/x")
    assert await error_of(unsafe) == "invalid_link"


async def test_unread_messages_and_mentions_are_counted_until_read(slack: Slack) -> None:
    ana, ben, general = slack.user_id("ana"), slack.user_id("ben"), slack.channel_id("general")
    slack.workspace.mark_read(ana, general)
    await slack.workspace.say(ben, general, "nothing for anyone")
    await slack.workspace.say(ben, general, "@ana look, @here")
    assert (slack.workspace.unread(ana, general), slack.workspace.mentions(ana, general)) == (2, 1)
    assert slack.workspace.unread(ben, general) == 0
    slack.workspace.mark_read(ana, general)
    assert slack.workspace.unread(ana, general) == 0


async def test_people_change_and_delete_their_own_messages_only(slack: Slack) -> None:
    chloe, ben, general = slack.user_id("chloe"), slack.user_id("ben"), slack.channel_id("general")
    ts = (await slack.workspace.say(chloe, general, "mine")).ts or ""
    darius = slack.user_id("darius")
    assert (await slack.workspace.edit(darius, general, ts, "his")).error == "cant_update_message"
    assert (await slack.workspace.delete(darius, general, ts)).error == "cant_delete_message"
    assert (await slack.workspace.edit(chloe, general, ts, "mine, better")).ok
    assert slack.workspace.message(general, ts).text == "mine, better"
    assert (await slack.workspace.delete(ben, general, ts)).ok, "an admin may"


async def test_a_page_hears_of_every_change(slack: Slack) -> None:
    general = slack.channel_id("general")
    with slack.workspace.subscribe() as changes:
        said = await slack.workspace.say(slack.user_id("ana"), general, "hello")
        await slack.workspace.react(slack.user_id("ben"), general, said.ts or "", "wave")
        kinds = [(await anext(changes)).kind for _ in range(2)]
    assert kinds == ["message", "reaction"]


async def test_a_me_message_is_what_somebody_does(slack: Slack, client: AsyncWebClient) -> None:
    general = slack.channel_id("general")
    await client.conversations_join(channel=general)
    ts = (await client.chat_meMessage(channel=general, text="rings the bell"))["ts"]
    posted = slack.workspace.message(general, ts)
    assert (posted.subtype, posted.text) == ("me_message", "rings the bell")
    assert await error_of(client.chat_meMessage(channel=general, text="")) == "no_text"


async def test_the_reactions_of_a_user_are_listed_one_each(slack: Slack, client: AsyncWebClient) -> None:
    general = slack.channel_id("general")
    await client.conversations_join(channel=general)
    ts = (await client.chat_postMessage(channel=general, text="Lunch?"))["ts"]
    for emoji in ("taco", "pizza"):
        await client.reactions_add(channel=general, timestamp=ts, name=emoji)
    listed = await client.reactions_list()
    assert [(i["type"], i["channel"], i["message"]["ts"]) for i in listed["items"]] == [
        ("message", general, ts)
    ] * 2
    assert listed["paging"] == {"count": 100, "total": 2, "page": 1, "pages": 1}
    page = await client.reactions_list(limit=1)
    assert len(page["items"]) == 1
    rest = await client.reactions_list(limit=1, cursor=page["response_metadata"]["next_cursor"])
    assert len(rest["items"]) == 1
    assert (await client.reactions_list(user=slack.user_id("tom")))["items"] == []
    assert await error_of(client.reactions_list(user="U1")) == "user_not_found"


async def test_the_text_of_an_app_is_read_as_rich_text_too(slack: Slack, client: AsyncWebClient) -> None:
    general = slack.channel_id("general")
    await client.conversations_join(channel=general)
    posted = await client.chat_postMessage(channel=general, text="*Hi*")
    (block,) = posted["message"]["blocks"]
    assert block["type"] == "rich_text"
    edited = await client.chat_update(channel=general, ts=posted["ts"], text="Ho")
    assert edited["message"]["blocks"][0]["elements"][0]["elements"] == [{"type": "text", "text": "Ho"}]
