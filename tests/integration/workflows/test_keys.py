"""What an API key declares and changes goes the same way as what a person does in Slack."""

from __future__ import annotations

import asyncio

import pytest
from support.bot import RunningBot
from support.errands import headline
from support.held_backend import Held
from support.readings import cards, how_many, said, settled, told, words

from slack_emulator.faults import Fault
from tocsin.incidents.api_keys import ApiKey
from tocsin.incidents.errors import NotPermitted, Refused, Unavailable
from tocsin.incidents.model import Automation, Incident, Person, PersonId, SourceMessage
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest
from tocsin.storage.workflow_engine import fetch_pending
from tocsin.workflows.api import ApiChange, ApiDeclaration

pytestmark = pytest.mark.asyncio(loop_scope="module")

CI = ApiKey(id="k1", name="ci", scopes=frozenset({"view", "create", "edit"}))
VAULT = ApiKey(id="k2", name="vault", scopes=frozenset({"view", "create", "edit", "private"}))
UNWRITTEN = FollowUpRequest(key="", by=Person(), at="2026-01-01T00:00:00Z", text="")  # type: ignore[arg-type]


def asked(**more: object) -> ApiDeclaration:
    return ApiDeclaration.model_validate({"name": "checkout is slow", "severity_id": "major", **more})


async def declared(bot: RunningBot, key: str = "1", by: ApiKey = CI, **more: object) -> Incident:
    """Declared by a key, with everything that follows."""
    incident = await bot.app.key_requests().declare(by, key, asked(**more))
    await settled(bot)
    return await now(bot, incident)


async def now(bot: RunningBot, incident: Incident) -> Incident:
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


async def timeline(bot: RunningBot, incident: Incident) -> list[str]:
    entries = await bot.backend.timeline(incident.id)
    return [f"{entry.by.name if entry.by else ''} {entry.verb} {entry.text}".strip() for entry in entries]


