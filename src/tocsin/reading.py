"""`tocsin incidents`: what the operator may read of the incidents, private ones too, on their own machine."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from tocsin.actions.ports import Backend
from tocsin.incidents import listing
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Incident
from tocsin.journal.pending import fetch_pending
from tocsin.keeping import folder_of, journal_url, now, open_backend
from tocsin.settings import Settings, read_settings

T = TypeVar("T")

FAILED = 1
PAGE = 250
PIPED_WIDTH = 160
"""Columns of a table that goes into a file or another program, where there is no screen to fit."""

cli = typer.Typer(help="Read incidents from the configured backend.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, with incident.io's field names.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="As comma-separated values, for a spreadsheet.")]


@cli.command("list")
def list_incidents(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """The newest incidents, private ones among them, marked."""
    _one_form(as_json, as_csv)
    incidents = _read(lambda backend: _newest(backend, limit))
    if as_json:
        print(listing.as_json(incidents))
    elif as_csv:
        print(listing.as_csv(incidents), end="")
    elif incidents:
        _print_table(incidents)
    else:
        print("No incidents yet.", file=sys.stderr)


@cli.command()
def show(
    reference: Annotated[str, typer.Argument(help="INC-12, or 12.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """One incident with everything that happened."""
    _one_form(as_json, as_csv)
    found = _read(lambda backend: _with_timeline(backend, reference))
    if found is None:
        print(f"There is no incident {reference}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    incident, timeline = found
    if as_json:
        print(json.dumps(listing.as_record(incident, timeline), indent=2, ensure_ascii=False))
    elif as_csv:
        print(listing.as_csv([incident]), end="")
    elif sys.stdout.isatty():
        Console().print(Markdown(listing.as_markdown(incident, timeline)))
    else:
        print(listing.as_markdown(incident, timeline), end="")


@cli.command()
def export(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Every incident with everything that happened: Markdown, or JSON, or CSV (which has no timeline)."""
    _one_form(as_json, as_csv)
    if as_csv:
        print(listing.as_csv(_read(_newest)), end="")
        return
    everything = _read(_all_with_timelines)
    if as_json:
        records = [listing.as_record(incident, timeline) for incident, timeline in everything]
        print(json.dumps({"incidents": records}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(listing.as_markdown(incident, timeline) for incident, timeline in everything), end="")


@cli.command("pending")
def list_pending(as_json: AsJson = False) -> None:
    """Declarations that are saved and not finished, and what each waits for; the bot may run or not."""
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


def _one_form(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")


def _read(ask: Callable[[Backend], Coroutine[Any, Any, T]]) -> T:
    """What the backend answers; it need not stop for this. Raises ConfigurationError and typer.Exit."""
    settings = read_settings()

    async def asking() -> T:
        backend = await open_backend(settings, folder_to_read(settings), reading=True)
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
    """The data folder; the playground's where only that one has incidents, which is said on stderr."""
    folder, played = folder_of(settings), folder_of(settings, "tocsin-playground")
    if not (folder / "incidents.db").exists() and folder != played and (played / "incidents.db").exists():
        print(f"Reading the playground's incidents ({played}).", file=sys.stderr)
        return played
    return folder


async def _newest(backend: Backend, limit: int | None = None) -> list[Incident]:
    """As many as asked for, or all, page by page."""
    found: list[Incident] = []
    while limit is None or len(found) < limit:
        wanted = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await backend.incidents(after=found[-1].id if found else None, limit=wanted)
        found += page
        if len(page) < wanted:
            break
    return found


async def _with_timeline(backend: Backend, reference: str) -> tuple[Incident, Sequence[Any]] | None:
    incident = await backend.find(reference)
    return None if incident is None else (incident, await backend.timeline(incident.id))


async def _all_with_timelines(backend: Backend) -> list[tuple[Incident, Sequence[Any]]]:
    return [(incident, await backend.timeline(incident.id)) for incident in await _newest(backend)]


def _print_table(incidents: Sequence[Incident]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in listing.COLUMNS:
        table.add_column(column, no_wrap=column in {"Reference", "Age"}, overflow="fold")
    for row in listing.as_rows(incidents, now()):
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
