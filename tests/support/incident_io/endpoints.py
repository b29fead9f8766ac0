"""Each documented endpoint that a bot needs."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.incident_io import shapes
from support.incident_io.account import Account
from support.incident_io.making import KEY_ACTOR, catalog_type, edit, make

Json = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]


def refused(status: int, kind: str, wrong: list[shapes.Wrong]) -> JSONResponse:
    errors = [
        {"code": code, "message": said, "source": {"field": at, "pointer": "/" + at.replace(".", "/")}}
        for code, said, at in wrong
    ]
    body = {"type": kind, "status": status, "request_id": "00000000-0000-0000-0000-000000000000"}
    return JSONResponse({**body, "errors": errors}, status_code=status)


def missing() -> JSONResponse:
    return refused(404, "not_found", [("not_found", "We could not find what you asked for", "id")])


def account_of(request: Request) -> Account:
    found: Account = request.app.state.account
    return found


async def given(request: Request, shape: Json) -> tuple[Json, JSONResponse | None]:
    """The body, and the refusal of what the documents do not allow."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return {}, refused(400, "invalid_request_error", [("invalid_json", "That is no JSON", "")])
    wrong = list(shapes.wrongs(shape, body))
    return body, refused(422, "validation_error", wrong) if wrong else None


def unknown_query(request: Request, *known: str) -> JSONResponse | None:
    odd = [name for name in request.query_params if name not in known]
    wrong = [("unknown_field", f"{name} is not a known parameter", name) for name in odd]
    return refused(422, "validation_error", wrong) if wrong else None


def page(request: Request, name: str, items: list[Json], **more: Any) -> Response:
    """One page with its cursor: the id of the last item, missing on the last page."""
    size = int(request.query_params.get("page_size", "25"))
    if not 1 <= size <= 250:
        return refused(422, "validation_error", [("invalid_value", "must be 1 to 250", "page_size")])
    after, start = request.query_params.get("after"), 0
    if after:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            return refused(422, "validation_error", [("invalid_value", "No such cursor", "after")])
        start = places[0] + 1
    shown = items[start : start + size]
    meta: Json = {"page_size": size}
    if start + size < len(items):
        meta["after"] = shown[-1]["id"]
    return JSONResponse({name: shown, "pagination_meta": meta, **more})


def listing(name: str, listed: Callable[[Account], list[Json]]) -> Endpoint:
    """A list without pages, which takes no parameters."""

    async def endpoint(request: Request) -> Response:
        return unknown_query(request) or JSONResponse({name: listed(account_of(request))})

    return endpoint


def creating(version: int) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        account = account_of(request)
        if version == 1 and not account.has_v1:
            return refused(410, "not_found", [("gone", "This endpoint has been removed", "")])
        body, no = await given(request, shapes.CREATE_V1 if version == 1 else shapes.CREATE_V2)
        if no is not None:
            return no
        if account.dedupes and body["idempotency_key"] in account.by_key:
            incident = account.by_key[body["idempotency_key"]]
        elif wrong := list(shapes.unknown(account, body)):
            return refused(422, "validation_error", wrong)
        else:
            incident = make(account, body)
        return JSONResponse({"incident": account.as_v1(incident) if version == 1 else incident})

    return endpoint


def showing(version: int) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        account = account_of(request)
        incident = account.incident(request.path_params["id"])
        if incident is None:
            return missing()
        return JSONResponse({"incident": account.as_v1(incident) if version == 1 else incident})

    return endpoint


USUAL = ("standard", "retrospective")
FILTERS = (
    *("page_size", "after", "sort_by", "status_category[one_of]", "status_category[not_in]"),
    *("severity[one_of]", "status[one_of]", "incident_type[one_of]", "mode[one_of]"),
    *("created_at[gte]", "created_at[lte]"),
)
_FIELD = re.compile(r"custom_field\[(\w+)\]\[one_of\]")


async def list_incidents(request: Request) -> Response:
    fields = {name: match[1] for name in request.query_params if (match := _FIELD.fullmatch(name))}
    no = unknown_query(request, *FILTERS, *fields)
    if no is not None:
        return no
    asked = request.query_params
    modes = asked.getlist("mode[one_of]") or ["standard", "retrospective"]
    found = [i for i in account_of(request).incidents if i["mode"] in modes]
    for name, key in (("status_category", "category"), ("status", "id")):
        if wanted := asked.getlist(f"{name}[one_of]"):
            found = [i for i in found if i["incident_status"][key] in wanted]
        if unwanted := asked.getlist(f"{name}[not_in]"):
            found = [i for i in found if i["incident_status"][key] not in unwanted]
    if severities := asked.getlist("severity[one_of]"):
        found = [i for i in found if i.get("severity", {}).get("id") in severities]
    if types := asked.getlist("incident_type[one_of]"):
        found = [i for i in found if (i.get("incident_type") or {}).get("id") in types]
    for name, field_id in fields.items():
        found = [i for i in found if _answers(i, field_id) & set(asked.getlist(name))]
    since, until = asked.get("created_at[gte]", ""), asked.get("created_at[lte]", "9999")
    found = [i for i in found if _moment(since) <= _moment(i["created_at"]) <= _moment(until)]
    if asked.get("sort_by") != "created_at_oldest_first":
        found = found[::-1]
    return page(request, "incidents", found)


