"""incident.io at the wire: what is sent, what may be answered, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration
from support.first_files import own_tables
from support.incident_io import shapes
from support.incident_io.account import Account
from support.incident_io.server import LOST, NEVER_CAME, Fault, IncidentIoServer, failing, running_incident_io

from tocsin.backends.incident_io import IncidentIo, api_models
from tocsin.backends.incident_io.api_models import IncidentResponse
from tocsin.backends.incident_io.client import ApiError, TokenBucket, retry_after_of
from tocsin.backends.incident_io.mapping import incident_of, to_refused
from tocsin.backends.incident_io.queries import incident_in
from tocsin.incidents.errors import Conflict, OutcomeUnknown, Refused, Unavailable
from tocsin.incidents.model import CatalogEntry, FieldValue, SourceMessage
from tocsin.incidents.requests import FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.workflows.ports import loop_time

DATA = Path(__file__).parents[2] / "data" / "incident_io"
MESSAGE = SourceMessage(
    channel="C0ALERTS", timestamp="1772334000.000100", permalink="https://x.slack.com/archives/C0ALERTS/p1"
)


def told(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


class Turned:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = DAWN

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def opened(folder: Path, account: Account | None = None, **more: Any) -> AsyncIterator[Any]:
    clock = Turned()
    memory = SqlKeyValueStore(Database(own_tables(folder / "journal.db")))
    async with running_incident_io(account or Account(clock=clock)) as server:
        backend = IncidentIo(server.url, "a-key", store=memory, clock=clock, **more)
        yield backend, server, clock
        await backend.close()
    memory.database.close()


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[IncidentIo, IncidentIoServer]]:
    async with opened(tmp_path, seconds=2.0) as (backend, server, _):
        yield backend, server


Both = tuple[IncidentIo, IncidentIoServer]


def test_the_documented_v1_request_is_one_that_we_may_send_and_the_stand_in_takes() -> None:
    example = told("v1-create-request")
    assert json.loads(api_models.CreateV1.model_validate(example).written()) == example
    assert list(shapes.wrongs(shapes.CREATE_V1, example)) == []


@pytest.mark.parametrize("name", ["v1-create-answer", "v1-create-page-answer", "v2-show-answer"])
def test_the_documented_answers_become_the_same_incident(name: str) -> None:
    incident = incident_of(incident_in(told(name)))
    assert (incident.id, incident.reference) == ("01FDAG4SAP5TYPT98WGR2N7W91", "INC-123")
    assert incident.permalink == "https://app.incident.io/incidents/123"
    assert (incident.severity.name, incident.incident_type.name) == ("Minor", "Production Outage")  # type: ignore[union-attr]
    assert incident.lead is not None
    assert (incident.lead.name, incident.lead.slack_user_id) == ("Lisa Karlin Curtis", "U02AYNF2XJM")
    assert (incident.slack_channel_id, incident.slack_channel_name) == ("C02AW36C1M5", "inc-165-green-parrot")
    assert (incident.incident_status.category, incident.mode) == ("triage", "standard")
    (entry,) = incident.custom_field_entries
    chosen = entry.values[0].value_catalog_entry
    assert chosen is not None
    assert (chosen.name, chosen.aliases) == ("Primary On-call", ("lawrence@incident.io", "lawrence"))


def test_an_answer_with_unknown_null_and_missing_fields_is_still_an_incident() -> None:
    odd = {
        "id": "x",
        "mode": "rehearsal",
        "visibility": "semi",
        "incident_status": {"id": "s", "category": "frozen", "name": None, "new": 1},
        "severity": None,
        "custom_field_entries": None,
        "incident_role_assignments": [None],
        "slack_channel_id": None,
        "created_at": "yesterday",
        "novelty": {"a": []},
    }
    incident = incident_of(IncidentResponse.model_validate(odd))
    assert incident.is_private
    assert (incident.mode, incident.incident_status.category) == ("rehearsal", "frozen")


async def test_everything_of_a_declaration_is_in_the_v2_payload_and_nothing_is_null(both: Both) -> None:
    backend, server = both
    asked = full_declaration(source=None, incident_type_id="rumour", visibility="private")
    values = {**asked.custom_field_entries}
    values["team"] = (FieldValue(value_catalog_entry=CatalogEntry(id="01ENTRYSEARCH", name="Search crew")),)
    await backend.create(asked.model_copy(update={"custom_field_entries": values}))
    (sent,) = server.asked("POST", "/v2/incidents")
    body = sent.body
    assert b"null" not in sent.raw
    assert body["idempotency_key"] == asked.key
    assert (body["visibility"], body["mode"]) == ("private", "standard")
    assert body["incident_status_id"] == "triage"
    assert "slack_team_id" not in body
    assert body["incident_role_assignments"] == [
        {"incident_role_id": "reporter", "assignee": {"slack_user_id": ANA.slack_user_id}},
        {"incident_role_id": "lead", "assignee": {"slack_user_id": BEN.slack_user_id}},
    ]
    entries = {e["custom_field_id"]: e["values"] for e in body["custom_field_entries"]}
    assert entries["customers_affected"] == [{"value_numeric": "1200.5"}]
    assert entries["affected_area"] == [{"value_option_id": "api"}, {"value_option_id": "payments"}]
    assert entries["status_page"] == [{"value_link": "https://status.example.com/1"}]
    assert entries["team"] == [{"value_catalog_entry_id": "01ENTRYSEARCH"}]


async def test_the_team_is_sent_in_an_enterprise_grid_alone(both: Both) -> None:
    backend, server = both
    await backend.create(declaration("a", slack_team_id="T0NORTH"))
    await backend.create(declaration("b", slack_team_id="T0NORTH", slack_enterprise_id="E0GRID"))
    plain, grid = server.asked("POST", "/v2/incidents")
    assert "slack_team_id" not in plain.body
    assert grid.body["slack_team_id"] == "T0NORTH"


@pytest.mark.parametrize(
    ("choice", "source", "path"),
    [
        ("auto", MESSAGE, "/v1/incidents"),
        ("auto", None, "/v2/incidents"),
        ("v1", None, "/v1/incidents"),
        ("v2", MESSAGE, "/v2/incidents"),
    ],
)
async def test_which_version_creates(tmp_path: Path, choice: Any, source: Any, path: str) -> None:
    async with opened(tmp_path, create=choice) as (backend, server, _):
        made = await backend.create(declaration(source=source))
        assert [h.path for h in server.heard if h.method == "POST"] == [path]
        assert made.incident_status.name == "Investigating"
        assert made.source == source


async def test_once_v1_is_gone_it_is_not_asked_again(tmp_path: Path) -> None:
    account = Account(has_v1=False)
    async with opened(tmp_path, account) as (backend, server, _):
        for key in ("a", "b"):
            await backend.create(declaration(key, source=MESSAGE))
        posts = [h.path for h in server.heard if h.method == "POST"]
        assert posts == ["/v1/incidents", "/v2/incidents", "/v2/incidents"]


async def test_v1_that_says_it_is_gone_is_asked_again_by_the_next_process(tmp_path: Path) -> None:
    account = Account()
    for start in ("a", "b"):
        async with opened(tmp_path, account) as (backend, server, _):
            server.fail("POST", "/v1/incidents", failing(410))
            for press in ("1", "2"):
                await backend.create(declaration(start + press, source=MESSAGE))
            posts = [h.path for h in server.heard if h.method == "POST"]
            assert posts == ["/v1/incidents", "/v2/incidents", "/v2/incidents"]


@pytest.mark.parametrize("chosen", ["security", None], ids=["chosen", "the usual one"])
async def test_public_is_never_sent_with_a_type_that_is_always_private(
    tmp_path: Path, chosen: str | None
) -> None:
    account = Account()
    for kind in account.types:
        kind["is_default"] = kind["id"] == "security"
    async with opened(tmp_path, account) as (backend, server, _):
        made = await backend.create(declaration(incident_type_id=chosen, visibility="public"))
        (sent,) = server.asked("POST", "/v2/incidents")
        assert sent.body["visibility"] == "private"
        assert made.is_private


async def test_whoever_submits_is_the_reporter_and_each_role_holder_is_named_by_slack_id_alone(
    both: Both,
) -> None:
    backend, server = both
    for who in (ANA, BEN):
        server.account.knows(str(who.slack_user_id), str(who.name))
    await backend.create(declaration(incident_role_assignments={"lead": BEN.slack_user_id}))
    (sent,) = server.asked("POST", "/v2/incidents")
    assert sent.body["incident_role_assignments"] == [
        {"incident_role_id": "reporter", "assignee": {"slack_user_id": ANA.slack_user_id}},
        {"incident_role_id": "lead", "assignee": {"slack_user_id": BEN.slack_user_id}},
    ]


async def test_a_create_that_is_not_answered_is_given_up_after_ten_seconds(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        # What is asked before the create is known by then.
        await backend.form()
        server.fail("POST", "/v2/incidents", Fault(does=True, hangs=True))
        began = loop_time()
        with pytest.raises(OutcomeUnknown):
            await backend.create(declaration())
        assert loop_time() - began == pytest.approx(10.0, abs=0.5)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_was_refused_is_tried_again_at_the_next_start(tmp_path: Path, status: int) -> None:
    account = Account()
    async with opened(tmp_path, account) as (backend, server, _):
        server.fail("POST", "/v2/incidents", failing(status))
        for _ in range(2):
            with pytest.raises(Unavailable):
                await backend.create(declaration())
        assert len(server.asked("POST", "/v2/incidents")) == 1
    async with opened(tmp_path, account) as (backend, server, _):
        assert (await backend.create(declaration())).reference == "INC-1"


@pytest.mark.parametrize(
    "fault", [LOST, NEVER_CAME, failing(500), failing(503), Fault(does=True, hangs=True)]
)
async def test_an_unknown_outcome_is_tried_again_within_5_s_with_the_same_bytes(
    both: Both, fault: Fault
) -> None:
    backend, server = both
    server.fail("POST", "/v2/incidents", fault)
    with pytest.raises(OutcomeUnknown) as unknown:
        await backend.create(declaration())
    assert unknown.value.retry_after is not None
    assert unknown.value.retry_after < 4.5
    made = await backend.create(declaration(name="typed anew meanwhile"))
    first, second = server.asked("POST", "/v2/incidents")
    assert first.raw == second.raw
    assert [i["id"] for i in server.account.incidents] == [made.id]


async def test_after_a_quarter_of_an_hour_we_look_before_we_send_again(tmp_path: Path) -> None:
    account = Account()
    async with opened(tmp_path, account, seconds=2.0) as (backend, server, clock):
        account.clock, account.dedupes = clock, False
        server.fail("POST", "/v2/incidents", LOST)
        with pytest.raises(OutcomeUnknown):
            await backend.create(declaration())
        clock.now += timedelta(minutes=16)
        made = await backend.create(declaration())
        assert len(server.asked("POST", "/v2/incidents")) == 1
        assert [i["id"] for i in account.incidents] == [made.id]
        other = await backend.create(declaration("another"))
        assert other.id != made.id


async def test_a_key_that_is_refused_is_tried_few_times_and_the_operator_told(tmp_path: Path) -> None:
    async with opened(tmp_path, Account(key="another")) as (backend, server, _):
        results = await asyncio.gather(
            *(backend.create(declaration(f"k{n}")) for n in range(40)), return_exceptions=True
        )
        assert all(isinstance(r, Unavailable) and "INCIDENT_IO_API_KEY" in r.operator for r in results)
        assert all(r.retry_after is not None and r.retry_after < 59 for r in results)  # type: ignore[union-attr]
        assert len(server.heard) <= 6
        assert "another" not in str(results)


class Bell:
    """The operator's, as it was rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def raise_alert(self, about: str, sentence: str) -> None:
        self.rung.append(about)
        assert "(403)" in sentence

    def resolve(self, about: str) -> None:
        self.rung = [known for known in self.rung if known != about]


