"""The verbs `action` and `follow-up`, and the buttons *Take it* and *Done*."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import Incident, PersonId, TeamId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.command_text import as_read, mentioned
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disclosure import shown_to
from tocsin.slack.listeners.home import publish_home
from tocsin.slack.listeners.issues import find_linked, link_issue, listed
from tocsin.slack.listeners.people import find_person
from tocsin.slack.listeners.replies import begin, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident, validate_assignees
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, VerbSpec, key_of, sentence_of, submit
from tocsin.slack.mentions import PERSON
from tocsin.slack.payloads import BlockAction, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.followups import follow_up_modal, kind_of, read_follow_up, read_issue_url
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.workflows.command import AnyChange
from tocsin.workflows.followups import AddFollowUpCommand, ChangeFollowUpCommand, CompleteFollowUpCommand

_GAP = " \t\n,:;.–—-"
"""Characters that may separate the text of a follow-up from its assignee."""

_LEADS_ON = frozenset({"and", "ask", "by", "call", "for", "from", "of", "or", "tell", "to", "via", "with"})
"""Words that need the name after them, so that the name stays in the text."""

_LONGEST_NAME = 4
"""Most words of a name that is typed with an @."""

_FIRST = re.compile(rf"{PERSON.pattern}(?!\s*(?:[,&+]|and\b)?\s*<@)")
"""A mention at the beginning that is not followed by another one."""

_LAST_NAME = re.compile(r"\s(@\S+(?:\s+\S+){0,3})$")


async def build_follow_up(
    call: Invocation, problem: str, *, text: str = "", person: PersonId | None = None, issue: str = ""
) -> View:
    """Build the form that lists what is to be done and adds to it."""
    checklists = call.context.workflows.follow_ups.checklists
    return follow_up_modal(
        await call.context.forms.fetch(),
        call.incident,
        call.verb,
        await listed(call.context, call.incident),
        text=text,
        assignee=person,
        issue=issue,
        has_tracker=checklists.tracker is not None,
        problem=escape(problem),
    )


async def _add(call: Invocation) -> AnyChange | None:
    tracker = call.context.workflows.follow_ups.checklists.tracker
    if tracker is not None and call.verb is Verb.FOLLOW_UP and (link := tracker.link_in(call.text)):
        url, text = link
        if (follow_up := await find_linked(call, url, text)) is not None:
            return await link_issue(call, follow_up.id, url)
        return await _add_text(replace(call, text=text), url)
    return await _add_text(call)


async def _add_text(call: Invocation, issue: str = "") -> AnyChange | None:
    what, person = await _read(call)
    if not what and (issue or person is not None):
        again = partial(build_follow_up, person=person, issue=issue)
        raise NeedsForm("Say what is to be done.", again)
    return await _added(call, what, person, issue or None)


async def _read(call: Invocation) -> tuple[str, PersonId | None]:
    """Return the text and its assignee, who is mentioned, or named with an @ at the beginning or the end.

    Raises NeedsForm, with a form that contains the text, if the assignee is not clear.
    """
    context, text = call.context, call.text.strip()
    names = await context.mentions.names_of(mentioned(text), CHECK_SECONDS)
    filled = partial(build_follow_up, text=as_read(text, names))
    mentions = list(PERSON.finditer(text))
    if not mentions:
        if not (typed := _typed_names(text)):
            return as_read(text, names), None
        person, name = await find_person(context, typed, call.person, filled)
        span = (0, len(name)) if text.startswith(name) else (len(text) - len(name), len(text))
    elif _FIRST.match(text) or len({mention[1] for mention in mentions}) == 1:
        person, span = PersonId(mentions[0][1]), mentions[0].span()
    else:
        raise NeedsForm("Several people are named in it. Choose the assignee.", filled)
    return as_read(_without(text, span), names), person


def _typed_names(text: str) -> list[str]:
    """Return possible names after an @ at the beginning or near the end of the text, longest first."""
    if text.startswith("@"):
        lengths = range(_LONGEST_NAME - 1, -1, -1)
        return [found[0] for more in lengths if (found := re.match(rf"@\S+(\s+\S+){{{more}}}", text))]
    found = _LAST_NAME.search(text)
    return [found[1]] if found else []


def _without(text: str, span: tuple[int, int]) -> str:
    """Remove a name at the text's beginning, or at its end unless the word before needs it."""
    before, after = text[: span[0]].rstrip(_GAP), text[span[1] :].lstrip(_GAP)
    if not before:
        return after
    return text if after or before.split()[-1].casefold() in _LEADS_ON else before


