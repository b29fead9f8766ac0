"""Commands of `tocsin keys`: create, list and revoke the keys of the API, while the bot runs or not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tocsin.cli.reading import FAILED, AsJson
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.settings import read_settings

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.incidents.api_keys import ApiKey
    from tocsin.storage.keys import SqlKeyStore

T = TypeVar("T")

PRIVATE = "private"

keys_cli = typer.Typer(help="Keys of the API: create, list and revoke them.", no_args_is_help=True)

# Commands import their parts when they run, so that help and usage errors appear at once.


@keys_cli.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is called in timelines: ci.")],
    may: Annotated[str, typer.Option(help="view, create, edit, settings, private; commas between.")] = "view",
    may_see_private: Annotated[
        bool, typer.Option("--may-see-private", help="The same as private in --may.")
    ] = False,
) -> None:
    """Print a new key, once: only its hash is kept."""
    from tocsin.incidents.api_keys import read_name, read_scopes

    try:
        called, scopes = read_name(name), read_scopes(f"{may},{PRIVATE}" if may_see_private else may)
    except Refused as refusal:
        raise typer.BadParameter(refusal.sentence) from None
    print(_with_keys(lambda keys, now: keys.create(called, scopes, now)))
    print("It is not shown again.", file=sys.stderr)


@keys_cli.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """The keys that are in use: what each may do, and when it was used last."""
    found = _with_keys(lambda keys, now: keys.all())
    if as_json:
        print(json.dumps({"keys": [_record(key) for key in found]}, indent=2, ensure_ascii=False))
    elif not found:
        print("There are no keys.", file=sys.stderr)
    for key in [] if as_json else found:
        record = _record(key)
        used = f"used {record['last_used_at']}" if key.last_used_at else "never used"
        print(f"{key.name}  {record['may']}  made {record['created_at']}, {used}")


@keys_cli.command()
def revoke(name: Annotated[str, typer.Argument(help="The name of the key.")]) -> None:
    """Revoke a key at once, on every replica."""
    if not _with_keys(lambda keys, now: keys.revoke(name.strip(), now)):
        print(f"There is no key “{name}”.", file=sys.stderr)
        raise typer.Exit(FAILED)
    print(f"The key “{name}” is revoked.")


def _record(key: ApiKey) -> dict[str, str]:
    from tocsin.incidents.api_keys import shown
    from tocsin.incidents.export import moment

    times = {"created_at": key.created_at, "last_used_at": key.last_used_at}
    told = {name: moment(at) for name, at in times.items() if at is not None}
    return {"name": key.name, "id": key.id, "may": shown(key.scopes), **told}


def _with_keys(ask: Callable[[SqlKeyStore, datetime], Awaitable[T]]) -> T:
    """Return the result of `ask` on the stored keys. Raises ConfigurationError and typer.Exit."""
    from tocsin.data_dir import data_dir, folder_of, journal_url, now, open_database
    from tocsin.storage.keys import SqlKeyStore
    from tocsin.storage.postgresql import is_postgresql

    settings = read_settings()
    folder = folder_of(settings)
    url = journal_url(settings, folder)
    if not is_postgresql(url):
        data_dir(folder)
    database = open_database(url)

    async def asking() -> T:
        return await ask(SqlKeyStore(database), now())

    try:
        return asyncio.run(asking())
    except TocsinError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None
    finally:
        database.close()
