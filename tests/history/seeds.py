"""Bugs that others have had, or that we nearly had: each must be caught by the invariant it breaks."""

from __future__ import annotations

from dataclasses import dataclass

from history.seeded import Edit
from history.violation import Invariant

SUBMIT = "tocsin.slack.listeners.declare"
DECLARE = "tocsin.actions.declare"
GATHERING = "tocsin.actions.gathering"
OPENING = "tocsin.actions.opening"
TELLING = "tocsin.actions.telling"
WORKSPACE = "tocsin.slack.workspace"
RULES = "tocsin.incidents.rules"
ARCHIVE = "tocsin.actions.archive"
WITHDRAW = "tocsin.actions.withdraw"


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
"""
ADOPTED = """\
            if refusal.code != "name_taken":
                raise
            listed = await slack.calls.make(slack.client.conversations_list, limit=1000)
            there = next(c for c in listed["channels"] if c["name"] == name)
            return Channel(id=there["id"], name=name)
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
        DECLARE, "            await without_end(lambda: self._release(order), DOING)\n", "",
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
        OPENING, "        if again and (ours", "        if False and (ours",
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
        OPENING,
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
        OPENING, 'if refusal.code != "name_taken":\n                raise\n',
        'if refusal.code != "name_taken":\n                private = False\n',
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
        "tocsin.web.access", "if self.trusted or (self.public and not incident.is_private):", "if True:",
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
        "a change is answered before it is made", "I1", "managed",
        "tocsin.actions.change",
        'await self._alarms.watched("backend", lambda: self._backend.change(before.id, change))', "before",
    ),
    _seed(
        "a change does not look at its key", "I6", "killed before a change is recorded",
        "tocsin.backends.local.changing",
        'if db.execute("SELECT 1 FROM incident_changes WHERE idempotency_key = ?", [change.key]).fetchone():',
        'change = change.model_copy(update={"key": str(__import__("uuid").uuid4())})\n        if False:',
    ),
    _seed(
        "a follow-up has a random key", "I1", "killed before a follow-up is recorded",
        "tocsin.actions.follow_up", "return follow_up_checked(order.request)",
        'return follow_up_checked(order.request).model_copy(update={"key": str(__import__("uuid").uuid4())})',
    ),
    _seed(
        "news has a random key", "I3", "killed before its news is recorded",
        "tocsin.actions.aftermath", 'key=f"{change.key}:news", again=again)',
        'key=f"{__import__(\'uuid\').uuid4()}:news", again=again)',
    ),
    _seed(
        "who was cut off is not told that it is done", "I4", "killed before a note is answered",
        "tocsin.actions.promises", "        if waiting.waited:\n", "        if waiting.late:\n",
    ),
    _seed(
        "an export is sent again after a restart", "I3", "killed before an export is recorded",
        "tocsin.slack.papers", "(there := await self._posts.find_file(channel, name))", "(there := None)",
    ),
    _seed(
        "a notice is given again after a restart", "I3", "killed before a notice is recorded",
        ARCHIVE, 'again=due.stage == "telling"', "again=False",
    ),
    _seed(
        "a channel is taken for gone before that is noted", "I6", "killed before the archiving is noted",
        ARCHIVE, "        await slack.archive(channel)\n",
        "        await slack.archive(channel)\n        await self._end(due)\n",
    ),
    _seed(
        "the document of what became private stays", "I5", "shown, then private",
        WITHDRAW, "        if channel == own:\n", "        if True:\n",
    ),
    _seed(
        "what became private is still shown below a link", "I5", "shown, then private",
        WITHDRAW, "if thing.startswith(UNFURL):", "if False:",
    ),
    _seed(
        "a workflow is never told that its step is done", "I4", "by workflow",
        "tocsin.actions.answering", "if not order.run:", "if True:",
    ),
    _seed(
        "the window shows another reference", "I8", "by command",
        "tocsin.slack.views.declared", "return _answer(incident.reference, blocks)",
        'return _answer(f"INC-{int(incident.reference[4:]) + 1}", blocks)',
    ),
)  # fmt: skip
