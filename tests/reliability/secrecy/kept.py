"""What is kept secret: incidents with words of their own, and who might know of each of them when."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tocsin.incidents.model import Incident

WORDS = re.compile(r"(open|secret)word([0-9]+)x")
REFERENCES = re.compile(r"\bINC-([0-9]+)\b")

Readers = frozenset[str] | None
"""Who may know of an incident; None, everybody."""


@dataclass
class Kept:
    """One incident, with the word for what is written while it is public, and the one for afterwards."""

    number: int
    reporter: str
    born_private: bool = False
    id: str = ""
    reference: str = ""
    permalink: str = ""
    channel: str = ""
    """Its own now."""
    channels: set[str] = field(default_factory=set)
    """Every channel that ever was its own."""
    trusted: set[str] = field(default_factory=set)
    """Whom somebody who might do so gave a part in it."""
    since: list[tuple[float, Readers]] = field(default_factory=list)
    """Who may know of it from when on."""
    linked: bool = False
    """Somebody posted a link to it, so that its reference is known; of the rest it says nothing."""
    hidden_by: set[str] = field(default_factory=set)
    """Who asked for it to be private: they are let into its new channel."""
    begun_again: bool = False
    """Alerts of its group began another, public incident once it was over: its open word is no secret."""

    @property
    def private(self) -> bool:
        return self.since[-1][1] is not None if self.since else self.born_private

    @property
    def word(self) -> str:
        return self.secret_word if self.private else self.open_word

    @property
    def open_word(self) -> str:
        return f"openword{self.number}x"

    @property
    def secret_word(self) -> str:
        return f"secretword{self.number}x"

    def may_know(self, person: str) -> bool:
        """Now."""
        readers = self.since[-1][1] if self.since else frozenset({self.reporter})
        return readers is None or person in readers

    def might_know(self, person: str, since: float, until: float) -> bool:
        """At any moment between these two, while it was private."""
        return person == self.reporter or any(
            readers is not None and person in readers for readers in self._between(since, until)
        )

    def was_public(self, since: float, until: float) -> bool:
        """At any moment between these two."""
        return any(readers is None for readers in self._between(since, until))

    def _between(self, since: float, until: float) -> Iterator[Readers]:
        for place, (start, readers) in enumerate(self.since):
            end = self.since[place + 1][0] if place + 1 < len(self.since) else until
            if start <= until and end >= since:
                yield readers


@dataclass
class Register:
    """Every incident of a run, as the backend keeps it: that is what is right, whatever anybody is shown."""

    now: Callable[[], float] = lambda: 0.0
    kept: list[Kept] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Who came to know of a private incident and was let in by nobody."""
    _by_id: dict[str, Kept] = field(default_factory=dict)

    def add(self, reporter: str, *, private: bool) -> Kept:
        kept = Kept(len(self.kept), reporter, private, trusted={reporter})
        self.kept.append(kept)
        return kept

    def named_in(self, said: str) -> Iterator[tuple[str, Kept]]:
        """Each word in a text that may be a secret, as `open` or `secret`, with its incident."""
        for kind, number in set(WORDS.findall(said)):
            kept = self.kept[int(number)]
            if kind == "secret" or not kept.begun_again:
                yield kind, kept

    def called_in(self, said: str) -> Iterator[Kept]:
        """Each incident whose reference is in a text."""
        called = {f"INC-{number}" for number in REFERENCES.findall(said)}
        return (kept for kept in self.kept if kept.reference in called)

    def about(self, text: str) -> list[Kept]:
        """The incidents whose id is in a text."""
        return [kept for known, kept in self._by_id.items() if known in text]

    def owner(self, channel: str) -> Kept | None:
        """The incident whose own channel this is or was."""
        return next((kept for kept in self.kept if channel in kept.channels), None)

    def heard(self, incident: Incident) -> None:
        """The backend answered with this incident; it does one thing at a time, and answers in that order."""
        kept = self._by_id.get(incident.id) or self._met(incident)
        if kept is None:
            return
        kept.channel = incident.slack_channel_id or ""
        kept.channels |= {kept.channel} - {""}
        readers = frozenset(incident.people) if incident.is_private else None
        before = kept.since[-1][1] if kept.since else None
        if kept.since and readers == before:
            return
        kept.since.append((self.now(), readers))
        if readers is not None and before is not None:
            strangers = readers - before - kept.trusted
            self.strangers += [f"{who} came to know of {kept.reference}" for who in sorted(strangers)]
        kept.trusted |= readers or set()

    def _met(self, incident: Incident) -> Kept | None:
        """The incident is seen for the first time, under the name that it was declared with."""
        kept = next((kept for _, kept in self.named_in(incident.name)), None)
        if kept is not None and kept.id:
            kept.begun_again = True
            return None
        if kept is not None:
            kept.id, kept.reference = incident.id, incident.reference
            kept.permalink = incident.permalink or ""
            self._by_id[incident.id] = kept
        return kept


class Between:
    """A backend with another behind it, and of the same class: the API is served over the local one alone."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    @property
    def __class__(self) -> type[Any]:
        behind: type[Any] = self._behind.__class__
        return behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


class Overheard(Between):
    """A backend, and whoever keeps a register hears of each incident that it answers with."""

    def __init__(self, behind: Any, register: Register) -> None:
        super().__init__(behind)
        self._register = register

    def __getattr__(self, name: str) -> Any:
        asked = super().__getattr__(name)
        if name not in {"create", "find", "incidents", "set_channel", "change", "matching"}:
            return asked

        async def answered(*args: Any, **named: Any) -> Any:
            answer = await asked(*args, **named)
            for one in answer if isinstance(answer, list | tuple) else [answer]:
                if isinstance(one, Incident):
                    self._register.heard(one)
            return answer

        return answered
