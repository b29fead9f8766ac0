"""What people are told of a declaration: in its window, else in a message to them alone."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from tocsin.actions.attempts import ALL_DAY, SLACK_ATTEMPTS, Trouble, attempt, sentences
from tocsin.actions.best_effort import best_effort, patiently
from tocsin.actions.orders import AlreadyDeclared, AnyOutcome, Declared, DeclareOrder, NotDeclared
from tocsin.actions.ports import Journal, Workspace
from tocsin.actions.waiting import Waiting
from tocsin.incidents.model import Incident, PersonId


class Telling:
    """Everything that is said to the reporter; each is a step of the declaration's story."""

    def __init__(self, *, workspace: Workspace, journal: Journal) -> None:
        self._workspace = workspace
        self._journal = journal

    def show(
        self,
        order: DeclareOrder,
        outcome: AnyOutcome,
        troubles: Sequence[Trouble] = (),
        waiting: Waiting[AnyOutcome] | None = None,
    ) -> Awaitable[Any]:
        """Put the outcome into the window; who is `waiting` for it and closed the window gets a message."""

        reporter = order.declaration.reporter.slack_user_id

        async def show(again: bool) -> None:
            if waiting is not None:
                waiting.shown = sum(answer.is_set() for answer in waiting.answers)
            wanted = waiting is not None and waiting.private
            seen = await self._shown(order, outcome, troubles, wanted)
            missed = waiting is not None and waiting.waited and not seen
            if seen and waiting is not None:
                waiting.visible()
            if missed and reporter is not None and isinstance(outcome, Declared):
                key = f"{order.declaration.key}:declared"
                incident = outcome.incident
                said = _declared(incident)
                await self._workspace.tell(reporter, said, about=incident, key=key, again=again)

        return attempt(self._journal, "show the outcome", "The form could not be updated", show, None)

    async def show_latecomers(
        self,
        order: DeclareOrder,
        outcome: Declared,
        troubles: Sequence[Trouble],
        waiting: Waiting[AnyOutcome],
    ) -> bool:
        """Put the outcome into the window again where an answer that knew less may have come after it.

        Answers whether that was needed.

        Such an answer is that of a second press, or of a press on the eve of a crash. So this is no step of
        the story: it is looked at anew in each process.
        """
        needed = waiting.has_latecomers
        while order.view_id is not None and waiting.has_latecomers:
            await waiting.read()
            waiting.shown = len(waiting.answers)
            async with best_effort("show the outcome again"):
                await patiently(
                    lambda _: self._shown(order, outcome, troubles, waiting.private),
                    again=True,
                    attempts=SLACK_ATTEMPTS,
                )
        return needed

    async def _shown(
        self,
        order: DeclareOrder,
        outcome: AnyOutcome,
        troubles: Sequence[Trouble],
        wanted_private: bool = False,
    ) -> bool:
        """Put the outcome into the modal; whether the reporter has it open."""
        view_id, reporter = order.view_id, order.declaration.reporter.slack_user_id
        if view_id is None:
            return False
        if isinstance(outcome, Declared):
            said = [*too_late(outcome.incident, wanted_private), *sentences(troubles)]
            return await self._workspace.show_declared(view_id, reporter, outcome.incident, said)
        if isinstance(outcome, AlreadyDeclared):
            return await self._workspace.show_already_declared(view_id, reporter, outcome.incident)
        return await self._workspace.show_not_declared(view_id, outcome.in_full)

    async def troubles(self, order: DeclareOrder, incident: Incident, troubles: Sequence[Trouble]) -> None:
        """Tell the reporter what could not be done."""
        reporter = incident.creator.slack_user_id
        if not troubles or reporter is None:
            return
        said = ". ".join(sentences(troubles))
        sentence = f"{incident.reference} is declared, but not everything went well: {said}."
        await self._tell(order, incident, "tell the reporter", sentence, "trouble")

    async def mended(self, order: DeclareOrder, incident: Incident) -> None:
        """Tell the reporter that the channel, which could not be made, has been made after all."""
        reporter = incident.creator.slack_user_id
        if reporter is not None:
            sentence = f"{incident.reference} has its channel now: <#{incident.slack_channel_id}>"
            await self._tell(order, incident, "tell of the channel", sentence, "mended")

    async def too_late(self, order: DeclareOrder, incident: Incident, said: Sequence[str]) -> None:
        """Tell the reporter that *private* came too late; no step of the story, which began without it."""
        reporter, key = order.declaration.reporter.slack_user_id, f"{order.declaration.key}:public"
        if reporter is not None:
            tell, sentence = self._workspace.tell, f"{said[0]}."
            async with best_effort("tell that it is public"):
                await patiently(
                    lambda again: tell(reporter, sentence, about=incident, key=key, again=again),
                    again=True,
                    attempts=ALL_DAY,
                )

    async def _tell(
        self, order: DeclareOrder, incident: Incident, name: str, sentence: str, about: str
    ) -> None:
        key = f"{order.declaration.key}:{about}"
        person = PersonId(incident.creator.slack_user_id or "")
        await attempt(
            self._journal,
            name,
            "The reporter could not be told",
            lambda again: self._workspace.tell(person, sentence, about=incident, key=key, again=again),
            attempts=ALL_DAY,
        )

    async def late(self, order: DeclareOrder, outcome: AnyOutcome) -> None:
        """Nobody waits any more: say in the modal, and to the reporter, that no incident was made."""
        reporter, key = order.declaration.reporter.slack_user_id, order.declaration.key
        await self.show(order, outcome)
        if reporter is None:
            return

        async def tell(again: bool) -> None:
            if isinstance(outcome, NotDeclared):
                name, wrong = order.declaration.name, outcome.in_full
                await self._workspace.ask_to_fix(reporter, name, wrong, key=key, again=again)
            elif isinstance(outcome, AlreadyDeclared):
                incident, already = outcome.incident, f"{key}:already"
                earlier = " ".join(filter(None, [incident.reference, incident.permalink]))
                sentence = f"Nothing new was declared: that message already has {earlier}"
                await self._workspace.tell(reporter, sentence, about=incident, key=already, again=again)

        failed = "The reporter could not be told"
        await attempt(self._journal, "say that nothing was made", failed, tell, attempts=ALL_DAY)


def too_late(incident: Incident, wanted_private: bool) -> list[str]:
    """What to say to somebody who ticked *private* after it was declared public; nothing to anybody else.

    The first press is what was declared, though its answer was lost: others may have read it by now.
    """
    if not wanted_private or incident.is_private:
        return []
    return [
        f"{incident.reference} is public: your first press had declared it already when you ticked "
        "Keep it private. Type /incident private in its channel to hide it from now on"
    ]


def _declared(incident: Incident) -> str:
    where = f"; carry on in <#{incident.slack_channel_id}>" if incident.slack_channel_id else ""
    at = f" ({incident.permalink})" if incident.permalink else ""
    return f"What you declared is through: it is {incident.reference}{at}{where}."
