"""Only our own host names are answered, and every answer carries the same protection."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.declarations import declaration
from support.estate import lobby

from tocsin.settings import read_settings
from tocsin.web.live import LIVE_POLICY
from tocsin.web.middleware import HEADERS, own_hosts


async def asked(port: int, *headers: str, path: str = "/incidents") -> tuple[int, str]:
    """The status and the head of the answer to a request with exactly these header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", *headers, "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(60):
        answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split(" ", 2)[1]), answer.partition("\r\n\r\n")[0].lower()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"),
        *("incidents.example.com", "incidents.example.com:443"),
    ],
)
async def test_our_own_names_are_answered(site, host: str) -> None:
    status, _ = await asked(site.port, f"Host: {host.format(port=site.port)}", path="/healthz")
    assert status == 200


async def test_no_other_name_is_answered_on_any_path(site) -> None:
    await site.backend.create(declaration(name="Canary 7f3a"))
    hosts = [
        *("evil.example", "127.0.0.1", "localhost", "127.0.0.1:1", "localhost:80", "0.0.0.0:{port}"),
        *("127.1:{port}", "2130706433:{port}", "localhost.:{port}", "localhost:{port}.evil.example"),
        *("evil.example:{port}", "localhost@evil.example:{port}", "incidents.example.com.evil.example"),
        *("incidents.example.com:80", "xincidents.example.com", "[::]:{port}", "localhost:{port},evil", ""),
    ]
    for path in ("/incidents", "/incidents/1", "/healthz", "/static/incidents/incidents.css", "/nothing"):
        for host in hosts:
            status, head = await asked(site.port, f"Host: {host.format(port=site.port)}", path=path)
            assert status in {400, 421}, (host, path)
            assert "canary" not in head


ADDED = ["Forwarded: for=192.0.2.1", "Via: 1.1 proxy", "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1"]
ADDED += ["X-Forwarded-Proto: https", "X-Forwarded-Host: incidents.example.com"]
BROUGHT = ["Host: incidents.example.com", "Host: incidents.example.com:443"]
BROUGHT += [f"Host: 127.0.0.1:{{port}}\r\n{header}" for header in ADDED]


@pytest.mark.parametrize("brought", BROUGHT)
@pytest.mark.parametrize("path", ["/incidents", "/incidents/1", "/incidents/9", "/metrics"])
async def test_what_a_proxy_brings_is_not_from_this_machine(site, brought: str, path: str) -> None:
    await site.backend.create(declaration(name="Canary 7f3a"))
    assert (await asked(site.port, f"Host: localhost:{site.port}", path=path))[0] != 401
    assert (await asked(site.port, brought.format(port=site.port), path=path))[0] == 401


@pytest.mark.parametrize(
    ("host", "public_url", "alone"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("127.0.0.1", "http://localhost:8080", True),
        ("127.0.0.1", "http://[::1]:8080/", True),
        ("127.0.0.1", "https://tocsin.example.com", False),
        ("localhost", "http://localhost.example.com", False),
        ("localhost", "https://localhost@tocsin.example.com", False),
        ("0.0.0.0", None, False),
        ("0.0.0.0", "http://127.0.0.1:8080", False),
        ("192.0.2.1", "http://localhost:8080", False),
    ],
)
def test_pages_are_open_only_where_every_address_of_ours_is_loopback(
    host: str, public_url: str | None, alone: bool
) -> None:
    assert read_settings(tocsin_host=host, tocsin_public_url=public_url).is_on_loopback is alone


async def test_a_request_needs_exactly_one_host(site) -> None:
    assert (await asked(site.port))[0] == 400
    status, _ = await asked(site.port, f"Host: 127.0.0.1:{site.port}", "Host: evil.example")
    assert status == 400


async def test_what_a_proxy_claims_about_the_host_is_not_believed(site) -> None:
    claim = f"X-Forwarded-Host: 127.0.0.1:{site.port}"
    assert (await asked(site.port, "Host: evil.example", claim))[0] == 421


@pytest.mark.parametrize(
    "path",
    ["/incidents", "/incidents/1", "/incidents/99", "/healthz", "/readyz", "/metrics", "/nothing", "/"],
)
async def test_every_answer_is_protected(site, path: str) -> None:
    await site.backend.create(declaration())
    answers = [
        await site.page(path),
        await site.client.post(path),
        await site.page(path, host="evil.example"),
    ]
    for answer in answers:
        is_live = path == "/incidents/1" and answer.status_code == 200
        expected = HEADERS | ({"Content-Security-Policy": LIVE_POLICY} if is_live else {})
        for name, value in expected.items():
            assert answer.headers.get_list(name) == [value]
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers
    for policy in (HEADERS["Content-Security-Policy"], LIVE_POLICY):
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
    assert "script-src" not in HEADERS["Content-Security-Policy"]


async def test_the_style_sheet_and_the_bell_are_served(site) -> None:
    assert (await site.page("/static/incidents/incidents.css")).headers["content-type"].startswith("text/css")
    assert (await site.page("/static/incidents/bell.svg")).headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("port", "public_url", "host"),
    [
        (80, None, "localhost"),
        (8080, "http://incidents.lan:8080", "incidents.lan:8080"),
        (8080, "https://Incidents.Example.com/tocsin/", "incidents.example.com"),
        (8080, "https://incidents.example.com:443", "incidents.example.com"),
        (8080, "http://[2001:db8::1]:9000", "[2001:db8::1]:9000"),
        (8080, "http://ana:secret@incidents.lan", "incidents.lan"),
    ],
)
def test_the_public_address_is_one_of_our_names(port: int, public_url: str | None, host: str) -> None:
    assert host in own_hosts(port, public_url)


@pytest.mark.parametrize("public_url", ["https://tocsin.example.com", None])
async def test_what_slack_sends_is_behind_the_same_guard(tmp_path: Path, public_url: str | None) -> None:
    """Under any name only where nobody has said what we are called."""
    async with lobby(tmp_path / "data", tocsin_public_url=public_url) as running:
        address, browser = f"http://127.0.0.1:{running.settings.tocsin_port}", running.browser()
        for host, status in (("tocsin.example.com", 401), ("evil.example", 421 if public_url else 401)):
            sent = {"Host": host, "X-Slack-Signature": "v0=" + "0" * 64}
            answer = await browser.post(f"{address}/slack/events", headers=sent)
            assert answer.status_code == status
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        elsewhere = {"Host": "evil.example"}
        assert (await browser.get(f"{address}/incidents", headers=elsewhere)).status_code == 421
