"""Every form, filled in and sent."""

from __future__ import annotations

from support.bot import chosen, dated, picked, radio
from support.readings import value, words

from e2e.wire.journey import WRITTEN, Journey, text
from e2e.wire.rows import row


@row("view declare")
async def a_wrong_field_is_underlined_and_nothing_typed_is_lost(way: Journey) -> None:
    before = len(await way.incidents())
    view = await way.form("ana", "nothing")
    unseen, severity = text("\u202e\u2066"), chosen("minor")
    await way.people.fill("ana", view, name=unseen, summary=text(WRITTEN), severity_id=severity)
    outcome = await way.people.submit("ana", view)
    assert set(outcome.errors) == {"name"}
    assert value(view, "summary") == WRITTEN
    assert len(await way.incidents()) == before
    incident = await way.declared("ana", view, name=text(f"now with a name {WRITTEN}"))
    assert (incident.name, incident.summary) == (f"now with a name {WRITTEN}", WRITTEN)
    await way.done("ana")


@row("view update")
async def an_update_a_status_and_the_next_one_go_in_one_form(way: Journey) -> None:
    incident = await way.opened("told in one form")
    view = await way.asks("ana", "update", incident)
    sent = {"message": text(f"rolled back {WRITTEN}"), "next_update_minutes": chosen("30")}
    said = await way.sends("ana", view, incident_status_id=chosen("monitoring"), **sent)
    assert incident.reference in said
    assert (await way.now(incident)).incident_status.name == "Monitoring"
    told = words(way.posts(incident)[-1])
    assert "rolled back" in told
    assert "Next update due" in told


@row("view assign")
async def roles_are_given_in_a_form(way: Journey) -> None:
    incident, chloe = await way.opened("who does what?"), way.slack.person("chloe")
    view = await way.asks("ana", "role", incident)
    await way.sends("ana", view, incident_role_assignments__communications=picked(chloe))
    held = (await way.now(incident)).incident_role_assignments
    assert [a.role.id for a in held if a.assignee and a.assignee.slack_user_id == chloe] == ["communications"]


@row("view describe")
async def the_form_has_the_name_there_is_and_takes_another(way: Journey) -> None:
    incident = await way.opened("named in a form")
    view = await way.asks("ana", "rename", incident)
    assert value(view, "name") == incident.name
    await way.sends("ana", view, name=text(f"another name {WRITTEN}"))
    assert (await way.now(incident)).name == f"another name {WRITTEN}"


@row("view fields")
async def fields_are_changed_in_a_form_that_has_them_as_they_are(way: Journey) -> None:
    incident = await way.opened("its answers in a form")
    await way.types("ana", "fields depot depot 007", incident)
    await way.now(incident)
    view = await way.asks("ana", "fields", incident)
    assert value(view, "custom_field_entries.depot") == "depot_007"
    another = {**chosen("depot_008", "Depot 008"), "type": "external_select"}
    await way.sends("ana", view, custom_field_entries__depot=another)
    assert [given.shown for given in (await way.now(incident)).answers("depot")] == ["Depot 008"]


@row("view close")
async def closing_names_what_is_not_done_and_keeps_what_resolved_it(way: Journey) -> None:
    incident = await way.opened("closed in a form")
    await way.types("ana", f"action grow the disk {WRITTEN}", incident)
    await way.now(incident)
    view = await way.asks("ana", "close", incident)
    assert "grow the disk" in words(view)
    assert "Closed" in await way.sends("ana", view, message=text(f"logs were deleted {WRITTEN}"))
    assert (await way.now(incident)).incident_status.category == "closed"
    assert f"logs were deleted {WRITTEN}" in [entry.text for entry in await way.timeline(incident)]


@row("view merge")
async def the_other_incident_is_chosen_in_a_form(way: Journey) -> None:
    first, second = await way.standing(), await way.opened("merged in a form")
    view = await way.asks("ana", "merge", second)
    await way.sends("ana", view, merged_into=chosen(first.id))
    assert (await way.now(second)).incident_status.name == "Merged"


@row("view accept")
async def it_is_accepted_in_a_form(way: Journey) -> None:
    incident = await way.opened("accepted in a form", status=radio("triage"))
    view = await way.asks("ana", "accept", incident)
    await way.sends("ana", view, severity_id=chosen("critical"), message=text(f"it is down {WRITTEN}"))
    found = await way.now(incident)
    assert found.incident_status.category == "live"
    assert f"it is down {WRITTEN}" in [entry.text for entry in await way.timeline(incident)]


