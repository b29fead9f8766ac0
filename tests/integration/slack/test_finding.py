"""Finding incidents: lists and their pages, words, one in full, and Home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.bot import RunningBot, chosen, picked, ticked
from support.errands import declared, opened_by, press_card, press_in_view, typed_verb, until, whispers
from support.readings import settled, value, words

from slack_emulator.models import View
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.requests import FollowUpRequest
from tocsin.slack.listeners.home import MOST_ITEMS

pytestmark = pytest.mark.asyncio(loop_scope="module")


def general(bot: RunningBot) -> str:
    return bot.slack.channel("general")


async def test_list_shows_what_is_open_and_filters_by_words(bot: RunningBot) -> None:
    minor = await declared(bot, "a minor thing", severity_id=chosen("minor"))
    mine = await declared(
        bot, "led by chloe", incident_role_assignments__lead=picked(bot.slack.person("chloe"))
    )
    over = await declared(bot, "over already")
    await typed_verb(bot, "ana", general(bot), f"/incident close {over.reference} done")
    await settled(bot)
    said = await typed_verb(bot, "ana", general(bot), "/incident list")
    assert minor.reference in said
    assert mine.reference in said
    assert over.reference not in said
    assert over.reference in await typed_verb(bot, "ana", general(bot), "/incident list closed")
    said = await typed_verb(bot, "ana", general(bot), "/incident list minor")
    assert minor.reference in said
    assert mine.reference not in said
    said = await typed_verb(bot, "chloe", general(bot), "/incident list mine")
    assert mine.reference in said
    assert minor.reference not in said
    said = await typed_verb(bot, "ana", general(bot), "/incident list nonsense")
    assert "“nonsense”" in said


async def test_a_list_is_turned_page_by_page_and_back(bot: RunningBot) -> None:
    made = [(await declared(bot, f"page filler {n}")).reference for n in range(9)]
    said = await typed_verb(bot, "priya", general(bot), "/incident list")
    assert made[-1] in said
    assert made[0] not in said
    for action, shown, left in (("next_page", made[0], made[-1]), ("first_page", made[-1], made[0])):
        page = whispers(bot, "priya", general(bot))[-1]
        await press_card(bot, "priya", page, action)
        await until(bot, lambda shown=shown: shown in words(whispers(bot, "priya", general(bot))[-1]))
        assert left not in words(whispers(bot, "priya", general(bot))[-1])


async def test_find_looks_for_words_and_offers_to_declare_what_was_meant_as_a_name(bot: RunningBot) -> None:
    found = await declared(bot, "zeppelin deflates")
    said = await typed_verb(bot, "ana", general(bot), "/incident find zeppelin")
    assert found.reference in said
    opened = bot.opened_so_far
    await press_card(bot, "ana", whispers(bot, "ana", general(bot))[-1], "declare_named")
    view = await bot.opened_form("ana", since=opened)
    assert value(view, "name") == "find zeppelin"


async def test_show_says_all_of_one_incident(bot: RunningBot) -> None:
    incident = await declared(bot, "shown in full")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident note the door was open")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident action shut the door")
    await settled(bot)
    for channel, text in (
        (incident.slack_channel_id, "/incident show"),
        (general(bot), f"/incident show {incident.reference}"),
    ):
        said = await typed_verb(bot, "ana", channel, text)
        for expected in (incident.reference, "the door was open", "shut the door", "Major"):
            assert expected in said


async def test_a_private_incident_is_listed_and_found_by_its_own_people_alone(bot: RunningBot) -> None:
    await declared(bot, "in plain sight")
    secret = await declared(bot, "quiet whispering", visibility=ticked("private"))
    for text in ("/incident list", "/incident find whispering", f"/incident show {secret.reference}"):
        assert "quiet whispering" in await typed_verb(bot, "ana", general(bot), text)
        assert "quiet whispering" not in await typed_verb(bot, "ben", general(bot), text)
    view = await opened_by(bot, "ben", general(bot), "/incident status")
    assert "quiet whispering" not in str(view.payload)
    view = await opened_by(bot, "ben", general(bot), "/incident")
    assert "quiet whispering" not in str(view.payload)


async def test_the_declare_form_says_what_is_open_without_asking_anybody(bot: RunningBot) -> None:
    incident = await declared(bot, "open already")
    bot.workspace.clear()
    view = await opened_by(bot, "ben", general(bot), "/incident")
    assert f"Open now: <{incident.permalink}|{incident.reference}> open already" in words(view)
    before = [call.method for call in bot.calls()]
    assert before[: before.index("views.open") + 1] == ["views.open"]


async def home_of(bot: RunningBot, person: str, holds: Callable[[str], bool]) -> View:
    """Somebody's Home tab, once it says what it should."""
    who, app = bot.slack.person(person), bot.slack.app.app_id

    def shown() -> Any:
        view = bot.workspace.home(who, app)
        return view if view is not None and holds(words(view)) else None

    return await until(bot, shown)


