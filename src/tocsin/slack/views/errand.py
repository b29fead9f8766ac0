"""What every form about an incident shares: which incident it is of, and its frame."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import Field
from slack_sdk.models.blocks import Block, ContextBlock, MarkdownTextObject
from slack_sdk.models.views import View

from tocsin.incidents.model import Frozen, Incident
from tocsin.slack.views.card import channel, facts_line, name_block
from tocsin.slack.views.context import METADATA_LIMIT, squeezed, unsqueezed
from tocsin.slack.views.kit import escape, link, paragraph, plain, shortened

MOST_TYPED = 20_000
"""Characters of a command that are carried, if they can be squeezed into a form."""

TITLE_LIMIT = 24
"""Characters of a modal's title (Slack, views.open)."""

T = TypeVar("T")
_ID = re.compile(r"\S{0,300}")


class Errand(Frozen):
    """What a form is about, carried in its `private_metadata` (Slack: 3000 characters)."""

    verb: str = Field(default="", max_length=40)
    incident_id: str = ""
    seen: dict[str, str] = Field(default_factory=dict)
    """What stood in the fields of the form when it was opened, by field."""
    rest: str = Field(default="", max_length=MOST_TYPED)
    """What was typed after the verb, or the message to keep, where an incident has still to be chosen."""
    typed: str = Field(default="", max_length=MOST_TYPED)
    """All that was typed after the command, for who meant a name by it."""
    channel: str = Field(default="", max_length=40)
    ts: str = Field(default="", max_length=30)
    """The message that is to go into the timeline."""
    edited: str = Field(default="", max_length=30)
    """When that message was edited last."""

    def changes(self, entered: Mapping[str, T]) -> dict[str, T]:
        """What is another than it was when the form was opened; what was left alone changes nothing."""
        return {name: value for name, value in entered.items() if (value or "") != self.seen.get(name, "")}

    def packed(self) -> str:
        plainly = self.model_dump_json(exclude_defaults=True)
        return plainly if len(plainly) <= METADATA_LIMIT else squeezed(plainly)

    @property
    def fits(self) -> bool:
        """Whether a form can carry it: most commands of 4000 characters can be squeezed, but not all."""
        typed = max(len(self.rest), len(self.typed))
        return typed <= MOST_TYPED and len(self.packed()) <= METADATA_LIMIT

    @classmethod
    def read(cls, metadata: str) -> Errand:
        """The errand as we wrote it; an empty one when it is stale, forged or not ours."""
        try:
            errand = cls.model_validate_json(unsqueezed(metadata) or "{}")
        except (ValueError, zlib.error):
            return cls()
        return errand if _ID.fullmatch(errand.incident_id) else cls()


def errand_modal(
    callback_id: str,
    title: str,
    errand: Errand,
    blocks: Sequence[Block],
    *,
    submit: str,
    trouble: str = "",
) -> View:
    """A form; `trouble` is mrkdwn shown above everything else."""
    above = [paragraph(f":warning: {trouble}")] if trouble else []
    return View(
        type="modal",
        callback_id=callback_id,
        title=plain(shortened(title, TITLE_LIMIT)),
        submit=plain(submit),
        close=plain("Cancel"),
        private_metadata=errand.packed(),
        blocks=[*above, *blocks],
    )


def heading(incident: Incident) -> list[Block]:
    """Which incident this is, and where it stands now."""
    facts = f"{link(incident.permalink, incident.reference)} · {facts_line(incident)}"
    return [
        name_block(incident),
        ContextBlock(elements=[MarkdownTextObject(text=facts, verbatim=True)]),
    ]


def lacking(form_lacks: dict[str, str], *verbs: str) -> list[Block]:
    """What this backend cannot do, said before anybody types."""
    said = [form_lacks[verb] for verb in verbs if verb in form_lacks]
    return [
        ContextBlock(elements=[MarkdownTextObject(text=f":information_source: {escape(s)}", verbatim=True)])
        for s in said
    ]


def done_modal(sentence: str) -> View:
    """What has been done to an incident that the reader may not see any more."""
    return View(
        type="modal",
        title=plain("Done"),
        close=plain("Done"),
        blocks=[paragraph(f":white_check_mark: {sentence}")],
    )


def said_modal(incident: Incident, sentence: str) -> View:
    """What has been done, in a sentence that is escaped already."""
    where = f" Carry on in {channel(incident)}." if incident.slack_channel_id else ""
    return View(
        type="modal",
        title=plain(shortened(incident.reference, TITLE_LIMIT)),
        close=plain("Done"),
        blocks=[paragraph(f":white_check_mark: {sentence}{where}")],
    )


def saving_modal(incident: Incident) -> View:
    """The change is committed, and the backend has not answered yet."""
    said = (
        ":hourglass_flowing_sand: *Saved, not through yet.* Your change is safe and will be made once. "
        "You will be told when it is through; you may close this window."
    )
    return View(
        type="modal",
        title=plain(shortened(incident.reference, TITLE_LIMIT)),
        close=plain("Done"),
        blocks=[paragraph(said)],
    )
