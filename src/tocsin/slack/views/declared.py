"""What a responder reads after the form: declared, saved, already there, or not declared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, ContextBlock, MarkdownTextObject
from slack_sdk.models.views import View

from tocsin.incidents.model import Incident
from tocsin.incidents.validation import ago
from tocsin.slack.views.card import channel, facts_line, name_block, person, unknown_people
from tocsin.slack.views.context import FormContext
from tocsin.slack.views.kit import escape, link, paragraph, plain


def _answer(title: str, blocks: Sequence[Block], **more: Any) -> View:
    return View(type="modal", title=plain(title), close=plain("Done"), blocks=blocks, **more)


def declared_modal(incident: Incident, channel_name: str, trouble: Sequence[str] = ()) -> View:
    """The outcome: reference, permalink, and the channel as a link or, until it is open, by its name."""
    reference = link(incident.permalink, incident.reference)
    if incident.slack_channel_id:
        where = f"Carry on in {channel(incident)}."
    elif trouble:
        where = "It has no channel of its own yet."
    elif incident.is_private and not channel_name:
        # Whoever opens it may open it where the bot cannot look, and then nothing more will be known here.
        where = "Its private channel is opened for its members; *Open incident* leads there."
    else:
        where = f"Its channel{f' *#{escape(channel_name)}*' if channel_name else ''} is being opened."
    blocks: list[Block] = [
        paragraph(f":white_check_mark: *{reference}* is declared. {where}"),
        *(paragraph(f":warning: {escape(sentence)}.") for sentence in trouble),
        *(paragraph(f":warning: {said}") for said in unknown_people(incident)),
        name_block(incident),
        ContextBlock(elements=[MarkdownTextObject(text=facts_line(incident), verbatim=True)]),
    ]
    if incident.permalink:
        blocks.append(ActionsBlock(elements=[_opening(incident.permalink, "Open incident")]))
        blocks.append(ContextBlock(elements=[MarkdownTextObject(text=f"Permalink: <{incident.permalink}>")]))
    return _answer(incident.reference, blocks)


def _opening(url: str, words: str, style: str | None = None) -> ButtonElement:
    return ButtonElement(action_id="open_incident", text=plain(words), url=url, style=style)


def saved_modal() -> View:
    """The declaration is committed, and the backend has not answered yet."""
    said = (
        ":hourglass_flowing_sand: *Saved, still declaring.* Your declaration is safe and will be made once. "
        "This window changes as soon as it is through; you may also close it."
    )
    return _answer("Saved", [paragraph(said)])


def already_modal(incident: Incident, now: datetime, context: FormContext) -> View:
    """The message has an incident already: open that one, or declare another on purpose."""
    reference = link(incident.permalink, incident.reference)
    when = ago(incident.created_at, now)
    said = f"*{reference}*, declared by {person(incident.creator)} {when} from this message."
    buttons = [ButtonElement(action_id="declare_another", text=plain("Declare another"), value="another")]
    if incident.permalink:
        buttons.insert(0, _opening(incident.permalink, "Open it", style="primary"))
    facts = facts_line(incident)
    if incident.slack_channel_id:
        facts += f" · {channel(incident)}"
    blocks: list[Block] = [
        paragraph(said),
        name_block(incident),
        ContextBlock(elements=[MarkdownTextObject(text=facts, verbatim=True)]),
        ActionsBlock(block_id="already", elements=buttons),
    ]
    return _answer("Already declared", blocks, private_metadata=context.packed())


def loading_modal(context: FormContext) -> View:
    """What opens while the form's choices are still being fetched."""
    return _answer(
        "Declare an incident",
        [paragraph(":hourglass_flowing_sand: Fetching the form…")],
        private_metadata=context.packed(),
    )


def sorry_modal(title: str, sentence: str) -> View:
    """Something did not work, in plain words."""
    return _answer(title, [paragraph(f":warning: {escape(sentence)}")])


def refused_message(name: str, sentence: str, key: str) -> tuple[str, list[Block]]:
    """A refusal that came when nobody was looking any more, and the way back to the form."""
    said = f":warning: *{escape(name)}* was not declared: {escape(sentence)} Nothing you typed is lost."
    button = ButtonElement(action_id="fix_and_send", text=plain("Fix and send"), value=key, style="primary")
    return said, [paragraph(said), ActionsBlock(block_id="refused", elements=[button])]
