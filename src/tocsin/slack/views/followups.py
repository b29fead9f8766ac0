"""Forms and messages of actions and follow-ups, and the form of notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    InteractiveElement,
    SectionBlock,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import ExternalIssue, FollowUp, Form, Incident, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.tasks import Checklist, Runbook
from tocsin.incidents.tracker import issue_label
from tocsin.incidents.validation import FOLLOW_UP_WORDS
from tocsin.slack.views.blocks import (
    OPTIONS_LIMIT,
    State,
    escape,
    first_value,
    link,
    link_input,
    mrkdwn,
    paragraph,
    person_input,
    plain,
    sections_of,
    select_input,
    shorten,
    text_input,
)
from tocsin.slack.views.card import person
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

# Actions (during an incident) and follow-ups (after it).

FOLLOW_UP_CALLBACK_ID = "follow_up"
ISSUE_CALLBACK_ID = "issue"
SHOWN = 20
SHOWN_IN_FULL = 10
"""Items that are listed where the whole incident is shown; a message has at most 50 blocks."""
ITEM_LIMIT = 500
Kind = Literal["action", "follow_up"]
TITLES: dict[Kind, str] = {"action": "Actions", "follow_up": "Follow-ups"}
LABELS: dict[Kind, str] = {"action": "Action", "follow_up": "Follow-up"}


def follow_up_modal(
    form: Form,
    incident: Incident,
    verb: Verb,
    checklist: Checklist,
    *,
    text: str = "",
    assignee: PersonId | None = None,
    issue: str = "",
    has_tracker: bool = False,
    problem: str = "",
) -> View:
    """Build the form: the existing items with their buttons, and inputs for a new one."""
    kind = kind_of(verb)
    metadata = VerbMetadata(verb=verb, incident_id=incident.id)
    placeholder = "Roll back the deploy" if kind == "action" else "Add an alert for it"
    asked: list[Block] = [
        text_input("text", LABELS[kind], value=text, placeholder=placeholder, optional=False),
        person_input("assignee", "Assignee", value=assignee or ""),
    ]
    if has_tracker and kind == "follow_up":
        asked.append(link_input("issue_url", "Issue", value=issue))
    blocks = [
        *heading(incident),
        *unsupported_blocks(form.lacks, verb),
        *asked,
        *follow_up_blocks(checklist, kind),
    ]
    return verb_modal(FOLLOW_UP_CALLBACK_ID, TITLES[kind], metadata, blocks, submit="Add", problem=problem)


def kind_of(verb: Verb) -> Kind:
    return "action" if verb is Verb.ACTION else "follow_up"


def follow_up_blocks(checklist: Checklist, kind: Kind | None = None, *, shown: int = SHOWN) -> list[Block]:
    """Build the list of items, unfinished ones first; those of one kind if `kind` is given."""
    wanted = [item for item in checklist.items if kind in {None, item.kind}]
    if not wanted:
        return []
    return [DividerBlock(), *_listed(checklist.model_copy(update={"items": tuple(wanted)}), shown)]


def runbook_blocks(runbooks: Sequence[Runbook]) -> list[Block]:
    """Build the links to the runbooks."""
    links = [f":books: {link(one.url, one.title)}" for one in runbooks]
    return [paragraph(text) for text in sections_of(links)] if links else []


def _listed(checklist: Checklist, shown: int) -> list[Block]:
    wanted = sorted(checklist.items, key=lambda item: item.is_done)
    blocks = [block for item in wanted[:shown] for block in _line(item, checklist)]
    if len(wanted) > shown:
        said = mrkdwn(f"And {len(wanted) - shown} more.")
        blocks.append(ContextBlock(elements=[said]))
    return blocks


def _line(item: FollowUp, checklist: Checklist) -> list[Block]:
    """Build one item: its state, who has it, its links, and its buttons below unless there is only one."""
    role = checklist.roles.get(item.id)
    waits = f" · for {escape(shorten(role, 80))}" if role else ""
    said = f"{_state(item)} {_item_text(item, ITEM_LIMIT)}{waits}"
    buttons = _buttons(item, checklist.new_issues.get(item.id))
    if len(buttons) == 1:
        return [SectionBlock(text=mrkdwn(said), accessory=buttons[0])]
    return [paragraph(said), *([ActionsBlock(elements=buttons)] if buttons else [])]


def _state(item: FollowUp) -> str:
    return ":white_check_mark:" if item.is_done else "☐"


def _item_text(item: FollowUp, limit: int) -> str:
    """Return the item's text with who has it, and the links to its runbook and its issue."""
    parts = [escape(shorten(item.text, limit))]
    if item.assignee:
        parts.append(person(item.assignee))
    if item.runbook_url:
        parts.append(link(item.runbook_url, "Runbook"))
    if item.external_issue_reference is not None:
        parts.append(issue_link(item))
    return " · ".join(parts)


def issue_link(item: FollowUp) -> str:
    """Return the link to an item's issue; empty if it has none."""
    issue = item.external_issue_reference
    return link(issue.issue_permalink, shorten(issue_label(issue), 80)) if issue is not None else ""


