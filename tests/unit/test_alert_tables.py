"""The configuration of alerts says what is wrong with it, and the doctor which token is missing."""

from __future__ import annotations

import tomllib

import pytest

from tocsin.alert_tables import examine_sources, open_sources
from tocsin.incidents.alerts import AlertRule, event_of, pause_after, route, severity_for
from tocsin.incidents.model import Form, Severity
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError

SOURCE = """
[[alert_sources]]
id = "prometheus"
token_variable = "PROMETHEUS_TOKEN"
"""
LONG = "0123456789" * 3


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[[alert_sources]]\nid = 'Prom'\ntoken_variable = 'T'", "alert_sources[1].id"),
        ("[[alert_sources]]\nid = 'p'\ntoken_variable = 'secret-token-itself'", "token_variable"),
        ("[[alert_sources]]\nid = 'p'\ntoken_variable = 'T'\nkind = 'nagios'", "kind"),
        ("[[alert_sources]]\nid = 'p'\ntoken_variable = 'T'\nkind = 'template'", "need each other"),
        (SOURCE + SOURCE, "alert_sources: two have the id 'prometheus'"),
        (SOURCE + "[[alert_rules]]\nsources = ['grafana']", "no source with the id 'grafana'"),
        (SOURCE + "[[alert_rules]]\ndo = 'page'", "alert_rules[1].do"),
        (SOURCE + "[[alert_rules]]\nseverty = 'x'", "did you mean severity?"),
        (SOURCE + "[[alert_rules]]\nchannel = 'alerts'", "give a channel's id"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(written: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_rules(tomllib.loads(written))
    assert said in str(error.value)
    assert "secret-token-itself" not in str(error.value)


def test_the_doctor_names_each_source_whose_token_is_missing_or_short() -> None:
    tables = read_rules(tomllib.loads(SOURCE)).alert_sources
    for token, ok, said in (
        ("", False, "its token is not set"),
        ("short", False, "fewer than 20 characters"),
        (LONG, True, "/v2/alert_events/http/prometheus"),
    ):
        (found,) = examine_sources(tables, lambda variable, token=token: token)  # type: ignore[misc]
        assert (found.name, found.ok) == ("Alerts from prometheus", ok)
        assert said in found.said
        assert LONG not in found.said
    (source,) = open_sources(tables, lambda variable: LONG)
    assert (source.token, source.name) == (LONG, "prometheus")
    assert LONG not in repr(source)


def test_the_first_rule_that_matches_decides_and_one_that_does_not_changes_nothing() -> None:
    page = AlertRule(sources=("a",), labels={"severity": ("page", "CRITICAL")}, group_by=("team",))
    event = event_of(title="t", status="firing", key="k", labels={"severity": "critical", "team": "blue"})
    assert route("a", event, [page]).rule == page
    assert route("b", event, [page]).rule.do == "nothing"
    assert route("b", event, []).rule.do == "triage"
    moved = route("a", event, [AlertRule(sources=("b",)), page])
    assert moved.group_key == route("a", event, [page]).group_key
    assert route("a", event_of(title="t", status="firing", key="k"), [page]).rule.do == "nothing"


def test_a_rule_names_its_severity_and_without_one_what_is_declared_gets_the_mildest() -> None:
    form = Form(severities=tuple(Severity(id=name.lower(), name=name, rank=n) for n, name in enumerate("AB")))
    assert [
        getattr(severity_for(AlertRule.model_validate(rule), form), "name", None)
        for rule in ({"severity": "b"}, {"do": "declare"}, {"do": "triage"}, {"severity": "gone"})
    ] == ["B", "A", None, None]


def test_the_longer_a_storm_lasts_the_longer_the_pauses() -> None:
    assert [pause_after(pace) for pace in (1, 2, 5, 9, 10, 1000)] == [2, 4, 32, 300, 300, 300]
