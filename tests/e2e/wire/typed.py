"""Every word after `/incident`, typed: what it changes, and what who typed it reads."""

from __future__ import annotations

import json

from support.bot import dated, radio
from support.errands import until
from support.readings import cards, told, value, words

from e2e.wire.journey import WRITTEN, Journey
from e2e.wire.rows import row


@row("command declare")
async def a_name_opens_the_form_and_is_declared(way: Journey) -> None:
    view = await way.form("ana", f"checkout is slow {WRITTEN}")
    assert value(view, "name") == f"checkout is slow {WRITTEN}"
    incident = await way.declared("ana", view)
    assert incident.name == f"checkout is slow {WRITTEN}"
    assert incident.reference in way.shown("ana")
    await way.done("ana")


@row("command update")
async def an_update_is_told_in_the_channel_and_kept(way: Journey) -> None:
    incident = await way.standing()
    said = await way.types("ana", f"update it is being rolled back {WRITTEN}", incident)
    assert incident.reference in said
    entry = (await way.timeline(incident))[-1]
    assert (entry.verb, entry.text) == ("gave an update:", f"it is being rolled back {WRITTEN}")
    assert "it is being rolled back" in words(way.posts(incident)[-1])


@row("command status")
async def a_status_is_set_on_the_card_and_in_the_topic(way: Journey) -> None:
    incident = await way.standing()
    assert "Fixing" in await way.types("ana", "status fixing", incident)
    assert (await way.now(incident)).incident_status.name == "Fixing"
    assert "Fixing" in words(way.posts(incident)[0])
    assert "Fixing" in way.slack.workspace.channel(incident.slack_channel_id).topic


@row("command severity")
async def a_severity_is_set_from_anywhere_by_reference(way: Journey) -> None:
    incident = await way.standing()
    assert "Critical" in await way.types("ana", f"severity {incident.reference} crit")
    found = (await way.now(incident)).severity
    assert found is not None
    assert found.name == "Critical"


@row("command lead")
async def a_lead_is_named_and_brought_into_the_channel(way: Journey) -> None:
    incident, ben = await way.standing(), way.slack.person("ben")
    assert incident.reference in await way.types("ana", "lead @ben", incident)
    lead = (await way.now(incident)).lead
    assert lead is not None
    assert lead.slack_user_id == ben
    assert ben in way.slack.workspace.channel(incident.slack_channel_id).members


@row("command role")
async def a_role_is_given_by_its_short_name(way: Journey) -> None:
    incident, priya = await way.standing(), way.slack.person("priya")
    assert incident.reference in await way.types("ana", "role comms @priya", incident)
    held = (await way.now(incident)).incident_role_assignments
    assert [a.role.name for a in held if a.assignee and a.assignee.slack_user_id == priya] == [
        "Communications Lead"
    ]


@row("command take")
async def who_takes_it_leads_it(way: Journey) -> None:
    incident = await way.opened("nobody leads it")
    await way.types("chloe", f"take {incident.reference}")
    lead = (await way.now(incident)).lead
    assert lead is not None
    assert lead.slack_user_id == way.slack.person("chloe")


@row("command invite")
async def who_is_invited_is_brought_into_the_channel(way: Journey) -> None:
    incident, chloe = await way.opened("more hands are needed"), way.slack.person("chloe")
    assert "is invited" in await way.types("ana", "invite @chloe", incident)
    await until(way.people, lambda: chloe in way.slack.workspace.channel(incident.slack_channel_id).members)
    assert "invited" in [entry.verb for entry in await way.timeline(incident)]


@row("command remove")
async def nobody_is_taken_out_of_what_everybody_may_see(way: Journey) -> None:
    incident = await way.standing()
    assert "is public" in await way.types("ana", "remove @chloe", incident)


