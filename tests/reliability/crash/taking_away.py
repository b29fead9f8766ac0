"""What becomes of incidents beside changes: taken away, written up, linked to, put away, and by workflow."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from support.bot import ticked

from reliability.crash.acting import Case, heeded
from reliability.crash.managing import RESOLVED, STATUS, UPDATED, Scenario
from reliability.crash.scenarios import forget_severity
from reliability.crash.stage import Stage
from reliability.history.deeds import Deed, Try
from reliability.history.history import Press
from slack_emulator.faults import Fault
from slack_emulator.models import Message
from slack_emulator.workflow_steps import StepRun

EXPORTED, WRITTEN, ARCHIVED, HIDDEN = (
    "exported it as",
    "wrote the post-incident document",
    "archived the channel",
    "made it private",
)
STEP = "declare_incident"
LOST = Fault(status=500, after_effect=True)
CALLS = (
    "files.getUploadURLExternal",
    "files.completeUploadExternal",
    "conversations.canvases.create",
    "conversations.open",
    "conversations.history",
    "chat.postMessage",
)


async def taken_home(stage: Stage) -> None:
    """Exported in each format, in words and by the button under its summary."""
    case = await Case.by_command(stage)
    await joined_by(case, "ben", "chloe")
    await case.typed("ana", "note", "the primary was slow {token}", worded="noted:")
    for person, words, ending in (("ben", "", "md"), ("ana", "json", "json"), ("ben", "csv", "csv")):
        await exported(case, person, words, ending)
    await closed(case)
    await case.pressed(
        *("chloe", "export", lambda: ending_of(case), "export_incident"), each=(EXPORTED,), takes="md"
    )


async def taken_home_in_private(stage: Stage) -> None:
    """A private one exported outside its channel, by those who may; and by one who may not."""
    view = await stage.command("ana", "general")
    await stage.button(view, "more_fields", "more_fields")
    case = await Case.declared(stage, view, stage.slack.channel("general"), visibility=ticked("private"))
    await exported(case, "ana", f"{case.reference} json", "json", place=stage.slack.channel("general"))
    words = f"{case.reference} csv"
    told = await case.typed("ben", "export", words, place=stage.slack.channel("general"))
    assert told == "refused", told


async def written_up(stage: Stage) -> None:
    """The document by two people at once, in a canvas; then it is made private, and written again."""
    case = await Case.by_command(stage, lead="ben")
    await closed(case)
    pressing = case.pressed("ana", "document", lambda: ending_of(case), "write_document", entries=(WRITTEN,))
    await asyncio.gather(pressing, case.typed("ben", "document"))
    await stage.lives.quiet()
    await case.sent(
        *("ana", "private", case.form("ana", "private"), {}),
        entries=(HIDDEN,),
        sets={"visibility": "private"},
    )
    await stage.lives.quiet()
    await case.typed("ana", "document", entries=(WRITTEN,))


async def written_up_in_a_file(stage: Stage) -> None:
    """A workspace without canvases: a file, which goes with the public channel."""
    state = stage.workspace.state
    state.save(replace(state.team, plan="free"))
    case = await Case.by_command(stage)
    await closed(case)
    await joined_by(case, "ben")
    await case.typed("ana", "document", entries=(WRITTEN,))
    await case.typed("ben", "document")
    await stage.lives.quiet()
    await case.sent(
        *("ana", "private", case.form("ana", "private"), {}),
        entries=(HIDDEN,),
        sets={"visibility": "private"},
    )


async def taken_while_answers_get_lost(stage: Stage) -> None:
    """Slack takes a file and a canvas, and its answers never come."""
    case = await Case.by_command(stage)
    stage.workspace.faults.plan("files.completeUploadExternal", LOST)
    await exported(case, "ana", "", "md")
    await closed(case)
    stage.workspace.faults.plan("conversations.canvases.create", LOST)
    for method in stage.rng.sample(CALLS, 2):
        stage.workspace.faults.plan(method, stage.rng.choice((LOST, Fault(status=429, retry_after=0))))
    await case.typed("ana", "document", entries=(WRITTEN,))
    await stage.lives.quiet()
    await exported(case, "ana", "json", "json")


async def put_away(stage: Stage) -> None:
    """Closed; a day's notice, and its channel is archived."""
    case = await Case.by_command(stage)
    await closed(case)
    await given_notice(case)
    await case.leaves("gone")
    stage.deeds.append(Deed("archive", "", case.token, (Try("done"),), entries=(ARCHIVED,)))


async def kept_after_all(stage: Stage) -> None:
    """One channel is kept by the button under its notice; another's incident is opened again."""
    case, other = await Case.by_command(stage), await Case.by_command(stage, "ben")
    for one, person in ((case, "ana"), (other, "ben")):
        await closed(one, person)
    await joined_by(case, "chloe")
    await given_notice(case)
    notice = case.posts("This channel is archived")[0]
    await case.pressed("chloe", "keep", lambda: notice, "keep_channel")
    await stage.lives.quiet()
    await case.leaves("kept")
    await other.typed(*("ben", "reopen"), entries=(STATUS,), sets={"incident_status_id": "investigating"})
    await other.leaves("gone")


