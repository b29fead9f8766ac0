"""What paging services are sent fits what they take, and a key is looked at without using it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.incidents import incident
from support.paging import CREATE_LIMITS, SECRET, VARIABLES

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Person, Status
from tocsin.incidents.paging import Page, bare_event, check_pageable, page_event, question_before
from tocsin.paging import examine, open_targets
from tocsin.paging.opsgenie import alert
from tocsin.paging.pagerduty import enqueued
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError
from tocsin.webhooks.signing import signature, signing_key

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ANA = Person(name="Ana Ferreira")
PAGE = Page(key="k", incident_id="1", target="payments", service="PagerDuty", by=ANA, at=AT, why="w" * 500)
ENTRY = {"name": "payments", "provider": "pagerduty", "key_variable": "TEST_PAGERDUTY_KEY"}


def test_the_longest_name_and_reason_fit_what_each_service_takes() -> None:
    long = incident(name="n" * 200, permalink="https://tocsin.example.com/incidents/INC-1")
    event = page_event("trigger", PAGE, long, by=ANA, at=AT)
    assert (
        len(enqueued(event.model_copy(update={"summary": "s" * 2000}), "r" * 32)["payload"]["summary"])
        == 1024
    )
    body = alert(event, "Payments")
    assert all(len(body.get(name, "")) <= limit for name, limit in CREATE_LIMITS.items())
    assert body["responders"] == [{"name": "Payments", "type": "team"}]


def test_of_a_private_incident_only_reference_and_link_are_told() -> None:
    secret = incident(name="a secret leak", summary="very secret", permalink="https://example.com/INC-1")
    event = bare_event("trigger", PAGE, secret, at=AT)
    assert event.permalink == "https://example.com/INC-1"
    assert not any(word in event.model_dump_json() for word in ("secret", "leak", "www", "Ana"))


def test_a_webhook_is_signed_as_the_specification_shows() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_???", SECRET.removeprefix("whsec_")]
)
def test_what_is_no_signing_secret_is_not_taken_for_one(secret: str) -> None:
    assert signing_key(secret) is None


def test_nobody_is_paged_for_a_test_or_an_incident_that_has_ended() -> None:
    with pytest.raises(Refused, match="is a test"):
        check_pageable(incident(mode="test"))
    with pytest.raises(Refused, match="is closed"):
        check_pageable(incident(incident_status=Status(id="closed", name="Closed", category="closed")))


def test_another_page_is_asked_about_for_ten_minutes() -> None:
    asked = "payments was paged 2 minutes ago by Ana Ferreira; page again?"
    assert question_before(PAGE, AT + timedelta(minutes=2)) == asked
    assert question_before(PAGE, AT + timedelta(minutes=10)) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key_variable": "whsec_abc"}, "key_variable: give the name of an environment variable"),
        ({"url": "http://pager.example.com"}, "url: give an address that begins with https://"),
        ({"provider": "webhook"}, "a webhook needs a url"),
        ({"team": "Payments"}, "team is for provider = 'opsgenie' alone"),
        ({"provider": "pager"}, "provider: "),
    ],
)
def test_a_slip_in_an_entry_is_told_by_its_key(change: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match="paging") as wrong:
        read_rules({"paging": [ENTRY | change]})
    assert said in str(wrong.value)


async def test_a_key_that_is_not_set_ends_the_start_without_its_name_which_may_be_the_key() -> None:
    entries = read_rules({"paging": [ENTRY]}).paging
    with pytest.raises(ConfigurationError) as wrong:
        async with open_targets(entries, lambda name: "", lambda: AT):
            pass
    assert str(wrong.value).startswith("TOCSIN_CONFIG: paging[1].key_variable: no environment variable")
    assert "TEST_PAGERDUTY_KEY" not in str(wrong.value)


async def test_the_playground_reaches_only_services_on_this_machine() -> None:
    here: dict[str, Any] = ENTRY | {"name": "here", "url": "http://127.0.0.1:1"}
    entries = read_rules({"paging": [ENTRY, here]}).paging
    async with open_targets(entries, VARIABLES.__getitem__, lambda: AT, here_only=True) as targets:
        assert [target.name for target in targets] == ["here"]


def test_the_doctor_tells_a_key_of_the_wrong_form_without_showing_it() -> None:
    entries = read_rules({"paging": [ENTRY]}).paging
    assert [check.ok for check in examine(entries, VARIABLES.__getitem__)] == [True]
    (check,) = examine(entries, lambda name: "not-a-key")
    assert not check.ok
    assert "not-a-key" not in check.said + check.fix
