"""Server of the bot and its pages, until a signal ends it: `tocsin run` and `tocsin playground`."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import webbrowser
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from pydantic import SecretStr
from rich.console import Console
from starlette.types import ASGIApp

from tocsin.app import open_app
from tocsin.data_dir import data_dir, folder_of, only_one
from tocsin.incidents.alert_payloads import AlertSource, path_of
from tocsin.resources import open_resources
from tocsin.rules import open_config
from tocsin.settings import ConfigurationError, Settings
from tocsin.slack import routes
from tocsin.start import connected
from tocsin.web.api.errors import PREFIXES
from tocsin.web.http_protocol import LimitedProtocol

if TYPE_CHECKING:
    from slack_emulator.models import InstalledApp
    from slack_emulator.state import Store
    from slack_emulator.ui import Authentication


GRACE_SECONDS = 2
KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_stopped`: more than this server has to be stopped."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; `port` 0 takes a free one. Raises OSError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=512)
    # asyncio's own loop leaves Nagle's algorithm on for such sockets, which delays each kept-alive response
    # by 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


@asynccontextmanager
async def serving(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the app on the socket within the block; at its end, open requests get two seconds to finish."""
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="websockets-sansio",
        lifespan="off",
        log_level="warning",
        # uvicorn's messages then go through our log, which hides secrets.
        log_config=None,
        server_header=False,
        # Signatures and settings decide about the client and our own address, never a request's headers.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        # Longer than clients keep an idle connection, so that none is closed under a request that has just
        # begun.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listening.close()


# The bot in this process, against Slack or against a workspace of its own, until a signal ends it.

ADVICE = "Type `/incident`, or hover an alert in #alerts and choose *Declare incident*."
OUR_PATHS = (
    *("/incidents", "/insights", "/alerts", "/on-call", "/webhooks"),
    *("/static/incidents", "/sign-in", "/sign-out"),
    *("/healthz", "/readyz", "/metrics", "/slack/"),
    *PREFIXES,
)
PROBES = frozenset({"/healthz", "/readyz"})

screen = Console(highlight=False, soft_wrap=True)


