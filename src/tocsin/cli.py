"""The command line."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
import yaml

from tocsin import logs
from tocsin.incidents.errors import TocsinError
from tocsin.settings import ConfigurationError, Settings, read_play_settings, read_settings, settle_home

if TYPE_CHECKING:
    from tocsin.incidents.export import IncidentReport
    from tocsin.incidents.model import Incident
    from tocsin.workflows.ports import IncidentBackend


T = TypeVar("T")

FAILED = 1
PAGE = 250
PIPED_WIDTH = 160
"""Width of a table that is written to a file or a pipe, in columns."""

incidents_cli = typer.Typer(
    help="Read incidents from the configured backend, or import them.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, with incident.io's field names.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="As comma-separated values, for a spreadsheet.")]

# Commands import their parts when they run, so that help and usage errors appear at once.


@incidents_cli.command("list")
def list_incidents(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """The newest incidents, private ones among them, marked."""
    from tocsin.incidents import export

    _one_form(as_json, as_csv)
    incidents = _read(lambda backend: _newest(backend, limit))
    if as_json:
        print(export.as_json(incidents))
    elif as_csv:
        print(export.as_csv(incidents), end="")
    elif incidents:
        _print_table(incidents)
    else:
        print("No incidents yet.", file=sys.stderr)


@incidents_cli.command()
def show(
    reference: Annotated[str, typer.Argument(help="INC-12, or 12.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """One incident with everything that happened."""
    from tocsin.incidents import export

    _one_form(as_json, as_csv)
    report = _one(reference)
    if as_json:
        print(json.dumps(export.report_record(report), indent=2, ensure_ascii=False))
    elif as_csv:
        print(export.render_export([report], "csv"), end="")
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(export.as_document(report)))
    else:
        print(export.as_document(report), end="")


@incidents_cli.command()
def export(
    reference: Annotated[str | None, typer.Argument(help="INC-12, or 12; all of them without it.")] = None,
    wanted: Annotated[
        Literal["markdown", "json", "csv"] | None,
        typer.Option("--format", help="CSV has one row for each incident."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write, for your eyes only (0600); else printed.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """One incident, or every one, with what happened and what is to be done."""
    from tocsin.incidents import export

    _one_form(as_json, as_csv, wanted is not None)
    chosen: export.Format = wanted or ("json" if as_json else "csv" if as_csv else "markdown")
    reports = [_one(reference)] if reference else _read(_everything)
    text = export.render_export(reports, chosen)
    if to is not None:
        _write(to, text)
    else:
        print(text, end="\n" if chosen == "json" else "")


@incidents_cli.command("pending")
def list_pending(as_json: AsJson = False) -> None:
    """Declarations that are saved and not finished, and what each waits for; the bot may run or not."""
    from tocsin.data_dir import journal_url
    from tocsin.storage.workflow_engine import fetch_pending

    settings = read_settings()
    try:
        pending = asyncio.run(fetch_pending(journal_url(settings, folder_to_read(settings))))
    except TocsinError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None
    if as_json:
        print(json.dumps({"pending": [asdict(one) for one in pending]}, indent=2, default=str))
    elif not pending:
        print("Nothing is pending.", file=sys.stderr)
    else:
        for one in pending:
            what = " ".join(filter(None, [one.reference, one.name]))
            print(f"{one.begun:%Y-%m-%d %H:%M} UTC  {what} (by {one.by}): {one.waits_for}.")


@incidents_cli.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="An incidents.db; a journal.db beside it comes too.")],
) -> None:
    """Bring an embedded file over into PostgreSQL (TOCSIN_DATABASE_URL), whole and once."""
    from tocsin import importing

    try:
        print(asyncio.run(importing.import_file(read_settings(), file)))
    except TocsinError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None


def _one_form(*asked: bool) -> None:
    if sum(asked) > 1:
        raise typer.BadParameter("choose one of --json and --csv" + ", or --format" * (len(asked) > 2))


def _write(path: Path, text: str) -> None:
    """Write a file for its owner alone and replace `path` by it, since private incidents may be in it.

    Other users may write to the folder, so the text first goes to a new file with a random name, which then
    replaces a file or a link of this name (Python, tempfile.mkstemp).
    """
    fresh = None
    try:
        made, name = tempfile.mkstemp(prefix=".tocsin-", dir=path.parent)
        fresh = Path(name)
        with open(made, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        if fresh is not None:
            fresh.unlink(missing_ok=True)
        print(f"{path} cannot be written ({error.strerror}).", file=sys.stderr)
        raise typer.Exit(FAILED) from None


def _one(reference: str) -> IncidentReport:
    """Return the incident with its timeline. Raises typer.Exit, with a printed sentence, if there is none."""
    found = _read(lambda backend: _find(backend, reference))
    if found is None:
        print(f"There is no incident {reference}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    return found


def _read(ask: Callable[[IncidentBackend], Coroutine[Any, Any, T]]) -> T:
    """Return the result of `ask` on the backend, opened for reading only, so that the bot may run on.

    Raises ConfigurationError and typer.Exit.
    """
    from tocsin.data_dir import open_backend

    settings = read_settings()

    async def asking() -> T:
        backend = await open_backend(settings, folder_to_read(settings))
        try:
            return await ask(backend)
        finally:
            await backend.close()

    try:
        return asyncio.run(asking())
    except TocsinError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None


def folder_to_read(settings: Settings) -> Path:
    """Return the data folder, or the playground's if only that has incidents; stderr then says so."""
    from tocsin.data_dir import folder_of, journal_url
    from tocsin.storage.postgresql import is_postgresql

    folder, played = folder_of(settings), folder_of(settings, "tocsin-playground")
    if is_postgresql(journal_url(settings, folder)):
        return folder
    if not (folder / "incidents.db").exists() and folder != played and (played / "incidents.db").exists():
        print(f"Reading the playground's incidents ({played}).", file=sys.stderr)
        return played
    return folder


async def _newest(backend: IncidentBackend, limit: int | None = None) -> list[Incident]:
    """Fetch `limit` incidents, or all of them, page by page."""
    found: list[Incident] = []
    while limit is None or len(found) < limit:
        wanted = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await backend.incidents(after=found[-1].id if found else None, limit=wanted)
        found += page
        if len(page) < wanted:
            break
    return found


async def _find(backend: IncidentBackend, reference: str) -> IncidentReport | None:
    incident = await backend.find(reference)
    return None if incident is None else await _report(backend, incident)


async def _everything(backend: IncidentBackend) -> list[IncidentReport]:
    return [await _report(backend, incident) for incident in await _newest(backend)]


async def _report(backend: IncidentBackend, incident: Incident) -> IncidentReport:
    from tocsin.workflows.export import fetch_report

    return await fetch_report(backend, incident)


def _print_table(incidents: Sequence[Incident]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tocsin.data_dir import now
    from tocsin.incidents import export

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in export.COLUMNS:
        table.add_column(column, no_wrap=column in {"Reference", "Age"}, overflow="fold")
    for row in export.as_rows(incidents, now()):
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


# Commands of `tocsin`.

MISUSED = 2

cli = typer.Typer(
    help="Tocsin opens and manages incidents in Slack. `tocsin docs` prints the manual.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(incidents_cli, name="incidents")


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
