"""What people do in a run to incidents that exist: every verb, by every way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse
from support.bot import chosen, dated, picked, radio, typed

from reliability.crash.acting import Case, at_home, heeded, held, read
from reliability.crash.lives import first
from reliability.crash.scenarios import LONGEST_HOLD
from reliability.crash.stage import Stage
from slack_emulator.faults import Fault
from slack_emulator.models import Message

Scenario = Callable[[Stage], Awaitable[None]]

UPDATED, RESOLVED = "gave an update:", "resolved it:"
STATUS, SEVERITY, RENAMED = "set the status to", "set the severity to", "renamed it to"
SUMMARISED, CALLED, HIDDEN = "set the summary to", "set the call link to", "made it private"
TIMED = "set the time of"
CALLS = (
    "chat.update",
    "chat.delete",
    "conversations.rename",
    "conversations.archive",
    "conversations.info",
    "bookmarks.list",
    "bookmarks.edit",
    "reactions.get",
    "pins.list",
)
"""What Slack is asked for by no declaration."""

TRIED = (
    "auth.test",
    "chat.delete",
    "chat.postMessage",
    "conversations.archive",
    "conversations.create",
    "conversations.invite",
)
"""What a test of Tocsin asks Slack for."""


async def news_on_the_way(stage: Stage) -> None:
    """What is known, where it stands and how bad it is: in a form, and in words."""
    case = await Case.by_command(stage)
    ana = stage.slack.person("ana")
    fields = {
        "message": typed("the cache is cold {token}"),
        "incident_status_id": chosen("fixing"),
        "severity_id": chosen("critical"),
        "next_update_minutes": chosen("0"),
    }
    await case.sent(
        *("ana", "update", lambda: case.press(ana, case.card, "update_incident"), fields),
        entries=(STATUS, SEVERITY),
        worded=UPDATED,
        sets={"incident_status_id": "fixing", "severity_id": "critical"},
    )
    await case.asked("ben", f"follow {case.reference}", stage.slack.channel("general"))
    await case.typed("ana", "update", "it is warm again {token}", worded=UPDATED)
    await case.asked("ben", f"catchup {case.reference}", stage.slack.channel("general"))
    await case.typed(
        *("ana", "status", "monitoring since noon {token}"),
        entries=(STATUS,),
        worded=UPDATED,
        sets={"incident_status_id": "monitoring"},
    )
    await case.typed("ana", "severity", "minor", entries=(SEVERITY,), sets={"severity_id": "minor"})
    await case.asked("ben", f"unfollow {case.reference}", stage.slack.channel("general"))


async def who_does_what(stage: Stage) -> None:
    """The lead and the other roles, by a card's button, in words, and in the form."""
    case = await Case.by_command(stage)
    ana, ben, chloe = (stage.slack.person(name) for name in ("ana", "ben", "chloe"))
    await case.pressed(
        *("ana", "take", lambda: case.card, "take_lead"),
        entries=("took the role",),
        holds={"lead": ana},
    )
    await case.typed("ana", "lead", "@ben", entries=("set Incident Lead to",), holds={"lead": ben})
    await case.sent(
        *("ana", "role", case.form("ana", "role")),
        {"incident_role_assignments.communications": picked(chloe)},
        entries=("set Communications Lead to",),
        holds={"communications": chloe},
    )
    await case.typed("ana", "invite", "@chloe", each=("invited",))
    people = {"type": "multi_users_select", "selected_users": [ben]}
    await case.sent(*("ana", "invite", case.form("ana", "invite")), {"people": people}, each=("invited",))


async def called_something_else(stage: Stage) -> None:
    """Its name, with its channel's, and its summary; from the announcement channel with its reference."""
    case = await Case.by_command(stage)
    general, name = stage.slack.channel("general"), f"Payments hang {case.token} {stage.word()}"
    await case.typed(
        *("ana", "rename", f"{case.reference} {name}"), place=general, entries=(RENAMED,), sets={"name": name}
    )
    summary = f"Since noon {stage.word()}"
    await case.sent(
        *("ana", "summary", case.form("ana", "summary")),
        {"summary": typed(summary)},
        entries=(SUMMARISED,),
        sets={"summary": summary},
    )
    link = f"https://zoom.example.com/{stage.word()}"
    await case.typed("ana", "call", link, entries=(CALLED,), sets={"call_url": link})


async def fields_of_it(stage: Stage) -> None:
    """Its custom fields: one in words, another one in the form."""
    case = await Case.by_command(stage)
    ticket = f"customer or ticket: {stage.word()}"
    await case.typed("ana", "fields", ticket, entries=("set Customer or ticket to",))
    await case.sent(
        *("ana", "fields", case.form("ana", "fields")),
        {"custom_field_entries.detected_by": chosen("customer")},
        entries=("set Detected by to",),
    )


