"""What may be declared and what things are called, for any text there is."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.declarations import DAWN

from tocsin.incidents.channel_names import channel_name
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import CatalogEntry, CustomField, FieldValue, Form, IncidentType
from tocsin.incidents.requests import DeclareRequest, IncidentChange
from tocsin.incidents.transitions import VERB_OF_FIELD
from tocsin.incidents.validation import (
    ago,
    clean_text,
    is_one_edit_away,
    is_visible,
    join_names,
    parse_custom_fields,
    validate_declaration,
)

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NASTY = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from(BIDI + "\x00\x07\x1b\x7f\x85\r\n\t \u200d"))
)
WORDS = st.text(alphabet="helpx", max_size=6)


@given(NASTY)
def test_cleaned_text_has_no_control_character_and_no_direction_mark(text: str) -> None:
    clean = clean_text(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} or c in BIDI for c in clean)
    assert "  " not in clean
    assert clean == clean.strip()


@given(NASTY)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)
    assert clean_text(clean_text(text, lines=True), lines=True) == clean_text(text, lines=True)


@given(NASTY)
def test_line_breaks_stay_where_lines_are_wanted_and_no_other_control_does(text: str) -> None:
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in clean_text(text, lines=True))
    assert "\n" not in clean_text(text)


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "M"), exclude_characters=BIDI)))
def test_what_people_can_read_is_left_as_it_is(text: str) -> None:
    assert clean_text(text) == text.strip()


def test_joiners_that_emoji_and_scripts_need_stay() -> None:
    for text in ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "می\u200cخواهم", "क्\u200dष"):
        assert clean_text(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u200d\u200c", "\u2800", "\u3164", "\ufe0f", "\u00a0\u2003"]
)
def test_text_that_shows_nothing_is_not_visible(text: str) -> None:
    assert not is_visible(text)


@pytest.mark.parametrize("text", ["a", ".", "\U0001f525", "ط", "\u200ba\u200b"])
def test_text_that_shows_anything_is_visible(text: str) -> None:
    assert is_visible(text)


@given(st.integers(1, 10**6), NASTY, st.integers(1, 99))
def test_a_channel_name_is_one_that_slack_takes(number: int, name: str, attempt: int) -> None:
    made = channel_name(f"INC-{number}", name, attempt)
    assert re.fullmatch(r"[a-z0-9_-]{1,80}", made)
    assert made.startswith(f"inc-{number}")
    assert not made.endswith("-")


@given(NASTY)
def test_nine_tries_at_a_channel_name_are_nine_names(name: str) -> None:
    assert len({channel_name("INC-1", name, attempt) for attempt in range(1, 10)}) == 9


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Checkout is slow!", "inc-12-checkout-is-slow"),
        ("Zażółć gęślą jaźń", "inc-12-zazolc-gesla-jazn"),
        ("straße Łódź Søren", "inc-12-strasse-lodz-soren"),
        ("Þór æðislegt Œuvre ığdır ŋ ħ ŧ Đà", "inc-12-thor-aedislegt-oeuvre-igdir-ng-h-t-da"),
        ("payments—refunds can’t", "inc-12-payments-refunds-cant"),
        ("東京 checkout", "inc-12-checkout"),
        ("الدفع بطيء", "inc-12"),
        ("déjà vu", "inc-12-deja-vu"),
        ("--- -- -", "inc-12"),
    ],
)
def test_a_channel_is_called_after_what_can_be_written_of_the_name(name: str, made: str) -> None:
    assert channel_name("INC-12", name) == made


def distance(word: str, other: str) -> int:
    """Edits between two words, a swap of neighbours counting as one (optimal string alignment)."""
    rows = [[i + j if i * j == 0 else 0 for j in range(len(other) + 1)] for i in range(len(word) + 1)]
    for i in range(1, len(word) + 1):
        for j in range(1, len(other) + 1):
            changed = rows[i - 1][j - 1] + (word[i - 1] != other[j - 1])
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, changed)
            if i > 1 and j > 1 and word[i - 1] == other[j - 2] and word[i - 2] == other[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


@given(WORDS, WORDS)
def test_one_edit_away_is_what_the_edit_distance_says(word: str, other: str) -> None:
    assert is_one_edit_away(word, other) is (distance(word, other) == 1)


@pytest.mark.parametrize("word", ["halp", "hlep", "hel", "elp", "helpp", "xhelp", "hep"])
def test_every_kind_of_slip_is_one_edit(word: str) -> None:
    assert is_one_edit_away(word, "help")


@given(st.lists(st.text(alphabet="abc", min_size=1), max_size=5))
def test_names_in_words_name_everybody_once_and_end_with_and(names: list[str]) -> None:
    said = join_names(names)
    assert re.split(r", | and ", said) == (names or [""])
    assert said.count(" and ") == (1 if len(names) > 1 else 0)


@given(st.integers(-60, 10**8))
def test_how_long_ago_is_a_whole_number_of_the_largest_unit(seconds: int) -> None:
    said = ago(DAWN, DAWN + timedelta(seconds=seconds))
    if seconds < 60:
        assert said == "just now"
        return
    count, unit, _ = said.split()
    size = {"minute": 60, "hour": 3600, "day": 86400}[unit.rstrip("s")]
    assert int(count) == seconds // size
    assert unit.endswith("s") is (int(count) > 1)
    assert all(seconds // bigger == 0 for bigger in (86400, 3600) if bigger > size)


def test_later_is_never_said_to_be_more_recent() -> None:
    moments = [DAWN + timedelta(minutes=m) for m in (0, 1, 5, 59, 60, 125, 1439, 1440, 10000)]
    said = [ago(DAWN, moment) for moment in moments]
    assert all(a != b for a, b in pairwise(said))


TEAM = CustomField(id="team", name="Team", field_type="single_select", searched=True, catalog_type_id="ct")
ASKING = Form(
    custom_fields=(TEAM,),
    backend_fields=(
        CustomField(id="part", name="Part", field_type="multi_select", searched=True, required=True),
        CustomField(id="impact", name="Impact", field_type="numeric"),
    ),
)


def test_what_is_wrong_with_a_field_of_the_backend_is_said_under_the_fields_own_name() -> None:
    with pytest.raises(Refused) as refusal:
        validate_declaration(
            DeclareRequest(name="x", backend_entries={"impact": ("many",), "gone": ("1",)}), ASKING
        )
    assert refusal.value.fields == {
        "part": "Part is needed to declare an incident.",
        "impact": "Write a number, such as 42 or 0.5.",
        "gone": "That field no longer exists. Leave it empty.",
    }


def test_a_searched_choice_is_kept_with_the_name_it_had_and_else_with_its_id() -> None:
    entries = {"custom_field_entries": {"team": ("c1",)}, "backend_entries": {"part": ("p1", "p2")}}
    custom, own = parse_custom_fields(
        DeclareRequest(**entries, labels={"c1": "Checkout", "p2": "Two"}), ASKING, {}
    )
    assert custom == {"team": (FieldValue(value_catalog_entry=CatalogEntry(id="c1", name="Checkout")),)}
    assert [value.shown for value in own["part"]] == ["p1", "Two"]


def test_where_every_incident_is_private_one_without_a_type_is_private_too() -> None:
    hidden = Form(incident_types=(IncidentType(id="s", name="Security", private_incidents_only=True),))
    assert validate_declaration(DeclareRequest(name="x"), hidden).visibility == "private"


def test_a_summary_is_asked_for_where_it_is_needed() -> None:
    with pytest.raises(Refused) as refusal:
        validate_declaration(DeclareRequest(name="x", summary=" \n"), Form(summary_required=True))
    assert list(refusal.value.fields) == ["summary"]


BESIDE = {"key", "by", "at", "assignees", "incident_role_assignments", "seen_status_id"}
BESIDE |= {"custom_field_entries", "incident_timestamp_values", "zone"}
"""Fields of a change that are no verb's own: who asks and when; roles, fields and times have a name each."""


def test_each_field_of_a_change_has_the_verb_that_sets_it() -> None:
    assert set(VERB_OF_FIELD) == set(IncidentChange.model_fields) - BESIDE
