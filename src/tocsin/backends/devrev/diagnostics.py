"""Checks of DevRev for `tocsin doctor`: token, beta API, schema, stages, default part, key field."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tocsin.backends.devrev.account import DevRevAccount
from tocsin.incidents.errors import TocsinError
from tocsin.workflows.ports import CheckResult

Look = Callable[[DevRevAccount], Awaitable[CheckResult]]


async def diagnose(account: DevRevAccount) -> Sequence[CheckResult]:
    """Run all checks without changing anything; if the token is refused, run no further ones."""
    token = await _looked(
        "DEVREV_TOKEN", _token, account, "Make a personal access token, and set DEVREV_TOKEN."
    )
    if not token.ok:
        return [token]
    return [
        token,
        await _looked(
            "DevRev's beta API", _beta, account, "Check DEVREV_URL, and what the token's person may do."
        ),
        await _looked(
            "DevRev's schema", _schema, account, "Let the token's person read the schema of incidents."
        ),
        await _looked(
            "DEVREV_PART", _part, account, "Set it to the id of a part, such as PROD-1, or unset it."
        ),
        await _looked(
            "DEVREV_KEY_FIELD", _key_field, account, "Make that text field for incidents, or unset it."
        ),
    ]


async def _looked(name: str, look: Look, account: DevRevAccount, fix: str) -> CheckResult:
    try:
        return await look(account)
    except TocsinError as error:
        return CheckResult(name=name, ok=False, said=str(error), fix=fix)


async def _token(account: DevRevAccount) -> CheckResult:
    me = await account.me()
    if me is None:
        said = "accepted, but it is no person's: what is declared cannot be listed by who made it."
        return CheckResult(name="DEVREV_TOKEN", ok=True, said=said)
    return CheckResult(name="DEVREV_TOKEN", ok=True, said=f"DevRev knows it as {me.name or me.display_id}.")


async def _beta(account: DevRevAccount) -> CheckResult:
    answer = await account.client.ask("incidents.list", {"limit": 1})
    newest = next((one.get("display_id") for one in answer.get("incidents") or ()), None)
    said = f"it answers; one of its incidents is {newest}." if newest else "it answers; no incidents yet."
    return CheckResult(name="DevRev's beta API", ok=True, said=said)


async def _schema(account: DevRevAccount) -> CheckResult:
    choices = await account.fresh_choices()
    missing = [
        name
        for name, there in (("severities", choices.severities), ("stages", choices.statuses))
        if not there
    ]
    if missing:
        said = f"it tells no {' and no '.join(missing)}, so that the form cannot offer them."
        fix = "Let the token's person read the schema of incidents."
        return CheckResult(name="DevRev's schema", ok=False, said=said, fix=fix)
    said = (
        f"{len(choices.severities)} severities, {len(choices.statuses)} stages, "
        f"{len(choices.asked)} fields of your own."
    )
    return CheckResult(name="DevRev's schema", ok=True, said=said)


async def _part(account: DevRevAccount) -> CheckResult:
    if account.part is None:
        return CheckResult(name="DEVREV_PART", ok=True, said="not set; people choose, or DevRev decides.")
    part = (await account.client.ask("parts.get", {"id": account.part})).get("part") or {}
    return CheckResult(name="DEVREV_PART", ok=True, said=f"{account.part} is {part.get('name') or 'there'}.")


async def _key_field(account: DevRevAccount) -> CheckResult:
    name = "DEVREV_KEY_FIELD"
    if account.key_field is None:
        return CheckResult(
            name=name, ok=True, said="not set; where needed, the key is the last line of the body."
        )
    asked = {"custom_fields": {account.key_field: ["tocsin:none"]}, "limit": 1}
    await account.client.ask("incidents.list", asked)
    return CheckResult(name=name, ok=True, said=f"incidents can be found by {account.key_field}.")