async def test_home_shows_what_is_open_and_mine_and_follows_what_changes(bot: RunningBot) -> None:
    await declared(bot, "stays open")
    incident = await declared(bot, "seen at home")
    await bot.workspace.open_home(bot.slack.person("ana"), bot.slack.app.app_id)
    view = await home_of(bot, "ana", lambda said: "seen at home" in said)
    assert "Yours" in words(view)
    await typed_verb(bot, "ben", general(bot), f"/incident status {incident.reference} fixing")
    await home_of(bot, "ana", lambda said: "Fixing" in said)
    await typed_verb(bot, "ben", general(bot), f"/incident close {incident.reference} fixed")
    view = await home_of(bot, "ana", lambda said: "Recently closed" in said)
    opened = bot.opened_so_far
    await press_in_view(bot, "ana", view, "declare_here")
    assert (await bot.opened_form("ana", since=opened)).payload["callback_id"] == "declare"
    opened = bot.opened_so_far
    await press_in_view(bot, "ana", view, "list_incidents")
    listed = await bot.opened_form("ana", since=opened)
    assert "Open incidents" in words(listed)
    await press_in_view(bot, "ana", listed, "show_incident")
    await bot.workspace.heard("views.push")


async def test_help_fits_the_place(bot: RunningBot) -> None:
    incident = await declared(bot, "somebody needs help")
    here = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident help")
    there = await typed_verb(bot, "ana", general(bot), "/incident help")
    assert here.index("/incident close") < here.index("/incident list")
    assert there.index("/incident list") < there.index("/incident close")


async def test_home_has_a_persons_own_work_and_tells_nothing_of_what_they_may_not_see(
    bot: RunningBot,
) -> None:
    ana, ben, app = bot.slack.person("ana"), bot.slack.person("ben"), bot.slack.app.app_id
    await declared(bot, "mildly wrong", severity_id=chosen("minor"))
    worse = await declared(bot, "very wrong", severity_id=chosen("critical"))
    hidden = await declared(bot, "for few eyes", severity_id=chosen("critical"), visibility=ticked("private"))
    for incident in (worse, hidden):
        await typed_verb(
            bot, "ana", incident.slack_channel_id, f"/incident action tell {incident.reference} @ana"
        )
        await typed_verb(
            bot, "ana", incident.slack_channel_id, f"/incident follow-up mind {incident.reference} @ben"
        )
    await bot.workspace.open_home(ben, app)
    said = words(await home_of(bot, "ben", lambda said: "mind" in said))
    assert "Open: *1* Critical · *1* Minor" in said
    assert said.index("very wrong") < said.index("mildly wrong")
    assert (f"mind {worse.reference}" in said, hidden.reference in said, "few eyes" in said) == (
        True,
        False,
        False,
    )
    assert "Your actions and follow-ups (1)" in said
    await bot.workspace.open_home(ana, app)
    view = await home_of(bot, "ana", lambda said: f"tell {hidden.reference}" in said)
    assert "Open: *2* Critical · *1* Minor" in words(view)
    assert "Your actions and follow-ups (2)" in words(view)
    await press_in_view(bot, "ana", view, "complete_follow_up")
    await home_of(bot, "ana", lambda said: "Your actions and follow-ups (1)" in said)
    # As many as are looked for, of which those of what Ben may not see are not shown.
    for number in range(MOST_ITEMS):
        asked = FollowUpRequest(
            key=f"more {number}",
            at=bot.app.resources.clock(),
            by=Person(slack_user_id=PersonId(ana)),
            kind="action",
            text=f"look at {number}",
            assignee=Person(slack_user_id=PersonId(ben)),
        )
        await bot.backend.add_follow_up((worse if number % 2 else hidden).id, asked)
    await bot.workspace.open_home(ben, app)
    await home_of(bot, "ben", lambda said: " or more)" in said)