async def test_what_the_key_may_not_do_closes_that_door_alone_and_the_operator_is_told(
    tmp_path: Path,
) -> None:
    bell = Bell()
    async with opened(tmp_path, operator=bell) as (backend, server, _):
        server.fail("POST", "/v2/incidents", *[failing(403)] * 3)
        server.fail("GET", "/v3/incident_forms", failing(403))
        with pytest.raises(Unavailable, match="does not let our API key"):
            await backend.create(declaration())
        assert (await backend.form()).severities
        assert await backend.incidents() == []
        assert bell.rung == ["incident.io POST v2/incidents 2"]


def date_of(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("header", "body", "least", "most"),
    [
        ("7", None, 7, 7),
        (None, lambda: format_datetime(date_of(30)).replace("+0000", "UTC"), 25, 31),
        (None, lambda: date_of(30).isoformat(), 25, 31),
        (None, lambda: "12", 12, 12),
        (None, lambda: "soon", 15, 45),
        ("never", lambda: "9", 9, 9),
        ("nan", None, 15, 45),
        ("99999999", None, 300, 300),
        ("-5", None, 1, 1),
        (None, None, 15, 45),
    ],
)
def test_however_incident_io_says_how_long_to_wait(
    header: str | None, body: Callable[[], str] | None, least: float, most: float
) -> None:
    said = {"rate_limit": {"retry_after": body()}} if body else {}
    assert least <= retry_after_of({"retry-after": header} if header else {}, said) <= most


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"field": "severity_id"}, "severity_id"),
        ({"field": "severity_id", "pointer": "/severity_id"}, "severity_id"),
        (
            {"field": "value_text", "pointer": "/custom_field_entries/1/values/0/value_text"},
            "custom_field_entries.b",
        ),
        ({"field": "custom_field_entries.0.values.0.value_text"}, "custom_field_entries.a"),
        ({"field": "custom_field_entries[1]"}, "custom_field_entries.b"),
        ({"field": "incident_role_assignments.0.incident_role_id"}, "incident_role_assignments.r"),
        ({"field": "incident.call_url", "pointer": "/incident/call_url"}, "call_url"),
        ({"field": "message"}, "message"),
    ],
)
def test_a_refusal_underlines_the_field_that_was_sent_there(source: dict[str, str], field: str) -> None:
    body = {
        "custom_field_entries": [{"custom_field_id": "a"}, {"custom_field_id": "b"}],
        "incident_role_assignments": [{"incident_role_id": "r"}],
    }
    errors = [{"code": "is_required", "message": "Say more", "source": source}]
    refused = to_refused(ApiError.from_body(422, {"errors": errors}), body)
    assert refused.fields == {field: "Say more."}


