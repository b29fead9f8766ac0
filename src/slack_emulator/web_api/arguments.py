"""Types of a Web API call: its arguments, the calling app, its result, and pagination."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from slack_emulator.models import Channel, InstalledApp, Json, Refused

if TYPE_CHECKING:
    from slack_emulator.workspace import Workspace


NOT_IN_EMULATOR = "not_in_emulator"
"""Error code of our own, for a method that Slack has and the emulator does not."""


def _decoded(value: object) -> object:
    """Parse an argument that a form or a query sends as JSON text; a JSON body sends the value itself."""
    return json.loads(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Blocks = Annotated[list[Any], BeforeValidator(_decoded)]
Object = Annotated[dict[str, Any], BeforeValidator(_decoded)]
Texts = Annotated[list[str], BeforeValidator(_decoded)]
Names = Annotated[list[str], BeforeValidator(_listed)]


class Arguments(BaseModel):
    """Base of all arguments. Ignores unknown ones, as Slack does; `team_id` and `token` are among these."""

    model_config = ConfigDict(extra="ignore")


class NoArguments(Arguments):
    pass


@dataclass
class Call:
    workspace: Workspace
    app: InstalledApp

    @property
    def bot(self) -> str:
        return self.app.bot_user_id

    def visible(self, channel: str) -> Channel:
        return self.workspace.conversations.visible(self.bot, channel)

    def entered(self, channel: str) -> Channel:
        return self.workspace.conversations.entered(self.bot, channel)


A = TypeVar("A", bound=Arguments)
Kinds = Callable[["Workspace", Any], list[str]]


def kind_of_channel(workspace: Workspace, arguments: Any) -> list[str]:
    """Return the kind of the conversation in `channel`, on which the needed scope depends."""
    channel = workspace.state.channels.get(getattr(arguments, "channel", "") or "")
    return [channel.kind] if channel is not None else []


@dataclass(frozen=True)
class Method(Generic[A]):
    arguments: type[A]
    call: Callable[[Call, A], Json]
    kinds: Kinds = kind_of_channel


def page_of(items: list[Json], cursor: str | None, limit: int) -> tuple[list[Json], str]:
    """Return one page and the cursor of the next, "" after the last page (Slack, pagination).

    Raises Refused (`invalid_cursor`) if the cursor is not one of ours.
    """
    place = (cursor or "next:0").removeprefix("next:")
    if not place.isdecimal():
        raise Refused("invalid_cursor")
    start = int(place)
    end = start + max(1, min(limit, 1000))
    return items[start:end], f"next:{end}" if end < len(items) else ""
