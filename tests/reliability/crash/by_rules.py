"""Tasks that rules give to incidents, their checklist, and the issues of a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.bot import chosen, typed

from reliability.crash.acting import Case, heeded
from reliability.crash.managing import HIDDEN, RESOLVED, SEVERITY, STATUS, Scenario
from reliability.crash.stage import Stage
from reliability.crash.taking_away import joined_by
from reliability.history.deeds import Deed, Try
from slack_emulator.faults import Fault
from slack_emulator.models import Message

BRIDGE, PAGE, CUSTOMERS = "Open the bridge", "Post on the status page", "Write to customers"
TRACKER = "https://github.com/acme/web/issues"
RULES = f"""
[[tasks]]
severity_at_least = "Major"
do = [
  {{ title = "{BRIDGE}", runbook = "https://wiki.example.com/bridge" }},
  {{ title = "{PAGE}", role = "Communications Lead" }},
]

[[tasks]]
severities = ["Critical"]
do = [{{ title = "{CUSTOMERS}", kind = "follow_up" }}]

[[runbooks]]
severities = ["Critical"]
title = "All hands"
url = "https://wiki.example.com/all-hands"

[tracker]
url = "{TRACKER}/new?title={{title}}&body={{body}}"
"""
LINKS = ("https://wiki.example.com/", f"{TRACKER}/")
ADDED = "added an action:"
LINKED = "linked the issue of the follow-up:"
CALLS = ("chat.postMessage", "chat.update", "conversations.replies", "conversations.history")


async def tasks_are_done(stage: Stage) -> None:
    """Given when it is declared, more when it is raised; taken, assigned with a role, and ticked."""
    case = await tasked(stage)
    chloe = stage.slack.person("chloe")
    await raised(case)
    await case.typed(
        *("ana", "role", "Communications Lead @chloe"),
        entries=("set Communications Lead to",),
        holds={"communications": chloe},
    )
    await stage.lives.quiet()
    given(case, entries=("assigned the action:",))
    await joined_by(case, "ben")
    checklist = lambda: checklist_of(case)  # noqa: E731
    await case.pressed("ben", "take it", checklist, "take_follow_up", entries=("took the action:",))
    await stage.lives.quiet()
    await case.pressed("ben", "done", checklist, "complete_follow_up", completes=BRIDGE)
    await case.typed("ana", "severity", "minor", entries=(SEVERITY,), sets={"severity_id": "minor"})
    await stage.lives.quiet()
    await case.typed("ana", "severity", "major", entries=(SEVERITY,), sets={"severity_id": "major"})
    await stage.lives.quiet()
    sets = {"incident_status_id": "closed"}
    await case.typed("ana", "close", "it is over {token}", entries=(STATUS,), worded=RESOLVED, sets=sets)


async def tasks_of_what_becomes_private(stage: Stage) -> None:
    """The checklist goes on in the private channel; Slack is unwell meanwhile."""
    case = await tasked(stage)
    lost = Fault(reset=True, after_effect=True), Fault(status=503), Fault(status=429, retry_after=0)
    for method in stage.rng.sample(CALLS, 2):
        stage.workspace.faults.plan(method, stage.rng.choice(lost))
    await raised(case)
    opening = case.form("ana", "private")
    await case.sent("ana", "private", opening, {}, entries=(HIDDEN,), sets={"visibility": "private"})
    await stage.lives.quiet()
    checklist = lambda: checklist_of(case)  # noqa: E731
    await case.pressed("ana", "take it", checklist, "take_follow_up", entries=("took the action:",))
    await stage.lives.quiet()
    await case.pressed("ana", "done", checklist, "complete_follow_up", completes=BRIDGE)


async def issues_are_linked(stage: Stage) -> None:
    """A follow-up gets its issue: by a verb, by a button and its form, and by a reply below its message."""
    case = await Case.by_command(stage)
    given(case, BRIDGE, PAGE, entries=(ADDED, ADDED))
    await case.typed("ana", "follow-up", f"{TRACKER}/1 tell them {{token}}", adds="follow_up")
    await stage.lives.quiet()
    for number, words in ((2, "write an alert"), (3, "grow the pool")):
        await case.typed("ana", "follow-up", f"{words} {{token}}", adds="follow_up")
        await stage.lives.quiet()
        link = f"{TRACKER}/{number}"
        if number == 2:
            await case.typed("ana", "follow-up", link, entries=(LINKED,))
        else:
            await replied(case, shown(case, words), link)
        await stage.lives.quiet()
        assert link in f"{shown(case, words).blocks}", f"{words} has no issue"
    ana, message = stage.slack.person("ana"), shown(case, "write an alert")
    issue = {**typed(f"{TRACKER}/4"), "type": "url_text_input"}
    await case.sent(
        *("ana", "issue", lambda: case.press(ana, message, "link_issue")),
        {"issue_url": issue},
        entries=(LINKED,),
    )
    await several_wait(case)


async def several_wait(case: Case) -> None:
    """A link that may be of either of two follow-ups is asked about, and told there."""
    await joined_by(case, "ben")
    for words in ("clean the logs", "turn the keys"):
        await case.typed("ben", "follow-up", f"{words} {{token}}", adds="follow_up")
        await case.stage.lives.quiet()
    wanted = shown(case, "turn the keys")
    (block,) = (one for one in wanted.blocks if str(one.get("block_id")).startswith("follow_up."))
    follow_up = chosen(block["block_id"].partition(".")[2])
    opening = case.form("ben", f"follow-up {TRACKER}/5")
    await case.sent("ben", "issue", opening, {"follow_up_id": follow_up}, entries=(LINKED,))


BY_RULES: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (tasks_are_done, tasks_of_what_becomes_private, issues_are_linked)
}

WITH_RULES: Mapping[str, str] = dict.fromkeys(BY_RULES, RULES)
"""What the configuration has besides, by the scenario."""


async def tasked(stage: Stage) -> Case:
    """Declared, with the tasks that this gives it."""
    case = await Case.by_command(stage)
    given(case, BRIDGE, PAGE, entries=(ADDED, ADDED))
    return case


async def raised(case: Case) -> None:
    await case.typed("ana", "severity", "critical", entries=(SEVERITY,), sets={"severity_id": "critical"})
    await case.stage.lives.quiet()
    given(case, CUSTOMERS, entries=("added a follow-up:",))


def given(case: Case, *titles: str, **deed: Any) -> None:
    """On the record: so much the rules do by themselves, with these titles."""
    case.stage.deeds.append(Deed("rules", "", case.token, (Try("done"),), gives=titles, links=LINKS, **deed))


def shown(case: Case, words: str) -> Message:
    """The message of what somebody wrote that is to be done, beside its line in the checklist."""
    return next(post for post in case.posts() if words in post.text)


def checklist_of(case: Case) -> Message:
    return next(post for post in case.posts() if post.text.startswith(":clipboard:"))


async def replied(case: Case, message: Message, link: str) -> None:
    """A link posted below a follow-up's message; Slack tells the bot again until it has heard of it."""
    stage, ana = case.stage, case.stage.slack.person("ana")
    life, start = await stage.lives.alive(), len(stage.workspace.requests)
    outcome = await stage.workspace.say(ana, case.channel, f"it is {link}", message.ts)
    assert outcome.ok, outcome
    told = await heeded(stage, "event.link_shared", start, life)
    stage.deeds.append(Deed("issue", ana, case.token, (Try(told),), entries=(LINKED,)))