async def when_it_happened(stage: Stage) -> None:
    """Its times, in words and in the form, and those that its course sets by itself."""
    case = await Case.by_command(stage)
    await case.typed("ana", "time", "detected 2026-01-02 03:04", entries=(TIMED,))
    await case.sent(
        *("ana", "time", case.form("ana", "times")),
        {"incident_timestamp_values.impact_started": dated(1_767_322_000)},
        entries=(TIMED,),
    )
    await case.typed(
        *("ana", "close", "all is well {token}"),
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "closed"},
    )
    await stage.lives.quiet()
    values = "SELECT incident_timestamp_id FROM incident_timestamp_values"
    there = {row["incident_timestamp_id"] for row in read(stage, "incidents.db", values)}
    assert {"detected", "impact_started", "reported", "fixed", "closed"} <= there


async def over_and_again(stage: Stage) -> None:
    """Closed in the form, opened by the card's button, and closed in words."""
    case = await Case.by_command(stage, lead="ana")
    await case.sent(
        *("ana", "close", case.form("ana", "close")),
        {"message": typed("the cache was warmed {token}")},
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "closed"},
    )
    await case.pressed(
        *("ana", "reopen", lambda: case.card, "reopen_incident"),
        entries=(STATUS,),
        sets={"incident_status_id": "investigating"},
    )
    await case.typed(
        *("ana", "close", "for good {token}"),
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "closed"},
    )


async def kept_in_the_timeline(stage: Stage) -> None:
    """Notes, pins and reactions, put in and taken out."""
    case = await Case.by_command(stage)
    await case.typed("ana", "note", "the primary was slow {token}", worded="noted:")
    await case.sent(
        *("ana", "note", case.form("ana", "note")),
        {"message": typed("the replica too {token}")},
        worded="noted:",
    )
    messages = [await _said_here(stage, case) for _ in range(3)]
    for act, (message, token) in zip(("pin", "react", "pick"), messages, strict=True):
        if act == "pick":
            await case.picked("ana", message, token, worded="noted:")
        else:
            await case.marked("ana", act, message, token, worded="noted:")
    message, token = messages[0]
    await case.marked("ana", "unpin", message, token, removes=True)


async def to_be_done(stage: Stage) -> None:
    """An action in words and a follow-up in the form, one of them taken, and done before the close."""
    case = await Case.by_command(stage)
    await case.typed("ana", "action", "drain the node {token}", adds="action")
    await case.sent(
        *("ana", "follow-up", case.form("ana", "follow-up")),
        {"text": typed("write an alert {token}"), "assignee": picked(stage.slack.person("ben"))},
        adds="follow_up",
    )
    await stage.lives.quiet()
    post = case.posts("drain the node")[0]
    (token,) = (word for word in post.text.split() if word.startswith("zq"))
    await case.pressed("ana", "take it", lambda: post, "take_follow_up", entries=("took the action:",))
    await case.pressed("ana", "done", lambda: post, "complete_follow_up", completes=token)
    await case.typed(
        *("ana", "close", "drained {token}"),
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "closed"},
    )


async def asked_for_an_update(stage: Stage) -> None:
    """The next update comes due: put off, taken over, and asked for no more."""
    case = await Case.by_command(stage, lead="ben")
    fields = {"message": typed("we are on it {token}"), "next_update_minutes": chosen("15")}
    opening = case.form("ana", "update")
    await case.sent("ana", "update", opening, fields, worded=UPDATED)
    await case.comes_due()
    await case.pressed("ana", "snooze", lambda: case.posts("is due.")[-1], "snooze_update")
    await case.comes_due()
    await case.pressed("ana", "take over", lambda: case.posts("is due.")[-1], "take_over_update")
    await case.pressed("ana", "stop", lambda: case.posts("is due.")[-1], "stop_updates")
    assert not read(stage, "journal.db", "SELECT * FROM tocsin_reminders")


async def left_alone(stage: Stage) -> None:
    """Nudged about for want of a lead: taken by its button, snoozed in words, and woken in the form."""
    case = await Case.by_command(stage)
    await case.is_left_alone()
    await case.pressed(
        *("ana", "take", lambda: case.posts("has no lead")[-1], "nudge_take_lead"),
        entries=("took the role",),
        holds={"lead": stage.slack.person("ana")},
    )
    await case.typed("ana", "snooze", "2 hours")
    await case.sent("ana", "snooze", case.form("ana", "snooze"), {"minutes": chosen("0")})


async def hidden(stage: Stage) -> None:
    """Made private after an update was announced, and updated there."""
    case = await Case.by_command(stage, lead="ben")
    await case.typed("ana", "update", "customers see it {token}", worded=UPDATED)
    opening = case.form("ana", "private")
    await case.sent("ana", "private", opening, {}, entries=(HIDDEN,), sets={"visibility": "private"})
    await stage.lives.quiet()
    await case.typed("ana", "update", "only for us {token}", worded=UPDATED)


