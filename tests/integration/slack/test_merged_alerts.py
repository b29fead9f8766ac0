"""After a merge, alerts go to the incident that goes on, and not to people who could not see them before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.alerts import VARIABLE, accepted, attached, fired, kept, keyed
from support.bot import RunningBot
from support.declarations import ANA, BEN, DAWN, declaration
from support.readings import cards, how_many, newest, settled, words
from support.slash import slash

from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = f"""
[[alert_sources]]
id = "monitoring"
name = "Monitoring"
token_variable = "{VARIABLE}"

[[alert_rules]]
labels = {{ env = "secret" }}
visibility = "private"

[[alert_rules]]
close_when_resolved = true
"""


@pytest.fixture(autouse=True, scope="module")
def token() -> Iterator[None]:
    """Set before the module's bot starts."""
    with keyed():
        yield


async def came(bot: RunningBot, key: str, group: str, status: str = "firing", **labels: str) -> None:
    """An alert of the group, which is known by its key; its title is the group's."""
    body = fired(group, key=key, status=status, description=key, metadata=labels)
    await accepted(bot, "monitoring", body)
    await attached(bot)


async def declared(bot: RunningBot, key: str, **more: Any) -> Incident:
    return await bot.backend.create(
        declaration(key, reporter=ANA.model_copy(update={"slack_user_id": bot.slack.person("ana")}), **more)
    )


async def admitted(bot: RunningBot, incident: Incident) -> None:
    """Ana leads the private incident of an alert, which nobody sees at first."""
    ana = ANA.model_copy(update={"slack_user_id": bot.slack.person("ana")})
    given = {"lead": ana.slack_user_id}
    change = IncidentChange(key="admit", by=BEN, at=DAWN, incident_role_assignments=given, assignees=(ana,))
    await bot.backend.change(incident.id, change)


async def merged(bot: RunningBot, one: Incident, into: Incident) -> None:
    await slash(bot, "ana", bot.slack.channel("general"), f"merge {one.reference} {into.reference}")
    await settled(bot)
    found = await bot.backend.find(one.id)
    assert found is not None
    assert found.incident_status.category == "merged"


async def told(bot: RunningBot, incident: Incident) -> list[str]:
    """The entries of the timeline that tell of alerts."""
    entries = await bot.backend.timeline(incident.id)
    return [entry.text for entry in entries if entry.verb == "sent alerts:"]


async def incidents_of_alerts(bot: RunningBot) -> list[str]:
    return [alert.incident_id for alert in await kept(bot)]


async def test_after_a_merge_the_next_alert_joins_the_incident_that_goes_on_and_brings_the_earlier_ones(
    bot: RunningBot,
) -> None:
    other = await declared(bot, "goes on")
    await came(bot, "disk 1", "disks")
    await merged(bot, await newest(bot), other)
    await came(bot, "disk 2", "disks")
    assert await how_many(bot) == 2
    assert await incidents_of_alerts(bot) == [other.id, other.id]
    assert await told(bot, other) == ["1 firing: disks"]
    await came(bot, "disk 1", "disks", "resolved")
    found = await bot.backend.find(other.id)
    assert found is not None
    assert found.alerts is not None
    assert (found.alerts.firing, found.alerts.resolved) == (1, 1)
    assert (await told(bot, other))[-1] == "1 resolved: disks"


async def test_a_merge_is_followed_over_several_incidents_while_the_last_one_is_open(bot: RunningBot) -> None:
    first, second = await declared(bot, "first"), await declared(bot, "second")
    await came(bot, "disk 1", "disks")
    of_alert = await newest(bot)
    await merged(bot, of_alert, second)
    await merged(bot, second, first)
    await came(bot, "disk 2", "disks")
    assert set(await incidents_of_alerts(bot)) == {first.id}
    await slash(bot, "ana", bot.slack.channel("general"), f"close {first.reference} all is well")
    await settled(bot)
    await came(bot, "disk 3", "disks")
    assert await how_many(bot) == 4
    assert (await kept(bot))[-1].incident_id == (await newest(bot)).id


