"""Test helpers: users who type, press, fill in forms and read, and the calls that the app made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from slack_emulator.clock import TurnableClock
from slack_emulator.composer import rich_text_of
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import InstalledApp, Json, Message, Outcome, Request, View
from slack_emulator.seed import seed
from slack_emulator.seed_file import SeedFile
from slack_emulator.server import served
from slack_emulator.state import Store
from slack_emulator.ui import Authentication
from slack_emulator.views import MANY, STATE_FIELDS, elements_of
from slack_emulator.workspace import Workspace

T = TypeVar("T")
TIMEOUT = 10.0
"""Seconds that a helper waits before it fails."""


class ActionFailed(AssertionError):
    """Slack refused a user's action, or the app did not acknowledge it. The message is Slack's."""


@dataclass
class Slack:
    """A workspace with one app installed, served on a port."""

    workspace: Workspace
    app: InstalledApp
    url: str
    clock: TurnableClock

    @property
    def api_url(self) -> str:
        """The base URL of the Web API, with the final slash that slack_sdk needs."""
        return f"{self.url}/api/"

    @property
    def address(self) -> str:
        """The address that lets a browser in to the workspace's pages."""
        return Authentication(self.workspace.state.page_token).address(self.url)

    @property
    def bot_token(self) -> str:
        return self.app.bot_token

    @property
    def app_token(self) -> str:
        return self.app.app_token

    @property
    def signing_secret(self) -> str:
        return self.app.signing_secret

    def user(self, name: str) -> User:
        """Return the user with this handle. Raises Refused (`user_not_found`)."""
        return User(self, self.user_id(name))

    def user_id(self, name: str) -> str:
        """Return the id of the user with this handle. Raises Refused (`user_not_found`)."""
        return self.workspace.person_by_name(name).id

    def messages(self, channel: str) -> list[Message]:
        """Return all messages of a channel, oldest first, with replies but without ephemeral ones."""
        return list(self.workspace.state.lasting(self.channel_id(channel)))

    def channel_id(self, channel: str) -> str:
        """Return the id of the channel with this name or id."""
        if channel in self.workspace.state.channels:
            return channel
        return self.workspace.channel_by_name(channel).id

    def calls(self, method: str | None = None) -> list[Request]:
        """Return the Web API calls that the app has made, of one method or of all."""
        made = [request for request in self.workspace.requests if request.direction == "call"]
        return [request for request in made if method in (None, request.method)]

    async def called(self, method: str, count: int = 1, timeout: float = TIMEOUT) -> list[Request]:  # noqa: ASYNC109
        """Wait until the app has made that many calls of a method. Raises TimeoutError with its calls."""
        return await self.workspace.heard(method, count, timeout)

    async def connected(self, count: int = 1) -> None:
        """Wait until the app has that many Socket Mode connections."""
        await self.workspace.sockets.connected(self.app.app_id, count)

    def fail(self, method: str, *faults: Fault) -> None:
        """Plan faults for the next calls of a method, one each."""
        self.workspace.faults.plan(method, *faults)

    async def until(self, found: Callable[[], T], timeout: float = TIMEOUT) -> T:  # noqa: ASYNC109
        """Return the result of `found` once it is true. Calls it again whenever the workspace changes."""
        with self.workspace.subscribe() as changes:
            async with asyncio.timeout(timeout):
                if result := found():
                    return result
                async for _ in changes:
                    if result := found():
                        return result
        raise AssertionError("The workspace was closed.")


