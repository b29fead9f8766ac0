"""Protection of the page: only on loopback, only with the token, only from itself, under a strict CSP."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slack_emulator.page.authentication import Authentication, TokenRequired

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' https: http: data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Not `no-referrer`: with it, a browser sends "Origin: null" with a form.
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FORM_GOES_TO = "x-form-goes-to"
"""Header by which a page names the origin that its form redirects to: the CSP must allow that one, too."""

_SAFE = frozenset({"GET", "HEAD"})


def host_of(authority: str) -> str:
    """Return the host name of a Host header, lower case, without port; "" if the header is malformed."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def refusal(method: str, headers: Headers) -> str:
    """Return the reason to refuse a request, or "".

    Refuses host names other than loopback, and changes that a page of another origin sends.
    """
    host = headers.get("host", "")
    if host_of(host) not in LOOPBACK:
        return "This workspace answers on this machine only: open it as localhost."
    if method not in _SAFE and urlsplit(headers.get("origin", "")).netloc != host:
        return "This change was not asked for by the workspace's own page."
    return ""


class Guard:
    """ASGI middleware that refuses requests with 403 and adds security headers to every response."""

    def __init__(self, app: ASGIApp, authentication: Authentication) -> None:
        self.app = TokenRequired(app, authentication)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if (goal := headers.get(FORM_GOES_TO)) is not None:
                    del headers[FORM_GOES_TO]
                    policy = POLICY.replace("form-action 'self'", f"form-action 'self' {goal}")
                    headers["content-security-policy"] = policy
            await send(message)

        reason = refusal(scope["method"], Headers(scope=scope))
        app = PlainTextResponse(reason, status_code=403) if reason else self.app
        await app(scope, receive, send_guarded)
