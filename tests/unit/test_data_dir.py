"""What the data folder keeps secret: made at random, whole or not at all, and for its owner's eyes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.data_dir import kept_secret
from tocsin.settings import ConfigurationError, read_settings


def test_a_secret_is_made_once_for_its_owner_alone_and_nothing_else_is_left_there(tmp_path: Path) -> None:
    made = kept_secret(tmp_path, "trip-key")
    assert len(made) >= 40
    assert kept_secret(tmp_path, "trip-key") == made
    assert [(file.name, file.stat().st_mode & 0o777) for file in tmp_path.iterdir()] == [("trip-key", 0o600)]


def test_two_folders_have_no_secret_in_common(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    assert len({kept_secret(folder, "trip-key") for folder in folders}) == 2


@pytest.mark.parametrize("left", ["", "\n", "  \n"])
def test_an_empty_file_as_a_crash_leaves_it_is_no_secret_and_is_made_anew(tmp_path: Path, left: str) -> None:
    (tmp_path / "api-token").write_text(left)
    assert len(kept_secret(tmp_path, "api-token")) >= 40


@pytest.mark.parametrize("left", [b"incident2026\n", b"\xff\xfe" * 20])
def test_a_file_that_can_be_guessed_or_read_by_nobody_is_told_and_not_taken(
    tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "api-token").write_bytes(left)
    with pytest.raises(ConfigurationError, match=r"api-token .*: remove it") as told:
        kept_secret(tmp_path, "api-token")
    assert "incident2026" not in str(told.value)
    assert len(str(told.value).splitlines()) == 1
    assert (tmp_path / "api-token").read_bytes() == left


@pytest.mark.parametrize("given", ["incident2026", "x" * 19, " " * 30, "a b" + " " * 30])
def test_a_token_that_can_be_guessed_is_not_taken(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TOCSIN_API_TOKEN has fewer than 20 characters; make"):
        read_settings(tocsin_api_token=given)
