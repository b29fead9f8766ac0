"""Where a form was opened and what it is to be filled with, carried through Slack and back."""

from __future__ import annotations

import re
import zlib
from base64 import b85decode, b85encode
from bisect import bisect_left
from collections.abc import Callable

from tocsin.incidents.model import ChannelId, Frozen, MessageTs

METADATA_LIMIT = 3000
VALUE_LIMIT = 2000
"""Characters of a button's value (Slack, button element)."""

SQUEEZED = "z:"
MOST_UNPACKED = 100_000

_CHANNEL = re.compile(r"[CGD]\w{0,39}")
_TS = re.compile(r"\d{1,16}\.\d{1,9}")


class FormContext(Frozen):
    """Where a form was opened, carried in its `private_metadata` (Slack: 3000 characters).

    `name` and `summary` are what the form will be filled with, while it is not yet shown.
    """

    origin: ChannelId | None = None
    source_channel: ChannelId | None = None
    source_ts: MessageTs | None = None
    thread: MessageTs | None = None
    another: bool = False
    expanded: bool = False
    sure: bool = False
    """The person was asked whether they mean it, since they declare so many."""
    name: str = ""
    summary: str = ""

    def packed(self) -> str:
        """The context as `private_metadata`, with as much of its summary as fits, or no context at all."""
        return self._fitted(METADATA_LIMIT, FormContext._plainly)

    def packed_small(self) -> str:
        """The context as the value of a button, in the same way; `read` reads both."""
        plainly = self._plainly()
        return plainly if len(plainly) <= VALUE_LIMIT else self._fitted(VALUE_LIMIT, FormContext._squeezed)

    def _fitted(self, limit: int, pack: Callable[[FormContext], str]) -> str:
        whole = pack(self)
        if len(whole) <= limit:
            return whole

        def too_long(kept: int) -> bool:
            return len(pack(self.model_copy(update={"summary": self.summary[:kept]}))) > limit

        kept = bisect_left(range(len(self.summary) + 1), True, key=too_long) - 1
        if kept < 0:
            return pack(FormContext(another=self.another, expanded=self.expanded, sure=self.sure))
        return pack(self.model_copy(update={"summary": self.summary[:kept]}))

    def _plainly(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    def _squeezed(self) -> str:
        return SQUEEZED + b85encode(zlib.compress(self._plainly().encode(), 9)).decode()

    @classmethod
    def read(cls, metadata: str) -> FormContext:
        """The context as we wrote it; an empty one when it is stale, forged or not ours."""
        try:
            context = cls.model_validate_json(_unsqueezed(metadata) or "{}")
        except (ValueError, zlib.error):
            return cls()
        channels = (context.origin, context.source_channel)
        times = (context.source_ts, context.thread)
        sound = all(c is None or _CHANNEL.fullmatch(c) for c in channels) and all(
            t is None or _TS.fullmatch(t) for t in times
        )
        return context if sound else cls()


def _unsqueezed(packed: str) -> str | bytes:
    if not packed.startswith(SQUEEZED):
        return packed
    return zlib.decompressobj().decompress(b85decode(packed.removeprefix(SQUEEZED)), MOST_UNPACKED)
