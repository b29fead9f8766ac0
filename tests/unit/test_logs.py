"""Nothing secret is ever in a log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from pydantic import BaseModel
from support.first_files import poll_often

from tocsin import logs
from tocsin.storage.database import Database
from tocsin.storage.workflow_engine import DbosEngine

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


async def test_what_the_journal_complains_of_goes_through_the_same_door(
    written: io.StringIO, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = DbosEngine(Database(f"sqlite:///{tmp_path / 'journal.db'}"))
    poll_often(journal)
    journal.open()
    logging.getLogger("dbos").error("could not go on with %s", SECRETS[0])
    await journal.close()
    assert logs.HIDDEN in written.getvalue()
    assert SECRETS[0] not in written.getvalue() + capfd.readouterr().err


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


class Form(BaseModel):
    severity: int


def test_what_people_wrote_is_not_told_by_the_exceptions_that_would_quote_it(written: io.StringIO) -> None:
    typed = "the payroll is out in the open"
    log = structlog.get_logger()
    try:
        Form.model_validate({"severity": typed})
    except ValueError:
        log.exception("failed", doing="read a form")
        logging.getLogger("some.library").exception("could not read it")
    engine = sa.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("INSERT INTO nowhere VALUES (:typed)"), {"typed": typed})
    except sa.exc.SQLAlchemyError as error:
        try:
            raise RuntimeError("not kept") from error
        except RuntimeError:
            log.exception("failed", doing="keep it")
    said = written.getvalue()
    assert typed not in said
    for told in ("severity: int_parsing", "no such table: nowhere", "RuntimeError: not kept"):
        assert told in said


def test_what_goes_by_the_name_of_a_secret_is_hidden_whatever_it_looks_like(written: io.StringIO) -> None:
    structlog.get_logger().warning("x", token="short", response_url="http://127.0.0.1/r/1", kind="kept")
    assert "short" not in written.getvalue()
    assert "/r/1" not in written.getvalue()
    assert "kept" in written.getvalue()


def test_ordinary_words_stay_as_they_are(written: io.StringIO) -> None:
    structlog.get_logger().info("declared", reference="INC-12", at="1653650280.526509")
    assert "INC-12" in written.getvalue()
    assert "1653650280.526509" in written.getvalue()
