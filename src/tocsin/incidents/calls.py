"""Rules that give an incident its call: a fixed link by severity or type, or the huddle of its channel.

Pure: decided once, at declaration.
"""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.incidents.announcements import is_one_of
from tocsin.incidents.model import HUDDLE, Form, FrozenModel, Mode
from tocsin.incidents.requests import Declaration


class CallRule(FrozenModel):
    """Conditions on a declaration, each choice by id or by name, and the link of its call.

    A condition that is left empty matches every declaration.
    """

    severities: tuple[str, ...] = ()
    incident_types: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ("standard",)
    url: str
    """Link of the call, or `HUDDLE`."""

    def matches(self, declaration: Declaration, form: Form) -> bool:
        """True if the declaration meets every condition.

        A private declaration matches only a huddle, which is for the members of its channel: on a fixed link
        other people may be talking already.
        """
        if declaration.mode not in self.modes:
            return False
        if declaration.visibility != "public" and self.url != HUDDLE:
            return False
        severity = form.severity(declaration.severity_id or "")
        kind = form.incident_type(declaration.incident_type_id or "") or form.usual_type
        return is_one_of(self.severities, [severity.id, severity.name] if severity else []) and is_one_of(
            self.incident_types, [kind.id, kind.name] if kind else []
        )


def call_for(rules: Iterable[CallRule], declaration: Declaration, form: Form) -> str | None:
    """Return the call link of the first rule that matches; None if none does."""
    return next((rule.url for rule in rules if rule.matches(declaration, form)), None)
