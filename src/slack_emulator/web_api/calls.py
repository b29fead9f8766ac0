"""A Web API method: its arguments, who calls it, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from slack_emulator.model import Channel, InstalledApp, Json, Refused

if TYPE_CHECKING:
    from slack_emulator.workspace import Workspace


NOT_IN_EMULATOR = "not_in_emulator"
"""Our own error, which Slack never gives: it has this, and the emulator has not."""


def _decoded(value: object) -> object:
    """Structured arguments come as JSON text in a form or a query, as themselves in a JSON body."""
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
    """Slack ignores arguments it does not know, `team_id` and `token` among them."""

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
    """The kind of conversation that decides which scope is needed."""
    channel = workspace.state.channels.get(getattr(arguments, "channel", "") or "")
    return [channel.kind] if channel is not None else []


@dataclass(frozen=True)
class Method(Generic[A]):
    arguments: type[A]
    call: Callable[[Call, A], Json]
    kinds: Kinds = kind_of_channel


def page_of(items: list[Json], cursor: str | None, limit: int) -> tuple[list[Json], str]:
    """A page and the cursor of the next, "" at the end; Slack, pagination: an opaque text."""
    place = (cursor or "next:0").removeprefix("next:")
    if not place.isdecimal():
        raise Refused("invalid_cursor")
    start = int(place)
    end = start + max(1, min(limit, 1000))
    return items[start:end], f"next:{end}" if end < len(items) else ""
