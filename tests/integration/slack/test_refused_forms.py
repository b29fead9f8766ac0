"""What is refused in a form is read in that form, whatever was sent in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio
from support.beginning import Beginning, declared_before
from support.bot import RunningBot, chosen, running_bot, ticked
from support.errands import opened_by, typed_verb
from support.paging import CONFIG, running_services
from support.readings import block_ids, deliver, settled

from slack_emulator.models import View
from tocsin.incidents.permissions import NOT_SEEN
from tocsin.slack import commands, routes
from tocsin.slack.listeners.verbs import Invocation, VerbSpec
from tocsin.slack.payloads import ViewSubmission
from tocsin.slack.views.metadata import VerbMetadata

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    """The file's bot, with a tracker, and with targets that can be paged."""
    folder = tmp_path_factory.mktemp("tocsin")
    config = folder / "tocsin.toml"
    async with running_services() as services:
        config.write_text(TRACKER + CONFIG.format(url=services.url))
        async with running_bot(folder / "data", tocsin_config=config) as bot:
            with closing(Beginning(bot)) as beginning:
                yield bot, beginning


TRACKER = """
[tracker]
url = "https://tracker.example.com/new?title={title}"
"""
FORMS = {
    "declare": "",
    "update": "update",
    "update of the status": "status",
    "update of the severity": "severity",
    "assign": "role",
    "describe": "rename",
    "describe in a summary": "summary",
    "fields": "fields",
    "close": "close",
    "close by declining": "decline",
    "close by canceling": "cancel",
    "close to others": "private",
    "merge": "merge",
    "accept": "accept",
    "note": "note",
    "times": "time",
    "people": "invite",
    "follow_up": "action",
    "issue": "follow-up https://tracker.example.com/1",
    "snooze": "snooze",
    "page": "page payments",
    "choose": "status",
}
"""Every form that can be sent, by its callback id, and the verb that opens it."""


async def form_of(bot: RunningBot, name: str) -> tuple[View, dict[str, Any]]:
    """The form, opened by Ana, and what is sent with it."""
    incident = await declared_before(bot, "checkout is slow")
    await declared_before(bot, "payments down")
    where = bot.slack.channel("general") if name in {"declare", "choose"} else incident.slack_channel_id
    for text in ("write it down", "write an alert") if name == "issue" else ():
        await typed_verb(bot, "ana", where, f"/incident follow-up {text}")
    view = await opened_by(bot, "ana", where, f"/incident {FORMS[name]}")
    ana = bot.workspace.person(bot.slack.person("ana"))
    trigger = bot.workspace.views.trigger(bot.slack.app, ana.id)
    payload = bot.workspace.payloads.submission(bot.slack.app, ana, view, trigger, [])
    return view, payload


async def test_every_form_that_can_be_sent_is_tried_here() -> None:
    assert {name.split()[0] for name in FORMS} == set(routes.VIEWS)


@pytest.mark.parametrize("filled", ["as it is", "empty"])
@pytest.mark.parametrize("metadata", ["gone", "forged", "none"])
@pytest.mark.parametrize("name", FORMS)
async def test_a_refusal_is_under_a_field_of_the_form_or_in_its_place(
    bot: RunningBot, name: str, metadata: str, filled: str
) -> None:
    view, payload = await form_of(bot, name)
    errand = VerbMetadata.from_text(view.payload.get("private_metadata") or "")
    gone = errand.model_copy(update={"incident_id": "GONE"}).to_json()
    payload["view"]["private_metadata"] = {"gone": gone, "forged": "[]{", "none": ""}[metadata]
    if filled == "empty":
        payload["view"]["state"] = {"values": {}}
    answer = await deliver(bot, "interactive", payload)
    await settled(bot)
    if answer.get("response_action") == "errors":
        assert set(answer["errors"]) <= set(block_ids(view))
        assert all(answer["errors"].values())
    else:
        assert answer["response_action"] == "update"
        assert answer["view"]["blocks"]


@pytest.mark.parametrize("name", ["close to others", "merge"])
async def test_a_form_without_a_field_says_in_its_place_why_nothing_was_done(
    bot: RunningBot, name: str
) -> None:
    _, payload = await form_of(bot, name)
    packed = VerbMetadata(verb=FORMS[name], incident_id="GONE").to_json()
    payload["view"] |= {"private_metadata": packed, "state": {"values": {}}}
    answer = await deliver(bot, "interactive", payload)
    assert answer["response_action"] == "update"
    assert NOT_SEEN in json.dumps(answer["view"])


ABOUT_ONE = [spec for spec in commands.VERBS.values() if isinstance(spec, VerbSpec)]


@pytest.mark.parametrize("spec", ABOUT_ONE, ids=[spec.verb for spec in ABOUT_ONE])
async def test_every_verb_has_a_form_that_says_what_is_wrong_and_may_be_sent(
    bot: RunningBot, spec: VerbSpec
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    _, payload = await form_of(bot, "update")
    (context,) = bot.app.contexts.open
    call = Invocation(context, ViewSubmission.model_validate(payload), spec.verb, incident)
    shown = (await spec.build_view(call, "Say *who*.")).to_dict()
    assert "Say *who*." in json.dumps(shown)
    if "submit" not in shown:
        return
    payload["view"] |= {key: shown[key] for key in ("callback_id", "private_metadata")}
    payload["view"]["state"] = {"values": {}}
    answer = await deliver(bot, "interactive", payload)
    await settled(bot)
    assert shown["callback_id"] in routes.VIEWS
    assert NOT_SEEN not in json.dumps(answer)


@pytest.mark.parametrize("chosen_as", ["id", "reference"])
async def test_no_incident_becomes_part_of_one_that_is_not_ones_to_see(
    bot: RunningBot, chosen_as: str
) -> None:
    own = await declared_before(bot, "checkout is slow", "ben")
    secret = await declared_before(bot, "keys were read", "ana", visibility=ticked("private"))
    await declared_before(bot, "payments down")
    before = await bot.backend.find(own.id)
    said = {}
    for forged in (getattr(secret, chosen_as), "INC-99", "01JZZZZZZZZZZZZZZZZZZZZZZZ", ""):
        view = await opened_by(bot, "ben", own.slack_channel_id, "/incident merge")
        ben = bot.workspace.person(bot.slack.person("ben"))
        trigger = bot.workspace.views.trigger(bot.slack.app, ben.id)
        payload = bot.workspace.payloads.submission(bot.slack.app, ben, view, trigger, [])
        select = chosen(forged) if forged else {"type": "static_select", "selected_option": None}
        payload["view"]["state"]["values"]["merged_into"]["merged_into"] = select
        said[forged] = json.dumps(await deliver(bot, "interactive", payload))
        await bot.workspace.dismiss(ben.id, whole_stack=True)
        await settled(bot)
    assert await bot.backend.find(own.id) == before
    *unseen, nothing = said.values()
    assert all(NOT_SEEN in answer for answer in unseen)
    assert "Say which incident" in nothing
    assert not any(secret.reference in answer.replace("INC-1", "") for answer in said.values())


async def test_a_merge_that_names_no_incident_ends_nothing(bot: RunningBot) -> None:
    own = await declared_before(bot, "checkout is slow")
    said = await typed_verb(bot, "ana", own.slack_channel_id, "/incident merge INC-99")
    assert NOT_SEEN in said
    found = await bot.backend.find(own.id)
    assert found is not None
    assert found.incident_status.is_open
