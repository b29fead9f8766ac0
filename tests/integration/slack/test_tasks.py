"""Tasks that rules give: a checklist in the headline's thread, taken and done there, more when raised."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen, ticked
from support.errands import declared, headline, opened_by, press_card, press_in_view, sent, typed_verb
from support.readings import newest, pressed, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import Message
from tocsin.incidents.model import FollowUp, Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
severities = ["Minor", "Major", "Critical"]

[[roles]]
id = "lead"
name = "Incident Lead"
role_type = "lead"

[[roles]]
id = "comms"
name = "Communications lead"

[[tasks]]
severity_at_least = "Major"
do = [
  { title = "Open the bridge", runbook = "https://wiki.example.com/bridge" },
  { title = "Post on the status page", role = "Communications lead" },
]

[[tasks]]
severities = ["Critical"]
do = [{ title = "Write to customers", kind = "follow_up" }]

[[runbooks]]
severities = ["Critical"]
title = "All hands"
url = "https://wiki.example.com/all-hands"
"""


def checklists(bot: RunningBot, incident: Incident) -> list[Message]:
    posted = bot.workspace.state.lasting(incident.slack_channel_id)
    return [message for message in posted if words(message).startswith(":clipboard:")]


def checklist(bot: RunningBot, incident: Incident) -> Message:
    (found,) = checklists(bot, incident)
    return found


async def items(bot: RunningBot, incident: Incident) -> list[FollowUp]:
    return list(await bot.backend.follow_ups(incident.id))  # type: ignore[attr-defined]


async def test_an_incident_gets_its_tasks_in_the_thread_of_its_headline_and_more_when_it_is_raised(
    bot: RunningBot,
) -> None:
    quiet = await declared(bot, "a typo", severity_id=chosen("minor"))
    assert checklists(bot, quiet) == []
    incident = await declared(bot, "checkout is slow")
    shown = checklist(bot, incident)
    assert shown.thread_ts == headline(bot, incident).ts
    assert "0 of 2 done" in words(shown)
    assert "☐ Open the bridge · <https://wiki.example.com/bridge|Runbook>" in words(shown)
    assert "☐ Post on the status page · for Communications lead" in words(shown)
    for severity in ("critical", "minor", "critical"):
        await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident severity {severity}")
        await settled(bot)
    raised = checklist(bot, incident)
    assert "0 of 3 done" in words(raised)
    assert "<https://wiki.example.com/all-hands|All hands>" in words(raised)
    assert sorted(item.text for item in await items(bot, incident)) == [
        "Open the bridge",
        "Post on the status page",
        "Write to customers",
    ]


async def test_the_checklist_of_an_incident_that_becomes_private_goes_on_in_its_private_channel(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "keys leaked")
    before = checklist(bot, incident)
    await sent(bot, "ana", await opened_by(bot, "ana", incident.slack_channel_id, "/incident private"))
    await settled(bot)
    now = await newest(bot)
    assert now.slack_channel_id != incident.slack_channel_id
    moved = checklist(bot, now)
    assert moved.thread_ts == headline(bot, now).ts
    await press_card(bot, "ana", moved, "take_follow_up")
    await settled(bot)
    assert f"<@{bot.slack.person('ana')}>" in words(checklist(bot, now))
    assert checklist(bot, incident) == before


async def test_a_task_is_taken_and_done_in_the_checklist_and_goes_to_who_takes_its_role(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "search is slow")
    here, ben = incident.slack_channel_id, bot.slack.person("ben")
    await bot.workspace.join(ben, here)
    await typed_verb(bot, "ana", here, f"/incident role Communications lead <@{ben}>")
    await settled(bot)
    assert f"☐ Post on the status page · <@{ben}>" in words(checklist(bot, incident))
    await press_card(bot, "ana", checklist(bot, incident), "take_follow_up")
    await settled(bot)
    ana = bot.slack.person("ana")
    assert f"☐ Open the bridge · <@{ana}>" in words(checklist(bot, incident))
    first = (await items(bot, incident))[0]
    await press_card(bot, "ben", checklist(bot, incident), "complete_follow_up")
    await settled(bot)
    assert "1 of 2 done" in words(checklist(bot, incident))
    done = (await items(bot, incident))[0]
    at = {"done_at": done.done_at, "updated_at": done.done_at}
    assert done == first.model_copy(update={"is_done": True, "status": "completed", **at})
    verbs = [(e.verb, e.by and e.by.name) for e in await bot.backend.timeline(incident.id)]  # type: ignore[attr-defined]
    assert ("added an action:", None) in verbs
    assert ("took the action:", "Ana Ferreira") in verbs


def shown(bot: RunningBot, incident: Incident, text: str) -> Message:
    """The one message about an action."""
    posted = [m for m in bot.workspace.state.lasting(incident.slack_channel_id) if text in words(m)]
    (found,) = [message for message in posted if not words(message).startswith(":clipboard:")]
    return found


async def test_an_action_that_is_done_while_an_edit_has_to_be_sent_again_is_shown_as_done(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "search is slow", severity_id=chosen("minor"))
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident action drain the node")
    await settled(bot)
    posted = shown(bot, incident, "drain the node")
    bot.workspace.faults.plan("chat.update", Fault(status=503, after_effect=True))
    await press_card(bot, "ana", posted, "take_follow_up")
    await press_card(bot, "ana", posted, "complete_follow_up")
    await settled(bot)
    assert words(shown(bot, incident, "drain the node")).startswith(":white_check_mark: Action done:")


async def test_an_action_that_is_done_before_its_message_could_be_posted_is_shown_as_done(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "search is slow", severity_id=chosen("minor"))
    await settled(bot)
    bot.workspace.faults.plan("chat.postMessage", Fault(status=503))
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident action drain the node")
    listed = await opened_by(bot, "ana", incident.slack_channel_id, "/incident action")
    assert "drain the node" not in words(list(bot.workspace.state.lasting(incident.slack_channel_id)))
    await press_in_view(bot, "ana", listed, "complete_follow_up")
    await settled(bot)
    assert words(shown(bot, incident, "drain the node")).startswith(":white_check_mark: Action done:")


async def test_what_has_left_its_channel_gets_its_tasks_and_waits_for_no_other(bot: RunningBot) -> None:
    alerts, general = bot.slack.channel("alerts"), bot.slack.channel("general")
    for name in ("the first", "the next"):
        view = await bot.type_command("ana", alerts, f"/incident {name}")
        await bot.app.settled()
        await pressed(bot, view, "more_fields", "more_fields")
        (view,) = bot.workspace.stack(bot.slack.person("ana"))
        await sent(bot, "ana", view, severity_id=chosen("minor"), slack_channel_id=ticked(alerts))
        await settled(bot)
        if name == "the first":
            first = await newest(bot)
            await typed_verb(bot, "ana", alerts, "/incident close it was a query")
            await settled(bot)
    await typed_verb(bot, "ana", general, f"/incident reopen {first.reference}")
    await typed_verb(bot, "ana", general, f"/incident severity {first.reference} major")
    await settled(bot)
    assert [item.text for item in await items(bot, first)] == ["Open the bridge", "Post on the status page"]


async def test_where_slack_refuses_the_channel_there_are_tasks_and_the_reporter_is_told(
    bot: RunningBot,
) -> None:
    bot.workspace.faults.plan("conversations.create", Fault(error="restricted_action"))
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    assert [item.text for item in await items(bot, incident)] == [
        "Open the bridge",
        "Post on the status page",
    ]
    assert "Slack did not let Tocsin open its channel" in " ".join(words(said) for said in told(bot, "ana"))
