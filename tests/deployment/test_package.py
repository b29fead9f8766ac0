"""The package: its version, the Pythons and the packages that it names, and the wheel that is made of it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from measures import nodes_of
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner

from tocsin import USER_AGENT, __version__
from tocsin.cli import cli

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]
NEEDED_UNSEEN = {
    "psycopg": "SQLAlchemy and DBOS load it by the address of the database",
    "python-multipart": "Starlette loads it when a form is posted",
}
"""Dependencies that no module imports by name."""

COME_ALONG = {
    "h11": "uvicorn's HTTP, whose time we limit",
    "markupsafe": "Jinja2's text that is safe",
    "pydantic-core": "pydantic's errors and its JSON",
    "pytest": "it loads the emulator's plugin itself",
    "pytest-asyncio": "the same",
}
"""Packages that are imported by name and belong to one that is named."""

AT_MOST = {"slack_emulator/README.md"}
"""Files beside the code that stay in the repository."""


def pythons() -> list[str]:
    """The Python versions of the classifiers, such as 3.11."""
    named = (one.rpartition(" :: ")[2] for one in PROJECT["classifiers"])
    return [version for version in named if re.fullmatch(r"3\.\d+", version)]


def test_the_version_stands_in_one_place_and_the_command_prints_it() -> None:
    printed = CliRunner().invoke(cli, ["--version"])
    assert (printed.exit_code, printed.stdout) == (0, f"tocsin {__version__}\n")
    assert USER_AGENT.endswith(__version__)
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    quoted = re.compile(rf"""["']{re.escape(__version__)}["']""")
    assert [path.name for path in ROOT.glob("src/**/*.py") if quoted.search(path.read_text())] == [
        "__init__.py"
    ]


def test_each_python_that_may_install_it_is_named_and_no_other() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert pythons() == [f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}.5")]
    readme = (ROOT / "README.md").read_text()
    assert f"Python {pythons()[0]} to {pythons()[-1]}" in readme


def test_each_dependency_has_a_line_that_says_why() -> None:
    lines = TEXT.partition("dependencies = [")[2].partition("]\n\n")[0].splitlines()[1:]
    named = [n for n, line in enumerate(lines) if line.strip().startswith('"')]
    assert len(named) == len(PROJECT["dependencies"])
    assert [lines[n] for n in named if not lines[n - 1].strip().startswith("# ")] == []


def test_each_package_that_is_imported_is_named_and_each_that_is_named_is_imported() -> None:
    distributions = packages_distributions()
    imported = set(_imported())
    outside = {_known(distributions[name][0]) for name in imported if name in distributions}
    named = {_known(Requirement(one).name) for one in PROJECT["dependencies"]}
    assert outside - named - {"tocsin"} == COME_ALONG.keys()
    assert named - outside == NEEDED_UNSEEN.keys()


def _known(name: str) -> str:
    return name.lower().replace("_", "-")


def _imported() -> Iterator[str]:
    for path in ROOT.glob("src/**/*.py"):
        for node in nodes_of(path):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).partition(".")[0]


# The wheel. It is built once and its commands run in a process that never sees the clone: what a command
# reads and the wheel lacks would be found by nobody else but the person who installs it.


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel has, as pip would put it into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        clone.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == f"tocsin-{__version__}-py3-none-any.whl"
    shutil.rmtree(clone)
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def _environment(installed: Path, home: Path) -> dict[str, str]:
    ours = ("TOCSIN_", "SLACK_", "INCIDENT_IO_", "DEVREV_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    folders = {"PYTHONPATH": str(installed), "HOME": str(home), "XDG_DATA_HOME": str(home)}
    # What is compiled would lie among the files of the wheel, which another test looks at.
    return {**kept, **folders, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.process
def test_the_wheel_has_every_file_of_the_package(installed: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    ours = {name.removeprefix("src/") for name in found if name and (ROOT / name).is_file()}
    packed = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {name for name in packed if ".dist-info/" not in name} == ours - AT_MOST
    assert f"tocsin-{__version__}.dist-info/licenses/LICENSE" in packed


COMMANDS = """
import json, sys, tocsin
from tocsin.cli import cli
from typer.testing import CliRunner
ended = {line: CliRunner().invoke(cli, line.split()) for line in sys.argv[1:]}
said = {line: [one.exit_code, one.stdout, one.stderr] for line, one in ended.items()}
print(json.dumps([tocsin.__file__, said]))
"""


@pytest.mark.process
def test_every_command_that_reads_a_file_of_the_package_works_from_the_wheel(
    installed: Path, tmp_path: Path
) -> None:
    asked = ["--version", "docs", "docs use", "manifest", "config --example", "incidents list"]
    ended = subprocess.run(
        [sys.executable, "-c", COMMANDS, *asked],
        cwd=tmp_path,
        env=_environment(installed, tmp_path),
        capture_output=True,
        text=True,
    )
    place, said = json.loads(ended.stdout)
    assert place == str(installed / "tocsin" / "__init__.py")
    assert {line: code for line, (code, _, _) in said.items()} == dict.fromkeys(asked, 0)
    assert said["manifest"][1] == (ROOT / "app_manifest.yml").read_text()
    assert said["docs use"][1] == (ROOT / "src/tocsin/docs/use.md").read_text()
    assert said["config --example"][1] == (ROOT / "manifests/tocsin.example.toml").read_text()
    assert said["incidents list"][2] == "No incidents yet.\n"


@pytest.mark.process
def test_the_playground_starts_from_the_wheel_alone_and_shows_its_pages(
    installed: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tocsin", "playground", "--no-browser", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=_environment(installed, tmp_path), stdout=subprocess.PIPE, text=True
    ) as playground:
        assert playground.stdout is not None
        found = (re.search(r"http://[\d.]+:\d+/\?token=\S+", line) for line in playground.stdout)
        address = next(one[0] for one in found if one)
        browser = build_opener(HTTPCookieProcessor())
        with browser.open(address) as workspace:
            assert b'id="composer"' in workspace.read()
        with browser.open(address.partition("/?")[0] + "/incidents") as pages:
            assert f"Tocsin {__version__}</footer>" in pages.read().decode()
        playground.send_signal(signal.SIGINT)
        assert playground.wait() == 0
