"""A channel is told of its week once, whatever happens at that moment, and never of what is private."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from support.beginning import Beginning
from support.bot import RunningBot, running_bot, ticked
from support.declarations import declaration
from support.errands import declared, until
from support.managing import changed, verbs
from support.readings import cards, told, words
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message, Person
from tocsin.backends.local import LocalBackend
from tocsin.incidents.digest import MOST_LISTED, DigestRule, week_until
from tocsin.incidents.errors import Withheld
from tocsin.incidents.insights import Chosen, CountedDays, InsightSource, Names, Teams
from tocsin.incidents.model import ChannelId, TeamId
from tocsin.slack import routes
from tocsin.workflows.digest import VERB, DigestCommand, Digests

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[digests]]
channel = "C0ALERTS02"
on = "monday 09:00"
zone = "Europe/Berlin"

[[digests]]
channel = "{partner}"
on = "monday 08:30"
zone = "Europe/Berlin"
"""


class Turned:
    """A clock that is turned by hand; it begins on a Sunday."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self.now = now.replace(hour=6, minute=0) + timedelta(days=6 - now.weekday())

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **passed: float) -> None:
        self.now += timedelta(**passed)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[RunningBot, Beginning, Turned]]:
    folder, clock = tmp_path_factory.mktemp("tocsin"), Turned()
    file = folder / "tocsin.toml"
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        partner = slack.channel("haulpartner")
        slack.workspace.share(partner, "T0ELSEWHERE", Person("U0XGAT2", "x-gat2", "Stranger", ""))
        file.write_text(CONFIG.format(partner=partner))
        async with running_bot(folder / "data", slack, clock=clock, tocsin_config=file) as running:
            with closing(Beginning(running)) as beginning:
                yield running, beginning, clock


@pytest_asyncio.fixture(loop_scope="module")
async def bot(shared_bot: tuple[RunningBot, Beginning, Turned]) -> RunningBot:
    running, beginning, clock = shared_bot
    await beginning.again()
    clock.now += timedelta(days=6 - clock.now.weekday())
    clock.now = clock.now.replace(hour=6, minute=0)
    return running


@pytest.fixture
def clock(shared_bot: tuple[RunningBot, Beginning, Turned]) -> Turned:
    return shared_bot[2]


def digests(bot: RunningBot) -> list[Message]:
    return [one for one in cards(bot, bot.slack.channel("alerts")) if ":calendar:" in words(one)]


async def looked(bot: RunningBot) -> list[Message]:
    await verbs(bot).rules.digests.start_due()
    await bot.app.settled()
    return digests(bot)


def replica(
    bot: RunningBot,
    clock: Turned,
    source: InsightSource | None = None,
    rules: Sequence[tuple[TeamId, DigestRule]] | None = None,
) -> Digests:
    """The digests of another replica, which has started none; with a source or rules of its own, if given."""
    app, parts = bot.app, bot.app.resources
    assert isinstance(bot.backend, LocalBackend)
    teams = [workspace.team_id for workspace in app.registry.installed]
    return Digests(
        bot.backend,
        parts.engine,
        app.registry.workspace_of,
        source or bot.backend.insights,
        lambda: rules or parts.config.digests_in(teams),
        app.registry.peer_teams,
        parts.alerts,
        clock,
        "",
    )


async def test_the_week_is_told_once_with_what_is_open_and_nothing_private(
    bot: RunningBot, clock: Turned
) -> None:
    shown = await declared(bot, "checkout <is> slow")
    closed = await declared(bot, "search is down")
    await changed(bot, closed, "ana", incident_status_id="closed")
    await declared(bot, "canary 7f3a", visibility=ticked("private"))
    clock.turn(days=1, hours=0.9)
    assert await looked(bot) == [], "it is Monday, five to nine or earlier in Berlin"
    clock.turn(hours=2)
    (digest,) = await looked(bot)
    said = words(digest)
    assert "2 incidents declared from" in said
    assert "1 of them closed, 1 open" in said
    assert "Major 2" in said
    what = "checkout &lt;is&gt; slow (Major, Investigating)"
    assert f"|{shown.reference}> {what} <#{shown.slack_channel_id}>" in said
    partner = bot.slack.channel("haulpartner")
    assert cards(bot, partner) == [], "people of another organization read it"
    await until(bot, lambda: any(f"posted in <#{partner}>: people" in one.text for one in told(bot, "ana")))
    assert "Open now" in said
    assert "canary" not in said
    assert closed.reference + ">" not in said
    assert len(await looked(bot)) == 1
    await replica(bot, clock).start_due()
    await bot.app.settled()
    assert len(digests(bot)) == 1, "nor does another replica post it"
    await changed(bot, shown, "ana", incident_status_id="closed")
    clock.turn(days=7)
    *_, quiet = await looked(bot)
    assert "No incidents from" in words(quiet)
    assert "and none is open" in words(quiet)


async def test_a_digest_whose_time_is_changed_on_its_day_is_not_posted_again(
    bot: RunningBot, clock: Turned
) -> None:
    clock.turn(days=1, hours=3)
    assert len(await looked(bot)) == 1
    clock.turn(hours=2)
    room, team = bot.slack.channel("alerts"), bot.app.registry.installed[0].team_id
    later = DigestRule(channel=room, on="monday 11:00", zone="Europe/Berlin")
    changed_rules = replica(bot, clock, rules=[(team, later)])
    await changed_rules.start_due()
    await bot.app.settled()
    assert len(digests(bot)) == 1
    clock.turn(days=7)
    await changed_rules.start_due()
    await bot.app.settled()
    assert len(digests(bot)) == 2


async def test_a_digest_that_an_earlier_version_has_posted_is_not_posted_again_after_the_upgrade(
    bot: RunningBot, clock: Turned
) -> None:
    clock.turn(days=1, hours=3)
    team, config = bot.app.registry.installed[0].team_id, bot.app.resources.config
    for of, rule in config.digests_in([team]):
        posted = DigestCommand(team=of, channel=ChannelId(rule.channel), due=rule.last_due(clock.now))
        await bot.engine.start(VERB, posted.key, posted.model_dump(mode="json", exclude={"week"}))
    await bot.app.settled()
    assert len(digests(bot)) == 1
    assert len(await looked(bot)) == 1
    clock.turn(days=7)
    assert len(await looked(bot)) == 2


async def test_a_digest_whose_answer_is_lost_is_posted_once_and_a_late_one_never(
    bot: RunningBot, clock: Turned
) -> None:
    await declared(bot, "checkout is slow")
    clock.turn(days=1, hours=3)
    bot.workspace.faults.plan("chat.postMessage", Fault(reset=True, after_effect=True))
    assert len(await looked(bot)) == 1
    clock.turn(days=7, hours=7)
    assert len(await looked(bot)) == 1, "it was due more than six hours ago"
    # Nor does one that was begun in time and is late now say that all is well.
    room, before = ChannelId(bot.slack.channel("alerts")), len(told(bot, "ana"))
    team = bot.app.registry.installed[0].team_id
    bot.app.resources.alerts.raise_alert(f"digest {team}/{room}", "That channel is archived.")
    late = DigestCommand(team=team, channel=room, due=clock.now - timedelta(hours=7))
    await bot.engine.start(VERB, late.key, late.model_dump(mode="json"))
    await bot.app.settled()
    bot.app.resources.alerts.raise_alert("another", "Something else.")
    await until(bot, lambda: any("Something else." in one.text for one in told(bot, "ana")))
    assert [one.text for one in told(bot, "ana")[before:]] == [
        ":warning: That channel is archived.",
        ":warning: Something else.",
    ]


async def test_what_is_open_is_named_however_much_is_in_triage(bot: RunningBot, clock: Turned) -> None:
    shown = await declared(bot, "checkout is slow")
    team = shown.slack_team_id
    for number in range(2 * MOST_LISTED):
        await bot.backend.create(declaration(f"{number}", status="triage", name="storm", slack_team_id=team))
    clock.turn(days=1, hours=3)
    (digest,) = await looked(bot)
    assert "Open now" in words(digest)
    assert shown.reference in words(digest)
    assert "storm" not in words(digest)


async def test_an_incident_that_has_just_become_private_is_left_out_of_it(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await declared(bot, "canary 7f3a")
    clock.turn(days=1, hours=3)
    room, team = ChannelId(bot.slack.channel("alerts")), TeamId(incident.slack_team_id)
    written, about = await replica(bot, clock).compose(DigestCommand(team=team, channel=room, due=clock.now))
    assert [one.id for one in about] == [incident.id]
    await changed(bot, incident, "ana", visibility="private")
    messages = bot.app.registry.workspace_of(team).messages
    with pytest.raises(Withheld):
        await messages.post_digest(room, written, about, key="too late")
    (digest,) = await looked(bot)
    assert "No incidents from" in words(digest)


async def test_where_follow_ups_are_not_known_only_the_week_is_counted(
    bot: RunningBot, clock: Turned
) -> None:
    asked: list[Chosen] = []

    async def count(chosen: Chosen, sees_private: bool, teams: Teams) -> CountedDays:
        asked.append(chosen)
        return CountedDays({}, Names(), has_follow_ups=False)

    async def names(people: Sequence[str]) -> Mapping[str, str]:
        return {}

    command = DigestCommand(team=TeamId("T1"), channel=ChannelId("C1"), due=clock.now)
    digest, _ = await replica(bot, clock, InsightSource(count, names)).compose(command)
    assert digest.overdue is None
    assert asked == [week_until(clock.now)]