@pytest.mark.parametrize(
    "errors", [[], [{"message": "No"}], [{"message": "No", "source": {"field": "weather"}}], None, "odd"]
)
def test_what_has_no_field_is_said_at_the_top(errors: Any) -> None:
    refused = to_refused(ApiError.from_body(422, {"errors": errors}), {})
    assert refused.fields == {}
    assert refused.sentence


def test_the_documented_errors_are_understood() -> None:
    wrong = to_refused(ApiError.from_body(422, told("error-422")), {})
    assert wrong.fields == {"severity_id": "A severity is required to open an incident."}
    assert retry_after_of({}, told("error-429")) == 1.0


async def test_what_somebody_waits_for_goes_before_a_crowd_that_must_keep_the_limit() -> None:
    pace = TokenBucket(per_minute=60, burst=10)
    sent = 0

    async def send() -> None:
        nonlocal sent
        await pace.acquire()
        sent += 1

    sending = [asyncio.create_task(send()) for _ in range(30)]
    began = loop_time()
    for _ in range(3):
        await pace.acquire(urgent=True)
    assert loop_time() == began
    assert sent <= 6
    for task in sending:
        task.cancel()


async def test_the_form_follows_the_organisations_own_form(tmp_path: Path) -> None:
    elements = [
        {"element_type": "summary", "required_if": "always_require"},
        {"element_type": "severity", "required_if": "never_require"},
        {"element_type": "custom_field", "custom_field_id": "team", "required_if": "always_require"},
        {"element_type": "custom_field", "custom_field_id": "detected_by", "required_if": "never_require"},
    ]
    account = Account(forms=[{"id": "f", "form_type": "declare", "lifecycle_elements": elements}])
    async with opened(tmp_path, account) as (backend, _, clock):
        form = await backend.form()
        asked = [field for field in form.custom_fields if field.asked == "always"]
        assert [(f.id, f.required) for f in asked] == [("team", True), ("detected_by", False)]
        assert (form.summary_required, form.severity_required) == (True, False)
        assert (form.as_of, form.kept_by) == (clock.now, "incident.io")


