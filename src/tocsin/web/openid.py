"""Sign in with Slack: OpenID Connect with a code, and an id token that Slack has signed.

Sources: Slack, "Sign in with Slack" and openid.connect.token; OpenID Connect Core, 3.1.3.7 (what is checked).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from tocsin.incidents.errors import Refused, Unavailable

SCOPE = "openid profile"
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 10.0
NOT_SIGNED = "Slack's answer could not be trusted, so you are not signed in. Try again."


@dataclass(frozen=True)
class Identity:
    """Who somebody is, as Slack signed it."""

    person: str
    team: str
    org: str
    name: str


class OpenId:
    """Slack as the one who says who people are; the host of its API is where its pages are."""

    def __init__(self, client_id: str, client_secret: str, api_url: str) -> None:
        parts = urlsplit(api_url)
        self._id, self._secret, self._api = client_id, client_secret, api_url.rstrip("/")
        self.site = f"{parts.scheme}://{parts.netloc}"
        self._keys: dict[str, Any] = {}

    def consent_url(self, state: str, nonce: str, redirect_uri: str) -> str:
        asked_for = {
            "response_type": "code",
            "scope": SCOPE,
            "client_id": self._id,
            "state": state,
            "nonce": nonce,
            "redirect_uri": redirect_uri,
        }
        return f"{self.site}/openid/connect/authorize?{urlencode(asked_for)}"

    async def identify(self, code: str, nonce: str, redirect_uri: str) -> Identity:
        """Who came back with this code. Raises Refused where Slack does not vouch for them; Unavailable."""
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
                token = await self._token(http, code, redirect_uri)
                claims = await self._claims(http, token)
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("Slack cannot be reached; try again in a moment.") from error
        if claims.get("nonce") != nonce:
            raise Refused(NOT_SIGNED)
        found = {
            name: str(claims.get(f"https://slack.com/{name}") or "")
            for name in ("user_id", "team_id", "enterprise_id")
        }
        if not found["user_id"] or not found["team_id"]:
            raise Refused(NOT_SIGNED)
        return Identity(
            found["user_id"], found["team_id"], found["enterprise_id"], str(claims.get("name") or "")
        )

    async def _token(self, http: httpx.AsyncClient, code: str, redirect_uri: str) -> str:
        given = {
            "grant_type": "authorization_code",
            "client_id": self._id,
            "client_secret": self._secret,
            "code": code,
            "redirect_uri": redirect_uri,
        }
        answer = _object(await http.post(f"{self._api}/openid.connect.token", data=given))
        token = answer.get("id_token")
        if answer.get("ok") is not True or not isinstance(token, str):
            why = answer.get("error") or "no reason given"
            raise Refused(f"Slack did not sign you in ({why}). Try again.")
        return token

    async def _claims(self, http: httpx.AsyncClient, token: str) -> dict[str, Any]:
        # Only who signs in waits for it: it takes a tenth of a second to import.
        import jwt

        try:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            if key_id not in self._keys:
                await self._fetch_keys(http)
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys[key_id],
                algorithms=["RS256"],
                audience=self._id,
                issuer=self.site,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )
        except (jwt.PyJWTError, KeyError):
            raise Refused(NOT_SIGNED) from None
        return claims

    async def _fetch_keys(self, http: httpx.AsyncClient) -> None:
        import jwt

        found = jwt.PyJWKSet.from_dict(_object(await http.get(f"{self.site}/openid/connect/keys")))
        self._keys = {str(key.key_id): key for key in found.keys}


def _object(response: httpx.Response) -> dict[str, Any]:
    body = response.raise_for_status().json()
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body
