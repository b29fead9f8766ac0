"""Which incident a command is about, where its place does not say so."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement
from slack_sdk.models.views import View

from tocsin.incidents.model import Incident
from tocsin.slack.views.errand import Errand, errand_modal
from tocsin.slack.views.kit import (
    OPTIONS_LIMIT,
    State,
    escape,
    one,
    paragraph,
    plain,
    select_input,
    shortened,
)

CALLBACK_ID = "choose"


def choose_modal(
    errand: Errand,
    incidents: Sequence[Incident],
    *,
    typed: str = "",
    question: str = "",
    chosen: str = "",
    trouble: str = "",
) -> View:
    """The open incidents this person may see, and a way out for who meant a name by what they typed.

    `typed` is the command as people read it, `question` and `trouble` are mrkdwn, `chosen` is the incident
    that is chosen at first. Without incidents, only what was meant is asked.
    """
    blocks: list[Block] = []
    if typed:
        blocks.append(paragraph(f"You typed `{escape(shortened(typed, 200)).replace('`', '')}`."))
    if question:
        blocks.append(paragraph(question))
    if incidents:
        blocks.append(_select(incidents, chosen))
    if typed:
        button = ButtonElement(
            action_id="declare_instead", text=plain("Declare a new incident instead"), value="declare"
        )
        blocks.append(ActionsBlock(block_id="declare_instead", elements=[button]))
    title = "Which incident?" if incidents else "What did you mean?"
    return errand_modal(CALLBACK_ID, title, errand, blocks, submit="Go on", trouble=trouble)


def _select(incidents: Sequence[Incident], chosen: str) -> Block:
    choices = [(i.id, f"{i.reference} {i.name}", i.incident_status.name) for i in incidents]
    only = incidents[0].id if len(incidents) == 1 else ""
    return select_input(
        "incident_id",
        "Which incident is it about?",
        choices[:OPTIONS_LIMIT],
        chosen=[chosen or only],
        optional=False,
    )


def read_choose(state: State) -> str:
    return one(state, "incident_id")
