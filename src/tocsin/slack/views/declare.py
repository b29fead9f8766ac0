"""The declare form, and the modals and messages that answer it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import ChannelId, Form, Incident, IncidentType, Mode, PersonId, StartStatus
from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT, DeclareRequest
from tocsin.incidents.validation import TIME_FIELD, ago, clean_text, no_triage
from tocsin.slack.views.blocks import (
    BLOCKS_LIMIT,
    Choice,
    IdentityKey,
    State,
    alert,
    checkbox,
    context,
    date_token,
    escape,
    filled_in,
    first_value,
    in_one_view,
    labels_of,
    link,
    mrkdwn,
    paragraph,
    person_input,
    plain,
    radio_input,
    render_form,
    select_input,
    shorten,
    text_input,
    values_of,
)
from tocsin.slack.views.card import channel, declared_by, facts_line, name_block, unknown_people
from tocsin.slack.views.fields import FIELD, field_input
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.views.times import read_times, time_inputs

# The declare form. A block's id is the name of the field in the request.

CALLBACK_ID = "declare"
ROLE = "incident_role_assignments."
OPEN_SHOWN = 3
ADDED = 5
"""Blocks that are counted as if they were there: two notes, the open incidents, a line, the channel."""

LEAST = 2
"""Blocks that *More fields* shows at least: how many fields there is no room for, and the mode."""

STATUSES: tuple[Choice, ...] = (
    ("live", "It is an incident", ""),
    ("triage", "Start in triage", "It may be an incident: it is announced only once it is accepted"),
)
"""Choices of `status`, by the category in which the incident starts."""

OURS = frozenset(
    {
        "name",
        "summary",
        "severity_id",
        "incident_type_id",
        "status",
        "visibility",
        "mode",
        "slack_channel_id",
        "more_fields",
    }
)
"""Block ids of every form; any other id without a prefix is a field of the backend's own."""


def declare_modal(
    form: Form,
    metadata: DeclareMetadata,
    filled: DeclareRequest,
    *,
    notice: str = "",
    problem: str = "",
    opened: Sequence[Incident] = (),
    usable: ChannelId | None = None,
) -> View:
    """Build the declare form.

    The first screen has the name, the severity, the summary, the lead, every required field, if it may be no
    incident, and *private*; the button *More fields* shows the rest. `notice` and `trouble` are mrkdwn above
    the name. `opened` are open incidents that this person may see, and `usable` is the channel that the
    incident may use instead of one of its own.
    """
    above = [
        *([alert(problem, "warning")] if problem else []),
        *([alert(notice, "info")] if notice else []),
    ]
    below_name, packed = _open_now(opened), metadata.to_json()
    texts = {"name": filled.name, "summary": filled.summary}
    only_texts = filled.model_fields_set <= texts.keys()
    offers = usable is not None and metadata.expanded
    if not offers and (only_texts or filled == DeclareRequest(name=filled.name, summary=filled.summary)):
        unfilled = render_form(IdentityKey(form, _empty_form), metadata.expanded)
        return filled_in(unfilled, texts, packed, above=above, below_name=below_name)
    return _build_form(form, filled, packed, metadata.expanded, above, below_name, usable)


def _empty_form(form: Form, expanded: bool) -> View:
    return _build_form(form, DeclareRequest(), "", expanded, (), ())


