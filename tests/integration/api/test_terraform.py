"""Requests as incident.io's Terraform provider sends them, and what it takes for a fault in the answers.

It compares each answer with what it sent: another text there is *inconsistent result after apply*, for which
it destroys the resource and makes it anew at each apply.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.api import ApiSite, served_api
from support.declarations import ANA, declaration

from tocsin.config import IncidentConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEREDOC = "First line.\n\n  An indented one,\twith a tab.\n"
"""What a heredoc gives: it ends with a line break."""

WITH_HEREDOCS: list[tuple[str, str, dict[str, Any]]] = [
    ("/v1/severities", "severity", {"name": "Two  spaces", "description": HEREDOC}),
    ("/v1/incident_statuses", "incident_status", {"name": "S", "description": "\n", "category": "live"}),
    (
        "/v2/incident_roles",
        "incident_role",
        {"name": "Reader", "description": " Reads.\n", "instructions": HEREDOC, "shortform": "r d"},
    ),
    (
        "/v2/custom_fields",
        "custom_field",
        {"name": "Which", "description": "One\r\nTwo", "field_type": "text"},
    ),
    (
        "/v1/custom_field_options",
        "custom_field_option",
        {"custom_field_id": "detected_by", "value": "In  side", "sort_key": 0},
    ),
]

WITH_NAMES: list[tuple[str, str, dict[str, Any]]] = [
    ("/v1/severities", "severity", {"name": "Deep black", "description": ""}),
    ("/v1/incident_statuses", "incident_status", {"name": "On hold", "description": "", "category": "live"}),
    (
        "/v2/incident_roles",
        "incident_role",
        {"name": "Time keeper", "description": "d", "instructions": "", "shortform": ""},
    ),
    ("/v2/custom_fields", "custom_field", {"name": "By whom", "description": "", "field_type": "text"}),
    (
        "/v1/custom_field_options",
        "custom_field_option",
        {"custom_field_id": "detected_by", "value": "A cat", "sort_key": 0},
    ),
]
SAID = {
    "severity": "a severity",
    "incident_status": "a status",
    "incident_role": "a role",
    "custom_field": "a custom field",
    "custom_field_option": "an option",
}


async def made(api: ApiSite, path: str, name: str, new: dict[str, Any]) -> dict[str, Any]:
    answer = await api.ask(path, method="POST", json=new)
    assert answer.status_code == 201, answer.text
    entry: dict[str, Any] = answer.json()[name]
    return entry


async def refusal(api: ApiSite, path: str, method: str, new: dict[str, Any]) -> tuple[str, str]:
    """The field that is refused, and the sentence."""
    answer = await api.ask(path, method=method, json=new)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return error.get("source", {}).get("field", ""), error["message"]


async def test_texts_are_given_back_as_they_were_sent_and_people_read_them_without_what_surrounds_them(
    api: ApiSite,
) -> None:
    for path, name, new in WITH_HEREDOCS:
        entry = await made(api, path, name, new)
        assert entry == {**entry, **new}
        assert await api.json(f"{path}/{entry['id']}") == {name: entry}
        kept = {key: value for key, value in new.items() if key not in {"category", "field_type"}}
        changed = await api.json(f"{path}/{entry['id']}", method="PUT", json=kept)
        assert changed[name] == {**changed[name], **new}
    form = await api.backend.form()
    shown = {one.name: one.description for one in (*form.severities, *form.statuses, *form.roles)}
    assert shown == {**shown, "Two spaces": HEREDOC.strip(), "S": "", "Reader": "Reads."}
    (reader,) = (role for role in form.roles if role.name == "Reader")
    assert reader.instructions == HEREDOC.strip()
    black = next(one.id for one in form.severities if one.name == "Two spaces")
    roles = {reader.id: ANA.slack_user_id}
    incident = await api.backend.create(
        declaration("told", severity_id=black, incident_role_assignments=roles)
    )
    assert incident.severity is not None
    assert incident.severity.description == HEREDOC.strip()
    assert reader in [held.role for held in incident.incident_role_assignments]


EDGES = "Leave out white space at the beginning and the end, tabs and line breaks."
HIDDEN = "Leave out control characters, and marks that turn the direction of writing."


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("name", " Edge", EDGES),
        ("name", "Edge\n", EDGES),
        ("name", "In\tside", EDGES),
        ("name", "A\u202eb", HIDDEN),
        ("name", "\u200d", "Give the severity a name that people can read."),
        ("description", "Ring \u0007", HIDDEN),
        ("description", "\u0000", HIDDEN),
    ],
)
async def test_a_text_that_cannot_be_kept_as_it_was_sent_is_refused_in_words(
    api: ApiSite, field: str, text: str, sentence: str
) -> None:
    new = {"name": "Edgy", "description": "", field: text}
    assert await refusal(api, "/v1/severities", "POST", new) == (field, sentence)
    assert await refusal(api, "/v1/severities/minor", "PUT", new) == (field, sentence)


async def test_who_makes_what_is_there_already_is_told_its_id_to_import_it_by(api: ApiSite) -> None:
    """An apply that was cut off has made it, and its state does not know."""
    for path, name, new in WITH_NAMES:
        entry = await made(api, path, name, new)
        (field,) = {"name", "value"} & set(new)
        again = {**new, field: new[field].upper().replace(" ", "  ")}
        place, said = await refusal(api, path, "POST", again)
        assert place == field
        assert said == (
            f"There is {SAID[name]} with this name already; its id is {entry['id']}. "
            "Choose another name, or change or import that one."
        )


CATALOG = {
    "catalog_type_id": "01X",
    "group_by_catalog_attribute_id": "01X",
    "helptext_catalog_attribute_id": "01X",
    "filter_by": {"custom_field_id": "detected_by", "catalog_attribute_id": "01X"},
    "fixed_filter": {"catalog_attribute_id": "01X"},
}


@pytest.mark.parametrize("attribute", CATALOG)
async def test_an_attribute_of_a_catalog_is_refused_and_not_left_out_in_silence(
    api: ApiSite, attribute: str
) -> None:
    wanted = (attribute, "Tocsin has no catalog: leave this out, and add options instead.")
    new = {"name": "Team", "description": "", "field_type": "single_select"}
    with_catalog = {**new, attribute: CATALOG[attribute]}
    assert await refusal(api, "/v2/custom_fields", "POST", with_catalog) == wanted
    assert await refusal(api, "/v2/custom_fields/detected_by", "PUT", with_catalog) == wanted


async def test_what_has_the_same_rank_or_sort_key_is_listed_as_forms_show_it(api: ApiSite) -> None:
    """The provider sends 0 for a rank or a sort key that its configuration leaves out."""
    # The ids of the first ones are words, and come after those of new ones.
    await made(api, "/v1/severities", "severity", {"name": "As mild", "description": "", "rank": 0})
    option = {"custom_field_id": "affected_area", "value": "As high", "sort_key": 0}
    await made(api, "/v1/custom_field_options", "custom_field_option", option)
    form = await api.backend.form()
    listed = (await api.json("/v1/severities"))["severities"]
    assert [one["id"] for one in listed] == [one.id for one in form.severities]
    of_field = await api.json("/v1/custom_field_options?custom_field_id=affected_area")
    area = next(field for field in form.custom_fields if field.id == "affected_area")
    assert [one["id"] for one in of_field["custom_field_options"]] == [one.id for one in area.options]


async def test_the_options_of_a_deleted_field_are_gone_with_it(api: ApiSite) -> None:
    new = {"name": "Short lived", "description": "", "field_type": "single_select"}
    field = (await made(api, "/v2/custom_fields", "custom_field", new))["id"]
    option = {"custom_field_id": field, "value": "A", "sort_key": 0}
    path = "/v1/custom_field_options"
    path += "/" + (await made(api, path, "custom_field_option", option))["id"]
    assert (await api.json(path))["custom_field_option"]["value"] == "A"
    assert (await api.ask(f"/v2/custom_fields/{field}", method="DELETE")).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert (await api.ask(path, method=method, json=option)).status_code == 404


async def test_an_id_that_options_of_two_fields_have_changes_and_deletes_neither(tmp_path: Path) -> None:
    """The file gives options ids by their names; it may have ruled these fields until today."""
    fields = [f"[[custom_fields]]\nname = '{name}'\noptions = ['Yes', 'No']" for name in ("Data", "Money")]
    ruled = "\n".join(f"{field}\nfield_type = 'single_select'" for field in fields)
    async with served_api(tmp_path, IncidentConfig.from_toml(ruled)):
        pass
    async with served_api(tmp_path) as site:
        said = (
            "The fields “data” and “money” each have an option with this id, which does not say whose is "
            "meant. Give each an id of its own in the configuration file."
        )
        changed = {"value": "Perhaps", "sort_key": 0}
        assert await refusal(site, "/v1/custom_field_options/yes", "PUT", changed) == ("", said)
        assert await refusal(site, "/v1/custom_field_options/yes", "DELETE", {}) == ("", said)
        form = await site.backend.form()
        assert [[one.value for one in field.options] for field in form.custom_fields] == [["Yes", "No"]] * 2
