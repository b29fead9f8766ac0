"""Security headers of every response, and the check of Host and Origin headers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

RAW_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_USUAL_PORT = {"http": 80, "https": 443}
_PROXIED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that proxies add (RFC 7239; RFC 9110, 7.6.3; and older custom)."""


def is_from_here(request: Request) -> bool:
    """True if the request was made on this machine for a loopback address, and no proxy forwarded it."""
    host = request.headers.get("host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in _LOOPBACK and not any(header in request.headers for header in _PROXIED)


def own_hosts(port: int, public_url: str | None = None) -> frozenset[str]:
    """Return the Host header values for this server: loopback with our port, and the public address."""
    hosts = {f"{name}:{port}" for name in _LOOPBACK}
    if port == _USUAL_PORT["http"]:
        hosts.update(_LOOPBACK)
    if public_url:
        address = urlsplit(public_url.lower())
        hosts.add(address.netloc.rpartition("@")[2])
        if address.hostname and address.port in (None, _USUAL_PORT.get(address.scheme)):
            name = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
            hosts.update({name, f"{name}:{_USUAL_PORT.get(address.scheme, 80)}"})
    return frozenset(hosts)


def own_origins(port: int, public_url: str | None = None) -> frozenset[str]:
    """Return the values of the Origin header for our own pages (RFC 6454, 6.2)."""
    usual = port == _USUAL_PORT["http"]
    origins = {f"http://{name}" if usual else f"http://{name}:{port}" for name in _LOOPBACK}
    if public_url:
        address = urlsplit(public_url.lower())
        host = address.netloc.rpartition("@")[2]
        origins.add(f"{address.scheme}://{host.removesuffix(f':{_USUAL_PORT[address.scheme]}')}")
    return frozenset(origins)


def is_own(request: Request, origins: Collection[str]) -> bool:
    """True if one of our own pages sent the request, or a client that is no browser.

    Such a client sends neither header. Sources: Fetch Metadata, `Sec-Fetch-Site`; RFC 6454, `Origin`, which
    is `null` where no referrer is sent.
    """
    site, origin = (request.headers.get(name, "").lower() for name in ("sec-fetch-site", "origin"))
    return site in ("", "same-origin") and (origin in ("", *origins) or bool(site and origin == "null"))


class SecurityMiddleware:
    """Middleware that refuses requests for other hosts (DNS rebinding) and adds the security headers.

    A response that has one of these headers keeps its own.

    Responds 400 without exactly one Host header, and 421 for a host that is not ours.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], any_host: Collection[str] = ()) -> None:
        """`any_host` are paths that are served under any host name; one with a final slash, all below it."""
        self._app = app
        self._any_host = frozenset(any_host)
        self._below = tuple(path for path in any_host if path.endswith("/"))
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                set_already = {name for name, _ in own}
                message["headers"] = [*own, *(one for one in RAW_HEADERS if one[0] not in set_already)]
            await send(message)

        given = Headers(scope=scope).getlist("host")
        if len(given) != 1:
            refusal = PlainTextResponse("One Host header is needed.\n", 400)
            await refusal(scope, receive, guarded)
        elif given[0].lower() not in self._hosts and not self._is_for_any(scope["path"]):
            refusal = PlainTextResponse("This host name is not served here.\n", 421)
            await refusal(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)

    def _is_for_any(self, path: str) -> bool:
        return path in self._any_host or path.startswith(self._below)
