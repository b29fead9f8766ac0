"""What README, the help text and the manifests say is what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from slack_emulator.manifest_rules import manifest_errors
from tocsin.backends.devrev import changes as devrev
from tocsin.backends.incident_io import form as incident_io
from tocsin.cli import cli
from tocsin.config import KEYS, Catalogue, read_rules
from tocsin.settings import Settings
from tocsin.slack import commands, routes
from tocsin.slack.views.home import help_message

pytestmark = pytest.mark.house

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOORS = {"message": "on a message", "global": "in the shortcuts menu"}
EXAMPLE = "https://tocsin.example.com"


def table(first_column: str) -> list[tuple[str, ...]]:
    """The rows of README's table whose first column has this head."""
    lines = iter(README.splitlines())
    next(line for line in lines if line.startswith(f"| {first_column} |"))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
    return rows


def commands_of(command: Any, name: str) -> Iterator[str]:
    """A command, or the commands in a group of them, as they are typed."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name
    else:
        for word, under in inner.items():
            yield from commands_of(under, f"{name} {word}")


def code_lines() -> list[str]:
    return [line.removeprefix("    ") for line in README.splitlines() if line.startswith("    ")]


def test_the_two_commands_are_on_the_first_screen_as_promised() -> None:
    promised = [
        "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/tocsin playground",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest",
    ]
    assert [line for line in code_lines() if "pip install" in line] == promised
    first_screen = README.splitlines()[:20]
    assert all(f"    {line}" in first_screen for line in promised)


def test_readme_lists_every_command_and_shortcut_as_the_bot_has_them() -> None:
    verbs = [(f"`{verb.usage}`", verb.does) for verb in commands.VERBS.values()]
    shortcuts = [(f"*{s.name}* ({DOORS[s.type]})", s.description) for s in routes.SHORTCUTS.values()]
    steps = [
        (f"*{step['title']}* (in Workflow Builder)", step["description"]) for step in routes.STEPS.values()
    ]
    assert table("in Slack") == [*verbs, *shortcuts, *steps]


def test_readme_has_the_figures_of_the_last_whole_benchmark_run() -> None:
    figures = json.loads((ROOT / "tests/benchmarks/figures.json").read_text(encoding="utf-8"))
    columns = ("metric", "compared_with", "measured", "target")
    rows = [(*(row[column] for column in columns), "yes" if row["met"] else "no") for row in figures]
    assert table("measured") == rows
    plot = (ROOT / "tests/benchmarks/figures.svg").read_text(encoding="utf-8")
    assert all(escape(row["measured"]) in plot for row in figures)


NAMED = {"taking a 📌 off": "unnote", "accepting from triage": "accept"}
"""What is in README's table of what is not everywhere, and is no command."""


def test_readme_says_what_each_backend_cannot_do_in_the_words_people_read() -> None:
    rows = {
        NAMED.get(row[0], row[0].strip("`").removeprefix("/incident ")): row[1:]
        for row in table("not everywhere")
    }
    assert set(rows) == {*incident_io.LACKS, *devrev.LACKS}
    for verb, said in rows.items():
        assert said == (incident_io.LACKS.get(verb, "yes"), devrev.LACKS.get(verb, "yes"))
        assert verb in {*commands.VERBS, *NAMED.values()}
    assert Catalogue().form().lacks == {}


def test_readme_lists_every_scope_with_its_reason() -> None:
    assert table("scope") == [(f"`{scope}`", reason) for scope, reason in routes.SCOPES.items()]


def test_readme_lists_every_setting_with_its_default() -> None:
    rows = {row[0].strip("`"): row[1] for row in table("variable")}
    assert list(rows) == [name.upper() for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            assert rows[name.upper()] == f"`{field.default}`"


def test_readme_lists_every_command_of_the_command_line() -> None:
    named = {re.sub(r" [\[A-Z].*", "", row[0].strip("`")) for row in table("on the command line")}
    assert named == set(commands_of(typer.main.get_command(cli), "tocsin"))


def test_help_in_slack_names_every_way_in() -> None:
    text, blocks = help_message(("Here", routes.help_here()), ("Anywhere", routes.help_anywhere()))
    shown = json.dumps([block.to_dict() for block in blocks], ensure_ascii=False)
    for said in [verb.does for verb in commands.VERBS.values()] + [
        route.description for route in routes.SHORTCUTS.values()
    ]:
        assert said in text
        assert said in shown


def test_the_example_configuration_can_be_used_as_it_stands() -> None:
    examples = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    whole = tomllib.loads("\n".join(examples))
    form = Catalogue.from_toml(whole, elsewhere=KEYS).form()
    rules = read_rules(whole)
    assert rules.limits.close
    assert "@oncall" in rules.groups
    for rule in rules.rules:
        assert all(any(name == one.name for one in form.severities) for name in rule.severities)
        assert all(any(name == one.name for one in form.incident_types) for name in rule.incident_types)
        assert all(any(name == one.name for one in form.custom_fields) for name in rule.custom_fields)
    assert [severity.name for severity in form.severities] == ["SEV3", "SEV2", "SEV1"]
    assert [kind.name for kind in form.incident_types] == ["Outage", "Security"]


def test_every_file_that_readme_shows_or_links_to_is_there() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).is_file()] == []


@pytest.mark.parametrize(
    ("path", "http"), [("app_manifest.yml", None), ("manifests/slack/http.yml", EXAMPLE)]
)
def test_the_kept_manifest_is_what_the_bot_needs_and_slack_takes(path: str, http: str | None) -> None:
    kept = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    assert kept == routes.manifest(http)
    assert manifest_errors(kept) == []


def test_ci_finds_the_test_line_in_readme() -> None:
    (pattern,) = re.findall(r'grep -m1 -E "([^"]+)" README\.md', (ROOT / ".ci" / "run").read_text())
    found = [line for line in README.splitlines() if re.search(pattern, line)]
    assert len(found) == 1
