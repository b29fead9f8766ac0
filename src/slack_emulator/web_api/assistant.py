"""assistant.threads.*: the status, title and suggested prompts that an app shows in a thread."""

from __future__ import annotations

from typing import Any

from slack_emulator.assistant_threads import MOST_PROMPTS
from slack_emulator.models import Channel, Json, Refused
from slack_emulator.web_api.arguments import Arguments, Blocks, Call, Method, Texts

MOST_LOADING_MESSAGES = 10


class SetStatus(Arguments):
    channel_id: str
    thread_ts: str
    status: str
    loading_messages: Texts | None = None


class SetTitle(Arguments):
    channel_id: str
    thread_ts: str
    title: str


class SetSuggestedPrompts(Arguments):
    channel_id: str
    prompts: Blocks
    thread_ts: str | None = None
    title: str = ""


def set_status(call: Call, given: SetStatus) -> Json:
    loading = given.loading_messages or []
    if len(loading) > MOST_LOADING_MESSAGES:
        raise Refused("invalid_arguments", "[ERROR] no more than 10 items [json-pointer:/loading_messages]")
    room = _channel(call, given.channel_id)
    call.workspace.assistant_threads.set_status(call.app, room, given.thread_ts, given.status, loading)
    return {}


def set_title(call: Call, given: SetTitle) -> Json:
    room = _channel(call, given.channel_id)
    call.workspace.assistant_threads.set_title(room, given.thread_ts, given.title)
    return {}


def set_suggested_prompts(call: Call, given: SetSuggestedPrompts) -> Json:
    """Suggest prompts to the user.

    Slack, assistant.threads.setSuggestedPrompts: at most four, each with a title and a message.
    """
    if len(given.prompts) > MOST_PROMPTS:
        raise Refused("invalid_arguments", "[ERROR] no more than 4 items [json-pointer:/prompts]")
    for number, prompt in enumerate(given.prompts):
        for name in ("title", "message"):
            if not isinstance(prompt, dict) or not isinstance(prompt.get(name), str) or not prompt[name]:
                at = f"[json-pointer:/prompts/{number}]"
                raise Refused("invalid_arguments", f"[ERROR] missing required field: {name} {at}")
    room = _channel(call, given.channel_id)
    call.workspace.assistant_threads.set_prompts(room, given.thread_ts, given.prompts, given.title)
    return {}


def _channel(call: Call, channel_id: str) -> Channel:
    try:
        return call.visible(channel_id)
    except Refused as no:
        raise Refused(no.error, detail="Invalid channel_id") from None


METHODS: dict[str, Method[Any]] = {
    "assistant.threads.setStatus": Method(SetStatus, set_status),
    "assistant.threads.setTitle": Method(SetTitle, set_title),
    "assistant.threads.setSuggestedPrompts": Method(SetSuggestedPrompts, set_suggested_prompts),
}
