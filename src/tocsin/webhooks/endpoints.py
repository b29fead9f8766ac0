"""Endpoints of webhooks: what the configuration names, with its secrets, opened and examined."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tocsin.incidents.webhooks import Subscription
from tocsin.rules import WebhookTable
from tocsin.settings import LOOPBACK, ConfigurationError
from tocsin.webhooks.client import EndpointClient
from tocsin.webhooks.signing import signing_keys
from tocsin.workflows.ports import CheckResult

ReadSecret = Callable[[str], str]
"""Returns the secret in an environment variable; empty if it is not set."""

HOSTED = "webhooks: incidents are not kept here (TOCSIN_BACKEND); incident.io and DevRev send their own."
MAKE_SECRET = "make one with: echo whsec_$(openssl rand -base64 32)"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: what it wants, its signing keys, and its client."""

    subscription: Subscription
    keys: tuple[bytes, ...]
    client: EndpointClient

    @property
    def name(self) -> str:
        return self.subscription.name

    @property
    def host(self) -> str:
        """The host of its address; the rest of the address may contain a secret."""
        return urlsplit(self.client.url).hostname or ""


@asynccontextmanager
async def open_endpoints(
    entries: Sequence[WebhookTable], read_secret: ReadSecret, *, backend: str, here_only: bool = False
) -> AsyncIterator[tuple[Endpoint, ...]]:
    """Open a client for every endpoint.

    Raises ConfigurationError if a secret is missing, or if another backend than ours keeps the incidents.
    With `here_only`, endpoints on other machines are left out: the playground tells no other machine.
    """
    async with AsyncExitStack() as stack:
        found = []
        for place, entry in enumerate(entries, 1):
            if here_only and urlsplit(entry.url).hostname not in LOOPBACK:
                continue
            if backend != "local":
                raise ConfigurationError(f"TOCSIN_CONFIG: {HOSTED}")
            keys = signing_keys(read_secret(entry.secret_variable))
            if not keys:
                said = _lacking(read_secret(entry.secret_variable))
                raise ConfigurationError(f"TOCSIN_CONFIG: webhooks[{place}].secret_variable: {said}")
            client = EndpointClient(entry.url, allow_private_network=entry.allow_private_network)
            stack.push_async_callback(client.close)
            subscription = Subscription(name=entry.name, events=entry.event_types)
            found.append(Endpoint(subscription, keys, client))
        yield tuple(found)


def _lacking(secret: str) -> str:
    if not secret:
        return f"no environment variable of this name is set; {MAKE_SECRET}"
    return f"the secret is no signing key; {MAKE_SECRET}"


async def examine(
    entries: Sequence[WebhookTable], read_secret: ReadSecret, backend: str
) -> list[CheckResult]:
    """Check each endpoint's secret, and its host's addresses, without sending anything."""
    if entries and backend != "local":
        fix = "Take [[webhooks]] out of the file."
        return [CheckResult(name="TOCSIN_CONFIG webhooks", ok=False, said=HOSTED, fix=fix)]
    return [await _examined(entry, read_secret(entry.secret_variable)) for entry in entries]


async def _examined(entry: WebhookTable, secret: str) -> CheckResult:
    name, fix = f"Webhook {entry.name}", f"To set its secret, {MAKE_SECRET}"
    if not signing_keys(secret):
        said = "its secret is not a signing key." if secret else "its secret is not set."
        return CheckResult(name=name, ok=False, said=said, fix=f"{fix}.")
    client = EndpointClient(entry.url, allow_private_network=entry.allow_private_network)
    try:
        found = await client.addresses()
    finally:
        await client.close()
    if isinstance(found, str):
        fix = "Correct its url; allow_private_network = true lets it be in a private network."
        return CheckResult(name=name, ok=False, said=f"{found}.", fix=fix)
    said = f"its secret is a signing key, and its host is known. To try it: tocsin webhooks test {entry.name}"
    return CheckResult(name=name, ok=True, said=said)
