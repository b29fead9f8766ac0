"""Actions and follow-ups of incidents: read, added, changed and deleted (incident.io, V3 of both)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from tocsin.backends.local.listing import STANDARD
from tocsin.backends.local.reading import ReadTask, TaskListing
from tocsin.incidents.model import FollowUpStatus, Incident, Person, PersonId
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest
from tocsin.web.api import models, serializers
from tocsin.web.api.access import renamed
from tocsin.web.api.endpoints import Answer, ApiCall, Body, Endpoint, found
from tocsin.web.api.errors import invalid
from tocsin.web.api.incidents import times_of, visible_incident
from tocsin.web.api.query import Filter, PageQuery, PaginationMeta, cut
from tocsin.web.api.tasks import Mode

Kind = Literal["action", "follow_up"]
Status = FollowUpStatus
DELETING = "Delete it with the method DELETE."


class ActionsShowResultV3(Answer):
    action: models.ActionV2


class ActionsListResultV3(Answer):
    actions: list[models.ActionV2]
    pagination_meta: PaginationMeta


class FollowUpsShowResultV3(Answer):
    follow_up: models.FollowUpV2


class FollowUpsListResultV3(Answer):
    follow_ups: list[models.FollowUpV2]
    pagination_meta: PaginationMeta


class ActionsCreatePayloadV3(Body):
    """An action."""

    incident_id: str
    description: str
    assignee_id: str | None = None


class ActionsUpdatePayloadV3(Body):
    """An action as it is to be; without `assignee_id` its assignee stays, an empty one takes it away."""

    description: str
    status: Status
    assignee_id: str | None = None


class FollowUpsCreatePayloadV3(Body):
    """A follow-up."""

    incident_id: str
    title: str
    description: str | None = None
    assignee_id: str | None = None


class FollowUpsUpdatePayloadV3(Body):
    """A follow-up as it is to be; `assignee_id` as in that of an action."""

    title: str
    status: Status
    description: str | None = None
    assignee_id: str | None = None


class TasksQueryV3(PageQuery):
    """Filters of actions and follow-ups."""

    incident_id: str | None = None
    incident_mode: Mode | None = None
    created_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")
    updated_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")


class FollowUpsQueryV3(TasksQueryV3):
    assignee_team_id: str | None = Field(None, description="No follow-up is a team's here.")


async def list_actions(call: ApiCall) -> ActionsListResultV3:
    """List actions, oldest first."""
    reads, meta = await _page(call, "action")
    return ActionsListResultV3(actions=[serializers.action_v2(read) for read in reads], pagination_meta=meta)


async def show_action(call: ApiCall) -> ActionsShowResultV3:
    """Show an action."""
    return ActionsShowResultV3(action=serializers.action_v2((await _item(call, "action"))[0]))


async def create_action(call: ApiCall) -> ActionsShowResultV3:
    """Add an action to an incident."""
    body = call.body_as(ActionsCreatePayloadV3)
    with renamed(text="description"):
        added = await _added(call, "action", body.incident_id, body.description, "", body.assignee_id)
    return ActionsShowResultV3(action=serializers.action_v2(added))


async def update_action(call: ApiCall) -> ActionsShowResultV3:
    """Change an action."""
    body = call.body_as(ActionsUpdatePayloadV3)
    change = _unwritten(text=body.description, status=body.status)
    with renamed(text="description"):
        changed = await _changed(call, "action", change)
    return ActionsShowResultV3(action=serializers.action_v2(changed))


async def delete_action(call: ApiCall) -> None:
    """Delete an action."""
    await _deleted(call, "action")


async def list_follow_ups(call: ApiCall) -> FollowUpsListResultV3:
    """List follow-ups, oldest first."""
    query = call.query_as(FollowUpsQueryV3)
    if query.assignee_team_id is not None:
        return FollowUpsListResultV3(follow_ups=[], pagination_meta=PaginationMeta(page_size=query.page_size))
    reads, meta = await _page(call, "follow_up")
    return FollowUpsListResultV3(
        follow_ups=[serializers.follow_up_v2(read) for read in reads], pagination_meta=meta
    )


async def show_follow_up(call: ApiCall) -> FollowUpsShowResultV3:
    """Show a follow-up."""
    return FollowUpsShowResultV3(follow_up=serializers.follow_up_v2((await _item(call, "follow_up"))[0]))


async def create_follow_up(call: ApiCall) -> FollowUpsShowResultV3:
    """Add a follow-up to an incident."""
    body = call.body_as(FollowUpsCreatePayloadV3)
    more = body.description or ""
    with renamed(text="title"):
        added = await _added(call, "follow_up", body.incident_id, body.title, more, body.assignee_id)
    return FollowUpsShowResultV3(follow_up=serializers.follow_up_v2(added))


async def update_follow_up(call: ApiCall) -> FollowUpsShowResultV3:
    """Change a follow-up."""
    body = call.body_as(FollowUpsUpdatePayloadV3)
    change = _unwritten(text=body.title, description=body.description, status=body.status)
    with renamed(text="title"):
        return FollowUpsShowResultV3(
            follow_up=serializers.follow_up_v2(await _changed(call, "follow_up", change))
        )


async def delete_follow_up(call: ApiCall) -> None:
    """Delete a follow-up."""
    await _deleted(call, "follow_up")


async def _page(call: ApiCall, kind: Kind) -> tuple[list[ReadTask], PaginationMeta]:
    query = call.query_as(TasksQueryV3)
    wanted = TaskListing(
        kind,
        sees_private=call.key.may("private"),
        incident_id=query.incident_id,
        modes=frozenset({query.incident_mode}) if query.incident_mode else STANDARD,
        after=query.after,
        limit=query.page_size + 1,
        created=times_of(query.created_at, "created_at"),
        updated=times_of(query.updated_at, "updated_at"),
    )
    return cut(await call.backend.reader.tasks(wanted), query, lambda read: read.task.id)


async def _item(call: ApiCall, kind: Kind) -> tuple[ReadTask, Incident]:
    """Return the item of the path with its incident. Raises ApiError 404."""
    read = await _read(call, kind, call.id)
    return read, await visible_incident(call, read.task.incident_id)


async def _read(call: ApiCall, kind: Kind, item_id: str) -> ReadTask:
    wanted = TaskListing(kind, sees_private=call.key.may("private"), id=item_id, modes=None, limit=1)
    return found(next(iter(await call.backend.reader.tasks(wanted)), None))


async def _added(
    call: ApiCall, kind: Kind, incident_id: str, text: str, description: str, assignee: str | None
) -> ReadTask:
    incident = await visible_incident(call, incident_id)
    asked = FollowUpRequest(
        key="", by=Person(), at=call.services.clock(), kind=kind, text=text, description=description
    )
    to = PersonId(assignee) if assignee else None
    added = await call.services.requests().add_follow_up(call.key, incident, asked, to)
    return await _read(call, kind, added.id)


async def _changed(call: ApiCall, kind: Kind, change: FollowUpChange) -> ReadTask:
    if change.status == "deleted":
        raise invalid("status", DELETING)
    read, incident = await _item(call, kind)
    body = call.body
    assert isinstance(body, ActionsUpdatePayloadV3 | FollowUpsUpdatePayloadV3)
    to = PersonId(body.assignee_id) if body.assignee_id else None
    if to is None and "assignee_id" in body.model_fields_set:
        change = change.model_copy(update={"unassigned": True})
    await call.services.requests().change_follow_up(call.key, incident, read.task.id, change, to)
    return await _read(call, kind, read.task.id)


async def _deleted(call: ApiCall, kind: Kind) -> None:
    read, incident = await _item(call, kind)
    await call.services.requests().delete_follow_up(call.key, incident, read.task.id)


def _unwritten(text: str, status: Status, description: str | None = None) -> FollowUpChange:
    """Return a change to which the key, its time and its person are added when it is asked for."""
    return FollowUpChange(
        key="",
        by=Person(),
        at=datetime.min.replace(tzinfo=UTC),
        text=text,
        description=description,
        status=status,
    )


ENDPOINTS = (
    Endpoint("GET", "/v3/actions", list_actions, ActionsListResultV3, query=TasksQueryV3),
    Endpoint(
        "POST",
        "/v3/actions",
        create_action,
        ActionsShowResultV3,
        "edit",
        body=ActionsCreatePayloadV3,
        status=201,
    ),
    Endpoint("GET", "/v3/actions/{id}", show_action, ActionsShowResultV3),
    Endpoint(
        "PUT", "/v3/actions/{id}", update_action, ActionsShowResultV3, "edit", body=ActionsUpdatePayloadV3
    ),
    Endpoint("DELETE", "/v3/actions/{id}", delete_action, None, "edit", status=204),
    Endpoint("GET", "/v3/follow_ups", list_follow_ups, FollowUpsListResultV3, query=FollowUpsQueryV3),
    Endpoint(
        "POST",
        "/v3/follow_ups",
        create_follow_up,
        FollowUpsShowResultV3,
        "edit",
        body=FollowUpsCreatePayloadV3,
        status=201,
    ),
    Endpoint("GET", "/v3/follow_ups/{id}", show_follow_up, FollowUpsShowResultV3),
    Endpoint(
        "PUT",
        "/v3/follow_ups/{id}",
        update_follow_up,
        FollowUpsShowResultV3,
        "edit",
        body=FollowUpsUpdatePayloadV3,
    ),
    Endpoint("DELETE", "/v3/follow_ups/{id}", delete_follow_up, None, "edit", status=204),
)
