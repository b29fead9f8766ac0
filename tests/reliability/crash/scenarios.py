"""What people do in a run: every way into a declaration, and what may go wrong on its way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

from support.bot import chosen, picked, ticked

from reliability.crash.stage import LONGEST_ANSWER, Stage
from slack_emulator.faults import Fault
from slack_emulator.models import Message, View
from tocsin.incidents.channel_names import channel_name

Scenario = Callable[[Stage], Awaitable[None]]

CHANNELS = ("general", "alerts", "haulpartner", "incidents")
PEOPLE = ("ana", "ben", "chloe", "darius", "priya")
CALLS = (
    "conversations.create",
    "conversations.setTopic",
    "conversations.setPurpose",
    "conversations.invite",
    "bookmarks.add",
    "chat.postMessage",
    "pins.add",
    "users.conversations",
    "conversations.history",
    "conversations.replies",
)
NOTHING_VISIBLE = "\u200b"
LONGEST_HOLD = 10.0


async def by_command(stage: Stage) -> None:
    """`/incident` in a channel, often with more filled in than the name."""
    channel = stage.rng.choice(CHANNELS)
    person = stage.rng.choice([name for name in PEOPLE if stage.is_in(name, channel)])
    view = await stage.command(person, channel, stage.rng.choice(("", "the checkout is slow")))
    if stage.rng.random() < 0.2:
        stage.fill(view, NOTHING_VISIBLE, severity_id=chosen(stage.severities[2]))
        await stage.submit(view)
    await declared(stage, view, origin=stage.slack.channel(channel))


async def on_the_first_day(stage: Stage) -> None:
    """The bot's first start, with nothing in its folder: its files are made while it may be killed."""
    await by_command(stage)


async def from_anywhere(stage: Stage) -> None:
    await declared(stage, await stage.anywhere(stage.rng.choice(PEOPLE)))


async def from_a_message(stage: Stage) -> None:
    message = await alert(stage)
    view = await stage.on_message(stage.rng.choice(PEOPLE), message)
    await declared(stage, view, message=message)


async def privately(stage: Stage) -> None:
    """From a command or from a message, with somebody else to lead it."""
    if stage.rng.random() < 0.5:
        view, message = await stage.command("ana", "general"), None
    else:
        message = await alert(stage)
        view = await stage.on_message("ana", message)
    await stage.button(view, "more_fields", "more_fields")
    origin = stage.slack.channel("general")
    await declared(stage, view, message=message, origin=origin, is_private=True)


async def pressed_twice(stage: Stage) -> None:
    """The button pressed again before the first press is answered."""
    channel = stage.rng.choice(CHANNELS[:2])
    view = await stage.command("ben", channel)
    token = stage.word()
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen(stage.severities[1]))
    stage.intends(view, token, origin=stage.slack.channel(channel))
    await asyncio.gather(stage.declare(view), stage.declare(view))


async def two_on_one_message(stage: Stage) -> None:
    """Two people have the form of one message open, and both submit."""
    message = await alert(stage)
    views = [await stage.on_message(person, message) for person in ("ana", "ben")]
    await asyncio.gather(*(declared(stage, view, message=message) for view in views))


async def declared_before(stage: Stage) -> None:
    """A message that has an incident, declared from once more, or knowingly as another one."""
    message = await alert(stage)
    await declared(stage, await stage.on_message("ana", message), message=message)
    view = await stage.on_message("ben", message)
    if not view.payload.get("submit"):
        await stage.button(view, "declare_another", "already")
        await declared(stage, view, message=message, another=True)
    else:
        await declared(stage, view, message=message)


async def slack_is_busy(stage: Stage) -> None:
    for method in stage.rng.sample(CALLS, 4):
        stage.workspace.faults.plan(method, Fault(status=429, retry_after=0))
    await any_way(stage)


async def answers_get_lost(stage: Stage) -> None:
    """Slack does what it was asked, and the answer never arrives; or it breaks before it has done it."""
    for method in stage.rng.sample(CALLS, 4):
        lost = Fault(reset=True, after_effect=True), Fault(status=503, after_effect=stage.rng.random() < 0.5)
        stage.workspace.faults.plan(method, stage.rng.choice(lost))
    await any_way(stage)


async def something_is_refused(stage: Stage) -> None:
    """Furniture that Slack refuses: the reporter is told, and the incident stands."""
    refusals = {
        "conversations.setTopic": "too_long",
        "conversations.setPurpose": "restricted_action",
        "bookmarks.add": "too_many_bookmarks",
        "pins.add": "restricted_action",
        "conversations.create": "restricted_action",
        "chat.postMessage": "restricted_action",
        "conversations.invite": "cant_invite",
    }
    for method in stage.rng.sample(sorted(refusals), 3):
        stage.workspace.faults.plan(method, Fault(error=refusals[method]))
    await any_way(stage)


async def cards_are_refused(stage: Stage) -> None:
    """Slack does not take a card as it is, or not before the bot has joined."""
    errors = ("invalid_blocks", "not_in_channel", "not_in_channel")
    stage.workspace.faults.plan("chat.postMessage", *(Fault(error=error) for error in errors))
    # Public places, which a bot may join.
    await stage.rng.choice((by_command, from_a_message))(stage)


async def the_form_does_not_open(stage: Stage) -> None:
    """The first try opens nothing, and the person is told, there or in a message; the second one does."""
    for way in (by_command, from_anywhere):
        stage.workspace.faults.plan("views.open", Fault(error="expired_trigger_id"))
        await way(stage)


