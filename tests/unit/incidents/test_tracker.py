"""Issues of follow-ups: the address of the tracker's form, and links that people paste."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.incidents import DAWN, incident

from tocsin.incidents.model import ExternalIssue, FollowUp
from tocsin.incidents.tracker import BUTTON_URL_LIMIT, Tracker, issue_at
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError

GITHUB = Tracker(url="https://github.com/acme/web/issues/new?title={title}&body={body}")
LINK = "https://github.com/acme/web/issues/12"


def follow_up(text: str = "write an alert", **more: Any) -> FollowUp:
    return FollowUp(
        **{"id": "1", "incident_id": "1", "kind": "follow_up", "text": text, "created_at": DAWN, **more}
    )


def filled(tracker: Tracker, item: FollowUp, **about: Any) -> dict[str, list[str]]:
    url = tracker.new_issue_url(incident(**about), item)
    assert url is not None
    assert len(url) <= BUTTON_URL_LIMIT
    assert url.isascii()
    return parse_qs(urlsplit(url).query, strict_parsing=True)


def test_the_form_of_a_new_issue_is_filled_in_and_nothing_breaks_out_of_its_place() -> None:
    said = "rewrite a&b=c #1 {x} +%20 “für” <!channel>"
    query = filled(GITHUB, follow_up(said), summary="It was\nthe disk & the clock")
    assert query["title"] == [said]
    (body,) = query["body"]
    assert body.startswith(f"{said}\n\nFollow-up of incident INC-12: Checkout is slow\nhttp://127.0.0.1")
    assert body.endswith("It was\nthe disk & the clock")
    linear = Tracker(
        url="https://linear.app/acme/new?title={title}&ref={reference}%20{severity}&at={permalink}"
    )
    assert filled(linear, follow_up())["ref"] == ["INC-12 Major"]


def test_of_a_private_incident_the_address_has_no_more_than_the_follow_up_and_where_it_is() -> None:
    about = {"visibility": "private", "name": "Keys leaked", "summary": "The vault is open"}
    (body,) = filled(GITHUB, follow_up(), **about)["body"]
    assert body.splitlines() == [
        "write an alert",
        "",
        "Follow-up of incident INC-12",
        "http://127.0.0.1:8080/incidents/INC-12",
    ]


@pytest.mark.parametrize("letter", ["x", "é", "字", "🔥", "%"])
def test_a_long_body_is_cut_and_the_address_still_fits_into_a_button(letter: str) -> None:
    query = filled(GITHUB, follow_up(letter * 4000), summary=letter * 9000)
    assert set(query["title"][0]) <= {letter, "…"}
    assert query["body"][0].endswith("…")


def test_an_issue_is_opened_for_a_follow_up_that_is_not_done_and_has_none() -> None:
    for item in (
        follow_up(kind="action"),
        follow_up(is_done=True),
        follow_up(external_issue_reference=ExternalIssue(issue_permalink=LINK)),
    ):
        assert GITHUB.new_issue_url(incident(), item) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LINK, (LINK, "")),
        (f"<{LINK}>", (LINK, "")),
        (f"<{LINK}|github.com/acme/web/issues/12>", (LINK, "")),
        (f"write an alert: {LINK}.", (LINK, "write an alert")),
        (
            f"see <https://example.com/a> and <{LINK}?a=1&amp;b=2>",
            (f"{LINK}?a=1&b=2", "see <https://example.com/a> and"),
        ),
        (f"{LINK} {LINK}3", None),
        ("https://github.com.evil.example/acme/web/issues/12", None),
        ("write an alert", None),
    ],
)
def test_a_pasted_link_is_known_by_the_trackers_host(text: str, found: tuple[str, str] | None) -> None:
    assert GITHUB.link_in(text) == found


@pytest.mark.parametrize(
    ("url", "provider", "name"),
    [
        (LINK, "github", "#12"),
        ("https://gitlab.example.com/acme/web/-/issues/7", "gitlab", "#7"),
        ("https://acme.atlassian.net/browse/OPS-42", "jira", "OPS-42"),
        ("https://linear.app/acme/issue/eng-9/write-an-alert", "linear", "ENG-9"),
        ("https://tracker.example.com/t/5", "", ""),
    ],
)
def test_an_issue_is_named_as_its_tracker_names_it(url: str, provider: str, name: str) -> None:
    assert issue_at(url) == ExternalIssue(provider=provider, issue_name=name, issue_permalink=url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://tracker.example.com/new?title={title}", "begins with https://"),
        ("https://{title}.example.com/", "begins with https://"),
        ("https://tracker.example.com/new", "give {title}"),
        ("https://tracker.example.com/new?title={title}&at={when}", "{when} is no placeholder"),
        ("https://tracker.example.com/new?title={title!r}", "is no placeholder"),
        ("https://tracker.example.com/new?title={title", "a brace has no partner"),
        (f"https://tracker.example.com/{'x' * 1000}?title={{title}}", "shorten it"),
    ],
)
def test_a_wrong_address_of_a_tracker_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=r"tracker\.url") as raised:
        read_rules({"tracker": {"url": url}})
    assert why in str(raised.value)
