"""Earlier versions of Tocsin, out of this clone's history, to run beside this one."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORMATS = "src/tocsin/storage/earlier_formats.py"


def commit_before() -> str:
    """The commit before this one."""
    return _git("rev-parse", "--verify", "--quiet", "HEAD~1").decode().strip()


def commit_of_earlier_format() -> str:
    """The newest version whose workflows had other recorded steps."""
    changed = _git(
        "log", "--first-parent", "-m", "-G^FORMAT = ", "-1", "--no-patch", "--format=%H", "--", FORMATS
    )
    return _git("rev-parse", "--verify", "--quiet", f"{changed.decode().strip()}^").decode().strip()


def exported(commit: str, folder: Path) -> Path:
    """The sources of that version, written into the folder."""
    with tarfile.open(fileobj=BytesIO(_git("archive", commit, "src"))) as packed:
        packed.extractall(folder, filter="data")
    return folder / "src"


def _git(*words: str) -> bytes:
    """What git says; skips the test where there is no clone, or none with so much history."""
    try:
        return subprocess.run(["git", "-C", ROOT, *words], check=True, capture_output=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs a clone with its history, and git")
