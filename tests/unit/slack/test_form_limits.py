"""However an organisation names and counts what it asks for, Slack takes every window about an incident."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from reliability.hostile.forms import AT, answered_incident, any_text, follow_ups, hostile_form, timeline
from reliability.hostile.sizes import sizes
from slack_sdk.models.views import View

from slack_emulator.block_kit import view_too_large
from slack_emulator.block_kit.surfaces import message_errors, view_errors
from tocsin.incidents.model import Person
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import DeclareRequest
from tocsin.incidents.tasks import Checklist
from tocsin.incidents.updates import ChangeNotification
from tocsin.slack.views.accept import accept_modal
from tocsin.slack.views.blocks import mrkdwn
from tocsin.slack.views.close import close_modal, merge_modal
from tocsin.slack.views.declare import declare_modal
from tocsin.slack.views.fields import fields_modal
from tocsin.slack.views.followups import checklist_message, follow_up_message, follow_up_modal, note_modal
from tocsin.slack.views.lists import show_blocks, show_modal, show_text
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.views.notifications import TEXT_LIMIT, Message, news_message
from tocsin.slack.views.nudges import snooze_modal
from tocsin.slack.views.people import people_modal
from tocsin.slack.views.times import times_modal
from tocsin.slack.views.update import assign_modal, describe_modal, update_modal

SOME, MANY = 8, 100


@pytest.fixture(scope="module", params=sizes(SOME, MANY, "pytest -m campaign tests/unit/slack"))
def organisations(request: pytest.FixtureRequest) -> Iterator[Random]:
    return (Random(seed) for seed in range(request.param))


def windows(rng: Random) -> Iterator[View]:
    """Every window about one incident of an organisation, as views.open gets it."""
    text = any_text(rng)
    form = hostile_form(rng, text)
    incident = answered_incident(rng, text, form)
    checklist = Checklist(items=follow_ups(rng, text))
    yield declare_modal(form, DeclareMetadata(expanded=True), DeclareRequest(name=text(200)))
    yield accept_modal(form, incident)
    yield fields_modal(form, incident, problem=text(300))
    yield times_modal(form, incident)
    yield merge_modal(form, incident, [incident])
    yield note_modal(form, incident)
    yield snooze_modal(incident)
    yield show_modal(incident, timeline(rng, text), checklist, form=form)
    for verb in (Verb.CLOSE, Verb.CANCEL, Verb.DECLINE):
        yield close_modal(form, incident, verb, unfinished=checklist.items)
    for verb in (Verb.UPDATE, Verb.STATUS, Verb.SEVERITY):
        yield update_modal(form, incident, verb)
    for verb in (Verb.ROLE, Verb.LEAD, Verb.TAKE):
        yield assign_modal(form, incident, verb)
    for verb in (Verb.RENAME, Verb.SUMMARY, Verb.CALL):
        yield describe_modal(form, incident, verb)
    for verb in (Verb.ACTION, Verb.FOLLOW_UP):
        yield follow_up_modal(form, incident, verb, checklist)
    for verb in (Verb.INVITE, Verb.REMOVE):
        yield people_modal(form, incident, verb)


def test_slack_takes_every_window_about_an_incident(organisations: Iterator[Random]) -> None:
    for rng in organisations:
        for window in windows(rng):
            view = window.to_dict()
            assert not view_errors(view), view["title"]
            assert not view_too_large(view), view["title"]


def messages(rng: Random) -> Iterator[Message]:
    """Messages about one incident of an organisation, as chat.postMessage gets them."""
    text = any_text(rng)
    form = hostile_form(rng, text)
    incident = answered_incident(rng, text, form)
    checklist = Checklist(items=follow_ups(rng, text))
    yield show_text(incident), show_blocks(incident, timeline(rng, text), checklist, form=form)
    yield checklist_message(incident, checklist)
    yield from map(follow_up_message, checklist.items)
    told = tuple(text(600) or "changed it" for _ in form.custom_fields)
    times = tuple((stamp.name, AT) for stamp in form.incident_timestamps)
    by = Person(name=text(100))
    yield news_message(
        ChangeNotification(incident=incident, by=by, at=AT, differences=told, times=times, message=text(3000))
    )


def test_slack_takes_every_message_about_an_incident() -> None:
    for rng in map(Random, range(SOME)):
        for said, blocks in messages(rng):
            message = {"text": said, "blocks": [block.to_dict() for block in blocks]}
            assert not message_errors(message), said[:100]
            assert len(said) <= TEXT_LIMIT


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("a word", "a w…"),
        ("a&amp;b", "a…"),
        ("&amp;&amp;", "…"),
        ("a <https://x.example|here>", "a…"),
        ("&lt;", "&lt;"),
    ],
)
def test_a_text_is_cut_off_before_a_link_or_an_escaped_character(text: str, cut: str) -> None:
    assert mrkdwn(text, limit=4).text == cut
