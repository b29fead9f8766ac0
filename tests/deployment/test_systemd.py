"""The systemd unit: the bot under a user made for it, with nothing to write to but its folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tocsin.cli import MISUSED
from tocsin.server import GRACE_SECONDS
from tocsin.start import FINISH_SECONDS

UNIT = Path(__file__).parents[2] / "manifests" / "systemd" / "tocsin.service"

HARDENED = {
    "DynamicUser": "yes", "StateDirectory": "tocsin", "StateDirectoryMode": "0700", "UMask": "0077",
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
    "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
    "PrivateUsers": "yes", "ProtectClock": "yes", "ProtectControlGroups": "yes", "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible", "ProcSubset": "pid", "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native", "LimitCORE": "0",
}  # fmt: skip

MOST_EXPOSED = 1.5
"""Of 10, as systemd counts; less is better."""


def said() -> dict[str, list[str]]:
    """What the unit sets, each in the order of its lines."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_bot_is_put_there_from_pinned_packages_alone() -> None:
    """As the unit's first lines say; see `test_container.py` for the pins."""
    installs = [line for line in UNIT.read_text().splitlines() if "pip install" in line]
    fetched, built = installs
    assert {"--require-hashes", "--only-binary"} <= set(fetched.split())
    assert "$pins/requirements.txt" in fetched
    assert "$pins/requirements-build.txt" in fetched
    assert {"--no-index", "--no-build-isolation", "--no-deps"} <= set(built.split())


def test_the_unit_allows_the_bot_its_folder_and_the_network_and_little_else() -> None:
    given = said()
    assert {name: given.get(name) for name in HARDENED} == {name: [value] for name, value in HARDENED.items()}
    assert given["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_the_unit_keeps_tokens_in_a_file_of_their_own() -> None:
    given = said()
    assert given["EnvironmentFile"] == ["/etc/tocsin/tocsin.env"]
    assert not re.search(r"xox|xapp|SLACK_", UNIT.read_text())
    assert "TOCSIN_DATA_DIR=/var/lib/tocsin" in given["Environment"][0].split()


def test_what_is_configured_wrong_is_not_tried_again_and_the_rest_is() -> None:
    given = said()
    assert given["Restart"] == ["always"]
    assert given["RestartPreventExitStatus"] == [str(MISUSED)]


def test_the_bot_has_time_to_finish_before_it_is_killed() -> None:
    assert int(said()["TimeoutStopSec"][0]) >= 3 * (FINISH_SECONDS + GRACE_SECONDS)


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("check", ["verify", "security"])
def test_systemd_itself_finds_the_unit_sound_and_hardly_exposed(check: str, tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tocsin/bin/tocsin", "/bin/true"))
    limits = ["--offline=yes", "--no-pager", f"--threshold={int(MOST_EXPOSED * 10)}"]
    options = limits if check == "security" else ["--man=no"]
    checked = subprocess.run(["systemd-analyze", check, *options, unit], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert UNIT.name not in checked.stderr
