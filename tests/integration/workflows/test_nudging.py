"""The channel is nudged about what an incident lacks, by rule: seldom, once, until it is done or snoozed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from support.beginning import Beginning
from support.bot import RunningBot, chosen, running_bot, ticked
from support.errands import declared, press_card, until
from support.managing import changed, verbs
from support.readings import cards, newest, pressed, settled, words
from support.slash import slash

from slack_emulator.models import Message

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[nudges.rules]]
when = "no_lead"
after = "10 minutes"

[[nudges.rules]]
when = "no_update"
after = "30 minutes"
severities = ["Critical"]

[[nudges.rules]]
when = "stale"
after = "2 days"
"""


class Turned:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture(scope="module")
def clock() -> Turned:
    return Turned()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory, clock: Turned
) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    folder = tmp_path_factory.mktemp("tocsin")
    async with running_bot(folder / "data", clock=clock, tocsin_config=configured(folder)) as running:
        with closing(Beginning(running)) as beginning:
            yield running, beginning


@pytest_asyncio.fixture(loop_scope="module")
async def bot(shared_bot: tuple[RunningBot, Beginning]) -> RunningBot:
    """The file's bot, as if it had just started."""
    running, beginning = shared_bot
    await beginning.again()
    return running


def configured(folder: Path) -> Path:
    file = folder / "tocsin.toml"
    file.write_text(CONFIG)
    return file


def nudges(bot: RunningBot, channel: str) -> list[Message]:
    return [one for one in cards(bot, channel) if ":bell:" in words(one)]


async def turned(bot: RunningBot, clock: Turned, minutes: float) -> None:
    """So much later, with everything done that was due then."""
    clock.turn(minutes)
    for _ in range(2):
        await verbs(bot).nudger.nudge_due()


def counted(bot: RunningBot, outcome: str) -> float:
    labels = {"kind": "no_lead", "outcome": outcome}
    return bot.app.resources.metrics.registry.get_sample_value("tocsin_nudges_total", labels) or 0


async def test_what_has_no_lead_is_nudged_about_in_its_channel_until_somebody_takes_it(
    bot: RunningBot, clock: Turned
) -> None:
    incident, before = (
        await declared(bot, "checkout is slow"),
        {o: counted(bot, o) for o in ("sent", "acted")},
    )
    await turned(bot, clock, 9)
    assert nudges(bot, incident.slack_channel_id) == []
    await turned(bot, clock, 2)
    (nudge,) = nudges(bot, incident.slack_channel_id)
    assert "has no lead" in words(nudge)
    await bot.workspace.join(bot.slack.person("ben"), nudge.channel)
    await press_card(bot, "ben", nudge, "nudge_take_lead")
    await settled(bot)
    now = await bot.backend.find(incident.id)
    assert now is not None
    assert now.lead is not None
    assert now.lead.slack_user_id == bot.slack.person("ben")
    await turned(bot, clock, 500)
    assert len(nudges(bot, incident.slack_channel_id)) == 1
    assert {one: counted(bot, one) - before[one] for one in before} == {"sent": 1, "acted": 1}


async def test_a_snoozed_nudge_says_who_snoozed_it_and_comes_again_afterwards(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await declared(bot, "checkout is slow", severity_id=chosen("critical"))
    await changed(bot, incident, "ben", incident_role_assignments={"lead": bot.slack.person("ben")})
    await turned(bot, clock, 31)
    (nudge,) = nudges(bot, incident.slack_channel_id)
    assert f"<@{bot.slack.person('ben')}>: no update on" in words(nudge)
    option = f"240 no_update {incident.id}"
    await press_card(bot, "ana", nudge, "snooze_nudges", option=option)
    await settled(bot)
    await until(bot, lambda: nudges(bot, incident.slack_channel_id) == [])
    said = [words(one) for one in cards(bot, incident.slack_channel_id)]
    assert any(f"<@{bot.slack.person('ana')}> snoozed the nudges about" in one for one in said)
    await turned(bot, clock, 239)
    assert nudges(bot, incident.slack_channel_id) == []
    await turned(bot, clock, 2)
    assert len(nudges(bot, incident.slack_channel_id)) == 1


async def test_nothing_is_asked_about_a_test_or_what_has_ended(bot: RunningBot, clock: Turned) -> None:
    view = await bot.type_command("ana", "general", "/incident a drill")
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill("ana", view, severity_id=chosen("major"), mode=ticked("test"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    test = await newest(bot)
    ended = await declared(bot, "checkout is slow")
    await changed(bot, ended, "ana", ending="close", at=clock.now)
    await turned(bot, clock, 5 * 1440)
    assert [*nudges(bot, test.slack_channel_id), *nudges(bot, ended.slack_channel_id)] == []


async def test_a_private_incident_is_nudged_about_in_its_own_channel_alone_and_not_counted(
    bot: RunningBot, clock: Turned
) -> None:
    incident, before = await declared(bot, "a leak", visibility=ticked("private")), counted(bot, "sent")
    await turned(bot, clock, 11)
    for room in bot.workspace.state.channels.values():
        assert len(nudges(bot, room.id)) == (room.id == incident.slack_channel_id)
    assert counted(bot, "sent") == before


async def test_what_is_stale_is_closed_from_its_nudge(bot: RunningBot, clock: Turned) -> None:
    incident = await declared(bot, "checkout is slow")
    await changed(bot, incident, "ana", incident_role_assignments={"lead": bot.slack.person("ana")})
    await turned(bot, clock, 2 * 1440 + 1)
    (nudge,) = nudges(bot, incident.slack_channel_id)
    opened = bot.opened_so_far
    await press_card(bot, "ana", nudge, "nudge_close")
    assert (await bot.opened_form("ana", since=opened)).payload["callback_id"] == "close"


async def test_a_promised_update_is_asked_for_once_and_stopping_it_stops_the_rule_too(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await declared(bot, "checkout is slow", severity_id=chosen("critical"))
    lead = {"incident_role_assignments": {"lead": bot.slack.person("ben")}}
    await changed(bot, incident, "ben", message="On it.", next_update_minutes=45, at=clock.now, **lead)
    await turned(bot, clock, 40)
    assert nudges(bot, incident.slack_channel_id) == []
    await turned(bot, clock, 6)
    await verbs(bot).remind.ask_due()
    await turned(bot, clock, 20)
    assert nudges(bot, incident.slack_channel_id) == []
    await verbs(bot).remind.stop(incident)
    await turned(bot, clock, 600)
    assert nudges(bot, incident.slack_channel_id) == []


async def test_snoozing_is_typed_or_chosen_in_its_form_and_puts_off_the_promised_update(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await declared(bot, "checkout is slow")
    await changed(bot, incident, "ben", message="On it.", next_update_minutes=15, at=clock.now)
    here = incident.slack_channel_id
    refused = (await slash(bot, "ana", here, "snooze a bit")).said
    assert "such as 30 minutes, 4 hours or 2 days" in refused
    assert "You had typed: /incident snooze a bit" in refused
    assert "for 2 hours" in (await slash(bot, "ana", here, "snooze 2 hours")).said
    waiting = await verbs(bot).remind.planned(incident.id)
    assert waiting is not None
    assert waiting.due_at == clock.now + timedelta(hours=2)
    await turned(bot, clock, 119)
    assert nudges(bot, here) == []
    form = (await slash(bot, "ana", here, "snooze")).view
    assert form is not None
    await bot.fill("ana", form, minutes=chosen("0"))
    assert (await bot.submit("ana", form)).ok
    await turned(bot, clock, 0)
    assert len(nudges(bot, here)) == 1
