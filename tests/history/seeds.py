"""Bugs that others have had, or that we nearly had: each must be caught by the invariant it breaks."""

from __future__ import annotations

from dataclasses import dataclass

from history.seeded import Edit
from history.violation import Invariant

SUBMIT = "tocsin.slack.listeners.declare"
DECLARE = "tocsin.actions.declare"
GATHERING = "tocsin.actions.gathering"
TELLING = "tocsin.actions.telling"
WORKSPACE = "tocsin.slack.workspace"
RULES = "tocsin.incidents.rules"


@dataclass(frozen=True)
class Seed:
    bug: str
    breaks: Invariant
    scenario: str
    edits: tuple[Edit, ...]


def _seed(bug: str, breaks: Invariant, scenario: str, module: str, old: str, new: str) -> Seed:
    return Seed(bug, breaks, scenario, (Edit(module, old, new),))


DECLARED = """\
        outcome = await desk.declare(order, delivery.acknowledged, PATIENCE - (monotonic() - began))
"""
SAVED_TOO_EARLY = """\
        async def later() -> None:
            import asyncio

            await asyncio.sleep(0.5)
            await desk.declare(order, delivery.acknowledged)

        desk.tasks.begin("declare", later())
        outcome = None
"""
SDK_RETRIES = """\
retry_handlers=[
        __import__("slack_sdk.http_retry.builtin_async_handlers", fromlist=["slack_sdk"])
        .AsyncServerErrorRetryHandler()
    ]"""
SHOWN = """\
        self, view_id: str, outcome: AnyOutcome, troubles: Sequence[Trouble], wanted_private: bool = False
    ) -> bool:
"""
SKIPPED = """\
                if refusal.code != "name_taken":
                    raise
                continue
"""
ADOPTED = """\
                if refusal.code != "name_taken":
                    raise
                slack = self._workspace
                listed = await slack.calls.make(slack.client.conversations_list, limit=1000)
                there = next(c for c in listed["channels"] if c["name"] == name)
                channel = Channel(id=there["id"], name=name)
"""

SEEDS = (
    _seed(
        "acknowledged as saved before the commit", "I1", "killed after the answer",
        SUBMIT,
        DECLARED,
        SAVED_TOO_EARLY,
    ),
    _seed(
        "a random key instead of the form's own", "I1", "pressed twice",
        SUBMIT, "uuid5(KEYS, ", '__import__("uuid").uuid4() or (',
    ),
    _seed(
        "the backend does not look at the key", "I1", "killed before the create is recorded",
        "tocsin.backends.local.declaring", '"key": declaration.key,', '"key": declaration.key + incident_id,',
    ),
    _seed(
        "no claim on the source message", "I1", "two on one message",
        DECLARE, "if source is None or order.another:", "if True:",
    ),
    _seed(
        "the claim is kept after a refusal", "I7", "refused",
        DECLARE, "            await _without_end(lambda: self._release(order))\n", "",
    ),
    _seed(
        "the SDK repeats a post whose answer was lost", "I3", "answers lost",
        "tocsin.slack.calls", "retry_handlers=[]", SDK_RETRIES,
    ),
    _seed(
        "a post is repeated without looking for the first", "I3", "answers lost",
        "tocsin.slack.posts", "(there := await self._find(to, key, thread))", "(there := None)",
    ),
    _seed(
        "a channel is made again without looking for the first", "I3", "answers lost",
        GATHERING, "            if again:\n                channel = ",
        "            if False:\n                channel = ",
    ),
    _seed(
        "a bookmark is added again without looking for the first", "I3", "answers lost",
        WORKSPACE, "        if again:\n            there = await self.calls.make(self.client.bookmarks_list",
        "        if False:\n            there = await self.calls.make(self.client.bookmarks_list",
    ),
    _seed(
        "a resumed step is not told that it may have been done", "I3",
        "killed before the first post is recorded",
        "tocsin.journal.durable", "again = not _begun_by_this_process.get()", "again = False",
    ),
    _seed(
        "a stranger's channel of the same name is adopted", "I3", "name taken",
        GATHERING,
        SKIPPED, ADOPTED,
    ),
    _seed(
        "trouble is swallowed", "I4", "parts refused",
        TELLING, "if not troubles or reporter is None:", "if True:",
    ),
    _seed(
        "saved was said, and never how it ended", "I4", "backend busy",
        TELLING, SHOWN, f"{SHOWN}        return True\n",
    ),
    _seed(
        "the pin is lost when the process was killed", "I4", "killed before the first post is recorded",
        GATHERING, "lambda _: self._workspace.pin(headline.channel, headline.ts)",
        "lambda again: asyncio.sleep(0) if again else self._workspace.pin(headline.channel, headline.ts)",
    ),
    _seed(
        "the lead is not brought into the channel", "I4", "by command",
        GATHERING, "self._workspace.invite(channel, incident.people)",
        "self._workspace.invite(channel, incident.people[:1])",
    ),
    _seed(
        "a name is not escaped in a message", "I5", "by command",
        "tocsin.slack.views.card", "name = escape(shortened(incident.name, NAME_LIMIT))",
        "name = shortened(incident.name, NAME_LIMIT)",
    ),
    _seed(
        "a name is not escaped in a topic", "I5", "by command",
        "tocsin.slack.views.channel", "escape(shortened(text, room))", "shortened(text, room)",
    ),
    _seed(
        "the channel is made public when a private one is refused", "I5", "private channel refused",
        GATHERING, 'if refusal.code != "name_taken":\n                    raise\n',
        'if refusal.code != "name_taken":\n                    private = False\n',
    ),
    _seed(
        "a private card goes to where it was declared", "I5", "in private",
        RULES, "if origin and not incident.is_private:", "if origin:",
    ),
    _seed(
        "a private incident is announced", "I5", "in private",
        RULES, "announced = announce and not incident.is_private and", "announced = announce and",
    ),
    _seed(
        "a private incident is on the pages", "I5", "in private",
        "tocsin.web.access", "if self.trusted or not incident.is_private:", "if True:",
    ),
    _seed(
        "a test is announced", "I3", "only a test",
        RULES, ' and incident.mode != "test"', "",
    ),
    _seed(
        "a card is not remembered", "I7", "by command",
        GATHERING, "        await self._ledger.remember_card(incident.id, card)\n", "",
    ),
    Seed(
        "who picks the same message reads of a private incident", "I5", "in private",
        (
            Edit(DECLARE, 'if declaration.visibility == "public" else', "if True else"),
            Edit(DECLARE, "and visible_to(declaration.reporter.slack_user_id, earlier):", "and True:"),
        ),
    ),
    _seed(
        "a change is not in the timeline", "I6", "by command",
        GATHERING, 'await self._backend.note(incident.id, entry, f"{key}:channel")', "pass",
    ),
    _seed(
        "a change is in the timeline twice", "I6", "killed before the channel's step is recorded",
        GATHERING, 'f"{key}:channel"', 'f"{entry.at}"',
    ),
    Seed(
        "Slack's refusal of one part ends the whole story", "I7", "parts refused",
        (
            Edit("tocsin.actions.attempts", "except SlackRefused as refusal:", "except KeyError as refusal:"),
            Edit("tocsin.actions.attempts", "async with best_effort(name):", "if True:"),
        ),
    ),
    _seed(
        "the window shows another reference", "I8", "by command",
        "tocsin.slack.views.declared", "return _answer(incident.reference, blocks)",
        'return _answer(f"INC-{int(incident.reference[4:]) + 1}", blocks)',
    ),
)  # fmt: skip
