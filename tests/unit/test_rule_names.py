"""Rules go on naming what is there, and `tocsin doctor` says which name nothing has."""

from __future__ import annotations

import tomllib

from tocsin.config import IncidentConfig
from tocsin.incidents.model import Form
from tocsin.rule_names import unknown_names
from tocsin.rules import CONFIG_KEYS, read_rules

GONE = "01FCNDV6P870EA6S7TK1DSYDG0"
FILE = f"""
[[announcements]]
severities = ["major", "Blackest"]
incident_types = ["Incident"]
channels = ["C0ALERTS02"]
[announcements.custom_fields]
"Affected area" = ["api", "Moon"]
"Status page" = ["https://status.example.com"]
Region = ["Europe"]
[[tasks]]
severity_at_least = "Worst"
do = [{{ title = "Open the bridge", role = "Scribe" }}, {{ title = "Write", role = "lead" }}]
[triage]
incident_types = ["Alarm"]
[[nudges.rules]]
when = "no_lead"
after = "10 minutes"
severities = ["{GONE}"]
[[incident_timestamps]]
name = "Reviewed"
set_when = "declared closed {GONE}"
"""
SEVERITIES = "there are Minor, Major and Critical."


def test_each_name_that_nothing_has_is_said_with_its_place_and_those_that_there_are() -> None:
    table = tomllib.loads(FILE)
    rules, config = read_rules(table), IncidentConfig.from_toml(table, other_keys=CONFIG_KEYS)
    said = [line.partition("; there are")[0] for line in unknown_names(rules, config, config.form())]
    assert said == [
        "announcements[1].severities: there is no 'Blackest' (any more)",
        "announcements[1].custom_fields: there is no 'Region' (any more)",
        "announcements[1].custom_fields.Affected area: there is no 'Moon' (any more)",
        "tasks[1].severity_at_least: there is no 'Worst' (any more)",
        "tasks[1].do[1].role: there is no 'Scribe' (any more)",
        "triage.incident_types: there is no 'Alarm' (any more)",
        f"nudges.rules[1].severities: there is no '{GONE}' (any more)",
        f"incident_timestamps[1].set_when: there is no '{GONE}' (any more)",
    ]
    assert unknown_names(rules, config, config.form())[0].endswith(SEVERITIES)


def test_nothing_is_said_of_rules_that_fit_or_of_a_backend_that_could_not_be_asked() -> None:
    rules, config = read_rules(tomllib.loads(FILE)), IncidentConfig()
    assert unknown_names(rules, config, Form()) == []
    assert unknown_names(read_rules({}), config, config.form()) == []
