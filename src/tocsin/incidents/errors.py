"""Exceptions that all parts of Tocsin raise for expected failures.

TocsinError
├── Refused              a rule or a backend said no; the same request would be refused again
│   ├── Conflict         another person changed the incident first
│   ├── NotPermitted     the API key may not do it
│   ├── Unchanged        the incident is already as it would be then
│   └── Withheld         the readers may not know of the incident
├── SlackRefused         Slack refused a call; `code` is Slack's error
└── Unavailable          no answer, or a request to wait; trying again may help
    └── OutcomeUnknown   it may have been done: look before trying again
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TocsinError(Exception):
    """Expected failure; its text is a sentence for the person who asked."""


class Refused(TocsinError):
    """A rule or a backend refused the request; `fields` maps a field of the form to its error sentence."""

    def __init__(self, sentence: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fields = dict(fields or {})


class Conflict(Refused):
    """Another person changed the incident first.

    The sentence gives the present value, and who set it where that is known.
    """


class NotPermitted(Refused):
    """The API key lacks the scope that this needs."""


class Unchanged(Refused):
    """Nothing was changed, because the incident is already as it would be then."""


class Withheld(Refused):
    """Nothing was sent, because people who may not know of the incident would read it."""


def gone(what: str, then: str = "Choose another.") -> str:
    """Return the sentence for a choice that an organisation has taken away meanwhile."""
    return f"That {what} no longer exists. {then}"


class SlackRefused(TocsinError):
    """Slack answered `ok: false`; `code` is its error, such as `name_taken`.

    `sentence` tells a person the reason and who can fix it; it ends with the code, without a full stop.
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
    """Slack or a backend could not be reached, or asked to wait `retry_after` seconds; nothing was done.

    `operator` is set if only the operator can fix it (a refused API key, a missing permission): a sentence
    with the problem and its fix, sent to the operator once. It contains no secret.
    """

    def __init__(self, sentence: str, retry_after: float | None = None, *, operator: str = "") -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        self.operator = operator


class OutcomeUnknown(Unavailable):
    """The request went out and no answer came back: it may or may not have been done."""
