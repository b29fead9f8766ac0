"""Commands of `tocsin incidents`: read incidents from the configured backend, or import them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tocsin.cli.reading import FAILED, AsCsv, AsJson, ask_backend, folder_to_read, one_form
from tocsin.incidents.errors import TocsinError
from tocsin.settings import read_settings

if TYPE_CHECKING:
    from tocsin.incidents.export import IncidentReport
    from tocsin.incidents.model import Incident
    from tocsin.workflows.ports import IncidentBackend

PAGE = 250
PIPED_WIDTH = 160
"""Width of a table that is written to a file or a pipe, in columns."""

incidents_cli = typer.Typer(
    help="Read incidents from the configured backend, or import them.", no_args_is_help=True
)

# Commands import their parts when they run, so that help and usage errors appear at once.


@incidents_cli.command("list")
def list_incidents(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """The newest incidents, private ones among them, marked."""
    from tocsin.incidents import export

    one_form(as_json, as_csv)
    incidents = ask_backend(lambda backend: _newest(backend, limit))
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
    """One incident with its timeline."""
    from tocsin.incidents import export

    one_form(as_json, as_csv)
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
    """One incident, or every one, with its timeline, actions and follow-ups."""
    from tocsin.incidents import export

    one_form(as_json, as_csv, wanted is not None)
    chosen: export.Format = wanted or ("json" if as_json else "csv" if as_csv else "markdown")
    reports = [_one(reference)] if reference else ask_backend(_everything)
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
def import_incidents(
    file: Annotated[
        Path | None, typer.Argument(help="An incidents.db; a journal.db beside it comes too.")
    ] = None,
    source: Annotated[
        Literal["incident.io"] | None,
        typer.Option("--from", help="The product to come from, with its key in INCIDENT_IO_API_KEY."),
    ] = None,
) -> None:
    """Import a file into PostgreSQL (TOCSIN_DATABASE_URL), or an account at incident.io into Tocsin."""
    from tocsin import importing

    if (file is None) is (source is None):
        raise typer.BadParameter("give a file, or --from incident.io")
    settings = read_settings()
    work = importing.import_file(settings, file) if file else importing.import_account(settings, _say)
    try:
        print(asyncio.run(work))
    except TocsinError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
    found = ask_backend(lambda backend: _find(backend, reference))
    if found is None:
        print(f"There is no incident {reference}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    return found


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
