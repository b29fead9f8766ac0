"""Runs of the bot, each from a fresh workspace to quiet, and the history of each."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

from support.bot import chosen, picked, ticked, typed

from reliability.history.beside import BESIDE
from reliability.history.history import History, Press
from reliability.history.managing import MANAGING
from reliability.history.stage import Stage, Zygote, stage
from reliability.history.taking import TAKING
from slack_emulator.faults import Fault
from slack_emulator.models import Message, View

Scenario = Callable[[Stage], Awaitable[None]]
HOSTILE = "<!channel> <@U0GUS00006> <https://evil.example/login|click> & <#C0GENERAL1>"
LONGEST_RUN = 300.0
"""Seconds; only where the bot is broken does one take longer."""

LOST = Fault(status=500, after_effect=True)


async def history_of(scenario: Scenario, folder: Path, forking: Zygote, bug: str | None = None) -> History:
    """The scenario from beginning to quiet, with a bug planted in the bot if there is one."""
    async with asyncio.timeout(LONGEST_RUN), stage(folder, forking, bug) as run:
        await scenario(run)
        return await run.history()


def _alert(run: Stage) -> Message:
    return run.workspace.history(run.slack.channel("alerts"), run.slack.person("ana"))[0]


def _filled(run: Stage, person: str, view: View, *, hostile: bool = False, private: bool = False) -> Press:
    """The form as somebody would leave it, with words in it that stand nowhere else."""
    token, secret = f"tok{token_hex(4)}", f"sec{token_hex(4)}"
    fields: dict[str, Any] = {
        "name": typed(f"{token} is slow {HOSTILE if hostile else ''}".strip()),
        "summary": typed(f"{secret} says: {HOSTILE if hostile else 'help'}"),
        "severity_id": chosen("major"),
        "incident_role_assignments__lead": picked(run.slack.person("ben")),
    }
    if private:
        fields["visibility"] = ticked("private")
    run.fill(person, view, **fields)
    return Press(view.id, run.slack.person(person), token, secrets=(secret,))


async def _by_command(run: Stage, *, hostile: bool = False, private: bool = False) -> Press:
    view = await run.command("ana", "general", "something")
    press = _filled(run, "ana", view, hostile=hostile, private=private)
    return _from(press, origin=run.slack.channel("general"))


async def _by_message(run: Stage, person: str, *, private: bool = False) -> Press:
    alert = _alert(run)
    view = await run.from_message(person, alert)
    press = _filled(run, person, view, private=private)
    return _from(press, origin=alert.channel, message=(alert.channel, alert.ts))


def _from(press: Press, **where: Any) -> Press:
    return Press(press.view_id, press.person, press.token, secrets=press.secrets, **where)


async def by_command(run: Stage) -> None:
    await run.start()
    await run.submit(await _by_command(run, hostile=True))


async def from_a_message(run: Stage) -> None:
    await run.start()
    await run.submit(await _by_message(run, "chloe"))


async def from_nowhere(run: Stage) -> None:
    await run.start()
    await run.submit(_filled(run, "priya", await run.shortcut("priya")))


async def in_private(run: Stage) -> None:
    """A private one by command and another from a message, which somebody else then picks too."""
    await run.start()
    await run.submit(await _by_command(run, private=True))
    await run.submit(await _by_message(run, "chloe", private=True))
    await run.submit(await _by_message(run, "darius"))
    for path in ("/incidents", "/incidents/INC-1", "/incidents/INC-2", "/incidents/3"):
        await run.fetch(path)


async def pressed_twice(run: Stage) -> None:
    await run.start()
    press = await _by_command(run)
    await asyncio.gather(run.submit(press), run.submit(press))


async def two_on_one_message(run: Stage) -> None:
    await run.start()
    first, second = await _by_message(run, "ana"), await _by_message(run, "ben")
    await asyncio.gather(run.submit(first), run.submit(second))


async def answers_lost(run: Stage) -> None:
    """The first answer to each kind of write is lost after it was done."""
    await run.start()
    for method in (
        "conversations.create", "conversations.invite", "conversations.setTopic",
        "conversations.setPurpose", "views.update", "bookmarks.add", "chat.postMessage", "pins.add",
    ):  # fmt: skip
        run.workspace.faults.plan(method, LOST)
    await run.submit(await _by_command(run))


async def delivered_again(run: Stage) -> None:
    """The same submission comes again and again, also to the next process and the one after it."""
    await run.start()
    await run.submit(await _by_message(run, "ana"))
    [submission] = await run.workspace.heard("view_submission")
    for _ in range(2):
        await asyncio.gather(*(run.deliver_again(submission) for _ in range(3)))
        await run.kill()
        await run.start()
        await run.deliver_again(submission)


async def declared_another(run: Stage) -> None:
    """A message that has an incident gets a second one, on purpose."""
    await run.start()
    await run.submit(await _by_message(run, "ana"))
    alert = _alert(run)
    view = await run.from_message("ben", alert)
    await run.press("ben", view, "declare_another")
    press = _filled(run, "ben", view)
    await run.submit(_from(press, another=True, origin=alert.channel, message=(alert.channel, alert.ts)))


async def only_a_test(run: Stage) -> None:
    await run.start()
    press = await _by_command(run)
    [view] = run.workspace.stack(press.person)
    await run.press("ana", view, "more_fields")
    run.fill("ana", view, mode=ticked("test"))
    await run.submit(press)


async def saved_then_killed(run: Stage) -> None:
    """The process is killed while the incident file is locked and the form says *saved*."""
    await run.start()
    press = await _by_command(run)
    with closing(sqlite3.connect(run.folder / "kept" / "incidents.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await run.submit(press)
        await run.kill()
        other.execute("ROLLBACK")
    await run.start()


async def name_taken(run: Stage) -> None:
    """Somebody has a channel of that name already."""
    await run.start()
    press = await _by_command(run)
    outcome = await run.workspace.create_channel(run.slack.person("ben"), f"inc-1-{press.token}-is-slow")
    assert outcome.ok, outcome
    await run.submit(press)


async def private_channel_refused(run: Stage) -> None:
    await run.start()
    run.workspace.faults.plan("conversations.create", Fault(error="restricted_action"))
    await run.submit(await _by_command(run, private=True))


async def parts_refused(run: Stage) -> None:
    """Slack says no to the bookmark and to the pin."""
    await run.start()
    run.workspace.faults.plan("bookmarks.add", Fault(error="too_many_bookmarks"))
    run.workspace.faults.plan("pins.add", Fault(error="too_many_pins"))
    await run.submit(await _by_command(run))


async def refused_then_right(run: Stage) -> None:
    """A severity goes while the form is open; the same form is put right and sent again."""
    await run.start()
    press = await _by_message(run, "ana")
    run.fill("ana", run.workspace.stack(press.person)[-1], severity_id=chosen("minor"))
    with closing(sqlite3.connect(run.folder / "kept" / "incidents.db")) as incidents, incidents:
        incidents.execute("DELETE FROM severities WHERE id = 'minor'")
    await run.submit(press)
    run.fill("ana", run.workspace.stack(press.person)[-1], severity_id=chosen("major"))
    await run.submit(press)


async def refused(run: Stage) -> None:
    """As above, and the form is given up."""
    await run.start()
    press = await _by_message(run, "ana")
    run.fill("ana", run.workspace.stack(press.person)[-1], severity_id=chosen("minor"))
    with closing(sqlite3.connect(run.folder / "kept" / "incidents.db")) as incidents, incidents:
        incidents.execute("DELETE FROM severities WHERE id = 'minor'")
    await run.submit(press)


async def backend_busy(run: Stage) -> None:
    """The incident file is locked until the form has said that the declaration is saved."""
    await run.start()
    press = await _by_command(run)
    with closing(sqlite3.connect(run.folder / "kept" / "incidents.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await run.submit(press)
        other.execute("ROLLBACK")


async def killed_after_the_answer(run: Stage) -> None:
    await run.start()
    await run.submit(await _by_command(run))
    await run.kill()
    await run.start()


KILLED = (
    "before the create is recorded",
    "before the channel is recorded",
    "before the channel's step is recorded",
    "before the first post is recorded",
)


def killed(when: str) -> Scenario:
    async def scenario(run: Stage) -> None:
        await run.start(when)
        submitting = asyncio.create_task(run.submit(await _by_command(run)))
        await run.died()
        run.slack.clock.turn(4.0)
        await submitting
        await run.start()

    return scenario


SCENARIOS: dict[str, Scenario] = {
    "by command": by_command,
    "from a message": from_a_message,
    "from nowhere": from_nowhere,
    "in private": in_private,
    "pressed twice": pressed_twice,
    "two on one message": two_on_one_message,
    "delivered again": delivered_again,
    "declared another": declared_another,
    "only a test": only_a_test,
    "saved, then killed": saved_then_killed,
    "answers lost": answers_lost,
    "name taken": name_taken,
    "private channel refused": private_channel_refused,
    "parts refused": parts_refused,
    "refused": refused,
    "refused, then right": refused_then_right,
    "backend busy": backend_busy,
    "killed after the answer": killed_after_the_answer,
    **{f"killed {when}": killed(when) for when in KILLED},
    **MANAGING,
    **TAKING,
    **BESIDE,
}
