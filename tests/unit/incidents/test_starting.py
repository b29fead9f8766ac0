"""What starts in triage, what accepts it, and what is announced then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN

from tocsin.config import IncidentConfig, IncidentConfigError
from tocsin.incidents.announcements import AnnouncementPolicy, AnnouncementRule
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Form, Incident, IncidentType, Severity, Status, TriageDefaults
from tocsin.incidents.requests import DeclareRequest, IncidentChange, StartStatus
from tocsin.incidents.transitions import apply_transition
from tocsin.incidents.validation import validate_declaration
from tocsin.slack.command_text import First
from tocsin.slack.verb_or_name import reads_like_a_name
from tocsin.slack.views.home import HomePage, home_view

FORM = IncidentConfig().form()
TYPES = (
    IncidentType(id="incident", name="Incident", is_default=True),
    IncidentType(id="alert", name="Alert"),
    IncidentType(id="rumour", name="Rumour", create_in_triage="always"),
)


def starts(form: Form, status: StartStatus | None = None, kind: str | None = None) -> StartStatus | None:
    asked = DeclareRequest(name="It is slow", severity_id="minor", status=status, incident_type_id=kind)
    return validate_declaration(asked, form).status


def incident(**more: Any) -> Incident:
    known = {"id": "1", "reference": "INC-1", "name": "It is slow", "created_at": DAWN, "updated_at": DAWN}
    triage = Status(id="triage", name="Triage", category="triage")
    return Incident(**{**known, "incident_status": triage, "creator": ANA, **more})


@pytest.mark.parametrize(
    ("defaults", "status", "kind", "expected"),
    [
        (TriageDefaults(), None, None, None),
        (TriageDefaults(), "triage", None, "triage"),
        (TriageDefaults(by_default=True), None, None, "triage"),
        (TriageDefaults(by_default=True), "live", None, "live"),
        (TriageDefaults(incident_types=("ALERT",)), None, "alert", "triage"),
        (TriageDefaults(incident_types=("ALERT",)), None, None, None),
        (TriageDefaults(incident_types=("alert",)), "live", "alert", "live"),
        (TriageDefaults(), "live", "rumour", "triage"),
    ],
)
def test_a_person_decides_then_the_configuration_and_a_type_that_demands_it_before_both(
    defaults: TriageDefaults, status: StartStatus | None, kind: str | None, expected: StartStatus | None
) -> None:
    form = FORM.model_copy(update={"triage": defaults, "incident_types": TYPES})
    assert starts(form, status, kind) == expected


def test_where_there_is_no_triage_nothing_starts_there_and_who_asks_for_it_reads_so() -> None:
    live = tuple(status for status in FORM.statuses if not status.is_triage)
    form = FORM.model_copy(update={"statuses": live, "triage": TriageDefaults(by_default=True)})
    assert starts(form) is None
    with pytest.raises(Refused) as refused:
        starts(form, "triage")
    assert refused.value.fields == {"status": "Incidents have no triage here. Declare it, or leave it."}


def test_in_triage_nobody_needs_to_know_how_bad_it_is_but_whoever_accepts_it() -> None:
    asked = DeclareRequest(name="It is slow", status="triage")
    assert validate_declaration(asked, FORM).severity_id is None
    change = IncidentChange(key="k", by=BEN, at=DAWN)
    with pytest.raises(Refused, match="Say how bad it is: INC-1 has no severity yet"):
        apply_transition(change, "accept", incident(), FORM)
    chosen = change.model_copy(update={"severity_id": "major"})
    assert apply_transition(chosen, "accept", incident(), FORM).incident_status_id == "investigating"


def test_it_is_announced_by_what_it_is_when_it_is_accepted() -> None:
    rules = (
        AnnouncementRule(severities=("Critical",), channels=("C1",), invite=("@oncall",)),
        AnnouncementRule(severities=("Minor",), channels=("C2",)),
    )
    policy = AnnouncementPolicy(channel=ChannelId("C0"), rules=rules)
    critical = Severity(id="critical", name="Critical")
    found = policy.announcement_of(incident(severity=critical), FORM)
    assert (found.channels, found.invite) == (("C0", "C1"), ("@oncall",))
    assert not policy.announcement_of(incident(severity=critical, visibility="private"), FORM).channels
    assert not policy.announcement_of(incident(severity=critical, mode="test"), FORM).channels


def test_home_shows_incidents_in_triage_below_the_others() -> None:
    live = Status(id="fixing", name="Fixing")
    others = (incident(), incident(id="2", reference="INC-2", incident_status=live))
    view = json.dumps(home_view(HomePage(open=others, at=DAWN)).to_dict())
    places = [view.index(text) for text in ("Open (1)", "INC-2", "In triage (1)", "INC-1")]
    assert places == sorted(places)


def test_a_type_that_demands_triage_needs_a_status_for_it() -> None:
    toml = "statuses = ['Looking', {name = 'Over', category = 'closed'}]\n"
    toml += "[[incident_types]]\nname = 'Alert'\ncreate_in_triage = 'always'"
    with pytest.raises(IncidentConfigError, match="statuses: Alert starts in triage, so one needs category"):
        IncidentConfig.from_toml(toml)


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("triage|payments page is slow", False),
        ("triage|servers are down", False),
        ("accept|critical the disk is full", False),
        ("accept|it is down", False),
        ("accept|button does nothing", True),
        ("accept|rate dropped", True),
    ],
)
def test_a_text_that_says_what_is_wrong_is_no_name_and_a_thing_called_after_the_verb_is(
    text: str, is_name: bool
) -> None:
    word, _, rest = text.partition("|")
    assert reads_like_a_name(First(word, word, rest), FORM, {}) is is_name