@row("command rename")
async def another_name_is_the_channels_too(way: Journey) -> None:
    incident = await way.opened("something is odd")
    await way.types("ana", f"rename payments fail {WRITTEN}", incident)
    assert (await way.now(incident)).name == f"payments fail {WRITTEN}"
    renamed = way.slack.workspace.channel(incident.slack_channel_id).name
    assert renamed.endswith(f"payments-fail-{WRITTEN}")


@row("command summary")
async def a_summary_is_set_and_stands_on_the_card(way: Journey) -> None:
    incident = await way.standing()
    await way.types("ana", f"summary since the deploy of 21:05 {WRITTEN}", incident)
    assert (await way.now(incident)).summary == f"since the deploy of 21:05 {WRITTEN}"
    assert "since the deploy of 21:05" in words(way.posts(incident)[0])


@row("command call")
async def a_call_is_set_joined_from_the_card_and_said(way: Journey) -> None:
    incident, link = await way.opened("they meet"), f"https://zoom.example.com/{WRITTEN}"
    assert link in await way.types("ana", f"call {incident.reference} <{link}>")
    assert (await way.now(incident)).call_link == link
    assert link in await way.types("ben", f"call {incident.reference}")


@row("command fields")
async def a_field_is_set_by_its_name(way: Journey) -> None:
    incident = await way.standing()
    assert "Depot is Depot 042" in await way.types("ana", "fields depot: depot 042", incident)
    assert [given.shown for given in (await way.now(incident)).answers("depot")] == ["Depot 042"]


@row("command note")
async def a_note_is_in_the_timeline(way: Journey) -> None:
    incident = await way.standing()
    await way.types("ben", f"note {incident.reference} the zone was changed at noon {WRITTEN}")
    entry = (await way.timeline(incident))[-1]
    assert entry.text == f"the zone was changed at noon {WRITTEN}"
    assert entry.by is not None
    assert entry.by.slack_user_id == way.slack.person("ben")


@row("command action")
async def something_to_do_now_is_given_to_somebody(way: Journey) -> None:
    incident, ben = await way.standing(), way.slack.person("ben")
    await way.types("ana", f"action drain the node {WRITTEN} @ben", incident)
    found = (await way.to_do(incident))[-1]
    assert (found.kind, found.text, found.is_done) == ("action", f"drain the node {WRITTEN}", False)
    assert found.assignee is not None
    assert found.assignee.slack_user_id == ben


@row("command follow-up")
async def something_to_do_afterwards_is_kept(way: Journey) -> None:
    incident = await way.standing()
    await way.types("ana", f"follow-up write an alert {WRITTEN}", incident)
    found = (await way.to_do(incident))[-1]
    assert (found.kind, found.text, found.is_done) == ("follow_up", f"write an alert {WRITTEN}", False)


@row("command snooze")
async def what_is_asked_about_it_is_snoozed(way: Journey) -> None:
    incident = await way.standing()
    assert "for 2 hours" in await way.types("ana", "snooze 2 hours", incident)
    assert "come again" in await way.types("ana", "snooze off", incident)


@row("command page")
async def paging_asks_before_anything_is_sent(way: Journey) -> None:
    incident = await way.standing()
    view = await way.asks("ana", f"page payments cards are refused {WRITTEN}", incident)
    assert "Page payments now?" in words(view)
    assert value(view, "why") == f"cards are refused {WRITTEN}"
    await way.done("ana")


@row("command close")
async def it_is_closed_with_what_resolved_it(way: Journey) -> None:
    incident = await way.opened("soon over")
    assert "Closed" in await way.types("ana", f"close a restart helped {WRITTEN}", incident)
    assert (await way.now(incident)).incident_status.category == "closed"
    assert f"a restart helped {WRITTEN}" in [entry.text for entry in await way.timeline(incident)]
    assert "Reopen" in words(way.posts(incident)[0])


@row("command reopen")
async def what_was_closed_is_open_again(way: Journey) -> None:
    incident = await way.opened("over and over")
    await way.types("ana", "close done", incident)
    assert not (await way.now(incident)).incident_status.is_open
    await way.types("ana", "reopen", incident)
    assert (await way.now(incident)).incident_status.is_open


