"""What people did to incidents that exist, and what each of their tries was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Told = Literal["done", "saved", "refused", "not saved", "cut off", "ignored"]
"""`cut off` when the bot died under it, `ignored` when a living bot never said a word."""


@dataclass(frozen=True)
class Try:
    """One gesture; `token` is a word in what was written that stands nowhere else, empty without words."""

    told: Told
    token: str = ""


@dataclass(frozen=True)
class Deed:
    """Something that somebody meant to happen once, tried until it was answered.

    `incident` is the token in the incident's name. `entries` are the verbs of the timeline that it makes
    once, however often it is tried; `worded` is the verb of the entry that each try's words make. `sets` are
    columns of the incident and what they hold afterwards, by the last deed that sets them.
    """

    verb: str
    person: str
    incident: str
    tries: tuple[Try, ...]
    entries: tuple[str, ...] = ()
    worded: str = ""
    sets: dict[str, str] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    """Who has which role afterwards."""
    adds: str = ""
    """The kind of what is to be done, in the words of the try."""
    completes: str = ""
    """Words of what was to be done and is."""
    removes: bool = False
    """The entry with the try's words is taken out."""
    into: str = ""
    """The token in the name of the incident that this one is part of."""
    each: tuple[str, ...] = ()
    """Verbs of the timeline that every try makes which is heeded: each is a request of its own."""
    takes: str = ""
    """What the name of the file ends in that every such try brings to who asked."""
    run: str = ""
    """The execution of a workflow's step that asked for it."""
    gives: tuple[str, ...] = ()
    """What rules give it to be done, in their words; it stands in the checklist."""
    links: tuple[str, ...] = ()
    """What the addresses begin with that rules lead to."""
    keeps: str = ""
    """The topic of the channel that it uses, which that had before and has again once it is over."""

    @property
    def surely(self) -> bool:
        """Whether somebody was told that it is done, or will be."""
        return any(one.told in {"done", "saved"} for one in self.tries)

    @property
    def perhaps(self) -> bool:
        """Whether it may be done, as far as anybody was told."""
        return self.surely or any(one.told in {"cut off", "not saved", "ignored"} for one in self.tries)


NEWS = frozenset(
    {"update", "status", "severity", "lead", "role", "take", "rename", "summary", "call", "close", "reopen"}
    | {"accept", "decline", "merge", "cancel", "private", "invite", "allow", "fields", "time"}
)
"""Verbs that an incident's own channel is told of."""

ANNOUNCED = frozenset({"gave an update:", "resolved it:"})
"""Entries whose words are also told where the incident was announced."""
