"""The sample workspace: users, channels, alerts, and a conversation in the thread of an alert."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

from slack_emulator.composer import escape, flatten, rich_text_of
from slack_emulator.messages import names_in
from slack_emulator.models import Channel, ChannelKind, Json, Message, Person, Team, UserGroup
from slack_emulator.state import State
from slack_emulator.workspace import Workspace

TEAM = Team("T0LUMEN0001", "Lumen Freight", "lumen-freight")

PEOPLE = (
    Person("U0ANA00001", "ana", "Ana Ferreira", "ana@lumen.example", "owner", color="9f69e7"),
    Person("U0BEN00002", "ben", "Ben Okafor", "ben@lumen.example", "admin", color="4bbe2e"),
    Person("U0CHLOE003", "chloe", "Chloe Marchetti", "chloe@lumen.example", color="e7392d"),
    Person("U0DARIUS04", "darius", "Darius Novak", "darius@lumen.example", color="3c989f"),
    Person("U0PRIYA005", "priya", "Priya Raman", "priya@lumen.example", color="df3dc0"),
    Person("U0GUS00006", "gus", "Gus Lindqvist", "gus@haulpartner.example", "guest", color="a2a5dc"),
    Person("U0TOM00007", "tom", "Tom Aldridge", "tom@lumen.example", deleted=True, color="757575"),
)
STAFF = ("ana", "ben", "chloe", "darius", "priya")

MONITOR = {"bot_id": "B0WATCH001", "username": "Watchtower", "subtype": "bot_message"}
GUIDE = {"bot_id": "B0GUIDE001", "username": "Guide", "subtype": "bot_message"}
MINUTE = 60.0


def seed(workspace: Workspace, *, advice: str = "") -> None:
    """Fill an empty workspace; `advice` is mrkdwn that is posted for new users in #general and #alerts."""
    planting = _Planting(workspace.state)
    planting.people()
    planting.channels()
    planting.conversation()
    planting.alerts()
    if advice:
        planting.advise(advice)
    planting.leave_alerts_unread()


