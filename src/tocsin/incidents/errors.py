"""All that may go wrong across rooms: a rule or a backend said no, or nobody answered.

TocsinError
├── Refused              no, and trying again as it is will not help
│   ├── Overtaken        somebody else changed it first
│   └── Withheld         whoever would read it may not
├── SlackRefused         Slack said no to a call; `code` is Slack's word for it
└── Unavailable          nobody could say; trying again may help
    └── OutcomeUnknown   it may have happened: look before trying again
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TocsinError(Exception):
    """Anything we expected might happen; its text is a sentence for a person."""


class Refused(TocsinError):
    """What was asked cannot be done; `fields` maps a field of the form to what is wrong with it."""

    def __init__(self, sentence: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fields = dict(fields or {})


class Overtaken(Refused):
    """Somebody else changed it first; the sentence says what it is now, and by whom where that is known."""


class Withheld(Refused):
    """Nothing was sent, because it would be read by people who may not read it."""


class SlackRefused(TocsinError):
    """Slack answered `ok: false`; `code` is its error, such as `name_taken`.

    `sentence` says to a person why, and who can mend it; it ends in the code, without a full stop.
    """

    def __init__(
        self, method: str, code: str, details: Mapping[str, Any] | None = None, meaning: str = ""
    ) -> None:
        super().__init__(f"Slack refused {method}: {code}")
        self.method = method
        self.code = code
        self.details = dict(details or {})
        self.sentence = f"{meaning or 'Slack refused it'} ({code})"


class Unavailable(TocsinError):
    """Not done, because somebody could not be reached or asked us to wait `retry_after` seconds.

    `operator` is set where only the operator can mend it: what is wrong and what to do, in a sentence that
    they are told once (an API key that is refused, a right that is missing). No secret is in it.
    """

    def __init__(self, sentence: str, retry_after: float | None = None, *, operator: str = "") -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        self.operator = operator


class OutcomeUnknown(Unavailable):
    """The request went out and no answer came back: it may or may not have been done."""
