"""Whatever people write is shown as text: it never becomes markup, a script or a link of another kind."""

from __future__ import annotations

import itertools
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.declarations import Ticking, full_declaration
from support.first_files import new_incidents

from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import FieldValue, Person, TimelineEntry
from tocsin.incidents.requests import Declaration
from tocsin.web.app import web_app
from tocsin.web.rich_text import rich_text, safe_link
from tocsin.workflows.ports import Channel

HOST = "localhost:8080"
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "</textarea><!--",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;#x3c;",
    'https://evil.example/"onclick="alert(1)',
    "https://evil.example/'><b>",
    "HTTPS://EVIL.example/?a=1&b=<i>",
    "<!channel> <@U123> <https://evil.example|bank>",
    "\x00<b\x0c>\ud7ff",
)
TEXT = st.sampled_from(ATTACKS) | st.text(min_size=1, max_size=60) | st.text("<>\"'&=/ ahref:", min_size=1)


class Structure(HTMLParser):
    """Counts elements with the names of their attributes, and collects the addresses."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[tuple[str, ...]] = Counter()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href")
        if link is not None:
            self.links.append(link)
        if not (tag == "a" and link and link.lower().startswith("http")):
            self.elements[(tag, *sorted(name for name, _ in attrs))] += 1

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements[("comment", data)] += 1


@pytest.fixture
async def shop(tmp_path: Path) -> Any:
    backend = await LocalBackend.open(
        await new_incidents(tmp_path / "incidents.db"),
        IncidentConfig(),
        public_url=f"http://{HOST}",
        clock=Ticking(),
    )
    app = web_app(
        backend=backend, api_token="t", hosts={HOST}, public=True, ready=lambda: [], clock=Ticking()
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        yield backend, client, itertools.count()
    await backend.close()


def written(key: str, text: str) -> Declaration:
    """A declaration with the same text wherever people can write."""
    plain = full_declaration(key)
    return plain.model_copy(
        update={
            "name": text,
            "summary": text,
            "reporter": Person(slack_user_id=f"U{key}", name=text),
            "incident_role_assignments": {"lead": f"U{key}"},
            "source": plain.source.model_copy(update={"permalink": text}) if plain.source else None,
            "custom_field_entries": {
                "customer_or_ticket": (FieldValue(value_text=text),),
                "status_page": (FieldValue(value_link=text),),
                "customers_affected": (FieldValue(value_numeric=text),),
            },
        }
    )


async def pages_with(shop: Any, text: str) -> Structure:
    backend, client, numbers = shop
    made = await backend.create(written(f"K{next(numbers)}", text))
    await backend.set_channel(made.id, Channel(id=text, name=text))
    entry = TimelineEntry(at=made.created_at, by=made.creator, verb=text, text=text)
    await backend.note(made.id, entry, "k")
    shown = await client.get(f"/incidents/{made.reference}")
    assert shown.status_code == 200
    return Structure(shown.text)


RENDERED = {"p", "br", "hr", "blockquote", "pre", "code", "strong", "em", "s", "ul", "ol", "li"}
MARKS = (
    "\n> ",
    "\n> > ",
    "\n```\n",
    "\n> ```\n> ",
    "`",
    "\n— ",
    "\n- ",
    "\n• ",
    "\n7. ",
    "*",
    "_",
    "~",
    "[x](",
    "]",
    "**",
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(MARKS) | TEXT, max_size=8))
async def test_a_quotation_and_code_add_bare_elements_whatever_is_in_them(
    shop: Any, pieces: list[str]
) -> None:
    plain = await pages_with(shop, "plain words")
    hostile = await pages_with(shop, "x" + "".join(pieces))
    added = hostile.elements - plain.elements
    assert {tag for tag, *_ in added} <= RENDERED
    assert {tuple(names) for _, *names in added} <= {(), ("start",)}
    assert not plain.elements - hostile.elements
    assert all(link.startswith(("/", "#", "?")) or safe_link(link) == link for link in hostile.links)


async def test_a_message_is_shown_as_a_quotation_without_its_marks(shop: Any) -> None:
    said = (
        "> Disk full on `db-7` (https://g.example/d/7)\n> > was fine\n> ```\n> df -h\n>   x\n> ```\n— Watch"
    )
    backend, client, _ = shop
    made = await backend.create(written("KQ", "x").model_copy(update={"summary": said}))
    page = (await client.get(f"/incidents/{made.reference}")).text
    section = page.partition('<h2 id="summary">')[2].partition("</section>")[0]
    link = '<a href="https://g.example/d/7" rel="noopener noreferrer">https://g.example/d/7</a>'
    section = section.replace(">\n", ">")
    assert f"<blockquote><p>Disk full on <code>db-7</code> ({link})</p>" in section
    assert "<p>was fine</p></blockquote><pre>df -h\n  x</pre></blockquote><p>— Watch</p>" in section
    assert "&gt;" not in section
    assert "```" not in section


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
@example(ATTACKS[1])
@example(ATTACKS[9])
async def test_no_text_changes_the_structure_of_the_page(shop: Any, text: str) -> None:
    plain = await pages_with(shop, "plain words")
    hostile = await pages_with(shop, text)
    assert hostile.elements == plain.elements
    for link in hostile.links:
        assert link.startswith(("/", "#", "?")) or safe_link(link) == link
        assert not link.startswith("//")


@pytest.mark.parametrize("text", ATTACKS)
async def test_an_attack_is_readable_as_the_text_it_is(shop: Any, text: str) -> None:
    page = await pages_with(shop, text.replace("\x00", "").replace("\x0c", ""))
    assert text.replace("\x00", "").replace("\x0c", "") in "".join(page.words)


async def test_the_list_shows_every_attack_as_text(shop: Any) -> None:
    backend, client, _ = shop
    for number, attack in enumerate(ATTACKS):
        await backend.create(written(f"list-{number}", attack))
    page = Structure((await client.get("/incidents")).text)
    assert {tag for tag, *_ in page.elements} <= {
        *("html", "head", "meta", "title", "link", "body", "a", "header", "footer", "img", "nav", "main"),
        *("h1", "h2", "section", "ul", "li", "p", "span", "time"),
        *("table", "thead", "tbody", "tr", "th", "td", "form", "div", "label", "small", "select", "option"),
        *("input", "details", "summary", "button"),
    }
    assert not any(name.startswith("on") for _, *names in page.elements for name in names)


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,x", ""),
        *("vbscript:x", "file:///etc/passwd", "http://", "https:evil", "http://[", "//evil.example"),
        *("mailto:a@b.c", "/incidents"),
    ],
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert safe_link(address) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "see https://grafana.example.com/d/1?from=now-1h&to=now.",
            "https://grafana.example.com/d/1?from=now-1h&to=now",
        ),
        ("(https://example.com/a)", "https://example.com/a"),
        ("<https://example.com|words>", "https://example.com"),
        ("http://127.0.0.1:8080/incidents/INC-1, then", "http://127.0.0.1:8080/incidents/INC-1"),
        ("https://", None),
        ("https://. and http://[", None),
        ("xhttp", None),
    ],
)
def test_addresses_in_a_summary_can_be_followed(text: str, address: str | None) -> None:
    assert Structure(rich_text(text)).links == ([address] if address else [])


@given(st.text(max_size=200) | st.text("ab*_~<>[]()|@#:/\n-•1. ", max_size=80))
def test_no_letter_is_lost_where_text_is_rendered(text: str) -> None:
    shown = "".join(Structure(rich_text(text)).words)
    assert [letter for letter in text if letter in "ab"] == [one for one in shown if one in "ab"]