async def shown_below_a_link(stage: Stage) -> None:
    """Links to it, in places that all read, follow it, and it is commented on there; one link is deleted."""
    case = await Case.by_command(stage)
    await joined_by(case, "ben")
    link = await linked(case, "ben", "general")
    gone = await linked(case, "ana", "alerts")
    await case.typed("ana", "update", "on it {token}", worded=UPDATED)
    await case.typed("ana", "status", "fixing {token}", entries=(STATUS,), worded=UPDATED, **FIXING)
    await stage.workspace.delete(stage.slack.person("ana"), gone.channel, gone.ts)
    await case.typed("ben", "status", "monitoring {token}", entries=(STATUS,), worded=UPDATED, **MONITORING)
    await stage.lives.quiet()
    if link.attachments:
        await case.commented("ana", link, worded="noted:")


async def hidden_below_a_link(stage: Stage) -> None:
    """A link shows nothing any more once it is private; a later one never does."""
    case = await Case.by_command(stage)
    await linked(case, "ana", "general")
    opening = case.form("ana", "private")
    await case.sent("ana", "private", opening, {}, entries=(HIDDEN,), sets={"visibility": "private"})
    await stage.lives.quiet()
    await linked(case, "ana", "alerts")


FIXING: dict[str, Any] = {"sets": {"incident_status_id": "fixing"}}
MONITORING: dict[str, Any] = {"sets": {"incident_status_id": "monitoring"}}


async def by_workflow(stage: Stage) -> None:
    """Workflows come to our step: one declares and is sent again; another is refused by the backend."""
    first = await stepped(stage, "ana", severity="major", channel=stage.slack.channel("alerts"))
    await stage.lives.quiet()
    await sent_again(stage, first)
    forget_severity(stage, "critical")
    await stepped(stage, "ben", severity="critical")


TAKING_AWAY: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        taken_home,
        taken_home_in_private,
        written_up,
        written_up_in_a_file,
        taken_while_answers_get_lost,
        put_away,
        kept_after_all,
        shown_below_a_link,
        hidden_below_a_link,
        by_workflow,
    )
}


async def closed(case: Case, person: str = "ana") -> None:
    await case.typed(
        *(person, "close", "it is over {token}"),
        entries=(STATUS,),
        worded=RESOLVED,
        sets={"incident_status_id": "closed"},
    )
    await case.stage.lives.quiet()


def ending_of(case: Case) -> Message:
    """The message that says how it went, with its buttons."""
    return case.posts("'export_incident'", "'write_document'")[0]


async def exported(case: Case, person: str, words: str, ending: str, **where: Any) -> None:
    await case.typed(person, "export", words, each=(EXPORTED,), takes=ending, **where)


async def joined_by(case: Case, *people: str) -> None:
    """Others come into its channel."""
    for name in people:
        outcome = await case.stage.workspace.join(case.stage.slack.person(name), case.channel)
        assert outcome.ok, outcome


async def given_notice(case: Case) -> None:
    await case.leaves("told")
    case.stage.deeds.append(Deed("notice", "", case.token, (Try("done"),)))


async def linked(case: Case, person: str, channel: str) -> Message:
    """Somebody posts a link to its page; Slack tells the bot again until it has heard of it."""
    stage, token = case.stage, case.stage.word()
    life, start = await stage.lives.alive(), len(stage.workspace.requests)
    page = f"http://127.0.0.1:8080/incidents/{case.reference}"
    message = await stage.said(person, channel, f"{page} is that {token}")
    told = await heeded(stage, "event.link_shared", start, life)
    stage.deeds.append(Deed("link", message.user or "", case.token, (Try(told, token),)))
    return message


async def stepped(stage: Stage, person: str, **inputs: Any) -> StepRun:
    """A workflow comes to our step; Slack tells the bot again until it has heard of it."""
    token, who = stage.word(), stage.slack.person(person)
    life, start = await stage.lives.alive(), len(stage.workspace.requests)
    given = {"name": f"Checkout is slow {token}", "reporter": who, **inputs}
    run = stage.workspace.steps.begin(stage.slack.app, STEP, given)
    stage.presses.append(Press(run.id, who, token, origin=inputs.get("channel")))
    await heeded(stage, "event.function_executed", start, life)
    return run


async def sent_again(stage: Stage, run: StepRun) -> None:
    """The same execution comes as another event."""
    life, start = await stage.lives.alive(), len(stage.workspace.requests)
    stage.workspace.steps.deliver(stage.slack.app, run)
    await heeded(stage, "event.function_executed", start, life)
