"""Rows that somebody edited by hand: the page, the list, the card and the form answer all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from support.declarations import BEN, DAWN, Ticking, full_declaration
from support.first_files import new_incidents

from reliability.hostile.sizes import sizes
from slack_emulator.block_kit.surfaces import message_errors, view_errors
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.export import ENDINGS, as_csv, as_json, render_export
from tocsin.incidents.requests import DeclareRequest, FollowUpRequest
from tocsin.slack.views.card import bookmark_title, card, card_text, topic
from tocsin.slack.views.declare import declare_modal
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.web.app import web_app
from tocsin.workflows.export import fetch_report

HOST = "localhost:8080"
VALUES: tuple[Any, ...] = (
    None, "", 0, -7, 3.5, b"\xff\xfe\x00", "not a time", "unknown", "10000-01-01", "<!channel>", "x" * 20_000,
    "\x00", "[]", "2026-03-01", 10**18,
)  # fmt: skip
EDITED = {
    "incidents": (
        "name", "summary", "severity_id", "incident_status_id", "incident_type_id", "visibility", "mode",
        "slack_team_id", "slack_channel_id", "slack_channel_name", "source_message_channel_id",
        "source_message_timestamp", "source_message_permalink", "creator_slack_user_id", "creator_name",
        "creator_email", "created_at", "updated_at", "reference",
    ),
    "incident_statuses": ("name", "description", "category", "rank"),
    "severities": ("name", "description", "rank"),
    "incident_types": ("name", "description", "is_default", "private_incidents_only"),
    "incident_roles": ("name", "description", "instructions", "role_type", "shortform"),
    "custom_fields": ("name", "description", "field_type", "required", "rank"),
    "custom_field_options": ("value", "sort_key"),
    "people": ("name", "email"),
    "incident_role_assignments": ("assignee_slack_user_id", "assignee_name", "assignee_email"),
    "custom_field_entries": ("value_text", "value_link", "value_numeric", "value_option_id", "position"),
    "incident_timeline_items": ("timestamp", "actor_slack_user_id", "actor_name", "verb", "text"),
}  # fmt: skip


@pytest.fixture
async def edited(tmp_path: Path) -> Any:
    """A backend with incidents, a client of its pages, and its file."""
    path = tmp_path / "incidents.db"
    backend = await LocalBackend.open(
        await new_incidents(path), IncidentConfig(), public_url=f"http://{HOST}", clock=Ticking()
    )
    for number in range(3):
        made = await backend.create(full_declaration(f"key-{number}"))
        task = FollowUpRequest(key="task", by=BEN, at=DAWN, kind="follow_up", text="Restart it", assignee=BEN)
        await backend.add_follow_up(made.id, task)
    app = web_app(
        backend=backend,
        api_token="t",
        hosts={HOST},
        public=True,
        ready=lambda: [],
        clock=Ticking(),
        insights=backend.insights,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://{HOST}", headers={"authorization": "Bearer t"}
    ) as client:
        yield backend, client, path
    await backend.close()


def edit(path: Path, rng: Random) -> str:
    """One to three values of any table put in a column that never had such a thing; what was done."""
    done = []
    with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as file:
        file.execute("PRAGMA ignore_check_constraints = ON")
        for _ in range(rng.randint(1, 3)):
            table = rng.choice(sorted(EDITED))
            column, value = rng.choice(EDITED[table]), rng.choice(VALUES)
            try:
                file.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT rowid FROM {table} LIMIT 1)",
                    [value],
                )
            except sqlite3.IntegrityError:
                continue
            done.append(f"{table}.{column} = {value!r:.60}")
    return "; ".join(done)


@pytest.mark.parametrize("edits", sizes(40, 400))
async def test_whatever_stands_in_a_row_everything_that_shows_it_answers(edited: Any, edits: int) -> None:
    backend, client, path = edited
    rng, kept = Random(31), path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = sqlite3.connect(":memory:")
        file.backup(before)
    assert kept
    for _ in range(edits):
        done = edit(path, rng)
        try:
            await _shown_everywhere(backend, client)
        except (AssertionError, TocsinError, ValueError, TypeError) as error:
            raise AssertionError(f"after {done}: {error!r:.600}") from error
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            before.backup(file)
    before.close()


async def test_one_odd_value_in_any_part_of_an_incident_breaks_no_page(edited: Any) -> None:
    backend, client, path = edited
    broken = b"\xff\xfe\x00"
    for table, column, value in (
        ("incidents", "source_message_timestamp", None),
        ("incident_role_assignments", "assignee_slack_user_id", broken),
        ("custom_field_entries", "value_option_id", broken),
        ("incident_timestamp_values", "value", broken),
        ("follow_ups", "assignee_name", broken),
        ("follow_ups", "created_at", broken),
        ("follow_ups", "done_at", broken),
    ):
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute(f"UPDATE {table} SET {column} = ?", [value])
        await _shown_everywhere(backend, client)


@pytest.mark.parametrize("megabytes", sizes(1, 10))
async def test_megabytes_in_a_row_are_shown_too(edited: Any, megabytes: int) -> None:
    backend, client, path = edited
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(
            "UPDATE incidents SET summary = ?, name = ? WHERE number = 1",
            ["<!here>" * 150_000 * megabytes, "n" * 10**6 * megabytes],
        )
    await _shown_everywhere(backend, client)


async def _shown_everywhere(backend: LocalBackend, client: httpx.AsyncClient) -> None:
    for address in ("/incidents", "/incidents?format=csv", "/incidents/1", "/incidents/2", "/insights"):
        for accept in ("text/html", "application/json"):
            shown = await client.get(address, headers={"accept": accept})
            assert shown.status_code == 200, (address, accept, shown.status_code)
    listed = await backend.incidents(limit=50)
    assert len(listed) == 3
    as_json(listed), as_csv(listed)
    for incident in listed:
        whole = await fetch_report(backend, incident)
        assert all(render_export([whole], wanted) for wanted in ENDINGS)
        message = {"text": card_text(incident), "blocks": [block.to_dict() for block in card(incident)]}
        assert not message_errors(message), message_errors(message)
        assert topic(incident)
        assert bookmark_title(incident)
    view = declare_modal(await backend.form(), DeclareMetadata(expanded=True), DeclareRequest()).to_dict()
    assert not view_errors(view), view_errors(view)
