"""An Enterprise Grid organization: its workspaces, OAuth grants, tokens and signatures."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from slack_emulator.manifest import Manifest
from slack_emulator.models import Enterprise, InstalledApp, Json, Refused
from slack_emulator.response_urls import ResponseUrl
from slack_emulator.state import new_id
from slack_emulator.workspace import Workspace, bot_user, new_app

# Key that signs ID tokens (Slack, "Sign in with Slack": RS256, public keys published).


class Signing:
    """An RSA key, made when the first user signs in."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.readers: dict[str, Json] = {}
        """By access token: the claims of the user who signed in."""

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def published(self) -> Json:
        """The public key as a JSON Web Key Set."""
        public: Json = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": self.id, "use": "sig", "alg": "RS256"}]}


# Several workspaces at one address, as one Slack: their apps, installations and tokens.

TOKEN_SECONDS = 12 * 3600
"""Seconds that an access token lives (Slack, Using token rotation: twelve hours)."""

NEEDS_TEAM = frozenset(
    {
        "chat.scheduledMessages.list",
        "conversations.create",
        "conversations.list",
        "reactions.list",
        "usergroups.list",
        "users.conversations",
        "users.list",
    }
)
"""Methods of the emulator that need `team_id` with an org-wide token (Slack, org-ready apps)."""


@dataclass
class Grant:
    """A user's consent on one of Slack's pages; its code is good once, for ten minutes."""

    app: InstalledApp
    workspace: Workspace
    person: str
    redirect_uri: str
    born: float
    nonce: str = ""
    openid: bool = False
    wide: bool = False
    withheld: frozenset[str] = frozenset()
    """Optional scopes that the user did not grant."""
    used: bool = False


