"""Assistant threads: a user's chats with an app, and the status and prompts that the app shows there."""

from __future__ import annotations

from dataclasses import dataclass, field

from slack_emulator.channels import Conversations
from slack_emulator.events import Events
from slack_emulator.messages import Messages, app_message
from slack_emulator.models import Change, Channel, InstalledApp, Json, Message, Refused
from slack_emulator.state import State

ASSISTANT_THREAD = "assistant_app_thread"
"""Subtype of the root message of an assistant thread (Slack, message subtypes)."""
UNTITLED = "New Assistant Thread"
STATUS_SECONDS = 120.0
"""Seconds until a status ends without a message (Slack, assistant.threads.setStatus: two minutes)."""
MOST_PROMPTS = 4


@dataclass
class AssistantThread:
    """Status, prompts and context of a thread; its title is the text of its root message."""

    channel: str
    ts: str
    context: Json = field(default_factory=dict)
    prompts: list[Json] = field(default_factory=list)
    prompts_title: str = ""
    status: str = ""
    app_name: str = ""
    """Name of the app that shows the status."""
    loading_messages: list[str] = field(default_factory=list)
    status_until: float = 0.0


class AssistantThreads:
    def __init__(
        self, state: State, events: Events, messages: Messages, conversations: Conversations
    ) -> None:
        self._state = state
        self._events = events
        self._messages = messages
        self._conversations = conversations
        self._threads: dict[tuple[str, str], AssistantThread] = {}

    # actions of users

    def start(self, user: str, app: InstalledApp, viewing: str | None) -> AssistantThread:
        """Open a new chat with the app, beside the channel that the user is looking at."""
        if not app.manifest.assistant_view:
            raise Refused("no_assistant_view")
        direct = self._conversations.open_direct(user, [app.bot_user_id])
        root = app_message(app, text=UNTITLED)
        root.subtype = ASSISTANT_THREAD
        self._messages.post(direct, root)
        self._messages.revise(root, {"thread_ts": root.ts}, told=False)
        thread = AssistantThread(direct.id, root.ts, self._context(viewing))
        self._threads[(direct.id, root.ts)] = thread
        self._tell("assistant_thread_started", user, app, thread)
        return thread

    def look_at(self, user: str, app: InstalledApp, thread: AssistantThread, viewing: str) -> None:
        """Tell the app that the user went to another channel while the chat stays open beside it."""
        thread.context = self._context(viewing)
        self._tell("assistant_thread_context_changed", user, app, thread)

    def _context(self, viewing: str | None) -> Json:
        if viewing is None:
            return {}
        where = {"channel_id": self._state.channel(viewing).id, "team_id": self._state.team.id}
        org = self._state.org
        return where if org is None else where | {"enterprise_id": org.id}

    def _tell(self, kind: str, user: str, app: InstalledApp, thread: AssistantThread) -> None:
        about = {
            "user_id": user,
            "context": thread.context,
            "channel_id": thread.channel,
            "thread_ts": thread.ts,
        }
        self._events.emit({"type": kind, "assistant_thread": about}, only=app)

    # calls of apps

    def set_status(
        self, app: InstalledApp, channel: Channel, ts: str, status: str, loading_messages: list[str]
    ) -> None:
        """Show what the app is doing, in any thread; an empty status removes it."""
        self._root(channel, ts)
        thread = self._threads.setdefault((channel.id, ts), AssistantThread(channel.id, ts))
        thread.status, thread.loading_messages = status, loading_messages
        thread.app_name = app.name
        thread.status_until = self._state.now() + STATUS_SECONDS
        self._redraw(thread)

    def set_title(self, channel: Channel, ts: str, title: str) -> None:
        root = self._assistant_root(channel, ts)
        self._messages.revise(root, {"text": title})

    def set_prompts(self, channel: Channel, ts: str | None, prompts: list[Json], title: str) -> None:
        """Suggest what the user may ask, in place of earlier suggestions; without `ts` in the newest chat."""
        if ts is None:
            roots = [m for m in self._state.lasting(channel.id) if m.subtype == ASSISTANT_THREAD]
            if not roots:
                raise Refused("message_not_found")
            ts = roots[-1].ts
        self._assistant_root(channel, ts)
        thread = self._threads.setdefault((channel.id, ts), AssistantThread(channel.id, ts))
        thread.prompts, thread.prompts_title = prompts, title
        self._redraw(thread)

    def _root(self, channel: Channel, ts: str) -> Message:
        try:
            return self._state.message(channel.id, ts)
        except Refused:
            raise Refused("invalid_thread_ts", detail="Thread not found") from None

    def _assistant_root(self, channel: Channel, ts: str) -> Message:
        root = self._root(channel, ts)
        if root.subtype != ASSISTANT_THREAD:
            raise Refused("invalid_thread_ts", detail="Thread not found")
        return root

    def _redraw(self, thread: AssistantThread) -> None:
        self._state.feed.announce(Change("message_changed", thread.channel, None, thread.ts))

    # display

    def on_message(self, channel: Channel, message: Message) -> None:
        """Clear the app's status once the app has posted a message in the thread."""
        thread = self._threads.get((channel.id, message.thread_ts or ""))
        if thread is not None and message.bot_id is not None:
            thread.status = ""

    def find(self, channel: str, ts: str) -> AssistantThread | None:
        return self._threads.get((channel, ts))

    def status_line(self, channel: str, ts: str) -> str:
        """Return the status after its app's name, as users see it."""
        status, thread = self.status(channel, ts), self.find(channel, ts)
        return f"{thread.app_name} {status}" if thread is not None and status else ""

    def status(self, channel: str, ts: str) -> str:
        """Return the status that the app shows in this thread; "" if there is none."""
        thread = self._threads.get((channel, ts))
        shown = thread is not None and self._state.now() < thread.status_until
        return thread.status if thread is not None and shown else ""
