"""HTTP client of one endpoint: one address, which is looked up and checked at each attempt.

The connection is made to the address that was checked, so that a name that changes in between (DNS rebinding)
leads nowhere else. Redirects are not followed, and of an answer only the beginning is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from tocsin import USER_AGENT
from tocsin.backends import tls_context
from tocsin.incidents.validation import clean_text

TIMEOUT_SECONDS = 15.0
"""Seconds for an answer (Standard Webhooks: 15 to 30), the look-up of the name among them."""

LONGEST_ANSWER = 1_000
"""Bytes of an answer that are read."""

SENTENCE_LIMIT = 200
LONGEST_PAUSE = 3600
"""Seconds for which an endpoint can ask to be left alone."""

MOST_ADDRESSES = 3
"""Addresses of one name that are tried in one attempt."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")))
"""IPv4 in old forms of IPv6, NAT64 of one's own network (RFC 8215), and site-local addresses."""


LookUp = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Returns the addresses of a host, for a connection to this port. Raises OSError or UnicodeError."""


async def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, as this machine knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]


@dataclass(frozen=True)
class EndpointResponse:
    """The answer of an endpoint, or the reason for which there is none."""

    status: int | None
    said: str = ""
    retry_after: timedelta = timedelta()

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class EndpointClient:
    """Client for one endpoint; `url` may contain a secret, so it is never told."""

    def __init__(self, url: str, *, allow_private_network: bool, look_up: LookUp = look_up) -> None:
        self.url = url
        self._address = httpx.URL(url)
        self._allow_private_network = allow_private_network
        self._look_up = look_up
        # A client of its own, because connections are shared by address and not by name.
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(TIMEOUT_SECONDS),
            verify=tls_context(),
            trust_env=False,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> EndpointResponse:
        """Send a request once. Returns a failure instead of raising it."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                addresses = await self.addresses()
                if isinstance(addresses, str):
                    return EndpointResponse(None, addresses)
                return await self._first(addresses[:MOST_ADDRESSES], body, headers)
        except TimeoutError:
            return EndpointResponse(None, f"no answer within {TIMEOUT_SECONDS:.0f} s")

    async def addresses(self) -> Sequence[Address] | str:
        """Return the addresses of the endpoint's host, or the reason for which nothing is sent there."""
        try:
            addresses = await self._look_up(self._address.host, self._port)
        except (OSError, UnicodeError):
            return "its host is not known"
        refused = [why for one in addresses if (why := refusal(one, self._allow_private_network))]
        return refused[0] if refused else list(dict.fromkeys(addresses))

    @property
    def _port(self) -> int:
        return self._address.port or {"https": 443, "http": 80}[self._address.scheme]

    async def _first(
        self, addresses: Sequence[Address], body: bytes, headers: Mapping[str, str]
    ) -> EndpointResponse:
        """Return the answer of the first address that can be reached."""
        answer = EndpointResponse(None, "it cannot be reached")
        for address in addresses:
            try:
                return await self._post(address, body, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError:
                return EndpointResponse(None, "the connection broke before the answer")
        return answer

    async def _post(self, address: Address, body: bytes, headers: Mapping[str, str]) -> EndpointResponse:
        sent = {
            "Host": self._address.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            **headers,
        }
        async with self._http.stream(
            "POST",
            self._address.copy_with(host=str(address)),
            content=body,
            headers=sent,
            extensions={"sni_hostname": self._address.host},
        ) as response:
            if response.is_redirect:
                return EndpointResponse(response.status_code, "a redirect, which is not followed")
            said = await _beginning(response)
            return EndpointResponse(
                response.status_code, said, _pause(response.headers.get("retry-after", ""))
            )


async def _beginning(response: httpx.Response) -> str:
    """Return the beginning of the answer on one line; the rest is not read."""
    read = b""
    async for part in response.aiter_raw():
        read += part
        if len(read) >= LONGEST_ANSWER:
            break
    text = read[:LONGEST_ANSWER].decode("utf-8", errors="replace")
    return " ".join(clean_text(text).split())[:SENTENCE_LIMIT]


def _pause(said: str) -> timedelta:
    is_number = said.isascii() and said.isdecimal()
    # Python reads no number of more than 4,300 digits, and these are enough.
    return timedelta(seconds=min(int(said[:10]), LONGEST_PAUSE)) if is_number else timedelta()


def refusal(address: Address, allow_private_network: bool) -> str:
    """Return the reason for which nothing is sent to this address; empty if it may be.

    An address in which another one is written (IPv6 for IPv4, NAT64, 6to4) is judged by that one. Those
    of the link are refused always: a cloud's metadata service is there (169.254.169.254).
    """
    within = _within(address)
    if within.is_link_local or within.is_multicast or within.is_unspecified:
        return "its host has an address of the link, to which nothing is sent"
    is_local = isinstance(within, ipaddress.IPv6Address) and any(within in one for one in _LOCAL)
    if allow_private_network or (within.is_global and not is_local):
        return ""
    return "its host has an address in a private network; allow_private_network is not set"


def _within(address: Address) -> Address:
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
