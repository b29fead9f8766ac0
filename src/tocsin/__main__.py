"""The front door: the command line."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import webbrowser
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
import yaml
from rich.console import Console
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from tocsin import reading
from tocsin.assembly import connected, data_dir, only_one, opened
from tocsin.doctor import checks
from tocsin.settings import ConfigurationError, Settings, read_settings
from tocsin.slack import routes
from tocsin.web.serving import listen, serving

FAILED, MISUSED = 1, 2

cli = typer.Typer(
    help="Tocsin opens and manages incidents in Slack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(reading.cli, name="incidents")
screen = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run a command; what is configured wrong ends it with a line for each thing, and exit code 2."""
    os.umask(0o077)
    _quiet_logs()
    try:
        cli()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(MISUSED)


def _quiet_logs() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Bolt writes bodies of requests it cannot place into its log; they are nobody else's business.
    logging.getLogger("slack_bolt").setLevel(logging.CRITICAL)
    # The Socket Mode client reports each dropped connection as an error; our own watch reports what matters.
    logging.getLogger("tocsin.socket").setLevel(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    try:
        import uvloop

        loop_factory = uvloop.new_event_loop
    except ImportError:
        pass
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work)


async def _stopped() -> None:
    """Until Ctrl-C or SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _listening(settings: Settings) -> Any:
    try:
        return listen(settings.tocsin_host, settings.tocsin_port)
    except OSError as error:
        said = (
            f"TOCSIN_PORT {settings.tocsin_port} cannot be used on {settings.tocsin_host}: {error.strerror}"
        )
        raise ConfigurationError(f"{said}. Stop what uses it, or choose another port.") from None


@cli.command()
def playground(
    port: Annotated[int, typer.Option(help="Where the workspace is served.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the workspace in the browser.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything and start over.")] = False,
    backend: Annotated[str | None, typer.Option(help="Where incidents are kept.")] = None,
) -> None:
    """A Slack workspace on this machine, with the bot in it: no account, no token, no network."""
    settings = read_settings(
        tocsin_host="127.0.0.1", tocsin_port=port, tocsin_backend=backend, tocsin_public_url=None
    )
    _run(_playground(settings, browser=browser, fresh=fresh))


async def _playground(settings: Settings, *, browser: bool, fresh: bool) -> None:
    from tocsin.playground.manifest import Manifest
    from tocsin.playground.seed import seed
    from tocsin.playground.server import playground_app
    from tocsin.playground.store import Store
    from tocsin.playground.workspace import Workspace

    folder = data_dir(settings, "tocsin-playground")
    listening = _listening(settings)
    port = listening.getsockname()[1]
    settings = settings.model_copy(update={"tocsin_port": port})
    async with AsyncExitStack() as stack:
        if fresh:
            with only_one(folder):
                _forget(folder)
        bot = await stack.enter_async_context(opened(settings, folder))
        workspace = Workspace(store=Store(folder / "workspace.db"), base_url=settings.public_url)
        if not workspace.people():
            seed(workspace, advice=ADVICE)
        app = workspace.install(Manifest.from_dict(routes.manifest()))
        pages = bot.pages(settings, port)
        await stack.enter_async_context(serving(_front(pages, playground_app(workspace)), listening))
        stack.push_async_callback(workspace.close)
        url = settings.public_url
        incidents = workspace.channel_by_name("incidents")
        await stack.enter_async_context(
            connected(
                bot,
                settings,
                bot_token=app.bot_token,
                app_token=app.app_token,
                api_url=f"{url}/api/",
                announce=incidents.id,
            )
        )
        screen.print(
            f"The workspace is at [bold]{url}[/bold]. Ctrl-C stops it; it is as you left it next time."
        )
        if browser:
            await asyncio.to_thread(webbrowser.open, url)
        await _stopped()


ADVICE = "Type `/incident`, or hover an alert and choose *Declare incident*."
OUR_PATHS = ("/incidents", "/static/incidents", "/healthz", "/readyz", "/metrics", "/slack/")


def _front(pages: ASGIApp, workspace: ASGIApp) -> ASGIApp:
    """Incident pages and the workspace on one port."""

    async def front(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        ours = any(path == known or path.startswith(known.rstrip("/") + "/") for known in OUR_PATHS)
        await (pages if ours else workspace)(scope, receive, send)

    return front


def _forget(folder: Path) -> None:
    for name in ("workspace.db", "incidents.db", "journal.db"):
        for ending in ("", "-wal", "-shm"):
            (folder / f"{name}{ending}").unlink(missing_ok=True)


@cli.command()
def run() -> None:
    """The bot against Slack: Socket Mode with SLACK_APP_TOKEN, else HTTP with SLACK_SIGNING_SECRET."""
    settings = read_settings()
    missing = []
    if settings.slack_bot_token is None:
        missing.append("SLACK_BOT_TOKEN is not set: the bot token (xoxb-…) from OAuth & Permissions.")
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        missing.append(
            "SLACK_APP_TOKEN is not set, nor is SLACK_SIGNING_SECRET: "
            "set the first (xapp-…) for Socket Mode, or the second for HTTP."
        )
    if missing:
        raise ConfigurationError("\n".join(missing))
    _run(_serve(settings))


async def _serve(settings: Settings) -> None:
    folder = data_dir(settings)
    listening = _listening(settings)
    port = listening.getsockname()[1]
    settings = settings.model_copy(update={"tocsin_port": port})
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(opened(settings, folder))
        slack = Starlette(routes=[Mount("/", bot.pages(settings, port))])
        await stack.enter_async_context(serving(slack, listening))
        stopped = asyncio.create_task(_stopped())
        connecting = asyncio.create_task(stack.enter_async_context(connected(bot, settings)))
        await asyncio.wait({stopped, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            return
        connecting.result()
        if bot.http is not None:
            slack.router.routes.insert(0, bot.http.route)
        await stopped


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for a program to read.")] = False,
) -> None:
    """Check tokens, scopes, channels, backend, data folder and clock; exit 0 only if all is well."""
    if not asyncio.run(_examine(as_json)):
        raise typer.Exit(FAILED)


async def _examine(as_json: bool) -> bool:
    found = []
    async for check in checks():
        found.append(check)
        if not as_json:
            print(check.line)
    if as_json:
        print(json.dumps({"checks": [asdict(check) for check in found]}, indent=2, ensure_ascii=False))
    return all(check.ok for check in found)


@cli.command()
def manifest(
    http: Annotated[str | None, typer.Option(help="The address Slack can reach, for HTTP mode.")] = None,
) -> None:
    """Print the Slack app manifest."""
    print(yaml.safe_dump(routes.manifest(http), sort_keys=False, allow_unicode=True, width=100), end="")


if __name__ == "__main__":
    main()
