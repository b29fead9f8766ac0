"""Every modal and message we draw, empty and as full as it gets, is one that Slack takes and we can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.declarations import ANA, DAWN

from slack_emulator.block_kit import message_errors, view_errors
from slack_emulator.composer import broadcasts
from slack_emulator.views import initial_values
from tocsin.config import IncidentConfig
from tocsin.incidents.model import (
    ChannelId,
    CustomField,
    FieldOption,
    FollowUp,
    Form,
    Incident,
    IncidentType,
    MessageTs,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    StartStatus,
    Status,
    Visibility,
)
from tocsin.incidents.requests import DeclareRequest
from tocsin.incidents.tasks import AssignedItem
from tocsin.slack.routes import VIEWS, help_anywhere, help_here
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.card import bookmark_title, card, card_text, purpose, topic
from tocsin.slack.views.declare import (
    already_modal,
    declare_modal,
    declared_modal,
    error_modal,
    loading_modal,
    read_declare,
    saved_modal,
)
from tocsin.slack.views.home import HomePage, help_message, home_view
from tocsin.slack.views.message_text import name_and_summary
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.views.samples import modals

FIXING = Status(id="fixing", name="Fixing", category="live")
WIDE, LONG = "W" * 75, "<&>" * 700
KINDS = ("text", "link", "numeric", "single_select", "multi_select")


def options(count: int) -> tuple[FieldOption, ...]:
    return tuple(FieldOption(id=f"o{n}", value=f"{n} {WIDE}", sort_key=n) for n in range(count))


HUGE = Form(
    severities=tuple(Severity(id=f"s{n}", name=WIDE, description=LONG, rank=n) for n in range(100)),
    incident_types=tuple(
        IncidentType(id=f"t{n}", name=WIDE, description=LONG, private_incidents_only=n % 2 > 0)
        for n in range(100)
    ),
    roles=(
        Role(id="lead", name=WIDE, role_type="lead"),
        *(Role(id=f"r{n}", name=WIDE, description=LONG, role_type="custom") for n in range(19)),
    ),
    custom_fields=tuple(
        CustomField(
            id=f"f{n}",
            name=WIDE,
            description=LONG,
            field_type=KINDS[n % 5],
            options=options((100, 101)[n % 2]) if n % 5 > 2 else (),
            required=n % 3 == 0,
        )
        for n in range(35)
    ),
    backend_fields=tuple(
        CustomField(
            id=f"own{n}",
            name=WIDE,
            description=LONG,
            field_type=KINDS[3 + n % 2],
            searched=True,
            required=n < 2,
        )
        for n in range(5)
    ),
    as_of=DAWN,
    is_old=True,
    kept_by="<" * 75,
)
USUAL = IncidentConfig().form()
FULL = DeclareRequest(
    name="N" * 200,
    summary="<!channel>" * 300,
    severity_id="s99",
    incident_type_id="t42",
    visibility="private",
    mode="test",
    incident_role_assignments={"lead": PersonId("U0BEN00002"), "r3": PersonId("U0ANA00001")},
    custom_field_entries={
        "f0": ("x" * 3000,),
        "f1": ("https://example.com/?a=b&c=d",),
        "f2": ("-12.50",),
        "f3": ("o100",),
        "f4": ("o0", "o99"),
    },
    backend_entries={"own0": ("p7",), "own1": ("p1", "p2")},
    labels={"o100": f"100 {WIDE}"[:74] + "…", "p7": "Part 7", "p1": "Part 1", "p2": "Part 2"},
)
CONTEXT = DeclareMetadata(
    origin=ChannelId("C0GENERAL1"),
    source_channel=ChannelId("C0GENERAL1"),
    source_ts=MessageTs("1700000000.000100"),
    thread=MessageTs("1700000000.000100"),
    another=True,
    expanded=True,
    name='"' * 200,
    summary='"\n' * 1500,
)
LEAST = Incident(
    id="1",
    reference="INC-1",
    name="x",
    incident_status=Status(id="live", name="Live"),
    created_at=DAWN,
    updated_at=DAWN,
)
MOST = LEAST.model_copy(
    update={
        "reference": "INC-1234567890",
        "name": "<!channel>" * 20,
        "summary": "<@U0BEN00002>\n" * 230,
        "permalink": "https://incidents.example/" + "x" * 1000,
        "severity": Severity(id="s", name="<" * 75),
        "visibility": "private",
        "mode": "test",
        "slack_channel_id": "C0ROOM0001",
        "slack_channel_name": "inc-" + "x" * 76,
        "source": SourceMessage(
            channel=ChannelId("C1"), timestamp=MessageTs("1.1"), permalink="https://x.example/" + "y" * 500
        ),
        "creator": ANA,
        "incident_role_assignments": (
            RoleAssignment(role=Role(id="lead", name="Lead", role_type="lead"), assignee=ANA),
        ),
    }
)
INCIDENTS = pytest.mark.parametrize("incident", [LEAST, MOST], ids=["least", "most"])
MODALS: dict[str, Callable[[], Any]] = {
    "empty form": lambda: declare_modal(Form(), DeclareMetadata(), DeclareRequest()),
    "usual form": lambda: declare_modal(IncidentConfig().form(), DeclareMetadata(), DeclareRequest()),
    "huge form": lambda: declare_modal(
        HUGE, DeclareMetadata(), FULL, notice="*n*" * 900, problem="*t*" * 900
    ),
    "huge form in full": lambda: declare_modal(HUGE, CONTEXT, FULL),
    "not private": lambda: declare_modal(Form(offers_private=False), DeclareMetadata(), DeclareRequest()),
    "always private": lambda: declare_modal(
        Form(incident_types=(IncidentType(id="t", name="T", private_incidents_only=True),)),
        DeclareMetadata(),
        DeclareRequest(),
    ),
    "declared": lambda: declared_modal(LEAST, "inc-1"),
    "declared in full": lambda: declared_modal(MOST, "x" * 80, ["It & that failed"] * 8),
    "already": lambda: already_modal(LEAST, DAWN, DeclareMetadata()),
    "already in full": lambda: already_modal(MOST, DAWN, CONTEXT),
    "saved": saved_modal,
    "loading": lambda: loading_modal(CONTEXT),
    "sorry": lambda: error_modal("Not declared", "<!channel> no"),
}


@pytest.mark.parametrize("draw", MODALS.values(), ids=list(MODALS))
def test_every_modal_keeps_within_slacks_limits(draw: Callable[[], Any]) -> None:
    assert view_errors(draw().to_dict()) == []


@INCIDENTS
def test_every_card_keeps_within_slacks_limits_and_calls_only_who_it_names(incident: Incident) -> None:
    message = {"text": card_text(incident), "blocks": [block.to_dict() for block in card(incident)]}
    assert message_errors(message) == []
    called = {mention.target for mention in broadcasts(message["text"])}
    called |= {mention.target for mention in broadcasts(message["blocks"])}
    assert called <= {ANA.slack_user_id}


@INCIDENTS
def test_topic_purpose_and_bookmark_fit_and_are_escaped(incident: Incident) -> None:
    for said in (topic(incident), purpose(incident)):
        assert 0 < len(said) <= 250
        assert "<" not in said
    assert 0 < len(bookmark_title(incident)) <= 256


def test_help_is_a_message_that_slack_takes() -> None:
    text, blocks = help_message(("Here", help_here()), ("Anywhere", help_anywhere()))
    assert message_errors({"text": text, "blocks": [block.to_dict() for block in blocks]}) == []


def test_what_the_form_shows_in_full_is_read_back_the_same() -> None:
    view = declare_modal(HUGE, DeclareMetadata(expanded=True), FULL).to_dict()
    assert read_declare(initial_values(view, None)) == FULL


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


@given(
    name=texts,
    summary=texts,
    severity=st.sampled_from(["minor", "major", "critical"]),
    private=st.booleans(),
    status=st.sampled_from(["triage", "live"]),
)
def test_whatever_is_typed_survives_being_drawn_again(
    name: str, summary: str, severity: str, private: bool, status: StartStatus
) -> None:
    visibility: Visibility = "private" if private else "public"
    typed = DeclareRequest(
        name=name, summary=summary, severity_id=severity, visibility=visibility, status=status
    )
    view = declare_modal(USUAL, DeclareMetadata(expanded=True), typed).to_dict()
    again = read_declare(initial_values(view, None))
    assert again.model_copy(update={"incident_type_id": None}) == typed


@given(st.builds(DeclareMetadata, origin=st.none(), name=texts, summary=st.text(max_size=3000)))
def test_a_packed_context_fits_and_is_read_back(context: DeclareMetadata) -> None:
    packed = context.to_json()
    assert len(packed) <= 3000
    read = DeclareMetadata.from_text(packed)
    assert read.name == context.name
    assert context.summary.startswith(read.summary)


@given(st.text(max_size=3000))
def test_a_button_carries_what_is_to_be_filled_in(summary: str) -> None:
    packed = DeclareMetadata(summary=summary).to_button_value()
    assert len(packed) <= 2000
    assert summary.startswith(DeclareMetadata.from_text(packed).summary)


def test_of_a_summary_too_long_to_be_carried_as_much_is_kept_as_fits() -> None:
    context = DeclareMetadata(name="n" * 200, summary='"' * 3000)
    kept = DeclareMetadata.from_text(context.to_json()).summary
    assert len(context.to_json()) <= 3000
    assert (
        len(DeclareMetadata(name="n" * 200, summary=kept + '"').model_dump_json(exclude_defaults=True)) > 3000
    )


@given(st.text(max_size=3100))
def test_a_context_is_read_from_anything(metadata: str) -> None:
    assert isinstance(DeclareMetadata.from_text(metadata), DeclareMetadata)


@given(st.text())
def test_escaped_text_calls_nobody_and_links_nowhere(text: str) -> None:
    assert not broadcasts(escape(text))
    assert "<" not in escape(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "elements", "fields", "blocks", "attachments", "files", "user"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["text", "blocks", "attachments", "files", "user"]), json_values))
def test_any_message_at_all_gives_a_name_and_a_summary_that_fit(message: dict[str, Any]) -> None:
    json.dumps(message)
    name, summary = name_and_summary(message, "https://x.example/archives/C1/p1", {})
    assert len(name) <= 200
    assert len(summary) <= 3000


def test_the_doctor_looks_at_every_form_that_can_be_sent() -> None:
    looked_at = {view.get("callback_id") for _, view in modals(IncidentConfig().form())}
    assert set(VIEWS) <= looked_at


def test_home_shows_what_is_overdue_first_and_fits_into_slacks_blocks() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    incident = Incident(
        id="1", reference="INC-1", name="n", created_at=at, updated_at=at, incident_status=FIXING
    )
    items = [
        AssignedItem(
            item=FollowUp(id=str(n), incident_id="1", text=f"item {n}", created_at=at + timedelta(days=n)),
            incident=incident,
        )
        for n in range(60)
    ]
    many = tuple(incident.model_copy(update={"id": str(n)}) for n in range(60))
    page = HomePage(mine=many[:30], items=tuple(items), open=many, closed=many, at=at + timedelta(days=32))
    view = home_view(page).to_dict()
    said = json.dumps(view)
    assert said.count("*overdue*") == 3
    assert said.index("item 2") < said.index("item 3")
    assert ("follow-ups (60)" in said, "And 50 more." in said) == (True, True)
    in_part = json.dumps(home_view(page.model_copy(update={"has_more_items": True})).to_dict())
    assert ("follow-ups (60 or more)" in in_part, "And 50 or more." in in_part) == (True, True)
    assert len(view["blocks"]) <= 100


class Compared(Incident):
    """An incident that may not be compared as a whole: three hundred among thousands take a second."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]


def test_home_tells_own_incidents_from_others_by_their_ids() -> None:
    mine, other = (Compared(**{**dict(LEAST), "id": number, "reference": number}) for number in ("1", "2"))
    shown = str(home_view(HomePage(mine=(mine,), open=(mine, other), at=DAWN)).to_dict())
    assert "Yours (1)" in shown
    assert "Others that are open (1)" in shown
