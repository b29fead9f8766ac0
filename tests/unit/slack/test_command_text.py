"""What is read of a command: the verb, the incident and the text, whatever stands around and between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.slash import CASES

from tocsin.config import IncidentConfig
from tocsin.incidents.parsing import bare, fold, trimmed
from tocsin.slack import commands
from tocsin.slack.command_text import as_read, reference_in, references_in
from tocsin.slack.payloads import SlashCommand
from tocsin.slack.routes import route_of
from tocsin.slack.verb_or_name import reads_like_a_name

SPACES = " \t\n\r\v\f\x85\u00a0\u1680\u2000\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u30fc\u02d7\u2796"
AROUND = [
    "",
    "*",
    "**",
    "_",
    "~",
    "`",
    "```",
    '"',
    "'",
    "“”",
    "‘’",
    "«»",
    "„“",
    "()",
    "[]",
    "{}",
    "「」",
    "\u2068\u2069",
]
MARKS = ["", ":", ",", ";", ".", "!", "…", " -", " –", " —", ":*", "\uff1a", "\uff0c", " :"]
LETTERS = st.characters(categories=["Ll", "Lu", "Lo", "Nd"])
TEXTS = st.lists(st.text(LETTERS, min_size=1, max_size=8), min_size=1, max_size=6).map(" ".join)


def wide(word: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in word)


def around(marks: str, word: str) -> str:
    half = len(marks) // 2 if len(marks) == 2 and marks[0] != marks[1] else len(marks)
    return f"{marks[:half]}{word}{marks[half:] or marks}"


@st.composite
def references(draw: st.DrawFn) -> tuple[str, str]:
    """A reference as people may write it, and as it is kept."""
    number, prefix = draw(st.integers(1, 10**9)), draw(st.sampled_from(["INC", "inc", "Inc"]))
    word = draw(st.sampled_from([str, wide]))(f"{prefix}{draw(st.sampled_from(DASHES))}{number}")
    for marks in draw(st.lists(st.sampled_from(AROUND), max_size=2)):
        word = around(marks, word)
    return draw(st.text(SPACES, max_size=2)) + word + draw(st.sampled_from(MARKS)), f"INC-{number}"


@given(references(), st.text(SPACES, min_size=1, max_size=3), TEXTS)
def test_a_reference_is_one_in_any_dress_and_its_text_is_whole(
    written: tuple[str, str], space: str, text: str
) -> None:
    typed, reference = written
    found = reference_in(f"{typed}{space}{text}", bare_number=False)
    assert found is not None
    assert (found[0].by, found[0].said, found[1]) == ("reference", reference, text)


@given(st.text(max_size=60))
def test_no_word_of_any_text_is_lost(text: str) -> None:
    """What comes out of the reader is a part of what went in, and nothing but the reference is left out."""
    for typed in (text, f"INC-2: {text}", f"close {text}", f"close\nINC-2 {text}"):
        first = commands.find_verb(typed)
        assert first.rest in typed
        found = reference_in(first.rest)
        if found is not None:
            reference, rest = found
            assert rest in first.rest
            left_out = first.rest[: len(first.rest) - len(rest)] if first.rest.endswith(rest) else first.rest
            words = "".join(filter(str.isalnum, fold(left_out)))
            known = fold(f"{reference.said}{reference.name}{rest}")
            assert sum(map(str.isalnum, words)) <= len(known) + 4 * left_out.count("&") + 40
            assert reference.by != "reference" or "".join(filter(str.isdigit, reference.said)) in words


@given(st.text())
def test_a_folded_text_is_as_long_as_the_text(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert trimmed(text) in text


@given(st.text())
def test_any_text_can_be_read_by_people(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert as_read(escaped, {}) == text


@pytest.mark.parametrize(
    "text", ["rolled back", "12 to go", "us", "50% of all", "-5 degrees", "a-1", "€50", "utf"]
)
def test_what_names_no_incident_is_text(text: str) -> None:
    assert reference_in(text, bare_number=False) is None


@pytest.mark.parametrize(
    ("text", "named"), [("12 x", "12"), ("#12: x", "12"), ("(12) x", "12"), ("٢ x", "2")]
)
def test_a_bare_number_is_a_reference_where_no_channel_says_which(text: str, named: str) -> None:
    found = reference_in(text)
    assert found is not None
    assert (found[0].said, found[1]) == (named, "x")


def test_the_prefix_of_another_backend_is_known() -> None:
    found = reference_in("PROD 12: failing over", ["PROD"])
    assert found is not None
    assert (found[0].said, found[0].is_usual, found[1]) == ("PROD-12", True, "failing over")


def test_every_incident_in_a_text_is_found() -> None:
    named = [reference.said for _, reference, _ in references_in("INC-12 into (INC-11), not #inc-3-x")]
    assert named == ["INC-12", "INC-11", "inc-3-x"]


@pytest.mark.parametrize(
    "word", ["“Fixing”.", "*fixing*", "FIXING:", "(fixing)", "`fixing`", "ｆｉｘｉｎｇ", "fixing\u200b"]
)
def test_marks_around_a_word_are_no_part_of_it(word: str) -> None:
    assert bare(trimmed(word)) == "fixing"


def counted(text: str) -> str:
    return route_of(
        SlashCommand(
            command="/incident", text=text, team_id="T1", channel_id="C1", user_id="U1", trigger_id="1"
        )
    )


@pytest.mark.parametrize("verb", [verb for verb in commands.VERBS if verb])
def test_a_verb_is_counted_as_it_is_understood(verb: str) -> None:
    for spelling, template in CASES["verbs"].items():
        typed = template.format(verb=verb, loud=verb.upper(), text="x")
        assert counted(typed) == f"command {verb}", spelling
        assert commands.find_verb(typed).rest == "x", spelling


@pytest.mark.parametrize(
    "text", ["help-desk is down", "close/open x", "status.example x", "list's x", "notes", "", "üpdate"]
)
def test_what_is_no_verb_is_counted_as_a_declaration(text: str) -> None:
    assert counted(text) == "command declare"


@pytest.mark.parametrize(("typed", "read"), CASES["read"].items())
def test_a_text_is_read_as_people_read_it(typed: str, read: str) -> None:
    assert as_read(typed, {"U0BEN00002": "Ben Okafor"}) == read


FORM = IncidentConfig().form()


TIME_NAMES = [
    "times out on checkout",
    "time drift on the servers",
    "Time series are empty",
    "time outs",
    "time fixed is wrong",
]


@pytest.mark.parametrize("typed", [*CASES["asked"], *TIME_NAMES])
def test_a_sentence_that_begins_like_a_verb_reads_like_a_name(typed: str) -> None:
    first = commands.find_verb(typed).first
    assert first is not None
    assert reads_like_a_name(first, FORM, {})


@pytest.mark.parametrize(
    "typed",
    [
        *CASES["at once"],
        *("close", "HELP", "help close", "list mine", "list closed critical", "find words"),
        *(
            "find checkout is slow",
            "lead ben okafor",
            "lead Dan Kim",
            "lead me",
            "role comms @ben",
            "take comms",
        ),
        *("merge INC-11", "merge into INC-11", "merge INC-12 INC-11", "merge 11", "private", "export as csv"),
        *("Close INC-2: to be sure", "close on INC-2: done", "Close <#C1|inc-2-x> now", "CLOSE rolled back"),
        *("time fixed 14:05", "time impact started yesterday 23:40", "time detected 20 minutes ago", "times"),
        *("time fxed 14:05", "retro checkout was down", "Retro login dialog is grey"),
        *("severity sev9", "reopen it happened again", "close thanks to Ben", "close bad deploy reverted"),
    ],
)
def test_an_order_does_not_read_like_a_name(typed: str) -> None:
    first = commands.find_verb(typed).first
    assert first is not None
    assert not reads_like_a_name(first, FORM, {"U1": "Ben Okafor"})
