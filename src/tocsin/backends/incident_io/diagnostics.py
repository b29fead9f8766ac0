"""Checks of the account for `tocsin doctor`: permissions, configuration, idempotency keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import NAMESPACE_URL, uuid5

from tocsin.backends.incident_io import api_models
from tocsin.backends.incident_io.api_models import IdentityResponse
from tocsin.backends.incident_io.client import ApiError, Client
from tocsin.backends.incident_io.form import LISTS, OPTIONS, Account
from tocsin.backends.incident_io.queries import incident_in
from tocsin.incidents.errors import TocsinError, Unavailable
from tocsin.incidents.validation import join_names
from tocsin.workflows.ports import CheckResult

KEY, FORM, TWICE = "INCIDENT_IO_API_KEY", "incident.io's configuration", "The same key twice"
PROBE = str(uuid5(NAMESPACE_URL, "tocsin:doctor:the-same-key-twice"))
"""Idempotency key of the test incident; always the same, so that no run after the first makes another."""

NEEDED = LISTS | {OPTIONS}
"""Lists that a declare form is made of."""

RIGHTS = ("incident_creator", "viewer")
NEW_KEY = "Make a key at incident.io, under Settings, API keys, with the rights in `tocsin docs incident_io`."


async def diagnose(client: Client, account: Account) -> Sequence[CheckResult]:
    """Run the checks in order; a refused key or an unreadable configuration ends them."""
    found = []
    async for finding in _findings(client, account):
        found.append(finding)
    return found


async def _findings(client: Client, account: Account) -> AsyncIterator[CheckResult]:
    try:
        answer = await client.fetch("/v1/identity")
    except (ApiError, Unavailable) as error:
        yield CheckResult(name=KEY, ok=False, said=str(error), fix=NEW_KEY)
        return
    identity = IdentityResponse.model_validate(answer.get("identity") or {})
    missing = [right for right in RIGHTS if identity.roles and right not in identity.roles]
    said = f"incident.io knows it as {identity.name} at {identity.dashboard_url}"
    if missing:
        yield CheckResult(name=KEY, ok=False, said=f"{said}, without {join_names(missing)}.", fix=NEW_KEY)
    else:
        yield CheckResult(name=KEY, ok=True, said=f"{said}.")
    try:
        form = await account.refresh()
    except TocsinError as error:
        yield CheckResult(name=FORM, ok=False, said=str(error), fix=NEW_KEY)
        return
    counts = (len(form.severities), len(form.incident_types), len(form.roles), len(form.custom_fields))
    words = ("severities", "types", "roles", "fields")
    offered = join_names(f"{count} {word}" for count, word in zip(counts, words, strict=True))
    withheld = [f"{path} ({why})" for path, why in account.withheld.items() if path in NEEDED]
    if withheld:
        said = f"it offers {offered}, and does not tell {join_names(withheld)}"
        yield CheckResult(name=FORM, ok=False, said=f"{said}.", fix=NEW_KEY)
    else:
        yield CheckResult(name=FORM, ok=True, said=f"it offers {offered}.")
    yield await _twice(client, account)


async def _twice(client: Client, account: Account) -> CheckResult:
    """Send one idempotency key twice in test mode: incident.io does not document the answer to the second."""
    form = await account.known()
    mildest = min(form.severities, key=lambda s: s.rank, default=None)
    payload = api_models.CreateV2(
        idempotency_key=PROBE,
        visibility="private" if form.usual_type and form.usual_type.private_incidents_only else "public",
        mode="test",
        name="Tocsin's doctor: the same key twice",
        severity_id=mildest.id if mildest else None,
    )
    try:
        first = incident_in(await client.send("POST", "/v2/incidents", payload.written()))
        again = incident_in(await client.send("POST", "/v2/incidents", payload.written()))
    except (ApiError, Unavailable) as error:
        return CheckResult(name=TWICE, ok=False, said=f"it could not be tried: {error}", fix=NEW_KEY)
    if first.id == again.id:
        return CheckResult(name=TWICE, ok=True, said=f"it made one incident, the test {first.reference}.")
    said = f"it made two incidents, the tests {first.reference} and {again.reference}."
    return CheckResult(
        name=TWICE,
        ok=False,
        said=said,
        fix="Tell incident.io's support: a declaration whose answer is lost may then be made twice.",
    )