class _Planting:
    def __init__(self, state: State) -> None:
        self.state = state
        self.ids = {person.name: person.id for person in PEOPLE}
        self.rooms: dict[str, str] = {}

    def people(self) -> None:
        # Copies, so that a change in one workspace does not reach the next.
        self.state.save(deepcopy(TEAM))
        for person in PEOPLE:
            self.state.save(replace(person))
        oncall = UserGroup("S0ONCALL01", "oncall", "On call", [self.ids["chloe"], self.ids["darius"]])
        oncall.description = "Whoever holds the pager this week"
        self.state.save(oncall)

    def channels(self) -> None:
        self._room("C0GENERAL1", "general", "public", (*STAFF, "gus"), "Company-wide news", general=True)
        self._room("C0ALERTS02", "alerts", "public", STAFF, "Everything that monitors us speaks here")
        self._room("C0INCIDEN3", "incidents", "public", STAFF, "What is burning, what was put out")
        self._room("C0HAULERS4", "haulpartner", "public", ("ana", "priya", "gus"), "With HaulPartner")
        self._room("G0LEADS005", "leads", "private", ("ana", "ben"), "Leads only")
        self._room("D0ANACHLO6", "", "im", ("ana", "chloe"), "")
        self._room("D0BENDARI7", "", "im", ("ben", "darius"), "")

    def _room(
        self, id: str, name: str, kind: ChannelKind, who: Iterable[str], purpose: str, general: bool = False
    ) -> None:
        members = [self.ids[n] for n in who]
        created = int(self.state.now() - 400 * 24 * 3600)
        channel = Channel(id, name, kind, members[0], created, members, purpose=purpose, is_general=general)
        self.rooms[name or id] = id
        self.state.save(channel)

    def _said(self, room: str, who: str, ago: float, text: str, thread_ts: str | None = None) -> Message:
        blocks = rich_text_of(text, names_in(self.state))
        fields: Json = {"user": self.ids[who], "text": flatten(blocks), "blocks": blocks}
        return self._post(room, ago, fields | {"thread_ts": thread_ts})

    def _post(self, room: str, ago: float, fields: Json) -> Message:
        ts = self.state.next_ts(self.state.now() - ago * MINUTE)
        message = Message(self.rooms[room], ts, **fields)
        self.state.save(message)
        return message

    def conversation(self) -> None:
        self._said("general", "ana", 1520, "Morning all. The new depot in Ghent goes live on Thursday :tada:")
        welcome = self._said(
            "general", "ben", 1490, "Route planner 4.2 is out, release notes are in the wiki"
        )
        welcome.reactions = [("rocket", [self.ids["chloe"], self.ids["priya"]]), ("eyes", [self.ids["ana"]])]
        self.state.save(welcome)
        self._said(
            "general", "priya", 310, "@gus the carrier feed from HaulPartner looks right again, thanks!"
        )
        self._said("general", "gus", 300, "Great, we had a stale certificate on our side")
        self._said("incidents", "darius", 2900, "Quiet week so far. Handover notes: *nothing open*")
        self._said("haulpartner", "gus", 1400, "Our maintenance window is Sunday 02:00 to 04:00")
        self._said("leads", "ben", 700, "Budget review moved to Friday")
        self._said("D0ANACHLO6", "chloe", 95, "Could you look at the tracking numbers from Antwerp?")
        self._said("D0BENDARI7", "darius", 1200, "Swapping on-call with Chloe on Tuesday")

    def alerts(self) -> None:
        self._post("alerts", 190, MONITOR | {"text": PLAIN_ALERT})
        rich = self._post("alerts", 42, MONITOR | {"text": "Checkout p95 above 4 s", "blocks": BLOCK_ALERT})
        self._post("alerts", 12, MONITOR | {"attachments": ATTACHMENT_ALERT})
        rich.thread_ts = rich.ts
        rich.reactions = [("eyes", [self.ids["chloe"], self.ids["darius"]])]
        self.state.save(rich)
        for who, ago, text in THREAD:
            self._said("alerts", who, ago, text, rich.ts)

    def advise(self, advice: str) -> None:
        for room in ("general", "alerts"):
            self._post(room, 1, GUIDE | {"text": advice})

    def leave_alerts_unread(self) -> None:
        for channel in self.state.channels.values():
            messages = list(self.state.messages[channel.id])
            for person in channel.members:
                unread = 2 if channel.name == "alerts" else 0
                seen = messages[: len(messages) - unread]
                if seen:
                    self.state.mark_read(person, channel.id, seen[-1])


PLAIN_ALERT = escape("[RESOLVED] disk usage on db-replica-2 back under 80% (was 91% for 23 min)")

BLOCK_ALERT: list[Json] = [
    {
        "type": "header",
        "block_id": "head",
        "text": {"type": "plain_text", "text": "Checkout p95 above 4 s", "emoji": True},
    },
    {
        "type": "section",
        "block_id": "facts",
        "fields": [
            {"type": "mrkdwn", "text": "*Service*\ncheckout-api"},
            {"type": "mrkdwn", "text": "*Region*\neu-west-1"},
            {"type": "mrkdwn", "text": "*Now*\n4.8 s (threshold 4 s)"},
            {"type": "mrkdwn", "text": "*Since*\n6 minutes"},
        ],
    },
    {
        "type": "context",
        "block_id": "links",
        "elements": [
            {
                "type": "mrkdwn",
                "text": "<https://watchtower.example/d/checkout|Dashboard> · <https://watchtower.example/r/118|Runbook>",
            }
        ],
    },
]

ATTACHMENT_ALERT: list[Json] = [
    {
        "id": 1,
        "color": "d9383a",
        "fallback": "FIRING: payment webhooks failing, 312 errors in 5 minutes",
        "title": "FIRING: payment webhooks failing",
        "title_link": "https://watchtower.example/a/5521",
        "text": "312 errors in 5 minutes from `payments-gateway`: upstream answered 502",
        "fields": [
            {"title": "Severity", "value": "critical", "short": True},
            {"title": "Runbook", "value": "<https://watchtower.example/r/77|Webhook retries>", "short": True},
        ],
        "footer": "Watchtower",
    }
]

THREAD = (
    ("chloe", 39, "Looking. Started right after the 4.2 rollout?"),
    ("darius", 36, "The pool of connections to `orders-db` is full, see https://watchtower.example/d/orders"),
    ("chloe", 30, "Doubled the pool, watching. @ben FYI, some carts may have timed out"),
)
