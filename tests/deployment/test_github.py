"""What GitHub reads: workflows, forms and addresses that fit together, and a release that can be made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from support.markdown import links
from test_package import pythons

from tocsin import __version__
from tocsin.cli import cli

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("workflows/*.yml")}
FORMS = sorted(FOLDER.glob("ISSUE_TEMPLATE/*.yml"))
CONTAINERFILE = ROOT / "manifests" / "container" / "Containerfile"
INPUTS = {"textarea", "input", "dropdown", "checkboxes", "markdown"}
"""Kinds of parts of a form (GitHub, "Syntax for GitHub's form schema")."""


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        for job_id, job in workflow["jobs"].items():
            yield f"{name}.{job_id}", job


def steps() -> Iterator[dict[str, Any]]:
    for _, job in jobs():
        yield from job.get("steps", ())


def scripts() -> str:
    return "\n".join(step["run"] for step in steps() if "run" in step)


def test_ci_runs_what_everybody_runs_on_every_python_that_may_install_it() -> None:
    tests = WORKFLOWS["ci"]["jobs"]["tests"]
    assert ".ci/run" in [step.get("run") for step in tests["steps"]]
    assert tests["env"]["CI"] == "true"
    assert tests["container"]["image"] == "python:${{ matrix.python }}-slim-bookworm"
    matrices = [job["strategy"]["matrix"]["python"] for _, job in jobs() if "strategy" in job]
    assert len(matrices) == 2
    assert all(matrix == pythons() for matrix in matrices)
    (built_with,) = [
        s["with"]["python-version"]
        for s in WORKFLOWS["release"]["jobs"]["package"]["steps"]
        if "python-version" in s.get("with", {})
    ]
    assert built_with == pythons()[-1]


def test_each_action_is_pinned_to_one_commit_with_its_version_and_each_local_workflow_exists() -> None:
    pins = defaultdict[str, set[str]](set)
    for path in FOLDER.glob("workflows/*.yml"):
        for uses in re.findall(r"^ +(?:- )?uses: (.+)$", path.read_text(), re.MULTILINE):
            if uses.startswith("./"):
                assert (ROOT / uses).is_file(), uses
            else:
                name, _, pin = uses.partition("@")
                assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), uses
                pins[name].add(pin)
    assert len(pins) >= 5
    assert all(len(found) == 1 for found in pins.values()), pins


def test_each_job_may_do_little_and_ends_in_time() -> None:
    assert WORKFLOWS["ci"]["permissions"] == {"contents": "read"}
    assert WORKFLOWS["release"]["permissions"] == {}
    for name, job in jobs():
        given = job.get("permissions", {})
        assert name.startswith("ci.") or given, name
        writes = {right for right, level in given.items() if level == "write"}
        assert ("contents" in writes) == (name == "release.release"), name
        assert ("packages" in writes) == (name == "release.image"), name
        assert "uses" in job or job["timeout-minutes"] <= 60, name
    for step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_no_script_takes_words_from_outside_and_no_secret_is_needed() -> None:
    assert "${{" not in scripts()
    whole = "".join(path.read_text() for path in FOLDER.glob("workflows/*.yml"))
    assert set(re.findall(r"secrets\.(\w+)", whole)) == {"GITHUB_TOKEN"}
    assert "pull_request_target" not in whole


def test_each_file_and_command_that_a_script_names_exists() -> None:
    named = set(re.findall(r"(?<![\w/])(?:\.ci|manifests|src)/[\w./-]+|app_manifest\.yml", scripts()))
    named |= {
        step["with"][key] for step in steps() for key in ("file", "path") if key in step.get("with", {})
    }
    made_there = {"dist", "dist/", "tocsin-image.spdx.json"}
    assert {name for name in named - made_there if not (ROOT / name).exists()} == set()
    assert all(os.access(ROOT / name, os.X_OK) for name in named if name.startswith(".ci/"))
    root: Any = typer.main.get_command(cli)
    typed = re.findall(r"\btocsin (--?[a-z]+|[a-z]+)", scripts().replace("import tocsin", ""))
    assert len(typed) >= 4
    assert set(typed) <= {*root.commands, *(opt for one in root.params for opt in one.opts)}


def test_what_a_job_waits_for_and_asks_of_another_is_there() -> None:
    for name, workflow in WORKFLOWS.items():
        for job_id, job in workflow["jobs"].items():
            needs = job.get("needs", [])
            waits = {needs} if isinstance(needs, str) else set(needs)
            assert waits <= workflow["jobs"].keys(), f"{name}.{job_id}"
            text = yaml.safe_dump(job)
            for other, output in re.findall(r"needs\.(\w+)\.outputs\.(\w+)", text):
                assert other in waits
                assert output in workflow["jobs"][other]["outputs"]
            ids = {step["id"] for step in job.get("steps", ()) if "id" in step}
            assert set(re.findall(r"steps\.(\w+)\.outputs", text)) <= ids


def test_dependabot_looks_where_there_is_something() -> None:
    updates = yaml.safe_load((FOLDER / "dependabot.yml").read_text())["updates"]
    looks = {one["package-ecosystem"]: one.get("directories") or [one["directory"]] for one in updates}
    files = {
        "pip": ("pyproject.toml", "requirements.txt"),
        "github-actions": (".github/workflows/ci.yml",),
        "docker": ("Containerfile",),
        "docker-compose": ("compose.yml",),
    }
    assert looks.keys() == files.keys()
    for kind, folders in looks.items():
        for folder in folders:
            assert any((ROOT / folder.strip("/") / name).is_file() for name in files[kind]), (kind, folder)


@pytest.mark.parametrize(
    "path", [form for form in FORMS if form.stem != "config"], ids=lambda path: path.stem
)
def test_a_form_for_issues_is_one_that_github_takes(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    for part in form["body"]:
        assert part["type"] in INPUTS
        assert part["attributes"].get("label" if part["type"] != "markdown" else "value")
        assert part["type"] != "dropdown" or len(part["attributes"]["options"]) > 1
    assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_a_report_has_what_doctor_prints_and_a_vulnerability_has_no_form() -> None:
    bug = (FOLDER / "ISSUE_TEMPLATE" / "bug.yml").read_text()
    assert "tocsin doctor" in bug
    assert yaml.safe_load((FOLDER / "ISSUE_TEMPLATE" / "config.yml").read_text()) == {
        "blank_issues_enabled": False
    }
    assert "Report a vulnerability" in (FOLDER / "SECURITY.md").read_text()


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_every_link_leads_somewhere_and_names_nobody(page: Path) -> None:
    for target, _ in links(page):
        assert target.is_file(), target
    assert not re.search(r"[\w.]+@[\w.]+\.\w+", page.read_text()), "an e-mail address"


# A release.

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def released(version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / ".ci" / "release", version, f"ghcr.io/acme/tocsin@{DIGEST}", folder]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_image_below_ours_is_found_where_a_release_looks_for_it() -> None:
    """As `sed` does in the workflow: of the last stage, the same image as of the first."""
    bases = re.findall(r"^FROM ([^ \n]+)", CONTAINERFILE.read_text(), re.MULTILINE)
    alone = re.findall(r"^FROM ([^ ]*)$", CONTAINERFILE.read_text(), re.MULTILINE)
    assert len(alone) == 1
    assert set(bases) == set(alone)
    assert r"'s/^FROM \([^ ]*\)$/\1/p'" in scripts()


@pytest.mark.process
def test_a_version_that_the_changelog_does_not_have_is_not_released(tmp_path: Path) -> None:
    ended = released("99.0.0", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "src/tocsin/docs/changelog.md has no section [99.0.0]\n"


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on this machine")
def test_a_release_says_what_is_new_and_its_manifests_name_the_image_by_digest(tmp_path: Path) -> None:
    ended = released(__version__, tmp_path)
    assert ended.returncode == 0, ended.stderr
    notes = (tmp_path / "notes.md").read_text()
    assert "### Added" in notes
    assert "\n## " not in notes
    for kind, replicas in (("socket-mode", 1), ("http", 1), ("replicas", 2)):
        parts = list(yaml.safe_load_all((tmp_path / f"tocsin-kubernetes-{kind}.yml").read_text()))
        (bot,) = [part["spec"] for part in parts if part["kind"] == "Deployment"]
        (container,) = bot["template"]["spec"]["containers"]
        assert (container["image"], bot["replicas"]) == (f"ghcr.io/acme/tocsin@{DIGEST}", replicas)


def test_the_changelog_has_a_section_for_this_version_and_one_for_what_comes() -> None:
    heads = re.findall(r"^## \[([^\]]+)\](.*)$", (ROOT / "src/tocsin/docs/changelog.md").read_text(), re.M)
    assert heads[0] == ("Unreleased", "")
    assert heads[1][0] == __version__
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", day) for _, day in heads[1:])