def _buttons(item: FollowUp, new_issue: str | None) -> list[InteractiveElement]:
    """Return *Take it* unless it has an assignee, *Done*, and the ways to an issue if it may get one."""
    if item.is_done:
        return []
    value = f"{item.incident_id} {item.id}"
    take = ButtonElement(action_id="take_follow_up", text=plain("Take it"), value=value)
    done = ButtonElement(action_id="complete_follow_up", text=plain("Done"), value=value)
    buttons: list[InteractiveElement] = [*([] if item.assignee else [take]), done]
    if new_issue is not None:
        buttons += [
            ButtonElement(action_id="open_issue", text=plain("Open an issue"), url=new_issue),
            ButtonElement(action_id="link_issue", text=plain("Link an issue"), value=value),
        ]
    elif item.kind == "follow_up" and item.external_issue_reference is not None:
        buttons.append(ButtonElement(action_id="link_issue", text=plain("Change the link"), value=value))
    return buttons


def read_follow_up(state: State) -> tuple[str, PersonId | None]:
    """Return the text, and the assignee or None."""
    chosen = first_value(state, "assignee")
    return first_value(state, "text"), PersonId(chosen) if chosen else None


def read_issue_url(state: State) -> str | None:
    """Return the link of the issue; None if none was entered."""
    return first_value(state, "issue_url").strip() or None


# The form that links an issue to a follow-up.


def issue_modal(
    form: Form,
    incident: Incident,
    linkable: Sequence[FollowUp],
    *,
    chosen: str = "",
    url: str = "",
    problem: str = "",
) -> View:
    """Build the form with the follow-ups that may get an issue, and an input for its link.

    Those that wait for one come first; the link that the `chosen` one has is filled in.
    """
    metadata = VerbMetadata(verb=Verb.FOLLOW_UP, incident_id=incident.id)
    # An option's value has at most 150 characters (Slack, option object); an id of incident.io's fits.
    issues = {item.id: item.external_issue_reference for item in linkable}
    waiting_first = sorted(linkable, key=lambda item: issues[item.id] is not None)
    choices = [(item.id, item.text, _has_issue(issues[item.id])) for item in waiting_first][:OPTIONS_LIMIT]
    only = [chosen or (choices[0][0] if len(choices) == 1 else "")]
    blocks: list[Block] = [*heading(incident), *unsupported_blocks(form.lacks, Verb.FOLLOW_UP)]
    if choices:
        if (known := issues.get(only[0])) is not None:
            url = url or known.issue_permalink
        select = select_input("follow_up_id", "Follow-up", choices, chosen=only, optional=False)
        blocks += [select, link_input("issue_url", "Issue", value=url, optional=False)]
    else:
        blocks.append(paragraph("There is no open follow-up."))
    return verb_modal(ISSUE_CALLBACK_ID, "Link an issue", metadata, blocks, submit="Link", problem=problem)


def _has_issue(issue: ExternalIssue | None) -> str:
    return f"Has {issue_label(issue)}" if issue is not None else ""


def read_issue(state: State) -> tuple[str, str]:
    """Return the chosen follow-up and the link of its issue."""
    return first_value(state, "follow_up_id"), read_issue_url(state) or ""


# Messages in the incident's channel: each follow-up that people add, and the checklist.

Message = tuple[str, list[Block]]
MESSAGE_LIMIT = 300


_OVER = {"not_doing": ":no_entry_sign: {} will not be done", "deleted": ":wastebasket: {} deleted"}


def follow_up_message(follow_up: FollowUp, new_issue: str | None = None) -> Message:
    """Build the message for a follow-up, with its buttons; struck through once it is done."""
    word = FOLLOW_UP_WORDS[follow_up.kind].capitalize()
    if follow_up.status in _OVER:
        said = f"{_OVER[follow_up.status].format(word)}: ~{_item_text(follow_up, MESSAGE_LIMIT)}~"
        return said, [paragraph(said)]
    if follow_up.is_done:
        said = f":white_check_mark: {word} done: ~{_item_text(follow_up, MESSAGE_LIMIT)}~"
        return said, [paragraph(said)]
    said = f":ballot_box_with_check: {word}: {_item_text(follow_up, MESSAGE_LIMIT)}"
    buttons = ActionsBlock(block_id=f"follow_up.{follow_up.id}", elements=_buttons(follow_up, new_issue))
    return said, [paragraph(said), buttons]


def checklist_message(incident: Incident, checklist: Checklist) -> Message:
    """Build the checklist: how much is done, the runbooks, and every item with its buttons."""
    done, every = sum(item.is_done for item in checklist.items), len(checklist.items)
    reference = link(incident.permalink, incident.reference)
    said = f":clipboard: *{reference}*"
    said += f" · {done} of {every} done" if every else " · runbooks"
    return said, [paragraph(said), *runbook_blocks(checklist.runbooks), *_listed(checklist, SHOWN)]


# Notes that a responder adds to the timeline.

NOTE_CALLBACK_ID = "note"


def note_modal(form: Form, incident: Incident, *, message: str = "", problem: str = "") -> View:
    """Build the form for one entry of the timeline."""
    metadata = VerbMetadata(verb=Verb.NOTE, incident_id=incident.id)
    asked = text_input(
        "message",
        "Note",
        value=message,
        placeholder="What happened: seen, tried, decided",
        lines=True,
        optional=False,
        focus=True,
    )
    blocks = [*heading(incident), *unsupported_blocks(form.lacks, Verb.NOTE), asked]
    return verb_modal(NOTE_CALLBACK_ID, "Add a note", metadata, blocks, submit="Add", problem=problem)


def read_note(state: State) -> str:
    return first_value(state, "message")
