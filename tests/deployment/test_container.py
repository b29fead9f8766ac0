"""The container: what is in it is pinned by hash, nobody's in particular, and runs as nobody."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from test_package import pythons

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "container"
CONTAINERFILE = (FOLDER / "Containerfile").read_text().replace("\\\n", " ").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = pythons()


def pinned(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirements of a file, each with its hashes."""
    found = {}
    lines = (FOLDER / name).read_text().replace("\\\n", " ").splitlines()
    for line in (line for line in lines if line and not line.startswith("#")):
        wanted, *hashes = re.split(r"\s+--hash=sha256:", line.strip())
        requirement = Requirement(wanted)
        found[requirement.name] = requirement, hashes
    return found


def words(instruction: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in CONTAINERFILE if line.startswith(instruction + " ")]


def test_everything_the_bot_needs_is_pinned_to_a_version_that_it_takes() -> None:
    kept = pinned("requirements.txt")
    for wanted in map(Requirement, PROJECT["project"]["dependencies"]):
        pin, _ = kept[wanted.name]
        (version,) = pin.specifier
        assert version.operator == "=="
        assert wanted.specifier.contains(version.version), wanted
        for python in PYTHONS:
            there = {"sys_platform": "linux", "python_version": python, "implementation_name": "cpython"}
            assert pin.marker is None or pin.marker.evaluate(there), wanted


def test_every_pin_has_the_hashes_of_its_files_and_no_address() -> None:
    for name in ("requirements.txt", "requirements-build.txt"):
        for pin, hashes in pinned(name).values():
            assert [one.operator for one in pin.specifier] == ["=="], pin
            assert pin.url is None
            assert hashes, pin
            assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes), pin
        assert "://" not in (FOLDER / name).read_text()


def test_what_builds_the_package_is_pinned_too() -> None:
    build = pinned("requirements-build.txt")
    for wanted in map(Requirement, PROJECT["build-system"]["requires"]):
        (version,) = build[wanted.name][0].specifier
        assert wanted.specifier.contains(version.version)


def test_nothing_is_installed_without_a_hash_or_from_a_source_archive() -> None:
    (runs,) = [line for line in words("RUN") if "requirements.txt" in line]
    installs = [
        step for line in words("RUN") for step in line.split("&&") if re.search("pip (install|wheel) ", step)
    ]
    assert len(installs) == 4
    for step in installs:
        fetched = "--require-hashes" in step and "--only-binary :all:" in step
        assert fetched or ("--no-index" in step and "--no-deps" in step), step
    assert "requirements-build.txt" in runs


def test_the_image_has_nothing_left_to_install_with() -> None:
    """One comes with the base image, one with what the bot needs."""
    first, last = (index for index, line in enumerate(CONTAINERFILE) if line.startswith("FROM "))
    built, kept = " ".join(CONTAINERFILE[first:last]), " ".join(CONTAINERFILE[last:])
    assert "/opt/tocsin/bin/pip uninstall -y pip" in built.rpartition(" install ")[2]
    assert "python -m pip uninstall -y" in kept


@pytest.mark.process
def test_the_bot_runs_without_what_installs_packages() -> None:
    look = "import sys; sys.modules['pip'] = None; import tocsin.server, tocsin.doctor, tocsin.backends.local"
    assert subprocess.run([sys.executable, "-c", look]).returncode == 0


def test_every_package_that_we_name_has_a_newest_version_that_we_take() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    named = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"], *chain(*extras)]
    unbounded = [
        name
        for name in named
        if not {one.operator for one in Requirement(name).specifier} & {"<", "<=", "==", "~="}
    ]
    assert unbounded == []


def test_the_container_runs_the_bot_as_nobody_in_particular() -> None:
    (user,) = words("USER")
    pod = yaml.safe_load((ROOT / "manifests" / "kubernetes" / "socket-mode" / "deployment.yml").read_text())
    allowed = pod["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{allowed['runAsUser']}:{allowed['runAsGroup']}"
    assert (words("ENTRYPOINT"), words("CMD")) == (['["tocsin"]'], ['["run"]'])
    assert CONTAINERFILE.index(f"USER {user}") > max(
        index for index, line in enumerate(CONTAINERFILE) if line.startswith(("RUN", "COPY"))
    )


def test_the_container_and_kubernetes_keep_incidents_in_the_same_place() -> None:
    given = dict(pair.split("=", 1) for pair in words("ENV")[0].split())
    (volume,) = words("VOLUME")
    pod = yaml.safe_load((ROOT / "manifests" / "kubernetes" / "socket-mode" / "deployment.yml").read_text())
    (bot,) = pod["spec"]["template"]["spec"]["containers"]
    in_pod = {one["name"]: one["value"] for one in bot["env"]}
    assert in_pod.items() <= given.items()
    assert str(Path(given["TOCSIN_DATA_DIR"]).parent) == volume
    assert words("EXPOSE") == [given["TOCSIN_PORT"]]


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    """Else a `.env` with tokens could be: Docker, build context, `.dockerignore`."""
    ignored = (FOLDER / "Containerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ignored if not line.startswith("#")]
    assert rules[0] == "*"
    sent = {line.removeprefix("!") for line in rules if line.startswith("!")}
    copied = [line.split()[:-1] for line in words("COPY") if not line.startswith("--from")]
    assert sent == {path for paths in copied for path in paths}
    assert all((ROOT / path).exists() for path in sent)
