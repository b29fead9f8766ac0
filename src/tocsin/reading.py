"""`tocsin incidents`: what the operator may read of the incidents, private ones too, on their own machine."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import typer

from tocsin.incidents.errors import TocsinError
from tocsin.settings import Settings, read_settings

if TYPE_CHECKING:
    from tocsin.incidents.export import Whole
    from tocsin.incidents.model import Incident
    from tocsin.workflows.command import KeepsIncidents
    from tocsin.workflows.ports import Backend

T = TypeVar("T")

FAILED = 1
PAGE = 250
PIPED_WIDTH = 160
"""Columns of a table that goes into a file or another program, where there is no screen to fit."""

cli = typer.Typer(help="Read incidents from the configured backend.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, with incident.io's field names.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="As comma-separated values, for a spreadsheet.")]

# As in the front door: what a command needs is imported when it runs.


@cli.command("list")
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


@cli.command()
def show(
    reference: Annotated[str, typer.Argument(help="INC-12, or 12.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """One incident with everything that happened."""
    from tocsin.incidents import export

    _one_form(as_json, as_csv)
    whole = _one(reference)
    if as_json:
        print(json.dumps(export.as_whole(whole), indent=2, ensure_ascii=False))
    elif as_csv:
        print(export.exported([whole], "csv"), end="")
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(export.as_document(whole)))
    else:
        print(export.as_document(whole), end="")


@cli.command()
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
    wholes = [_one(reference)] if reference else _read(_everything)
    text = export.exported(wholes, chosen)
    if to is not None:
        _write(to, text)
    else:
        print(text, end="\n" if chosen == "json" else "")


@cli.command("pending")
def list_pending(as_json: AsJson = False) -> None:
    """Declarations that are saved and not finished, and what each waits for; the bot may run or not."""
    from tocsin.keeping import journal_url
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


def _one_form(*asked: bool) -> None:
    if sum(asked) > 1:
        raise typer.BadParameter("choose one of --json and --csv" + ", or --format" * (len(asked) > 2))


def _write(path: Path, text: str) -> None:
    """In place of what was there, once all of it is on the disk: private incidents may be in it.

    The folder may be everybody's: what is written is a new file, of a name that nobody can guess, which then
    takes the place of a file or a link of this name (Python, tempfile.mkstemp).
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


def _one(reference: str) -> Whole:
    """Raises typer.Exit, with a sentence, where there is no such incident."""
    found = _read(lambda backend: _find(backend, reference))
    if found is None:
        print(f"There is no incident {reference}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    return found


def _read(ask: Callable[[Backend], Coroutine[Any, Any, T]]) -> T:
    """What the backend answers; it need not stop for this. Raises ConfigurationError and typer.Exit."""
    from tocsin.keeping import open_backend

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
    from tocsin.keeping import folder_of

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


async def _find(backend: Backend, reference: str) -> Whole | None:
    incident = await backend.find(reference)
    return None if incident is None else await _whole(backend, incident)


async def _everything(backend: Backend) -> list[Whole]:
    return [await _whole(backend, incident) for incident in await _newest(backend)]


async def _whole(backend: Backend, incident: Incident) -> Whole:
    from tocsin.workflows.export import fetch_whole

    return await fetch_whole(cast("KeepsIncidents", backend), incident)


def _print_table(incidents: Sequence[Incident]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tocsin.incidents import export
    from tocsin.keeping import now

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in export.COLUMNS:
        table.add_column(column, no_wrap=column in {"Reference", "Age"}, overflow="fold")
    for row in export.as_rows(incidents, now()):
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
