"""Where an admin left out the optional scopes, only what each is for does not work, and says so."""

from __future__ import annotations

import pytest
from support.bot import RunningBot
from support.errands import declared, until
from support.readings import said, settled, told

from tocsin.slack.diagnostics import fetch_access, scopes
from tocsin.slack.manifest import OPTIONAL_SCOPES, SCOPES

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[announcements]]
invite = ["@oncall"]
"""


@pytest.fixture(autouse=True)
def _sparse(bot: RunningBot) -> None:
    app = bot.slack.app
    assert app.manifest.bot_optional_scopes == set(OPTIONAL_SCOPES)
    app.withheld_scopes = sorted(app.manifest.bot_optional_scopes)


async def typed(bot: RunningBot, channel: str, text: str) -> str:
    """What the bot answers to a command, here or by direct message."""
    ana = bot.slack.person("ana")
    before = len(bot.workspace.history(channel, ana)) + len(told(bot, "ana"))

    def answers() -> int:
        return len(bot.workspace.history(channel, ana)) + len(told(bot, "ana"))

    assert (await bot.workspace.command(ana, channel, text)).ok
    await until(bot, lambda: answers() > before)
    await settled(bot)
    return "\n".join(message.text for message in [*bot.workspace.history(channel, ana), *told(bot, "ana")])


async def test_an_incident_is_declared_and_says_what_could_not_be_done(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    assert incident.slack_channel_id
    assert "@oncall could not be brought into the channel" in told(bot, "ana")[-1].text
    assert "(usergroups:read)" in told(bot, "ana")[-1].text


@pytest.mark.parametrize("verb", ["export", "document"])
async def test_a_verb_names_the_scope_that_it_lacks(bot: RunningBot, verb: str) -> None:
    incident = await declared(bot, "checkout is slow")
    assert "(files:write)" in await typed(bot, incident.slack_channel_id, f"/incident {verb}")


async def test_links_pins_and_reactions_are_not_heard_of_and_break_nothing(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    ana, before = bot.slack.person("ana"), await bot.backend.timeline(incident.id)
    message = await said(bot, "ana", "general", f"see {incident.permalink}")
    await bot.workspace.react(ana, message.channel, message.ts, "pushpin")
    await settled(bot)
    assert bot.calls("chat.unfurl") == []
    assert await bot.backend.timeline(incident.id) == before


async def test_the_doctor_says_what_each_is_for_and_fails_nothing(bot: RunningBot) -> None:
    found = list(scopes(await fetch_access(bot.app.contexts.open[0].workspace.client)))
    assert all(check.ok for check in found)
    assert [check.said for check in found] == [
        f"the optional scope {scope} is not granted; it is for {reason}."
        for scope, reason in SCOPES.items()
        if scope in OPTIONAL_SCOPES
    ]
