"""The command line: `tocsin` and its commands; groups such as `tocsin keys` have modules of their own."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import yaml

from tocsin import __version__, logs
from tocsin.cli.incidents import incidents_cli
from tocsin.cli.keys import keys_cli
from tocsin.cli.reading import FAILED, MISUSED
from tocsin.cli.webhooks import webhooks_cli
from tocsin.settings import ConfigurationError, Settings, read_play_settings, read_settings, settle_home

__all__ = ["FAILED", "MISUSED", "cli", "main"]

# Commands import their parts when they run, so that help and usage errors appear at once.

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(incidents_cli, name="incidents")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(webhooks_cli, name="webhooks")


def main() -> None:
    """Run a command. A wrong configuration ends it with a line for each error and exit code 2."""
    os.umask(0o077)
    # A start creates many lasting objects; collecting after every 700, as Python does, took a tenth of its
    # time.
    gc.set_threshold(20_000, 20, 20)
    settle_home()
    logs.configure()
    try:
        cli()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(MISUSED)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tocsin {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Tocsin opens and manages incidents in Slack. `tocsin docs` prints the manual."""


@cli.command()
def playground(
    port: Annotated[int, typer.Option(help="Where the workspace is served.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the workspace in the browser.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything and start over.")] = False,
    backend: Annotated[str | None, typer.Option(help="Where incidents are kept.")] = None,
) -> None:
    """A Slack workspace on this machine, with the bot in it: no account, no token, no network."""
    settings = read_play_settings(port, backend)
    logs.only_troubles()
    from tocsin.server import play, until_done

    until_done(play(settings, browser=browser, fresh=fresh))


@cli.command()
def run() -> None:
    """The bot against Slack: Socket Mode with SLACK_APP_TOKEN, else HTTP with SLACK_SIGNING_SECRET."""
    settings = read_settings()
    missing = _missing_for_oauth(settings)
    if settings.slack_bot_token is None and not settings.installs and not missing:
        missing.append("SLACK_BOT_TOKEN is not set: the bot token (xoxb-…) from OAuth & Permissions.")
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        missing.append(
            "SLACK_APP_TOKEN is not set, nor is SLACK_SIGNING_SECRET: "
            "set the first (xapp-…) for Socket Mode, or the second for HTTP."
        )
    if missing:
        raise ConfigurationError("\n".join(missing))
    from tocsin.server import serve, until_done

    until_done(serve(settings))


def _missing_for_oauth(settings: Settings) -> list[str]:
    missing = []
    if bool(settings.slack_client_id) != bool(settings.slack_client_secret):
        other = "SLACK_CLIENT_SECRET" if settings.slack_client_id else "SLACK_CLIENT_ID"
        missing.append(f"{other} is not set: copy it from Basic Information, or unset the one beside it.")
    if settings.installs and not settings.teams:
        missing.append(
            "TOCSIN_TEAMS is not set: list the ids of the workspaces (T…) and organizations (E…) that may "
            "install the app, with commas between; * means any that finds the address."
        )
    return missing


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for a program to read.")] = False,
) -> None:
    """Check tokens, scopes, channels, backend, data folder and clock; exit 0 only if all is well."""
    if not asyncio.run(_examine(as_json)):
        raise typer.Exit(FAILED)


async def _examine(as_json: bool) -> bool:
    from tocsin.doctor import checks

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
    name: Annotated[str, typer.Option(help="What the app and its bot are called.")] = "Tocsin",
    org: Annotated[bool, typer.Option("--org", help="For a whole Enterprise organization.")] = False,
    steps: Annotated[
        bool, typer.Option("--steps/--no-steps", help="With the step for Workflow Builder.")
    ] = True,
) -> None:
    """Print the Slack app manifest."""
    from tocsin.rules import open_config
    from tocsin.slack import routes

    if not 0 < len(name) <= routes.LONGEST_NAME:
        raise typer.BadParameter(
            f"Slack takes a name of 1 to {routes.LONGEST_NAME} characters.", param_hint="--name"
        )
    settings = read_settings()
    pages, issues = settings.tocsin_public_url, open_config(settings).issue_tracker
    tracker = issues.host if issues is not None else None
    declared = routes.manifest(http, name=name, org=org, steps=steps, pages=pages, tracker=tracker)
    print(yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=100), end="")


@cli.command()
def config(
    file: Annotated[Path | None, typer.Argument(help="The file to check; TOCSIN_CONFIG if left out.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Print one with every table and key.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Say what is wrong in the file.")] = False,
) -> None:
    """Print an example of the configuration file, or check yours: a line for each error."""
    if example == check:
        raise typer.BadParameter("choose one of --example and --check")
    if check:
        _check_config(file)
        return
    from tocsin import manual

    print(manual.read_example(), end="")


def _check_config(file: Path | None) -> None:
    """Raise ConfigurationError with a line for each problem of the file."""
    from tocsin.data_dir import config_problems

    settings = read_settings(tocsin_config=file)
    if settings.tocsin_config is None:
        raise ConfigurationError("TOCSIN_CONFIG is not set: name the file, as in tocsin config --check FILE.")
    if problems := config_problems(settings):
        raise ConfigurationError("\n".join(problems))
    print(f"{settings.tocsin_config} is valid.")


@cli.command()
def docs(
    page: Annotated[str | None, typer.Argument(help="One of the pages; without it they are listed.")] = None,
) -> None:
    """Print a page of the manual, or list the pages."""
    from tocsin import manual

    if page is None:
        print(manual.page_list())
    elif page in manual.PAGES:
        manual.print_page(page)
    else:
        print(f"There is no page {page!r}; the pages are {', '.join(manual.PAGES)}.", file=sys.stderr)
        raise typer.Exit(MISUSED)
