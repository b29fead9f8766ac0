"""Reading on the command line: exit codes, forms of an answer, and the backend opened for reading only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tocsin.incidents.errors import TocsinError
from tocsin.settings import Settings, read_settings

if TYPE_CHECKING:
    from tocsin.workflows.ports import IncidentBackend

T = TypeVar("T")

FAILED = 1
MISUSED = 2

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, with incident.io's field names.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="As comma-separated values, for a spreadsheet.")]


def one_form(*asked: bool) -> None:
    """Raise typer.BadParameter if more than one form of the answer was asked for."""
    if sum(asked) > 1:
        raise typer.BadParameter("choose one of --json and --csv" + ", or --format" * (len(asked) > 2))


def ask_backend(ask: Callable[[IncidentBackend], Coroutine[Any, Any, T]]) -> T:
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
