"""The verbs `follow`, `unfollow` and `catchup`."""

from __future__ import annotations

from tocsin.incidents.model import TeamId
from tocsin.incidents.permissions import Verb
from tocsin.slack.listeners.export import build_refusal
from tocsin.slack.listeners.verbs import Invocation, VerbSpec
from tocsin.workflows.command import AnyChange, AskedCommand
from tocsin.workflows.follow import FollowCommand


async def _follow(call: Invocation) -> AnyChange | None:
    command = FollowCommand(**_asked(call).model_dump(), follows=call.verb is Verb.FOLLOW)
    tracker = call.tracker
    return await call.context.workflows.followers(command, tracker.acknowledged, tracker.patience_left())


async def _catch_up(call: Invocation) -> AnyChange | None:
    tracker = call.tracker
    return await call.context.workflows.catch_ups(_asked(call), tracker.acknowledged, tracker.patience_left())


def _asked(call: Invocation) -> AskedCommand:
    return AskedCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        asked=call.key,
        asked_by=call.context.people.meet(call.payload.by),
        at=call.context.clock(),
    )


FOLLOW = VerbSpec(
    Verb.FOLLOW,
    "/incident follow",
    "sends you its updates by direct message",
    build_view=build_refusal,
    execute=_follow,
    no_argument=True,
)
UNFOLLOW = VerbSpec(
    Verb.UNFOLLOW,
    "/incident unfollow",
    "stops sending you its updates",
    build_view=build_refusal,
    execute=_follow,
    no_argument=True,
)
CATCH_UP = VerbSpec(
    Verb.CATCH_UP,
    "/incident catchup",
    "tells you what is new since you last caught up",
    build_view=build_refusal,
    execute=_catch_up,
    no_argument=True,
)
