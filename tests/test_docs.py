"""README, the manual, the help text and the manifests say what the code does.

Tables that come from code are renewed by `TOCSIN_RENEW_DOCS=1 .venv/bin/pytest tests/test_docs.py`.
The last column of settings and packages is the page's own: write it for each that is new.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import typer
import yaml
from support import documented
from support.markdown import (
    DOCS,
    PAGES,
    ROOT,
    Row,
    anchors,
    code,
    links,
    paragraphs,
    read,
    table,
    write_table,
)
from test_architecture import MAY_IMPORT
from typer.testing import CliRunner

from slack_emulator.manifest import manifest_errors
from tocsin import manual
from tocsin.cli import FAILED, MISUSED, cli
from tocsin.config import Category, IncidentConfig
from tocsin.incidents.model import FieldKind
from tocsin.incidents.permissions import ENDING
from tocsin.incidents.postmortem import PLACEHOLDERS
from tocsin.incidents.tracker import template_error
from tocsin.rules import CONFIG_KEYS, read_rules
from tocsin.settings import Settings
from tocsin.slack import commands, routes
from tocsin.slack.views.home import help_message

pytestmark = pytest.mark.house

README = ROOT / "README.md"
TESTS = ROOT / "tests" / "README.md"
EXAMPLE = "https://tocsin.example.com"
RENEWS = os.environ.get("TOCSIN_RENEW_DOCS") == "1"
RENEWAL = "renew it with: TOCSIN_RENEW_DOCS=1 .venv/bin/pytest tests/test_docs.py"

LARGEST_README = LARGEST_PAGE = 10_240
"""Bytes."""

EXAMPLES_OF_NAMES = {"checkout"}
"""First words of names of incidents that the tables of the manual declare."""

SAME_WORDS = 12
"""A run of words as long as this is a fact that stands on two pages."""


def settings(page: str, *prefixes: str) -> Callable[[], list[Row]]:
    return lambda: documented.settings(table(DOCS / page, "variable"), *prefixes)


def packages() -> list[Row]:
    return documented.packages(table(DOCS / "build.md", "package"), MAY_IMPORT)


GENERATED: dict[tuple[Path, str], Callable[[], Sequence[Row]]] = {
    (README, "in Slack"): documented.ways_in,
    (README, "page"): documented.manual_pages,
    (DOCS / "run.md", "scope"): documented.scopes,
    (DOCS / "configure.md", "variable"): settings("configure.md"),
    (DOCS / "configure.md", "who"): documented.permissions,
    (DOCS / "incident_io.md", "variable"): settings("incident_io.md", "incident_io_"),
    (DOCS / "incident_io.md", "command"): documented.lacking_in_incident_io,
    (DOCS / "devrev.md", "variable"): settings("devrev.md", "devrev_"),
    (DOCS / "devrev.md", "command"): documented.lacking_in_devrev,
    (DOCS / "operate.md", "on the command line"): documented.command_line,
    (DOCS / "operate.md", "metric"): documented.metrics,
    (DOCS / "proven.md", "measured"): documented.figures,
    (DOCS / "build.md", "package"): packages,
    (DOCS / "api.md", "path"): documented.endpoints,
}


@pytest.mark.parametrize(("page", "first_column"), GENERATED, ids=lambda part: getattr(part, "name", part))
def test_a_table_that_comes_from_code_is_as_the_code_has_it(page: Path, first_column: str) -> None:
    rows = list(GENERATED[page, first_column]())
    if RENEWS:
        write_table(page, first_column, rows)
    assert table(page, first_column) == rows, RENEWAL
    assert all(row[-1] for row in rows), "say what each row is for"


def test_every_setting_is_on_one_page() -> None:
    rows = [row for page in DOCS.glob("*.md") for row in _settings_on(page)]
    assert sorted(rows) == sorted(f"`{name.upper()}`" for name in Settings.model_fields)


def _settings_on(page: Path) -> list[str]:
    return [row[0] for row in table(page, "variable")] if "| variable |" in read(page) else []


# README


def test_readme_is_short() -> None:
    assert README.stat().st_size <= LARGEST_README


def test_the_two_commands_are_on_the_first_screen_as_promised() -> None:
    promised = [
        "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/tocsin playground",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest",
    ]
    assert [line for line in code(README) if "pip install" in line] == promised
    first_screen = read(README).splitlines()[:20]
    assert all(f"    {line}" in first_screen for line in promised)


def test_ci_finds_the_test_line_in_readme() -> None:
    (pattern,) = re.findall(r'grep -m1 -E "([^"]+)" README\.md', (ROOT / ".ci" / "run").read_text())
    found = [line for line in read(README).splitlines() if re.search(pattern, line)]
    assert len(found) == 1


def test_each_number_that_readme_promises_was_found_by_a_test() -> None:
    promises = read(README).partition("## What you can rely on")[2].partition("\n## ")[0]
    numbers = set(re.findall(r"\d[\d,]*\d", promises))
    assert len(re.findall(r"^- \*\*", promises, re.MULTILINE)) == 6
    assert len(numbers) == 5
    assert numbers <= set(re.findall(r"\d[\d,]*\d", read(DOCS / "proven.md")))


# The manual


def test_the_manual_has_exactly_the_pages_that_the_command_names() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} == set(manual.PAGES)
    package_data = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["setuptools"]["package-data"]
    assert "docs/*.md" in package_data["tocsin"]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_is_short_and_says_first_for_whom_it_is(page: Path) -> None:
    assert page.stat().st_size <= LARGEST_PAGE
    title, blank, reader, after, *_ = read(page).splitlines()
    assert title.startswith("# ")
    assert (blank, after) == ("", "")
    assert reader.startswith("For the ")
    assert reader.endswith(".")


def test_a_fact_stands_on_one_page() -> None:
    found = defaultdict[Row, set[str]](set)
    for page in PAGES:
        for words in paragraphs(page):
            for start in range(len(words) - SAME_WORDS + 1):
                found[words[start : start + SAME_WORDS]].add(str(page.relative_to(ROOT)))
    assert [(" ".join(words), pages) for words, pages in found.items() if len(pages) > 1] == []


def test_what_the_manual_lists_in_a_sentence_is_what_there_is() -> None:
    configure, operate = (" ".join(read(DOCS / page).split()) for page in ("configure.md", "operate.md"))
    kinds = re.findall(r"values of `field_type` are ([^.]+)\.", configure)
    categories = re.findall(r"values of `category` are ([^.]+)\.", configure)
    assert _in_code(kinds) == set(get_args(FieldKind))
    assert _in_code(categories) == set(get_args(Category))
    assert _in_code(re.findall(r"ending an incident \(([^)]+)\)", configure)) == set(ENDING)
    assert _in_code(re.findall(r"post-incident document\. ([^;]+) are replaced", configure)) == {
        f"${name}" for name in PLACEHOLDERS
    }
    assert {row[0] for row in table(DOCS / "operate.md", "exit code")} == {"0", str(FAILED), str(MISUSED)}
    assert _in_code(re.findall(r"`--format` is ([^.]+)\.", operate)) == {"markdown", "json", "csv"}


def _in_code(found: Sequence[str]) -> set[str]:
    (sentence,) = found
    return set(re.findall(r"`([^`]+)`", sentence))


def test_the_example_configuration_can_be_used_as_it_stands() -> None:
    named = ("configure", "rules", "actions", "alerts", "webhooks")
    pages = "".join(read(DOCS / f"{page}.md") for page in named)
    examples = re.findall(r"^```toml\n(.*?)^```", pages, re.MULTILINE | re.DOTALL)
    whole = tomllib.loads("\n".join(examples))
    form = IncidentConfig.from_toml(whole, other_keys=CONFIG_KEYS).form()
    rules = read_rules(whole)
    assert set(whole) == {*IncidentConfig.model_fields, *CONFIG_KEYS}
    assert rules.limits.close
    assert "@oncall" in rules.groups
    for rule in rules.rules:
        assert all(any(name == one.name for one in form.severities) for name in rule.severities)
        assert all(any(name == one.name for one in form.incident_types) for name in rule.incident_types)
        assert all(any(name == one.name for one in form.custom_fields) for name in rule.custom_fields)
    assert [severity.name for severity in form.severities] == ["SEV3", "SEV2", "SEV1"]
    assert [kind.name for kind in form.incident_types] == ["Outage", "Security"]


def test_the_example_of_each_tracker_is_an_address_that_can_be_filled_in() -> None:
    rows = table(DOCS / "actions.md", "tracker")
    assert [row[0] for row in rows] == ["GitLab", "Jira", "Linear"]
    assert [template_error(row[1].strip("`")) for row in rows] == [""] * len(rows)


def test_the_plot_is_of_the_run_that_the_manual_has() -> None:
    plot = read(ROOT / "tests/benchmarks/figures.svg")
    assert all(escape(row[2]) in plot for row in documented.figures())


def test_tocsins_own_backend_can_do_everything() -> None:
    assert IncidentConfig().form().lacks == {}
    lacking = [*documented.lacking_in_incident_io(), *documented.lacking_in_devrev()]
    verbs = {row[0].strip("`").removeprefix("/incident ") for row in lacking} - {*documented.LACKING.values()}
    assert verbs <= set(commands.VERBS)


# Every page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.is_file(), target
        assert not anchor or anchor in anchors(target), f"{target}#{anchor}"


def test_the_pages_lead_to_one_another() -> None:
    manifests = ROOT / "manifests" / "README.md"
    leads = {page: {target for target, _ in links(page)} for page in PAGES}
    assert leads[README] >= {*DOCS.glob("*.md"), manifests, TESTS, ROOT / "src/slack_emulator/README.md"}
    assert DOCS / "run.md" in leads[manifests]
    assert manifests in leads[DOCS / "run.md"]
    assert DOCS / "build.md" in leads[TESTS]
    assert TESTS in leads[DOCS / "build.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists(page: Path) -> None:
    wrong = [line for line in code(page) for words in _commands_in(line) if not _is_command(words)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_word_after_the_command_in_a_table_is_a_verb(page: Path) -> None:
    cells = (cell for line in read(page).splitlines() if line.startswith("|") for cell in line.split("|"))
    named = [words for cell in cells for words in re.findall(r"`/incident ([a-z][\w-]*)", cell)]
    assert [word for word in named if word not in {*commands.SPELLINGS, *EXAMPLES_OF_NAMES}] == []


def _commands_in(line: str) -> Iterator[list[str]]:
    """The words that follow each `tocsin` in a line of shell."""
    for command in re.split(r"&&|\||>", re.sub(r"…|[\[\]]", " ", line)):
        words = command.split()
        if words and words[0].rpartition("/")[2] == "tocsin" and "=" not in command:
            yield words[1:]


def _is_command(words: Sequence[str]) -> bool:
    command: Any = typer.main.get_command(cli)
    for n, word in enumerate(words):
        inner = getattr(command, "commands", None)
        if inner is None:
            options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            page = words[n] if command.name == "docs" and words[n].islower() else manual.PAGES[0]
            return page in manual.PAGES and {rest for rest in words[n:] if rest.startswith("--")} <= options
        if word.startswith("--"):
            return any(word in one.opts for one in command.params)
        if word not in inner:
            return False
        command = inner[word]
    return True


@cache
def _tests() -> str:
    """The code of the tests, which have variables of their own."""
    return "".join(read(path) for path in ROOT.glob("tests/**/*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"\b(?:SLACK|TOCSIN|INCIDENT_IO|DEVREV)_[A-Z_]*[A-Z]\b", read(page)))
    of_tests = {name for name in named if f'environ.get("{name}")' in _tests()}
    assert named - of_tests <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_is_named_exists(page: Path) -> None:
    words = [word for line in code(page) for word in line.split()]
    from_top = re.compile(r"(?:src|tests|manifests|\.ci)/[\w./-]+")
    paths = [ROOT / word for word in words if from_top.fullmatch(word)]
    modules = [re.search(r"python -m (tests\.[\w.]+)", line) for line in code(page)]
    paths += [ROOT / found[1].replace(".", "/") / "__main__.py" for found in modules if found]
    if page == TESTS:
        paths += [TESTS.parent / word for word in words if re.fullmatch(r"\w+/\w+\.(py|json)", word)]
        paths += [TESTS.parent / name for row in table(TESTS, "folder") for name in _in_code([row[0]])]
    assert [str(path.relative_to(ROOT)) for path in paths if not path.exists()] == []


def test_the_checklist_for_a_verb_names_what_is_in_each_file() -> None:
    checklist = read(DOCS / "build.md").partition("## Add a verb")[2]
    items = [
        re.findall(r"`([^`]+)`", item) for item in re.split(r"^\d+\. ", checklist, flags=re.MULTILINE)[1:]
    ]
    places = [(ROOT / first, rest) for first, *rest in items if first.startswith("src/")]
    assert len(places) >= 5
    for place, names in places:
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        text = "".join(f"{file.name}\n{read(file)}" for file in files)
        assert [name for name in names if name not in text and " " not in name] == [], place


def test_tests_readme_has_every_marker() -> None:
    markers = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["pytest"]["ini_options"]["markers"]
    named = {name for row in table(TESTS, "marker") for name in _in_code([row[0]])}
    assert named == {re.split(r"[(:]", marker)[0] for marker in markers}


@pytest.mark.parametrize(
    ("page", "command"),
    [(TESTS, r'-m "(benchmark[^"]+)"'), (DOCS / "proven.md", r"-m '(benchmark[^']+)'")],
)
def test_the_command_that_measures_has_the_machine_to_itself(
    page: Path, command: str, pytestconfig: pytest.Config
) -> None:
    asked = re.search(command, read(page))
    assert asked is not None
    config = SimpleNamespace(args=["tests/benchmarks"], option=SimpleNamespace(markexpr=asked[1]))
    assert pytestconfig.hook.pytest_xdist_auto_num_workers(config=config) == 0


# The help text and the manifests


def test_each_slack_manifest_is_made_as_its_row_says() -> None:
    page = ROOT / "manifests" / "README.md"
    rows = table(page, "manifest")
    made = {page.parent / re.findall(r"\(([^)]+)\)", row[0])[0]: row[2].strip("`") for row in rows}
    assert set(made) == {page.parent / "../app_manifest.yml", *page.parent.glob("slack/*")}
    for path, options in made.items():
        printed = CliRunner().invoke(cli, ["manifest", *shlex.split(options)])
        assert printed.stdout == read(path), path


def test_help_in_slack_names_every_way_in() -> None:
    text, blocks = help_message(("Here", routes.help_here()), ("Anywhere", routes.help_anywhere()))
    shown = json.dumps([block.to_dict() for block in blocks], ensure_ascii=False)
    for said in [verb.does for verb in commands.VERBS.values()] + [
        route.description for route in routes.SHORTCUTS.values()
    ]:
        assert said in text
        assert said in shown


@pytest.mark.parametrize(
    ("path", "http"), [("app_manifest.yml", None), ("manifests/slack/http.yml", EXAMPLE)]
)
def test_the_kept_manifest_is_what_the_bot_needs_and_slack_takes(path: str, http: str | None) -> None:
    kept = yaml.safe_load(read(ROOT / path))
    assert kept == routes.manifest(http)
    assert manifest_errors(kept) == []
