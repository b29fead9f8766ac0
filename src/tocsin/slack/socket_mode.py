"""Socket Mode: two connections, their URLs, and a watch that notices a lost one."""

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
from tocsin.slack.web_api import asked, told
from tocsin.workflows.retry import best_effort

# One connection of Socket Mode: what comes in on it is answered on it, and a dead one is found out.

PING_SECONDS, PONG_SECONDS = 3.0, 2.0
"""A connection that has silently died is noticed when a pong is two seconds late, so within five seconds."""

GLANCE_SECONDS = 0.1
STEADY_SECONDS = 5.0
"""A connection that goes sooner than this, and unannounced, counts as one more failure."""

LINGER_SECONDS = 60.0
"""How long a connection that was replaced is kept for Slack to end it.

What Slack sends while we hang up could not be answered where it was asked; Slack itself ends a connection
some ten seconds after its warning.
"""

ANSWER_SECONDS = 3.0
PLANNED = frozenset({"warning", "refresh_requested"})
"""Why Slack asks for a new connection every few hours, with nothing being wrong."""

Elsewhere = Callable[[str], Awaitable[bool]]
log = structlog.get_logger()


class Connection:
    """One WebSocket, from `hello` to its end."""

    def __init__(self, socket: ClientConnection, app: AsyncApp, elsewhere: Elsewhere) -> None:
        self._socket = socket
        self._app = app
        self._elsewhere = elsewhere
        self._in_hand: set[asyncio.Task[None]] = set()
        self._began = asyncio.get_running_loop().time()
        self.standing = False
        self.takes = True
        self.reason = ""
        """Why Slack wants it replaced: `warning`, `refresh_requested` or another word of its own."""
        self.changed = asyncio.Event()
        """Set when it came to stand, and again once it needs replacing."""
        self.hurry = asyncio.Event()
        """Set when it has been replaced, and Slack may not be waited for to end it."""
        self.life = asyncio.create_task(self._live())
        self.life.add_done_callback(lambda _: self.changed.set())

    @property
    def needs_replacing(self) -> bool:
        return bool(self.reason) or self.life.done()

    @property
    def was_short(self) -> bool:
        """Whether it went at once, and not because Slack asked for a new one."""
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
                self._hear(frame)
        except ConnectionClosed:
            # How it ended makes no difference: it is replaced.
            return
        finally:
            pinging.cancel()
            self.standing = False

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            answered = asyncio.create_task(self._answered_ping())
            # When we were held up ourselves, time is up before what has come meanwhile is read.
            for patience in (PONG_SECONDS, GLANCE_SECONDS):
                await asyncio.wait({answered}, timeout=patience)
            if not answered.done():
                # A closing handshake would wait for somebody who is gone.
                self._socket.transport.abort()
                return

    async def _answered_ping(self) -> None:
        # A ping that cannot even be written is none: its connection is full of what nobody takes.
        with contextlib.suppress(ConnectionClosed):
            await (await self._socket.ping())

    def _hear(self, frame: str | bytes) -> None:
        try:
            said = json.loads(frame)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            log.warning("Slack sent what is no JSON object", size=len(frame))
        elif said.get("type") == "hello":
            self.standing = True
            self.changed.set()
        elif said.get("type") == "disconnect":
            self.reason = str(said.get("reason") or "unknown")
            self.changed.set()
        elif said.get("envelope_id") and isinstance(said.get("payload"), dict) and self.takes:
            task = asyncio.create_task(self.handle(said))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)

    async def handle(self, envelope: Mapping[str, Any]) -> None:
        """Have one payload answered; its delivery knows when the answer has been written."""
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
        """Whether it could be written."""
        try:
            await self._socket.send(answer)
        except ConnectionClosed:
            return False
        return True

    async def finish(self) -> None:
        """Give the answers that are due, and close."""
        if self._in_hand:
            await asyncio.wait(set(self._in_hand), timeout=ANSWER_SECONDS)
        await self._socket.close()
        await asyncio.wait({self.life})

    async def linger(self) -> None:
        """Serve on until Slack ends it; end it ourselves if Slack does not, or when in a hurry."""
        hurried = asyncio.create_task(self.hurry.wait())
        ends: set[asyncio.Task[Any]] = {self.life, hurried}
        await asyncio.wait(ends, timeout=LINGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await self.finish()


def _headers(envelope: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """As HTTP mode has them (Slack, Events API: retries)."""
    known = {"x-slack-retry-num": "retry_attempt", "x-slack-retry-reason": "retry_reason"}
    return {header: str(envelope[name]) for header, name in known.items() if envelope.get(name) is not None}


def _answer(envelope: Mapping[str, Any], answered: BoltResponse) -> str | None:
    """What goes back to Slack; None for what it had better send again, or tell the person about."""
    if answered.status != 200:
        log.warning("not answered", kind=envelope.get("type"), status=answered.status)
        return None
    answer: dict[str, Any] = {"envelope_id": envelope["envelope_id"]}
    if answered.body:
        kind = answered.headers.get("content-type", [""])[0]
        is_json = kind.startswith("application/json")
        answer["payload"] = json.loads(answered.body) if is_json else {"text": answered.body}
    return json.dumps(answer)


# One-shot tickets for Socket Mode, and how long to pause between attempts to get connected.

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 10.0, 1.7


def pause_after(failures: int) -> float:
    """Seconds until the next attempt: five failures take less than ten, and later ones ten each at most.

    Jitter keeps those who lost Slack together from coming back together.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(failures - 1, 20))
    return longest * random.uniform(0.5, 1.0)


class Tickets:
    """Tickets for one app, asked for one at a time.

    Slack, apps.connections.open: limited to about one call a minute. What it asks with `Retry-After` is
    waited out by everybody who wants a ticket.
    """

    def __init__(self, client: AsyncWebClient, app_token: str) -> None:
        self._client = client
        self._app_token = app_token
        self._turn = asyncio.Lock()
        self._opens_at = 0.0

    async def fetch(self) -> str:
        """An address that is good for one connection. Raises Unavailable or SlackRefused."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(self._opens_at - loop.time())
            try:
                answer = await asked(self._client.apps_connections_open, app_token=self._app_token)
            except Unavailable as error:
                if error.retry_after is not None:
                    self._opens_at = loop.time() + error.retry_after
                raise
            return told(answer, "url")


# Socket Mode: two connections, each replaced before it goes where Slack gives notice, and at once where
# not.
#
# Slack, Using Socket Mode: an app may hold up to ten connections, any of them may be sent a payload, and
# Slack ends each of them now and then, with a warning if it can.

CONNECTIONS = 2
HELLO_SECONDS = 10.0
CLOSE_SECONDS = 1.0
MOST_LINGERING = 4
LARGEST_ENVELOPE = 16 * 1024 * 1024


class SocketDoor:
    """Payloads come in over Socket Mode."""

    def __init__(self, app: AsyncApp, app_token: str, web_client: AsyncWebClient) -> None:
        self._app = app
        self._tickets = Tickets(web_client, app_token)
        self._open: list[Connection] = []
        """Every connection that has not ended, the oldest first; those to be replaced are among them."""
        self._keeping: list[asyncio.Task[None]] = []
        self._lingering: dict[Connection, asyncio.Task[None]] = {}
        self._stood = asyncio.Event()
        self._refused: SlackRefused | None = None

    async def open(self) -> None:
        """Connect, and stay connected until `close`; answers once the first connection stands.

        Raises SlackRefused when Slack does not take the token. Waits for as long as Slack cannot be reached.
        """
        self._keeping = [asyncio.create_task(self._keep()) for _ in range(CONNECTIONS)]
        try:
            await self._stood.wait()
            if self._refused is not None:
                raise self._refused
        except BaseException:
            await self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether a connection stands, as far as its last ping has told."""
        return any(connection.standing for connection in self._open)

    async def close(self) -> None:
        """Take nothing more, give the answers that are due within three seconds, and hang up.

        What comes in meanwhile stays without an answer, so that Slack can ask somebody else.
        """
        stopping = [*self._keeping, *self._lingering.values()]
        for connection in self._open:
            connection.takes = False
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        await asyncio.gather(*(connection.finish() for connection in list(self._open)))

    async def _keep(self) -> None:
        """One connection after the other; the next one stands before the last one is let go."""
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
        """A connection that stands. Every attempt takes a fresh ticket, and no failure is the last."""
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
        """Tell whoever waits for the first connection; later ones are tried again, as things get mended."""
        if not self._stood.is_set():
            self._refused = refusal
            self._stood.set()
        else:
            log.error("Slack refuses a connection.", why=refusal.sentence, again_in=LONGEST_PAUSE)

    async def _attempt(self) -> Connection:
        url = await self._tickets.fetch()
        socket = await connect(
            url,
            proxy=None,
            compression=None,
            open_timeout=HELLO_SECONDS,
            # Pings are our own: those of the library wait for a closing handshake with whom they have lost.
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
                await connection.until(lambda: connection.standing or connection.needs_replacing)
        except BaseException:
            socket.transport.abort()
            raise
        if not connection.standing:
            socket.transport.abort()
            if connection.reason == "too_many_websockets":
                self._give_way()
            raise Unavailable(f"Slack ended it at once ({connection.reason or 'without a word'}).")
        self._stood.set()
        return connection

    def _let_go(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.linger())
        self._lingering[connection] = task
        task.add_done_callback(lambda _: self._lingering.pop(connection))
        if sum(not waiting.hurry.is_set() for waiting in self._lingering) > MOST_LINGERING:
            self._give_way()

    def _give_way(self) -> None:
        """Have the oldest connection that was replaced end now: Slack allows ten in all."""
        oldest = next((waiting for waiting in self._lingering if not waiting.hurry.is_set()), None)
        if oldest is not None:
            oldest.hurry.set()

    async def _send_elsewhere(self, answer: str) -> bool:
        """Over any connection that stands, for an answer whose own connection is gone.

        Slack does not say that it counts there; nothing else is left to try.
        """
        for connection in list(self._open):
            if connection.standing and await connection.send(answer):
                return True
        return False
