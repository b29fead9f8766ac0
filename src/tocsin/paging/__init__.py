"""Paging services: each target of the configuration, with the client that reaches its on-call people."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from tocsin.incidents.paging import PageTarget
from tocsin.paging import opsgenie, pagerduty
from tocsin.paging.client import PagingClient
from tocsin.paging.opsgenie import Opsgenie
from tocsin.paging.pagerduty import PagerDuty
from tocsin.paging.webhook import Webhook
from tocsin.rules import PagingTable
from tocsin.settings import LOOPBACK, ConfigurationError
from tocsin.webhooks.signing import signing_key
from tocsin.workflows.ports import CheckResult, Clock

ReadSecret = Callable[[str], str]
"""Returns the secret in an environment variable; empty if it is not set."""

SERVICES: Final = {"pagerduty": "PagerDuty", "opsgenie": "Opsgenie", "webhook": "webhook"}


@asynccontextmanager
async def open_targets(
    entries: Sequence[PagingTable], read_secret: ReadSecret, clock: Clock, *, here_only: bool = False
) -> AsyncIterator[tuple[PageTarget, ...]]:
    """Open the client of each target. Raises ConfigurationError if a key is missing.

    With `here_only`, targets on other machines are left out: the playground must not page people.
    """
    async with AsyncExitStack() as stack:
        found = []
        for place, entry in enumerate(entries, 1):
            if here_only and urlsplit(entry.url or "").hostname not in LOOPBACK:
                continue
            if said := _missing(entry, read_secret):
                raise ConfigurationError(f"TOCSIN_CONFIG: paging[{place}].{said}")
            found.append(_open_target(entry, read_secret, clock, stack))
        yield tuple(found)


def _missing(entry: PagingTable, read_secret: ReadSecret) -> str:
    """Return the variable that is not set, and never its name: that may be a key in the wrong place."""
    secret = read_secret(entry.key_variable)
    if not secret:
        return "key_variable: no environment variable of this name is set."
    if entry.provider == "webhook" and signing_key(secret) is None:
        return "key_variable: the secret is no signing key; make one with: tocsin docs rules"
    if entry.token_variable is not None and not read_secret(entry.token_variable):
        return "token_variable: no environment variable of this name is set."
    return ""


def _open_target(
    entry: PagingTable, read_secret: ReadSecret, clock: Clock, stack: AsyncExitStack
) -> PageTarget:
    service, secret = SERVICES[entry.provider], read_secret(entry.key_variable)

    def client(url: str, key: str, authorization: str = "") -> PagingClient:
        headers = {"Authorization": authorization} if authorization else None
        opened = PagingClient(service, url, key, headers)
        stack.push_async_callback(opened.close)
        return opened

    match entry.provider:
        case "pagerduty":
            rest = None
            if entry.token_variable is not None:
                token = read_secret(entry.token_variable)
                rest = client(entry.rest_url or pagerduty.REST_URL, token, f"Token token={token}")
            duty = PagerDuty(client(entry.url or pagerduty.EVENTS_URL, secret), secret, rest)
            ask = duty.acknowledgement if rest is not None else None
            return PageTarget(entry.name, service, duty.send, ask, tells_private=entry.private)
        case "opsgenie":
            genie = Opsgenie(
                client(entry.url or opsgenie.URL, secret, f"GenieKey {secret}"), entry.team, clock
            )
            return PageTarget(
                entry.name, service, genie.send, genie.acknowledgement, tells_private=entry.private
            )
    webhook = Webhook(client(entry.url or "", secret), signing_key(secret) or b"", clock)
    return PageTarget(entry.name, service, webhook.send, tells_private=entry.private)


def examine(entries: Sequence[PagingTable], read_secret: ReadSecret) -> list[CheckResult]:
    """Check the form of each target's key, without sending anything."""
    return [_examined(entry, read_secret(entry.key_variable)) for entry in entries]


def _examined(entry: PagingTable, secret: str) -> CheckResult:
    name = f"Paging {entry.name}"
    if not secret:
        fix = "Set the environment variable that key_variable names."
        return CheckResult(name=name, ok=False, said="its key is not set.", fix=fix)
    if _is_well_formed(entry, secret):
        said = f"its key has the form of {_kind(entry)}. Nobody was paged."
        return CheckResult(name=name, ok=True, said=said)
    fix = f"Copy {_kind(entry)} again."
    return CheckResult(name=name, ok=False, said=f"its key does not look like {_kind(entry)}.", fix=fix)


def _is_well_formed(entry: PagingTable, secret: str) -> bool:
    if entry.provider == "webhook":
        return signing_key(secret) is not None
    patterns = {"pagerduty": pagerduty.KEY_PATTERN, "opsgenie": opsgenie.KEY_PATTERN}
    return re.fullmatch(patterns[entry.provider], secret) is not None


def _kind(entry: PagingTable) -> str:
    return {
        "pagerduty": "an integration key of PagerDuty's Events API v2",
        "opsgenie": "an API key of an Opsgenie integration",
        "webhook": "a signing secret (whsec_ and base64)",
    }[entry.provider]
