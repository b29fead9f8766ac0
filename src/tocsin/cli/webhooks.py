"""Commands of `tocsin webhooks`: what was sent, and sending it again, while the bot runs or not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tocsin.cli.reading import FAILED, MISUSED, AsJson
from tocsin.incidents.errors import TocsinError
from tocsin.settings import ConfigurationError, Settings, read_secret, read_settings

if TYPE_CHECKING:
    from tocsin.backends.local.deliveries import Deliveries
    from tocsin.incidents.webhooks import WebhookDelivery
    from tocsin.rules import WebhookTable
    from tocsin.webhooks.client import EndpointResponse

T = TypeVar("T")

webhooks_cli = typer.Typer(help="Webhooks: what was sent, and sending it again.", no_args_is_help=True)

# Commands import their parts when they run, so that help and usage errors appear at once.

Id = Annotated[str, typer.Argument(metavar="ID", help="The webhook-id: msg_…")]


@webhooks_cli.command("list")
def list_webhooks(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
) -> None:
    """Deliveries to every endpoint, newest first, and the answers to them."""
    found = _with_deliveries(lambda deliveries: deliveries.newest(limit))
    if as_json:
        print(json.dumps({"webhooks": [_record(one) for one in found]}, indent=2, ensure_ascii=False))
    elif not found:
        print("No webhooks yet.", file=sys.stderr)
    for one in [] if as_json else found:
        print(_line(one))


@webhooks_cli.command()
def show(id_: Id) -> None:
    """One event: its body as it may be told now, and what came of it at each endpoint."""
    found = _of(id_)
    print(json.dumps(json.loads(found[0].payload), indent=2, ensure_ascii=False))
    for one in found:
        print(_line(one))


@webhooks_cli.command("send-again")
def send_again(
    id_: Id,
    to: Annotated[str | None, typer.Option("--to", help="The endpoint's name; all without it.")] = None,
) -> None:
    """Have the running bot send an event again, with the same webhook-id."""
    from tocsin.data_dir import now

    found = _of(id_)
    event = found[0].event_id
    count = _with_deliveries(lambda deliveries: deliveries.send_again(event, to, now()), writing=True)
    if not count:
        print(f"{id_} was not for {to}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    print(f"{id_} is sent again to {to or ', '.join(one.endpoint for one in found)}.")


@webhooks_cli.command()
def test(name: Annotated[str, typer.Argument(help="The endpoint's name in the configuration.")]) -> None:
    """Send a signed test to an endpoint now; one that had answered 410 is sent to again if it works."""
    from tocsin.rules import open_config

    settings = read_settings()
    entry = next((one for one in open_config(settings).webhooks if one.name == name), None)
    if entry is None:
        raise ConfigurationError(f"TOCSIN_CONFIG: there is no [[webhooks]] with the name {name!r}.")
    answer = asyncio.run(_test(settings, entry))
    said = f": {answer.said}" if answer.said else ""
    print(f"{name} answered {answer.status}{said}." if answer.status else f"{name} took nothing{said}.")
    if not answer.is_success:
        raise typer.Exit(FAILED)
    if _with_deliveries(lambda deliveries: deliveries.is_disabled(name, entry.url)):
        _with_deliveries(lambda deliveries: deliveries.enable(name), writing=True)
        print(f"{name} is sent to again.")


async def _test(settings: Settings, entry: WebhookTable) -> EndpointResponse:
    from tocsin.data_dir import now
    from tocsin.webhooks.endpoints import open_endpoints
    from tocsin.webhooks.sender import post

    kind, at = "tocsin.test_v1", now()
    body = json.dumps({"event_type": kind, kind: {"sent_at": at.isoformat()}}, separators=(",", ":"))
    async with open_endpoints([entry], read_secret, backend=settings.tocsin_backend) as (endpoint,):
        return await post(endpoint, f"msg_test_{int(at.timestamp() * 1000)}", body, at)


def _line(one: WebhookDelivery) -> str:
    answer = " ".join(filter(None, [str(one.status or ""), one.answer]))
    tries = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}"
    private = " (private)" if one.is_private else ""
    said = f": {answer}" if answer else ""
    return (
        f"{one.created_at:%Y-%m-%d %H:%M:%S} UTC  {one.webhook_id}  {one.reference}{private}  "
        f"{one.event_type}  to {one.endpoint}  {one.state}, {tries}{said}"
    )


def _record(one: WebhookDelivery) -> dict[str, object]:
    told = one.model_dump(mode="json", exclude={"body", "event", "event_id", "since"}, exclude_none=True)
    return {**told, "event_type": one.event_type}


def _of(id_: str) -> list[WebhookDelivery]:
    """Return the deliveries of an event. Raises typer.Exit, with a printed sentence, if there are none."""
    found = list(_with_deliveries(lambda deliveries: deliveries.of_webhook(id_)))
    if not found:
        print(f"There is no webhook {id_}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    return found


def _with_deliveries(ask: Callable[[Deliveries], Awaitable[T]], *, writing: bool = False) -> T:
    """Return the result of `ask` on the log. Raises ConfigurationError and typer.Exit."""
    from tocsin.backends.local import LocalBackend
    from tocsin.cli.reading import folder_to_read
    from tocsin.data_dir import journal_url, open_backend
    from tocsin.storage.database import Database
    from tocsin.storage.key_value import SqlKeyValueStore

    settings = read_settings()
    if settings.tocsin_backend != "local":
        print(
            "Incidents are not kept here; incident.io and DevRev send webhooks of their own.", file=sys.stderr
        )
        raise typer.Exit(MISUSED)
    folder = folder_to_read(settings)

    async def asking() -> T:
        store = SqlKeyValueStore(Database(journal_url(settings, folder))) if writing else None
        backend = await open_backend(settings, folder, store=store)
        assert isinstance(backend, LocalBackend)
        try:
            return await ask(backend.deliveries)
        finally:
            await backend.close()

    try:
        return asyncio.run(asking())
    except TocsinError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None
