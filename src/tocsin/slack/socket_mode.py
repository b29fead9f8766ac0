"""Socket Mode receiver: two connections, their URLs, and pings that notice a lost one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tocsin.incidents.errors import SlackRefused, TocsinError, Unavailable
from tocsin.slack.app import ACK_TRACKER, dispatch
from tocsin.slack.context import AckTracker
from tocsin.slack.web_api import request, require
from tocsin.workflows.retry import best_effort

log = structlog.get_logger()

# One connection. A payload is answered on the connection that it came in on.

PING_SECONDS, PONG_SECONDS = 3.0, 2.0
"""Seconds between pings, and for a pong: a connection that has silently died is noticed within five."""

GLANCE_SECONDS = 0.1
STEADY_SECONDS = 5.0
"""Seconds within which the unannounced end of a connection counts as one more failure."""

LINGER_SECONDS = 60.0
"""Seconds for which a replaced connection is kept, for Slack to end it.

What Slack sends while the bot hangs up could not be answered on the same connection; Slack itself ends a
connection some ten seconds after its warning.
"""

ANSWER_SECONDS = 3.0
PLANNED = frozenset({"warning", "refresh_requested"})
"""Slack's reasons for asking for a new connection every few hours, when nothing is wrong."""

SendElsewhere = Callable[[str], Awaitable[bool]]


