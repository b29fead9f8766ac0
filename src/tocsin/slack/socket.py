"""Socket Mode: two connections, each replaced before it goes where Slack gives notice, and at once where not.

Slack, Using Socket Mode: an app may hold up to ten connections, any of them may be sent a payload, and Slack
ends each of them now and then, with a warning if it can.
"""

from __future__ import annotations

import asyncio
import logging

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tocsin.incidents.errors import SlackRefused, TocsinError, Unavailable
from tocsin.slack.connection import PLANNED, Connection
from tocsin.slack.tickets import LONGEST_PAUSE, Tickets, pause_after
from tocsin.workflows.retry import best_effort

CONNECTIONS = 2
HELLO_SECONDS = 10.0
CLOSE_SECONDS = 1.0
MOST_LINGERING = 4
LARGEST_ENVELOPE = 16 * 1024 * 1024

log = structlog.get_logger()


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