async def _added(
    call: Invocation, text: str, person: PersonId | None, issue: str | None = None
) -> AnyChange | None:
    context, incident = call.context, call.incident
    assignees = await validate_assignees(context, {"assignee": person}, private=incident.is_private)
    request = FollowUpRequest(
        key=call.key,
        by=context.people.meet(call.payload.by),
        at=context.clock(),
        kind=kind_of(call.verb),
        text=text,
        assignee=next(iter(assignees), None),
        issue_url=issue,
    )
    command = AddFollowUpCommand(incident_id=incident.id, team=TeamId(call.payload.team_id), request=request)
    add = context.workflows.follow_ups.add
    return await add(command, call.tracker.acknowledged, call.tracker.patience_left())


ACTION = VerbSpec(
    Verb.ACTION,
    "/incident action [what is to be done]",
    "lists its actions, and adds one",
    build_view=build_follow_up,
    execute=_add,
    names_people=True,
)
FOLLOW_UP = VerbSpec(
    Verb.FOLLOW_UP,
    "/incident follow-up [what is to be done]",
    "lists its follow-ups, and adds one",
    build_view=build_follow_up,
    execute=_add,
    names_people=True,
)


async def submit_follow_up(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form, which adds one action or follow-up."""
    text, person = read_follow_up(submission.view.values)
    issue = read_issue_url(submission.view.values)

    async def execute(call: Invocation) -> AnyChange | None:
        return await _added(call, text, person, issue)

    again = partial(build_follow_up, text=text, person=person, issue=issue or "")
    verbs = {Verb.ACTION, Verb.FOLLOW_UP}
    await submit(ack, submission, context, tracker, verbs, again, execute)


async def press_done(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Done* beside an action or follow-up."""
    await ack()
    tracker = AckTracker()
    begin(context, action, "say that something is done", _done(context, action, tracker), tracker)


async def _done(context: WorkspaceContext, action: BlockAction, tracker: AckTracker) -> None:
    incident, follow_up_id = await pressed_item(context, action)
    command = CompleteFollowUpCommand(
        incident_id=incident.id,
        team=TeamId(action.team_id),
        follow_up_id=follow_up_id,
        asked=key_of(action),
        done_by=context.people.meet(action.by),
        at=context.clock(),
    )
    sentence = sentence_of(await context.workflows.follow_ups.complete(command, tracker.acknowledged))
    await _show_pressed(context, action, incident, sentence)


async def press_take(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Take it* beside an action or follow-up without an assignee."""
    await ack()
    tracker = AckTracker()
    begin(context, action, "take what is to be done", _taken(context, action, tracker), tracker)


async def _taken(context: WorkspaceContext, action: BlockAction, tracker: AckTracker) -> None:
    incident, follow_up_id = await pressed_item(context, action)
    by = context.people.meet(action.by)
    change = FollowUpChange(key=key_of(action), by=by, at=context.clock(), assignee=by)
    command = ChangeFollowUpCommand(
        incident_id=incident.id, team=TeamId(action.team_id), follow_up_id=follow_up_id, change=change
    )
    sentence = sentence_of(await context.workflows.follow_ups.change(command, tracker.acknowledged))
    await _show_pressed(context, action, incident, sentence)


async def pressed_item(context: WorkspaceContext, action: BlockAction) -> tuple[Incident, str]:
    """Return the incident and the id of the action or follow-up whose button was pressed. Raises Refused."""
    incident_id, _, follow_up_id = action.value.partition(" ")
    incident = await find_incident(context, incident_id, action.by.slack_user_id)
    await authorize(context, action, Verb.ACTION, incident)
    return incident, follow_up_id


async def _show_pressed(
    context: WorkspaceContext, action: BlockAction, incident: Incident, sentence: str
) -> None:
    """Answer a press: with a sentence below a message, or in the form that the button is in."""
    view = action.view
    if view is None:
        await reply_about(context, action, incident, sentence)
    elif view.type == "home" and action.by.slack_user_id:
        await publish_home(context, action.by.slack_user_id)
    elif view.callback_id == "follow_up" and (verb := VerbMetadata.from_text(view.private_metadata).verb):
        text, person = read_follow_up(view.values)
        again = partial(build_follow_up, text=text, person=person, issue=read_issue_url(view.values) or "")
        modal = await again(Invocation(context, action, verb, incident), "")
        about = shown_to(action.by.slack_user_id, incident)
        await context.workspace.update_modal(view.id, modal, about, seen=view.hash)