async def test_a_choice_that_is_not_as_documented_is_left_out_and_the_others_are_offered(
    tmp_path: Path,
) -> None:
    account = Account()
    account.severities.append({"name": "without an id", "rank": 9})
    account.statuses.append({"id": "odd", "name": "Odd", "rank": "high"})
    async with opened(tmp_path, account) as (backend, _, _):
        form = await backend.form()
        assert [severity.id for severity in form.severities] == ["minor", "major", "critical"]
        assert "odd" not in {status.id for status in form.statuses}


async def test_without_such_a_form_v1_says_what_is_needed(tmp_path: Path) -> None:
    account = Account()
    account.fields[4]["required_v2"] = "always"
    async with opened(tmp_path, account) as (backend, _, _clock):
        assert [f.id for f in (await backend.form()).custom_fields if f.required] == ["customer_or_ticket"]


async def test_a_catalogue_is_searched_by_words_and_by_alias(both: Both) -> None:
    backend, _ = both
    assert [o.value for o in await backend.options("team", "crew search", {})] == ["Search crew"]
    assert [o.value for o in await backend.options("team", "t-1", {})] == ["Checkout crew"]
    assert await backend.options("detected_by", "x", {}) == ()


async def test_a_catalogue_with_a_fixed_filter_offers_only_what_points_there(tmp_path: Path) -> None:
    """Custom Fields V2: `fixed_filter`."""
    account = Account()
    field = next(field for field in account.fields if field["id"] == "team")
    field["fixed_filter"] = {"catalog_attribute_id": "01DEPARTMENT", "values": ["01SHOP"]}
    checkout, search = account.entries
    checkout["attribute_values"] = {"01DEPARTMENT": {"array_value": [{"literal": "01SHOP"}]}}
    search["attribute_values"] = {"01DEPARTMENT": {"value": {"literal": "01FIND"}}}
    async with opened(tmp_path, account) as (backend, _, _clock):
        assert [o.value for o in await backend.options("team", "", {})] == ["Checkout crew"]
        assert await backend.options("team", "t-2", {}) == []