def _build_form(
    form: Form,
    filled: DeclareRequest,
    packed: str,
    expanded: bool,
    above: Sequence[Block],
    below_name: Sequence[Block],
    usable: ChannelId | None = None,
) -> View:
    name = text_input(
        "name",
        "Name",
        value=filled.name,
        placeholder="What is wrong, in a few words",
        optional=False,
        focus=True,
    )
    summary = text_input(
        "summary",
        "Summary",
        value=filled.summary,
        placeholder="What you see, since when, and who is affected",
        lines=True,
        optional=not form.summary_required,
    )
    top = [*_age(form), *_no_triage(form, filled), name]
    kind = [*_severity(form, filled), *_incident_type(form, filled), *_over(filled)]
    own = [summary, *_roles(form, filled, lead=True)]
    end = [*_status(form, filled), *_private(form, filled)]
    # Whatever there is too much of, the summary and the tick *private* are on the form.
    room = BLOCKS_LIMIT - ADDED - len([*top, *kind, *own, *end])
    times, needed = _times_and_needed(form, filled, room - LEAST)
    rest = _rest(form, filled, usable, room - len(times) - len(needed), expanded=expanded)
    first = [*above, *top, *below_name, *kind, *times, *own, *needed, *end]
    return View(
        type="modal",
        callback_id=CALLBACK_ID,
        title=plain("Retrospective incident" if filled.mode == "retrospective" else "Declare an incident"),
        submit=plain("Declare"),
        close=plain("Cancel"),
        private_metadata=packed,
        blocks=[*first, *rest],
    )


def _use_channel(usable: ChannelId | None, filled: DeclareRequest, *, ticked: bool) -> list[Block]:
    """Return the choice to use the channel in which people are, if it is ticked or not as wanted here.

    What is over has no channel.
    """
    is_ticked = usable is not None and filled.slack_channel_id == usable
    if usable is None or is_ticked is not ticked or filled.mode == "retrospective":
        return []
    choice = (usable, "Use this channel for the incident", "Instead of a new one; all that is here stays")
    return [checkbox("slack_channel_id", "Channel", choice, checked=is_ticked)]


def _rest(
    form: Form, filled: DeclareRequest, usable: ChannelId | None, room: int, *, expanded: bool
) -> list[Block]:
    """Return the ticked choice of a channel, and the other fields or the button that shows them."""
    more = [*_more(form, filled, room), *_use_channel(usable, filled, ticked=False)]
    button = ButtonElement(action_id="more_fields", text=plain("More fields"), value="more")
    shown = [DividerBlock(), *more] if expanded else [ActionsBlock(block_id="more_fields", elements=[button])]
    return [*_use_channel(usable, filled, ticked=True), *(shown if more else [])]


def _open_now(incidents: Sequence[Incident]) -> list[Block]:
    """Build a line with the latest open incidents, so that the same incident is not declared twice."""
    if not incidents:
        return []
    named = [
        f"{link(one.permalink, one.reference)} {escape(shorten(one.name, 60))}"
        for one in incidents[:OPEN_SHOWN]
    ]
    more = f" and {len(incidents) - OPEN_SHOWN} more" if len(incidents) > OPEN_SHOWN else ""
    said = mrkdwn(f"Open now: {' · '.join(named)}{more}")
    return [ContextBlock(block_id="open_now", elements=[said])]


_TEST = ("test", "Test incident", "Nobody else is told, and it stays out of reports")
_OVER = (
    "retrospective",
    "Retrospective: it is closed already",
    "Asks for its timestamps; nobody is called, and it gets no channel",
)


def _more(form: Form, filled: DeclareRequest, room: int) -> list[Block]:
    """Return the other roles, the fields that need no answer, and the mode, in at most `room` blocks."""
    modes = [_TEST] * form.offers_test + [_OVER] * ("retro" not in form.lacks)
    is_asked = bool(modes) and filled.mode != "retrospective"
    mode = [checkbox("mode", "Mode", *modes, checked=filled.mode)] if is_asked else []
    asked = [*_roles(form, filled, lead=False), *_questions(form, filled, required=False)]
    afterwards = "`/incident fields` and `/incident role`"
    return [*_as_many_as_fit(asked, filled, room - len(mode), afterwards), *mode]


def _over(filled: DeclareRequest) -> list[Block]:
    """Return the tick which says that it is over; empty for what happens now."""
    return [checkbox("mode", "Mode", _OVER, checked=True)] if filled.mode == "retrospective" else []


def _times_and_needed(
    form: Form, filled: DeclareRequest, room: int
) -> tuple[Sequence[Block], Sequence[Block]]:
    """Return the times of what is over, and the fields that need an answer, in at most `room` blocks."""
    times = time_inputs(form, filled.incident_timestamp_values) if filled.mode == "retrospective" else []
    # At least one time is needed, too.
    needed = in_one_view(_questions(form, filled, required=True), room - min(len(times), 2))
    return _as_many_as_fit(times, filled, room - len(needed), "`/incident time`"), needed


