"""oauth.v2.* and openid.connect.*: an app exchanges codes and refresh tokens for tokens."""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import jwt

from slack_emulator.models import InstalledApp, Json, Refused

if TYPE_CHECKING:
    from slack_emulator.organization import Grant, Organization

CODE_SECONDS = 600
"""Seconds for which a code is good, once (Slack, Installing with OAuth: ten minutes)."""

ID_TOKEN_SECONDS = 300


def with_basic(headers: Mapping[str, str], given: Json) -> Json:
    """Return the arguments with the client id and secret of an HTTP Basic header, if there is one."""
    scheme, _, packed = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return given
    try:
        client_id, _, secret = base64.b64decode(packed).decode().partition(":")
    except ValueError:
        raise Refused("invalid_client_id") from None
    return given | {"client_id": client_id, "client_secret": secret}


def _client(organization: Organization, given: Json) -> InstalledApp:
    app = organization.app_of_client(str(given.get("client_id") or ""))
    if not secrets.compare_digest(str(given.get("client_secret") or ""), app.client_secret):
        raise Refused("bad_client_secret")
    return app


def _grant(organization: Organization, app: InstalledApp, given: Json, *, openid: bool) -> Grant:
    """Return the grant of this code and mark it as used.

    Raises Refused if the code is unknown, used, expired, of another app or for another redirect URI.
    """
    grant = organization.grants.get(str(given.get("code") or ""))
    if grant is None or grant.app.app_id != app.app_id or grant.openid != openid:
        raise Refused("invalid_code")
    if grant.used:
        raise Refused("code_already_used")
    if organization.first.clock.now() - grant.born > CODE_SECONDS:
        raise Refused("invalid_code")
    if str(given.get("redirect_uri") or "") != grant.redirect_uri:
        raise Refused("bad_redirect_uri")
    grant.used = True
    return grant


def access(organization: Organization, given: Json) -> Json:
    """Exchange a code or a refresh token for a bot token (Slack, oauth.v2.access)."""
    client = _client(organization, given)
    kind = given.get("grant_type") or "authorization_code"
    if kind == "refresh_token":
        app = organization.refresh(client, str(given.get("refresh_token") or ""))
        return _installed(organization, app)
    if kind != "authorization_code":
        raise Refused("invalid_grant_type")
    return _installed(organization, organization.install(_grant(organization, client, given, openid=False)))


def exchange(organization: Organization, given: Json) -> Json:
    """Exchange a token that never expires for one that rotates (Slack, oauth.v2.exchange)."""
    client = _client(organization, given)
    return _installed(organization, organization.exchange(client, str(given.get("token") or "")))


def _installed(organization: Organization, app: InstalledApp) -> Json:
    workspace = organization.installed(app)[0][0]
    if not app.org:
        workspace = next(w for w, a in organization.installed(app) if a.bot_token == app.bot_token)
    team, org = workspace.state.team, organization.org
    body: Json = {
        "app_id": app.app_id,
        "authed_user": {"id": app.installer},
        "scope": ",".join(sorted(app.scopes)),
        "token_type": "bot",
        "access_token": app.bot_token,
        "bot_user_id": app.bot_user_id,
        "team": None if app.org else {"id": team.id, "name": team.name},
        "enterprise": {"id": org.id, "name": org.name} if org else None,
        "is_enterprise_install": bool(app.org),
    }
    if app.refresh_token and app.expires_at is not None:
        seconds = math.ceil(app.expires_at - organization.first.clock.now())
        body |= {"refresh_token": app.refresh_token, "expires_in": seconds}
    return body


def openid_token(organization: Organization, given: Json) -> Json:
    """Exchange a code for a signed ID token that names the user (Slack, openid.connect.token)."""
    client = _client(organization, given)
    grant = _grant(organization, client, given, openid=True)
    now = int(organization.first.clock.date())
    claims = _claims(organization, grant) | {
        "iss": organization.base_url,
        "aud": client.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_SECONDS,
        "auth_time": now,
        "nonce": grant.nonce,
    }
    signed = jwt.encode(
        claims, organization.signing.key, algorithm="RS256", headers={"kid": organization.signing.id}
    )
    token = "xoxp-" + secrets.token_hex(16)
    organization.signing.readers[token] = _claims(organization, grant)
    return {"access_token": token, "token_type": "Bearer", "id_token": signed}


def user_info(organization: Organization, given: Json) -> Json:
    """Return the claims of the user who signed in (Slack, openid.connect.userInfo)."""
    found = organization.signing.readers.get(str(given.get("token") or ""))
    if found is None:
        raise Refused("invalid_auth" if given.get("token") else "not_authed")
    return found


def _claims(organization: Organization, grant: Grant) -> Json:
    person, team = grant.workspace.person(grant.person), grant.workspace.state.team
    claims: Json = {
        "sub": person.id,
        "https://slack.com/user_id": person.id,
        "https://slack.com/team_id": team.id,
        "https://slack.com/team_name": team.name,
        "https://slack.com/team_domain": team.domain,
        "name": person.real_name,
        "locale": "en-GB",
    }
    if organization.org:
        claims |= {"https://slack.com/enterprise_id": organization.org.id}
    return claims


OPEN_METHODS: dict[str, Callable[[Organization, Json], Json]] = {
    "oauth.v2.access": access,
    "oauth.v2.exchange": exchange,
    "openid.connect.token": openid_token,
    "openid.connect.userInfo": user_info,
}
"""Methods that an app calls without a token of its own."""
