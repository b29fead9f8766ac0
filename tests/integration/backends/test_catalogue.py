"""What an organisation may configure, and how it is told that something is wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.config import ID, IncidentConfig, IncidentConfigError, slug

EVERYTHING = """
severities = [
    { id = "sev3", name = "SEV3", description = "Wait for Monday" },
    { id = "sev1", name = "SEV1", description = "Everybody" },
]
statuses = ["Looking", { name = "Done", category = "closed" }]

[[incident_types]]
name = "Security"
private_incidents_only = true

[[incident_types]]
name = "Production"
is_default = true

[[roles]]
name = "Commander"
role_type = "lead"
shortform = "cmd"

[[custom_fields]]
name = "Region"
field_type = "single_select"
required = true
options = ["Europe", { id = "us", name = "United States" }]

[announcements]
channel = "C1"
"""


def test_without_a_file_there_is_a_catalogue_worth_having() -> None:
    form = IncidentConfig.from_toml("").form()
    assert [(s.id, s.rank) for s in form.severities] == [("minor", 0), ("major", 1), ("critical", 2)]
    assert [(s.name, s.category) for s in form.statuses] == [
        ("Triage", "triage"),
        ("Investigating", "live"),
        ("Fixing", "live"),
        ("Monitoring", "live"),
        ("Closed", "closed"),
        ("Declined", "declined"),
        ("Merged", "merged"),
        ("Canceled", "canceled"),
    ]
    assert [(t.name, t.is_default) for t in form.incident_types] == [("Incident", True)]
    assert [(r.id, r.role_type) for r in form.roles] == [
        ("lead", "lead"),
        ("communications", "custom"),
        ("reporter", "reporter"),
    ]
    kinds = {field.field_type for field in form.custom_fields}
    assert kinds == {"text", "link", "numeric", "single_select", "multi_select"}
    assert not any(field.required for field in form.custom_fields)


def test_everything_can_be_configured() -> None:
    catalogue = IncidentConfig.from_toml(EVERYTHING, other_keys={"announcements"})
    form = catalogue.form()
    assert [(s.id, s.name, s.rank) for s in form.severities] == [("sev3", "SEV3", 0), ("sev1", "SEV1", 1)]
    assert form.statuses[0].id == "looking"
    assert [(t.id, t.is_default, t.private_incidents_only) for t in form.incident_types] == [
        ("security", False, True),
        ("production", True, False),
    ]
    assert [(r.id, r.role_type) for r in form.roles] == [("commander", "lead")]
    (region,) = form.custom_fields
    assert region.required
    assert [(o.id, o.value) for o in region.options] == [("europe", "Europe"), ("us", "United States")]


def test_the_first_type_is_the_default_where_none_says_so() -> None:
    catalogue = IncidentConfig.from_toml("incident_types = ['Security', 'Production']")
    assert [kind.is_default for kind in catalogue.form().incident_types] == [True, False]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("severities = ", "not a TOML file: Invalid value (at end of document)"),
        ("severites = []", "severites: no such key; did you mean severities?"),
        ("[[roles]]", "roles[1].name: is needed"),
        ("[[roles]]\nname = 'Lead'\nrole = 'lead'", "roles[1].role: no such key"),
        (
            "[[severities]]\nid = 'SEV 1'\nname = 'SEV1'",
            "severities[1].id: give an id of lower-case letters, digits, _ and -, such as 'sev_1'",
        ),
        ("severities = ['Bad', 'bad']", "severities: two have the id 'bad'; each needs its own"),
        (
            "[[severities]]\nid = 'a'\nname = 'Bad'\n[[severities]]\nid = 'b'\nname = 'BAD'",
            "severities: two have the name 'bad'; each needs its own",
        ),
        (f"severities = ['{'x' * 76}']", "severities[1].name: shorten it to 75 characters"),
        ("severities = ['']", "severities[1].name: write something"),
        ("statuses = ['Looking']", "statuses: one needs category = 'closed'"),
        ("incident_types = []", "incident_types: give at least 1"),
        (
            "[[custom_fields]]\nname = 'Region'\nfield_type = 'single_select'",
            "custom_fields[1]: a select field needs options, such as options = ['Website', 'API']",
        ),
        (
            "[[custom_fields]]\nname = 'Region'\noptions = ['Europe']",
            "custom_fields[1]: a text field has no options; is it a single_select?",
        ),
        (
            "[[custom_fields]]\nname = 'Region'\nfield_type = 'multi_select'\noptions = ['A', 'a']",
            "custom_fields[1]: options: two have the id 'a'; each needs its own",
        ),
        (
            "[[roles]]\nname = 'A'\nrole_type = 'lead'\n[[roles]]\nname = 'B'\nrole_type = 'lead'",
            "roles: only one can have role_type = 'lead'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_the_key(toml: str, problem: str) -> None:
    with pytest.raises(IncidentConfigError) as told:
        IncidentConfig.from_toml(toml)
    assert told.value.problems == (problem,)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(IncidentConfigError) as told:
        IncidentConfig.from_toml("severites = []\n[[roles]]\n[[roles]]\nname = 1")
    assert len(told.value.problems) == 3


@given(st.text(min_size=1, max_size=74))
def test_an_id_made_from_a_name_is_one_or_is_asked_for(name: str) -> None:
    made = slug(name)
    if re.fullmatch(ID, made):
        assert IncidentConfig.from_toml({"severities": [name]}).severities[0].id == made
    else:
        assert not made
        with pytest.raises(
            IncidentConfigError, match=r"^severities\[1\]\.(id: give an id|name: write)[^\n]*$"
        ):
            IncidentConfig.from_toml({"severities": [name]})


def test_names_in_other_scripts_get_ids_of_their_own() -> None:
    first, second = slug("重大"), slug("軽微")
    assert first != second
    assert IncidentConfig.from_toml("severities = ['軽微', '重大']").form().severities[1].name == "重大"