def _moment(at: str) -> str:
    """A time to the millisecond, however it is written."""
    plain = at.removesuffix("Z").removesuffix("+00:00")
    return plain if "." in plain or "T" not in plain else f"{plain}.000"


def _answers(incident: Json, field_id: str) -> set[str]:
    entries = [e for e in incident["custom_field_entries"] if e["custom_field"]["id"] == field_id]
    return {v["value_option"]["id"] for e in entries for v in e["values"] if v.get("value_option")}


async def edit_incident(request: Request) -> Response:
    account, body = account_of(request), {}
    incident = account.incident(request.path_params["id"])
    if incident is None:
        return missing()
    body, no = await given(request, shapes.EDIT)
    if no is not None:
        return no
    if wrong := list(shapes.unknown(account, body["incident"], creating=False)):
        return refused(422, "validation_error", wrong)
    edit(account, incident, body["incident"])
    return JSONResponse({"incident": incident})


async def create_update(request: Request) -> Response:
    account = account_of(request)
    body, no = await given(request, shapes.UPDATE)
    if no is not None:
        return no
    incident = account.incident(body["incident_id"])
    if incident is None:
        return missing()
    if not body.keys() & {"message", "to_incident_status_id", "to_severity_id"}:
        return refused(
            422, "validation_error", [("is_required", "Say something, or change something", "message")]
        )
    if wrong := list(shapes.unknown(account, body, creating=False)):
        return refused(422, "validation_error", wrong)
    found = next((u for u in account.updates if u["key"] == body["idempotency_key"]), None)
    if found is None:
        change = {
            "incident_status_id": body.get("to_incident_status_id"),
            "severity_id": body.get("to_severity_id"),
        }
        edit(account, incident, {name: value for name, value in change.items() if value})
        found = {
            "key": body["idempotency_key"],
            "id": f"01UPDATE{len(account.updates):018d}",
            "incident_id": incident["id"],
            "created_at": account.now(),
            "new_incident_status": incident["incident_status"],
            "updater": KEY_ACTOR,
            "message": body.get("message", ""),
        }
        if "to_severity_id" in body:
            found["new_severity"] = incident["severity"]
        account.updates.append(found)
    told = {name: value for name, value in found.items() if name != "key"}
    return JSONResponse({"incident_update": told}, status_code=201)


async def create_item(request: Request) -> Response:
    account = account_of(request)
    body, no = await given(request, shapes.ITEM)
    if no is not None:
        return no
    if account.incident(body["incident_id"]) is None:
        return missing()
    found = next((i for i in account.items if i["key"] == body["idempotency_key"]), None)
    if found is None:
        stamps = {"created_at": account.now(), "updated_at": account.now(), "creator": KEY_ACTOR}
        plain = {name: value for name, value in body.items() if name != "idempotency_key"}
        found = {"key": body["idempotency_key"], "id": f"01ITEM{len(account.items):020d}", **plain, **stamps}
        account.items.append(found)
    told = {name: value for name, value in found.items() if name != "key"}
    return JSONResponse({"incident_timeline_item": told}, status_code=201)


def listed_of(
    name: str, listed: Callable[[Account], list[Json]], *, paged: bool = True, by_mode: bool = False
) -> Endpoint:
    """What belongs to one incident, oldest first; `by_mode` where the list leaves out those of tests."""

    async def endpoint(request: Request) -> Response:
        account = account_of(request)
        no = unknown_query(request, "incident_id", "page_size", "after", *(["incident_mode"] * by_mode))
        wanted, mode = (request.query_params.get(name) for name in ("incident_id", "incident_mode"))
        found = [i for i in listed(account) if i["incident_id"] == wanted]
        if by_mode:
            modes = {i["id"] for i in account.incidents if i["mode"] in ([mode] if mode else USUAL)}
            found = [i for i in found if i["incident_id"] in modes]
        told = [{k: v for k, v in item.items() if k != "key"} for item in found]
        return no or (page(request, name, told) if paged else JSONResponse({name: told}))

    return endpoint


