"""`/incident page` calls on-call people: never by accident, never twice, and it says what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse, RedirectResponse
from structlog.typing import EventDict
from support.beginning import Beginning, declared_before
from support.bot import RunningBot, chosen, picked, running_bot, ticked, typed
from support.errands import opened_by, press_card, sent, typed_verb, until, whispers
from support.paging import CONFIG, ROUTING_KEY, PagingServices, running_services
from support.readings import cards, newest, pressed, settled, told, value, words

from slack_emulator.models import Message
from tocsin.incidents.model import Incident
from tocsin.incidents.paging import GIVE_UP

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PagingServices]:
    async with running_services() as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory, running: PagingServices
) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    folder = tmp_path_factory.mktemp("tocsin")
    config = folder / "tocsin.toml"
    config.write_text(CONFIG.format(url=running.url))
    async with running_bot(folder / "data", tocsin_config=config) as bot:
        with closing(Beginning(bot)) as beginning:
            yield bot, beginning


@pytest.fixture
def services(running: PagingServices) -> Iterator[PagingServices]:
    running.clear()
    yield running
    running.clear()


def page_in(bot: RunningBot, incident: Incident) -> Message:
    """The message about the last page in the incident's channel."""
    return [m for m in cards(bot, incident.slack_channel_id) if ":pager:" in words(m)][-1]


async def paged(bot: RunningBot, incident: Incident, what: str, person: str = "ana") -> str:
    """A target paged by command and form; the words that stand in the form's place then."""
    view = await opened_by(bot, person, incident.slack_channel_id, f"/incident page {what}")
    return await sent(bot, person, view)


async def led_by_ben(bot: RunningBot) -> Incident:
    lead = {"incident_role_assignments__lead": picked(bot.slack.person("ben"))}
    return await declared_before(bot, "checkout is slow", **lead)


async def entries(bot: RunningBot, incident: Incident) -> list[str]:
    return [f"{entry.verb} {entry.text}" for entry in await bot.backend.timeline(incident.id)]


