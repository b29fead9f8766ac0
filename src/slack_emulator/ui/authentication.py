"""Access to the pages by a token in the address, which the browser then keeps as a cookie."""

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
    """Checks the workspace's token, and one-time tokens."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._one_time: set[str] = set()

    def address(self, url: str) -> str:
        """Return the address that lets a browser in for as long as the workspace exists."""
        return f"{url}/?{PARAMETER}={self._token}"

    def one_time_address(self, url: str) -> str:
        """Return an address that lets in the first browser that opens it.

        For starting a browser: its arguments, and so the address, are visible to every user of the machine.
        """
        token = secrets.token_urlsafe(32)
        self._one_time.add(token)
        return f"{url}/?{PARAMETER}={token}"

    def accepts(self, token: str) -> bool:
        """True if the token lets a browser in. Uses up a one-time token."""
        if self._is_token(token):
            return True
        known = token in self._one_time
        self._one_time.discard(token)
        return known

    def knows(self, request: Request) -> bool:
        """True if the browser has the cookie."""
        return self._is_token(request.cookies.get(_cookie(request), ""))

    def let_in(self, request: Request) -> RedirectResponse:
        """Redirect to the page without the token in its address, and set the cookie."""
        rest = request.url.remove_query_params(PARAMETER)
        location = "/" + rest.path.lstrip("/") + (f"?{rest.query}" if rest.query else "")
        answer = RedirectResponse(location, 303, _NO_STORE)
        answer.set_cookie(_cookie(request), self._token, httponly=True, samesite="strict")
        return answer

    def _is_token(self, given: str) -> bool:
        return bool(given) and secrets.compare_digest(given.encode(), self._token.encode())


def _cookie(request: Request) -> str:
    """Return a cookie name for each port, because a browser shares cookies among all ports of a host."""
    _, port = request.scope.get("server") or ("", None)
    return f"playground_token_{port}"


class TokenRequired:
    """ASGI middleware that answers 403 to a browser without the token or its cookie."""

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
