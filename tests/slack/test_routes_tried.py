"""Whatever people can type, pick or press has a journey somewhere in the tests."""

from __future__ import annotations

from pathlib import Path

from tocsin.slack import routes

HERE = Path(__file__)
JOURNEYS = "\n".join(path.read_text() for path in sorted(HERE.parents[1].rglob("*.py")) if path != HERE)


def test_every_verb_is_typed_somewhere() -> None:
    assert [word for word in routes.VERBS if word and f"/incident {word}" not in JOURNEYS] == []


def test_every_button_and_every_shortcut_is_pressed_somewhere() -> None:
    names = [*routes.PRESSES, *routes.SHORTCUTS]
    assert [name for name in names if f'"{name}"' not in JOURNEYS] == []
