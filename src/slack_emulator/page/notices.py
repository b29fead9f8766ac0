"""Notices of failed actions, kept for each user until dismissed or until a later attempt succeeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slack_emulator.model import Outcome

KEPT = 3
"""Notices that a user sees at once; the oldest is dropped first."""


@dataclass(frozen=True)
class Notice:
    id: int
    text: str


@dataclass
class FormTrouble:
    """The errors of one open view: a sentence for the whole form, and one for each field, by block_id."""

    sentence: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


class Notices:
    def __init__(self) -> None:
        self._last = 0
        self._notices: dict[str, list[Notice]] = {}
        self._troubles: dict[str, FormTrouble] = {}

    def tell(self, person: str, outcome: Outcome) -> None:
        self._last += 1
        text = outcome.message or f"That didn't work: {outcome.error}."
        self._notices[person] = [*self._notices.get(person, []), Notice(self._last, text)][-KEPT:]

    def told(self, person: str) -> list[Notice]:
        return list(self._notices.get(person, []))

    def dismiss(self, person: str, notice_id: int) -> None:
        self._notices[person] = [n for n in self.told(person) if n.id != notice_id]

    def clear(self, person: str) -> None:
        self._notices.pop(person, None)

    def blame(self, view_id: str, outcome: Outcome) -> None:
        """Keep the errors of a submission or an action in a view; a success clears them."""
        if outcome.ok:
            self._troubles.pop(view_id, None)
        else:
            sentence = "" if outcome.errors else outcome.message or f"That didn't work: {outcome.error}."
            self._troubles[view_id] = FormTrouble(sentence, dict(outcome.errors))

    def trouble(self, view_id: str) -> FormTrouble:
        return self._troubles.get(view_id, FormTrouble())