@row("command triage")
async def what_may_be_none_is_declared_into_triage(way: Journey) -> None:
    view = await way.form("ana", f"triage it may be slow {WRITTEN}")
    assert value(view, "name") == f"it may be slow {WRITTEN}"
    incident = await way.declared("ana", view)
    assert incident.incident_status.name == "Triage"
    await way.done("ana")


@row("command accept")
async def what_is_an_incident_is_accepted_from_triage(way: Journey) -> None:
    incident = await way.opened("maybe something", status=radio("triage"))
    assert "Investigating" in await way.types("ana", f"accept crit it is down {WRITTEN}", incident)
    found = await way.now(incident)
    assert found.severity is not None
    assert (found.incident_status.category, found.severity.name) == ("live", "Critical")
    announced = way.slack.channel("incidents")
    await until(
        way.people, lambda: any(incident.reference in one.text for one in cards(way.people, announced))
    )


@row("command decline")
async def what_is_no_incident_is_declined_from_triage(way: Journey) -> None:
    incident = await way.opened("maybe nothing", status=radio("triage"))
    await way.types("ana", f"decline a test of ours {WRITTEN}", incident)
    assert (await way.now(incident)).incident_status.name == "Declined"


@row("command merge")
async def it_becomes_part_of_the_other(way: Journey) -> None:
    first, second = await way.standing(), await way.opened("the same again")
    await way.types("ana", f"merge {first.reference}", second)
    assert (await way.now(second)).incident_status.name == "Merged"
    assert second.reference in [entry.text for entry in await way.timeline(first)]


@row("command cancel")
async def what_was_declared_by_mistake_is_withdrawn(way: Journey) -> None:
    incident = await way.opened("oops")
    await way.types("ana", f"cancel a slip {WRITTEN}", incident)
    assert (await way.now(incident)).incident_status.name == "Canceled"
    assert way.slack.workspace.channel(incident.slack_channel_id).archived


@row("command private")
async def it_is_private_once_that_is_confirmed(way: Journey) -> None:
    incident = await way.opened("a customer's data")
    view = await way.asks("ana", "private", incident)
    assert "cannot be made public again" in words(view)
    assert not (await way.now(incident)).is_private
    await way.sends("ana", view)
    assert (await way.now(incident)).is_private
    said = await way.types("chloe", f"show {incident.reference}")
    unknown = await way.types("chloe", "show INC-99999")
    assert said.replace(incident.reference, "X") == unknown.replace("INC-99999", "X")


@row("command time")
async def a_time_is_set_in_the_typists_own_zone_and_is_on_show(way: Journey) -> None:
    incident = await way.standing()
    said = await way.types("ana", "time impact started 20 minutes ago", incident)
    assert "Impact started is" in said
    assert "UTC" in said
    assert (await way.now(incident)).timestamp("impact_started") is not None
    assert "Impact started: " in await way.types("ben", f"show {incident.reference}")


@row("command retro")
async def what_is_over_is_declared_with_its_times_and_nobody_is_called(way: Journey) -> None:
    view = await way.form("ana", f"retro search was slow {WRITTEN}")
    assert view.values["mode"]["mode"]["selected_options"][0]["value"] == "retrospective"
    incident = await way.declared("ana", view, incident_timestamp_values__fixed=dated(1_772_000_000))
    assert incident.is_retrospective
    assert not incident.incident_status.is_open
    assert not incident.slack_channel_id
    await way.done("ana")


@row("command list")
async def what_is_open_is_listed_and_what_is_closed_is_not(way: Journey) -> None:
    over, mine = await way.opened("listed no more"), await way.opened("listed")
    await way.types("ana", "close done", over)
    await way.now(over)
    said = await way.types("ana", "list")
    assert mine.reference in said
    assert over.name not in said