@dataclass
class User:
    """A user of the workspace. Its actions raise ActionFailed if Slack shows the user an error."""

    slack: Slack
    id: str

    async def say(self, text: str, channel: str = "general", thread: Message | None = None) -> Message:
        """Post a message, or a reply in a thread."""
        where = self.slack.channel_id(channel)
        thread_ts = None if thread is None else thread.thread_ts or thread.ts
        done = _done(await self.slack.workspace.say(self.id, where, text, thread_ts))
        return self.slack.workspace.message(where, done.ts or "")

    async def command(self, text: str, channel: str = "general") -> Outcome:
        """Type a slash command with its text, and wait until the app has acknowledged it."""
        return _done(await self.slack.workspace.command(self.id, self.slack.channel_id(channel), text))

    async def shortcut(self, callback_id: str, message: Message | None = None) -> Outcome:
        """Pick a global shortcut, or one from a message's menu."""
        if message is None:
            return _done(await self.slack.workspace.global_shortcut(self.id, callback_id))
        place = message.channel, message.ts
        return _done(await self.slack.workspace.message_shortcut(self.id, callback_id, *place))

    async def press(self, action_id: str, message: Message, value: object = None) -> Outcome:
        """Press a button of a message, or choose a value in its select."""
        block, element = _found(message.blocks, action_id)
        return _done(
            await self.slack.workspace.press(
                self.id,
                element["action_id"],
                block["block_id"],
                channel=message.channel,
                ts=message.ts,
                value=None if value is None else state_of(self.slack, element, value),
            )
        )

    async def invite_app(self, channel: str) -> None:
        """Invite the app's bot to a channel: only there the app gets events of messages and reactions."""
        where, bot = self.slack.channel_id(channel), self.slack.app.bot_user_id
        _done(await self.slack.workspace.invite(self.id, where, bot))

    async def react(self, emoji: str, message: Message) -> None:
        """Add a reaction, named without colons."""
        _done(await self.slack.workspace.react(self.id, message.channel, message.ts, emoji))

    async def modal(self, timeout: float = TIMEOUT) -> Modal:  # noqa: ASYNC109
        """Return the modal that the user sees, once there is one."""
        stack = self.slack.workspace.stack
        view = await self.slack.until(lambda: stack(self.id)[-1:], timeout)
        return Modal(self, view[0].id)

    async def home(self, timeout: float = TIMEOUT) -> Modal:  # noqa: ASYNC109
        """Open the app's Home tab and return it once the app has published it."""
        workspace, app_id = self.slack.workspace, self.slack.app.app_id
        _done(await workspace.open_home(self.id, app_id))
        view = await self.slack.until(lambda: workspace.home(self.id, app_id), timeout)
        assert view is not None
        return Modal(self, view.id)

    async def assistant(self, viewing: str | None = None) -> AssistantChat:
        """Start a chat with the app's assistant, beside a channel that the user looks at."""
        where = None if viewing is None else self.slack.channel_id(viewing)
        opened = _done(await self.slack.workspace.open_assistant(self.id, self.slack.app.app_id, where))
        return AssistantChat(self, opened.channel or "", opened.ts or "")

    def messages(self, channel: str) -> list[Message]:
        """Return a channel's top-level messages that the user sees, with the user's own ephemeral ones."""
        return self.slack.workspace.history(self.slack.channel_id(channel), self.id)


@dataclass
class AssistantChat:
    """A chat with an app's assistant, as its user sees it."""

    user: User
    channel: str
    ts: str

    @property
    def title(self) -> str:
        return self.user.slack.workspace.message(self.channel, self.ts).text

    @property
    def status(self) -> str:
        """The app's status, such as "is thinking..."; "" if it shows none."""
        return self.user.slack.workspace.assistant_threads.status(self.channel, self.ts)

    @property
    def prompts(self) -> dict[str, str]:
        """The suggested prompts: by title, the message that picking one posts."""
        thread = self.user.slack.workspace.assistant_threads.find(self.channel, self.ts)
        return {} if thread is None else {one["title"]: one["message"] for one in thread.prompts}

    @property
    def messages(self) -> list[Message]:
        """The messages in the chat, oldest first, without the root message that Slack makes."""
        return self.user.slack.workspace.replies(self.channel, self.ts, self.user.id)[1:]

    async def say(self, text: str) -> Message:
        return await self.user.say(
            text, self.channel, self.user.slack.workspace.message(self.channel, self.ts)
        )

    async def pick(self, title: str) -> Message:
        """Pick a suggested prompt, which posts its message."""
        if title not in self.prompts:
            raise ActionFailed(f"There is no prompt {title!r} here; there is {list(self.prompts)}.")
        return await self.say(self.prompts[title])

    async def view(self, channel: str) -> None:
        """Look at another channel while the chat stays open."""
        where = self.user.slack.channel_id(channel)
        workspace = self.user.slack.workspace
        _done(await workspace.view_beside_assistant(self.user.id, self.channel, self.ts, where))