async def the_name_is_taken(stage: Stage) -> None:
    """Somebody has a channel of that name already: it stays theirs."""
    view = await stage.command("chloe", "general")
    token = stage.word()
    name = f"Checkout is slow {token}"
    for attempt in range(1, stage.rng.choice((2, 3))):
        made = await stage.workspace.create_channel(
            stage.slack.person("darius"), channel_name("INC-1", name, attempt)
        )
        assert made.ok, made
    stage.fill(view, name, severity_id=chosen(stage.severities[1]))
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await stage.declare(view)


async def the_file_is_held(stage: Stage) -> None:
    """Another program holds the incident file for longer than the modal can wait; some close the modal."""
    message = await alert(stage)
    views = [await stage.on_message(person, message) for person in stage.rng.sample(["ana", "ben"], k=2)]
    for view in views:
        token = stage.word()
        stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("major"))
        stage.intends(view, token, origin=message.channel, message=(message.channel, message.ts))
    await _submitted_while_held(stage, *views)
    for view in views:
        await stage.declare(view)


async def the_journal_is_held(stage: Stage) -> None:
    """Nothing can be committed to in time: nothing is promised, and the person presses again."""
    view = await stage.command("ben", "general")
    token = stage.word()
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen(stage.severities[1]))
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await _submitted_while_held(stage, view, file="journal.db")
    await stage.declare(view)


async def a_choice_is_gone(
    stage: Stage, forget: Callable[[Stage], None] = lambda stage: forget_severity(stage, "critical")
) -> None:
    """The chosen severity was taken away meanwhile; the person chooses another and submits again."""
    message = await alert(stage)
    view = await stage.on_message("ana", message)
    token = stage.word()
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("critical"))
    forget(stage)
    stage.intends(view, token, origin=message.channel, message=(message.channel, message.ts))
    await stage.submit(view)
    if view.payload.get("submit"):
        stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("minor"))
        await stage.declare(view)


async def refused_later(stage: Stage) -> None:
    """The choice is gone and the file is held: the refusal comes in a message, and is mended from there."""
    view = await stage.command("chloe", "general")
    token = stage.word()
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("critical"))
    forget_severity(stage, "critical")
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await _submitted_while_held(stage, view)
    await stage.lives.quiet()
    refused = stage.told("chloe", "fix_and_send")
    if refused is None:
        return
    fixed = await stage.pressed_in_message("chloe", refused, "fix_and_send")
    another = stage.word()
    stage.fill(fixed, f"Checkout is slow {another}", severity_id=chosen("minor"))
    stage.intends(fixed, another, origin=stage.slack.channel("general"))
    await stage.declare(fixed)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        by_command,
        on_the_first_day,
        from_anywhere,
        from_a_message,
        privately,
        pressed_twice,
        two_on_one_message,
        declared_before,
        slack_is_busy,
        answers_get_lost,
        something_is_refused,
        cards_are_refused,
        the_form_does_not_open,
        the_name_is_taken,
        the_file_is_held,
        the_journal_is_held,
        a_choice_is_gone,
        refused_later,
    )
}


DECLARING = tuple(SCENARIOS)
"""Those that are about a declaration, over whichever backend."""

WITH_NOTHING = frozenset({"on_the_first_day"})
"""Scenarios that begin with an empty data folder."""


async def any_way(stage: Stage) -> None:
    ways = (by_command, from_a_message, *([privately] if stage.vendor.keeps_private else []))
    await stage.rng.choice(ways)(stage)


async def alert(stage: Stage) -> Message:
    channel = stage.rng.choice(("alerts", "haulpartner"))
    return await stage.said("ana", channel, "Checkout p99 is above 4 s in eu-west")


async def declared(
    stage: Stage,
    view: View,
    *,
    origin: str | None = None,
    message: Message | None = None,
    another: bool = False,
    is_private: bool = False,
) -> None:
    token, secret = stage.word(), stage.word()
    severity = chosen(stage.rng.choice(stage.severities))
    # Before a vendor has ever answered, a form has no choices.
    fields = {"severity_id": severity} if stage.offers(view, "severity_id") else {}
    if is_private:
        fields["visibility"] = ticked("private")
        fields["incident_role_assignments__lead"] = picked(stage.slack.person("chloe"))
    stage.fill(view, f"Checkout is slow {token}", **fields)
    stage.intends(
        view,
        token,
        origin=message.channel if message else origin,
        message=(message.channel, message.ts) if message else None,
        another=another,
        secrets=(secret,) if is_private else (),
    )
    await stage.declare(view)


async def _submitted_while_held(stage: Stage, *views: View, file: str = "incidents.db") -> None:
    """Submit while the file cannot be written to, and let go of it once everybody was answered."""
    async with _held(stage, file):
        submitting = [asyncio.ensure_future(stage.submit(view)) for view in views]
        await asyncio.wait(submitting, timeout=LONGEST_HOLD)
        for view in views:
            if stage.rng.random() < 0.3 and not view.payload.get("submit"):
                await stage.workspace.dismiss(view.user, view.id)
    await asyncio.gather(*submitting)


def forget_severity(stage: Stage, severity: str) -> None:
    with closing(_opened(stage, "incidents.db")) as file:
        file.execute("DELETE FROM severities WHERE id = ?", [severity])


@asynccontextmanager
async def _held(stage: Stage, name: str) -> AsyncIterator[None]:
    with closing(_opened(stage, name)) as file:
        file.execute("BEGIN IMMEDIATE")
        stage.lives.free.clear()
        try:
            yield
        finally:
            file.execute("ROLLBACK")
            stage.lives.free.set()


def _opened(stage: Stage, name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(stage.folder / "data" / name, timeout=LONGEST_ANSWER, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection
