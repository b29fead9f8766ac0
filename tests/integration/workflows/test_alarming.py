"""The operator is told what only they can mend: once when it begins, and once when it is well again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from support.bot import RunningBot, chosen, running_bot
from support.first_files import own_tables
from support.held_backend import Held, held_bot
from support.readings import cards, newest, settled, told
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from slack_emulator.models import Request
from tocsin.incidents.errors import Unavailable
from tocsin.slack import routes
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.workflows.alerts import OperatorAlerts

REFUSED = "The backend refuses our key (401). Make a new one, and set INCIDENT_IO_API_KEY to it."


@pytest.fixture
def memory(tmp_path: Path) -> SqlKeyValueStore:
    return SqlKeyValueStore(Database(own_tables(tmp_path / "journal.db")))


def refused() -> Unavailable:
    return Unavailable("The backend refuses us.", 0.1, operator=REFUSED)


def saying(text: str) -> Callable[[Request], bool]:
    return lambda call: call.method == "chat.postMessage" and text in str(call.args.get("text"))


def warnings(bot: RunningBot, where: str) -> list[str]:
    found = cards(bot, bot.slack.channel(where)) if where != "owner" else told(bot, "ana")
    return [message.text for message in found if message.text.startswith(":warning:")]


async def declare(held: Held) -> None:
    view = await held.filled()
    assert (await held.bot.submit("ana", view)).ok
    await settled(held.bot)


async def test_a_refused_key_is_told_the_owner_once_with_what_to_do_and_once_when_it_is_mended(
    held: Held,
) -> None:
    held.backend.failing = [refused() for _ in range(5)]
    held.backend.go_on.set()
    await declare(held)
    await held.bot.workspace.heard(saying("Well again."))
    assert warnings(held.bot, "owner") == [
        f":warning: {REFUSED}",
        f":warning: Well again. Earlier: {REFUSED}",
    ]
    assert (await newest(held.bot)).reference == "INC-1"


async def test_a_backend_that_is_merely_away_is_no_errand_for_the_operator(held: Held) -> None:
    held.backend.failing = [Unavailable("Not now.", 0.1)]
    held.backend.go_on.set()
    await declare(held)
    assert warnings(held.bot, "owner") == []


async def test_the_admin_channel_is_told_in_place_of_the_owner_and_nothing_in_it_mentions_anybody(
    tmp_path: Path,
) -> None:
    async with running_bot(tmp_path, tocsin_admin_channel="C0ALERTS02") as bot:
        bot.app.resources.alerts.raise_alert("duplicate", "INC-7 was made twice <!channel>: close one.")
        await bot.workspace.heard(saying("made twice"))
        (said,) = warnings(bot, "alerts")
        assert said == ":warning: INC-7 was made twice &lt;!channel&gt;: close one."
        assert warnings(bot, "owner") == []


async def test_what_the_operator_was_told_is_not_told_again_after_a_restart_but_its_end_is(
    tmp_path: Path,
) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with held_bot(tmp_path, slack) as held:
            held.bot.app.resources.alerts.raise_alert("backend", REFUSED)
            await slack.workspace.heard(saying("refuses our key"))
        async with held_bot(tmp_path, slack, with_form=False) as held:
            held.backend.failing = [refused()]
            held.backend.form_may_come.set()
            held.backend.go_on.set()
            await slack.workspace.heard(saying("Well again."))
            view = await held.filled()
            await held.bot.fill("ana", view, severity_id=chosen("major"))
            assert len(warnings(held.bot, "owner")) == 2


async def test_what_was_said_as_the_process_died_is_looked_for_under_its_key_before_it_is_said_again(
    memory: SqlKeyValueStore,
) -> None:
    said: asyncio.Queue[tuple[str, str, bool]] = asyncio.Queue()

    async def say_and_hear_nothing(sentence: str, key: str, again: bool) -> None:
        said.put_nowait((sentence, key, again))
        await asyncio.Event().wait()

    async def heard_in_a_life(alarms: OperatorAlerts) -> tuple[str, str, bool]:
        saying_so = asyncio.create_task(alarms.keep_saying(say_and_hear_nothing))
        heard = await asyncio.wait_for(said.get(), 60)
        saying_so.cancel()
        return heard

    first = OperatorAlerts(memory)
    first.raise_alert("backend", REFUSED)
    sentence, key, again = await heard_in_a_life(first)
    assert (sentence, again) == (REFUSED, False)
    second = OperatorAlerts(memory)
    await second.load()
    assert await heard_in_a_life(second) == (REFUSED, key, True)


async def test_a_lost_connection_is_told_when_it_lasts_and_not_when_it_passes(held: Held) -> None:
    alarms = held.bot.app.resources.alerts
    alarms.observe("connection", "No connection.", after=60.0)
    alarms.observe("connection", "", after=60.0)
    alarms.observe("connection", "No connection.", after=0.0)
    alarms.observe("connection", "No connection.", after=0.0)
    await held.bot.workspace.heard(saying("No connection."))
    alarms.observe("connection", "", after=60.0)
    await held.bot.workspace.heard(saying("Well again."))
    assert warnings(held.bot, "owner") == [
        ":warning: No connection.",
        ":warning: Well again. Earlier: No connection.",
    ]


class Several:
    """Replicas of which the first leads; each passes on what the operator is to be told."""

    def __init__(self, memory: SqlKeyValueStore, *ids: str) -> None:
        self.said: asyncio.Queue[str] = asyncio.Queue()
        self.all = [OperatorAlerts(memory) for _ in ids]
        self.relayed: list[str] = []
        for alerts, replica in zip(self.all, ids, strict=True):
            alerts.replica, alerts.is_alone = replica, lambda: len(self.all) == 1
            alerts.relay = partial(self._relay, alerts)

    def _relay(self, alerts: OperatorAlerts, about: str, sentence: str) -> bool:
        if alerts is self.all[0]:
            return False
        self.relayed.append(json.dumps([about, sentence]))
        return True

    async def _say(self, sentence: str, key: str, again: bool) -> None:
        self.said.put_nowait(sentence)

    async def told(self) -> list[str]:
        """What the operator is told by now."""
        for one in self.relayed:
            await self.all[0].hear(one)
        self.relayed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(60):
                await self.all[0].keep_saying(self._say)
        return [self.said.get_nowait() for _ in range(self.said.qsize())]


async def test_an_alert_names_its_replica_where_there_are_several(memory: SqlKeyValueStore) -> None:
    several = Several(memory, "web-1", "web-2")
    one, other = several.all
    other.raise_alert("token", "The token was revoked.")
    one.raise_alert("backend", REFUSED)
    assert await several.told() == [
        f"{REFUSED} (From replica web-1.)",
        "The token was revoked. (From replica web-2.)",
    ]
    one.raise_alert("token", "The token was revoked.")
    other.resolve("token")
    assert await several.told() == ["Well again. Earlier: The token was revoked. (From replica web-2.)"]


async def test_an_alert_of_the_only_replica_names_none(memory: SqlKeyValueStore) -> None:
    several = Several(memory, "web-1")
    several.all[0].raise_alert("backend", REFUSED)
    assert await several.told() == [REFUSED]


async def test_the_connection_that_one_replica_has_does_not_end_the_alert_of_another_that_has_none(
    memory: SqlKeyValueStore,
) -> None:
    several = Several(memory, "web-1", "web-2")
    one, other = several.all
    other.observe(other.of_replica("socket"), "No connection.", after=0.0)
    assert await several.told() == ["No connection. (From replica web-2.)"]
    one.observe(one.of_replica("socket"), "", after=0.0)
    assert await several.told() == []
    other.observe(other.of_replica("socket"), "", after=0.0)
    assert await several.told() == ["Well again. Earlier: No connection. (From replica web-2.)"]


async def test_the_alert_of_a_replica_that_was_stopped_is_ended(memory: SqlKeyValueStore) -> None:
    several = Several(memory, "web-1", "web-2")
    one, other = several.all
    other.observe(other.of_replica("socket"), "No connection.", after=0.0)
    one.raise_alert("backend", REFUSED)
    await several.told()
    one.resolve_gone(["web-1", "web-2"])
    assert await several.told() == []
    one.resolve_gone(["web-1"])
    assert await several.told() == [
        "That replica runs no more. Earlier: No connection. (From replica web-2.)"
    ]
