"""The forms that page on-call people, and the message that says that they were paged."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement
from slack_sdk.models.views import View

from tocsin.incidents.model import Incident
from tocsin.incidents.paging import KEY_SHOWN, Page
from tocsin.incidents.permissions import Verb
from tocsin.slack.views.blocks import (
    State,
    alert,
    context,
    date_token,
    escape,
    first_value,
    paragraph,
    plain,
    select_input,
    text_input,
)
from tocsin.slack.views.card import person
from tocsin.slack.views.metadata import VerbMetadata, heading, verb_modal

CALLBACK_ID = "page"

TOLD = "They read this with the incident’s name."
NOT_TOLD = "The incident is private: they read its reference alone. This stays in its channel."

Message = tuple[str, list[Block]]
"""Text of the notification, and blocks of the message."""


def page_target_modal(incident: Incident, names: Sequence[str], *, why: str = "", problem: str = "") -> View:
    """Build the form that asks whom to page; it sends nothing, and leads to the one that asks again."""
    metadata = VerbMetadata(verb=Verb.PAGE, incident_id=incident.id)
    asked = [
        select_input("target", "Who is needed?", [(name, name, "") for name in names], optional=False),
        _why(why),
    ]
    return verb_modal(
        CALLBACK_ID, "Page", metadata, [*heading(incident), *asked], submit="Next", problem=problem
    )


def page_modal(
    incident: Incident,
    target: str,
    service: str,
    *,
    why: str = "",
    before: Page | None = None,
    question: str = "",
    tells: bool = True,
    problem: str = "",
) -> View:
    """Build the form that asks if a target is to be paged now.

    It carries the key of the target's page `before`, so that a page that another person sends meanwhile is
    noticed. `tells` is False if the page will say nothing but the incident's reference.
    """
    seen = {target: before.key[:KEY_SHOWN]} if before else {}
    metadata = VerbMetadata(verb=Verb.PAGE, incident_id=incident.id, rest=target, seen=seen)
    asked = paragraph(
        f":pager: *Page {escape(target)} now?* {escape(service)} calls whoever is on call. "
        "Nothing is sent before you press *Page*."
    )
    again = [alert(escape(question), "warning")] if question else []
    return verb_modal(
        CALLBACK_ID,
        f"Page {target}",
        metadata,
        [*again, *heading(incident), asked, _why(why, TOLD if tells else NOT_TOLD)],
        submit="Page",
        problem=problem,
    )


def _why(value: str, hint: str = "") -> Block:
    return text_input(
        "why",
        "Why",
        value=value,
        placeholder="Card payments fail since 14:05",
        hint=hint,
    )


def read_page(state: State) -> tuple[str, str]:
    """Return the chosen target, empty in the form that asks again, and the reason."""
    return first_value(state, "target"), first_value(state, "why")


def page_button(incident: Incident) -> ActionsBlock:
    """Build the button that opens the form."""
    button = ButtonElement(action_id="page_incident", text=plain("Page"), value=incident.id)
    return ActionsBlock(block_id="page", elements=[button])


def page_message(page: Page) -> Message:
    """Build the message about a page: whom, by whom and why, and the person who acknowledged it."""
    why = f": {escape(page.why)}" if page.why else ""
    said = f":pager: Paged *{escape(page.target)}* ({escape(page.service)}), by {person(page.by)}{why}"
    blocks: list[Block] = [paragraph(said)]
    state = _state(page)
    if state:
        blocks.append(context(state))
        return f"{said} · {state}", blocks
    button = ButtonElement(
        action_id="acknowledge_page", text=plain("Acknowledge"), value=f"{page.incident_id} {page.key}"
    )
    return said, [*blocks, ActionsBlock(block_id="acknowledge_page", elements=[button])]


def _state(page: Page) -> str:
    said = []
    if page.acknowledgement is not None:
        at = date_token(page.acknowledgement.at)
        said.append(f":white_check_mark: Acknowledged by {person(page.acknowledgement.by)}, {at}")
    if page.ended_at is not None:
        said.append(f"Over, {date_token(page.ended_at)}")
    return " · ".join(said)
