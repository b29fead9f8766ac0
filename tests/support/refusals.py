"""Expecting Slack's refusals in a test."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError


async def refused(call: Awaitable[Any]) -> Any:
    """The body of the refusal that this call must end in."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response.data


async def error_of(call: Awaitable[Any]) -> str:
    return str((await refused(call))["error"])