class Connection:
    """One WebSocket, from `hello` to its end."""

    def __init__(self, socket: ClientConnection, app: AsyncApp, elsewhere: SendElsewhere) -> None:
        self._socket = socket
        self._app = app
        self._elsewhere = elsewhere
        self._in_hand: set[asyncio.Task[None]] = set()
        self._began = asyncio.get_running_loop().time()
        self.is_ready = False
        self.accepts = True
        self.reason = ""
        """Slack's reason for replacing it, such as `warning` or `refresh_requested`; empty until then."""
        self.changed = asyncio.Event()
        """Set once the connection is ready, and again once it needs replacing."""
        self.hurry = asyncio.Event()
        """Set if it has been replaced and must end now, without waiting for Slack to end it."""
        self.life = asyncio.create_task(self._live())
        self.life.add_done_callback(lambda _: self.changed.set())

    @property
    def needs_replacing(self) -> bool:
        return bool(self.reason) or self.life.done()

    @property
    def was_short(self) -> bool:
        """True if it ended soon, and not because Slack asked for a new one."""
        lived = asyncio.get_running_loop().time() - self._began
        return lived < STEADY_SECONDS and self.reason not in PLANNED

    async def until(self, state: Callable[[], bool]) -> None:
        while not state():
            self.changed.clear()
            await self.changed.wait()

    async def _live(self) -> None:
        pinging = asyncio.create_task(self._ping())
        try:
            async for frame in self._socket:
                self._on_frame(frame)
        except ConnectionClosed:
            # It is replaced, however it ended.
            return
        finally:
            pinging.cancel()
            self.is_ready = False

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            answered = asyncio.create_task(self._answered_ping())
            # If this process was held up, the pong may have arrived in time but is yet to be read.
            for patience in (PONG_SECONDS, GLANCE_SECONDS):
                await asyncio.wait({answered}, timeout=patience)
            if not answered.done():
                # A closing handshake would wait for a peer that is gone.
                self._socket.transport.abort()
                return

    async def _answered_ping(self) -> None:
        # If the peer reads nothing, the ping cannot be written; then waiting for it times out, too.
        with contextlib.suppress(ConnectionClosed):
            await (await self._socket.ping())

    def _on_frame(self, frame: str | bytes) -> None:
        try:
            said = json.loads(frame)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            log.warning("Slack sent what is no JSON object", size=len(frame))
        elif said.get("type") == "hello":
            self.is_ready = True
            self.changed.set()
        elif said.get("type") == "disconnect":
            self.reason = str(said.get("reason") or "unknown")
            self.changed.set()
        elif said.get("envelope_id") and isinstance(said.get("payload"), dict) and self.accepts:
            task = asyncio.create_task(self.handle(said))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)

    async def handle(self, envelope: Mapping[str, Any]) -> None:
        """Have Bolt answer one payload, and mark its delivery once the answer has been written."""
        async with best_effort("answer Slack"):
            tracker = AckTracker()
            given = await dispatch(
                self._app,
                str(envelope["envelope_id"])[:64],
                mode="socket_mode",
                body=envelope["payload"],
                headers=_headers(envelope),
                context={ACK_TRACKER: tracker},
            )
            answer = _answer(envelope, given)
            if answer is None:
                return
            if await self.send(answer) or await self._elsewhere(answer):
                tracker.written()
            else:
                log.warning("An answer could not be given: no connection to Slack is open.")

    async def send(self, answer: str) -> bool:
        """Send an answer. Returns False if the connection is closed."""
        try:
            await self._socket.send(answer)
        except ConnectionClosed:
            return False
        return True

    async def finish(self) -> None:
        """Send the answers that are due, and close."""
        if self._in_hand:
            await asyncio.wait(set(self._in_hand), timeout=ANSWER_SECONDS)
        await self._socket.close()
        await asyncio.wait({self.life})

    async def linger(self) -> None:
        """Serve until Slack ends the connection; end it here if Slack does not, or once `hurry` is set."""
        hurried = asyncio.create_task(self.hurry.wait())
        ends: set[asyncio.Task[Any]] = {self.life, hurried}
        await asyncio.wait(ends, timeout=LINGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await self.finish()


def _headers(envelope: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """Return the headers on retries, as HTTP mode has them (Slack, Events API: retries)."""
    known = {"x-slack-retry-num": "retry_attempt", "x-slack-retry-reason": "retry_reason"}
    return {header: str(envelope[name]) for header, name in known.items() if envelope.get(name) is not None}


def _answer(envelope: Mapping[str, Any], answered: BoltResponse) -> str | None:
    """Return the answer to send. Returns None if Slack had better retry, or tell the person of an error."""
    if answered.status != 200:
        log.warning("not answered", kind=envelope.get("type"), status=answered.status)
        return None
    answer: dict[str, Any] = {"envelope_id": envelope["envelope_id"]}
    if answered.body:
        kind = answered.headers.get("content-type", [""])[0]
        is_json = kind.startswith("application/json")
        answer["payload"] = json.loads(answered.body) if is_json else {"text": answered.body}
    return json.dumps(answer)


# URLs of connections, and the pause between attempts to connect.

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 10.0, 1.7


def pause_after(failures: int) -> float:
    """Return the seconds until the next attempt: below ten for the first five in all, then ten each at most.

    Jitter keeps apps that lost Slack together from coming back together.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(failures - 1, 20))
    return longest * random.uniform(0.5, 1.0)


class ConnectionUrls:
    """Source of connection URLs for one app, fetched one at a time.

    Slack limits apps.connections.open to about one call a minute. Every caller waits out its `Retry-After`.
    """

    def __init__(self, client: AsyncWebClient, app_token: str) -> None:
        self._client = client
        self._app_token = app_token
        self._turn = asyncio.Lock()
        self._opens_at = 0.0

    async def fetch(self) -> str:
        """Return a URL that is good for one connection. Raises Unavailable or SlackRefused."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(self._opens_at - loop.time())
            try:
                answer = await request(self._client.apps_connections_open, app_token=self._app_token)
            except Unavailable as error:
                if error.retry_after is not None:
                    self._opens_at = loop.time() + error.retry_after
                raise
            return require(answer, "url")


# The receiver: two connections. Each is replaced before it ends if Slack gives notice, else at once.
#
# Slack, Using Socket Mode: an app may hold up to ten connections, any of them may be sent a payload, and
# Slack ends each of them now and then, with a warning if it can.

CONNECTIONS = 2
MOST_CONNECTIONS = 10
"""Connections that Slack gives an app at the same time (Slack, Socket Mode)."""
HELLO_SECONDS = 10.0
CLOSE_SECONDS = 1.0
MOST_LINGERING = 4
LARGEST_ENVELOPE = 16 * 1024 * 1024


class SocketModeReceiver:
    """Receiver of payloads over Socket Mode."""

    def __init__(self, app: AsyncApp, app_token: str, web_client: AsyncWebClient) -> None:
        self._app = app
        self._urls = ConnectionUrls(web_client, app_token)
        self._open: list[Connection] = []
        """Connections that have not ended, the oldest first, with those that are being replaced."""
        self._maintaining: list[asyncio.Task[None]] = []
        self._lingering: dict[Connection, asyncio.Task[None]] = {}
        self._first_ready = asyncio.Event()
        self._refused: SlackRefused | None = None

    async def open(self) -> None:
        """Connect, and stay connected until `close`; returns once the first connection is ready.

        Raises SlackRefused if Slack refuses the token. Waits for as long as Slack cannot be reached.
        """
        self._maintaining = [asyncio.create_task(self._maintain()) for _ in range(CONNECTIONS)]
        try:
            await self._first_ready.wait()
            if self._refused is not None:
                raise self._refused
        except BaseException:
            await self.close()
            raise

    @property
    def is_open(self) -> bool:
        """True if a connection is ready, as far as its last ping has told."""
        return any(connection.is_ready for connection in self._open)

    async def close(self) -> None:
        """Take nothing more, send the answers that are due within three seconds, and hang up.

        Payloads that come in meanwhile stay unanswered, so that Slack can send them to another process.
        """
        stopping = [*self._maintaining, *self._lingering.values()]
        for connection in self._open:
            connection.accepts = False
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        await asyncio.gather(*(connection.finish() for connection in list(self._open)))

    async def _maintain(self) -> None:
        """Hold one connection after another; the next one is ready before the last one is let go."""
        last: Connection | None = None
        short = 0
        while True:
            connection = await self._connected(short)
            if last is not None:
                self._let_go(last)
            await connection.until(lambda: connection.needs_replacing)  # noqa: B023
            short = short + 1 if connection.was_short else 0
            if connection.reason not in PLANNED:
                log.warning("A connection to Slack was lost.", reason=connection.reason, left=len(self._open))
            last = connection

    async def _connected(self, failures: int) -> Connection:
        """Return a ready connection. Every attempt fetches a new URL, and attempts go on without end."""
        while True:
            if failures:
                await asyncio.sleep(pause_after(failures))
            async with best_effort("connect to Slack"):
                try:
                    return await self._attempt()
                except SlackRefused as refusal:
                    self._refuse(refusal)
                except (OSError, TimeoutError, WebSocketException, TocsinError) as error:
                    log.warning("No connection to Slack yet.", why=str(error) or type(error).__name__)
            failures += 1

    def _refuse(self, refusal: SlackRefused) -> None:
        """Pass a refusal of the first connection to `open`; log later ones, as their cause may be mended."""
        if not self._first_ready.is_set():
            self._refused = refusal
            self._first_ready.set()
        else:
            log.error("Slack refuses a connection.", why=refusal.sentence, again_in=LONGEST_PAUSE)

    async def _attempt(self) -> Connection:
        url = await self._urls.fetch()
        socket = await connect(
            url,
            proxy=None,
            compression=None,
            open_timeout=HELLO_SECONDS,
            # `Connection` pings itself: after a missed pong the library waits for a closing handshake.
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            max_size=LARGEST_ENVELOPE,
            logger=logging.getLogger("tocsin.socket"),
        )
        connection = Connection(socket, self._app, self._send_elsewhere)
        self._open.append(connection)
        connection.life.add_done_callback(lambda _: self._open.remove(connection))
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                await connection.until(lambda: connection.is_ready or connection.needs_replacing)
        except BaseException:
            socket.transport.abort()
            raise
        if not connection.is_ready:
            socket.transport.abort()
            if connection.reason == "too_many_websockets":
                self._give_way()
            raise Unavailable(f"Slack ended it at once ({connection.reason or 'without a word'}).")
        self._first_ready.set()
        return connection

    def _let_go(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.linger())
        self._lingering[connection] = task
        task.add_done_callback(lambda _: self._lingering.pop(connection))
        if sum(not waiting.hurry.is_set() for waiting in self._lingering) > MOST_LINGERING:
            self._give_way()

    def _give_way(self) -> None:
        """End the oldest replaced connection now, since Slack allows ten in all."""
        oldest = next((waiting for waiting in self._lingering if not waiting.hurry.is_set()), None)
        if oldest is not None:
            oldest.hurry.set()

    async def _send_elsewhere(self, answer: str) -> bool:
        """Send an answer over any ready connection, because its own has ended.

        Slack does not say that it accepts this; nothing else is left to try.
        """
        for connection in list(self._open):
            if connection.is_ready and await connection.send(answer):
                return True
        return False
