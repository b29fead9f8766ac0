"""What outlives a process keeps its form: a journal, a message or a form of an earlier version is still read.

`data/persisted.json` has all of it, as four journeys leave it behind: over each backend, and by rules. Beside
it is what the first three left before the steps of a workflow became fewer. Renew it only for what is added:
`TOCSIN_RENEW_PERSISTED=1 .venv/bin/pytest tests/test_persisted.py`.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.bot import RunningBot, chosen, running_bot, typed
from support.devrev import running_org
from support.errands import declared, press_card, sent
from support.hosted import staged
from support.incident_io.server import failing
from support.readings import cards, newest, settled, words
from support.slash import slash

from tocsin.incidents.model import Incident
from tocsin.slack import routes
from tocsin.storage.earlier_formats import first_changed

KEPT = Path(__file__).parent / "data" / "persisted.json"
BEFORE = KEPT.with_name("persisted-stories-1.json")
"""The same of the version whose workflows had other steps (see `storage/earlier_formats.py`)."""
RENEWS = os.environ.get("TOCSIN_RENEW_PERSISTED") == "1"

TYPED = (
    "status fixing",
    "severity critical",
    "update we rolled back",
    "lead <@U0BEN00002|ben>",
    "role comms <@U0BEN00002|ben>",
    "take comms",
    "invite <@U0CHLOE003|chloe>",
    "follow",
    "catchup",
    "rename carts are slow",
    "summary since noon",
    "call huddle",
    "fields customer or ticket: TKT-7",
    "time detected 5 minutes ago",
    "note graphs look odd",
    "action grow the disk <@U0BEN00002|ben>",
    "follow-up write an alert",
    "export json",
    "document",
)
"""Commands in the channel of an incident that are done at once."""

RULES = """
[[announcements]]
severities = ["Critical"]
channels = ["C0ALERTS02"]
invite = ["@oncall"]
[[nudges.rules]]
when = "no_lead"
after = "10 minutes"
[[tasks]]
severities = ["Critical"]
do = [{ title = "Open the bridge", role = "Communications Lead", runbook = "https://wiki.example.com/1" }]
[tracker]
url = "https://tracker.example.com/new?title={title}"
"""

OPENED = (
    *("role", "rename", "summary", "fields", "time", "note", "action", "accept", "decline", "cancel", "list"),
    *("show", "help"),
)
"""Commands that show something, and change nothing until a form is sent."""

SENT: dict[str, dict[str, Any]] = {
    "update": {
        "message": typed("we wait"),
        "next_update_minutes": chosen("30"),
    },
    "private": {},
    "close": {"message": typed("rolled back")},
}
"""Forms that commands open, and what is filled in."""


def paths(value: Any, above: str = "") -> Iterator[str]:
    """Where in a JSON value something is, `a.b[].c`; ids that are keys are left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = re.sub(r"^[A-Z0-9]{9,}$", "*", key)
            yield from paths(inner, f"{above}.{name}" if above else name)
        if not value and above:
            yield above
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{above}[]")
        if not value:
            yield f"{above}[]"
    else:
        yield above


