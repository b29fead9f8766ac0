"""The declare form and its answers; a block's id is the name of the field in the request."""

from __future__ import annotations

import re

from pydantic import ValidationError
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    MarkdownTextObject,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import ChannelId, CustomField, Form, Frozen, MessageTs, PersonId
from tocsin.incidents.requests import DeclareRequest
from tocsin.slack.views.kit import (
    Choice,
    State,
    checkbox,
    link_input,
    number_input,
    one,
    paragraph,
    person_input,
    plain,
    select_input,
    submitted,
    text_input,
)

CALLBACK_ID = "declare"
ROLE = "incident_role_assignments."
FIELD = "custom_field_entries."
METADATA_LIMIT = 3000

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
    name: str = ""
    summary: str = ""

    def packed(self) -> str:
        """The context as `private_metadata`, its summary cut where it would not fit, or no context at all."""
        context = self
        while len(packed := context.model_dump_json(exclude_defaults=True)) > METADATA_LIMIT:
            if not context.summary:
                return FormContext(another=self.another, expanded=self.expanded).packed()
            context = context.model_copy(update={"summary": context.summary[: len(context.summary) // 2]})
        return packed

    @classmethod
    def read(cls, metadata: str) -> FormContext:
        """The context as we wrote it; an empty one when it is stale, forged or not ours."""
        try:
            context = cls.model_validate_json(metadata or "{}")
        except ValidationError:
            return cls()
        channels = (context.origin, context.source_channel)
        times = (context.source_ts, context.thread)
        sound = all(c is None or _CHANNEL.fullmatch(c) for c in channels) and all(
            t is None or _TS.fullmatch(t) for t in times
        )
        return context if sound else cls()


def declare_modal(
    form: Form, context: FormContext, filled: DeclareRequest, *, notice: str = "", trouble: str = ""
) -> View:
    """The form: what a responder knows at once on the first screen, the rest one button away.

    First the name, the severity, the summary, the lead, *private*, and whatever must be answered. `notice`
    and `trouble` are mrkdwn shown above the name.
    """
    blocks: list[Block] = [paragraph(said) for said in (trouble, notice) if said]
    blocks += [
        text_input(
            "name",
            "Name",
            value=filled.name,
            placeholder="What is wrong, in a few words",
            optional=False,
            focus=True,
        ),
        *_severity(form, filled),
        *_incident_type(form, filled),
        text_input(
            "summary",
            "Summary",
            value=filled.summary,
            placeholder="What you see, since when, and who is affected",
            lines=True,
        ),
        *_roles(form, filled, lead=True),
        *(_custom_field(field, filled) for field in form.custom_fields if field.required),
        *_private(form, filled),
    ]
    more = _more(form, filled)
    if context.expanded:
        blocks += [DividerBlock(), *more] if more else []
    elif more:
        button = ButtonElement(action_id="more_fields", text=plain("More fields"), value="more")
        blocks.append(ActionsBlock(block_id="more_fields", elements=[button]))
    return View(
        type="modal",
        callback_id=CALLBACK_ID,
        title=plain("Declare an incident"),
        submit=plain("Declare"),
        close=plain("Cancel"),
        private_metadata=context.packed(),
        blocks=blocks,
    )


def _more(form: Form, filled: DeclareRequest) -> list[Block]:
    test = ("test", "This is only a test", "Nobody else is told, and it stays out of reports")
    return [
        *_roles(form, filled, lead=False),
        *(_custom_field(field, filled) for field in form.custom_fields if not field.required),
        *([checkbox("mode", "Test", test, checked=filled.mode == "test")] if form.offers_test else []),
    ]


def _severity(form: Form, filled: DeclareRequest) -> list[Block]:
    choices = [(s.id, s.name, s.description) for s in sorted(form.severities, key=lambda s: s.rank)]
    if not choices:
        return []
    return [
        select_input(
            "severity_id",
            "Severity",
            choices,
            chosen=[filled.severity_id or ""],
            optional=not form.severity_required,
            placeholder="How bad is it?",
        )
    ]


def _incident_type(form: Form, filled: DeclareRequest) -> list[Block]:
    if len(form.incident_types) < 2:
        return []
    usual = next((t.id for t in form.incident_types if t.is_default), "")
    choices: list[Choice] = [
        (t.id, f"{t.name} (always private)" if t.private_incidents_only else t.name, t.description)
        for t in form.incident_types
    ]
    return [
        select_input(
            "incident_type_id", "Type", choices, chosen=[filled.incident_type_id or usual], optional=False
        )
    ]


def _roles(form: Form, filled: DeclareRequest, *, lead: bool) -> list[Block]:
    return [
        person_input(
            f"{ROLE}{role.id}",
            role.name,
            value=filled.incident_role_assignments.get(role.id, ""),
            hint=role.description,
        )
        for role in form.assignable_roles
        if (role.role_type == "lead") is lead
    ]


def _private(form: Form, filled: DeclareRequest) -> list[Block]:
    if not form.offers_private:
        return [ContextBlock(elements=[MarkdownTextObject(text="Private incidents cannot be kept here.")])]
    choice = ("private", "Keep it private", "Only you and the people with a role can see it")
    return [checkbox("visibility", "Who may see it", choice, checked=filled.visibility == "private")]


def _custom_field(field: CustomField, filled: DeclareRequest) -> Block:
    name, entered = f"{FIELD}{field.id}", filled.custom_field_entries.get(field.id, ())
    optional, hint, value = not field.required, field.description, next(iter(entered), "")
    if field.field_type in {"single_select", "multi_select"}:
        several = field.field_type == "multi_select"
        return select_input(
            name,
            field.name,
            field_choices(field),
            chosen=entered,
            several=several,
            optional=optional,
            hint=hint,
            placeholder="Choose any" if several else "Choose one",
        )
    if field.field_type == "numeric":
        return number_input(name, field.name, value=value, hint=hint, optional=optional)
    if field.field_type == "link":
        return link_input(name, field.name, value=value, hint=hint, optional=optional)
    return text_input(name, field.name, value=value, hint=hint, optional=optional)


def field_choices(field: CustomField) -> list[Choice]:
    """A select field's options in the order the organisation gave them."""
    return [(o.id, o.value, "") for o in sorted(field.options, key=lambda o: o.sort_key)]


def read_declare(state: State) -> DeclareRequest:
    """What was filled in, unchecked; fields that are not on the screen are empty."""
    roles = {block.removeprefix(ROLE): one(state, block) for block in state if block.startswith(ROLE)}
    fields = {
        block.removeprefix(FIELD): submitted(state, block) for block in state if block.startswith(FIELD)
    }
    return DeclareRequest(
        name=one(state, "name"),
        summary=one(state, "summary"),
        severity_id=one(state, "severity_id") or None,
        incident_type_id=one(state, "incident_type_id") or None,
        visibility="private" if "private" in submitted(state, "visibility") else "public",
        mode="test" if "test" in submitted(state, "mode") else "standard",
        incident_role_assignments={role: PersonId(who) for role, who in roles.items() if who},
        custom_field_entries={field: given for field, given in fields.items() if given},
    )