async def let_in(stage: Stage) -> None:
    """Somebody is brought into a private incident's channel by hand; its lead allows it, or declines."""
    case = await Case.by_command(stage, lead="ben")
    ana, chloe = stage.slack.person("ana"), stage.slack.person("chloe")
    opening = case.form("ana", "private")
    await case.sent("ana", "private", opening, {}, entries=(HIDDEN,), sets={"visibility": "private"})
    await stage.lives.quiet()
    start, life = len(stage.workspace.requests), await stage.lives.alive()
    assert (await stage.workspace.invite(ana, case.channel, chloe)).ok
    await heeded(stage, "event.member_joined_channel", start, life)
    await stage.lives.quiet()
    rooms = [room.id for room in stage.workspace.state.channels.values() if room.kind == "im"]
    messages = [message for room in rooms for message in stage.workspace.state.lasting(room)]
    (question,) = (message for message in messages if "'allow_access'" in str(message.blocks))
    verb, entry = stage.rng.choice((("allow", "invited"), ("decline access", "declined access of")))
    action = f"{verb.partition(' ')[0]}_access"
    await case.pressed("ben", verb, lambda: question, action, entries=(entry,))
    await stage.lives.quiet()
    is_in = chloe in stage.workspace.channel(case.channel).members
    assert is_in == (verb == "allow"), f"{verb}, and in the channel: {is_in}"


async def paged(stage: Stage) -> None:
    """On-call people are paged once for each press, acknowledge it, and are called off when it is over."""
    case = await Case.by_command(stage, lead="ben")
    for target in stage.rng.sample(["payments", "database", "own pager"], 2):
        if stage.rng.random() < 0.4:
            stage.paging.answers.append(lambda: JSONResponse({}, 500))
        opening = case.form("ana", f"page {target}")
        await case.sent("ana", "page", opening, {"why": typed("it hangs {token}")}, worded="paged")
        await stage.lives.quiet()
    entries = ("acknowledged the page of",)
    await case.pressed(
        "ben", "acknowledge", lambda: case.posts(":pager:")[-1], "acknowledge_page", entries=entries
    )
    await case.typed("ana", "close", "it hangs no more {token}", entries=(STATUS,), worded=RESOLVED)
    await case.are_called_off(2)
    assert len(stage.paging.opened) == 2, stage.paging.opened
    assert {alert.status for alert in stage.paging.alerts.values()} == {"resolved"}


async def in_retrospect(stage: Stage) -> None:
    """Declared when it was over: it has its times, no channel, and a card for its reporter alone."""
    view = await stage.command("ana", "general", "retro")
    times = {"impact_started": 1_767_322_000, "fixed": 1_767_325_600}
    fields = {f"incident_timestamp_values__{name}": dated(at) for name, at in times.items()}
    case = await Case.declared(stage, view, None, **fields)
    assert (case.row["mode"], case.row["incident_status_id"]) == ("retrospective", "closed")
    detected, general = f"{case.reference} detected 2026-01-02 03:04", stage.slack.channel("general")
    await case.typed("ana", "time", detected, place=general, entries=(TIMED,))
    await stage.lives.quiet()
    assert not case.channel


async def taken_back(stage: Stage) -> None:
    """Declared by mistake: what was posted is withdrawn, and its channel archived."""
    case = await Case.by_command(stage)
    await case.typed("ana", "update", "hm {token}", worded=UPDATED)
    await case.sent(
        *("ana", "cancel", case.form("ana", "cancel")),
        {"message": typed("wrong button {token}")},
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "canceled"},
    )


async def part_of_another(stage: Stage) -> None:
    """Merged into another one; that one turns out to be none."""
    case, other = await Case.by_command(stage), await Case.by_command(stage, "ben")
    await case.typed(
        *("ana", "merge", other.reference),
        entries=(STATUS, "merged it into"),
        sets={"incident_status_id": "merged"},
        into=other.token,
    )
    await other.typed(
        *("ben", "decline", "a drill {token}"),
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "declined"},
    )


async def accepted_from_triage(stage: Stage) -> None:
    """Declared as what may be none, and accepted in words or in the form: only then it is announced, once."""
    view = await stage.command("ana", "general")
    case = await Case.declared(stage, view, stage.slack.channel("general"), status=radio("triage"))
    announced = stage.workspace.state.lasting(stage.slack.channel("incidents"))
    assert not any(case.reference in message.text for message in announced)
    ana, sets = stage.slack.person("ana"), {"incident_status_id": "investigating", "severity_id": "critical"}
    accepted = {"entries": (SEVERITY, "accepted it as"), "sets": sets}
    if stage.rng.random() < 0.5:
        await case.typed("ana", "accept", "critical", **accepted)
    else:
        opening, fields = (
            lambda: case.press(ana, case.card, "accept_incident"),
            {"severity_id": chosen("critical")},
        )
        await case.sent("ana", "accept", opening, fields, **accepted)
    await stage.lives.quiet()
    await case.typed("ana", "update", "it is down {token}", worded=UPDATED)


