"""Alert blocks in forms, and plain sections in their place where Slack does not take them.

Alert blocks are for modals alone (Slack, Block Kit, alert block), and came in 2026. A view with a block that
a server of Slack's API does not know is refused as a whole, and the answer to a submission silently. So they
are tried once beforehand, and a form whose alerts are refused is sent again with sections.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from slack_bolt.response import BoltResponse
from slack_sdk.models.views import View

from tocsin.incidents.errors import SlackRefused
from tocsin.slack.views.blocks import alert, in_section, plain

UNKNOWN_BLOCK = frozenset({"invalid_arguments", "invalid_blocks", "invalid_blocks_format", "invalid_view"})
"""Errors of Slack's for a view with a block that it does not take."""

TRIAL = View(type="modal", title=plain("Alert"), blocks=[alert("Slack takes alerts.", "info")]).to_dict()
"""View that is validated, and never shown."""

_ALERT = '"alert"'
T = TypeVar("T")
Json = Mapping[str, Any]


class FormAlerts:
    """Renderer of views for one workspace, with alert blocks if its API takes them."""

    def __init__(self) -> None:
        self.are_taken: bool | None = None
        """None until Slack has answered."""

    async def learn(self, validate: Callable[[Json], Awaitable[object]]) -> None:
        """Find out with a call that shows nothing (Slack, blocks.validate). Raises Unavailable."""
        try:
            await validate(TRIAL)
        except SlackRefused as refusal:
            if refusal.code in UNKNOWN_BLOCK:
                self.are_taken = False
        else:
            self.are_taken = True

    async def send(self, view: View, call: Callable[[Json], Awaitable[T]]) -> T:
        """Send a view; once more with sections if its alerts are refused, and so ever after.

        Also where the API said that it takes them: some answer `ok` to every method that they do not know.
        """
        shown = view.to_dict()
        if not _has_alerts(shown):
            return await call(shown)
        if self.are_taken is False:
            return await call(_plain(shown))
        try:
            sent = await call(shown)
        except SlackRefused as refusal:
            if refusal.code not in UNKNOWN_BLOCK:
                raise
            sent = await call(_plain(shown))
            # What is refused either way says nothing of alerts.
            self.are_taken = False
        else:
            self.are_taken = True
        return sent

    def in_answer(self, answer: BoltResponse) -> None:
        """Render the view in an answer to a submission; Slack does not tell the bot of its refusal.

        It has sections until Slack is known to take alerts.
        """
        if self.are_taken or not isinstance(answer.body, str) or _ALERT not in answer.body:
            return
        said = json.loads(answer.body)
        if isinstance(said.get("view"), dict):
            answer.body = json.dumps({**said, "view": _plain(said["view"])})


def _has_alerts(view: Json) -> bool:
    return any(block["type"] == "alert" for block in view["blocks"])


def _plain(view: Json) -> Json:
    return {**view, "blocks": [in_section(b) if b["type"] == "alert" else b for b in view["blocks"]]}
