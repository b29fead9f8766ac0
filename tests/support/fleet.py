"""Several replicas of the bot on one PostgreSQL, behind a balancer that a test steers."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slack_emulator.manifest import Manifest
from slack_emulator.models import Message, Outcome, View
from support.bot import chosen, typed
from support.operated import GLANCE_SECONDS, Operated, free_port, operated
from support.patience import LIMIT
from support.postgresql import PostgresqlServer
from support.readings import words
from support.slack import RunningWorkspace, running_workspace
from tocsin.server import listen, serving
from tocsin.slack import routes
from tocsin.storage.earlier_formats import BEING_TAKEN_OVER

DESCRIPTIVE = ("content-type", "x-slack-signature", "x-slack-request-timestamp", "x-slack-retry-num")

MANY = "Declare all the same"
"""Button of the form that asks a person who has declared five incidents within a minute."""


@dataclass
class Fleet:
    """The replicas, and the workspace that they serve."""

    slack: RunningWorkspace
    database: str
    folder: Path
    over_sockets: bool = False
    source: Path | None = None
    """Sources of the replicas that are added from now on, if not these."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of each replica besides those that it needs."""
    replicas: list[Operated] = field(default_factory=list)
    choose: Callable[[], Sequence[int]] = lambda: [0]
    """Which replicas a request goes to; the answer is that of the first."""
    answers: list[tuple[int, int, str]] = field(default_factory=list)
    """Of each forwarded request: the replica, the status and the body of its answer."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(trust_env=False, verify=False)
    )
    _begun: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def add(self) -> Operated:
        """Start one replica more, and wait until it can declare."""
        self.replicas.append(await self._start())
        await self.until_ready(len(self.replicas) - 1)
        return self.replicas[-1]

    async def whole(self) -> None:
        """Start a replica in the place of each that was killed, and wait until each can declare."""
        for number, one in enumerate(self.replicas):
            if one.process.returncode is not None:
                self.replicas[number] = await self._start()
            await self.until_ready(number)

    async def _start(self) -> Operated:
        folder = self.folder / f"replica-{next(self._numbers)}"
        folder.mkdir()
        settings = {"TOCSIN_DATABASE_URL": self.database, **self.settings}
        return await self._begun.enter_async_context(
            operated(
                self.slack, folder, free_port(), http=not self.over_sockets, source=self.source, **settings
            )
        )

    async def kill(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        process = self.replicas[number].process
        process.send_signal(how)
        if how == signal.SIGKILL:
            await process.wait()

    def to(self, *numbers: int) -> None:
        """Send what Slack sends from now on to these replicas, to all at once."""
        self.choose = lambda: numbers

    async def open_form(self, text: str, person: str = "ana", channel: str = "general") -> View:
        workspace, who = self.slack.workspace, self.slack.person(person)
        outcome = await workspace.command(who, self.slack.channel(channel), f"/incident {text}")
        assert outcome.ok, outcome
        # A form that was asked for earlier may come late, and one that is still loading cannot be sent.
        view: View = await self.until(
            lambda: next(
                (v for v in workspace.stack(who) if text in str(v.payload) and v.payload.get("submit")), None
            )
        )
        self.fill(person, view)
        return view

    def fill(self, person: str, view: View) -> None:
        who = self.slack.person(person)
        self.slack.workspace.type_into(who, view.id, "severity_id", "severity_id", chosen("major"))

    def describe(self, person: str, view: View, summary: str) -> None:
        who = self.slack.person(person)
        self.slack.workspace.type_into(who, view.id, "summary", "summary", typed(summary))

    async def type_in(self, person: str, channel_id: str, text: str) -> str:
        """`/incident …` typed there; what the bot answers at once."""
        outcome = await self.slack.workspace.command(
            self.slack.person(person), channel_id, f"/incident {text}"
        )
        assert outcome.ok, outcome
        return outcome.message

    async def answer(self, person: str, text: str) -> str:
        """What this person alone reads in #general after the command."""
        who, channel = self.slack.person(person), self.slack.channel("general")
        before = len(self.whispers(who, channel))
        await self.type_in(person, channel, text)
        await self.until(lambda: len(self.whispers(who, channel)) > before)
        return words(self.whispers(who, channel)[-1])

    async def submit(self, view: View, person: str = "ana") -> Outcome:
        """Press *Declare*, and *Declare all the same* where five were declared within a minute."""
        who = self.slack.person(person)
        outcome = await self.slack.workspace.submit(who, view.id)
        return await self.slack.workspace.submit(who, view.id) if MANY in words(view) else outcome

    async def declare(self, text: str, person: str = "ana") -> View:
        view = await self.open_form(text, person)
        outcome = await self.submit(view, person)
        assert outcome.ok, outcome
        return view

    def rows(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("SET search_path = tocsin")
            return connection.execute(query, given).fetchall()  # type: ignore[arg-type]

    def incidents(self) -> list[tuple[str, str]]:
        return self.rows("SELECT reference, name FROM incidents ORDER BY number")

    def posts(self, channel_id: str) -> list[Message]:
        workspace = self.slack.workspace
        return [m for m in workspace.state.lasting(channel_id) if m.app_id == self.slack.app.app_id]

    def whispers(self, person: str, channel_id: str) -> list[Message]:
        """What this person alone sees there, oldest first."""
        said = self.slack.workspace.history(channel_id, person)
        return [message for message in said if message.ephemeral_to == person]

    def names(self) -> str:
        """The names of all channels, in one line."""
        return " ".join(channel.name for channel in self.slack.workspace.state.channels.values())

    def all_joined(self) -> bool:
        """True if no replica that runs is taken for dead."""
        running = sum(one.process.returncode is None for one in self.replicas)
        return self.rows("SELECT COUNT(*) FROM tocsin_replicas WHERE NOT is_dead") == [(running,)]

    def channels_named(self, start: str) -> list[str]:
        return [c.id for c in self.slack.workspace.state.channels.values() if c.name.startswith(start)]

    async def until(self, true: Callable[[], Any]) -> Any:
        """Wait until this returns something; show the logs if it never does."""
        loop = asyncio.get_running_loop()
        given_up = loop.time() + LIMIT
        while not (found := true()):
            if loop.time() > given_up:
                raise AssertionError("\n".join(f"{one.folder.name}: {one.log}" for one in self.replicas))
            await asyncio.sleep(GLANCE_SECONDS)
        return found

    async def until_ready(self, number: int) -> None:
        """Until this replica says that it can declare."""
        await self._readiness(number, 200)

    async def until_not_ready(self, number: int) -> str:
        """Until this replica says that it cannot declare; its reasons."""
        return await self._readiness(number, 503)

    async def _readiness(self, number: int, status: int) -> str:
        async with asyncio.timeout(LIMIT):
            while True:
                # It may not listen yet.
                with suppress(httpx.TransportError):
                    answer = await self._client.get(f"{self.replicas[number].url}/readyz", timeout=LIMIT)
                    if answer.status_code == status:
                        return answer.text
                await asyncio.sleep(GLANCE_SECONDS)

    def is_quiet(self) -> bool:
        """True if no workflow is unfinished; one that is being taken over is cancelled for a moment."""
        return not self.rows(
            "SELECT 1 FROM dbos.workflow_status WHERE status IN ('PENDING', 'ENQUEUED', 'DELAYED')"
            f" OR status = 'CANCELLED' AND CAST(attributes AS TEXT) LIKE '%%{BEING_TAKEN_OVER}%%'"
        )

    async def quiet(self) -> None:
        """Until no workflow is unfinished."""
        await self.until(self.is_quiet)

    async def close(self) -> None:
        """Kill the replicas that still run."""
        await self._begun.aclose()
        await self._client.aclose()

    async def forward(self, request: Request) -> Response:
        body = await request.body()
        headers = {name: value for name, value in request.headers.items() if name in DESCRIPTIVE}

        async def pass_on(number: int) -> httpx.Response | None:
            url = f"{self.replicas[number].url}{request.url.path}"
            try:
                answer = await self._client.post(url, content=body, headers=headers, timeout=LIMIT)
            except httpx.TransportError:
                # It died with the request in hand.
                return None
            self.answers.append((number, answer.status_code, answer.text))
            return answer

        answered = [one for one in await asyncio.gather(*map(pass_on, self.choose())) if one is not None]
        if not answered:
            return Response(status_code=502)
        kind = answered[0].headers.get("content-type")
        return Response(answered[0].content, answered[0].status_code, media_type=kind)


@asynccontextmanager
async def running_fleet(
    folder: Path,
    server: PostgresqlServer,
    size: int = 2,
    *,
    over_sockets: bool = False,
    database: str = "",
    source: Path | None = None,
    **more: str,
) -> AsyncIterator[Fleet]:
    """So many replicas, all of which can declare, over HTTP or over Socket Mode; killed at the end.

    They share this database, or a new one, and are of these sources.
    """
    listening = listen("127.0.0.1", 0)
    balancer = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with AsyncExitStack() as stack:
        manifest = Manifest.from_dict(routes.manifest(None if over_sockets else balancer))
        slack = await stack.enter_async_context(running_workspace(manifest))
        fleet = Fleet(slack, database or server.create_database(), folder, over_sockets, source, more)
        app = Starlette(routes=[Route("/slack/events", fleet.forward, methods=["POST"])])
        await stack.enter_async_context(serving(app, listening))
        stack.push_async_callback(fleet.close)
        for _ in range(size):
            await fleet.add()
        yield fleet