def until_done(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` on uvloop if it is installed, else on asyncio's own loop."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    try:
        import uvloop

        loop_factory = uvloop.new_event_loop
    except ImportError:
        pass
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work)


async def _stopped() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _started() -> None:
    """Exempt the objects of the start from garbage collection, which took a tenth of the time of a form."""
    gc.collect()
    gc.freeze()


def _listening(settings: Settings) -> socket.socket:
    host, port = settings.tocsin_host, settings.tocsin_port
    try:
        return listen(host, port)
    except OSError as error:
        # A name that cannot be resolved has a negative code (getaddrinfo, EAI_NONAME).
        if (error.errno or 0) < 0 or error.errno == errno.EADDRNOTAVAIL:
            raise ConfigurationError(f"TOCSIN_HOST {host} is no address of this machine.") from None
        said = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigurationError(
            f"TOCSIN_PORT {port} cannot be used on {host}: {said}. Stop what uses it, or choose another port."
        ) from None


async def play(settings: Settings, *, browser: bool, fresh: bool) -> None:
    """Run the workspace and the bot in one process, for the user who started it; see `read_play_settings`."""
    from slack_emulator.manifest import Manifest
    from slack_emulator.seed import seed
    from slack_emulator.server import playground_app
    from slack_emulator.ui import Authentication
    from slack_emulator.workspace import Workspace

    folder = data_dir(folder_of(settings, "tocsin-playground"))
    _refuse_a_real_bots(folder)
    listening = _listening(settings)
    port = listening.getsockname()[1]
    settings = settings.model_copy(update={"tocsin_port": port})
    async with AsyncExitStack() as stack:
        store = _store(folder, fresh=fresh)
        workspace = Workspace(store=store, base_url=settings.public_url)
        stack.push_async_callback(workspace.close)
        if not workspace.people():
            seed(workspace, advice=ADVICE)
        installed = workspace.install(Manifest.from_dict(_played(settings)))
        authentication = Authentication(workspace.state.page_token)
        incidents = workspace.channel_by_name("incidents").id
        settings = settings.model_copy(update=_as_installed(installed, settings, incidents))
        parts = await stack.enter_async_context(open_resources(settings, folder, playing=True))
        parts.sources = parts.sources or (sample_source(workspace.state.page_token),)
        app = await stack.enter_async_context(open_app(parts))
        front = _front(app.pages(), playground_app(workspace, authentication), authentication)
        await stack.enter_async_context(serving(front, listening))
        await stack.enter_async_context(connected(app))
        url = settings.public_url
        screen.print(
            f"The workspace is at [bold]{authentication.address(url)}[/bold] for you alone. "
            "Ctrl-C stops it; it is as you left it next time."
        )
        if alert := sample_alert(url, parts.sources):
            screen.print(f"An alert, as monitoring sends one:\n  {alert}", markup=False)
        if browser:
            await asyncio.to_thread(webbrowser.open, authentication.one_time_address(url))
        _started()
        await _stopped()


def sample_source(token: str) -> AlertSource:
    """Return the source of alerts that a playground has for its user to try, with the workspace's token."""
    return AlertSource(id="playground", name="Playground", token=token)


def sample_alert(url: str, sources: Sequence[AlertSource]) -> str:
    """Return a line that sends an alert to the playground's own source; empty if others are configured."""
    token = next((source.token for source in sources if source.id == "playground"), "")
    body = '{"title": "Disk is full", "status": "firing"}'
    return f"curl '{url}{path_of('playground')}?token={token}' -d '{body}'" if token else ""


def _played(settings: Settings) -> dict[str, Any]:
    """Return the manifest of the app in the workspace: Socket Mode, and sign-in with Slack."""
    url, issues = settings.public_url, open_config(settings).issue_tracker
    declared = routes.manifest(pages=url, tracker=issues.host if issues is not None else None)
    declared["oauth_config"]["redirect_urls"] = [url + path for path in routes.REDIRECTS]
    return declared


def _as_installed(app: InstalledApp, settings: Settings, announce: str) -> dict[str, Any]:
    """Return the settings that an operator would copy from the app's page at Slack."""
    return {
        "slack_bot_token": SecretStr(app.bot_token),
        "slack_app_token": SecretStr(app.app_token),
        "slack_client_id": app.client_id,
        "slack_client_secret": SecretStr(app.client_secret),
        "slack_api_url": f"{settings.public_url}/api/",
        "tocsin_announce_channel": settings.tocsin_announce_channel or announce,
    }


def _refuse_a_real_bots(folder: Path) -> None:
    for name, what in (("incidents.db", "incidents"), ("journal.db", "journal")):
        if (folder / name).exists() and not (folder / "workspace.db").exists():
            raise ConfigurationError(
                f"TOCSIN_DATA_DIR has the {what} of a real workspace ({folder}): set another to play in."
            )


def _store(folder: Path, *, fresh: bool) -> Store:
    """Create the workspace's file before the bot's, so that the folder is never taken for a real bot's."""
    from slack_emulator.state import Store

    with only_one(folder):
        if fresh:
            _forget(folder)
        return Store(folder / "workspace.db")


def _front(pages: ASGIApp, workspace: ASGIApp, authentication: Authentication) -> ASGIApp:
    """Serve pages and workspace on one port, both only with the workspace's token.

    Probes need none, and the API asks for a key of its own.
    """
    from slack_emulator.ui import TokenRequired

    guarded = TokenRequired(pages, authentication)

    async def front(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        ours = any(path == known or path.startswith(known.rstrip("/") + "/") for known in OUR_PATHS)
        is_open = path in PROBES or path.startswith(PREFIXES)
        await (pages if is_open else guarded if ours else workspace)(scope, receive, send)

    return front


def _forget(folder: Path) -> None:
    for name in ("workspace.db", "incidents.db", "journal.db"):
        for ending in ("", "-wal", "-shm"):
            (folder / f"{name}{ending}").unlink(missing_ok=True)


async def serve(settings: Settings) -> None:
    """Run the bot against Slack, with its pages; they are served before Slack can be reached."""
    listening = _listening(settings)
    port = listening.getsockname()[1]
    settings = settings.model_copy(update={"tocsin_port": port})
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_resources(settings, folder_of(settings)))
        app = await stack.enter_async_context(open_app(parts))
        await stack.enter_async_context(serving(app.pages(), listening))
        stopped = asyncio.create_task(_stopped())
        connecting = asyncio.create_task(stack.enter_async_context(connected(app)))
        await asyncio.wait({stopped, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            return
        connecting.result()
        _started()
        await stopped
