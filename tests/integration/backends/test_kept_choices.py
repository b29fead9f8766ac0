"""Severities, statuses, roles, fields and options that are kept in the database, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.declarations import ANA, DAWN, Ticking, declaration
from support.postgresql import PostgresqlServer

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.incidents.catalogue import Kind
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FieldOption, FieldValue, PersonId
from tocsin.incidents.requests import IncidentChange
from tocsin.storage.postgresql import create_schema, postgresql_engine

Open = Callable[..., Awaitable[LocalBackend]]
RULED = "The configuration file (TOCSIN_CONFIG) rules {}: change it there."


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.process)])
async def open_local(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the same database as often as it is called, each time with a configuration file of its own."""
    opened: list[LocalBackend] = []
    url = ""
    if request.param == "PostgreSQL":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        url = server.create_database()

    async def opens(toml: str = "") -> LocalBackend:
        where: Any = tmp_path / "incidents.db"
        if url:
            where = postgresql_engine(url, session=SESSION, autocommit=True)
            create_schema(where)
        config = IncidentConfig.from_toml(toml)
        backend = await LocalBackend.open(where, config, public_url="http://x", clock=Ticking())
        opened.append(backend)
        return backend

    yield opens
    for one in opened:
        await one.close()


async def id_of(backend: LocalBackend, kind: Kind, name: str) -> str:
    """The id of what has this name."""
    found = await backend.catalogue.entries(kind)
    return next(str(one["id"]) for one in found if name in (one.get("name"), one.get("value")))


async def refusal(doing: Awaitable[Any]) -> tuple[str, dict[str, str]]:
    with pytest.raises(Refused) as told:
        await doing
    return told.value.sentence, told.value.fields


async def test_what_is_added_is_in_the_form_in_its_place_and_after_a_restart(open_local: Open) -> None:
    backend = await open_local()
    told: list[str] = []
    backend.catalogue.changed = lambda: told.append("changed")
    add = backend.catalogue.create
    await add("severities", {"name": "Cosmetic", "description": "", "rank": -1})
    worst = await add("severities", {"name": "Black", "description": "Everybody, everywhere"})
    await add("incident_statuses", {"name": "Waiting", "description": "", "category": "live"})
    await add("incident_statuses", {"name": "Reviewing", "description": "", "category": "learning"})
    await add(
        "incident_roles",
        {"name": "Scribe", "description": "Writes", "instructions": "", "shortform": "scribe"},
    )
    region = await add("custom_fields", {"name": "Region", "description": "", "field_type": "single_select"})
    for value, key in (("Asia", None), ("Europe", 1)):
        await add("custom_field_options", {"custom_field_id": region["id"], "value": value, "sort_key": key})
    assert len(told) == 8
    assert (worst["name"], worst["rank"], worst["created_at"]) == ("Black", 3, worst["updated_at"])
    for reader in (backend, await open_local()):
        form = await reader.form()
        assert [one.name for one in form.severities] == ["Cosmetic", "Minor", "Major", "Critical", "Black"]
        statuses = [one.name for one in form.statuses]
        assert statuses[3:7] == ["Monitoring", "Waiting", "Reviewing", "Closed"]
        assert [one.rank for one in form.statuses] == list(range(len(statuses)))
        assert [(one.name, one.role_type) for one in form.roles][-1] == ("Scribe", "custom")
        field = form.custom_fields[-1]
        assert (field.name, [one.value for one in field.options]) == ("Region", ["Europe", "Asia"])
    assert await backend.form() is await backend.form()


