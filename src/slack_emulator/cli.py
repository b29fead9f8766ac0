"""Command line: `serve` a workspace for an app, `check` what an app would send to Slack, list `coverage`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from slack_emulator.block_kit import block_errors, message_errors, view_errors
from slack_emulator.coverage import readme_tables
from slack_emulator.events import unsent_events
from slack_emulator.manifest import Manifest, ManifestError, manifest_errors
from slack_emulator.models import InstalledApp
from slack_emulator.seed import seed
from slack_emulator.seed_file import SeedFile, SeedFileError

FAILED, MISUSED = 1, 2

cli = typer.Typer(
    help="A Slack workspace on this machine, for any app that speaks Slack's APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command; for an unusable file, print one line per error and exit with code 2."""
    try:
        cli()
    except (ManifestError, SeedFileError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(MISUSED)


@cli.command()
def serve(
    manifest: Annotated[list[Path], typer.Option(help="An app's manifest, YAML or JSON; once for each app.")],
    port: Annotated[int, typer.Option(help="Where the workspace is served; 0 takes a free port.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    seed_file: Annotated[
        Path | None, typer.Option("--seed", help="People, channels and messages, YAML.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="A file that keeps the workspace.")] = None,
    request_url: Annotated[
        str | None, typer.Option(help="Where the apps listen, for HTTP: in place of the manifest's own URLs.")
    ] = None,
) -> None:
    """Serve a workspace with the apps of these manifests installed, until Ctrl-C."""
    apps = [_over_http(read_manifest(path), request_url) for path in manifest]
    content = SeedFile.read(seed_file) if seed_file is not None else None
    asyncio.run(_serve(apps, content, store, host, port))


@cli.command()
def check(
    file: Annotated[Path, typer.Argument(help="A manifest, a view, a message or a list of blocks.")],
) -> None:
    """Print what Slack would refuse in a manifest or in Block Kit, a line each; exit 0 if it is nothing.

    A note, on what slack_emulator does not have, fails nothing.
    """
    declared = _parsed(file)
    errors = errors_in(declared)
    for line in [*errors, *notes_on(declared)]:
        print(line)
    if errors:
        raise typer.Exit(FAILED)


@cli.command()
def coverage() -> None:
    """Print tables, in Markdown, of Slack's methods and events: those here and those not."""
    for heading, table in readme_tables().items():
        print(f"{heading}\n\n{table}\n")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises ManifestError with Slack's errors, and OSError."""
    return Manifest.from_yaml(path.read_text(encoding="utf-8"))


def errors_in(declared: object) -> list[str]:
    """Return the errors of a parsed manifest, view, message or list of blocks."""
    if isinstance(declared, list):
        return block_errors(declared, "message")
    if isinstance(declared, Mapping):
        if declared.get("type") in ("modal", "home"):
            return view_errors(declared)
        if "blocks" in declared or "attachments" in declared:
            return message_errors(dict(declared))
    return manifest_errors(declared)


def notes_on(declared: object) -> list[str]:
    """Return notes on what a valid manifest asks for and the emulator does not have."""
    if not isinstance(declared, Mapping) or "display_information" not in declared:
        return []
    if manifest_errors(declared):
        return []
    unsent = unsent_events(Manifest.from_dict(declared))
    return [f"[NOTE] slack_emulator never sends: {', '.join(unsent)}"] if unsent else []


def _parsed(file: Path) -> object:
    text = file.read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ManifestError([f"[ERROR] not YAML: {error}"]) from error


def _over_http(manifest: Manifest, url: str | None) -> Manifest:
    """Return the manifest with one request URL for everything, and without Socket Mode."""
    if url is None:
        return manifest
    return replace(
        manifest,
        commands=tuple(replace(command, url=url) for command in manifest.commands),
        interactivity_url=url if manifest.interactivity else None,
        options_url=url if manifest.interactivity else None,
        events_url=url if manifest.bot_events else None,
        socket_mode=False,
    )


async def _serve(
    apps: list[Manifest], content: SeedFile | None, store: Path | None, host: str, port: int
) -> None:
    from slack_emulator.server import served
    from slack_emulator.state import Store
    from slack_emulator.ui import Authentication
    from slack_emulator.workspace import Workspace

    workspace = Workspace(store=Store(store) if store is not None else None)
    if not workspace.people():
        seed(workspace) if content is None else content.fill(workspace)
    installed = [workspace.install(manifest) for manifest in apps]
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with served(workspace, host, port) as url:
        address = Authentication(workspace.state.page_token).address(url)
        print(f"The workspace is at {address} for you alone. Ctrl-C stops it.")
        for app in installed:
            if unsent := unsent_events(app.manifest):
                print(f"\n{app.name} subscribes to events that are never sent here: {', '.join(unsent)}.")
            print("\n".join(["", f"{app.name} is installed. Give it:", *_given(app, url)]), flush=True)
        await stop.wait()


def _given(app: InstalledApp, url: str) -> list[str]:
    """Return the lines of environment variables that an app needs, under the names in Bolt's examples."""
    given: dict[str, Any] = {"SLACK_API_URL": f"{url}/api/", "SLACK_BOT_TOKEN": app.bot_token}
    if app.manifest.socket_mode:
        given["SLACK_APP_TOKEN"] = app.app_token
    given |= {
        "SLACK_SIGNING_SECRET": app.signing_secret,
        "SLACK_CLIENT_ID": app.client_id,
        "SLACK_CLIENT_SECRET": app.client_secret,
    }
    return [f"  {name}={value}" for name, value in given.items()]
