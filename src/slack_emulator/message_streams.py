"""Streamed messages: an app starts one, appends chunks, and stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from slack_emulator.composer import rich_text_of
from slack_emulator.messages import Messages, require_message
from slack_emulator.models import Channel, InstalledApp, Json, Message, Refused
from slack_emulator.state import State

MARKDOWN_LIMIT = 12_000
"""Characters of `markdown_text` in a call (Slack, chat.appendStream)."""
TASK_STATUS = ("pending", "in_progress", "complete", "error")
Mode = Literal["timeline", "plan"]


@dataclass
class Stream:
    """An open stream: its blocks, in the order in which they began, and its tasks."""

    app_id: str
    mode: Mode
    blocks: list[Json] = field(default_factory=list)
    plan_title: str = ""
    tasks: dict[str, Json] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.blocks if block["type"] == "markdown")

    def shown(self) -> list[Json]:
        """Return the message's blocks; in plan mode all tasks come first, in one plan block."""
        if self.mode == "timeline" or not self.tasks:
            return [dict(block) for block in self.blocks]
        plan = {"type": "plan", "title": self.plan_title or "Plan", "tasks": list(self.tasks.values())}
        return [plan, *(dict(block) for block in self.blocks)]


class Streams:
    """The open streams. Apps get events when a streamed message starts and when it stops, not in between."""

    def __init__(self, state: State, messages: Messages) -> None:
        self._state = state
        self._messages = messages
        self._open: dict[tuple[str, str], Stream] = {}

    def start(
        self, app: InstalledApp, channel: Channel, draft: Message, mode: Mode, chunks: list[Json]
    ) -> Message:
        stream = Stream(app.app_id, mode)
        self._take(stream, chunks)
        draft.text, draft.blocks = stream.text, stream.shown()
        message = self._messages.post(channel, draft)
        self._open[(channel.id, message.ts)] = stream
        return message

    def append(self, app: InstalledApp, message: Message, chunks: list[Json]) -> None:
        if not chunks:
            raise Refused("no_text")
        stream = self._streaming(app, message)
        self._take(stream, chunks)
        self._messages.revise(message, {"text": stream.text, "blocks": stream.shown()}, told=False)

    def stop(
        self,
        app: InstalledApp,
        message: Message,
        chunks: list[Json],
        blocks: list[Json],
        metadata: Json | None,
    ) -> None:
        """Stop the stream; `blocks` are added below what was streamed."""
        stream = self._streaming(app, message)
        if blocks:
            require_message({"blocks": blocks})
        self._take(stream, chunks)
        whole = [*stream.shown(), *blocks]
        content: Json = {"text": stream.text, "blocks": whole, "metadata": metadata}
        require_message({name: value for name, value in content.items() if value})
        del self._open[(message.channel, message.ts)]
        self._messages.revise(message, content)

    def is_open(self, message: Message) -> bool:
        return (message.channel, message.ts) in self._open

    def _streaming(self, app: InstalledApp, message: Message) -> Stream:
        if message.bot_id != app.bot_id:
            raise Refused("message_not_owned_by_app")
        stream = self._open.get((message.channel, message.ts))
        if stream is None:
            raise Refused("message_not_in_streaming_state")
        return stream

    def _take(self, stream: Stream, chunks: list[Json]) -> None:
        """Add all chunks to a stream. Raises Refused, without any change, if one of them is invalid."""
        trial = Stream(
            stream.app_id,
            stream.mode,
            [dict(block) for block in stream.blocks],
            stream.plan_title,
            dict(stream.tasks),
        )
        for number, chunk in enumerate(chunks):
            take = _CHUNKS.get(str(chunk.get("type"))) if isinstance(chunk, dict) else None
            try:
                if take is None:
                    raise KeyError("type")
                take(trial, chunk)
            except (KeyError, TypeError) as wrong:
                message = f"[ERROR] missing or wrong: {wrong.args[0]} [json-pointer:/chunks/{number}]"
                raise Refused("invalid_chunks", message) from None
        if shown := trial.shown():
            require_message({"blocks": shown})
        stream.blocks, stream.plan_title, stream.tasks = trial.blocks, trial.plan_title, trial.tasks


def _words(chunk: Json, name: str) -> str:
    value = chunk[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _markdown(stream: Stream, chunk: Json) -> None:
    text = _words(chunk, "text")
    if len(text) > MARKDOWN_LIMIT:
        raise Refused("msg_too_long")
    if stream.blocks and stream.blocks[-1]["type"] == "markdown":
        stream.blocks[-1]["text"] += text
    elif text:
        stream.blocks.append({"type": "markdown", "text": text})


def _task(stream: Stream, chunk: Json) -> None:
    """Add a task, or change the one with this id in place; fields that the chunk omits stay."""
    known = stream.tasks.get(_words(chunk, "id"))
    if _words(chunk, "status") not in TASK_STATUS:
        raise TypeError("status")
    task: Json = (known or {"task_id": chunk["id"]}) | {
        "title": _words(chunk, "title"),
        "status": chunk["status"],
    }
    for name in ("details", "output"):
        if chunk.get(name) is not None:
            task[name] = rich_text_of(_words(chunk, name), {})[0]
    if chunk.get("sources") is not None:
        task["sources"] = chunk["sources"]
    stream.tasks[chunk["id"]] = task
    if stream.mode == "plan":
        return
    # Slack, task card: its statuses, unlike a plan's, do not include `pending`.
    card = {"type": "task_card", **task}
    card["status"] = "in_progress" if task["status"] == "pending" else task["status"]
    if known is None:
        stream.blocks.append(card)
        return
    for place, block in enumerate(stream.blocks):
        if block.get("task_id") == chunk["id"]:
            stream.blocks[place] = card


def _plan(stream: Stream, chunk: Json) -> None:
    stream.plan_title = _words(chunk, "title")


def _blocks(stream: Stream, chunk: Json) -> None:
    blocks = chunk["blocks"]
    if not isinstance(blocks, list) or not all(
        isinstance(block, dict) and "type" in block for block in blocks
    ):
        raise TypeError("blocks")
    stream.blocks += blocks


_CHUNKS: dict[str, Callable[[Stream, Json], None]] = {
    "markdown_text": _markdown,
    "task_update": _task,
    "plan_update": _plan,
    "blocks": _blocks,
}