def asks_for_times(request: DeclareRequest, form: Form, state: State) -> bool:
    """True if what is declared is over, and the form that was sent did not show its times."""
    shows = any(block.startswith(TIME_FIELD) for block in state)
    return request.mode == "retrospective" and bool(form.incident_timestamps) and not shows


def _age(form: Form) -> list[Block]:
    """Build a note on how old the choices are, if the backend could not be asked since."""
    if not form.is_old or form.as_of is None:
        return []
    said = f"Choices as of {date_token(form.as_of)}: {escape(form.kept_by)} could not be asked since."
    return [alert(said, "warning")]


def _no_triage(form: Form, filled: DeclareRequest) -> list[Block]:
    """Build a note for a person who asks for triage where incidents have none."""
    if filled.status != "triage" or filled.mode == "retrospective" or form.triage_status is not None:
        return []
    return [alert(escape(no_triage(form)), "info")]


def _questions(form: Form, filled: DeclareRequest, *, required: bool) -> list[Block]:
    """Return the inputs of the organisation's fields, then of the backend's own, whose ids have no prefix."""
    asked = [(f"{FIELD}{f.id}", f, filled.custom_field_entries) for f in form.custom_fields]
    asked += [(f.id, f, filled.backend_entries) for f in form.backend_fields]
    return [
        field_input(field, block, entries.get(field.id, ()), filled.labels, optional=not field.required)
        for block, field, entries in asked
        if field.required is required and field.asked != "later"
    ]


def _as_many_as_fit(
    questions: Sequence[Block], filled: DeclareRequest, room: int, afterwards: str
) -> list[Block]:
    """Return as many questions as there is room for, and a sentence on the others.

    Those that have been answered come first: the form may have had more room before.
    """
    if len(questions) <= room:
        return list(questions)
    first = sorted(questions, key=lambda block: block.block_id not in _answered(filled))
    shown = set(map(id, first[: max(room - 1, 0)]))
    left = len(questions) - len(shown)
    in_order = [block for block in questions if id(block) in shown]
    return [*in_order, paragraph(f"{left} more fields can be answered afterwards, with {afterwards}.")]


def _answered(filled: DeclareRequest) -> set[str]:
    """Return the block ids of roles, fields and times that are filled in."""
    prefixed: dict[str, Iterable[str]] = {
        ROLE: filled.incident_role_assignments,
        FIELD: filled.custom_field_entries,
        TIME_FIELD: filled.incident_timestamp_values,
    }
    return {
        *filled.backend_entries,
        *(f"{prefix}{one}" for prefix, given in prefixed.items() for one in given),
    }


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
        (t.id, f"{t.name}{_always(t, form)}", t.description) for t in form.incident_types
    ]
    return [
        select_input(
            "incident_type_id", "Type", choices, chosen=[filled.incident_type_id or usual], optional=False
        )
    ]


def _always(kind: IncidentType, form: Form) -> str:
    """Return what a type demands of its incidents, in brackets."""
    demands = ["private"] * kind.private_incidents_only
    demands += ["in triage first"] * (form.starts_in_triage("live", kind))
    return f" (always {' and '.join(demands)})" if demands else ""


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


def _status(form: Form, filled: DeclareRequest) -> list[Block]:
    """Build the choice between an incident and triage, where incidents have triage.

    Nothing is chosen at first if that depends on the type. What is over is not asked about.
    """
    if form.triage_status is None or filled.mode == "retrospective":
        return []
    kinds = form.incident_types or (None,)
    if all(form.starts_in_triage("live", kind) for kind in kinds):
        return [context("Every incident here starts in triage.")]
    usual = {"triage" if form.triage.apply_to(kind) else "live" for kind in kinds}
    chosen = filled.status or (usual.pop() if len(usual) == 1 else "")
    hint = "" if chosen else "If you choose neither, the type decides."
    return [radio_input("status", "Is it an incident?", STATUSES, chosen=chosen, hint=hint)]


