"""DevRev's methods, as far as a bot that keeps incidents there uses them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from support.devrev import shapes
from support.devrev.org import FakeOrg, moment, stamp
from support.devrev.refusals import Refusal, conflict, invalid_field, missing, not_found, wrong_type
from support.devrev.shapes import TEXTS, checked, many, one_of, text, whole

Body = dict[str, Any]
Method = Callable[[FakeOrg, Body], tuple[int, Body]]
PARTS = (
    "capability",
    "component",
    "enhancement",
    "feature",
    "linkable",
    "microservice",
    "product",
    "runnable",
)
NAMESPACES = (*PARTS, "account", "article", "issue", "tag", "ticket", "dev_user")
PAGING = {"cursor": text, "limit": whole, "mode": one_of("after", "before")}
_ids = itertools.count(1)


def page(org: FakeOrg, body: Body, found: list[Any], name: str, cursor: str = "next_cursor") -> Body:
    """One page of what was found; the cursor is good for the same question only."""
    question = json.dumps({k: v for k, v in body.items() if k not in ("cursor", "limit")}, sort_keys=True)
    start = 0
    if "cursor" in body:
        begun, _, asked = body["cursor"].partition("|")
        if asked != question:
            raise Refusal(400, "bad_request", "the cursor belongs to another request")
        start = int(begun)
    limit = body.get("limit", 50)
    if not 0 < limit <= 100:
        raise Refusal(400, "bad_request", "limit must be between 1 and 100")
    if org.sparse:
        limit = 0 if "cursor" not in body else max(1, limit // 2)
    end = start + limit
    answer: Body = {name: found[start:end]}
    if end < len(found):
        answer[cursor] = f"{end}|{question}"
    return answer


def create(org: FakeOrg, body: Body) -> tuple[int, Body]:
    allowed = {name: shape for name, shape in shapes.CREATE.items() if name not in org.refused}
    checked(body, allowed, ("title",))
    if not body["title"]:
        raise missing("title")
    return 201, {"incident": org.make(body)}


def _incident(org: FakeOrg, wanted: str) -> Body:
    found = next((i for i in org.incidents.values() if wanted in (i["id"], i["display_id"])), None)
    if found is None:
        raise not_found(wanted)
    return found


def show(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"id": text}, ("id",))
    return 200, {"incident": _incident(org, body["id"])}


def update(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {name: shape for name, shape in shapes.UPDATE.items() if name not in org.refused}, ("id",))
    incident = _incident(org, body["id"])
    changed = dict(incident)
    org.set_fields(changed, {name: value for name, value in body.items() if name != "id"})
    incident.update(changed, modified_date=stamp(org.clock()), modified_by=org.bot.told())
    return 200, {"incident": incident}


def listing(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {name: shape for name, shape in shapes.LIST.items() if name not in org.unlisted})
    for name in body.get("custom_fields", {}):
        if name.removeprefix("tnt__") not in {f.name for f in org.fields}:
            raise invalid_field(f"custom_fields.{name}")
    found = [incident for incident in org.listed() if _matches(incident, body)]
    by, _, way = next(iter(body.get("sort_by", [])), "created_date:asc").partition(":")
    found.sort(key=lambda incident: (incident[by], incident["id"]), reverse=way == "desc")
    return 200, page(org, body, found, "incidents")


def _matches(incident: Body, asked: Body) -> bool:
    sync = incident.get("sync_metadata", {})
    owners = [user["id"] for user in incident["owned_by"]]
    tests = {
        "created_by": lambda wanted: incident["created_by"]["id"] in wanted,
        "owned_by": lambda wanted: bool(set(owners) & set(wanted)),
        "severity": lambda wanted: incident.get("severity", {}).get("id") in wanted,
        "stage": lambda wanted: incident["stage"]["stage"]["id"] in wanted,
        "title": lambda wanted: incident["title"] in wanted,
        "created_date": lambda wanted: _within(incident["created_date"], wanted),
        "modified_date": lambda wanted: _within(incident["modified_date"], wanted),
        "sync_metadata": lambda wanted: all(sync.get(name) in values for name, values in wanted.items()),
        "custom_fields": lambda wanted: all(
            incident.get("custom_fields", {}).get(name) in (v if isinstance(v, list) else [v])
            for name, v in wanted.items()
        ),
    }
    return all(test(asked[name]) for name, test in tests.items() if name in asked)


def _within(at: str, wanted: Body) -> bool:
    after, before = wanted.get("after"), wanted.get("before")
    return (after is None or moment(at) >= moment(after)) and (before is None or moment(at) <= moment(before))


def comment(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, shapes.COMMENT, ("type", "object"))
    incident, reference = _incident(org, body["object"]), body.get("external_ref")
    if reference is not None and not 1 <= len(reference) <= 512:
        raise wrong_type("external_ref", "1 to 512 characters")
    labels = body.get("labels", [])
    if len(labels) > 16 or any(not 1 <= len(label) <= 64 for label in labels):
        raise wrong_type("labels", "at most 16, of 1 to 64 characters each")
    of_it = [entry for entry in org.entries if entry["object"] == incident["id"]]
    if reference is not None and any(entry["external_ref"] == reference for entry in of_it):
        raise conflict(f"an entry with the external reference {reference} exists already")
    entry = {
        "type": "timeline_comment",
        "id": f"{incident['id']}:comment/{next(_ids)}",
        "object": incident["id"],
        "external_ref": reference,
        "body": body.get("body", ""),
        "body_type": body.get("body_type", "text"),
        # Left unsaid, a comment is for customers too (Timeline Entries, visibility).
        "visibility": body.get("visibility", "external"),
        "labels": labels,
        "created_by": org.bot.told(),
        "created_date": stamp(org.clock()),
    }
    org.entries.append(entry)
    return 201, {"timeline_entry": _told(entry)}


def _told(entry: Body) -> Body:
    return {name: value for name, value in entry.items() if name not in ("external_ref", "object")}


def _entry(org: FakeOrg, body: Body) -> Body:
    for entry in org.entries:
        by_reference = body.get("external_ref") is not None
        if by_reference and (entry["object"], entry["external_ref"]) == (body["id"], body["external_ref"]):
            return entry
        if not by_reference and entry["id"] == body["id"]:
            return entry
    raise not_found("the entry")


def show_entry(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"id": text, "external_ref": text}, ("id",))
    return 200, {"timeline_entry": _told(_entry(org, body))}


def delete_entry(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"id": text}, ("id",))
    org.entries.remove(_entry(org, body))
    return 200, {}


def list_entries(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(
        body,
        {"object": text, "collections": TEXTS, "labels": TEXTS, "visibility": TEXTS} | PAGING,
        ("object",),
    )
    incident = _incident(org, body["object"])
    created = {
        "type": "timeline_change_event",
        "id": f"{incident['id']}:event/1",
        "event": {"type": "created"},
    }
    found = [created, *(_told(entry) for entry in org.entries if entry["object"] == incident["id"])]
    return 200, page(org, body, found, "timeline_entries")


def self_(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {})
    return 200, {"dev_user": org.bot.told()}


def users(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"email": TEXTS, "state": TEXTS, "external_identity": many(shapes.anything)} | PAGING)
    wanted = [email.casefold() for email in body.get("email", [])]
    found = [
        person.told()
        for person in org.people
        if (not wanted or person.email in wanted) and person.state in body.get("state", [person.state])
    ]
    return 200, page(org, body, found, "dev_users")


def parts(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"name": TEXTS, "owned_by": TEXTS, "type": many(one_of(*PARTS))} | PAGING)
    found = [part for part in org.parts if part["name"] in body.get("name", [part["name"]])]
    return 200, page(org, body, found, "parts")


def show_part(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"id": text}, ("id",))
    part = org.part(body["id"])
    if part is None:
        raise not_found(body["id"])
    return 200, {"part": part}


def search(org: FakeOrg, body: Body) -> tuple[int, Body]:
    asked = {"query": text, "namespaces": many(one_of(*NAMESPACES)), "cursor": text, "limit": whole}
    checked(body, asked, ("query",))
    words = body["query"].casefold().split()
    found = [p for p in org.parts if all(word in p["name"].casefold() for word in words)]
    return 200, {"results": [{"type": "part", "part": part} for part in found][: body.get("limit", 10)]}


def tags(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"name": TEXTS, "sort_by": TEXTS} | PAGING)
    found = [tag for tag in org.tags if tag["name"] in body.get("name", [tag["name"]])]
    return 200, page(org, body, found, "tags")


def stages(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"name": TEXTS, "ordinal": many(whole), "sort_by": TEXTS, "cursor": text, "limit": whole})
    return 200, page(org, body, [*org.stages, org.foreign_stage], "result", "cursor")


def stock(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"leaf_type": text, "id": text})
    if body.get("leaf_type") != "incident":
        raise not_found("the schema")
    fields = [
        {"name": "title", "field_type": "text", "is_required": True},
        {"name": "severity", "field_type": "uenum", "allowed_values": org.severities},
        {"name": "impact.count", "field_type": "uenum", "allowed_values": org.impacts},
        {"name": "reported_by", "field_type": "uenum", "allowed_values": org.reporters},
    ]
    return 200, {"fragment": {"id": "stock/1", "leaf_type": "incident", "fields": fields}}


def own(org: FakeOrg, body: Body) -> tuple[int, Body]:
    kinds = many(one_of("app_fragment", "custom_type_fragment", "tenant_fragment"))
    asked = {"leaf_type": TEXTS, "types": kinds, "app": TEXTS, "subtype": TEXTS, "deprecated": shapes.flag}
    checked(body, asked | {"sort_by": TEXTS, "cursor": text, "limit": whole})
    fragments = [{"type": "tenant_fragment", "id": "tenant/1", "fields": org.fields}]
    fragments += [
        {"type": "custom_type_fragment", "id": f"ctype/{value}", "subtype": value, "fields": fields}
        for value, fields in org.subtypes.items()
    ]
    wanted = body.get("types", [fragment["type"] for fragment in fragments])
    found = [
        fragment | {"leaf_type": "incident", "fields": [field.told() for field in fragment["fields"]]}
        for fragment in fragments
        if fragment["type"] in wanted
    ]
    return 200, page(org, body, found if body.get("leaf_type") == ["incident"] else [], "result", "cursor")


def subtypes(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"leaf_type": text, "leaf_types": TEXTS})
    # Without a leaf type the list is empty, whatever there is.
    of_incidents = body.get("leaf_type") == "incident" or "incident" in body.get("leaf_types", ())
    told = [
        {"leaf_type": "incident", "fragment_id": f"ctype/{value}", "value": value}
        | {"display_name": value.replace("_", " ").capitalize()}
        for value in org.subtypes
    ]
    return 200, {"subtypes": told if of_incidents else []}


def aggregated(org: FakeOrg, body: Body) -> tuple[int, Body]:
    asked = {"leaf_type": text, "custom_schema_spec": shapes.SPEC, "custom_schema_fragment_ids": TEXTS}
    checked(body, asked | {"is_custom_leaf_type": shapes.flag, "stock_schema_fragment_id": text})
    fields = [{"name": "title", "field_type": "text"}, *(field.told("tnt__") for field in org.fields)]
    return 200, {"schema": {"fields": fields, "stage_diagram_id": {"id": "diagram/1"}}}


def diagram(org: FakeOrg, body: Body) -> tuple[int, Body]:
    checked(body, {"id": text}, ("id",))
    on = [{"stage": {"id": stage["id"], "name": stage["name"]}, "transitions": []} for stage in org.stages]
    return 200, {"stage_diagram": {"id": body["id"], "stages": on}}


METHODS: Mapping[str, Method] = {
    "incidents.create": create,
    "incidents.get": show,
    "incidents.update": update,
    "incidents.list": listing,
    "timeline-entries.create": comment,
    "timeline-entries.get": show_entry,
    "timeline-entries.delete": delete_entry,
    "timeline-entries.list": list_entries,
    "dev-users.self": self_,
    "dev-users.list": users,
    "parts.list": parts,
    "parts.get": show_part,
    "search.core": search,
    "tags.list": tags,
    "stages.custom.list": stages,
    "schemas.stock.get": stock,
    "schemas.custom.list": own,
    "schemas.aggregated.get": aggregated,
    "schemas.subtypes.list": subtypes,
    "stage-diagrams.get": diagram,
}