def nameless(text: str) -> str:
    """A name under which something is kept, without what differs from run to run."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>", text)
    text = re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "<ulid>", text)
    text = re.sub(r"\b[CDFGTUVW]0[A-Z0-9]{5,}\b", "<slack id>", text)
    text = re.sub(r"\d{10}\.\d{6}", "<ts>", text)
    text = re.sub(r"https?://[^\s\"]+", "<url>", text)
    return re.sub(r"[0-9a-f]{16,}", "<hash>", text)


@dataclass(frozen=True)
class Story:
    """One workflow as it is written down: what was asked for, and its steps in order with their answers."""

    verb: str
    order: dict[str, Any]
    steps: list[tuple[str, Any]]


class Journal:
    """What is in a journal, read as another version would read it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "journal.db"
        self._told: set[str] = set()

    def rows(self, query: str, *given: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._file)) as file:
            return file.execute(query, given).fetchall()

    def new_stories(self) -> list[Story]:
        """The stories that began since this was asked last."""
        begun = self.rows(
            "SELECT w.workflow_uuid, w.name, i.inputs FROM workflow_status w "
            "JOIN workflow_input i USING (workflow_uuid) ORDER BY w.created_at, w.rowid"
        )
        return [self._story(*row) for row in begun if row[0] not in self._told]

    def _story(self, key: str, workflow: str, inputs: str) -> Story:
        self._told.add(key)
        verb, order = json.loads(inputs)["positionalArgs"]
        steps = self.rows(
            "SELECT function_name, output FROM operation_outputs"
            " WHERE workflow_uuid = ? ORDER BY function_id",
            key,
        )
        return Story(
            f"{workflow}: {verb}", order, [(name, json.loads(output or "null")) for name, output in steps]
        )

    def facts(self) -> dict[str, list[str]]:
        """What is remembered, by name, and its shape."""
        kept: dict[str, set[str]] = {}
        for name, fact in self.rows("SELECT name, fact FROM tocsin_facts"):
            shape = paths(json.loads(fact)) if fact[:1] in "[{" else ["text"]
            kept.setdefault(nameless(name), set()).update(shape)
        return {name: sorted(shape) for name, shape in sorted(kept.items())}

    def things(self) -> list[str]:
        """What the ledger calls what is shown, and what an incident was when it was seen."""
        named = self.rows("SELECT DISTINCT thing FROM tocsin_faces")
        return sorted({nameless(thing) for (thing,) in named})

    def seen(self) -> list[str]:
        return sorted(
            {
                path
                for (seen,) in self.rows("SELECT seen FROM tocsin_watched")
                for path in paths(json.loads(seen))
            }
        )


def tables(path: Path) -> dict[str, str]:
    """Our own tables and indexes as SQL; those of DBOS are its own."""
    with closing(sqlite3.connect(path)) as file:
        made = file.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    ours = path.name == "incidents.db"
    return {
        name: " ".join(sql.split())
        for name, table, sql in sorted(made)
        if ours or table.startswith("tocsin_")
    }


class Shown:
    """What Slack keeps for us: ids and metadata of forms and messages."""

    def __init__(self) -> None:
        self.views: dict[str, set[str]] = {}
        self.messages: set[str] = set()

    def look(self, bot: RunningBot) -> None:
        """Take down everything that was sent to Slack so far."""
        for call in bot.calls():
            view = call.args.get("view")
            if isinstance(view, str):
                view = json.loads(view)
            if view:
                name = f"{view['type']} {view.get('callback_id', '')}".strip()
                kept = self.views.setdefault(name, set())
                kept.update(self._ids(view.get("blocks", ())))
                if metadata := view.get("private_metadata"):
                    kept.update(f"private_metadata {path}" for path in paths(_read(metadata)))
            blocks = call.args.get("blocks") or ()
            self.messages.update(self._ids(json.loads(blocks) if isinstance(blocks, str) else blocks))
            metadata = call.args.get("metadata")
            if metadata:
                read = json.loads(metadata) if isinstance(metadata, str) else metadata
                shape = [path for path in paths(read) if not path.startswith("entities")]
                self.messages.update(f"metadata {read.get('event_type')} {path}" for path in shape)

    def _ids(self, blocks: Any) -> Iterator[str]:
        if isinstance(blocks, dict):
            for name in ("block_id", "action_id"):
                if name in blocks:
                    yield f"{name} {nameless(str(blocks[name]))}"
            for inner in blocks.values():
                yield from self._ids(inner)
        elif isinstance(blocks, list | tuple):
            for inner in blocks:
                yield from self._ids(inner)


def _read(metadata: str) -> Any:
    try:
        return json.loads(metadata)
    except ValueError:
        return "packed"


def as_json(found: Any) -> Any:
    return json.loads(json.dumps(found, default=sorted))


class Taken:
    """What a journey leaves behind, taken down gesture by gesture."""

    def __init__(self, bot: RunningBot) -> None:
        self._bot = bot
        self._shown, self._journal = Shown(), Journal(bot.folder)
        self._stories: dict[str, list[Any]] = {}
        self._orders: dict[str, set[str]] = {}
        self._outputs: dict[str, set[str]] = {}

    def down(self, gesture: str) -> list[Story]:
        """What the gesture began and showed; everything that follows it is done."""
        self._shown.look(self._bot)
        begun = self._journal.new_stories()
        for story in begun:
            self._orders.setdefault(story.verb, set()).update(paths(story.order))
            for name, output in story.steps:
                self._outputs.setdefault(name, set()).update(paths(output))
        if begun:
            self._stories[gesture] = [{story.verb: [name for name, _ in story.steps]} for story in begun]
        return begun

    def all(self) -> dict[str, Any]:
        return {
            "stories": self._stories,
            "orders": self._orders,
            "outputs": self._outputs,
            "facts": self._journal.facts(),
            "things": self._journal.things(),
            "seen": self._journal.seen(),
            "views": self._shown.views,
            "messages": self._shown.messages,
        }