async def test_an_incident_is_declared_with_what_was_added_and_goes_on_naming_what_was_deleted(
    open_local: Open,
) -> None:
    backend = await open_local()
    catalogue = backend.catalogue
    severity = await catalogue.create("severities", {"name": "Black", "description": ""})
    role = await catalogue.create(
        "incident_roles", {"name": "Scribe", "description": "Writes", "instructions": "", "shortform": ""}
    )
    field = await catalogue.create(
        "custom_fields", {"name": "Region", "description": "", "field_type": "multi_select"}
    )
    option = await catalogue.create(
        "custom_field_options", {"custom_field_id": field["id"], "value": "Asia", "sort_key": None}
    )
    await backend.form()
    asked = declaration(
        severity_id=severity["id"],
        incident_role_assignments={role["id"]: PersonId("U0BEN")},
        custom_field_entries={
            field["id"]: (FieldValue(value_option=FieldOption(id=option["id"], value="Asia")),)
        },
    )
    made = await backend.create(asked)
    for kind, entry in (
        ("severities", severity),
        ("incident_roles", role),
        ("custom_field_options", option),
        ("custom_fields", field),
    ):
        assert await catalogue.delete(kind, entry["id"])  # type: ignore[arg-type]
        assert not await catalogue.delete(kind, entry["id"])  # type: ignore[arg-type]
        assert await catalogue.find(kind, entry["id"]) is None  # type: ignore[arg-type]
    form = await backend.form()
    assert "Black" not in [one.name for one in form.severities]
    assert "Region" not in [one.name for one in form.custom_fields]
    # A form that was open all the while is submitted; the same names are free for new ones.
    late = await backend.create(asked.model_copy(update={"key": "late"}))
    await catalogue.create("severities", {"name": "Black", "description": ""})
    for incident in (await backend.find(made.reference), await backend.find(late.reference)):
        assert incident is not None
        assert incident.severity is not None
        assert incident.severity.name == "Black"
        assert "Scribe" in [one.role.name for one in incident.incident_role_assignments]
        assert [one.shown for one in incident.answers(field["id"])] == ["Asia"]


async def test_a_name_a_text_and_a_rank_are_changed_and_a_first_status_may_be_another(
    open_local: Open,
) -> None:
    backend = await open_local()
    catalogue = backend.catalogue
    minor = await catalogue.find("severities", "minor")
    changed = await catalogue.update("severities", "minor", {"name": "Small", "rank": 7})
    assert minor is not None
    assert changed is not None
    assert (changed["name"], changed["rank"], changed["id"]) == ("Small", 7, "minor")
    assert changed["created_at"] == minor["created_at"] < changed["updated_at"]
    assert await catalogue.update("severities", "minor", {"name": "Small"}) == changed
    assert await catalogue.update("severities", "nothing", {"name": "Small"}) is None
    assert [one.name for one in (await backend.form()).severities] == ["Major", "Critical", "Small"]
    await catalogue.delete("incident_statuses", "investigating")
    await backend.form()
    assert (await backend.create(declaration(severity_id=None))).incident_status.name == "Fixing"
    await catalogue.create("incident_statuses", {"name": "Over", "description": "", "category": "closed"})
    await catalogue.delete("incident_statuses", "closed")
    await backend.form()
    over = await backend.create(declaration("over", mode="retrospective", at=DAWN))
    assert over.incident_status.name == "Over"
    assert over.closed_at is not None


