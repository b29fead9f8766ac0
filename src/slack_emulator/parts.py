"""The parts a workspace is put together from."""

from __future__ import annotations

from slack_emulator.assistant_threads import AssistantThreads
from slack_emulator.bookmarks import Bookmarks
from slack_emulator.clock import Clock, TurnableClock
from slack_emulator.conversations import Conversations
from slack_emulator.delivery import Delivery
from slack_emulator.events import Events, Tasks
from slack_emulator.faults import Faults
from slack_emulator.files import Files
from slack_emulator.messages import Messages
from slack_emulator.modals import Modals
from slack_emulator.rates import Rates
from slack_emulator.response_urls import ResponseUrls
from slack_emulator.scheduled_messages import ScheduledMessages
from slack_emulator.socket_mode import Sockets
from slack_emulator.state import State
from slack_emulator.step_runs import StepRuns
from slack_emulator.store import Store
from slack_emulator.streams import Streams
from slack_emulator.unfurls import Unfurls
from slack_emulator.wire_log import WireLog


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
        self.scheduled = ScheduledMessages(self.state, self.messages, self.tasks)
        self.streams = Streams(self.state, self.messages)
        self.assistant_threads = AssistantThreads(self.state, self.events, self.messages, self.conversations)
        self.messages.heeded.append(self.assistant_threads.heed)
        self.lacking: set[str] = set()
        """Methods of Slack's that an app called and that are not here."""
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