async def over_local(folder: Path) -> dict[str, Any]:
    async with running_bot(folder) as bot:
        taken = Taken(bot)
        own = await declared(bot, "checkout is slow")
        taken.down("declare")
        other = await declared(bot, "payments down")
        message = bot.workspace.history(bot.slack.channel("alerts"), bot.slack.person("ana"))[0]
        form = await bot.pick_shortcut("ana", message)
        await bot.fill("ana", form, severity_id=chosen("minor"))
        assert (await bot.submit("ana", form)).ok
        await settled(bot)
        taken.down("declare from a message")
        await by_commands(bot, taken, own.slack_channel_id)
        await by_forms(bot, taken, own, other)
        await slash(bot, "ana", own.slack_channel_id, "test")
        await settled(bot)
        taken.down("test")
        for ending in ("cancel", "decline"):
            last = await declared(bot, f"to {ending}")
            taken.down("declare another")
            await slash(bot, "ana", last.slack_channel_id, f"{ending} it was a drill")
            await settled(bot)
            taken.down(ending)
        maybe = await declared(bot, "triage mail may be late")
        taken.down("triage")
        await slash(bot, "ana", maybe.slack_channel_id, "accept critical it is")
        await bot.app.settled()
        taken.down("accept")
        metrics = {
            family.name: {label for sample in family.samples for label in sample.labels}
            for family in bot.app.resources.metrics.registry.collect()
            if family.name.startswith("tocsin_")
        }
        kept = {name: tables(folder / name) for name in ("incidents.db", "journal.db")}
        tabled = (routes.VIEWS, routes.ACTIONS, routes.OPTIONS, routes.SHORTCUTS, routes.STEPS)
        return {**taken.all(), **kept, "metrics": metrics, "routes": [sorted(table) for table in tabled]}


async def by_commands(bot: RunningBot, taken: Taken, here: str) -> None:
    for text in TYPED:
        answered = await slash(bot, "ana", here, text)
        assert answered.view is None, text
        await settled(bot)
        taken.down(text.split()[0])
    posted = [m for m in bot.workspace.state.lasting(here) if "write an alert" in words(m)][-1]
    await press_card(bot, "ana", posted, "complete_follow_up")
    await settled(bot)
    while not taken.down("complete a follow-up"):
        await bot.app.settled()
    for verb in OPENED:
        await slash(bot, "ana", here, verb)
        taken.down(verb)
    await slash(bot, "ana", bot.slack.channel("general"), "status fixing")
    taken.down("status, elsewhere")


async def by_forms(bot: RunningBot, taken: Taken, own: Incident, other: Incident) -> None:
    for verb, fields in (SENT | {"merge": {"merged_into": chosen(other.id)}}).items():
        now = await bot.backend.find(own.id)
        assert now is not None
        answered = await slash(bot, "ana", now.slack_channel_id, verb)
        assert answered.view is not None, (verb, answered.said)
        await sent(bot, "ana", answered.view, **fields)
        await settled(bot)
        taken.down(f"{verb}, sent")
        if verb == "close":
            await slash(bot, "ana", now.slack_channel_id, "reopen")
            await settled(bot)
            taken.down("reopen")


async def over_incident_io(folder: Path) -> dict[str, Any]:
    async with staged(folder) as stage:
        bot, taken = stage.bot, Taken(stage.bot)
        view = await stage.filled()
        assert (await bot.submit("ana", view)).ok
        await stage.until(lambda: stage.io.account.incidents)
        stage.open_channel("inc-1-checkout-is-slow", "ana")
        await settled(bot)
        taken.down("declare")
        incident = await newest(bot)
        for text in ("status fixing", "update we rolled back", "follow-up write an alert", "note hm"):
            verb, _, rest = text.partition(" ")
            await slash(bot, "ana", bot.slack.channel("general"), f"{verb} {incident.reference} {rest}")
            await settled(bot)
            taken.down(verb)
        view = await stage.filled("payments down")
        stage.io.down = failing(503)
        assert (await bot.submit("ana", view)).ok
        await stage.until(
            lambda: [c for c in bot.workspace.state.channels.values() if c.name == "inc-payments-down"]
        )
        (shelter,) = [c for c in bot.workspace.state.channels.values() if c.name == "inc-payments-down"]
        stage.io.down = None
        await stage.until(lambda: any("INC-2" in words(card) for card in cards(bot, shelter.id)))
        stage.io.account.open_channel(stage.io.account.incidents[-1], "C0INCIDENT", "inc-2-payments")
        await settled(bot)
        taken.down("declare while it is away")
        return taken.all()