@dataclass
class Organization:
    """One Slack. With `org`, its workspaces belong to one organization."""

    workspaces: Sequence[Workspace]
    org: Enterprise | None = None
    apps: dict[str, InstalledApp] = field(default_factory=dict)
    """Registered apps by client id, not installed anywhere yet."""
    grants: dict[str, Grant] = field(default_factory=dict)
    revoked: dict[str, str] = field(default_factory=dict)
    """Error code for each token that is no longer valid."""
    signing: Signing = field(default_factory=Signing)

    def __post_init__(self) -> None:
        for workspace in self.workspaces:
            workspace.state.org = self.org
            # An app opens its Socket Mode connections once for all workspaces.
            workspace.share_sockets(self.first.sockets)

    @property
    def first(self) -> Workspace:
        return self.workspaces[0]

    @property
    def base_url(self) -> str:
        return self.first.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        for workspace in self.workspaces:
            workspace.base_url = url

    # channels

    def share(self, host: Workspace, channel_id: str, sister: Workspace, *people: str) -> None:
        """Share a channel with another workspace and add these users of it (Slack, Enterprise Grid)."""
        if self.org is None:
            raise Refused("not_an_enterprise")
        channel, team = host.channel(channel_id), sister.state.team.id
        if team not in channel.shared_in_org:
            channel.shared_in_org.append(team)
        for person in people:
            host.state.save(replace(sister.person(person), team_id=team, org=self.org.id))
            channel.members.append(person)
        host.state.save(channel)

    # apps

    def register(self, manifest: Manifest) -> InstalledApp:
        """Register an app, as at api.slack.com/apps; workspaces then install it by themselves."""
        app = new_app(manifest)
        self.apps[app.client_id] = app
        return app

    def app_of_client(self, client_id: str) -> InstalledApp:
        """Return the app with this client id. Raises Refused (`invalid_client_id`)."""
        if app := self.apps.get(client_id):
            return app
        for workspace in self.workspaces:
            for app in workspace.apps():
                if app.client_id == client_id:
                    return app
        raise Refused("invalid_client_id")

    def installed(self, app: InstalledApp) -> list[tuple[Workspace, InstalledApp]]:
        """Return the app's installations, each with its workspace."""
        return [(w, a) for w in self.workspaces for a in w.apps() if a.app_id == app.app_id]

    def install(self, grant: Grant) -> InstalledApp:
        """Install the app where the grant says, or renew the token of an existing installation."""
        where = self.workspaces if grant.wide else [grant.workspace]
        org = self.org.id if grant.wide and self.org else ""
        earlier = [a for w, a in self.installed(grant.app) if w in where and a.org == org]
        bot = earlier[0].bot_user_id if earlier else new_id("U")
        # A later installation adds scopes and takes none away (Slack, Installing with OAuth).
        withheld = grant.withheld.intersection(earlier[0].withheld_scopes) if earlier else grant.withheld
        installed = replace(
            grant.app,
            bot_user_id=bot,
            bot_id=earlier[0].bot_id if earlier else new_id("B"),
            installer=grant.person,
            org=org,
            withheld_scopes=sorted(withheld),
        )
        self._issue(installed)
        for workspace in where:
            workspace.add_app(installed, bot_user(installed))
        return installed

    def _issue(self, app: InstalledApp) -> None:
        """Issue a bot token and, if tokens rotate, its expiry and a refresh token."""
        if not app.manifest.token_rotation:
            app.bot_token = "xoxb-" + secrets.token_hex(16)
            return
        app.bot_token = "xoxe.xoxb-1-" + secrets.token_hex(24)
        app.refresh_token = "xoxe-1-" + secrets.token_hex(24)
        app.expires_at = self.first.clock.now() + TOKEN_SECONDS

    def refresh(self, client: InstalledApp, refresh_token: str) -> InstalledApp:
        """Issue new tokens. The old access token stays valid until it expires; the refresh token does not."""
        found = [
            (w, a) for w, a in self.installed(client) if refresh_token and a.refresh_token == refresh_token
        ]
        if not found:
            raise Refused("invalid_refresh_token")
        renewed = replace(found[0][1])
        renewed.old_tokens = {**renewed.old_tokens, renewed.bot_token: renewed.expires_at or 0.0}
        self._issue(renewed)
        for workspace, _ in found:
            workspace.add_app(renewed, bot_user(renewed))
        return renewed

    def exchange(self, client: InstalledApp, token: str) -> InstalledApp:
        """Replace a token that never expires by a pair that rotates (Slack, oauth.v2.exchange)."""
        if not client.manifest.token_rotation:
            raise Refused("token_rotation_not_enabled")
        found = [(w, a) for w, a in self.installed(client) if a.bot_token == token]
        if not found:
            raise Refused("invalid_token")
        if found[0][1].refresh_token:
            raise Refused("token_already_exchanged")
        renewed = replace(found[0][1])
        self._issue(renewed)
        for workspace, _ in found:
            workspace.add_app(renewed, bot_user(renewed))
        return renewed

    def uninstall(self, workspace: Workspace, app_id: str) -> None:
        """Remove the app, as an admin does: revoke its token and tell the app (Slack, app_uninstalled)."""
        app = workspace.app(app_id)
        there = [w for w, a in self.installed(app) if a.bot_token == app.bot_token]
        self.revoked[app.bot_token] = "account_inactive"
        workspace.events.emit(
            {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [app.bot_user_id]}}, only=app
        )
        workspace.events.emit({"type": "app_uninstalled"}, only=app)
        for one in there:
            one.remove_app(app_id)

    def revoke(self, app: InstalledApp) -> None:
        """Revoke a bot's only token, which uninstalls the app (Slack, auth.revoke)."""
        for workspace, there in self.installed(app):
            if there.bot_token == app.bot_token:
                workspace.remove_app(app.app_id)
        self.revoked[app.bot_token] = "token_revoked"

    # requests

    def apps_of_token(self, token: str) -> list[tuple[Workspace, InstalledApp]]:
        """Return the installations of this token. Raises Refused if it was revoked or has expired."""
        if token in self.revoked:
            raise Refused(self.revoked[token])
        found = [(w, a) for w in self.workspaces for a in w.apps() if token and a.holds(token)]
        for _, app in found:
            ends = app.expires_at if token == app.bot_token else app.old_tokens.get(token)
            if token != app.app_token and ends is not None and self.first.clock.now() >= ends:
                raise Refused("token_expired")
        return found

    def workspace_for(self, method: str, token: str, given: Json) -> Workspace:
        """Return the workspace of a call; for an org-wide token by `team_id`, or by ids in the arguments."""
        found = [workspace for workspace, _ in self.apps_of_token(token)]
        if len(found) < 2 or method == "apps.connections.open":
            return found[0] if found else self.first
        team = str(given.get("team_id") or "")
        named = next((w for w in found if w.state.team.id == team), None)
        if team and named is None:
            raise Refused("team_access_not_granted")
        if method in NEEDS_TEAM:
            if named is None:
                raise Refused("missing_argument", arg="team_id")
            return named
        # Other methods ignore `team_id` if a channel, user, view or trigger belongs to one workspace.
        knowing = [w for w in found if _knows(w, given)]
        if named in knowing or not knowing:
            return named or found[0]
        return knowing[0]

    def response_url(self, key: str) -> tuple[Workspace, ResponseUrl] | None:
        for workspace in self.workspaces:
            if (url := workspace.response_urls.find(key)) is not None:
                return workspace, url
        return None


def _knows(workspace: Workspace, given: Json) -> bool:
    named = {str(given.get(name) or "") for name in ("channel", "channel_id", "user", "user_id")}
    known = not named.isdisjoint({*workspace.state.channels, *workspace.state.people})
    return known or workspace.views.knows(given.get("view_id"), given.get("trigger_id"))