async def attach(request: Request) -> Response:
    account = account_of(request)
    body, no = await given(request, shapes.ATTACHMENT)
    if no is not None:
        return no
    if account.incident(body["incident_id"]) is None:
        return missing()
    resource = body["resource"]
    told = {"resource_type": resource["resource_type"], "permalink": resource.get("url", "")}
    told |= {"external_id": resource.get("url", ""), "title": resource.get("title", "")}
    made = {
        "id": f"01ATT{len(account.attachments):021d}",
        "incident_id": body["incident_id"],
        "resource": told,
    }
    account.attachments.append(made)
    return JSONResponse({"incident_attachment": made}, status_code=201)


async def join(request: Request) -> Response:
    """Make a user a member of a private incident (Incident Memberships V1, Create)."""
    account = account_of(request)
    body, no = await given(request, shapes.MEMBERSHIP)
    if no is not None:
        return no
    incident = account.incident(body["incident_id"])
    if incident is None:
        return missing()
    if body["user_id"] not in {user["id"] for user in account.users}:
        return refused(422, "validation_error", [("not_found", "No such user", "user_id")])
    if incident["visibility"] != "private":
        return refused(422, "validation_error", [("invalid_value", "It is not private", "incident_id")])
    account.memberships.add((incident["id"], body["user_id"]))
    made = {"id": f"01MEM{len(account.memberships):021d}", **body}
    return JSONResponse({"incident_membership": made}, status_code=201)


async def leave(request: Request) -> Response:
    """Revoke a user's membership of a private incident (Incident Memberships V1, Revoke)."""
    account = account_of(request)
    body, no = await given(request, shapes.MEMBERSHIP)
    if no is not None:
        return no
    if (body["incident_id"], body["user_id"]) not in account.memberships:
        return missing()
    account.memberships.remove((body["incident_id"], body["user_id"]))
    return Response(status_code=204)


async def list_participants(request: Request) -> Response:
    """People who take part in an incident (Incident Participants V2, List)."""
    account, wanted = account_of(request), request.query_params.get("incident_id")
    users = {user["id"]: user for user in account.users}
    there = [users[user] for incident, user in sorted(account.memberships) if incident == wanted]
    active = [{"participant_type": "collaborator", "user": user} for user in there]
    told = {"active": active, "passive": []}
    return unknown_query(request, "incident_id") or JSONResponse({"incident_participants": told})


def _assign(account: Account, body: Json) -> Response | None:
    """Put the user in the place of `assignee_id`; a refusal if there is none with this id."""
    users = {user["id"]: user for user in account.users}
    if (assignee := body.pop("assignee_id", None)) is None:
        return None
    if assignee not in users:
        return refused(422, "validation_error", [("not_found", "No such user", "assignee_id")])
    body["assignee"] = users[assignee]
    return None


_REPLACED = {
    "assignee": "assignee_id",
    "assignee_team": "assignee_team_id",
    "category": "follow_up_category_id",
    "priority": "follow_up_priority_option_id",
    "labels": "labels",
    "description": "description",
}
"""Properties of a follow-up, and how an update names them."""


def _replaced(found: Json, body: Json) -> Json:
    """Take away what a PUT leaves out: `assignee_id` is null to unassign (Follow-ups, Update)."""
    for name, sent in _REPLACED.items():
        if sent not in body:
            found.pop(name, None)
    for name in ("assignee_team", "category", "priority"):
        if (kept := body.pop(_REPLACED[name], None)) is not None:
            found[name] = {**found[name], "id": kept}
    return body


def to_do(
    one: str, listed: Callable[[Account], list[Json]], shape: Json, change: Json
) -> tuple[Endpoint, Endpoint]:
    """Create and update, of actions or follow-ups."""

    async def create(request: Request) -> Response:
        account = account_of(request)
        body, no = await given(request, shape)
        if no is not None:
            return no
        if account.incident(body["incident_id"]) is None:
            return missing()
        wrong = _assign(account, body)
        made = dict(body)
        made |= {
            "id": f"01TODO{len(account.actions) + len(account.follow_ups):020d}",
            "status": "outstanding",
            "creator": KEY_ACTOR,
        }
        made |= {"created_at": account.now(), "updated_at": account.now()}
        if wrong is not None:
            return wrong
        listed(account).append(made)
        return JSONResponse({one: made}, status_code=201)

    async def update(request: Request) -> Response:
        account = account_of(request)
        found = next((i for i in listed(account) if i["id"] == request.path_params["id"]), None)
        body, no = await given(request, change)
        if found is None or no is not None:
            return no or missing()
        if (wrong := _assign(account, _replaced(found, body))) is not None:
            return wrong
        found |= body | {"updated_at": account.now()}
        if body["status"] == "completed":
            found["completed_at"] = account.now()
        return JSONResponse({one: found})

    return create, update