@dataclass
class Modal:
    """An open modal or Home tab of a user; its fields are found by label, block_id or action_id."""

    user: User
    view_id: str

    @property
    def view(self) -> View:
        """The view as it is now. Raises ActionFailed if it was closed."""
        view = self.user.slack.workspace.views.find(self.user.id, self.view_id)
        if view is None:
            raise ActionFailed("The view was closed.")
        return view

    @property
    def title(self) -> str:
        return str((self.view.payload.get("title") or {}).get("text", ""))

    def fill(self, fields: dict[str, object]) -> None:
        """Fill in fields: text, the value or label of a choice, a list of them, or a user by handle."""
        slack = self.user.slack
        for name, value in fields.items():
            block, element = _found(self.view.payload["blocks"], name)
            state = state_of(slack, element, value)
            place = self.view_id, block["block_id"], element["action_id"]
            slack.workspace.type_into(self.user.id, *place, state)

    async def submit(self, fields: dict[str, object] | None = None) -> Outcome:
        """Fill in fields and submit. The outcome's `errors` are those that the form shows, by block_id."""
        self.fill(fields or {})
        outcome = await self.user.slack.workspace.submit(self.user.id, self.view_id)
        return outcome if outcome.errors else _done(outcome)

    async def press(self, name: str, value: object = None) -> Outcome:
        """Press a button, or choose a value in a select that the app hears of at once."""
        slack = self.user.slack
        block, element = _found(self.view.payload["blocks"], name)
        state = None if value is None else state_of(slack, element, value)
        place = element["action_id"], block["block_id"]
        return _done(await slack.workspace.press(self.user.id, *place, view_id=self.view_id, value=state))

    async def options(self, name: str, query: str) -> list[Json]:
        """Return the options that the app offers in an external select for the typed query."""
        block, element = _found(self.view.payload["blocks"], name)
        place = self.view_id, block["block_id"], element["action_id"]
        return _done(await self.user.slack.workspace.suggest(self.user.id, *place, query)).options or []

    async def close(self) -> None:
        await self.user.slack.workspace.dismiss(self.user.id, self.view_id)


def state_of(slack: Slack, element: Json, value: object) -> Json:
    """Return an element's state with this value chosen or typed, as in `view.state.values`."""
    kind = element["type"]
    if kind not in STATE_FIELDS:
        return {"type": kind, "selected_option": {"value": str(value)}} if kind == "overflow" else {}
    field = STATE_FIELDS[kind][0]
    if field in MANY:
        several = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        return {"type": kind, field: [_chosen(slack, element, one) for one in several]}
    return {"type": kind, field: _chosen(slack, element, value)}


def _chosen(slack: Slack, element: Json, value: object) -> object:
    kind = element["type"]
    if kind == "rich_text_input":
        return rich_text_of(str(value), {})[0]
    if "users" in kind:
        people = {person.name: person.id for person in slack.workspace.people()}
        return people.get(str(value), value)
    if "conversations" in kind or "channels" in kind:
        return slack.channel_id(str(value))
    if "select" in kind or kind in ("radio_buttons", "checkboxes"):
        groups = element.get("option_groups") or [{"options": element.get("options") or []}]
        labels = {one["text"]["text"]: one["value"] for group in groups for one in group["options"]}
        return {"value": labels.get(str(value), str(value))}
    return value if kind == "datetimepicker" else str(value)


def _found(blocks: list[Json], name: str) -> tuple[Json, Json]:
    for block, element in elements_of(blocks):
        label = (block.get("label") or element.get("text") or {}).get("text", "")
        if name in (block.get("block_id"), element.get("action_id"), label):
            return block, element
    known = [element.get("action_id") for _, element in elements_of(blocks)]
    raise ActionFailed(f"There is no {name!r} here; there is {known}.")


def _done(outcome: Outcome) -> Outcome:
    if not outcome.ok:
        raise ActionFailed(outcome.message or outcome.error or f"{outcome.errors}")
    return outcome


@asynccontextmanager
async def running_slack(
    manifest: Manifest,
    *,
    seed_file: Path | None = None,
    clock: TurnableClock | None = None,
    store: Store | None = None,
    advice: str = "",
    port: int = 0,
) -> AsyncIterator[Slack]:
    """Serve a workspace with an app installed, in the running event loop; close it at the end.

    Without a seed file it is the sample workspace: ana (owner), ben (admin), chloe, darius, priya, gus
    (guest) and tom (deactivated) in the channels general, alerts, incidents, haulpartner and leads. With a
    store, the saved workspace is loaded. `advice` is a message for new users. `port` 0 takes a free port.
    """
    clock = clock or TurnableClock()
    workspace = Workspace(store=store, clock=clock)
    if seed_file is not None and not workspace.people():
        SeedFile.read(seed_file).fill(workspace)
    elif not workspace.people():
        seed(workspace, advice=advice)
    app = workspace.install(manifest)
    async with served(workspace, port=port) as url:
        yield Slack(workspace, app, url, clock)
