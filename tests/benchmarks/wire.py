"""HTTP/1.1 as far as a load needs it: requests made once, connections kept, answers read to their end."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

SECRET = "0123456789abcdef0123456789abcdef"
TEAM = "T0000000001"


@dataclass(frozen=True)
class Exchange:
    """A request or an answer: its first line's middle, and its body."""

    target: str
    body: bytes


async def one_request(reader: asyncio.StreamReader) -> Exchange | None:
    """The next request or answer on a connection; None when the other side is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split(b"\r\n")
    length = 0
    for line in lines:
        if line[:15].lower() == b"content-length:":
            length = int(line[15:])
    body = await reader.readexactly(length) if length else b""
    return Exchange(first.split(b" ")[1].decode(), body)


def signed(fields: dict[str, str], path: str = "/slack/events") -> bytes:
    """A form as Slack sends it, with its signature (Slack, "Verifying requests")."""
    body = urlencode(fields).encode()
    at = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        f"X-Slack-Request-Timestamp: {at}",
        f"X-Slack-Signature: v0={digest}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def command(number: int, text: str = "checkout is slow") -> bytes:
    """`/incident …`, typed by somebody."""
    return signed(
        {
            "command": "/incident",
            "text": text,
            "team_id": TEAM,
            "team_domain": "x",
            "channel_id": "C0000000001",
            "channel_name": "general",
            "user_id": f"U{number % 50:010}",
            "user_name": f"person{number % 50}",
            "trigger_id": f"{number}.1.abc",
            "response_url": "https://hooks.slack.com/commands/1/2/3",
            "api_app_id": "A0000000001",
            "token": "none",
            "is_enterprise_install": "false",
        }
    )


def submission(number: int) -> bytes:
    """The declare form, filled in by somebody and submitted."""

    def typed(value: str) -> dict[str, object]:
        return {"type": "plain_text_input", "value": value}

    chosen = {"text": {"type": "plain_text", "text": "Major"}, "value": "major"}
    values = {
        "name": {"name": typed(f"Checkout number {number} is slow")},
        "summary": {"summary": typed("Half the baskets time out.")},
        "severity_id": {"severity_id": {"type": "static_select", "selected_option": chosen}},
    }
    payload = {
        "type": "view_submission",
        "team": {"id": TEAM, "domain": "x"},
        "user": {"id": f"U{number % 50:010}", "username": "somebody", "team_id": TEAM},
        "api_app_id": "A0000000001",
        "token": "none",
        "trigger_id": f"{number}.2.abc",
        "is_enterprise_install": False,
        "enterprise": None,
        "response_urls": [],
        "view": {
            "id": f"V{number:010}",
            "type": "modal",
            "callback_id": "declare",
            "team_id": TEAM,
            "private_metadata": '{"origin":"C0000000001","sure":true}',
            "hash": "1.1",
            "state": {"values": values},
            "blocks": [],
        },
    }
    return signed({"payload": json.dumps(payload)})
