"""Incidents that are declared into the channel where people are already, and give it back."""

from __future__ import annotations

from typing import Any

from support.bot import ticked

from reliability.crash.acting import Case
from reliability.crash.managing import RENAMED, RESOLVED, SEVERITY, STATUS, UPDATED, Scenario
from reliability.crash.stage import MOST_TRIES, Stage
from reliability.history.deeds import Deed, Try
from slack_emulator.faults import Fault
from slack_emulator.models import View

PLACE, TOPIC = "alerts", "What the monitors say"
FIELD = "slack_channel_id"
CLOSED = {"incident_status_id": "closed"}
CALLS = (
    *("conversations.join", "conversations.info", "conversations.setTopic", "conversations.create"),
    *("bookmarks.add", "pins.add", "chat.postMessage", "conversations.invite"),
)


async def where_people_are(stage: Stage) -> None:
    """Declared into #alerts, renamed and made worse there, closed, opened again and closed for good."""
    case = await there(stage)
    name = f"Payments hang {case.token} {stage.word()}"
    await case.typed("ana", "rename", name, entries=(RENAMED,), sets={"name": name})
    await case.typed("ana", "severity", "critical", entries=(SEVERITY,), sets={"severity_id": "critical"})
    await closed(case)
    sets = {"incident_status_id": "investigating"}
    await case.typed("ana", "reopen", entries=(STATUS,), sets=sets)
    await case.typed("ben", "update", "it is back {token}", worded=UPDATED)
    await closed(case)


async def another_where_people_are(stage: Stage) -> None:
    """A second incident uses the channel of a closed one, which has none when it is opened again."""
    first = await there(stage)
    if stage.rng.random() < 0.5:
        # The first one's topic stays, which is not what was there before.
        stage.workspace.faults.plan("conversations.setTopic", Fault(error="too_long"))
    await closed(first)
    second = await there(stage, "ben")
    stage.deeds.append(Deed("leave", "", first.token, (Try("done"),), entries=("left its channel",)))
    await first.typed(
        *("ana", "reopen", first.reference),
        place=stage.slack.channel("general"),
        entries=(STATUS,),
        sets={"incident_status_id": "investigating"},
    )
    await stage.lives.quiet()
    assert first.channel == ""
    await closed(second)


async def no_more_where_people_are(stage: Stage) -> None:
    """It becomes private, or was a mistake: the channel stays with those who were there."""
    case = await there(stage)
    await case.typed("ana", "update", "customers see it {token}", worded=UPDATED)
    if stage.rng.random() < 0.5:
        opening, entries = case.form("ana", "private"), ("made it private",)
        await case.sent("ana", "private", opening, {}, entries=entries, sets={"visibility": "private"})
        await stage.lives.quiet()
        assert case.channel != stage.slack.channel(PLACE)
        await case.typed("ana", "update", "only for us {token}", worded=UPDATED)
    else:
        sets = {"incident_status_id": "canceled"}
        await case.typed(
            *("ana", "cancel", "wrong button {token}"), entries=(STATUS,), worded=RESOLVED, sets=sets
        )


async def where_people_are_while_slack_is_unwell(stage: Stage) -> None:
    """Answers get lost while the channel is taken and given back; now and then the bot may not join it."""
    lost = Fault(reset=True, after_effect=True), Fault(status=503, after_effect=True), Fault(status=503)
    for method in stage.rng.sample(CALLS, 4):
        stage.workspace.faults.plan(method, stage.rng.choice(lost))
    is_refused = stage.rng.random() < 0.3
    if is_refused:
        refused = Fault(error="method_not_supported_for_channel_type")
        stage.workspace.faults.plan("conversations.join", refused)
    case = await there(stage, surely=not is_refused)
    stage.workspace.faults.plan("conversations.setTopic", stage.rng.choice(lost))
    await closed(case)


USED_CHANNELS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        where_people_are,
        another_where_people_are,
        no_more_where_people_are,
        where_people_are_while_slack_is_unwell,
    )
}


async def there(stage: Stage, person: str = "ana", *, surely: bool = True) -> Case:
    """Declared into #alerts, where the bot is not yet; its topic is what it has to get back."""
    place = stage.slack.channel(PLACE)
    if not stage.deeds:
        stage.workspace.channel(place).topic = TOPIC
    view = await _offered(stage, person)
    case = await Case.declared(stage, view, place, **{FIELD: ticked(place)})
    if case.channel == place or surely:
        uses: dict[str, Any] = {"entries": ("uses the channel",), "keeps": TOPIC}
        stage.deeds.append(Deed("use", stage.slack.person(person), case.token, (Try("done"),), **uses))
    return case


async def _offered(stage: Stage, person: str) -> View:
    """The form with all fields; what the bot does not know of the channel yet it offers the next time."""
    for _ in range(MOST_TRIES):
        view = await stage.command(person, PLACE)
        await stage.button(view, "more_fields", "more_fields")
        if stage.offers(view, FIELD):
            return view
        await stage.workspace.dismiss(view.user, whole_stack=True)
        await stage.lives.quiet()
    raise RuntimeError("the channel was not offered, however often the form was opened")


async def closed(case: Case) -> None:
    words = "it was a query {token}"
    await case.typed("ana", "close", words, entries=(STATUS,), worded=RESOLVED, sets=CLOSED)
    await case.stage.lives.quiet()