async def test_a_catalogue_is_limited_by_what_is_chosen_in_another_field(tmp_path: Path) -> None:
    """Custom Fields V2: `filter_by`."""
    account = Account()
    field = next(field for field in account.fields if field["id"] == "team")
    field["filter_by"] = {"catalog_attribute_id": "01DEPARTMENT", "custom_field_id": "department"}
    checkout, search = account.entries
    checkout["attribute_values"] = {"01DEPARTMENT": {"array_value": [{"literal": "01SHOP"}]}}
    search["attribute_values"] = {"01DEPARTMENT": {"value": {"literal": "01FIND"}}}
    async with opened(tmp_path, account) as (backend, _, _clock):
        both = ["Checkout crew", "Search crew"]
        for chosen, offered in (["01FIND"], both[1:]), (["01SHOP"], both[:1]), ([], both):
            found = await backend.options("team", "crew", {"department": chosen})
            assert [o.value for o in found] == offered
        assert await backend.options("team", "t-1", {"department": ["01FIND"]}) == []


@pytest.mark.parametrize("odd", [None, "shop", {"values": 3}, {"catalog_attribute_id": "x", "values": "y"}])
async def test_a_filter_that_cannot_be_read_hides_nothing(tmp_path: Path, odd: Any) -> None:
    account = Account()
    next(field for field in account.fields if field["id"] == "team")["fixed_filter"] = odd
    async with opened(tmp_path, account) as (backend, _, _clock):
        assert len(await backend.options("team", "", {})) == 2


async def test_an_incident_is_changed_and_told_once(both: Both) -> None:
    backend, server = both
    made = await backend.create(declaration())
    change = IncidentChange(
        key="change-1",
        by=BEN,
        at=DAWN,
        message="Rolled back",
        name="Checkout was slow",
        incident_status_id="fixing",
        incident_role_assignments={"lead": BEN.slack_user_id},
        seen_status_id="investigating",
    )
    for _ in range(2):
        changed = await backend.change(made.id, change)
    assert (changed.name, changed.incident_status.name) == ("Checkout was slow", "Fixing")
    assert changed.lead is not None
    (update,) = server.account.updates
    assert update["message"] == "Rolled back\n\n(Ben Okafor, from Slack)"
    given_up = IncidentChange(key="c2", by=BEN, at=DAWN, incident_role_assignments={"lead": None})
    assert (await backend.change(made.id, given_up)).lead is None
    with pytest.raises(Conflict, match="Fixing by now"):
        await backend.change(made.id, change.model_copy(update={"incident_status_id": "closed"}))


@pytest.mark.parametrize("asked", [{"visibility": "private"}, {"merged_into": "INC-2"}])
async def test_what_incident_io_cannot_do_is_said_before_and_when_it_is_tried(
    both: Both, asked: dict[str, Any]
) -> None:
    backend, _ = both
    made = await backend.create(declaration())
    with pytest.raises(Refused):
        await backend.change(made.id, IncidentChange(key="c", by=BEN, at=DAWN, **asked))
    assert {"private", "merge"} <= set((await backend.form()).lacks)


