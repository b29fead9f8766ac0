"""Every way to declare, driven through a process of its own, over Socket Mode and over signed HTTP."""

from __future__ import annotations

import pytest
from support.bot import chosen, ticked, typed
from support.readings import block_ids, cards, pressed, said, told, value, words

from e2e.wire.journey import WRITTEN, Journey

ANSWERED = 'tocsin_acknowledgement_seconds_count{route="view declare"}'
IN_TIME = 'tocsin_acknowledgement_seconds_bucket{le="2.5",route="view declare"}'
SEEN = "tocsin_visible_reference_seconds_count"

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


async def test_by_command(way: Journey) -> None:
    view = await way.form("ana", f"checkout is slow {WRITTEN}")
    assert value(view, "name") == f"checkout is slow {WRITTEN}"
    incident = await way.declared("ana", view)
    assert incident.reference in way.shown("ana")
    assert f"<#{incident.slack_channel_id}>" in way.shown("ana")
    for place in ("general", "incidents"):
        assert incident.reference in words(cards(way.people, way.slack.channel(place))[-1])
    room = way.slack.workspace.channel(incident.slack_channel_id)
    assert room.pins == [cards(way.people, room.id)[0].ts]
    await way.done("ana")


async def test_by_the_shortcut_on_a_message_and_again_on_the_same(way: Journey) -> None:
    message = await said(way.people, "ben", "general", f"payments fail {WRITTEN}")
    incident = await way.declared("ana", await way.people.pick_shortcut("ana", message))
    assert incident.source is not None
    assert incident.source.timestamp == message.ts
    (card,) = [m for m in cards(way.people, message.channel) if m.thread_ts == message.ts]
    assert incident.reference in words(card)
    await way.done("ana")
    again = await way.people.pick_shortcut("ben", message)
    assert "declared by" in words(again)
    assert incident.reference in words(again)
    assert (await way.incidents())[0].id == incident.id
    await pressed(way.people, again, "declare_another", "already")
    assert (await way.declared("ben", way.slack.workspace.stack(again.user)[-1])).id != incident.id
    await way.done("ben")


async def test_by_the_global_shortcut(way: Journey) -> None:
    opened = way.people.opened_so_far
    ana = way.slack.person("ana")
    assert (await way.slack.workspace.global_shortcut(ana, "declare")).ok
    view = await way.people.opened_form("ana", since=opened)
    incident = await way.declared("ana", view, name=typed(f"the queue grows {WRITTEN}"))
    assert incident.reference in words(told(way.people, "ana")[-1]), (
        "a card in a message where there is no channel"
    )
    await way.done("ana")


async def test_more_fields_keep_what_was_typed_and_are_kept(way: Journey) -> None:
    view = await way.form("ana", f"search is down {WRITTEN}")
    await way.people.fill("ana", view, summary=typed(f"since noon {WRITTEN}"))
    await pressed(way.people, view, "more_fields", "more_fields")
    view = way.slack.workspace.stack(view.user)[-1]
    assert value(view, "summary") == f"since noon {WRITTEN}"
    assert "custom_field_entries.customers_affected" in block_ids(view)
    number = {"type": "number_input", "value": "1200"}
    incident = await way.declared("ana", view, custom_field_entries__customers_affected=number)
    entered = {entry.custom_field.id: entry.values for entry in incident.custom_field_entries}
    assert entered["customers_affected"][0].value_numeric == "1200"
    await way.done("ana")


async def test_an_error_underlines_its_field_and_loses_nothing(way: Journey) -> None:
    before = len(await way.incidents())
    view = await way.form("ana", "nothing")
    await way.people.fill(
        "ana", view, name=typed("\u202e\u2066"), summary=typed(f"kept {WRITTEN}"), severity_id=chosen("major")
    )
    outcome = await way.people.submit("ana", view)
    assert set(outcome.errors) == {"name"}
    assert value(view, "summary") == f"kept {WRITTEN}"
    assert len(await way.incidents()) == before
    incident = await way.declared("ana", view, name=typed(f"now with a name {WRITTEN}"))
    assert incident.name == f"now with a name {WRITTEN}"
    await way.done("ana")


async def test_a_private_one_is_in_its_own_channel_and_nowhere_else(way: Journey) -> None:
    public = [way.slack.channel(name) for name in ("general", "incidents")]
    before = [len(cards(way.people, channel)) for channel in public]
    view = await way.form("ben", f"payroll is public {WRITTEN}")
    incident = await way.declared("ben", view, visibility=ticked("private"))
    assert way.slack.workspace.channel(incident.slack_channel_id).kind == "private"
    assert [len(cards(way.people, channel)) for channel in public] == before
    assert incident.reference in way.shown("ben")
    await way.done("ben")


async def test_every_declaration_is_counted_when_it_is_answered_and_when_it_can_be_seen(way: Journey) -> None:
    before = await way.bot.figures()
    public = [incident for incident in await way.incidents() if not incident.is_private]
    # Somebody who has declared nothing yet, and so is asked nothing.
    await way.declared("chloe", await way.form("chloe", f"counted {WRITTEN}"))
    await way.done("chloe")
    counted = await way.bot.figures()
    for series in (ANSWERED, SEEN):
        assert counted[series] == before.get(series, 0) + 1
    assert counted[SEEN] == len(public) + 1


@pytest.mark.timed
async def test_every_acknowledgement_is_in_time(way: Journey) -> None:
    for number in range(5):
        await way.opened(f"number {number}")
    late = [r for r in way.slack.workspace.requests if r.method == "view_submission" and not r.ok]
    assert late == []
    counted = await way.bot.figures()
    assert counted[IN_TIME] == counted[ANSWERED] >= 5
