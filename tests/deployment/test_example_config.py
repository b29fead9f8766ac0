"""The example of the configuration file has every table and key there is, and can be used as it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from typer.testing import CliRunner

from tocsin.cli import cli
from tocsin.config import IncidentConfig
from tocsin.data_dir import config_problems
from tocsin.rule_names import unknown_names
from tocsin.rules import CONFIG_KEYS, Config, read_rules
from tocsin.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "manifests" / "tocsin.example.toml"
TEXT = EXAMPLE.read_text()
OF_A_FILE = re.compile(r"^# (\w+ = .*)$", re.MULTILINE)
"""A key whose value is a file, which there is none of beside the example."""


def ran(*words: str, **settings: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(cli, ["config", *words], env=settings)
    said = ended.stderr or (str(ended.exception) if ended.exception else "")
    return ended.exit_code, ended.stdout, said


def keys_of(model: type[BaseModel], place: str = "") -> Iterator[str]:
    """Every key that the table may have, with those of the tables in it."""
    for name, field in model.model_fields.items():
        yield f"{place}{name}"
        for inner in _models_in(field.annotation):
            yield from keys_of(inner, f"{place}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def keys_in(given: Mapping[str, Any], known: set[str], place: str = "") -> Iterator[str]:
    """Every key of a table that was parsed; a table of people's own names, such as labels, is one key."""
    for name, value in given.items():
        yield f"{place}{name}"
        if any(key.startswith(f"{place}{name}.") for key in known):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Mapping):
                    yield from keys_in(part, known, f"{place}{name}.")


def test_no_table_and_no_key_of_the_configuration_is_missing_from_the_example() -> None:
    known = {*keys_of(IncidentConfig), *keys_of(Config)} - {"template"}
    whole = tomllib.loads(OF_A_FILE.sub(r"\1", TEXT))
    shown = set(keys_in(whole, known))
    assert sorted(known - shown) == []
    assert sorted(shown - known) == []
    assert len(known) > 100


def test_every_table_has_a_comment_above_it() -> None:
    lines = TEXT.splitlines()
    first = {line: n for n, line in reversed(list(enumerate(lines))) if re.match(r"\[+[a-z_]+\]", line)}
    assert [line for line, n in first.items() if not lines[n - 1].startswith("# ")] == []


def test_the_example_can_be_used_as_it_stands_and_names_only_what_it_has() -> None:
    assert ran("--check", str(EXAMPLE)) == (0, f"{EXAMPLE} is valid.\n", "")
    whole = tomllib.loads(TEXT)
    config = IncidentConfig.from_toml(whole, other_keys=CONFIG_KEYS)
    assert unknown_names(read_rules(whole), config, config.form()) == []


def test_the_command_prints_exactly_the_file_in_manifests() -> None:
    assert ran("--example") == (0, TEXT, "")


def test_each_error_is_a_line_that_names_the_key_for_the_command_and_for_doctor(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('severites = ["A"]\n[after]\narchive_after_days = 0\n[[calls]]\nurl = "phone"\n')
    code, out, said = ran("--check", TOCSIN_CONFIG=str(wrong))
    assert (code != 0, out) == (True, "")
    assert said.splitlines() == [
        "severites: no such key; did you mean severities?",
        "calls[1].url: give a link that starts with https:// or http://, or 'huddle'.",
        "after.archive_after_days: input should be greater than or equal to 1.",
    ]
    assert config_problems(Settings(tocsin_config=wrong)) == said.splitlines()


def test_a_file_that_is_not_there_or_not_named_is_said_in_a_line(tmp_path: Path) -> None:
    torn = tmp_path / "torn.toml"
    torn.write_text("[after\n")
    none = tmp_path / "none.toml"
    for words, begins in (
        (["--check"], "TOCSIN_CONFIG is not set"),
        (["--check", str(none)], f"{none} cannot be read: No such file or directory."),
        (["--check", str(torn)], f"{torn} is not valid TOML: "),
    ):
        code, _, said = ran(*words)
        assert code != 0
        assert len(said.splitlines()) == 1
        assert said.startswith(begins)
    assert ran()[0] == ran("--example", "--check")[0] == 2
