"""Nothing secret is ever in a log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from tocsin import logs

SECRETS = [
    "xoxb-1234567890-abcdefghijkl",
    "xoxe.xoxb-1-Mi0yLTEyMzQ1Njc4OTA",
    "xapp-1-A0000-1234567890-abcdef0123456789",
    "v0=" + "ab" * 32,
    "12345678901.98765432109.0123456789abcdef0123456789abcdef",
]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    level, handlers = logging.getLogger().level, logging.getLogger().handlers[:]
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    structlog.reset_defaults()
    logging.basicConfig(level=level, handlers=handlers, force=True)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_token_signature_or_trigger_reaches_the_log(written: io.StringIO, secret: str) -> None:
    structlog.get_logger().warning("refused", given=secret)
    logging.getLogger("some.library").error("could not use %s", secret)
    assert secret not in written.getvalue()
    assert written.getvalue().count(logs.HIDDEN) == 2


def test_response_addresses_and_bearer_tokens_are_hidden(written: io.StringIO) -> None:
    structlog.get_logger().warning(
        "x", url="https://hooks.slack.com/commands/T1/2/three", sent="Bearer key_9"
    )
    assert "three" not in written.getvalue()
    assert "k_9" not in written.getvalue()


def test_a_traceback_says_where_and_what_but_never_what_was_in_the_variables(written: io.StringIO) -> None:
    password = "open sesame"
    try:
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger().exception("failed", doing="open the door")
    said = written.getvalue()
    assert "ValueError: 11" in said
    assert "open the door" in said
    assert said.count(password) <= 1, "the line of source is shown, the variable's value is not"
    assert "locals" not in said


def test_ordinary_words_stay_as_they_are(written: io.StringIO) -> None:
    structlog.get_logger().info("declared", reference="INC-12", at="1653650280.526509")
    assert "INC-12" in written.getvalue()
    assert "1653650280.526509" in written.getvalue()
