"""Models of `private_metadata`, and the parts that all forms about an incident share."""

from __future__ import annotations

import re
import zlib
from base64 import b85decode, b85encode
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import Field
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import ChannelId, FrozenModel, Incident, MessageTs, Mode, StartStatus
from tocsin.incidents.permissions import Verb
from tocsin.slack.views.blocks import (
    BLOCKS_LIMIT,
    alert,
    context,
    escape,
    in_one_view,
    link,
    paragraph,
    plain,
    shorten,
)
from tocsin.slack.views.card import channel, facts_line, name_block

# Where a form was opened and what it is to be filled with, carried through Slack and back.

METADATA_LIMIT = 3000
VALUE_LIMIT = 2000
"""Characters of a button's value (Slack, button element)."""

COMPRESSED = "z:"
MOST_UNPACKED = 100_000

_CHANNEL = re.compile(r"[CGD]\w{0,39}")
_TS = re.compile(r"\d{1,16}\.\d{1,9}")


class DeclareMetadata(FrozenModel):
    """Place where a declare form was opened, carried in its `private_metadata` (Slack: 3000 characters).

    `name`, `summary`, `mode` and `status` are what the form will be filled with, until it is shown.
    """

    origin: ChannelId | None = None
    source_channel: ChannelId | None = None
    source_ts: MessageTs | None = None
    thread: MessageTs | None = None
    another: bool = False
    expanded: bool = False
    sure: bool = False
    """True if the person was already asked to confirm, because they declare so many incidents."""
    name: str = ""
    summary: str = ""
    mode: Mode = "standard"
    status: StartStatus | None = None

    def to_json(self) -> str:
        """Return JSON for `private_metadata`, with as much of the summary as fits.

        If it does not fit even without the summary, only `another`, `expanded` and `sure` are kept.
        """
        return self._fitted(METADATA_LIMIT, DeclareMetadata._plainly)

    def to_button_value(self) -> str:
        """Return the context as the value of a button, compressed if it is too long; `read` reads both."""
        plainly = self._plainly()
        return (
            plainly if len(plainly) <= VALUE_LIMIT else self._fitted(VALUE_LIMIT, DeclareMetadata._compressed)
        )

    def _fitted(self, limit: int, pack: Callable[[DeclareMetadata], str]) -> str:
        whole = pack(self)
        if len(whole) <= limit:
            return whole

        def too_long(kept: int) -> bool:
            return len(pack(self.model_copy(update={"summary": self.summary[:kept]}))) > limit

        kept = bisect_left(range(len(self.summary) + 1), True, key=too_long) - 1
        if kept < 0:
            return pack(DeclareMetadata(another=self.another, expanded=self.expanded, sure=self.sure))
        return pack(self.model_copy(update={"summary": self.summary[:kept]}))

    def _plainly(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    def _compressed(self) -> str:
        return compress(self._plainly())

    @classmethod
    def from_text(cls, metadata: str) -> DeclareMetadata:
        """Parse the metadata. Returns an empty context if it is stale or forged."""
        try:
            read = cls.model_validate_json(decompress(metadata) or "{}")
        except (ValueError, zlib.error):
            return cls()
        channels = (read.origin, read.source_channel)
        times = (read.source_ts, read.thread)
        sound = all(c is None or _CHANNEL.fullmatch(c) for c in channels) and all(
            t is None or _TS.fullmatch(t) for t in times
        )
        return read if sound else cls()


def compress(text: str) -> str:
    """Compress text that must fit into a field of limited length."""
    return COMPRESSED + b85encode(zlib.compress(text.encode(), 9)).decode()


def decompress(packed: str) -> str | bytes:
    """Decompress the text; returns it as it is if it was not compressed.

    Raises ValueError or zlib.error if the compressed text is not valid.
    """
    if not packed.startswith(COMPRESSED):
        return packed
    return zlib.decompressobj().decompress(b85decode(packed.removeprefix(COMPRESSED)), MOST_UNPACKED)


# What every form about an incident shares: which incident it is of, and its frame.

MOST_TYPED = 20_000
"""Characters of a command that a form carries, if they can be compressed enough."""

TITLE_LIMIT = 24
"""Characters of a modal's title (Slack, views.open)."""

T = TypeVar("T")
_ID = re.compile(r"\S{0,300}")


class VerbMetadata(FrozenModel):
    """Verb and incident of a form, carried in its `private_metadata` (Slack: 3000 characters)."""

    verb: Verb | None = None
    incident_id: str = ""
    seen: dict[str, str] = Field(default_factory=dict)
    """Values of the form's fields when it was opened, by field."""
    rest: str = Field(default="", max_length=MOST_TYPED)
    """Text that was typed after the verb, or the message to add, while the incident has yet to be chosen."""
    typed: str = Field(default="", max_length=MOST_TYPED)
    """Text that was typed after the command, which may have been meant as the name of a new incident."""
    channel: str = Field(default="", max_length=40)
    ts: str = Field(default="", max_length=30)
    """Timestamp of the message to add to the timeline."""
    edited: str = Field(default="", max_length=30)
    """Timestamp of that message's last edit."""

    def changes(self, entered: Mapping[str, T]) -> dict[str, T]:
        """Return the fields whose values differ from those that the form was opened with."""
        return {name: value for name, value in entered.items() if (value or "") != self.seen.get(name, "")}

    def to_json(self) -> str:
        plainly = self.model_dump_json(exclude_defaults=True)
        return plainly if len(plainly) <= METADATA_LIMIT else compress(plainly)

    @property
    def fits(self) -> bool:
        """True if a form can carry it: most commands of 4000 characters can be compressed enough, not all."""
        typed = max(len(self.rest), len(self.typed))
        return typed <= MOST_TYPED and len(self.to_json()) <= METADATA_LIMIT

    @classmethod
    def from_text(cls, metadata: str) -> VerbMetadata:
        """Parse the metadata. Returns empty metadata if it is stale or forged."""
        try:
            read = cls.model_validate_json(decompress(metadata) or "{}")
        except (ValueError, zlib.error):
            return cls()
        return read if _ID.fullmatch(read.incident_id) else cls()


def verb_modal(
    callback_id: str,
    title: str,
    metadata: VerbMetadata,
    blocks: Sequence[Block],
    *,
    submit: str,
    dismiss: str = "Cancel",
    problem: str = "",
) -> View:
    """Build a form about an incident; `trouble` is mrkdwn that is shown above everything else."""
    above = [alert(problem, "warning")] if problem else []
    return View(
        type="modal",
        callback_id=callback_id,
        title=plain(shorten(title, TITLE_LIMIT)),
        submit=plain(submit),
        close=plain(dismiss),
        private_metadata=metadata.to_json(),
        # What is shown does not depend on the problem: what was typed must not go when there is one.
        blocks=[*above, *in_one_view(blocks, BLOCKS_LIMIT - 1)],
    )


def heading(incident: Incident) -> list[Block]:
    """Build the blocks that name the incident and its current state."""
    facts = f"{link(incident.permalink, incident.reference)} · {facts_line(incident)}"
    return [
        name_block(incident),
        context(facts),
    ]


def unsupported_blocks(form_lacks: dict[str, str], *verbs: str) -> list[Block]:
    """Build notes on what this backend cannot do, to be read before anything is typed."""
    said = [form_lacks[verb] for verb in verbs if verb in form_lacks]
    return [alert(escape(sentence), "info") for sentence in said]


def done_modal(sentence: str) -> View:
    """Build the answer to a change of an incident that the reader may not see any more."""
    return View(
        type="modal",
        title=plain("Done"),
        close=plain("Done"),
        blocks=[paragraph(f":white_check_mark: {sentence}")],
    )


def sentence_modal(incident: Incident, sentence: str) -> View:
    """Build the answer to a change; the sentence is escaped already."""
    where = f" Carry on in {channel(incident)}." if incident.slack_channel_id else ""
    return View(
        type="modal",
        title=plain(shorten(incident.reference, TITLE_LIMIT)),
        close=plain("Done"),
        blocks=[paragraph(f":white_check_mark: {sentence}{where}")],
    )


def saving_modal(incident: Incident) -> View:
    """Build the modal for a change that is committed, before the backend has answered."""
    said = (
        "*Saved, not through yet.* Your change is safe and will be made once. "
        "You will be told when it is through; you may close this window."
    )
    return View(
        type="modal",
        title=plain(shorten(incident.reference, TITLE_LIMIT)),
        close=plain("Done"),
        blocks=[alert(said, "info")],
    )