@row("command find")
async def words_of_a_name_find_it(way: Journey) -> None:
    incident = await way.opened("zeppelin deflates")
    said = await way.types("ben", "find zeppelin")
    assert incident.reference in said
    assert "nothing" not in said.casefold()


@row("command show")
async def one_incident_is_shown_with_what_happened(way: Journey) -> None:
    incident = await way.opened("shown in full")
    await way.types("ana", f"note the door was open {WRITTEN}", incident)
    await way.now(incident)
    said = await way.types("ben", f"show {incident.reference}")
    assert incident.name in said
    assert f"the door was open {WRITTEN}" in said


@row("command export")
async def everything_of_it_comes_as_a_file_to_who_asked_alone(way: Journey) -> None:
    incident = await way.opened("taken away")
    await way.types("ana", f"note the valve was stuck {WRITTEN}", incident)
    said = await way.types("ben", f"export {incident.reference} json")
    assert f"{incident.reference} is in your messages" in said
    (record,) = json.loads(way.file_for("ben"))["incidents"]
    assert record["reference"] == incident.reference
    assert f"the valve was stuck {WRITTEN}" in json.dumps(record)
    file = way.files_for("ben")[-1]
    assert way.slack.workspace.files.seen_by(way.slack.person("chloe"), file) is None


@row("command document")
async def its_document_is_a_canvas_in_its_channel(way: Journey) -> None:
    incident = await way.opened("written down")
    await way.types("ana", f"close the valve was replaced {WRITTEN}", incident)
    assert "is a canvas in its channel" in await way.types("ana", "document", incident)
    canvas = way.slack.workspace.files.canvas_of(incident.slack_channel_id)
    assert canvas is not None
    assert canvas.content.startswith(f"# {incident.reference}: ")
    assert f"the valve was replaced {WRITTEN}" in canvas.content
    await until(way.people, lambda: canvas.id in way.posts(incident)[-1].text)


@row("command follow")
async def who_follows_it_reads_its_updates_in_direct_messages(way: Journey) -> None:
    incident = await way.opened("followed from afar")
    assert "You follow" in await way.types("chloe", f"follow {incident.reference}")
    before = len(told(way.people, "chloe"))
    await way.types("ana", f"update it is the valve {WRITTEN}", incident)
    await until(way.people, lambda: len(told(way.people, "chloe")) > before)
    assert "it is the valve" in words(told(way.people, "chloe")[-1])


@row("command unfollow")
async def who_follows_no_longer_is_told_no_more(way: Journey) -> None:
    incident = await way.opened("followed no longer")
    await way.types("chloe", f"follow {incident.reference}")
    assert "do not follow" in await way.types("chloe", f"unfollow {incident.reference}")
    before = len(told(way.people, "chloe"))
    await way.types("ana", f"update it is the valve {WRITTEN}", incident)
    await way.now(incident)
    assert len(told(way.people, "chloe")) == before


@row("command catchup")
async def who_was_away_is_told_what_is_new(way: Journey) -> None:
    incident = await way.opened("much happened meanwhile")
    await way.types("ana", f"note the door was open {WRITTEN}", incident)
    assert f"the door was open {WRITTEN}" in await way.types("ben", f"catchup {incident.reference}")
    assert "Nothing new" in await way.types("ben", f"catchup {incident.reference}")


@row("command test")
async def a_test_tells_its_person_alone_how_it_went_and_leaves_nothing(way: Journey) -> None:
    before = len(told(way.people, "ana"))
    assert "A message from Tocsin" in await way.types("ana", "test")
    said = await until(way.people, lambda: told(way.people, "ana")[before:][-1:])
    assert "everything works" in words(said[0])


@row("command help")
async def help_fits_the_place(way: Journey) -> None:
    here = await way.types("ana", "help", await way.standing())
    there = await way.types("ana", "help")
    assert here.index("/incident close") < here.index("/incident list")
    assert there.index("/incident list") < there.index("/incident close")
