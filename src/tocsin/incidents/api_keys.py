"""Keys of the API: what each may do, its name in a timeline, and the hash by which it is known."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Automation, FrozenModel, Person, PersonId, key_actor
from tocsin.incidents.requests import NOBODY
from tocsin.incidents.validation import clean_text, is_visible

Scope = Literal["view", "create", "edit", "settings", "private"]
"""Permission of a key: to read, to declare incidents, to change them, to change severities and other choices,
and to do all of that with private incidents too."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
LONGEST_NAME = 60
PREFIX = "tocsin_"
"""Beginning of every key, so that scanners for secrets recognize one."""


class ApiKey(FrozenModel):
    """A key of the API, without the key itself."""

    id: str
    name: str
    scopes: frozenset[Scope] = frozenset()
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    """Time of the last use, to the minute; None if it was never used."""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    @property
    def visible_to(self) -> PersonId | None:
        """The viewer for `IncidentFilter`: a key is no person, so it sees public incidents, or all."""
        return None if self.may("private") else NOBODY

    @property
    def person(self) -> Person:
        """The key as the actor of a timeline entry: *the API key “ci”*."""
        return key_actor(self.name)

    @property
    def automation(self) -> Automation:
        """The key as the creator of an incident (incident.io, Incidents V2: `creator.api_key`)."""
        return Automation(kind="api_key", id=self.id, name=self.name)


OPERATOR = ApiKey(id="operator", name="operator", scopes=frozenset(SCOPES))
"""The operator's own token (`TOCSIN_API_TOKEN`), which is a key that may do everything."""


def new_key() -> str:
    """Return a new key with 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """Return the hash that is stored of a key.

    A slow hash protects what people choose, which can be guessed. A key of 256 random bits cannot be, so
    SHA-256 is as safe, and does not cost 100 ms of processor time at every request.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def read_scopes(words: str) -> frozenset[Scope]:
    """Return the scopes in a list with commas between. Raises Refused with a sentence."""
    given = [word.strip().casefold() for word in words.split(",") if word.strip()]
    if unknown := [word for word in given if word not in SCOPES]:
        known = ", ".join(SCOPES)
        raise Refused(f"A key may {known}; {', '.join(unknown)} is none of these.")
    if not given:
        raise Refused(f"Say what the key may do: {', '.join(SCOPES)}, with commas between.")
    return frozenset(scope for scope in SCOPES if scope in given)


def read_name(name: str) -> str:
    """Return the name of a key without surrounding space. Raises Refused with a sentence."""
    cleaned = clean_text(name).strip()
    if not is_visible(cleaned) or len(cleaned) > LONGEST_NAME:
        raise Refused(f"A key needs a name of 1 to {LONGEST_NAME} characters.")
    if cleaned.casefold() == OPERATOR.name:
        raise Refused("“operator” is the operator's own token. Choose another name.")
    return cleaned


def shown(scopes: Iterable[Scope]) -> str:
    """Return scopes as one writes them: `view,create`."""
    return ",".join(scope for scope in SCOPES if scope in set(scopes))
