"""Which incident it is about, chosen: the verb goes on from there."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import DeclareRequest
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.gestures import Press, ShownView, Submission
from tocsin.slack.listeners import assign, close, describe, export, follow_up, merge, note, update
from tocsin.slack.listeners.answers import begin, reason, said_view
from tocsin.slack.listeners.changing import Unclear, Way
from tocsin.slack.listeners.declare import open_form
from tocsin.slack.listeners.errands import allowed, called
from tocsin.slack.views.choose import choose_modal, read_choose
from tocsin.slack.views.declare import FormContext, declare_modal, named
from tocsin.slack.views.errand import Errand
from tocsin.slack.views.kit import escape

WAYS: dict[str, Way] = {
    way.verb: way
    for way in (
        update.UPDATE,
        update.STATUS,
        update.SEVERITY,
        assign.LEAD,
        assign.ROLES,
        assign.TAKE,
        describe.RENAME,
        describe.SUMMARY,
        *close.ENDINGS.values(),
        merge.MERGE,
        export.EXPORT,
        export.DOCUMENT,
        note.NOTE,
        follow_up.ACTION,
        follow_up.FOLLOW_UP,
    )
}


async def submit_choose(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """The verb's form of the chosen incident, or what came of the text that was typed with the verb."""
    errand = Errand.read(submission.view.private_metadata)
    person = submission.by.slack_user_id
    try:
        incident = await called(desk, read_choose(submission.view.values), person)
        if errand.ts:
            sentence = await note.keep_message(desk, submission, incident, errand)
            await _said(ack, desk, submission, incident, sentence)
            return
        way = WAYS.get(errand.verb, update.UPDATE)
        await allowed(desk, submission, way.verb, incident)
        trouble, opened = "", way.opened
        if errand.rest or way.at_once:
            try:
                sentence = await way.act(desk, submission, incident, errand.rest)
                await _said(ack, desk, submission, incident, sentence)
                return
            except Unclear as unclear:
                trouble, opened = unclear.sentence, unclear.opened or opened
        await ack(response_action="update", view=await opened(desk, submission, incident, trouble))
    except TocsinError as error:
        known = desk.open_to(person)
        view = choose_modal(errand, known, trouble=escape(reason(error))) if known else None
        await ack(response_action="update", view=view) if view else await ack(
            response_action="errors", errors={"incident_id": reason(error)}
        )


async def _said(ack: AsyncAck, desk: Desk, submission: Submission, incident: Incident, sentence: str) -> None:
    view = await said_view(desk, submission, incident, sentence)
    await ack(response_action="update", view=view)


async def declare_instead(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Declare a new incident instead*: what was typed was a name after all."""
    await ack()
    if press.view is not None:
        begin(desk, press, "open the form", _declare_instead(desk, press.view))


async def declare_named(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Declare … instead*, under a list: what was typed was a name after all."""
    await ack()
    filled = named(press.control.value or "")
    begin(desk, press, "open the form", open_form(desk, press, FormContext(), filled))


async def _declare_instead(desk: Desk, view: ShownView) -> None:
    typed = Errand.read(view.private_metadata).typed
    filled: DeclareRequest = named(typed.partition(" ")[2])
    modal = declare_modal(await desk.forms.fetch(), FormContext(), filled)
    await desk.workspace.update_modal(view.id, modal, NOTHING, seen=view.hash)
