"""A modal that a person has open, and the triggers to open more."""

from __future__ import annotations

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from slack_emulator.testing import Slack

NAME: dict[str, Any] = {
    "type": "input",
    "block_id": "name",
    "label": {"type": "plain_text", "text": "Name"},
    "element": {"type": "plain_text_input", "action_id": "name", "min_length": 3, "max_length": 20},
}
PAGE_BUTTON: dict[str, Any] = {
    "type": "actions",
    "block_id": "more",
    "elements": [
        {"type": "button", "action_id": "more", "text": {"type": "plain_text", "text": "More"}, "value": "1"}
    ],
}


def modal(title: str = "Page", *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "page",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": list(blocks) or [NAME, PAGE_BUTTON],
        **more,
    }


def typed(text: str) -> dict[str, Any]:
    return {"name": {"name": {"type": "plain_text_input", "value": text}}}


class OpenForm:
    """A modal that ana has open, and what the app does with its submission."""

    def __init__(self, slack: Slack, client: AsyncWebClient) -> None:
        self.slack, self.client = slack, client
        self.ana = slack.user_id("ana")

    def trigger(self) -> str:
        return self.slack.workspace.views.trigger(self.slack.app, self.ana)

    def trigger_in(self, view_id: str) -> str:
        view = self.slack.workspace.views.find(self.ana, view_id)
        return self.slack.workspace.views.trigger(self.slack.app, self.ana, view)

    async def open(self, view: dict[str, Any]) -> dict[str, Any]:
        opened = await self.client.views_open(trigger_id=self.trigger(), view=view)
        return dict(opened["view"])
