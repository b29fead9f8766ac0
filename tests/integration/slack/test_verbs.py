"""Every verb, as people type it: in the incident's channel, with a reference, with text and without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bot import RunningBot, chosen, picked, typed
from support.errands import declared, headline, opened_by, sent, typed_verb, whispers
from support.readings import block_ids, cards, pressed, settled, told, value, words

from slack_emulator.faults import Fault
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def now(bot: RunningBot, incident: Incident) -> Incident:
    """The incident as the backend has it, once everything has followed."""
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


async def test_a_status_typed_in_the_incidents_channel_is_set_at_once(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident status fixing")
    assert "Fixing" in said
    assert incident.reference in said
    assert (await now(bot, incident)).incident_status.name == "Fixing"
    assert "Fixing" in words(headline(bot, incident))


async def test_a_reference_says_which_incident_is_meant_anywhere(bot: RunningBot) -> None:
    incident = await declared(bot, "lookups are slow")
    general = bot.slack.channel("general")
    for written in (incident.reference, incident.reference.lower(), incident.reference.removeprefix("INC-")):
        said = await typed_verb(bot, "ana", general, f"/incident severity {written} critical")
        assert incident.reference in said
    found = await now(bot, incident)
    assert found.severity is not None
    assert found.severity.name == "Critical"


async def test_a_bare_number_in_an_incidents_channel_is_part_of_what_is_said(bot: RunningBot) -> None:
    incident = await declared(bot, "login fails")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident note 1 customer in 5 is affected")
    timeline = await bot.backend.timeline(incident.id)
    assert timeline[-1].text == "1 customer in 5 is affected"


@pytest.mark.parametrize("typed_", ["inv", "INVESTIGATING", "Fix", "mon", "monitoring the graphs look well"])
async def test_a_status_is_known_by_any_case_or_beginning(bot: RunningBot, typed_: str) -> None:
    incident = await declared(bot, "cart is empty")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident status triage")
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident status {typed_}")
    found = await now(bot, incident)
    assert found.incident_status.name.casefold().startswith(typed_.split()[0].casefold())


async def test_an_unknown_severity_is_answered_with_those_there_are(bot: RunningBot) -> None:
    incident = await declared(bot, "mail is late")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident severity sev9 <!channel>")
    assert "There are Minor, Major and Critical." in said
    assert "<!channel>" not in said


async def test_update_without_text_opens_a_form_that_tells_and_changes_in_one(bot: RunningBot) -> None:
    incident = await declared(bot, "payments fail")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident update")
    fields = ["message", "next_update_minutes", "incident_status_id", "severity_id"]
    assert [block for block in block_ids(view) if block in fields] == fields
    said = await sent(
        bot,
        "ana",
        view,
        message=typed("The last deploy is being rolled back."),
        incident_status_id=chosen("fixing"),
        next_update_minutes=chosen("30"),
    )
    assert incident.reference in said
    found = await now(bot, incident)
    assert found.incident_status.name == "Fixing"
    shown = " ".join(words(message) for message in cards(bot, incident.slack_channel_id))
    assert "The last deploy is being rolled back." in shown
    assert "Next update due" in shown


async def test_who_was_overtaken_reads_what_it_is_now_and_keeps_what_they_typed(bot: RunningBot) -> None:
    incident = await declared(bot, "images are missing")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident status")
    await typed_verb(
        bot, "ben", bot.slack.channel("general"), f"/incident status {incident.reference} fixing"
    )
    said = await sent(
        bot, "ana", view, incident_status_id=chosen("monitoring"), message=typed("Looks well to me.")
    )
    assert "Fixing" in said
    (again,) = bot.workspace.stack(bot.slack.person("ana"))
    assert value(again, "message") == "Looks well to me."
    assert value(again, "incident_status_id") == "monitoring"
    await sent(bot, "ana", again)
    assert (await now(bot, incident)).incident_status.name == "Monitoring"


async def test_a_form_in_which_nothing_was_changed_changes_nothing(bot: RunningBot) -> None:
    incident = await declared(bot, "graphs are empty")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident severity")
    said = await sent(bot, "ana", view)
    assert "Nothing was changed" in said
    assert (await now(bot, incident)).updated_at == incident.updated_at


@pytest.mark.parametrize("written", ["@ben", "ben okafor"])
async def test_a_lead_is_named_by_mention_or_by_name(bot: RunningBot, written: str) -> None:
    incident = await declared(bot, "api is down")
    ben = bot.slack.person("ben")
    text = f"/incident lead {written}"
    said = await typed_verb(bot, "ana", incident.slack_channel_id, text)
    assert incident.reference in said
    found = await now(bot, incident)
    assert found.lead is not None
    assert found.lead.slack_user_id == ben
    assert ben in bot.workspace.channel(incident.slack_channel_id).members


async def test_a_name_that_nobody_has_opens_the_form_that_asks_who(bot: RunningBot) -> None:
    incident = await declared(bot, "queue is full")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident lead @nobody")
    assert "“@nobody” is nobody that Tocsin knows" in words(view)
    chloe = bot.slack.person("chloe")
    await sent(bot, "ana", view, incident_role_assignments__communications=picked(chloe))
    found = await now(bot, incident)
    held = {a.role.id: a.assignee.slack_user_id for a in found.incident_role_assignments if a.assignee}
    assert held["communications"] == chloe
    assert "lead" not in held


async def test_a_role_is_given_by_its_name_or_short_form(bot: RunningBot) -> None:
    incident = await declared(bot, "exports hang")
    priya = bot.slack.person("priya")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident role comms @priya")
    found = await now(bot, incident)
    assert ("Communications Lead", priya) in [
        (a.role.name, a.assignee.slack_user_id) for a in found.incident_role_assignments if a.assignee
    ]


async def test_take_makes_whoever_says_so_the_lead(bot: RunningBot) -> None:
    incident = await declared(bot, "backup failed")
    await typed_verb(bot, "chloe", bot.slack.channel("general"), f"/incident take {incident.reference}")
    found = await now(bot, incident)
    assert found.lead is not None
    assert found.lead.slack_user_id == bot.slack.person("chloe")
    said = await typed_verb(
        bot, "chloe", bot.slack.channel("general"), f"/incident take {incident.reference}"
    )
    assert "You are Incident Lead" in said


async def test_rename_and_summary_say_what_it_is_and_the_channel_follows(bot: RunningBot) -> None:
    incident = await declared(bot, "something is odd")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident rename checkout times out")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident summary Since the deploy of 21:05.")
    found = await now(bot, incident)
    assert (found.name, found.summary) == ("checkout times out", "Since the deploy of 21:05.")
    assert bot.workspace.channel(incident.slack_channel_id).name.endswith("checkout-times-out")
    for verb, field in (("rename", "name"), ("summary", "summary")):
        view = await opened_by(bot, "ana", incident.slack_channel_id, f"/incident {verb}")
        assert value(view, field) == getattr(found, field)
        await sent(bot, "ana", view, **{field: typed(f"another {field}")})
        assert getattr(await now(bot, incident), field) == f"another {field}"


async def test_a_channel_that_people_renamed_keeps_its_name(bot: RunningBot) -> None:
    incident = await declared(bot, "old name")
    here, ana = incident.slack_channel_id, bot.slack.person("ana")
    bot.workspace.conversations.rename(ana, here, "war-room-42")
    await typed_verb(bot, "ana", here, "/incident rename new name")
    await settled(bot)
    assert bot.workspace.channel(here).name == "war-room-42"
    assert "new name" in bot.workspace.channel(here).topic


async def test_close_asks_what_resolved_it_and_names_what_is_not_done(bot: RunningBot) -> None:
    incident = await declared(bot, "disk is full")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident action grow the disk @ben")
    await settled(bot)
    view = await opened_by(bot, "ana", here, "/incident close")
    assert "grow the disk" in words(view)
    said = await sent(bot, "ana", view, message=typed("Logs were deleted."))
    assert "Closed" in said
    found = await now(bot, incident)
    assert found.incident_status.category == "closed"
    assert "Reopen" in words(headline(bot, incident))


async def test_close_with_text_acts_at_once_and_reopen_needs_none(bot: RunningBot) -> None:
    incident = await declared(bot, "cron did not run")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident close it ran after all")
    assert not (await now(bot, incident)).incident_status.is_open
    await typed_verb(bot, "ana", here, "/incident reopen")
    assert (await now(bot, incident)).incident_status.is_open


async def test_what_is_no_incident_is_declined_with_the_reason(bot: RunningBot) -> None:
    incident = await declared(bot, "maybe nothing")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident status triage")
    view = await opened_by(bot, "ana", here, "/incident decline")
    await sent(bot, "ana", view, message=typed("A test of ours."))
    assert (await now(bot, incident)).incident_status.name == "Declined"


async def test_merge_names_the_other_incident_here_or_asks_for_it(bot: RunningBot) -> None:
    first, second = await declared(bot, "site is down"), await declared(bot, "site is down as well")
    third = await declared(bot, "still down")
    here = second.slack_channel_id
    await typed_verb(bot, "ana", here, f"/incident merge {first.reference}")
    assert (await now(bot, second)).incident_status.name == "Merged"
    view = await opened_by(bot, "ana", third.slack_channel_id, "/incident merge")
    await sent(bot, "ana", view, merged_into=chosen(first.id))
    assert (await now(bot, third)).incident_status.name == "Merged"
    noted = [entry.text for entry in await bot.backend.timeline(first.id)]
    assert {second.reference, third.reference} <= set(noted)


async def test_what_was_declared_by_mistake_is_taken_back(bot: RunningBot) -> None:
    incident = await declared(bot, "oops")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident cancel")
    assert "taken back" in words(view) or "withdrawn" in words(view)
    await sent(bot, "ana", view)
    assert (await now(bot, incident)).incident_status.name == "Canceled"
    assert bot.workspace.channel(incident.slack_channel_id).archived


async def test_private_asks_first_and_hides_it_from_everybody_else(bot: RunningBot) -> None:
    incident = await declared(bot, "a customer's data")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident private")
    assert "cannot be made public again" in words(view)
    assert not (await now(bot, incident)).is_private
    await sent(bot, "ana", view)
    assert (await now(bot, incident)).is_private
    said = await typed_verb(
        bot, "chloe", bot.slack.channel("general"), f"/incident show {incident.reference}"
    )
    unknown = await typed_verb(bot, "chloe", bot.slack.channel("general"), "/incident show INC-99999")
    assert said.replace(incident.reference, "X") == unknown.replace("INC-99999", "X")


async def test_what_is_said_while_it_moves_is_said_in_its_private_channel(bot: RunningBot) -> None:
    incident, free = await declared(bot, "a customer's address"), asyncio.Event()
    old = incident.slack_channel_id
    bot.workspace.faults.plan("conversations.create", Fault(until=free))
    hiding = asyncio.create_task(sent(bot, "ana", await opened_by(bot, "ana", old, "/incident private")))
    await bot.workspace.begun(
        lambda call: call.method == "conversations.create" and "private" in call.args["name"]
    )
    await typed_verb(bot, "ana", old, "/incident update Two keys were read.")
    free.set()
    await hiding
    await settled(bot)
    moved = (await now(bot, incident)).slack_channel_id
    assert sum("Two keys were read." in one.text for one in cards(bot, moved)) == 1
    assert not any("Two keys were read." in str(vars(one)) for one in cards(bot, old))


async def test_a_note_alone_opens_a_form(bot: RunningBot) -> None:
    incident = await declared(bot, "dns is wrong")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident note")
    await sent(bot, "ana", view, message=typed("The zone was changed at noon."))
    entry = (await bot.backend.timeline(incident.id))[-1]
    assert entry.text == "The zone was changed at noon."
    assert entry.by is not None
    assert entry.by.slack_user_id == bot.slack.person("ana")


async def test_a_verb_without_an_incident_asks_which_and_goes_on(bot: RunningBot) -> None:
    incident = await declared(bot, "cache is cold")
    view = await opened_by(bot, "ana", bot.slack.channel("general"), "/incident status")
    said = await sent(bot, "ana", view, incident_id=chosen(incident.id))
    assert incident.reference in said
    (form,) = bot.workspace.stack(bot.slack.person("ana"))
    assert form.payload["callback_id"] == "update"
    await sent(bot, "ana", form, incident_status_id=chosen("fixing"))
    assert (await now(bot, incident)).incident_status.name == "Fixing"


async def test_a_name_that_begins_with_a_verb_can_be_declared_all_the_same(bot: RunningBot) -> None:
    await declared(bot, "something open")
    view = await opened_by(bot, "ana", bot.slack.channel("general"), "/incident status page is down")
    assert "status page is down" in words(view)
    await pressed(bot, view, "declare_instead", "declare_instead")
    (form,) = bot.workspace.stack(view.user)
    assert value(form, "name") == "status page is down"


async def test_what_is_typed_with_a_verb_is_done_to_the_chosen_incident(bot: RunningBot) -> None:
    incident = await declared(bot, "feed is stale")
    view = await opened_by(bot, "ana", bot.slack.channel("general"), "/incident severity minor")
    said = await sent(bot, "ana", view, incident_id=chosen(incident.id))
    assert "Minor" in said
    found: Any = await now(bot, incident)
    assert found.severity.name == "Minor"


async def test_nobody_else_reads_the_answer(bot: RunningBot) -> None:
    incident = await declared(bot, "proxy is slow")
    here = incident.slack_channel_id
    await bot.workspace.join(bot.slack.person("ben"), here)
    await typed_verb(bot, "ana", here, "/incident severity sev9")
    assert whispers(bot, "ben", here) == []
    assert told(bot, "ben") == []


async def test_where_nobody_can_be_paged_the_verb_says_so_and_other_words_are_a_name(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident page")
    assert "an administrator names on-call targets under [[paging]]" in said
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident page not found on checkout")
    assert value(view, "name") == "page not found on checkout"
    assert "So this is taken for a name." in words(view)
