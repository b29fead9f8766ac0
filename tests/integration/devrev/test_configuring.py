"""DevRev as the operator sets it up and reads it: settings, and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.terminal import Terminal

from integration.devrev.desk import DevRevDesk, declared
from tocsin.settings import ConfigurationError, read_settings


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "DEVREV_TOKEN is not set; make a personal access token in DevRev, Settings, Account."),
        ({"devrev_token": "t", "devrev_url": "devrev"}, "DEVREV_URL is no address;"),
        ({"devrev_token": "t", "devrev_permalink": "https://app.devrev.ai/acme"}, "DEVREV_PERMALINK lacks"),
        ({"devrev_token": "t", "devrev_permalink": "{display_id}"}, "DEVREV_PERMALINK is no address"),
        ({"devrev_token": "t", "devrev_key_field": "key"}, "DEVREV_KEY_FIELD is no field of your"),
    ],
)
def test_what_is_set_wrong_is_told_in_one_line(given: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        read_settings(tocsin_backend="devrev", **given)
    assert str(wrong.value).startswith(line)
    assert "\n" not in str(wrong.value)


def test_another_backend_needs_no_token_of_devrevs() -> None:
    assert read_settings(tocsin_backend="local").devrev_token is None


@pytest.mark.process
async def test_incidents_can_be_read_at_the_command_line(desk: DevRevDesk, tmp_path: Path) -> None:
    await desk.backend.create(declared(summary="Since noon."))
    given = {
        "TOCSIN_BACKEND": "devrev",
        "DEVREV_TOKEN": desk.org.token,
        "DEVREV_URL": desk.url,
        "TOCSIN_DATA_DIR": str(tmp_path),
    }
    tocsin = Terminal(tmp_path).run
    listed = await tocsin("incidents", "list", "--json", **given)
    assert listed.code == 0, listed.err
    (one,) = json.loads(listed.out)["incidents"]
    assert (one["reference"], one["name"], one["creator"]["user"]["name"]) == (
        "INC-1",
        "Checkout is slow",
        "Ana Torres",
    )
    shown = await tocsin("incidents", "show", "inc-1", **given)
    assert "Since noon." in shown.out
    assert "declared" in shown.out
    refused = await tocsin("incidents", "list", **given | {"DEVREV_TOKEN": "another"})
    assert (refused.code, refused.err) == (1, "DevRev does not accept our token.\n")
