"""The stand-in plays Slack's OAuth, OpenID and org-wide installs as strictly as their pages say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest
import pytest_asyncio
from support.manifests import DECLARED
from support.slack import browsing
from support.two_workspaces import AWAY, AWAY_ADMIN, HOME, HOME_ADMIN, ORG, registered, served_estate

from slack_emulator.manifest import Manifest
from slack_emulator.models import InstalledApp
from slack_emulator.organization import Organization

BACK = "https://app.example.com"
REDIRECT = f"{BACK}/slack/oauth_redirect"


def manifest(*, org: bool, rotates: bool) -> Manifest:
    """The usual one over HTTP, for workspaces that install it by themselves."""
    declared = deepcopy(DECLARED)
    for command in declared["features"]["slash_commands"]:
        command["url"] = f"{BACK}/slack/events"
    declared["oauth_config"]["redirect_urls"] = [REDIRECT, f"{BACK}/sign-in/done"]
    settings = declared["settings"]
    settings |= {"socket_mode_enabled": False, "org_deploy_enabled": org, "token_rotation_enabled": rotates}
    settings["interactivity"]["request_url"] = f"{BACK}/slack/events"
    settings["event_subscriptions"]["request_url"] = f"{BACK}/slack/events"
    settings["event_subscriptions"]["bot_events"] += ["app_uninstalled", "tokens_revoked"]
    return Manifest.from_dict(declared)


@dataclass
class Desk:
    """Slack as an app's server sees it."""

    estate: Organization
    app: InstalledApp
    http: httpx.AsyncClient

    async def call(self, method: str, token: str = "", **given: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.post(f"/api/{method}", data=given, headers=headers)
        return dict(answer.json())

    async def agree(self, path: str, who: str, **asked: str) -> dict[str, str]:
        """What comes back along with somebody who agreed."""
        sent = await self.post(path, {**asked, "as": who, "decision": "allow"})
        assert sent.status_code == 303, sent.text
        return {
            name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()
        }

    async def post(self, path: str, form: dict[str, str]) -> httpx.Response:
        return await self.http.post(path, data=form, headers={"Origin": self.estate.base_url})

    async def code(self, who: str = HOME_ADMIN, **asked: str) -> str:
        every = ",".join(sorted(self.app.manifest.bot_scopes))
        given = {"client_id": self.app.client_id, "scope": every, "redirect_uri": REDIRECT, **asked}
        return (await self.agree("/oauth/v2/authorize", who, **given))["code"]

    async def access(self, **given: str) -> dict[str, Any]:
        credentials = {"client_id": self.app.client_id, "client_secret": self.app.client_secret}
        return await self.call("oauth.v2.access", **{**credentials, **given})

    async def installed(self, who: str = HOME_ADMIN, **asked: str) -> dict[str, Any]:
        return await self.access(code=await self.code(who, **asked), redirect_uri=REDIRECT)


@pytest_asyncio.fixture(params=[{}])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    given = {"org": False, "rotates": False, **request.param}
    async with served_estate(org=given["org"]) as estate:
        app = registered(estate, manifest(**given))
        async with browsing(estate.first) as http:
            yield Desk(estate, app, http)


ROTATES = pytest.mark.parametrize("desk", [{"rotates": True}], indirect=True)
ORGANIZED = pytest.mark.parametrize("desk", [{"org": True}], indirect=True)


async def test_a_code_becomes_a_token_of_the_workspace_that_agreed(desk: Desk) -> None:
    """Slack, oauth.v2.access: team, bot_user_id, app_id, authed_user and a bot's access_token."""
    answer = await desk.installed(AWAY_ADMIN)
    assert answer["team"] == {"id": AWAY, "name": "Northwind"}
    assert answer["authed_user"] == {"id": "U0NOA00001"}
    assert answer["token_type"] == "bot"
    identity = await desk.call("auth.test", answer["access_token"])
    assert (identity["team_id"], identity["user_id"]) == (AWAY, answer["bot_user_id"])


async def test_a_code_is_good_once_and_for_ten_minutes(desk: Desk) -> None:
    """Slack, oauth.v2.access: `code_already_used`, `invalid_code`."""
    code = await desk.code()
    assert (await desk.access(code=code, redirect_uri=REDIRECT))["ok"]
    assert (await desk.access(code=code, redirect_uri=REDIRECT))["error"] == "code_already_used"
    code = await desk.code()
    desk.estate.first.clock.turn(601)  # type: ignore[attr-defined]
    assert (await desk.access(code=code, redirect_uri=REDIRECT))["error"] == "invalid_code"


async def test_the_redirect_the_client_and_its_secret_must_be_those_of_the_request(desk: Desk) -> None:
    """Slack, oauth.v2.access: `bad_redirect_uri`, `bad_client_secret`, `invalid_client_id`."""
    code = await desk.code()
    assert (await desk.access(code=code, redirect_uri=BACK))["error"] == "bad_redirect_uri"
    assert (await desk.access(code=code, client_secret="x"))["error"] == "bad_client_secret"
    assert (await desk.access(code=code, client_id="1.2"))["error"] == "invalid_client_id"


@pytest.mark.parametrize(
    "asked",
    [
        {"client_id": "1.2"},
        {"redirect_uri": "https://evil.example.com/slack/oauth_redirect"},
        {"redirect_uri": f"{REDIRECT}.evil.example.com"},
        {"scope": "commands admin"},
        {"scope": ""},
    ],
)
async def test_nobody_is_asked_to_agree_to_what_the_app_does_not_declare(
    desk: Desk, asked: dict[str, str]
) -> None:
    """Slack, Installing with OAuth: redirect URLs and scopes are those of the app's configuration."""
    given = {"client_id": desk.app.client_id, "scope": "commands", "redirect_uri": REDIRECT, **asked}
    assert (await desk.http.get(f"/oauth/v2/authorize?{urlencode(given)}")).status_code == 400
    assert (await desk.post("/oauth/v2/authorize", {**given, "as": HOME_ADMIN})).status_code == 400


async def test_only_an_admin_is_offered_to_install(desk: Desk) -> None:
    given = {"client_id": desk.app.client_id, "scope": "commands", "redirect_uri": REDIRECT}
    page = (await desk.http.get(f"/oauth/v2/authorize?{urlencode(given)}")).text
    assert "Ana Ferreira" in page
    assert "Chloe Marchetti" not in page


async def test_a_token_that_was_given_back_is_good_no_more(desk: Desk) -> None:
    """Slack, auth.revoke: afterwards `token_revoked`."""
    token = (await desk.installed())["access_token"]
    assert (await desk.call("auth.revoke", token))["revoked"]
    assert (await desk.call("auth.test", token))["error"] == "token_revoked"
    assert desk.estate.installed(desk.app) == []


@ROTATES
async def test_a_token_lives_for_twelve_hours_and_is_renewed_by_its_refresh_token_once(desk: Desk) -> None:
    """Slack, Using token rotation: `expires_in` 43200; the old token lasts, its refresh token does not."""
    first = await desk.installed()
    assert first["expires_in"] == 43_200
    renewed = await desk.access(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert renewed["access_token"] != first["access_token"]
    assert (await desk.call("auth.test", first["access_token"]))["ok"]
    again = await desk.access(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again["error"] == "invalid_refresh_token"
    desk.estate.first.clock.turn(43_201)  # type: ignore[attr-defined]
    for token in (first["access_token"], renewed["access_token"]):
        assert (await desk.call("auth.test", token))["error"] == "token_expired"


async def test_a_lasting_token_is_exchanged_only_where_rotation_is_on(desk: Desk) -> None:
    """Slack, oauth.v2.exchange: `token_rotation_not_enabled`, `invalid_token`, `token_already_exchanged`."""
    token = (await desk.installed())["access_token"]
    credentials = {"client_id": desk.app.client_id, "client_secret": desk.app.client_secret}
    refused = await desk.call("oauth.v2.exchange", token, **credentials)
    assert refused["error"] == "token_rotation_not_enabled"
    registered(desk.estate, manifest(org=False, rotates=True))
    exchanged = await desk.call("oauth.v2.exchange", token, **credentials)
    assert exchanged["refresh_token"].startswith("xoxe-1-")
    again = await desk.call("oauth.v2.exchange", exchanged["access_token"], **credentials)
    assert again["error"] == "token_already_exchanged"


async def test_without_a_redirect_uri_the_first_that_the_app_declares_is_the_way_back(desk: Desk) -> None:
    """Slack, Installing with OAuth: `redirect_uri` is optional, here and in oauth.v2.access."""
    form = {"client_id": desk.app.client_id, "scope": "commands", "as": HOME_ADMIN, "decision": "allow"}
    sent = await desk.post("/oauth/v2/authorize", form)
    back = urlsplit(sent.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == REDIRECT
    assert (await desk.access(code=parse_qs(back.query)["code"][0]))["ok"]


@ORGANIZED
async def test_an_org_wide_token_must_say_which_workspace_it_means(desk: Desk) -> None:
    """Slack, org-ready apps: `team: null`, and `team_id` is required by conversations.create and others."""
    answer = await desk.installed(wide="1")
    token = answer["access_token"]
    assert (answer["team"], answer["enterprise"]["id"], answer["is_enterprise_install"]) == (
        None,
        ORG.id,
        True,
    )
    identity = await desk.call("auth.test", token)
    assert (identity["team_id"], identity["is_enterprise_install"]) == (ORG.id, True)
    for method in ("conversations.create", "users.list"):
        refused = await desk.call(method, token, name="here")
        assert (refused["error"], refused["arg"]) == ("missing_argument", "team_id")
    made = await desk.call("conversations.create", token, name="here", team_id=AWAY)
    away = next(w for w in desk.estate.workspaces if w.state.team.id == AWAY)
    assert made["channel"]["id"] in away.state.channels
    assert (await desk.call("users.list", token, team_id="T0ELSEWHERE"))["error"] == "team_access_not_granted"


async def test_an_identity_is_signed_for_one_app_and_one_sign_in(desk: Desk) -> None:
    """Slack, Sign in with Slack: RS256 by a published key; iss, aud, nonce and the ids of person and team."""
    given = {
        "client_id": desk.app.client_id,
        "scope": "openid profile",
        "response_type": "code",
        "redirect_uri": f"{BACK}/sign-in/done",
        "nonce": "n-1",
    }
    back = await desk.agree("/openid/connect/authorize", AWAY_ADMIN, state="s-1", **given)
    assert back["state"] == "s-1"
    # What is agreed to for a sign-in installs nothing.
    assert (await desk.access(code=back["code"], redirect_uri=REDIRECT))["error"] == "invalid_code"
    credentials = {"client_id": desk.app.client_id, "client_secret": desk.app.client_secret}
    token = await desk.call(
        "openid.connect.token", code=back["code"], redirect_uri=given["redirect_uri"], **credentials
    )
    keys = jwt.PyJWKSet.from_dict((await desk.http.get("/openid/connect/keys")).json())
    about = (await desk.http.get("/.well-known/openid-configuration")).json()
    claims = jwt.decode(
        token["id_token"],
        keys.keys[0],
        algorithms=["RS256"],
        audience=desk.app.client_id,
        issuer=about["issuer"],
    )
    assert claims["nonce"] == "n-1"
    assert (claims["https://slack.com/team_id"], claims["sub"]) == (AWAY, "U0NOA00001")
    info = await desk.call("openid.connect.userInfo", token["access_token"])
    assert (info["ok"], info["name"]) == (True, "Noa Levi")
    assert (await desk.call("openid.connect.userInfo", "xoxp-none"))["error"] == "invalid_auth"


async def test_an_app_that_is_uninstalled_is_told_and_its_token_is_dead(desk: Desk) -> None:
    """Slack, app_uninstalled and tokens_revoked; auth.test then answers `account_inactive`."""
    token = (await desk.installed())["access_token"]
    assert next(iter(desk.estate.installed(desk.app)))[0].state.team.id == HOME
    desk.estate.uninstall(desk.estate.first, desk.app.app_id)
    begun = desk.estate.first
    await begun.begun("event.app_uninstalled")
    await begun.begun("event.tokens_revoked")
    assert (await desk.call("auth.test", token))["error"] == "account_inactive"
    assert begun.apps() == []


async def test_a_token_has_the_scopes_that_were_asked_for_and_a_later_installation_adds_to_them(
    desk: Desk,
) -> None:
    """Slack, Installing with OAuth: each installation can result in additive scopes."""
    first, *others = sorted(desk.app.manifest.bot_scopes)
    assert others
    assert (await desk.installed(scope=first))["scope"] == first
    both = (await desk.installed(scope=others[0]))["scope"]
    assert sorted(both.split(",")) == sorted([first, others[0]])
