"""Whether those who are given a role, or something to do, can take it on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.permissions import unfit
from tocsin.slack.accounts import Account
from tocsin.slack.desk import Desk
from tocsin.slack.permits import CHECK_SECONDS

ROLE = "incident_role_assignments."


async def checked_roles(
    desk: Desk, roles: Mapping[str, PersonId | None], *, private: bool, within: float = 0.0
) -> tuple[Person, ...]:
    """The same as `checked_assignees`, for people by the role that each is given."""
    chosen = {f"{ROLE}{role}": person for role, person in roles.items()}
    return await checked_assignees(desk, chosen, private=private, within=within)


async def checked_assignees(
    desk: Desk, chosen: Mapping[str, PersonId | None], *, private: bool, within: float = 0.0
) -> tuple[Person, ...]:
    """Everybody who is given something, by name; `chosen` says who, by the field of the form.

    Slack is asked anew, except about those of whom it told `within` so many seconds.

    Raises Refused, with a sentence for each field, for bots, deactivated accounts, people of another
    organisation, and people whom Slack does not know. While Slack does not say, a public incident takes them,
    since an alarm cannot wait; a private one does not, since it is shown to everybody with a role in it.
    """
    people = list(dict.fromkeys(person for person in chosen.values() if person))
    asked = (desk.people.account(person, CHECK_SECONDS, within=within) for person in people)
    found = await asyncio.gather(*asked)
    why = {
        person: _unfit(account, desk.people.names.get(person, ""), private)
        for person, account in zip(people, found, strict=True)
    }
    wrong = {field: why[person] for field, person in chosen.items() if person and why[person]}
    if wrong:
        raise Refused(" ".join(dict.fromkeys(wrong.values())), wrong)
    return tuple(desk.people.meet(Person(slack_user_id=person)) for person in people)


def _unfit(account: Account | None, name: str, private: bool) -> str:
    if account is None:
        who = name or "that person"
        said = f"The incident is private, and Slack could not be asked who {who} is. Try again in a minute."
        return said if private else ""
    if not account.is_known:
        return "Slack knows no such person, so they cannot take this on. Choose another person."
    return unfit(account.standing, name or "That person")