async def test_nothing_is_sent_before_the_form_that_names_target_incident_and_reason(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident page payments cards fail")
    assert "Page payments now?" in words(view)
    assert incident.reference in words(view)
    assert value(view, "why") == "cards fail"
    assert services.heard == []
    assert "payments was paged (PagerDuty)" in await sent(bot, "ana", view)
    await settled(bot)
    (event,) = services.sent("/events")
    assert event["payload"]["summary"] == f"{incident.reference} checkout is slow (cards fail)"
    assert event["links"][0]["href"] == incident.permalink
    said = f":pager: Paged *payments* (PagerDuty), by <@{bot.slack.person('ana')}>: cards fail"
    assert page_in(bot, incident).text == said
    assert "paged payments (PagerDuty): cards fail" in await entries(bot, incident)


async def test_the_button_of_show_asks_whom_and_then_asks_again(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident show")
    shown = whispers(bot, "ana", incident.slack_channel_id)[-1]
    opened = bot.opened_so_far
    await press_card(bot, "ana", shown, "page_incident")
    view = await bot.opened_form("ana", since=opened)
    await sent(bot, "ana", view, target=chosen("database"), why=typed("locks"))
    assert "Page database now?" in words(view)
    assert value(view, "why") == "locks"
    assert services.heard == []
    await sent(bot, "ana", view)
    await settled(bot)
    (alert,) = services.sent("/genie")
    assert (alert["message"], alert["priority"]) == (f"{incident.reference} checkout is slow (locks)", "P1")


async def test_a_target_that_was_paged_is_paged_again_only_when_asked_for_again(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await led_by_ben(bot)
    view = await opened_by(bot, "ben", incident.slack_channel_id, "/incident page payments why not")
    await paged(bot, incident, "payments")
    # Ben opened the form before Ana paged.
    said = await sent(bot, "ben", view)
    assert "payments was paged just now by Ana Ferreira; page again?" in said
    assert value(view, "why") == "why not"
    assert len(services.opened) == 1
    assert "payments was paged (PagerDuty)" in await sent(bot, "ben", view)
    again = await opened_by(bot, "ana", incident.slack_channel_id, "/incident page payments")
    assert "payments was paged just now by Ben" in words(again)
    await settled(bot)
    assert len(services.opened) == 2


async def test_a_test_pages_nobody_and_says_so(bot: RunningBot, services: PagingServices) -> None:
    form = await bot.type_command("ana", "general", "/incident a drill")
    await pressed(bot, form, "more_fields", "more_fields")
    await sent(bot, "ana", form, severity_id=chosen("major"), mode=ticked("test"))
    await settled(bot)
    incident = await newest(bot)
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident page payments why")
    assert f"{incident.reference} is a test: nobody is paged for it." in said
    assert services.heard == []


async def test_a_page_is_acknowledged_from_slack_and_resolved_once_with_its_incident(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await led_by_ben(bot)
    await paged(bot, incident, "payments")
    await settled(bot)
    await press_card(bot, "ben", page_in(bot, incident), "acknowledge_page")
    await until(bot, lambda: "Acknowledged by" in words(page_in(bot, incident)))
    assert f"Acknowledged by <@{bot.slack.person('ben')}>" in words(page_in(bot, incident))
    await settled(bot)
    (key,) = services.opened
    assert services.alerts[key].status == "acknowledged"
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident close mended")
    await until(bot, lambda: "Over" in words(page_in(bot, incident)))
    await bot.app.workflows.paging.look()
    await settled(bot)
    actions = [event["event_action"] for event in services.sent("/events")]
    assert actions == ["trigger", "acknowledge", "resolve"]
    said = await entries(bot, incident)
    assert "acknowledged the page of payments (PagerDuty)" in said
    assert said.count("ended the page of payments (PagerDuty)") == 1


@pytest.mark.parametrize("target", ["payments", "database"])
async def test_an_acknowledgement_at_the_service_shows_in_the_channel(
    bot: RunningBot, services: PagingServices, target: str
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    await paged(bot, incident, target)
    await settled(bot)
    (key,) = services.opened
    services.alerts[key].status, services.alerts[key].by = "acknowledged", "Olu on call"
    await until(bot, lambda: "Acknowledged by" in words(page_in(bot, incident)))
    await settled(bot)
    assert "Acknowledged by Olu on call" in words(page_in(bot, incident))
    assert len(services.heard) == 1


async def test_a_private_incident_is_told_by_its_reference_unless_the_entry_says_otherwise(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await declared_before(bot, "a secret leak", visibility=ticked("private"))
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident page payments it leaks")
    assert "they read its reference alone" in str(view.payload)
    await sent(bot, "ana", view)
    for target in ("database", "own pager"):
        await paged(bot, incident, f"{target} it leaks")
    await settled(bot)
    duty, genie, own = (str(services.sent(path)) for path in ("/events", "/genie", "/hook"))
    for outside in (duty, genie):
        assert incident.reference in outside
        assert not any(word in outside for word in ("secret", "leak", "Ana"))
    assert "a secret leak (it leaks)" in own


async def test_a_refusal_is_told_in_the_services_words_without_the_key_and_the_reason_stays(
    bot: RunningBot, services: PagingServices, troubles: list[EventDict]
) -> None:
    incident = await led_by_ben(bot)
    other = await opened_by(bot, "ben", incident.slack_channel_id, "/incident page payments")
    said = {"message": "Event object is invalid", "errors": [f"unknown key {ROUTING_KEY}"]}
    services.down = lambda: JSONResponse(said, 400)
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident page payments cards fail")
    shown = await sent(bot, "ana", view)
    assert "PagerDuty refused it (400): Event object is invalid: unknown key …." in shown
    assert ROUTING_KEY not in shown
    assert value(view, "why") == "cards fail"
    services.down = lambda: RedirectResponse(f"{services.url}/hook", 307)
    assert "redirect (307), which is not followed" in await sent(bot, "ana", view)
    services.down = None
    # Nobody was paged so far, so Ben is not asked again; Ana is, after him.
    assert "payments was paged (PagerDuty)" in await sent(bot, "ben", other)
    assert "payments was paged just now by Ben" in await sent(bot, "ana", view)
    await settled(bot)
    assert ROUTING_KEY not in str(troubles)
    assert "Correct its [[paging]] entry or key" in str(troubles)
    troubles.clear()


async def test_a_service_that_fails_is_tried_again_with_the_same_key(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    services.answers += [
        lambda: JSONResponse({}, 500),
        lambda: JSONResponse({}, 429, headers={"Retry-After": "7"}),
    ]
    await paged(bot, incident, "own pager")
    await settled(bot)
    assert len(services.opened) == 1
    assert len({body["data"]["key"] for body in services.sent("/hook")}) == 1
    assert len(services.sent("/hook")) == 3
    assert "paged" in words(page_in(bot, incident)).lower()


async def test_a_service_that_cannot_be_reached_is_given_up_and_the_sender_is_told_to_call(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    services.down = lambda: JSONResponse({}, 503)
    assert "Saved, not through yet" in await paged(bot, incident, "payments")
    bot.slack.clock.turn(GIVE_UP.total_seconds())
    await settled(bot)
    assert services.opened == []
    assert "PagerDuty could not be reached for 30 minutes" in told(bot, "ana")[-1].text
    assert "payments was not paged: call them." in told(bot, "ana")[-1].text


async def test_a_web_page_that_fails_is_asked_about_as_a_name(
    bot: RunningBot, services: PagingServices
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident page not found on checkout")
    assert "It may be the name of a new incident" in words(view)
