"""Tocsin itself, talking to a workspace on this machine over real sockets, with its files in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slack_emulator.manifest import Manifest
from slack_emulator.models import Message, Outcome, Request, View
from slack_emulator.workspace import Workspace
from support.autojump import passing
from support.first_files import GLANCE_SECONDS, copied_into, first_journal, new_incidents, poll_often
from support.slack import RunningWorkspace, running_workspace
from tocsin.app import App, open_app
from tocsin.data_dir import folder_of
from tocsin.resources import open_resources
from tocsin.server import listen, serving
from tocsin.settings import read_settings
from tocsin.slack import routes
from tocsin.start import connected
from tocsin.storage.workflow_engine import DbosEngine
from tocsin.workflows.ports import Clock, IncidentBackend

ALL_POSTED = "chat.postMessage"


def typed(text: str) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": text}


def chosen(value: str, text: str = "") -> dict[str, Any]:
    option = {"text": {"type": "plain_text", "text": text or value}, "value": value}
    return {"type": "static_select", "selected_option": option}


def radio(value: str) -> dict[str, Any]:
    return {**chosen(value), "type": "radio_buttons"}


def ticked(value: str) -> dict[str, Any]:
    option = {"text": {"type": "plain_text", "text": value}, "value": value}
    return {"type": "checkboxes", "selected_options": [option]}


def dated(seconds: int) -> dict[str, Any]:
    return {"type": "datetimepicker", "selected_date_time": seconds}


def picked(person: str) -> dict[str, Any]:
    return {"type": "users_select", "selected_user": person}


async def submitted(workspace: Workspace, person: str, view_id: str) -> Outcome:
    """A form sent, and once more where somebody who declares so many is asked whether they are sure."""
    outcome = await workspace.submit(person, view_id)
    if outcome.ok and outcome.view is not None and asks_whether_sure(outcome.view):
        outcome = await workspace.submit(person, view_id)
    return outcome


def asks_whether_sure(view: View) -> bool:
    return bool((view.payload.get("submit") or {}).get("text") == "Declare all the same")


@dataclass
class RunningBot:
    """The bot and the workspace it serves, with words for what a responder does there."""

    app: App
    slack: RunningWorkspace
    folder: Path
    url: str
    beginning: Any = None
    """How a bot that tests share was when the test began (`support/beginning.py`)."""

    @property
    def workspace(self) -> Workspace:
        return self.slack.workspace

    @property
    def backend(self) -> IncidentBackend:
        return self.app.resources.backend

    @property
    def engine(self) -> DbosEngine:
        return self.app.resources.engine

    async def opened_form(self, person: str, *, since: int = 0) -> View:
        """The modal on top of this person's stack, once the bot has opened it."""
        await self.workspace.heard("views.open", since + 1)
        return self.workspace.stack(self.slack.person(person))[-1]

    async def type_command(self, person: str, channel: str, text: str) -> View:
        """`/incident …` typed in a channel, and the form it opens."""
        opened = self.opened_so_far
        outcome = await self.workspace.command(self.slack.person(person), self.slack.channel(channel), text)
        assert outcome.ok, outcome
        return await self.opened_form(person, since=opened)

    async def pick_shortcut(self, person: str, message: Message) -> View:
        """*Declare incident* picked on a message, and what opens."""
        opened = self.opened_so_far
        outcome = await self.workspace.message_shortcut(
            self.slack.person(person), "declare_from_message", message.channel, message.ts
        )
        assert outcome.ok, outcome
        return await self.opened_form(person, since=opened)

    @property
    def opened_so_far(self) -> int:
        return len(self.calls("views.open"))

    async def fill(self, person: str, view: View, **fields: dict[str, Any]) -> None:
        """Fill inputs; `__` stands for the dot of a role or a custom field."""
        for name, value in fields.items():
            block = name.replace("__", ".")
            self.workspace.type_into(self.slack.person(person), view.id, block, block, value)

    async def submit(self, person: str, view: View) -> Any:
        return await submitted(self.workspace, self.slack.person(person), view.id)

    def calls(self, method: str | None = None) -> list[Request]:
        """The Web API calls the bot made."""
        return [
            request
            for request in self.workspace.requests
            if (request.method == method if method else "." in request.method)
            and not request.method.startswith("event.")
        ]


async def resumed(engine: DbosEngine) -> None:
    """Until this process has taken up every story that another one left behind.

    Threads of DBOS's own do that, as the machine's time passes.
    """
    with passing():
        while True:
            if len(await engine.unfinished()) <= engine.workflows_in_hand:
                return
            await asyncio.sleep(GLANCE_SECONDS)


@asynccontextmanager
async def running_bot(
    folder: Path,
    slack: RunningWorkspace | None = None,
    behind: Callable[[IncidentBackend], IncidentBackend] | None = None,
    clock: Clock | None = None,
    can_resume: bool = True,
    **settings: Any,
) -> AsyncIterator[RunningBot]:
    """The bot in the seeded workspace (see `running_workspace`), announcing in #incidents.

    Its pages are on a free port. With `behind`, something may stand between the bot and its backend.
    Without `can_resume`, a story was left behind that this bot cannot take up.
    """
    async with AsyncExitStack() as stack:
        if slack is None:
            installed = Manifest.from_dict(routes.manifest())
            slack = await stack.enter_async_context(running_workspace(installed))
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        given = {
            "tocsin_data_dir": folder,
            "tocsin_port": port,
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "tocsin_announce_channel": slack.channel("incidents"),
        }
        read = read_settings(**{**given, **settings})
        copied_into(folder, await first_journal())
        if read.tocsin_backend == "local":
            await new_incidents(folder / "incidents.db")
        parts = await stack.enter_async_context(open_resources(read, folder_of(read)))
        parts.replicas.clock = asyncio.get_running_loop().time
        parts.clock = clock or (lambda: datetime.fromtimestamp(slack.clock.now(), UTC))
        poll_often(parts.engine)
        if behind is not None:
            parts.backend = behind(parts.backend)
        app = await stack.enter_async_context(open_app(parts))
        await stack.enter_async_context(serving(app.pages(), listening))
        await stack.enter_async_context(connected(app))
        if can_resume:
            await resumed(parts.engine)
        yield RunningBot(app, slack, folder, read.public_url)
