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


def choose_modal(errand: Errand, incidents: Sequence[Incident], *, trouble: str = "") -> View:
    """The open incidents this person may see, and a way out for who meant a name by what they typed."""
    blocks: list[Block] = []
    if errand.typed:
        blocks.append(paragraph(f"You typed `{escape(shortened(errand.typed, 200)).replace('`', '')}`."))
    choices = [(i.id, f"{i.reference} {i.name}", i.incident_status.name) for i in incidents]
    blocks.append(
        select_input(
            "incident_id",
            "Which incident is it about?",
            choices[:OPTIONS_LIMIT],
            chosen=[incidents[0].id] if len(incidents) == 1 else (),
            optional=False,
        )
    )
    if errand.typed:
        button = ButtonElement(
            action_id="declare_instead", text=plain("Declare a new incident instead"), value="declare"
        )
        blocks.append(ActionsBlock(block_id="declare_instead", elements=[button]))
    return errand_modal(CALLBACK_ID, "Which incident?", errand, blocks, submit="Go on", trouble=trouble)


def read_choose(state: State) -> str:
    return one(state, "incident_id")
