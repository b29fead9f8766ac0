"""Who may do what: every role, every verb, every visibility, with and without Slack's word on the person."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, Person, PersonId, Role, RoleAssignment, Status
from tocsin.incidents.permissions import (
    ENDING,
    NOT_SEEN,
    UNCHECKED,
    WORKING,
    Actor,
    Membership,
    PermissionLimits,
    Verb,
    permitted,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)
REPORTER, LEAD, OTHER = PersonId("U0REP"), PersonId("U0LEAD"), PersonId("U0OTHER")

ROLES: dict[str, tuple[PersonId, Membership]] = {
    "member": (OTHER, Membership.MEMBER),
    "reporter": (REPORTER, Membership.MEMBER),
    "lead": (LEAD, Membership.MEMBER),
    "guest": (OTHER, Membership.GUEST),
    "guest with a role": (LEAD, Membership.GUEST),
    "single-channel guest": (OTHER, Membership.SINGLE_CHANNEL_GUEST),
    "single-channel guest with a role": (LEAD, Membership.SINGLE_CHANNEL_GUEST),
    "stranger": (OTHER, Membership.STRANGER),
    "stranger with a role": (LEAD, Membership.STRANGER),
    "bot": (OTHER, Membership.BOT),
    "deactivated": (OTHER, Membership.DEACTIVATED),
    "deactivated reporter": (REPORTER, Membership.DEACTIVATED),
}
INVOLVED = {"reporter", "lead", "deactivated reporter"} | {role for role in ROLES if "with a role" in role}
MEMBERS = {"member", "reporter", "lead"}
VISIBILITIES = ("public", "private")
NO_INCIDENT: frozenset[Verb] = frozenset({Verb.DECLARE, Verb.LIST, Verb.FIND, Verb.HELP})
CASES = list(product(ROLES, VISIBILITIES, (True, False)))
"""Of each verb: a role, a visibility, and whether Slack says who that is."""


def incident(visibility: str) -> Incident:
    lead = Role(id="lead", name="Lead", role_type="lead")
    return Incident(
        id="1",
        reference="INC-1",
        name="Checkout is slow",
        incident_status=Status(id="live", name="Live"),
        visibility=visibility,
        creator=Person(slack_user_id=REPORTER),
        incident_role_assignments=(RoleAssignment(role=lead, assignee=Person(slack_user_id=LEAD)),),
        created_at=AT,
        updated_at=AT,
    )


def outcome(
    role: str,
    verb: Verb,
    visibility: str,
    *,
    answers: bool = True,
    limits: PermissionLimits | None = None,
    groups: frozenset[str] | None = frozenset(),
) -> str:
    """`yes`, `noted`, or the sentence that refuses it."""
    person, membership = ROLES[role]
    actor = Actor(
        person=person,
        membership=membership if answers else Membership.UNKNOWN,
        groups=groups,
        handles={group: group.lower() for group in ("S1", "S2", "S3")},
    )
    about = None if verb in NO_INCIDENT else incident(visibility)
    private = verb is Verb.DECLARE and visibility == "private"
    try:
        return (
            "noted" if permitted(actor, verb, about, limits or PermissionLimits(), private=private) else "yes"
        )
    except Refused as refusal:
        return refusal.sentence


def expected(role: str, verb: Verb, visibility: str, answers: bool) -> str:
    """The rules as the manual tells them, in the words of a table: yes, no, unseen, noted or unasked."""
    if verb not in NO_INCIDENT and visibility == "private" and role not in INVOLVED:
        return "unseen"
    if not answers:
        return "noted" if (verb, visibility) == (Verb.DECLARE, "public") else "unasked"
    if role in MEMBERS:
        return "yes"
    return "yes" if "guest with a role" in role and verb in WORKING else "no"


def in_a_word(said: str) -> str:
    """The answer in the words of the table; a sentence that fits none of them stays as it is."""
    if said == NOT_SEEN:
        return "unseen"
    if said.startswith("Slack could not be asked whether you may"):
        return "unasked"
    refused = " may not " in said and said.split()[0] in {"Guests", "People", "Bots", "Deactivated"}
    return "no" if refused else said


def test_the_matrix_is_whole() -> None:
    assert len(ROLES) >= 8
    assert len(Verb) >= 12
    assert len(CASES) * len(Verb) // 2 >= 192


@pytest.mark.parametrize("verb", Verb)
def test_each_may_do_what_the_rules_say_and_reads_why_not(verb: Verb) -> None:
    wrong = [
        f"{role}, {visibility}{'' if answers else ', Slack does not answer'}: {found!r}, not {wanted!r}"
        for role, visibility, answers in CASES
        if (found := in_a_word(outcome(role, verb, visibility, answers=answers)))
        != (wanted := expected(role, verb, visibility, answers))
    ]
    assert not wrong, "\n".join(wrong)


def test_without_slacks_word_only_a_public_declaration_passes_and_is_noted() -> None:
    passed = [
        (role, verb, visibility)
        for role, verb, visibility in product(ROLES, Verb, VISIBILITIES)
        if outcome(role, verb, visibility, answers=False) in {"yes", "noted"}
    ]
    assert passed == [(role, Verb.DECLARE, "public") for role in ROLES]
    assert UNCHECKED.startswith("could not be checked")


LIMITS = PermissionLimits(declare=("S1",), close=("S2",), private=("S3",))


NEEDED: list[tuple[Verb, str, set[str]]] = [
    (Verb.DECLARE, "public", {"S1"}),
    (Verb.DECLARE, "private", {"S1", "S3"}),
    (Verb.ACCEPT, "public", {"S1"}),
    (Verb.PRIVATE, "public", {"S3"}),
    *((verb, "public", {"S2"}) for verb in sorted(ENDING)),
    *((verb, "public", set[str]()) for verb in (Verb.SHOW, Verb.LIST, Verb.UPDATE, Verb.REOPEN, Verb.ROLE)),
]


def test_a_verb_that_is_limited_needs_a_group_of_each_limit() -> None:
    wrong = []
    for verb, visibility, needed in NEEDED:
        said = outcome("member", verb, visibility, limits=LIMITS, groups=frozenset(needed))
        if said != "yes":
            wrong.append(f"{verb}, {visibility}, in {needed}: {said!r}")
        for missing in needed:
            said = outcome("member", verb, visibility, limits=LIMITS, groups=frozenset(needed - {missing}))
            if not said.startswith(f"Only members of @{missing.lower()} may "):
                wrong.append(f"{verb}, {visibility}, not in {missing}: {said!r}")
    assert not wrong, "\n".join(wrong)


def test_when_groups_cannot_be_asked_for_what_is_limited_is_refused_but_a_public_declaration() -> None:
    refused = [
        *((verb, visibility) for verb in ENDING | {Verb.ACCEPT, Verb.PRIVATE} for visibility in VISIBILITIES)
    ]
    wanted = {
        (Verb.DECLARE, "public"): "noted",
        (Verb.DECLARE, "private"): "unasked",
        **dict.fromkeys(refused, "unasked"),
    }
    wrong = [
        f"{verb}, {visibility}: {found!r}"
        for verb, visibility in product(Verb, VISIBILITIES)
        if (found := in_a_word(outcome("lead", verb, visibility, limits=LIMITS, groups=None)))
        != wanted.get((verb, visibility), "yes")
    ]
    assert not wrong, "\n".join(wrong)


def test_guests_may_declare_public_incidents_where_the_configuration_says_so() -> None:
    limits = PermissionLimits(guests_may_declare=True)
    for guest in ("guest", "single-channel guest"):
        assert outcome(guest, Verb.DECLARE, "public", limits=limits) == "yes"
        assert " may not " in outcome(guest, Verb.DECLARE, "private", limits=limits)
    assert " may not " in outcome("stranger", Verb.DECLARE, "public", limits=limits)


def test_a_refusal_calls_groups_by_their_handles() -> None:
    actor = Actor(person=OTHER, membership=Membership.MEMBER, handles={"S2": "oncall"})
    with pytest.raises(Refused, match="Only members of @oncall may close incidents here"):
        permitted(actor, Verb.CLOSE, incident("public"), LIMITS)