async def test_incidents_that_were_merged_in_a_circle_take_no_alert(bot: RunningBot) -> None:
    other = await declared(bot, "other")
    await came(bot, "disk 1", "disks")
    of_alert = await newest(bot)
    await merged(bot, of_alert, other)
    await slash(bot, "ana", bot.slack.channel("general"), f"reopen {of_alert.reference}")
    await settled(bot)
    await merged(bot, other, of_alert)
    await merged(bot, (await bot.backend.find(of_alert.id)) or of_alert, other)
    await came(bot, "disk 2", "disks")
    assert await how_many(bot) == 3


async def test_an_alert_that_fires_after_the_rest_was_resolved_joins_it_too(bot: RunningBot) -> None:
    other = await declared(bot, "goes on")
    await came(bot, "disk 1", "disks")
    of_alert = await newest(bot)
    await came(bot, "disk 1", "disks", "resolved")
    await merged(bot, of_alert, other)
    # The watch ends a group like this when all has been resolved for a while.
    await bot.app.alerting.store.end((await kept(bot))[0].group_id)
    await came(bot, "disk 1", "disks")
    assert await how_many(bot) == 2
    assert (await kept(bot))[-1].incident_id == other.id


async def test_an_incident_of_people_is_not_declined_when_alerts_that_came_by_a_merge_are_resolved(
    bot: RunningBot,
) -> None:
    other = await declared(bot, "of people", status="triage")
    await came(bot, "disk 1", "disks")
    await merged(bot, await newest(bot), other)
    await came(bot, "disk 2", "disks")
    await came(bot, "disk 1", "disks", "resolved")
    await came(bot, "disk 2", "disks", "resolved")
    assert await bot.app.alerting.store.next_quiet() is None
    found = await bot.backend.find(other.id)
    assert found is not None
    assert (found.alerts and found.alerts.resolved) == 2


async def test_alerts_of_an_incident_merged_into_a_private_one_are_told_there_alone(bot: RunningBot) -> None:
    private = await declared(bot, "behind doors", visibility="private")
    await came(bot, "disk 1", "disks")
    of_alert = await newest(bot)
    await merged(bot, of_alert, private)
    before = {room.id: len(cards(bot, room.id)) for room in bot.workspace.state.channels.values()}
    public = await bot.backend.timeline(of_alert.id)
    await came(bot, "disk 2: the vault", "disks")
    assert await how_many(bot) == 2
    assert set(await incidents_of_alerts(bot)) == {private.id}
    assert await told(bot, private) == ["1 firing: disks"]
    assert await bot.backend.timeline(of_alert.id) == public
    rooms = bot.workspace.state.channels.values()
    assert {room.id: len(cards(bot, room.id)) for room in rooms if room.id in before} == before
    assert not any(
        "vault" in words(card) for room in rooms if room.kind != "private" for card in cards(bot, room.id)
    )


async def test_alerts_of_a_private_incident_go_to_no_public_one(bot: RunningBot) -> None:
    public = await declared(bot, "for everybody")
    await came(bot, "the safe is open", "safes", env="secret")
    of_alert = await newest(bot)
    await admitted(bot, of_alert)
    await merged(bot, of_alert, public)
    await came(bot, "the vault is open", "safes", env="secret")
    assert await how_many(bot) == 3
    assert (await newest(bot)).is_private
    assert await told(bot, public) == []


async def test_alerts_of_a_private_incident_go_to_a_private_one_and_leave_the_earlier_ones_there(
    bot: RunningBot,
) -> None:
    private = await declared(bot, "behind doors", visibility="private")
    await came(bot, "the safe is open", "safes", env="secret")
    of_alert = await newest(bot)
    await admitted(bot, of_alert)
    await merged(bot, of_alert, private)
    await came(bot, "the vault is open", "safes", env="secret")
    assert await how_many(bot) == 2
    assert await incidents_of_alerts(bot) == [of_alert.id, private.id]
