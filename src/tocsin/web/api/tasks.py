"""Endpoints that read actions and follow-ups, as V2 has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from tocsin.backends.local.listing import STANDARD
from tocsin.backends.local.reading import ReadTask, TaskListing
from tocsin.web.api import models, serializers
from tocsin.web.api.endpoints import Answer, ApiCall
from tocsin.web.api.errors import not_found
from tocsin.web.api.query import MOST_ON_A_PAGE, Query


class ActionsListResultV2(Answer):
    actions: list[models.ActionV2]


class ActionsShowResultV2(Answer):
    action: models.ActionV2


class FollowUpsListResultV2(Answer):
    follow_ups: list[models.FollowUpV2]


class FollowUpsShowResultV2(Answer):
    follow_up: models.FollowUpV2


MOST_LISTED = 10_000
"""Items of a list that has no pages; V3 has those that follow."""

Mode = Literal["standard", "retrospective", "test", "tutorial", "stream"]


class TasksQuery(Query):
    incident_id: str | None = Field(None, description="Id of the incident.")
    incident_mode: Mode | None = Field(None, description="Else standard and retrospective.")


class FollowUpsQuery(TasksQuery):
    assignee_team_id: str | None = Field(None, description="No follow-up is a team's here.")


async def _listed(call: ApiCall, kind: str) -> AsyncIterator[ReadTask]:
    """Yield all of them, oldest first, in parts: V2 has no pages, and its clients take a list as whole."""
    query = call.query_as(TasksQuery)
    wanted = TaskListing(
        kind,
        sees_private=call.key.may("private"),
        incident_id=query.incident_id,
        modes=STANDARD if query.incident_mode is None else frozenset({str(query.incident_mode)}),
        limit=MOST_ON_A_PAGE,
    )
    for _ in range(MOST_LISTED // MOST_ON_A_PAGE):
        part = await call.backend.reader.tasks(wanted)
        for task in part:
            yield task
        if len(part) < wanted.limit:
            return
        wanted = replace(wanted, after=part[-1].task.id)


async def read_task(call: ApiCall, kind: str) -> ReadTask:
    """Return the action or follow-up of the path's id.

    Raises ApiError 404 if there is none, or if the key may not see its incident.
    """
    wanted = TaskListing(kind, sees_private=call.key.may("private"), id=call.id, modes=None, limit=1)
    found = await call.backend.reader.tasks(wanted)
    if not found:
        raise not_found()
    return found[0]


async def list_actions_v2(call: ApiCall) -> ActionsListResultV2:
    """List actions, oldest first, 10,000 at most."""
    actions = [serializers.action_v2(one) async for one in _listed(call, "action")]
    return ActionsListResultV2(actions=actions)


async def show_action_v2(call: ApiCall) -> ActionsShowResultV2:
    """Show an action."""
    return ActionsShowResultV2(action=serializers.action_v2(await read_task(call, "action")))


async def list_follow_ups_v2(call: ApiCall) -> FollowUpsListResultV2:
    """List follow-ups, oldest first, 10,000 at most."""
    if call.query_as(FollowUpsQuery).assignee_team_id is not None:
        return FollowUpsListResultV2(follow_ups=[])
    follow_ups = [serializers.follow_up_v2(one) async for one in _listed(call, "follow_up")]
    return FollowUpsListResultV2(follow_ups=follow_ups)


async def show_follow_up_v2(call: ApiCall) -> FollowUpsShowResultV2:
    """Show a follow-up."""
    return FollowUpsShowResultV2(follow_up=serializers.follow_up_v2(await read_task(call, "follow_up")))
