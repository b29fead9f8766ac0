"""Identity of a key, by which clients learn that it works and what it may do."""

from __future__ import annotations

from tocsin.incidents.api_keys import SCOPES, Scope
from tocsin.web.api.endpoints import Answer, ApiCall

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
    team_roles: tuple[str, ...] = ()
    teams: tuple[IdentityTeamV1, ...] = ()


class UtilitiesIdentityResultV1(Answer):
    identity: IdentityV1


async def show_identity(call: ApiCall) -> UtilitiesIdentityResultV1:
    """Show the key that was sent and what it may do."""
    roles = [ROLES[scope] for scope in SCOPES if call.key.may(scope)]
    identity = IdentityV1(name=call.key.name, dashboard_url=call.services.public_url, roles=roles)
    return UtilitiesIdentityResultV1(identity=identity)
