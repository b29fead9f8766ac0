"""Resolve the person that a text names: by mention, `me`, or a whole name; otherwise a form asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.incidents.model import PersonId, display_name
from tocsin.incidents.parsing import fold_name
from tocsin.incidents.permissions import Membership
from tocsin.incidents.validation import join_names
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.verbs import BuildView, NeedsForm
from tocsin.slack.mentions import PERSON
from tocsin.slack.users import WorkspaceUser

MYSELF = frozenset({"me", "myself"})
BESIDE = frozenset({"", "to", "is", "now", "please", "thanks"})
"""Words that may stand beside a mention; with any other word, the person is asked."""

MOST_NAMED = 5


class FoundPerson(NamedTuple):
    """A person, and the candidate name by which they were found."""

    person: PersonId
    name: str


async def resolve_person(context: WorkspaceContext, text: str, by: PersonId | None) -> PersonId:
    """Return the person that a text names. Raises NeedsForm if there may be another, or none."""
    mentioned = set(PERSON.findall(text))
    if len(mentioned) == 1 and set(map(fold_name, PERSON.sub(" ", text).split())) <= BESIDE:
        return PersonId(mentioned.pop())
    typed = await context.mentions.spell(text.strip(), CHECK_SECONDS)
    if mentioned:
        raise NeedsForm(f"“{typed}” may be meant in several ways. Choose the person here.")
    return (await find_person(context, [typed], by)).person


async def resolve_people(context: WorkspaceContext, text: str, by: PersonId | None) -> tuple[PersonId, ...]:
    """Return the people that a text names, each once: mentions, or whole names with commas between them.

    Raises NeedsForm if one of them may be another person, or none.
    """
    mentioned = tuple(map(PersonId, dict.fromkeys(PERSON.findall(text))))
    beside = set(map(fold_name, PERSON.sub(" ", text).replace(",", " ").replace("&", " ").split()))
    if len(mentioned) > 1 and beside <= BESIDE | {"and"}:
        return mentioned
    names = [text] if mentioned else list(filter(None, (name.strip() for name in text.split(","))))
    return tuple(dict.fromkeys([await resolve_person(context, name, by) for name in names]))


async def find_person(
    context: WorkspaceContext, names: Sequence[str], by: PersonId | None, build_view: BuildView | None = None
) -> FoundPerson:
    """Return the only person with the first of these names that exists in the workspace.

    Raises NeedsForm, with the form to open, if another person may have the name, or if no person has it.
    """
    if by is not None and (own := next((name for name in names if fold_name(name) in MYSELF), None)):
        return FoundPerson(by, own)
    name, found, are_all = await context.people.find_by_name(names, CHECK_SECONDS)
    if len(found) == 1 and are_all and (who := found[0].person.slack_user_id):
        return FoundPerson(who, name)
    raise NeedsForm(f"{_doubt(name, found)} Choose the person here.", build_view)


def _doubt(name: str, found: Sequence[WorkspaceUser]) -> str:
    if len(found) > 1:
        return f"“{name}” may be {join_names(map(_told_apart, found[:MOST_NAMED]), 'or')}."
    if found:
        return f"“{name}” may be {_told_apart(found[0])}, or somebody whom Tocsin does not know yet."
    return f"“{name}” is nobody that Tocsin knows by that name, whole."


def _told_apart(account: WorkspaceUser) -> str:
    called = (
        f"{display_name(account.person)} (@{account.handle})"
        if account.handle
        else display_name(account.person)
    )
    return (
        f"{called}, whose account is deactivated," if account.membership is Membership.DEACTIVATED else called
    )