async def test_a_key_declares_with_channel_headline_announcement_and_its_own_name(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    incident = await declared(bot, incident_role_assignments={"lead": bot.slack.person("ben")})
    assert (incident.creator, incident.automation) == (
        Person(),
        Automation(kind="api_key", id="k1", name="ci"),
    )
    channel = bot.workspace.channel(incident.slack_channel_id)
    assert channel.name == "inc-1-checkout-is-slow"
    assert bot.slack.person("ben") in channel.members
    assert "“ci”" in words(headline(bot, incident))
    assert len(cards(bot, bot.slack.channel("incidents"))) == 1
    assert (await timeline(bot, incident))[0] == "the key ci declared checkout is slow (Major)"
    assert [call.method for call in bot.calls("views.update")] == []


async def test_the_same_idempotency_key_is_the_same_incident_and_another_keys_is_another(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    first = await declared(bot)
    again = await declared(bot, name="something else")
    other = await declared(bot, by=VAULT)
    assert (again.id, again.name) == (first.id, "checkout is slow")
    assert other.id != first.id
    assert await how_many(bot) == 2
    assert len(bot.calls("conversations.create")) == 2


async def test_a_refused_declaration_may_be_corrected_under_its_idempotency_key(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    with pytest.raises(Refused) as refusal:
        await declared(bot, severity_id="nonsense")
    assert set(refusal.value.fields) == {"severity_id"}
    first = await declared(bot)
    assert (await declared(bot, severity_id="nonsense")).id == first.id


async def test_only_a_key_that_may_declares_privately_and_then_nothing_is_shown_elsewhere(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    with pytest.raises(NotPermitted):
        await declared(bot, visibility="private")
    incident = await declared(
        bot,
        by=VAULT,
        visibility="private",
        incident_role_assignments={"lead": bot.slack.person("ben")},
    )
    channel = bot.workspace.channel(incident.slack_channel_id)
    assert channel.kind == "private"
    assert bot.slack.person("ben") in channel.members
    assert cards(bot, bot.slack.channel("incidents")) == []


async def test_a_declaration_from_a_message_is_shown_below_it_and_the_message_is_taken(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    message = await said(bot, "ana", "alerts", "p99 is above 4 s")
    source = SourceMessage(channel=message.channel, timestamp=message.ts)
    incident = await declared(bot, source=source)
    (card,) = cards(bot, bot.slack.channel("alerts"))
    assert card.thread_ts == message.ts
    assert incident.source is not None
    assert message.ts.replace(".", "") in (incident.source.permalink or "")
    view = await bot.pick_shortcut("ana", message)
    assert incident.reference in words(view)


async def test_it_is_declared_while_slack_answers_nothing_and_slack_follows(shared_bot: RunningBot) -> None:
    bot = shared_bot
    bot.workspace.faults.plan("conversations.create", *[Fault(status=503)] * 3)
    incident = await bot.app.key_requests().declare(CI, "1", asked())
    assert incident.reference == "INC-1"
    assert not incident.slack_channel_id
    await settled(bot)
    assert (await now(bot, incident)).slack_channel_id


async def test_an_edit_changes_the_card_and_tells_the_channel_by_whom_unless_it_is_not_to(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    incident, requests = await declared(bot), bot.app.key_requests()
    edited = await requests.edit(CI, incident, ApiChange(severity_id="critical", name="checkout is down"))
    await settled(bot)
    assert edited.name == "checkout is down"
    news = cards(bot, incident.slack_channel_id)
    assert "Critical" in words(news[0])
    assert "the API key “ci”" in words(news[-1])
    told_so_far = len(news)
    quiet = await requests.edit(CI, incident, ApiChange(incident_status_id="monitoring"), in_channel=False)
    same = await requests.edit(CI, incident, ApiChange(incident_status_id="monitoring"))
    await settled(bot)
    assert quiet.incident_status.name == same.incident_status.name == "Monitoring"
    assert len(cards(bot, incident.slack_channel_id)) == told_so_far
    assert "Monitoring" in words(headline(bot, incident))
    assert "the key ci set the severity to Critical" in await timeline(bot, incident)


async def test_an_update_is_given_once_for_its_idempotency_key(shared_bot: RunningBot) -> None:
    bot = shared_bot
    incident, requests = await declared(bot), bot.app.key_requests()
    _, first = await requests.update(CI, incident, "u", ApiChange(message="we rolled back"))
    _, again = await requests.update(CI, incident, "u", ApiChange(message="something else"))
    await settled(bot)
    assert first == again
    posts = [post for post in cards(bot, incident.slack_channel_id) if "we rolled back" in words(post)]
    assert len(posts) == 1
    with pytest.raises(Refused):
        await requests.update(CI, incident, "v", ApiChange(severity_id="major"))


async def test_an_action_is_added_changed_done_and_deleted_and_its_message_goes_along(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    incident, requests = await declared(bot), bot.app.key_requests()
    added = await requests.add_follow_up(CI, incident, UNWRITTEN.model_copy(update={"text": "page the DBA"}))
    ben = PersonId(bot.slack.person("ben"))
    change = FollowUpChange(key="", by=Person(), at=added.created_at, text="ask the DBA", status="completed")
    done = await requests.change_follow_up(CI, incident, added.id, change, ben)
    assert (done.text, done.status, done.assignee and done.assignee.slack_user_id) == (
        "ask the DBA",
        "completed",
        ben,
    )
    again = change.model_copy(update={"status": "outstanding", "unassigned": True})
    reopened = await requests.change_follow_up(CI, incident, added.id, again, None)
    assert (reopened.is_done, reopened.assignee, reopened.done_at) == (False, None, None)
    await requests.delete_follow_up(CI, incident, added.id)
    await settled(bot)
    assert await bot.backend.follow_ups(incident.id) == []
    (post,) = [post for post in cards(bot, incident.slack_channel_id) if "the DBA" in words(post)]
    assert "Action deleted: ~ask the DBA~" in words(post)
    with pytest.raises(Refused):
        await requests.change_follow_up(CI, incident, added.id, change, None)


async def test_a_timeline_item_stands_at_its_own_time_once_for_its_idempotency_key(
    shared_bot: RunningBot,
) -> None:
    bot = shared_bot
    incident, requests = await declared(bot), bot.app.key_requests()
    at = incident.created_at.replace(year=2025)
    first = await requests.note(CI, incident, "n", at, "the deploy began")
    again = await requests.note(CI, incident, "n", at, "something else")
    assert (first.at, first.text, first.id) == (at, "the deploy began", again.id)
    assert (await timeline(bot, incident))[0] == "the key ci noted: the deploy began"


async def test_nobody_gets_a_message_about_what_a_key_did(shared_bot: RunningBot) -> None:
    bot = shared_bot
    bot.workspace.faults.plan("bookmarks.add", Fault(error="too_many_bookmarks"))
    await declared(bot)
    assert [told(bot, person) for person in ("ana", "ben")] == [[], []]


async def test_what_a_program_adds_and_changes_before_there_is_a_channel_is_told_there_once_it_is(
    shared_bot: RunningBot,
) -> None:
    bot, requests = shared_bot, shared_bot.app.key_requests()
    bot.workspace.faults.plan("conversations.create", *[Fault(status=503)] * 14)
    incident = await requests.declare(CI, "1", asked())
    await requests.add_follow_up(CI, incident, UNWRITTEN.model_copy(update={"text": "page the DBA"}))
    await requests.update(CI, incident, "u", ApiChange(message="we rolled back", severity_id="critical"))
    await bot.engine.finish(3600.0)
    await settled(bot)
    posts = [words(post) for post in cards(bot, (await now(bot, incident)).slack_channel_id)]
    for text in ("page the DBA", "we rolled back"):
        assert sum(text in post for post in posts) == 1


async def test_where_slack_refuses_a_channel_nothing_that_a_program_does_waits_for_one(
    shared_bot: RunningBot,
) -> None:
    bot, requests = shared_bot, shared_bot.app.key_requests()
    bot.workspace.faults.plan("conversations.create", Fault(error="restricted_action"))
    incident = await requests.declare(CI, "1", asked())
    await requests.add_follow_up(CI, incident, UNWRITTEN.model_copy(update={"text": "page the DBA"}))
    await requests.update(CI, incident, "u", ApiChange(message="we rolled back", severity_id="critical"))
    await settled(bot)
    assert (await now(bot, incident)).slack_channel_id == ""


async def test_what_is_done_before_it_could_be_shown_is_not_shown_as_open(shared_bot: RunningBot) -> None:
    bot, requests = shared_bot, shared_bot.app.key_requests()
    incident = await declared(bot)
    go_on = asyncio.Event()
    bot.workspace.faults.plan("chat.postMessage", Fault(until=go_on))
    added = await requests.add_follow_up(CI, incident, UNWRITTEN.model_copy(update={"text": "page the DBA"}))
    await bot.workspace.begun("chat.postMessage")
    change = FollowUpChange(key="", by=Person(), at=added.created_at, status="not_doing")
    await requests.change_follow_up(CI, incident, added.id, change, None)
    go_on.set()
    await settled(bot)
    (post,) = [post for post in cards(bot, incident.slack_channel_id) if "the DBA" in words(post)]
    assert "Action will not be done: ~page the DBA~" in words(post)


async def test_what_is_saved_and_not_yet_created_is_no_promise_and_pending_says_whose_it_is(
    shared_held: Held,
) -> None:
    requests, bot = shared_held.bot.app.key_requests(), shared_held.bot
    with pytest.raises(Unavailable) as later:
        await requests.declare(CI, "1", asked())
    assert later.value.retry_after
    (pending,) = await fetch_pending(bot.engine.url)
    assert (pending.by, pending.name) == ("ci", "checkout is slow")
    shared_held.backend.go_on.set()
    assert (await requests.declare(CI, "1", asked(name="another"))).name == "checkout is slow"
    await settled(bot)
    assert await how_many(bot) == 1
