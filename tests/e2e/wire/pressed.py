"""Every button, where people find it: in a form, on a card, in a list, under a question, on Home."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from support.bot import chosen, picked, radio, ticked
from support.errands import press_card, press_in_view, until
from support.patience import LIMIT
from support.readings import block_ids, pressed, said, told, value, words

from e2e.wire.journey import WRITTEN, Journey, text
from e2e.wire.rows import row
from slack_emulator.faults import Fault
from slack_emulator.models import Message, View
from tocsin.incidents.model import Incident

# in forms


@row("press more_fields")
async def more_fields_keep_what_was_typed(way: Journey) -> None:
    view = await way.form("ana", f"search is down {WRITTEN}")
    await way.people.fill("ana", view, summary=text(f"since noon {WRITTEN}"))
    before = set(block_ids(view))
    await pressed(way.people, view, "more_fields", "more_fields")
    assert before < set(block_ids(view)) | {"more_fields"}
    assert "custom_field_entries.depot" in block_ids(view)
    assert value(view, "summary") == f"since noon {WRITTEN}"
    await way.done("ana")


@row("press open_form")
async def a_form_that_slack_did_not_open_is_opened_by_a_button(way: Journey) -> None:
    way.slack.workspace.faults.plan("views.open", Fault(error="expired_trigger_id"))
    assert "Slack waits three seconds" in await way.types("ana", f"the door is open {WRITTEN}")
    view = await way.opens("ana", way.whisper("ana"), "open_form")
    assert value(view, "name") == f"the door is open {WRITTEN}"
    await way.done("ana")


@row("press fix_and_send")
async def what_was_refused_later_is_fixed_and_sent(way: Journey) -> None:
    view = await way.form("ana", f"refused at first {WRITTEN}")
    await way.people.fill("ana", view, severity_id=chosen("passing"))
    incidents = way.bot.folder / "data" / "incidents.db"
    with closing(sqlite3.connect(incidents, timeout=LIMIT, isolation_level=None)) as held:
        # As a slow disk would; and what was chosen is gone before the incident could be written.
        held.execute("BEGIN IMMEDIATE")
        assert (await way.people.submit("ana", view)).ok
        assert "Saved, still declaring" in way.shown("ana")
        kept = held.execute("SELECT * FROM severities WHERE id = 'passing'").fetchone()
        held.execute("DELETE FROM severities WHERE id = 'passing'")
        held.execute("COMMIT")
        assert await way.bot.quiet() == 0
        held.execute(f"INSERT INTO severities VALUES ({', '.join('?' * len(kept))})", kept)
    form = await way.opens("ana", told(way.people, "ana")[-1], "fix_and_send")
    assert value(form, "name") == f"refused at first {WRITTEN}"
    assert (await way.declared("ana", form)).name == f"refused at first {WRITTEN}"
    await way.done("ana")


@row("press declare_another")
async def a_message_that_has_an_incident_gets_another_when_asked(way: Journey) -> None:
    message = await said(way.people, "ben", "general", f"payments fail {WRITTEN}")
    first = await way.declared("ana", await way.people.pick_shortcut("ana", message))
    await way.done("ana")
    again = await way.people.pick_shortcut("ben", message)
    assert first.reference in words(again)
    await pressed(way.people, again, "declare_another", "already")
    second = await way.declared("ben", way.slack.workspace.stack(again.user)[-1])
    assert second.id != first.id
    assert second.source == first.source
    await way.done("ben")


@row("press declare_instead")
async def what_looked_like_a_verb_is_declared_as_a_name(way: Journey) -> None:
    await way.standing()
    view = await way.asks("ana", f"status page is down {WRITTEN}")
    await pressed(way.people, view, "declare_instead", "declare_instead")
    (form,) = way.slack.workspace.stack(view.user)
    assert value(form, "name") == f"status page is down {WRITTEN}"
    await way.done("ana")


# on a card


@row("press open_incident")
async def a_link_is_acknowledged_and_changes_nothing(way: Journey) -> None:
    incident = await way.standing()
    before = await way.now(incident)
    await press_card(way.people, "ana", way.posts(incident)[0], "open_incident")
    assert await way.now(incident) == before


@row("press update_incident")
async def update_on_a_card_opens_its_form(way: Journey) -> None:
    incident = await way.opened("updated from its card")
    view = await way.opens("ana", way.posts(incident)[0], "update_incident")
    await way.sends("ana", view, message=text(f"from the card {WRITTEN}"))
    assert (await way.timeline(incident))[-1].text == f"from the card {WRITTEN}"


@row("press take_lead")
async def taking_the_lead_takes_the_button_away(way: Journey) -> None:
    incident = await way.opened("who leads?")
    await way.presses("ana", way.posts(incident)[0], "take_lead")
    lead = (await way.now(incident)).lead
    assert lead is not None
    assert lead.slack_user_id == way.slack.person("ana")
    assert "Take the lead" not in words(way.posts(incident)[0])


@row("press join_call")
async def the_call_is_one_press_away(way: Journey) -> None:
    incident = await way.opened("they talk")
    await way.types("ana", "call huddle", incident)
    await way.now(incident)
    await press_card(way.people, "ben", way.posts(incident)[0], "join_call")
    huddle = f"/huddle/{incident.slack_team_id}/{incident.slack_channel_id}"
    assert huddle in str(way.posts(incident)[0].blocks)


async def in_triage(way: Journey, name: str) -> tuple[Incident, Message]:
    """An incident that may be none, and its card."""
    incident = await way.opened(name, status=radio("triage"))
    await way.now(incident)
    return incident, way.posts(incident)[0]


@row("press accept_incident")
async def accept_on_a_card_asks_how_bad_it_is(way: Journey) -> None:
    incident, card = await in_triage(way, "accepted from its card")
    view = await way.opens("ana", card, "accept_incident")
    assert value(view, "severity_id") == "major"
    await way.sends("ana", view)
    assert (await way.now(incident)).incident_status.category == "live"


@row("press decline_incident")
async def decline_on_a_card_asks_why_it_is_none(way: Journey) -> None:
    incident, card = await in_triage(way, "declined from its card")
    await way.sends("ana", await way.opens("ana", card, "decline_incident"), message=text(WRITTEN))
    assert (await way.now(incident)).incident_status.name == "Declined"


@row("press merge_incident")
async def merge_on_a_card_asks_for_the_other_incident(way: Journey) -> None:
    first = await way.standing()
    incident, card = await in_triage(way, "merged from its card")
    view = await way.opens("ana", card, "merge_incident")
    await way.sends("ana", view, merged_into=chosen(first.id))
    assert (await way.now(incident)).incident_status.name == "Merged"


@row("press change_fields")
async def fields_below_an_incident_that_is_shown_open_their_form(way: Journey) -> None:
    incident = await way.opened("its fields")
    await way.types("ana", f"show {incident.reference}")
    view = await way.opens("ana", way.whisper("ana"), "change_fields")
    assert incident.name in words(view)
    assert "custom_field_entries.depot" in block_ids(view)
    await way.done("ana")


@row("press reopen_incident")
async def reopen_on_a_card_opens_it_again(way: Journey) -> None:
    incident = await way.opened("opened again from its card")
    await way.types("ana", "close done", incident)
    await way.now(incident)
    await way.presses("ana", way.posts(incident)[0], "reopen_incident")
    assert (await way.now(incident)).incident_status.is_open


async def over_and_summed_up(way: Journey, name: str) -> tuple[Incident, Message]:
    """An incident that is closed, and how it went, as its channel is told."""
    incident = await way.opened(name)
    await way.types("ana", f"close a new valve {WRITTEN}", incident)
    return incident, await until(way.people, lambda: way.offering(incident, "write_document"))


@row("press export_incident")
async def under_how_it_went_is_a_button_for_a_file(way: Journey) -> None:
    incident, ending = await over_and_summed_up(way, "taken away with a button")
    assert f"{incident.reference} is in your messages" in await way.presses(
        "chloe", ending, "export_incident"
    )
    assert f"a new valve {WRITTEN}" in way.file_for("chloe")


@row("press write_document")
async def under_how_it_went_is_a_button_for_the_document(way: Journey) -> None:
    incident, ending = await over_and_summed_up(way, "written down with a button")
    room = incident.slack_channel_id
    assert way.slack.workspace.files.canvas_of(room) is None
    assert "is a canvas in its channel" in await way.presses("ana", ending, "write_document")
    canvas = way.slack.workspace.files.canvas_of(room)
    assert canvas is not None
    assert f"a new valve {WRITTEN}" in canvas.content


def soon_archived(way: Journey, incident: Incident) -> bool:
    """The days until its channel is archived go by; false while it is not to be."""
    with closing(sqlite3.connect(way.bot.folder / "data" / "journal.db", timeout=LIMIT)) as journal:
        hurry = "UPDATE tocsin_departures SET due_at = 0 WHERE incident_id = ?"
        hurried = journal.execute(hurry, (incident.id,)).rowcount
        journal.commit()
    return hurried > 0


@row("press keep_channel")
async def a_channel_that_is_to_be_archived_is_kept(way: Journey) -> None:
    incident = await way.opened("kept when it is over")
    await way.types("ana", "close done", incident)
    await until(way.people, lambda: soon_archived(way, incident))
    notice = await until(way.people, lambda: way.offering(incident, "keep_channel"))
    assert "is kept" in await way.presses("chloe", notice, "keep_channel")
    (kept,) = [post for post in way.posts(incident) if post.ts == notice.ts]
    assert "keeps this channel" in words(kept)


@row("press incident_menu")
async def every_line_of_a_cards_menu_opens_its_form(way: Journey) -> None:
    incident = await way.opened("a menu")
    forms = {"role": "assign", "action": "follow_up", "note": "note", "close": "close"}
    for verb, form in forms.items():
        chosen_line = f"{verb} {incident.id}"
        view = await way.opens("ana", way.posts(incident)[0], "incident_menu", option=chosen_line)
        assert view.payload["callback_id"] == form
        await way.done("ana")


@row("press complete_follow_up")
async def what_is_done_is_ticked_off_with_a_button(way: Journey) -> None:
    incident = await way.opened("a thing to do")
    await way.types("ana", f"action shut the door {WRITTEN}", incident)
    (item,) = await way.to_do(incident)
    assert not item.is_done
    posted = next(post for post in way.posts(incident) if "shut the door" in words(post))
    await way.presses("ana", posted, "complete_follow_up")
    (item,) = await way.to_do(incident)
    assert item.is_done


@row("press take_follow_up")
async def what_nobody_has_is_taken_with_a_button(way: Journey) -> None:
    incident = await way.opened("a thing to take")
    await way.types("ana", f"action mind the gap {WRITTEN}", incident)
    await way.to_do(incident)
    posted = next(post for post in way.posts(incident) if "mind the gap" in words(post))
    await way.presses("ana", posted, "take_follow_up")
    (item,) = await way.to_do(incident)
    assert item.assignee is not None
    assert item.assignee.slack_user_id == way.slack.person("ana")


@row("press open_issue")
async def the_trackers_form_is_a_link_that_is_acknowledged(way: Journey) -> None:
    incident = await way.opened("an issue to open")
    await way.types("ana", f"follow-up say so {WRITTEN}", incident)
    before = await way.to_do(incident)
    posted = next(post for post in way.posts(incident) if "say so" in words(post))
    await press_card(way.people, "ana", posted, "open_issue")
    assert await way.to_do(incident) == before


@row("press link_issue")
async def a_button_asks_for_the_link_of_the_issue(way: Journey) -> None:
    incident = await way.opened("an issue to link")
    await way.types("ana", f"follow-up tell them {WRITTEN}", incident)
    await way.to_do(incident)
    posted = next(post for post in way.posts(incident) if "tell them" in words(post))
    view = await way.opens("ana", posted, "link_issue")
    assert view.payload["callback_id"] == "issue"
    await way.done("ana")


# under the question for an update


@row("press give_update")
async def giving_the_update_opens_the_form(way: Journey) -> None:
    incident, question = await way.question()
    view = await way.opens("ana", question, "give_update")
    await way.sends("ana", view, message=text(f"as asked {WRITTEN}"))
    assert f"as asked {WRITTEN}" in [entry.text for entry in await way.timeline(incident)]


@row("press snooze_update")
async def the_question_is_put_off(way: Journey) -> None:
    _, question = await way.question()
    assert "in 15 minutes" in await way.presses("ana", question, "snooze_update")


@row("press take_over_update")
async def somebody_else_gives_the_update(way: Journey) -> None:
    _, question = await way.question()
    await way.slack.workspace.join(way.slack.person("ben"), question.channel)
    assert "You give the next update" in await way.presses("ben", question, "take_over_update")


@row("press stop_updates")
async def nobody_is_asked_any_more(way: Journey) -> None:
    _, question = await way.question()
    assert "No more updates" in await way.presses("ana", question, "stop_updates")


# on a nudge


@row("press nudge_take_lead")
async def the_lead_that_is_asked_for_is_taken(way: Journey) -> None:
    incident, nudge = await way.nudged("major")
    assert "has no lead" in words(nudge)
    await way.presses("ana", nudge, "nudge_take_lead")
    lead = (await way.now(incident)).lead
    assert lead is not None
    assert lead.slack_user_id == way.slack.person("ana")


@row("press nudge_update")
async def the_update_that_is_asked_for_is_given(way: Journey) -> None:
    incident, nudge = await way.nudged("critical")
    assert "no update on" in words(nudge)
    view = await way.opens("ana", nudge, "nudge_update")
    await way.sends("ana", view, message=text(f"as nudged {WRITTEN}"))
    assert f"as nudged {WRITTEN}" in [entry.text for entry in await way.timeline(incident)]


@row("press nudge_close")
async def what_nothing_happens_in_is_closed(way: Journey) -> None:
    incident, nudge = await way.nudged("minor")
    assert "Can it be closed?" in words(nudge)
    view = await way.opens("ana", nudge, "nudge_close")
    await way.sends("ana", view)
    assert not (await way.now(incident)).incident_status.is_open


@row("press snooze_nudges")
async def a_nudge_is_snoozed_in_its_menu(way: Journey) -> None:
    incident, nudge = await way.nudged("major")
    option = f"60 no_lead {incident.id}"
    assert "for 1 hour" in await way.presses("ana", nudge, "snooze_nudges", option=option)
    assert await way.bot.quiet() == 0
    assert "snoozed the nudges about" in words(way.posts(incident)[-1])


# in lists, and on Home


async def listed(way: Journey) -> list[str]:
    """Priya reads what is open, in more than one page; the references that were made for it."""
    made = [(await way.opened(f"shelf filler {n}")).reference for n in range(9)]
    await way.types("priya", "list")
    return made


@row("press next_page")
async def the_next_page_takes_the_place_of_the_first(way: Journey) -> None:
    made = await listed(way)
    assert made[0] not in words(way.whisper("priya"))
    shown = await way.presses("priya", way.whisper("priya"), "next_page")
    assert made[0] in shown
    assert made[-1] not in shown


@row("press first_page")
async def one_comes_back_to_the_newest(way: Journey) -> None:
    made = await listed(way)
    await way.presses("priya", way.whisper("priya"), "next_page")
    shown = await way.presses("priya", way.whisper("priya"), "first_page")
    assert made[-1] in shown


@row("press show_incident")
async def show_beside_a_line_shows_all_of_it(way: Journey) -> None:
    incident = await way.opened("shown from a list")
    await way.types("ben", f"find {incident.reference}")
    shown = await way.presses("ben", way.whisper("ben"), "show_incident")
    assert incident.name in shown
    assert "Timeline" in shown


@row("press declare_named")
async def what_was_no_search_is_declared_as_a_name(way: Journey) -> None:
    await way.types("ana", f"find my luggage {WRITTEN}")
    view = await way.opens("ana", way.whisper("ana"), "declare_named")
    assert value(view, "name") == f"find my luggage {WRITTEN}"
    await way.done("ana")


async def asked_about(way: Journey) -> tuple[Incident, Message]:
    """A private incident that Ben leads; Ana has brought Chloe in by hand, and Ben is asked about her."""
    ben, ana, chloe = (way.slack.person(name) for name in ("ben", "ana", "chloe"))
    incident = await way.opened(
        "only for some", visibility=ticked("private"), incident_role_assignments__lead=picked(ben)
    )
    await way.slack.workspace.invite(ana, incident.slack_channel_id, chloe)
    question = await until(way.people, lambda: _question_about(way, incident))
    return incident, question


def _question_about(way: Journey, incident: Incident) -> Message | None:
    asked = [m for m in told(way.people, "ben") if "May they see it?" in words(m)]
    return next((message for message in asked if incident.reference in words(message)), None)


@row("press allow_access")
async def the_lead_lets_somebody_see_what_is_private(way: Journey) -> None:
    incident, question = await asked_about(way)
    await press_card(way.people, "ben", question, "allow_access")
    await until(way.people, lambda: "may see" in words(question))
    assert incident.name in await way.types("chloe", f"show {incident.reference}")


@row("press decline_access")
async def the_lead_does_not_let_somebody_see_what_is_private(way: Journey) -> None:
    incident, question = await asked_about(way)
    await press_card(way.people, "ben", question, "decline_access")
    await until(way.people, lambda: "may not see" in words(question))
    assert "no such incident" in await way.types("chloe", f"show {incident.reference}")


@row("press ask_for_access")
async def who_reads_a_private_channel_asks_to_see_its_incident(way: Journey) -> None:
    ben, chloe = way.slack.person("ben"), way.slack.person("chloe")
    incident = await way.opened(
        "asked for", visibility=ticked("private"), incident_role_assignments__lead=picked(ben)
    )
    # As if Slack had never told of it.
    way.slack.workspace.channel(incident.slack_channel_id).members.append(chloe)
    await way.types("chloe", "note hello", incident)
    await press_card(way.people, "chloe", way.whisper("chloe", incident), "ask_for_access")
    await until(way.people, lambda: _question_about(way, incident))


@row("press invite_people")
async def people_are_brought_in_from_where_an_incident_is_shown(way: Journey) -> None:
    incident = await way.standing()
    await way.types("ana", f"show {incident.reference}")
    view = await way.opens("ana", way.whisper("ana"), "invite_people")
    assert view.payload["callback_id"] == "people"
    await way.done("ana")


@row("press follow_incident")
async def an_incident_is_followed_from_where_it_is_shown(way: Journey) -> None:
    incident = await way.standing()
    await way.types("ben", f"show {incident.reference}")
    assert "You follow" in await way.presses("ben", way.whisper("ben"), "follow_incident")
    await way.types("ben", f"unfollow {incident.reference}")


@row("press catch_up")
async def who_was_away_catches_up_where_it_is_shown(way: Journey) -> None:
    incident = await way.opened("shown to who was away")
    await way.types("priya", f"show {incident.reference}")
    assert "What is new since it was declared" in await way.presses("priya", way.whisper("priya"), "catch_up")


async def home(way: Journey, person: str) -> View:
    who, app = way.slack.person(person), way.slack.app.app_id
    await way.slack.workspace.open_home(who, app)
    found: View = await until(way.people, lambda: way.slack.workspace.home(who, app))
    return found


@row("press declare_here")
async def home_has_a_button_to_declare(way: Journey) -> None:
    view = await way.opens("darius", await home(way, "darius"), "declare_here")
    assert view.payload["callback_id"] == "declare"
    await way.done("darius")


@row("press run_test")
async def home_has_a_button_that_tests(way: Journey) -> None:
    before, tab = len(told(way.people, "darius")), await home(way, "darius")
    await press_in_view(way.people, "darius", tab, "run_test")

    def said() -> bool:
        return any("everything works" in words(one) for one in told(way.people, "darius")[before:])

    await until(way.people, said)


@row("press list_incidents")
async def home_lists_what_is_open_and_shows_one(way: Journey) -> None:
    incident = await way.opened("listed from home")
    listed = await way.opens("darius", await home(way, "darius"), "list_incidents")
    assert incident.reference in words(listed)
    pushed = len(way.people.calls("views.push"))
    await press_in_view(way.people, "darius", listed, "show_incident")
    await way.slack.workspace.heard("views.push", pushed + 1)
    await way.done("darius")


# pages


@row("press page_incident")
async def paging_begins_below_an_incident_that_is_shown(way: Journey) -> None:
    incident = await way.standing()
    await way.types("ana", "show", incident)
    view = await way.opens("ana", way.whisper("ana", incident), "page_incident")
    assert "Who is needed?" in words(view)
    await way.done("ana")


@row("press acknowledge_page")
async def a_page_is_acknowledged_below_its_message(way: Journey) -> None:
    incident = await way.opened("acknowledged in Slack")
    await way.sends("ana", await way.asks("ana", "page payments", incident))
    await way.now(incident)
    page = way.offering(incident, "acknowledge_page")
    assert page is not None
    assert "The page of payments is acknowledged" in await way.presses("ana", page, "acknowledge_page")
    await until(way.people, lambda: "Acknowledged by" in words(way.posts(incident)[-1]))