@row("view page")
async def who_is_on_call_is_paged_and_the_channel_says_so(way: Journey) -> None:
    incident = await way.standing()
    view = await way.asks("ana", "page", incident)
    await way.people.fill("ana", view, target=chosen("database"), why=text(f"locks {WRITTEN}"))
    assert (await way.people.submit("ana", view)).ok
    (form,) = way.slack.workspace.stack(view.user)
    assert "Page database now?" in words(form)
    assert "database was paged (Opsgenie)" in await way.sends("ana", form)
    assert (await way.timeline(incident))[-1].text == f"database (Opsgenie): locks {WRITTEN}"
    assert "locks" in words(way.offering(incident, "acknowledge_page"))


@row("view note")
async def a_note_is_written_in_a_form(way: Journey) -> None:
    incident = await way.standing()
    view = await way.asks("ana", "note", incident)
    await way.sends("ana", view, message=text(f"seen on the graph {WRITTEN}"))
    assert (await way.timeline(incident))[-1].text == f"seen on the graph {WRITTEN}"


@row("view times")
async def times_are_set_in_a_form(way: Journey) -> None:
    incident = await way.standing()
    view = await way.asks("ana", "times", incident)
    said = await way.sends("ana", view, incident_timestamp_values__detected=dated(1_772_000_000))
    assert "Detected is Wed 25 Feb 2026" in said
    detected = (await way.now(incident)).timestamp("detected")
    assert detected is not None
    assert detected.timestamp() == 1_772_000_000


@row("view follow_up")
async def something_to_do_is_added_in_a_form(way: Journey) -> None:
    incident, ben = await way.standing(), way.slack.person("ben")
    view = await way.asks("ana", "follow-up", incident)
    await way.sends("ana", view, text=text(f"say it in the wiki {WRITTEN}"), assignee=picked(ben))
    found = (await way.to_do(incident))[-1]
    assert found.text == f"say it in the wiki {WRITTEN}"
    assert found.assignee is not None
    assert found.assignee.slack_user_id == ben


@row("view issue")
async def the_issue_of_a_follow_up_is_chosen_in_a_form(way: Journey) -> None:
    incident, link = await way.opened("issues in a form"), "https://tracker.example.com/issues/7"
    for thing in ("first", "second"):
        await way.types("ana", f"follow-up {thing} {WRITTEN}", incident)
    view = await way.asks("ana", f"follow-up {link}", incident)
    wanted = (await way.to_do(incident))[0]
    await way.sends("ana", view, follow_up_id=chosen(wanted.id))
    linked = [item.external_issue_reference for item in await way.to_do(incident) if item.id == wanted.id]
    assert [issue and issue.issue_permalink for issue in linked] == [link]


@row("view people")
async def people_are_chosen_in_a_form_and_brought_in(way: Journey) -> None:
    incident, ben = await way.standing(), way.slack.person("ben")
    view = await way.asks("ana", "invite", incident)
    people = {"type": "multi_users_select", "selected_users": [ben]}
    assert "is invited" in await way.sends("ana", view, people=people)
    assert "invited" in [entry.verb for entry in await way.timeline(incident)]


@row("view snooze")
async def for_how_long_is_chosen_in_a_form(way: Journey) -> None:
    incident = await way.standing()
    view = await way.asks("ana", "snooze", incident)
    assert "for 4 hours" in await way.sends("ana", view, minutes=chosen("240"))
    view = await way.asks("ana", "snooze", incident)
    assert "come again" in await way.sends("ana", view, minutes=chosen("0"))


@row("view choose")
async def a_verb_without_an_incident_asks_which_and_goes_on(way: Journey) -> None:
    incident = await way.opened("chosen from several")
    view = await way.asks("ana", "status")
    await way.people.fill("ana", view, incident_id=chosen(incident.id))
    assert (await way.people.submit("ana", view)).ok
    (form,) = way.slack.workspace.stack(view.user)
    assert form.payload["callback_id"] == "update"
    await way.sends("ana", form, incident_status_id=chosen("fixing"))
    assert (await way.now(incident)).incident_status.name == "Fixing"