def _private(form: Form, filled: DeclareRequest) -> list[Block]:
    if not form.offers_private:
        return [context(escape(form.private_refusal))]
    if form.incident_types and all(t.private_incidents_only for t in form.incident_types):
        return [context("Every incident here is private.")]
    choice = (
        "private",
        "Private incident",
        "Only you, the people with a role and those who are invited can see it",
    )
    return [checkbox("visibility", "Visibility", choice, checked=filled.visibility == "private")]


def read_declare(state: State) -> DeclareRequest:
    """Return the submitted form as a request, not validated; fields that are not on the screen are empty."""
    roles = {block.removeprefix(ROLE): first_value(state, block) for block in state if block.startswith(ROLE)}
    fields = {
        block.removeprefix(FIELD): values_of(state, block) for block in state if block.startswith(FIELD)
    }
    own = {block: values_of(state, block) for block in state if not _is_ours(block)}
    return DeclareRequest(
        name=first_value(state, "name"),
        summary=first_value(state, "summary"),
        severity_id=first_value(state, "severity_id") or None,
        incident_type_id=first_value(state, "incident_type_id") or None,
        visibility="private" if "private" in values_of(state, "visibility") else "public",
        mode=_mode(values_of(state, "mode")),
        status=_chosen_status(first_value(state, "status")),
        slack_channel_id=ChannelId(first_value(state, "slack_channel_id")) or None,
        incident_role_assignments={role: PersonId(who) for role, who in roles.items() if who},
        custom_field_entries={field: given for field, given in fields.items() if given},
        incident_timestamp_values={one: at for one, at in read_times(state).items() if at},
        backend_entries={field: given for field, given in own.items() if given},
        labels=labels_of(state),
    )


def _mode(ticked: Sequence[str]) -> Mode:
    """Return the mode; what is over is no test, so that its times are asked."""
    return "retrospective" if "retrospective" in ticked else "test" if "test" in ticked else "standard"


def _chosen_status(value: str) -> StartStatus | None:
    return "triage" if value == "triage" else "live" if value == "live" else None


def _is_ours(block: str) -> bool:
    return block in OURS or block.startswith((ROLE, FIELD, TIME_FIELD))


def prefill(text: str, words: str = "") -> DeclareRequest:
    """Return a request with the first line after the command as its name, and the other lines as its summary.

    `words` is the same text without the addresses of links, which a name does not need. If the first line
    does not fit into the name unchanged, the summary keeps the whole text.
    """
    lines = clean_text(text, lines=True)
    first, _, more = lines.partition("\n")
    name = clean_text(clean_text(words or text, lines=True).partition("\n")[0])
    whole = len(name) <= NAME_LIMIT and name == clean_text(first)
    summary = clean_text(more, lines=True) if whole else lines
    return DeclareRequest(name=shorten(name, NAME_LIMIT), summary=shorten(summary, SUMMARY_LIMIT))


# Answers to the form: declared, saved, already declared, or not declared.


def _answer(title: str, blocks: Sequence[Block], **more: Any) -> View:
    return View(type="modal", title=plain(title), close=plain("Done"), blocks=blocks, **more)


def declared_modal(incident: Incident, channel_name: str, problems: Sequence[str] = ()) -> View:
    """Build the result: reference, permalink, and the channel as a link or, until it exists, by its name."""
    reference = link(incident.permalink, incident.reference)
    if incident.slack_channel_id:
        where = f"Carry on in {channel(incident)}."
    elif incident.is_retrospective:
        where = "It is retrospective, so it has no channel, and nobody was called."
    elif problems:
        where = "It has no channel of its own yet."
    elif incident.is_private and not channel_name:
        # A backend may create the private channel without the bot; then this modal never learns of it.
        where = "Its private channel is opened for its members; *Open incident* leads there."
    else:
        where = f"Its channel{f' *#{escape(channel_name)}*' if channel_name else ''} is being opened."
    blocks: list[Block] = [
        paragraph(f":white_check_mark: *{reference}* is declared. {where}"),
        *(alert(f"{escape(sentence)}.", "warning") for sentence in problems),
        *(alert(said, "warning") for said in unknown_people(incident)),
        name_block(incident),
        context(facts_line(incident)),
    ]
    if incident.permalink:
        blocks.append(ActionsBlock(elements=[_link_button(incident.permalink, "Open incident")]))
        blocks.append(context(f"Permalink: <{incident.permalink}>"))
    return _answer(incident.reference, blocks)


