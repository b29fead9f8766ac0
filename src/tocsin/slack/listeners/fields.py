"""The verb `fields`, which shows and changes the custom fields of an incident."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, Incident
from tocsin.incidents.parsing import match_options, match_prefix
from tocsin.incidents.permissions import Verb
from tocsin.incidents.validation import join_names, parse_changed_fields
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, VerbSpec, change, submit
from tocsin.slack.payloads import ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.fields import (
    FieldsEntered,
    answered,
    as_answered,
    fields_modal,
    fingerprints,
    read_fields,
)
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.workflows.command import AnyChange


async def _build_fields(
    call: Invocation,
    problem: str,
    entered: FieldsEntered | None = None,
    seen: Mapping[str, str] | None = None,
) -> View:
    form = await call.context.forms.fetch()
    return fields_modal(form, call.incident, entered, seen=seen, problem=escape(problem))


async def _set_field(call: Invocation) -> AnyChange | None:
    """Set the field that the text begins with to the rest of the text."""
    form = await call.context.forms.fetch()
    field, rest = match_prefix(call.text, form.changeable_fields, "field")
    if not rest:
        raise NeedsForm(f"Say what {field.name} is.")
    if field.searched:
        # Its options are in the backend alone, which may take longer than Slack waits for an answer.
        raise NeedsForm(f"Look for “{rest}” in the menu of {field.name}.")
    texts = match_options(rest, field) if field.field_type.endswith("_select") else (rest,)
    answers = parse_changed_fields({field.id: texts}, {}, form)
    there, given = call.incident.answers(field.id), answers[field.id]
    if {value.entered for value in there} == {value.entered for value in given}:
        said = join_names(value.shown for value in there)
        raise Refused(f"{field.name} of {call.incident.reference} is {said} already.")
    return await change(call, custom_field_entries=answers)


FIELDS = VerbSpec(
    Verb.FIELDS,
    "/incident fields [affected area API]",
    "shows its custom fields and changes them",
    build_view=_build_fields,
    execute=_set_field,
    begins_with_choice=True,
)


async def submit_fields(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the fields' form; only fields that the person changed are sent.

    So two people who change different fields do not undo one another.
    """
    seen = VerbMetadata.from_text(submission.view.private_metadata).seen
    entered = read_fields(submission.view.values)
    changed = {name: told for name, told in fingerprints(entered).items() if told != seen.get(name, "")}
    kept = {name: texts for name, texts in entered.entries.items() if name in changed}
    entered = entered.model_copy(update={"entries": kept})

    async def execute(call: Invocation) -> AnyChange | None:
        if not changed:
            raise Refused("Nothing was changed in the form.")
        form = await context.forms.fetch()
        _refuse_overtaken(call.incident, form, changed, seen)
        offered = as_answered(form, call.incident)
        answers = parse_changed_fields(entered.entries, entered.labels, offered)
        return await change(call, custom_field_entries=answers)

    again = partial(_build_fields, entered=entered, seen=seen)
    await submit(ack, submission, context, tracker, {Verb.FIELDS}, again, execute)


def _refuse_overtaken(
    incident: Incident, form: Form, changed: Mapping[str, str], seen: Mapping[str, str]
) -> None:
    """Raise Refused if another person gave one of these fields another answer after the form was opened."""
    now = fingerprints(answered(incident, form))
    overtaken = [
        f"{field.name} is {join_names(v.shown for v in incident.answers(field.id)) or 'empty'} by now"
        for field in form.changeable_fields
        if field.id in changed and now[field.id] not in {seen.get(field.id, ""), changed[field.id]}
    ]
    if overtaken:
        said = f"{join_names(overtaken)}: it was changed while you had this form open."
        raise Refused(f"{said} Nothing was saved. Send the form again to replace that.")
