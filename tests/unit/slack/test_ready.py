"""The form and the card whose JSON is at hand are those that Slack's SDK would have made."""

from __future__ import annotations

import pytest

from tocsin.config import IncidentConfig
from tocsin.incidents.model import ChannelId
from tocsin.incidents.requests import DeclareRequest
from tocsin.slack.views.blocks import alert
from tocsin.slack.views.card import _card, card
from tocsin.slack.views.declare import _build_form, declare_modal
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.views.samples import _incident

FORM = IncidentConfig.from_toml({}).form()
INCIDENT = _incident(FORM)


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("name", ["", "Checkout is slow"])
@pytest.mark.parametrize("summary", ["", "Half of it\nfails."])
def test_a_form_with_texts_in_it_is_as_the_sdk_makes_it(expanded: bool, name: str, summary: str) -> None:
    filled = DeclareRequest(name=name, summary=summary)
    context = DeclareMetadata(origin=ChannelId("C0000000001"), expanded=expanded)
    made = _build_form(FORM, filled, context.to_json(), expanded, [alert("Did you mean it?", "info")], [])
    ready = declare_modal(FORM, context, filled, notice="Did you mean it?")
    assert ready.to_dict() == made.to_dict()


def test_what_one_person_typed_is_in_nobody_elses_form() -> None:
    declare_modal(FORM, DeclareMetadata(), DeclareRequest(name="Checkout is slow"))
    assert "Checkout" not in str(declare_modal(FORM, DeclareMetadata(), DeclareRequest()).to_dict())


def test_a_card_is_as_the_sdk_makes_it_and_another_once_the_incident_has_changed() -> None:
    shown = [block.to_dict() for block in card(INCIDENT)]
    assert shown == [block.to_dict() for block in _card(INCIDENT)]
    renamed = INCIDENT.model_copy(update={"name": "Search is down"})
    assert "Search is down" in str([block.to_dict() for block in card(renamed)])
    assert [block.to_dict() for block in card(INCIDENT)] == shown