async def changed_elsewhere(stage: Stage) -> None:
    """Somebody changes it where it is kept, and ends it there."""
    case = await Case.by_command(stage)
    await case.becomes("severity_id = 'critical'", sets={"severity_id": "critical"}, shows="Critical")
    await case.becomes(
        "incident_status_id = 'closed', closed_at = updated_at",
        sets={"incident_status_id": "closed"},
        shows="Closed",
    )


async def from_home(stage: Stage) -> None:
    """Declared on Home; then looked up in every way there is."""
    ana = stage.slack.person("ana")
    home = await at_home(stage, "ana")
    block = next(b["block_id"] for b in home.payload["blocks"] if "'declare_here'" in str(b))
    view = await stage.opened(ana, lambda: stage.workspace.press(ana, "declare_here", block, view_id=home.id))
    case = await Case.declared(stage, view, None)
    await case.asked("ana", "list")
    await case.asked("ana", f"find {case.token}")
    await case.asked("ana", "show")
    await case.asked("ana", "help")
    await case.typed("ana", "update", "seen on Home {token}", worded=UPDATED)


async def tried_out(stage: Stage) -> None:
    """Tocsin is tested by two people, one of them while answers of Slack get lost."""
    case = await Case.by_command(stage)
    await case.asked("ana", "test", stage.slack.channel("general"))
    await case.asked("ben", "test", stage.slack.channel("general"))
    await stage.lives.quiet()
    for method in stage.rng.sample(TRIED, 2):
        stage.workspace.faults.plan(method, Fault(status=500, after_effect=True))
    await case.asked("ana", "test", stage.slack.channel("general"))
    await stage.lives.quiet()
    await case.typed("ana", "update", "it works {token}", worded=UPDATED)


async def two_at_once(stage: Stage) -> None:
    """Two people send the update form at once: one state, and a word to the second."""
    case = await Case.by_command(stage, lead="ben")
    ana, ben = (stage.slack.person(name) for name in ("ana", "ben"))

    async def send(person: str, who: str, status: str) -> None:
        fields = {"message": typed(f"{person} says {{token}}"), "incident_status_id": chosen(status)}
        await case.sent(
            *(person, "update", lambda: case.press(who, case.card, "update_incident"), fields),
            entries=(STATUS,),
            worded=UPDATED,
            sets={"incident_status_id": status},
        )

    await asyncio.gather(send("ana", ana, "fixing"), send("ben", ben, "monitoring"))


async def the_file_is_held_meanwhile(stage: Stage) -> None:
    """Another program holds the incident file for longer than a form can wait: saved, and told later."""
    case = await Case.by_command(stage)
    fields = {"message": typed("all is slow {token}")}
    sending = asyncio.ensure_future(
        case.sent("ana", "update", case.form("ana", "update"), fields, worded=UPDATED)
    )
    await first(stage.sees("ana", "view_opened"), asyncio.shield(sending))
    with held(stage, "incidents.db"):
        await asyncio.wait({sending}, timeout=LONGEST_HOLD)
    await sending


async def slack_is_unwell(stage: Stage) -> None:
    """Slack is busy, or its answers get lost, while people manage what they declared."""
    for method in CALLS:
        lost = Fault(reset=True, after_effect=True), Fault(status=503, after_effect=stage.rng.random() < 0.5)
        fault = stage.rng.choice((*lost, Fault(status=429, retry_after=0)))
        stage.workspace.faults.plan(method, fault)
    ways = news_on_the_way, called_something_else, hidden, taken_back, to_be_done, kept_in_the_timeline
    await stage.rng.choice(ways)(stage)


MANAGING: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        news_on_the_way,
        who_does_what,
        called_something_else,
        fields_of_it,
        when_it_happened,
        over_and_again,
        kept_in_the_timeline,
        to_be_done,
        asked_for_an_update,
        left_alone,
        hidden,
        let_in,
        paged,
        in_retrospect,
        taken_back,
        part_of_another,
        accepted_from_triage,
        changed_elsewhere,
        from_home,
        tried_out,
        two_at_once,
        the_file_is_held_meanwhile,
        slack_is_unwell,
    )
}


async def _said_here(stage: Stage, case: Case) -> tuple[Message, str]:
    """Something that somebody says in the incident's channel, with a word that stands nowhere else."""
    token = stage.word()
    outcome = await stage.workspace.say(stage.slack.person("ana"), case.channel, f"p99 is falling {token}")
    assert outcome.ts is not None, outcome
    return stage.workspace.message(case.channel, outcome.ts), token
