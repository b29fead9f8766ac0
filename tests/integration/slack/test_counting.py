"""What a declaration costs Slack, by the workspace's own record of requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from support.bot import RunningBot, chosen, running_bot
from support.errands import opened_by
from support.hosted import staged
from support.paging import CONFIG, running_services
from support.readings import settled

from slack_emulator.faults import Fault
from slack_emulator.models import View
from tocsin.slack.app import ACK_TRACKER
from tocsin.slack.context import AckTracker

AFTER_THE_CHANNEL = {
    "conversations.invite": 1,
    "conversations.setTopic": 1,
    "conversations.setPurpose": 1,
    "bookmarks.add": 1,
    "chat.postMessage": 3,
    "views.update": 1,
}


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with running_bot(tmp_path) as bot:
        yield bot


async def filled(bot: RunningBot, person: str = "ana") -> View:
    view = await bot.type_command(person, "general", "/incident checkout is slow")
    await bot.fill(person, view, severity_id=chosen("major"))
    await asked_about(bot, "general")
    return view


async def asked_about(bot: RunningBot, channel: str) -> None:
    """Until the bot has asked who reads a channel, which it does once, beside the form."""
    wanted = bot.slack.channel(channel)
    await bot.workspace.heard(
        lambda call: call.method == "conversations.info" and call.args["channel"] == wanted
    )


async def test_a_hundred_first_commands_at_once_ask_one_call_each_and_who_we_are_once(
    fresh: RunningBot,
) -> None:
    people = ("ana", "ben", "chloe", "darius", "priya")
    where = fresh.slack.channel("general")
    commands = (
        fresh.workspace.command(fresh.slack.person(people[n % 5]), where, f"/incident number {n}")
        for n in range(100)
    )
    assert all(outcome.ok for outcome in await asyncio.gather(*commands))
    await fresh.workspace.heard("views.open", 100, 20)
    await asked_about(fresh, "general")
    asked = Counter(call.method for call in fresh.calls())
    assert asked == {
        "auth.test": 1,
        # It learns if forms may have alert blocks.
        "blocks.validate": 1,
        "users.list": 1,
        "apps.connections.open": asked["apps.connections.open"],
        "views.open": 100,
        # Where they were typed, and where incidents are announced.
        "conversations.info": 2,
    }
    assert asked["apps.connections.open"] <= 2


async def test_opening_the_form_asks_nothing_before_it_and_once_who_reads_the_channel_after_it(
    fresh: RunningBot,
) -> None:
    fresh.workspace.clear()
    await fresh.type_command("ana", "general", "/incident checkout is slow")
    await fresh.workspace.heard("conversations.info")
    assert [call.method for call in fresh.calls()] == ["views.open", "conversations.info"]
    fresh.workspace.clear()
    await fresh.type_command("ana", "general", "/incident checkout is slow again")
    assert [call.method for call in fresh.calls()] == ["views.open"]


async def test_the_form_to_page_opens_before_anything_is_asked_but_what_the_gate_asks_for_every_form(
    tmp_path: Path,
) -> None:
    async with running_services() as services:
        config = tmp_path / "tocsin.toml"
        config.write_text(CONFIG.format(url=services.url))
        async with staged(tmp_path / "data", tocsin_config=config) as stage:
            assert (await stage.bot.submit("ana", await stage.filled())).ok
            channel = stage.open_channel("inc-1-checkout-is-slow", "ana")
            await settled(stage.bot)
            (incident,) = stage.io.account.incidents
            for said in ("page", "page payments cards fail"):
                stage.bot.workspace.clear()
                stage.io.heard.clear()
                await opened_by(stage.bot, "ana", channel, f"/incident {said}")
                assert stage.bot.calls()[0].method == "views.open"
                # The gate reads if the incident is private by now, at most once a second.
                asked = {heard.path for heard in stage.io.heard}
                assert asked <= {f"/v2/incidents/{incident['id']}"}
            assert services.asked == 0


async def test_nothing_is_asked_of_slack_before_the_reference_is_visible(fresh: RunningBot) -> None:
    view = await filled(fresh)
    fresh.workspace.clear()
    assert (await fresh.submit("ana", view)).ok
    await settled(fresh)
    (answered,) = (r for r in fresh.workspace.requests if r.method == "view_submission")
    assert answered.took is not None
    assert all(call.at >= answered.at + answered.took for call in fresh.calls())
    assert fresh.calls()[0].method == "conversations.create"


async def test_slack_is_left_alone_for_as_long_as_the_answer_is_on_its_way(fresh: RunningBot) -> None:
    forms = [await filled(fresh, who) for who in ("ana", "ben")]
    fresh.workspace.clear()
    ana = fresh.workspace.person(fresh.slack.person("ana"))
    payload = fresh.workspace.payloads.submission(fresh.slack.app, ana, forms[0], "1.2.abc", [])
    delivery = AckTracker()
    unanswered = AsyncBoltRequest(mode="socket_mode", body=payload, context={ACK_TRACKER: delivery})
    assert fresh.app.bolt is not None
    assert (await fresh.app.bolt.async_dispatch(unanswered)).status == 200
    assert (await fresh.submit("ben", forms[1])).ok
    await fresh.workspace.heard("conversations.create")
    (made,) = fresh.calls("conversations.create")
    assert made.args["name"].startswith("inc-2-")
    delivery.acknowledged.set()
    await settled(fresh)
    assert len(fresh.calls("conversations.create")) == 2


async def test_a_whole_incident_is_eight_calls_and_one_for_its_announcement(fresh: RunningBot) -> None:
    view = await filled(fresh)
    fresh.workspace.clear()
    assert (await fresh.submit("ana", view)).ok
    await settled(fresh)
    asked = Counter(call.method for call in fresh.calls())
    assert asked.pop("views.update") == 1
    assert asked.total() == 8 + 1, asked


async def test_everything_after_the_channel_goes_side_by_side_and_the_pin_comes_last(
    fresh: RunningBot,
) -> None:
    view = await filled(fresh)
    go_on = asyncio.Event()
    for method, times in AFTER_THE_CHANNEL.items():
        fresh.workspace.faults.plan(method, *(Fault(until=go_on) for _ in range(times)))
    fresh.workspace.clear()
    assert (await fresh.submit("ana", view)).ok
    for method, times in AFTER_THE_CHANNEL.items():
        begun = await fresh.workspace.begun(method, times)
        assert not any(call.finished for call in begun)
    assert fresh.calls("pins.add") == []
    go_on.set()
    await settled(fresh)
    assert fresh.calls()[-1].method == "pins.add"
    assert len(fresh.calls()) == 1 + sum(AFTER_THE_CHANNEL.values()) + 1


async def test_slack_calls_share_their_connections(fresh: RunningBot) -> None:
    port = int(fresh.slack.url.rpartition(":")[2])
    before = connections_to(port)
    for number in range(20):
        await fresh.type_command("ana", "general", f"/incident number {number}")
    assert connections_to(port) < before + 10


def connections_to(port: int) -> int:
    """Connections to a port of this machine, those just closed included."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("this machine has no /proc/net/tcp to count connections in")
    remote = f":{port:04X}"
    return sum(line.split()[2].endswith(remote) for line in table.read_text().splitlines()[1:])