def _link_button(url: str, words: str, style: str | None = None) -> ButtonElement:
    return ButtonElement(action_id="open_incident", text=plain(words), url=url, style=style)


def saved_modal() -> View:
    """Build the modal for a declaration that is committed, before the backend has answered."""
    said = (
        "*Saved, still declaring.* Your declaration is safe and will be made once. "
        "This window changes as soon as it is through; you may also close it."
    )
    return _answer("Saved", [alert(said, "info")])


def already_modal(incident: Incident, now: datetime, metadata: DeclareMetadata) -> View:
    """Build the modal for a message that already has an incident: open that one, or declare another."""
    reference = link(incident.permalink, incident.reference)
    when = ago(incident.created_at, now)
    said = f"*{reference}*, declared{declared_by(incident)} {when} from this message."
    buttons = [ButtonElement(action_id="declare_another", text=plain("Declare another"), value="another")]
    if incident.permalink:
        buttons.insert(0, _link_button(incident.permalink, "Open it", style="primary"))
    facts = facts_line(incident)
    if incident.slack_channel_id:
        facts += f" · {channel(incident)}"
    blocks: list[Block] = [
        paragraph(said),
        name_block(incident),
        context(facts),
        ActionsBlock(block_id="already", elements=buttons),
    ]
    return _answer("Already declared", blocks, private_metadata=metadata.to_json())


def loading_modal(metadata: DeclareMetadata) -> View:
    """Build the modal that is shown while the form's choices are being fetched."""
    return _answer(
        "Declare an incident",
        [paragraph(":hourglass_flowing_sand: Fetching the form…")],
        private_metadata=metadata.to_json(),
    )


def error_modal(title: str, sentence: str) -> View:
    """Build a modal that says in plain words what went wrong."""
    return _answer(title, [alert(escape(sentence), "error")])


def refused_message(name: str, sentence: str, key: str) -> tuple[str, list[Block]]:
    """Build the message for a refusal that came after the modal was answered, with a button to the form."""
    said = f":warning: *{escape(name)}* was not declared: {escape(sentence)} Nothing you typed is lost."
    button = ButtonElement(action_id="fix_and_send", text=plain("Fix and send"), value=key, style="primary")
    return said, [paragraph(said), ActionsBlock(block_id="refused", elements=[button])]


# The message to a person whose form Slack did not open, with a button that opens it again.

MOST_SHOWN = 2900
"""Characters of the typed text that the message shows (Slack, section block: 3000)."""


def unopened_message(
    why: str, typed: str, metadata: DeclareMetadata, again: tuple[str, str] | None = None
) -> tuple[str, list[Block]]:
    """Build the message that a form could not be opened, with a button to open it.

    `metadata` has the name and the summary to fill the form with; `typed` is shown in the message.
    `again` is the action and the value of the button that the person pressed, to be offered again.
    """
    said = f":warning: The form could not be opened: {escape(why)}. Nothing was declared."
    shown = f"You had typed: {escape(typed)}" if typed else ""
    action, value = again or ("open_form", metadata.to_button_value())
    if not typed and not again and DeclareMetadata.from_text(value).summary != metadata.summary:
        shown = f"Not all of this fits into the form again: {escape(metadata.summary)}"
    button = ButtonElement(action_id=action, text=plain("Open the form"), value=value, style="primary")
    blocks: list[Block] = [paragraph(part) for part in (said, shorten(shown, MOST_SHOWN)) if part]
    return " ".join(filter(None, [said, shown])), [
        *blocks,
        ActionsBlock(block_id="unopened", elements=[button]),
    ]
