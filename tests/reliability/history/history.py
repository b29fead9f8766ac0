"""What happened in a run: what went over the wire, what people saw, what the stores hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from reliability.history.deeds import Deed
from slack_emulator.workspace import Workspace

Json = dict[str, Any]

INCIDENT_TABLES = (
    "incidents",
    "incident_role_assignments",
    "incident_timeline_items",
    "incident_statuses",
    "severities",
    "follow_ups",
)
JOURNAL_TABLES = (
    "tocsin_sources",
    "tocsin_declared",
    "tocsin_cards",
    "tocsin_channels",
    "tocsin_reminders",
)


@dataclass(frozen=True)
class Press:
    """Somebody submitted a declare form, once or several times; what was in it is on the record.

    Or a workflow came to our step: its execution is the form then, and its reporter who pressed.

    `token` is a word in the incident's name that stands nowhere else: by it the incident is recognised.
    `secrets` are further words (of its summary, say) that nobody outside may read when it is private.
    """

    view_id: str
    person: str
    token: str
    origin: str | None = None
    """The channel it was declared from, None for the global shortcut."""
    message: tuple[str, str] | None = None
    """Channel and ts of the message it was declared from."""
    another: bool = False
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """A request of a client for a declaration, answered; `view_id` is its idempotency key.

    `state` is what was asked for, as it would stand in a form.
    """

    view_id: str
    said: str
    reference: str = ""
    state: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page that was fetched; `signed_in` when it was fetched with the bearer token."""

    url: str
    status: int
    text: str
    signed_in: bool = False


@dataclass(frozen=True)
class Exchange:
    """One exchange on the wire, as `playground.model.Request` has it."""

    direction: str
    method: str
    args: Json
    at: float
    ok: bool | None
    error: str | None
    response: Json | None
    took: float | None
    finished: bool
    retry_attempt: int = 0
    lost: bool = False


@dataclass(frozen=True)
class History:
    """A whole run as plain data: it may span several processes of the bot, and can be kept as JSON."""

    presses: tuple[Press, ...]
    bot: str
    """The bot's user id."""
    announce: str | None
    kills: tuple[float, ...]
    """When the bot was killed, by the workspace's clock."""
    exchanges: tuple[Exchange, ...]
    channels: tuple[Json, ...]
    messages: tuple[Json, ...]
    windows: tuple[Json, ...]
    """The modals that are open at the end, bottom first: `id`, `user` and `payload`."""
    people: dict[str, str]
    tables: dict[str, list[Json]] = field(default_factory=dict)
    """Rows of the incident file and of the journal, by table."""
    stories: dict[str, str] = field(default_factory=dict)
    """The status of each durable story, by its key."""
    integrity: dict[str, str] = field(default_factory=dict)
    """What SQLite says of each file: `ok`, or what is wrong with it."""
    pages: tuple[Page, ...] = ()
    log: str = ""
    """What the bot wrote about itself, all processes together."""
    backend: str = "local"
    """Where the incidents are kept; elsewhere, the rows of their tables are what a vendor's record says."""
    deeds: tuple[Deed, ...] = ()
    """What was done to incidents that exist, in the order in which it was begun."""
    files: tuple[Json, ...] = ()
    """What is there at the end, canvases among it; a canvas is the `tab_of` a channel."""
    steps: tuple[Json, ...] = ()
    """Executions of our step in workflows: `id`, `state`, `outputs` and `error`."""
    answered: tuple[Answered, ...] = ()
    """What clients that declare with a key were answered."""

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        folder: Path,
        presses: Iterable[Press],
        *,
        kills: Sequence[float] = (),
        pages: Sequence[Page] = (),
        log: str = "",
        announce: str | None = "incidents",
        kept: Mapping[str, list[Json]] | None = None,
        backend: str = "local",
        deeds: Sequence[Deed] = (),
        answered: Sequence[Answered] = (),
    ) -> History:
        """What there is to know once the bot is quiet or gone; `announce` is the announcement channel's name.

        The files are opened read-only, so a bot may still have them open.
        """
        tables = dict(kept) if kept is not None else _rows(folder / "incidents.db", INCIDENT_TABLES)
        tables |= _rows(folder / "journal.db", JOURNAL_TABLES)
        whole = cls(
            presses=tuple(presses),
            bot=workspace.apps()[0].bot_user_id,
            announce=workspace.channel_by_name(announce).id if announce else None,
            kills=tuple(kills),
            exchanges=tuple(_exchange(asdict(request)) for request in workspace.requests),
            channels=tuple(asdict(channel) for channel in workspace.state.channels.values()),
            messages=tuple(
                asdict(message) for room in workspace.state.messages.values() for message in room.values()
            ),
            windows=tuple(
                {"id": view.id, "user": view.user, "payload": view.payload}
                for person in workspace.people()
                for view in workspace.stack(person.id)
            ),
            people={person.id: person.name for person in workspace.people()},
            tables=tables,
            stories=_stories(folder / "journal.db"),
            integrity={path.name: _integrity(path) for path in sorted(folder.glob("*.db"))},
            pages=tuple(pages),
            log=log,
            backend=backend,
            deeds=tuple(deeds),
            answered=tuple(answered),
            files=tuple(_file(asdict(file)) for file in workspace.state.files.values()),
            steps=tuple(_step(vars(run)) for run in workspace.steps.runs),
        )
        # What can be kept is what is judged: no object of the run stays behind in it.
        return cls.from_json(whole.to_json())

    @property
    def makes_channel(self) -> bool:
        """Whether the backend opens the channels of incidents by itself, in the same Slack."""
        return self.backend == "incident_io"

    def to_json(self) -> bytes:
        return _AS_JSON.dump_json(self)

    @classmethod
    def from_json(cls, kept: bytes | str) -> History:
        return _AS_JSON.validate_json(kept)


_AS_JSON: TypeAdapter[History] = TypeAdapter(History)
_EXCHANGE_FIELDS = frozenset(Exchange.__dataclass_fields__)


def _exchange(request: Json) -> Exchange:
    return Exchange(**{name: value for name, value in request.items() if name in _EXCHANGE_FIELDS})


def _file(file: Json) -> Json:
    """Bytes of a picture are no text; nobody reads words in them."""
    return {**file, "content": file["content"].encode("utf-8", "replace").decode()}


def _step(run: Json) -> Json:
    return {name: run[name] for name in ("id", "state", "outputs", "error")}


def _rows(path: Path, tables: Iterable[str]) -> dict[str, list[Json]]:
    if not path.exists():
        return {table: [] for table in tables}
    with closing(_read_only(path)) as connection:
        there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]
            if table in there
            else []
            for table in tables
        }


def _stories(path: Path) -> dict[str, str]:
    """The workflows of ours in DBOS's table `workflow_status`; none before its first start."""
    if not path.exists():
        return {}
    with closing(_read_only(path)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'workflow_status'").fetchone()
        if found is None:
            return {}
        asked = "SELECT workflow_uuid, status FROM workflow_status WHERE name = 'story' ORDER BY created_at"
        return {row["workflow_uuid"]: row["status"] for row in connection.execute(asked)}


def _integrity(path: Path) -> str:
    with closing(_read_only(path)) as connection:
        try:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            orphans = [tuple(row) for row in connection.execute("PRAGMA foreign_key_check")]
        except sqlite3.DatabaseError as error:
            return str(error)
    return "; ".join(
        [*said, *(f"{table} row {row} names nothing in {parent}" for table, row, parent, _ in orphans)]
    )


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=120.0)
    connection.row_factory = sqlite3.Row
    return connection