async def list_options(request: Request) -> Response:
    no = unknown_query(request, "custom_field_id", "page_size", "after")
    wanted = request.query_params.get("custom_field_id")
    if no is None and not wanted:
        no = refused(
            422, "validation_error", [("is_required", "custom_field_id is required", "custom_field_id")]
        )
    options = [o for o in account_of(request).options if o["custom_field_id"] == wanted]
    return no or page(request, "custom_field_options", options)


async def list_entries(request: Request) -> Response:
    no = unknown_query(request, "catalog_type_id", "identifier", "page_size", "after")
    asked = request.query_params
    if no is None and asked.get("catalog_type_id") != "01TEAMS":
        no = missing()
    entries = account_of(request).entries
    if wanted := asked.get("identifier"):
        entries = [e for e in entries if wanted in (e["id"], e["external_id"], *e["aliases"])]
    return no or page(request, "catalog_entries", entries, catalog_type=catalog_type())


async def list_users(request: Request) -> Response:
    no = unknown_query(request, "slack_user_id", "email", "page_size", "after")
    wanted = request.query_params.get("slack_user_id")
    users = [u for u in account_of(request).users if wanted in (None, u["slack_user_id"])]
    return no or page(request, "users", users)


async def show_identity(request: Request) -> Response:
    account = account_of(request)
    told = {"name": "Tocsin", "dashboard_url": "https://app.incident.io/northwind", "roles": account.rights}
    return JSONResponse({"identity": {**told, "team_roles": [], "teams": []}})


async def v1_fields(request: Request) -> Response:
    """V1 has the options in the field, and says whether it is needed (Custom Fields V1, List)."""
    account = account_of(request)
    told = [
        {"required_v2": "never", "show_before_creation": True, **found}
        | {"options": [o for o in account.options if o["custom_field_id"] == found["id"]]}
        for found in account.fields
    ]
    return JSONResponse({"custom_fields": told})


def v2_fields(account: Account) -> list[Json]:
    """V2 does not say whether a field is needed (Custom Fields V2, List)."""
    return [{k: v for k, v in f.items() if k != "required_v2"} for f in account.fields]


_new_action, _change_action = to_do("action", lambda a: a.actions, shapes.ACTION, shapes.ACTION_CHANGE)
_new_follow_up, _change_follow_up = to_do(
    "follow_up", lambda a: a.follow_ups, shapes.FOLLOW_UP, shapes.FOLLOW_UP_CHANGE
)

ROUTES = [
    Route("/v1/incidents", creating(1), methods=["POST"]),
    Route("/v1/incidents/{id}", showing(1)),
    Route("/v2/incidents", creating(2), methods=["POST"]),
    Route("/v2/incidents", list_incidents),
    Route("/v2/incidents/{id}", showing(2)),
    Route("/v2/incidents/{id}/actions/edit", edit_incident, methods=["POST"]),
    Route("/v1/severities", listing("severities", lambda a: a.severities)),
    Route("/v1/incident_types", listing("incident_types", lambda a: a.types)),
    Route("/v1/incident_statuses", listing("incident_statuses", lambda a: a.statuses)),
    Route("/v2/incident_roles", listing("incident_roles", lambda a: a.roles)),
    Route("/v2/incident_timestamps", listing("incident_timestamps", lambda a: a.timestamps)),
    Route("/v1/custom_fields", v1_fields),
    Route("/v2/custom_fields", listing("custom_fields", v2_fields)),
    Route("/v1/custom_field_options", list_options),
    Route("/v3/catalog_entries", list_entries),
    Route("/v3/incident_forms", listing("incident_forms", lambda a: a.forms)),
    Route("/v2/users", list_users),
    Route("/v2/incident_updates", create_update, methods=["POST"]),
    Route("/v2/incident_updates", listed_of("incident_updates", lambda a: a.updates)),
    Route("/v2/incident_timeline_items", create_item, methods=["POST"]),
    Route("/v2/incident_timeline_items", listed_of("incident_timeline_items", lambda a: a.items)),
    Route("/v1/incident_attachments", attach, methods=["POST"]),
    Route(
        "/v1/incident_attachments", listed_of("incident_attachments", lambda a: a.attachments, paged=False)
    ),
    Route("/v1/incident_memberships", join, methods=["POST"]),
    Route("/v1/incident_memberships/actions/revoke", leave, methods=["POST"]),
    Route("/v2/incident_participants", list_participants),
    Route("/v3/actions", _new_action, methods=["POST"]),
    Route("/v3/actions", listed_of("actions", lambda a: a.actions, by_mode=True)),
    Route("/v3/actions/{id}", _change_action, methods=["PUT"]),
    Route("/v3/follow_ups", _new_follow_up, methods=["POST"]),
    Route("/v3/follow_ups", listed_of("follow_ups", lambda a: a.follow_ups, by_mode=True)),
    Route("/v3/follow_ups/{id}", _change_follow_up, methods=["PUT"]),
    Route("/v1/identity", show_identity),
]
