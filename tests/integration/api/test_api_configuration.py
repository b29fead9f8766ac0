"""Terraform's resources: severities, statuses, roles, custom fields and options, as incident.io has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.api import OPERATOR_TOKEN, ApiSite, served_api

from tocsin.config import IncidentConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLE = {"name": "Scribe", "description": "Writes", "instructions": "Write it down.", "shortform": "scribe"}
FIELD = {"name": "Region", "description": "Where", "field_type": "single_select"}
RESOURCES: list[tuple[str, str, dict[str, Any], dict[str, Any], int]] = [
    (
        "/v1/severities",
        "severity",
        {"name": "Black", "description": "Everybody", "rank": 9},
        {"name": "Blacker", "description": "All", "rank": 10},
        202,
    ),
    (
        "/v1/incident_statuses",
        "incident_status",
        {"name": "Waiting", "description": "For a vendor", "category": "live"},
        {"name": "Held up", "description": ""},
        202,
    ),
    ("/v2/incident_roles", "incident_role", ROLE, {**ROLE, "name": "Writer"}, 204),
    (
        "/v2/custom_fields",
        "custom_field",
        FIELD,
        {"name": "Area", "description": ""},
        204,
    ),
    (
        "/v1/custom_field_options",
        "custom_field_option",
        {"custom_field_id": "detected_by", "value": "Chance", "sort_key": 7},
        {"value": "Luck", "sort_key": 8},
        204,
    ),
]


async def test_each_resource_is_made_changed_and_deleted_with_the_status_codes_of_the_reference(
    api: ApiSite,
) -> None:
    key = await api.key("terraform", "view", "settings")
    for path, name, new, change, deleted in RESOURCES:
        made = await api.ask(path, key, "POST", json=new)
        assert made.status_code == 201, made.text
        entry = made.json()[name]
        assert {**entry, **new} == entry
        assert await api.json(f"{path}/{entry['id']}", key) == {name: entry}
        changed = await api.ask(f"{path}/{entry['id']}", key, "PUT", json=change)
        assert changed.status_code == 200, changed.text
        assert changed.json()[name] == {**changed.json()[name], **change, "id": entry["id"]}
        gone = await api.ask(f"{path}/{entry['id']}", key, "DELETE")
        assert (gone.status_code, gone.content) == (deleted, b"")
        for method in ("GET", "PUT", "DELETE"):
            again = await api.ask(f"{path}/{entry['id']}", key, method, json=change)
            assert again.status_code == 404, again.text


REFUSED: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("POST", "/v1/severities", {"name": "MAJOR", "description": ""}, "name", "invalid_value"),
    ("POST", "/v1/severities", {"description": ""}, "name", "is_required"),
    ("POST", "/v1/severities", {"name": "x" * 51, "description": ""}, "name", "invalid_value"),
    ("POST", "/v1/severities", {"name": "A", "description": "", "rank": 2**40}, "rank", "invalid_value"),
    (
        "POST",
        "/v1/incident_statuses",
        {"name": "A", "description": "", "category": "triage"},
        "category",
        "invalid_value",
    ),
    ("DELETE", "/v1/incident_statuses/closed", {}, "", "refused"),
    ("DELETE", "/v2/incident_roles/lead", {}, "", "refused"),
    ("POST", "/v2/incident_roles", {**ROLE, "description": ""}, "description", "invalid_value"),
    (
        "POST",
        "/v1/custom_field_options",
        {"custom_field_id": "none", "value": "A"},
        "custom_field_id",
        "invalid_value",
    ),
]


async def test_what_cannot_be_is_refused_with_its_field_and_a_key_needs_the_scope(api: ApiSite) -> None:
    for method, path, body, field, code in REFUSED:
        answer = await api.ask(path, OPERATOR_TOKEN, method, json=body)
        assert answer.status_code == 422, (path, answer.text)
        (error,) = answer.json()["errors"]
        assert (error["code"], error.get("source", {}).get("field", "")) == (code, field)
    reader = await api.key("reader of choices", "view", "create", "edit")
    for path, *_ in RESOURCES:
        assert (await api.ask(path, reader, "POST", json={})).status_code == 403


async def test_where_the_file_rules_a_change_is_refused_with_the_reason(tmp_path: Path) -> None:
    config = IncidentConfig.from_toml("severities = ['Low', 'High']")
    async with served_api(tmp_path, config) as site:
        new = {"name": "Highest", "description": ""}
        answer = await site.ask("/v1/severities", OPERATOR_TOKEN, "POST", json=new)
        assert answer.status_code == 422
        said = answer.json()["errors"][0]["message"]
        assert said == "The configuration file (TOCSIN_CONFIG) rules severities: change it there."
        new["category"] = "live"
        answer = await site.ask("/v1/incident_statuses", OPERATOR_TOKEN, "POST", json=new)
        assert answer.status_code == 201
