"""Whom the pages are for: whoever has the address with the token, which their browser keeps as a cookie."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PARAMETER = "token"
NEEDED = (
    "This workspace is only for the person who started it. "
    "Open the address that was printed in the terminal: it ends with a token.\n"
)
_NO_STORE = {"cache-control": "no-store"}


class Authentication:
    """Knows the workspace's token, and the browsers that have brought it."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._one_time: set[str] = set()

    def address(self, url: str) -> str:
        """The address that lets a browser in for as long as the workspace is kept."""
        return f"{url}/?{PARAMETER}={self._token}"

    def one_time_address(self, url: str) -> str:
        """The same for the first browser that opens it.

        What starts a browser has the address among its arguments, which every user of the machine can list.
        """
        token = secrets.token_urlsafe(32)
        self._one_time.add(token)
        return f"{url}/?{PARAMETER}={token}"

    def accepts(self, token: str) -> bool:
        """Whether this lets a browser in; a token for one time does so now and never again."""
        if self._is_token(token):
            return True
        known = token in self._one_time
        self._one_time.discard(token)
        return known

    def knows(self, request: Request) -> bool:
        """Whether the browser was let in before."""
        return self._is_token(request.cookies.get(_cookie(request), ""))

    def let_in(self, request: Request) -> RedirectResponse:
        """Lead to the page without the token in its address, and have the browser keep it."""
        rest = request.url.remove_query_params(PARAMETER)
        location = "/" + rest.path.lstrip("/") + (f"?{rest.query}" if rest.query else "")
        answer = RedirectResponse(location, 303, _NO_STORE)
        answer.set_cookie(_cookie(request), self._token, httponly=True, samesite="strict")
        return answer

    def _is_token(self, given: str) -> bool:
        return bool(given) and secrets.compare_digest(given.encode(), self._token.encode())


def _cookie(request: Request) -> str:
    """A name for each port: a browser has one jar for all the ports of a host."""
    _, port = request.scope.get("server") or ("", None)
    return f"playground_token_{port}"


class TokenRequired:
    """Wraps pages: answers 403 to every browser that has not brought the token."""

    def __init__(self, app: ASGIApp, authentication: Authentication) -> None:
        self._app = app
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        token = request.query_params.get(PARAMETER) if request.method == "GET" else None
        app = self._app
        if token is not None and (self._authentication.knows(request) or self._authentication.accepts(token)):
            app = self._authentication.let_in(request)
        elif not self._authentication.knows(request):
            app = PlainTextResponse(NEEDED, 403, _NO_STORE)
        await app(scope, receive, send)