DELETING: list[tuple[Kind, str, str]] = [
    ("severities", "critical", "This is the only severity. Add another before you delete it."),
    (
        "incident_statuses",
        "monitoring",
        "This is the only status of the category live. Add another before you delete it.",
    ),
    (
        "incident_statuses",
        "closed",
        "This is the only status of the category closed. Add another before you delete it.",
    ),
    ("incident_statuses", "triage", "Incidents are triaged with this status: it cannot be deleted."),
    ("incident_statuses", "merged", "Incidents are merged with this status: it cannot be deleted."),
    ("incident_roles", "lead", "Every incident has a lead: this role cannot be deleted."),
]
TAKEN = "There is {} with this name already; its id is {}. Choose another name, or change or import that one."
ADDING: list[tuple[Kind, dict[str, Any], dict[str, str]]] = [
    ("severities", {"name": "CRITICAL"}, {"name": TAKEN.format("a severity", "critical")}),
    (
        "custom_field_options",
        {"custom_field_id": "affected_area", "value": "api"},
        {"value": TAKEN.format("an option", "api")},
    ),
    (
        "custom_field_options",
        {"custom_field_id": "status_page", "value": "A"},
        {"custom_field_id": "A link field has no options."},
    ),
    (
        "custom_field_options",
        {"custom_field_id": "none", "value": "A"},
        {"custom_field_id": "There is no custom field with this id."},
    ),
    ("severities", {"name": " \u202e\x00"}, {"name": "Give the severity a name that people can read."}),
    ("severities", {"name": "x" * 76}, {"name": "Shorten it to 75 characters; it has 76."}),
    (
        "severities",
        {"name": "A", "rank": 2**31},
        {"rank": "Give a number between -2147483648 and 2147483647."},
    ),
    (
        "incident_statuses",
        {"name": "A", "category": "triage"},
        {"category": "Only statuses of the categories live, learning and closed can be added."},
    ),
]


async def test_what_tocsin_cannot_work_without_and_what_reads_alike_is_refused_in_plain_words(
    open_local: Open,
) -> None:
    catalogue = (await open_local()).catalogue
    for severity in ("minor", "major"):
        await catalogue.delete("severities", severity)
    for status in ("investigating", "fixing"):
        await catalogue.delete("incident_statuses", status)
    for kind, entry_id, sentence in DELETING:
        assert await refusal(catalogue.delete(kind, entry_id)) == (sentence, {})
    for kind, given, fields in ADDING:
        assert (await refusal(catalogue.create(kind, given)))[1] == fields
    clash = catalogue.update("incident_statuses", "closed", {"name": "Monitoring"})
    assert (await refusal(clash))[1] == {"name": TAKEN.format("a status", "monitoring")}


async def test_the_file_rules_what_it_names_and_the_database_the_rest(open_local: Open) -> None:
    ruled = "severities = ['Low', 'High']\n[[custom_fields]]\nname = 'Area'"
    backend = await open_local(ruled)
    catalogue = backend.catalogue
    refused: list[tuple[Kind, Awaitable[Any], str]] = [
        ("severities", catalogue.create("severities", {"name": "A"}), "severities"),
        ("severities", catalogue.update("severities", "low", {"name": "A"}), "severities"),
        ("severities", catalogue.delete("severities", "low"), "severities"),
        ("custom_fields", catalogue.delete("custom_fields", "area"), "custom_fields"),
        (
            "custom_field_options",
            catalogue.create("custom_field_options", {"custom_field_id": "area", "value": "A"}),
            "custom_fields",
        ),
    ]
    for _, doing, key in refused:
        assert await refusal(doing) == (RULED.format(key), {})
    await catalogue.create("incident_statuses", {"name": "Waiting", "description": "", "category": "live"})
    # Taken out of the file, the database goes on with what the file had last.
    later = await open_local()
    await later.catalogue.create("severities", {"name": "Highest"})
    form = await later.form()
    assert [one.name for one in form.severities] == ["Low", "High", "Highest"]
    assert "Waiting" in [one.name for one in form.statuses]
    # Named in the file again, it rules again.
    assert [one.name for one in (await (await open_local(ruled)).form()).severities] == ["Low", "High"]


async def test_a_rule_that_means_a_status_means_another_of_that_name_that_was_made_since(
    open_local: Open,
) -> None:
    backend = await open_local()
    await backend.catalogue.delete("incident_statuses", "fixing")
    new = {"name": "Fixing", "description": "", "category": "live"}
    fixing = await backend.catalogue.create("incident_statuses", new)
    await backend.form()
    made = await backend.create(declaration())
    later = DAWN + timedelta(minutes=5)
    change = IncidentChange(key="c", by=ANA, at=later, incident_status_id=fixing["id"])
    assert (await backend.change(made.id, change)).timestamp("identified") == later
