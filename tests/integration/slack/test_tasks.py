"""Tasks that rules give: a checklist in the headline's thread, taken and done there, more when raised."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen
from support.errands import declared, headline, opened_by, press_card, sent, typed_verb
from support.readings import newest, settled, words

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
