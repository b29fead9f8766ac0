"""Every field of DevRev's page *Incidents, Create*: what becomes of it, and where people read it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import httpx
from support.devrev import FakeOrg, Field, Person
from support.devrev.org import DON
from support.errands import typed_verb
from support.markdown import DOCS, table
from support.readings import settled

from integration.devrev.desk import STAGE
from integration.devrev.test_in_slack import beside_devrev
from tocsin.backends.devrev.api_models import CreateIncident
from tocsin.incidents.export import as_record, facts
from tocsin.slack.views.unfurl import details

PAGE: dict[str, str] = json.loads(
    (Path(__file__).parents[2] / "data" / "devrev" / "incidents-create.json").read_text()
)
"""The fields of the page, with their types."""

FILLED: dict[str, Any] = {
    "title": "Checkout is down",
    "body": "Nobody can pay since noon.",
    "severity": 18,
    "stage": {"stage": f"{STAGE}/2"},
    "stage_validation_options": ["allow_non_start"],
    "owned_by": ["DEVU-8", "DEVU-7"],
    "applies_to_parts": [f"{DON}:capability/2"],
    "tags": [{"tag_id": "TAG-3", "value": "release 512"}],
    "impact": {"count": 18, "customer_ids": ["ACC-1"]},
    "impacted_customers": ["ACC-2"],
    "custom_fields": {"tnt__status_page": "https://status.example.com", "ctype__leaked": "card numbers"},
    "custom_schema_spec": {"tenant_fragment": True, "subtype": "security_breach"},
    "identified_date": "2026-03-01T03:00:00Z",
    "acknowledged_date": "2026-03-01T03:05:00Z",
    "mitigated_date": "2026-03-01T04:00:00Z",
    "target_close_date": "2026-03-02T05:00:00Z",
    "stakeholders": ["DEVU-12"],
    "reported_by": 18,
    "playbooks": ["ARTICLE-1"],
    "pia": ["ARTICLE-2"],
    "related_docs": ["ARTICLE-3"],
    "artifacts": ["ARTIFACT-1"],
}
TITLES = {
    "ACC-1": "Globex",
    "ACC-2": "Initech",
    "ARTICLE-1": "When checkout fails",
    "ARTICLE-2": "How it came to this",
    "ARTICLE-3": "Architecture of checkout",
    "ARTIFACT-1": "graph.png",
}
READ: dict[str, tuple[str, ...]] = {
    "title": ("Checkout is down",),
    "body": ("Nobody can pay since noon.",),
    "severity": ("SEV1",),
    "stage": ("Investigating",),
    "owned_by": ("Ben Okafor", "Ana Torres"),
    "applies_to_parts": ("Search",),
    "tags": ("deploy: release 512",),
    "impact": ("Some", "Globex"),
    "impacted_customers": ("Initech",),
    "custom_fields": ("https://status.example.com", "card numbers"),
    "custom_schema_spec": ("Security breach",),
    "identified_date": ("2026-03-01 03:00 UTC",),
    "acknowledged_date": ("2026-03-01 03:05 UTC",),
    "mitigated_date": ("2026-03-01 04:00 UTC",),
    "target_close_date": ("2026-03-02 05:00 UTC",),
    "stakeholders": ("Priya Nair",),
    "reported_by": ("Monitoring",),
    "source": ("Telephone",),
    "playbooks": ("When checkout fails",),
    "pia": ("How it came to this",),
    "related_docs": ("Architecture of checkout",),
    "artifacts": ("graph.png",),
}
"""By field, the words in which a person reads the values of `FILLED`."""

NOT_IN_SLACK = {"custom_schema_spec"}
"""The type is chosen in the form, and read on the page and in exports."""


def filled() -> FakeOrg:
    """An organisation with one incident that has everything of the page, as people make them in DevRev."""
    org = FakeOrg()
    org.people.append(Person(12, "Priya Nair", "priya@northwind.example"))
    org.subtypes["security_breach"] = [Field("leaked", "text", display_name="Leaked")]
    org.titles |= TITLES
    # Only sys users and service accounts may set the source.
    org.make(FILLED)["source"] = {"id": 3, "label": "Telephone", "ordinal": 1}
    return org


async def test_every_field_of_the_page_is_read_in_slack_on_the_page_and_in_an_export(tmp_path: Path) -> None:
    assert set(READ) == set(PAGE)
    assert set(PAGE) - {"source"} <= set(FILLED)
    async with beside_devrev(tmp_path, filled()) as (bot, _):
        general = bot.slack.channel("general")
        shown = await typed_verb(bot, "ana", general, "/incident show INC-1")
        await settled(bot)
        incident = await bot.backend.find("INC-1")
        assert incident is not None
        async with httpx.AsyncClient() as http:
            page = (await http.get(f"{bot.url}/incidents/INC-1")).text
        places = {
            "show": shown,
            "Work Object": json.dumps(details(incident)),
            "page": html.unescape(re.sub(r"<[^>]+>", "", page)),
            "Markdown": str([incident.name, incident.summary, facts(incident)]),
            "JSON": json.dumps(as_record(incident)),
        }
    missing = [
        (field, words, place)
        for field, several in READ.items()
        for words in several
        for place, there in places.items()
        if words not in there and not (field in NOT_IN_SLACK and place in {"show", "Work Object"})
    ]
    assert missing == []
    assert re.search(r"Globex,\s+Initech", places["page"])


def test_the_manual_says_of_every_field_of_the_page_what_becomes_of_it() -> None:
    rows = table(DOCS / "devrev.md", "field of DevRev")
    named = {field.strip(" `") for row in rows for field in row[0].split(",")}
    assert named >= set(PAGE)
    assert set(PAGE) <= set(CreateIncident.model_fields)
    assert all(row[1] for row in rows)