async def test_incidents_are_found_by_what_is_wanted(both: Both) -> None:
    backend, _ = both
    await backend.create(declaration("a", severity_id="minor"))
    hidden = await backend.create(declaration("b", visibility="private", name="Salaries leak"))
    closed = await backend.create(declaration("c", mode="test"))
    await backend.change(closed.id, IncidentChange(key="x", by=ANA, at=DAWN, incident_status_id="closed"))

    async def found(**wanted: Any) -> list[str]:
        return [i.reference for i in await backend.matching(IncidentFilter(**wanted))]

    assert await found(is_open=True) == ["INC-2", "INC-1"]
    assert await found(is_open=False) == ["INC-3"]
    assert await found(severity_id="minor") == ["INC-1"]
    assert await found(text="LEAK salaries") == [hidden.reference]
    assert await found(visible_to=BEN.slack_user_id) == ["INC-3", "INC-1"]
    assert await found(involving=ANA.slack_user_id) == ["INC-3", "INC-2", "INC-1"]


async def test_a_list_goes_on_where_its_last_page_ended(both: Both) -> None:
    """incident.io, Incidents V2, List: `after`, page_size at most 250."""
    backend, server = both
    for number in range(7):
        severity = "minor" if number % 2 else "major"
        await backend.create(declaration(f"k{number}", severity_id=severity))
    found: list[str] = []
    while page := await backend.matching(
        IncidentFilter(is_open=True, severity_id="major"), after=found[-1] if found else None, limit=2
    ):
        found += [incident.id for incident in page]
    assert len(found) == len(set(found)) == 4
    asked = [dict(h.query) for h in server.asked("GET", "/v2/incidents")]
    assert all(query["severity[one_of]"] == "major" and int(query["page_size"]) <= 250 for query in asked)
    assert [query.get("after") for query in asked][:2] == [None, found[1]]


@pytest.mark.parametrize("kind", ["action", "follow_up"])
async def test_a_follow_up_whose_answer_was_lost_is_not_made_twice(both: Both, kind: Any) -> None:
    backend, server = both
    made = await backend.create(declaration())
    wanted = FollowUpRequest(key="f", by=ANA, at=DAWN, kind=kind, text="Write it down", assignee=BEN)
    server.fail("POST", f"/v3/{kind}s", LOST)
    with pytest.raises(OutcomeUnknown):
        await backend.add_follow_up(made.id, wanted)
    added = await backend.add_follow_up(made.id, wanted)
    assert (added.text, added.kind, added.is_done) == ("Write it down", kind, False)
    assert added.assignee == BEN
    done = await backend.complete_follow_up(added.id, ANA, DAWN, "done")
    assert done.is_done
    assert [f.id for f in await backend.follow_ups(made.id)] == [added.id]


@pytest.mark.parametrize("kind", ["action", "follow_up"])
async def test_a_follow_up_that_was_made_before_the_process_died_is_found_by_the_next_one(
    tmp_path: Path, kind: Any
) -> None:
    wanted = FollowUpRequest(key="f", by=ANA, at=DAWN, kind=kind, text="Write it down")
    async with opened(tmp_path, seconds=2.0) as (backend, server, _):
        incident = await backend.create(declaration())
        made = await backend.add_follow_up(incident.id, wanted)
        # Nothing but the journal's file is left of the first process.
        memory = SqlKeyValueStore(Database(own_tables(tmp_path / "journal.db")))
        again = IncidentIo(server.url, "a-key", store=memory, clock=Turned(), seconds=2.0)
        assert await again.add_follow_up(incident.id, wanted) == made
        assert [f.id for f in await again.follow_ups(incident.id)] == [made.id]
        await again.close()
        memory.database.close()


async def test_doctor_is_told_of_the_key_the_account_and_a_key_used_twice(both: Both) -> None:
    backend, server = both
    for _ in range(2):
        findings = await backend.diagnose()
        assert [f.ok for f in findings] == [True, True, True]
    assert len(server.account.incidents) == 1
    assert server.account.incidents[0]["mode"] == "test"
    server.account.dedupes = False
    assert [f.ok for f in await backend.diagnose()] == [True, True, False]
    server.account.rights = ["viewer"]
    assert "without incident_creator" in (await backend.diagnose())[0].said


@pytest.mark.parametrize("status", [200, 301])
async def test_an_address_that_is_not_incident_io_is_no_success(both: Both, status: int) -> None:
    backend, server = both
    odd = Fault(lambda: JSONResponse(["hello"], status_code=status, headers={"location": "/login"}))
    server.down = odd
    with pytest.raises(Unavailable):
        await backend.create(declaration())
