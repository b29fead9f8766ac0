"""The recording in the README: small, twenty seconds long, and where people look first."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from e2e.recording.film import length_of

ROOT = Path(__file__).parents[2]
GIF = ROOT / ".github" / "tocsin.gif"
LARGEST = 2_000_000
"""Bytes."""

FIRST_SCREEN = 20
"""Lines of README."""


def test_the_recording_is_small_and_takes_twenty_seconds() -> None:
    assert GIF.stat().st_size < LARGEST
    assert 18 <= length_of(GIF) <= 22
    with Image.open(GIF) as film:
        assert getattr(film, "n_frames", 1) >= 10
        assert film.info["loop"] == 0, "It begins again."
        assert max(film.size) <= 1280


def test_the_recording_is_on_the_first_screen_of_readme() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:FIRST_SCREEN]
    assert [line for line in first if line.endswith(f"]({GIF.relative_to(ROOT)})")] != []


def test_a_film_is_as_long_as_its_stills_are_held(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    stills = [Image.new("P", (8, 8), color) for color in range(3)]
    stills[0].save(path, save_all=True, append_images=stills[1:], duration=[300, 1000, 700])
    assert length_of(path) == 2.0
