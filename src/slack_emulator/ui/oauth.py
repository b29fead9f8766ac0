"""Slack's consent pages: a user installs an app, or signs in to it with Slack."""

from __future__ import annotations

import secrets
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import FormData, QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from slack_emulator.models import InstalledApp, Refused
from slack_emulator.organization import Grant, Organization
from slack_emulator.ui.authentication import Authentication
from slack_emulator.ui.html import environment
from slack_emulator.ui.session import COOKIE, FORM_GOES_TO, PageProtection

ADMINS = ("owner", "admin")
OPENID_SCOPES = frozenset({"openid", "profile", "email"})
WORDS = {
    "invalid_client_id": "No app has this client id.",
    "bad_redirect_uri": "The app does not name this redirect URL in its manifest.",
    "invalid_scope": "The app asks for scopes that it has not, or cannot have here.",
    "invalid_request": "The app's request is incomplete.",
}


def consent_routes(organization: Organization, authentication: Authentication) -> list[BaseRoute]:
    """Return the routes of `/oauth/v2/authorize` and of OpenID Connect, its discovery document included."""
    consent = Consent(organization)
    guarded = [Middleware(PageProtection, authentication)]
    pages = {"/oauth/v2/authorize": consent.install, "/openid/connect/authorize": consent.sign_in}
    return [
        *(Route(path, page, methods=["GET", "POST"], middleware=guarded) for path, page in pages.items()),
        Route("/openid/connect/keys", consent.keys),
        Route("/.well-known/openid-configuration", consent.configuration),
    ]


def _scopes_of(given: dict[str, str]) -> set[str]:
    """Return the requested scopes, optional ones among them (Slack, Installing with OAuth: scope)."""
    return set(given.get("scope", "").replace(",", " ").split())


def _way_back(app: InstalledApp, given: dict[str, str]) -> str:
    """Return the redirect URL, or "".

    Without a redirect_uri it is the first that the app declares (Slack, Installing with OAuth).
    """
    return given.get("redirect_uri") or next(iter(app.manifest.redirect_urls), "")


class Consent:
    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._env = environment()

    async def keys(self, request: Request) -> Response:
        return JSONResponse(self._organization.signing.published)

    async def configuration(self, request: Request) -> Response:
        base = self._organization.base_url
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/openid/connect/authorize",
                "token_endpoint": f"{base}/api/openid.connect.token",
                "userinfo_endpoint": f"{base}/api/openid.connect.userInfo",
                "jwks_uri": f"{base}/openid/connect/keys",
                "scopes_supported": sorted(OPENID_SCOPES),
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def install(self, request: Request) -> Response:
        """Ask for consent to install (Slack, Installing with OAuth: only scopes that the app declares)."""
        return await self._page(request, openid=False)

    async def sign_in(self, request: Request) -> Response:
        """Ask for consent to sign in (Slack, Sign in with Slack: scope `openid`, response type `code`)."""
        return await self._page(request, openid=True)

    async def _page(self, request: Request, *, openid: bool) -> Response:
        asked: QueryParams | FormData = request.query_params
        if request.method == "POST":
            asked = await request.form()
        given = {name: str(value) for name, value in asked.items()}
        try:
            app = self._checked(given, openid)
        except Refused as no:
            told = {"heading": "This did not work", "sentence": WORDS.get(no.error, no.error)}
            return HTMLResponse(self._env.get_template("consent.html").render(**told), 400)
        if request.method == "POST":
            return self._decided(app, given, openid)
        asked_for = _scopes_of(given)
        context: dict[str, object] = {
            "heading": f"Sign in to {app.name}" if openid else f"Add {app.name} to a workspace",
            "sentence": f"{app.name} learns your name, and which workspace you are in."
            if openid
            else f"{app.name} asks for {len(asked_for)} permissions.",
            "given": given,
            "choices": self._choices(request, openid),
            "scopes": [] if openid else sorted(asked_for - app.manifest.bot_optional_scopes),
            "optional": [] if openid else sorted(asked_for & app.manifest.bot_optional_scopes),
            "org": None if openid or not app.manifest.org_deploy else self._organization.org,
        }
        page = HTMLResponse(self._env.get_template("consent.html").render(**context))
        # The CSP's `form-action` also applies to where the form's response redirects.
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(_way_back(app, given)))
        page.headers[FORM_GOES_TO] = origin
        page.headers["cache-control"] = "no-store"
        return page

    def _checked(self, given: dict[str, str], openid: bool) -> InstalledApp:
        app = self._organization.app_of_client(given.get("client_id", ""))
        back = given.get("redirect_uri", "") if openid else _way_back(app, given)
        if not any(
            back == url or back.startswith(url.rstrip("/") + "/") for url in app.manifest.redirect_urls
        ):
            raise Refused("bad_redirect_uri")
        scopes = _scopes_of(given)
        allowed = OPENID_SCOPES if openid else app.manifest.bot_scopes
        if not scopes or not scopes <= allowed or (openid and "openid" not in scopes):
            raise Refused("invalid_scope")
        if openid and given.get("response_type") != "code":
            raise Refused("invalid_request")
        return app

    def _choices(self, request: Request, openid: bool) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """Return the users who may consent, by workspace: any user to sign in, only admins to install."""
        acting = request.cookies.get(COOKIE, "")
        return [
            (
                workspace.team_name,
                [
                    (f"{workspace.state.team.id}/{person.id}", person.real_name, person.id == acting)
                    for person in workspace.people()
                    if not person.is_bot and not person.deleted and (openid or person.role in ADMINS)
                ],
            )
            for workspace in self._organization.workspaces
        ]

    def _decided(self, app: InstalledApp, given: dict[str, str], openid: bool) -> Response:
        answer = {"state": given.get("state", "")}
        team, _, person = given.get("as", "").partition("/")
        # A scope that is not in the request is not granted; nor is one that an admin unticks.
        granted = {
            scope
            for scope in _scopes_of(given)
            if scope not in app.manifest.bot_optional_scopes or f"grant {scope}" in given
        }
        workspace = next((w for w in self._organization.workspaces if w.state.team.id == team), None)
        if given.get("decision") != "allow" or workspace is None or person not in workspace.state.people:
            answer["error"] = "access_denied"
        else:
            code = f"{secrets.randbelow(10**10)}.{secrets.token_hex(24)}"
            self._organization.grants[code] = Grant(
                app=app,
                workspace=workspace,
                person=person,
                redirect_uri=given.get("redirect_uri", ""),
                born=self._organization.first.clock.now(),
                nonce=given.get("nonce", ""),
                openid=openid,
                withheld=app.manifest.bot_scopes - granted,
                wide=bool(given.get("wide"))
                and app.manifest.org_deploy
                and self._organization.org is not None,
            )
            answer["code"] = code
        back = _way_back(app, given)
        return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{urlencode(answer)}", 303)
