"""The parts a workspace is put together from."""

from __future__ import annotations

from tocsin.playground.bookmarks import Bookmarks
from tocsin.playground.clock import Clock, TurnableClock
from tocsin.playground.conversations import Conversations
from tocsin.playground.delivery import Delivery
from tocsin.playground.events import Events, Tasks
from tocsin.playground.faults import Faults
from tocsin.playground.files import Files
from tocsin.playground.messages import Messages
from tocsin.playground.modals import Modals
from tocsin.playground.rates import Rates
from tocsin.playground.response_urls import ResponseUrls
from tocsin.playground.socket_mode import Sockets
from tocsin.playground.state import State
from tocsin.playground.step_runs import StepRuns
from tocsin.playground.store import Store
from tocsin.playground.unfurls import Unfurls
from tocsin.playground.wire_log import WireLog


class Parts:
    def __init__(
        self,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        base_url: str = "http://127.0.0.1:8080",
    ) -> None:
        self.clock: Clock = clock or TurnableClock()
        self.store = store
        self.state = State(store, self.clock)
        self.wire = WireLog(self.clock)
        self.faults = Faults()
        self.rates = Rates(self.clock)
        self.tasks = Tasks()
        self.sockets = Sockets()
        self.delivery = Delivery(self.clock, self.sockets, self.wire)
        self.events = Events(self.state, self.delivery, self.tasks)
        self.messages = Messages(self.state, self.events)
        self.conversations = Conversations(self.state, self.events, self.messages)
        self.bookmarks = Bookmarks(self.state)
        self.files = Files(self.state, self.messages)
        self.modals = Modals(self.state)
        self.steps = StepRuns(self.state, self.events)
        self.unfurls = Unfurls(self.state, self.events, self.messages, self.modals)
        self.messages.heeded.append(self.unfurls.heed)
        self.response_urls = ResponseUrls(self.state, self.messages)
        self.base_url = base_url

    def share_sockets(self, sockets: Sockets) -> None:
        """Deliver over connections that an app holds for several workspaces."""
        self.sockets = sockets
        self.delivery.sockets = sockets

    @property
    def base_url(self) -> str:
        """Where this workspace is served, without a final slash; set it once the port is known."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self._base_url = url.rstrip("/")
        self.response_urls.base_url = self._base_url
