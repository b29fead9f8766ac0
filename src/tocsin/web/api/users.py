"""Endpoints of users, who are the people that Tocsin knows by name, and of the key itself."""

from __future__ import annotations

from pydantic import Field

from tocsin.incidents.api_keys import SCOPES, Scope
from tocsin.incidents.model import Person
from tocsin.web.api import models, serializers
from tocsin.web.api.endpoints import Answer, ApiCall
from tocsin.web.api.errors import not_found
from tocsin.web.api.query import PageQuery, PaginationMeta, cut

ROLES: dict[Scope, str] = {
    "view": "viewer",
    "create": "incident_creator",
    "edit": "incident_editor",
    "settings": "manage_settings",
    "private": "global_access",
}
"""Scopes in the words of incident.io (Utilities V1, Identity: `roles`)."""


class IdentityTeamV1(Answer):
    id: str
    name: str


class IdentityV1(Answer):
    name: str
    dashboard_url: str
    roles: list[str]
    team_roles: list[str]
    teams: list[IdentityTeamV1]


class UtilitiesIdentityResultV1(Answer):
    identity: IdentityV1


class RbacRoleV2(Answer):
    id: str
    name: str
    slug: str


class UserSeatsV2(Answer):
    on_call: str = "none"
    response: str = "full_access"


class UserWithRolesV2(models.UserV2):
    is_active: bool
    base_role: RbacRoleV2
    custom_roles: list[RbacRoleV2]
    seats: UserSeatsV2


class UsersListResultV2(Answer):
    users: list[UserWithRolesV2]
    pagination_meta: PaginationMeta


class UsersShowResultV2(Answer):
    user: UserWithRolesV2


class UsersQuery(PageQuery):
    email: str | None = Field(None, description="The user with this address.")
    slack_user_id: str | None = Field(None, description="The user with this id in Slack.")
    include_inactive: bool = Field(False, description="Nobody is inactive here.")


MEMBER = RbacRoleV2(id="member", name="Member", slug="member")
"""The one role that there is: what a person may do follows from Slack."""


def _with_roles(person: Person) -> UserWithRolesV2:
    said = serializers.user(person).model_dump()
    return UserWithRolesV2(**said, is_active=True, base_role=MEMBER, custom_roles=[], seats=UserSeatsV2())


async def show_identity(call: ApiCall) -> UtilitiesIdentityResultV1:
    """Show the key that was sent and what it may do."""
    identity = IdentityV1(
        name=call.key.name,
        dashboard_url=call.services.public_url,
        roles=[ROLES[scope] for scope in SCOPES if call.key.may(scope)],
        team_roles=[],
        teams=[],
    )
    return UtilitiesIdentityResultV1(identity=identity)


async def list_users(call: ApiCall) -> UsersListResultV2:
    """List the people whom Tocsin knows by name."""
    query = call.query_as(UsersQuery)
    if query.slack_user_id is not None:
        found = await call.backend.reader.person(query.slack_user_id)
        people = [found] if found is not None else []
    else:
        people = await call.backend.reader.people(
            email=query.email or "", after=query.after or "", limit=query.page_size + 1
        )
    page, meta = cut([_with_roles(person) for person in people], query, lambda user: user.id)
    return UsersListResultV2(users=page, pagination_meta=meta)


async def show_user(call: ApiCall) -> UsersShowResultV2:
    """Show a person by the id in Slack."""
    person = await call.backend.reader.person(call.id)
    if person is None:
        raise not_found()
    return UsersShowResultV2(user=_with_roles(person))
