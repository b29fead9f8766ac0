"""Names of channels by the operator's template: always names that Slack takes, whatever is filled in."""

from __future__ import annotations

import re

import pytest
from support.incidents import incident

from tocsin.incidents.channel_names import ChannelNames, channel_name, template_error
from tocsin.incidents.model import IncidentType, Severity

WHOLE = incident(
    reference="INC-12",
    name="Checkout is slow",
    severity=Severity(id="sev1", name="SEV 1 (höchste)"),
    incident_type=IncidentType(id="security", name="Security"),
)
TEMPLATES = [
    "{reference}-{name}",
    "inc-{number}-{name}",
    "{name}",
    "{date}_{severity}-{name}-{number}",
    "{number}",
]


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{reference}-{name}", "inc-12-checkout-is-slow"),
        ("inc-{number}-{name}", "inc-12-checkout-is-slow"),
        ("incident-{number}", "incident-12"),
        ("{name}-{number}", "checkout-is-slow-12"),
        ("{severity}-{number}-{name}", "sev-1-hochste-12-checkout-is-slow"),
        ("{type}-{number}", "security-12"),
        ("{date}-{name}", f"{WHOLE.created_at:%Y-%m-%d}-checkout-is-slow"),
    ],
)
def test_a_template_is_filled_with_what_the_incident_is(template: str, made: str) -> None:
    assert template_error(template) == ""
    assert ChannelNames(template).of(WHOLE) == made


def test_a_name_that_is_taken_is_followed_by_a_number() -> None:
    assert ChannelNames("{name}-{number}").with_endings(WHOLE, [1, 2]) == [
        "checkout-is-slow-12",
        "checkout-is-slow-12-2",
    ]


def test_a_long_name_is_cut_and_never_the_number_behind_it() -> None:
    made = channel_name("INC-12", "word " * 40, template="{name}-{number}")
    assert made == f"{'word-' * 11}12"
    assert len(channel_name("INC-12", "x" * 200, template="{name}-{number}")) == 60


def test_what_an_incident_lacks_leaves_no_gap() -> None:
    bare = WHOLE.model_copy(update={"severity": None, "incident_type": None})
    assert ChannelNames("{severity}-{type}-{number}-{name}").of(bare) == "12-checkout-is-slow"
    assert channel_name("INC-12", "الدفع بطيء", template="{name}") == "inc-12"


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", ["", "x" * 200, "a b " * 50, "--- _", "東京 checkout", "<!channel> 100%!"])
def test_slack_takes_every_name_that_is_made(template: str, name: str) -> None:
    for ending in (1, 2, "private-0123456789ab"):
        made = channel_name("INC-7", name, ending, template, date="2026-03-01", severity="Sév 1 " * 20)
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", made)
        assert not made.endswith("-")