async def over_devrev(folder: Path) -> dict[str, Any]:
    async with (
        running_org() as (org, url),
        running_bot(folder, tocsin_backend="devrev", devrev_url=url, devrev_token=org.token) as bot,
    ):
        taken = Taken(bot)
        await declared(bot, "checkout is slow", severity_id=chosen("18"))
        taken.down("declare")
        incident = await newest(bot)
        for text in ("update we rolled back", "note hm", "rename carts are slow", "close done"):
            await slash(bot, "ana", incident.slack_channel_id, text)
            await settled(bot)
            taken.down(text.split()[0])
        return taken.all()


async def by_rules(folder: Path) -> dict[str, Any]:
    """Raised to a severity that rules announce, nudged about for want of a lead, and snoozed."""
    config, passed = folder / "tocsin.toml", timedelta()
    config.write_text(RULES)
    async with running_bot(
        folder / "data", clock=lambda: datetime.now(UTC) + passed, tocsin_config=config
    ) as bot:
        taken = Taken(bot)
        incident = await declared(bot, "checkout is slow")
        taken.down("declare")
        await slash(bot, "ana", incident.slack_channel_id, "severity critical")
        await settled(bot)
        taken.down("severity")
        for text in ("follow-up write an alert", "follow-up https://tracker.example.com/7"):
            await slash(bot, "ana", incident.slack_channel_id, text)
            await settled(bot)
            taken.down(text)
        posted = [
            m for m in bot.workspace.state.lasting(incident.slack_channel_id) if ":clipboard:" in words(m)
        ]
        await press_card(bot, "ana", posted[-1], "take_follow_up")
        await settled(bot)
        taken.down("take a task")
        passed = timedelta(minutes=11)
        await bot.app.workflows.nudger.nudge_due()
        taken.down("nudge")
        for text in ("snooze 2 hours", "snooze"):
            await slash(bot, "ana", incident.slack_channel_id, text)
            await settled(bot)
            taken.down(text)
        return taken.all()


JOURNEYS = {"local": over_local, "incident_io": over_incident_io, "devrev": over_devrev}


@pytest.mark.parametrize("backend", [*JOURNEYS, "rules"])
async def test_what_outlives_a_process_is_as_earlier_versions_left_it(backend: str, tmp_path: Path) -> None:
    found = as_json(await {**JOURNEYS, "rules": by_rules}[backend](tmp_path))
    kept: Mapping[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if RENEWS:
        KEPT.write_text(json.dumps({**kept, backend: found}, indent=1, sort_keys=True) + "\n")
    else:
        assert found == kept[backend]


@pytest.mark.parametrize("backend", JOURNEYS)
def test_of_an_earlier_format_only_steps_that_are_still_the_same_are_kept(backend: str) -> None:
    before, now = (json.loads(path.read_text())[backend] for path in (BEFORE, KEPT))
    for gesture, begun in before["stories"].items():
        for were, are in zip(begun, now["stories"][gesture], strict=True):
            ((name, steps),) = were.items()
            verb = name.removeprefix("story: ")
            recorded = dict(enumerate(steps, start=1))
            kept = steps[: first_changed(verb, recorded) - 1]
            assert kept == are[name][: len(kept)], gesture
            assert kept or name == "story: shelter", f"{gesture} forgets all that {verb} has recorded"
            for step in kept:
                assert unread(before["outputs"][step], now["outputs"][step]) == []
    assert before["orders"].keys() <= now["orders"].keys()
    for name, order in before["orders"].items():
        assert unread(order, now["orders"][name]) == []


def unread(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """What an earlier version kept and this one has no more, not even in a list that was empty then."""
    return [path for path in before if not any(one == path or one.startswith(f"{path}.") for one in now)]
