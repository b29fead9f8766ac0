"""The document that is written after an incident, from a template that an organisation may set."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from support.incidents import ANA, DAWN, incident

from tocsin.incidents.export import IncidentReport
from tocsin.incidents.model import TimelineEntry
from tocsin.incidents.postmortem import NOTHING, PLACEHOLDERS, STANDARD, render_document, template_error

HOSTILE = "![](@U0BEN) <!channel> $name ${facts} **loud** [x](javascript:alert(1))"


def whole(text: str) -> IncidentReport:
    entry = TimelineEntry(at=DAWN, by=ANA, verb="noted:", text=text)
    return IncidentReport(incident=incident(name=text, summary=text), timeline=(entry,))


def test_the_standard_template_has_all_that_is_known_and_asks_for_the_rest() -> None:
    assert template_error(STANDARD) == ""
    text = render_document(STANDARD, whole("A lock."))
    assert text.startswith("# INC-12: A lock.\n")
    for said in ("- **Incident Lead**: Ana Torres", "## Why it happened", NOTHING):
        assert said in text
    assert "Ana Torres noted: A lock." in text


def test_what_people_wrote_is_neither_filled_in_nor_markup() -> None:
    text = render_document(STANDARD, whole(HOSTILE))
    html = MarkdownIt("commonmark", {"html": True}).render(text)
    assert html.count("$name ${facts} **loud**") == 3
    assert not any(mark in html for mark in ("<img", "<!channel", 'href="javascript'))


def test_every_placeholder_can_be_used_and_a_dollar_is_one() -> None:
    own = "\n".join(f"${name}" for name in PLACEHOLDERS) + "\nIt cost $$12."
    assert template_error(own) == ""
    assert render_document(own, whole("A lock.")).endswith("It cost $12.")


@pytest.mark.parametrize(
    ("template", "said"),
    [("$lead and $name", "names $lead; there are $reference"), ("$ 5", "$$ for a dollar")],
)
def test_a_template_that_cannot_be_filled_in_says_what_is_wrong(template: str, said: str) -> None:
    assert said in template_error(template)
