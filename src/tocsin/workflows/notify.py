"""Messages about a declaration: in the modal, in private, in its channel, in announcement channels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from tocsin.incidents.errors import Refused, Unavailable, Withheld
from tocsin.incidents.model import Card, ChannelId, Incident, PersonId
from tocsin.incidents.validation import Place
from tocsin.workflows.command import Waiting
from tocsin.workflows.declaration import AlreadyDeclared, AnyOutcome, Declared, DeclareOrder, NotDeclared
from tocsin.workflows.ports import IncidentBackend, Journal, SlackClient
from tocsin.workflows.retry import (
    ALL_DAY,
    SLACK_ATTEMPTS,
    Trouble,
    attempt,
    best_effort,
    patiently,
    sentences,
)

# What people are told of a declaration: in its window, else in a message to them alone.


class Telling:
    """Everything that is said to the reporter; each is a step of the declaration's story."""

    def __init__(self, *, workspace: SlackClient, journal: Journal) -> None:
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
                await self._workspace.messages.tell(reporter, said, about=incident, key=key, again=again)

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
            tell, sentence = self._workspace.messages.tell, f"{said[0]}."
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
            lambda again: self._workspace.messages.tell(
                person, sentence, about=incident, key=key, again=again
            ),
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
                await self._workspace.messages.ask_to_fix(reporter, name, wrong, key=key, again=again)
            elif isinstance(outcome, AlreadyDeclared):
                incident, already = outcome.incident, f"{key}:already"
                earlier = " ".join(filter(None, [incident.reference, incident.permalink]))
                sentence = f"Nothing new was declared: that message already has {earlier}"
                await self._workspace.messages.tell(
                    reporter, sentence, about=incident, key=already, again=again
                )

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


# Answer the workflow whose step has declared: with what became of it, so that its next steps may go on.

PAUSES = (0.1, 0.2, 0.5, 1, 2, 4, 8, 15, 30)
"""Seconds between two looks for the incident's channel; a workflow waits no longer for it than a minute."""


class Answering:
    """One instance for each workspace."""

    def __init__(self, *, backend: IncidentBackend, workspace: SlackClient, journal: Journal) -> None:
        self._backend = backend
        self._workspace = workspace
        self._journal = journal

    def steps(self, order: DeclareOrder, outcome: AnyOutcome) -> list[Awaitable[Any]]:
        """The step of a declaration's story that answers its workflow; none where a person declared."""
        if not order.run:
            return []
        return [
            attempt(
                self._journal,
                "answer the workflow",
                "The workflow could not be answered",
                lambda _: self.answer(order, outcome),
                attempts=ALL_DAY,
            )
        ]

    async def answer(self, order: DeclareOrder, outcome: AnyOutcome) -> None:
        """Say to the workflow what became of the declaration; saying it again changes nothing.

        What a workflow is told its later steps may post anywhere, and its log is read by whoever may change
        it. So of a private incident it is told no more than that the step is done.
        """
        if isinstance(outcome, NotDeclared):
            await self._workspace.fail_step(order.run, outcome.in_full)
            return
        incident = await self._in_its_channel(outcome.incident)
        outputs = {
            "reference": incident.reference,
            "permalink": incident.permalink or "",
            "channel": incident.slack_channel_id,
        }
        told = {name: value for name, value in outputs.items() if value}
        try:
            await self._workspace.complete_step(order.run, told, about=incident)
        except Withheld:
            await self._workspace.complete_step(order.run, {}, about=None)

    async def _in_its_channel(self, incident: Incident) -> Incident:
        """The incident with its channel; without one where that has not come within a minute."""
        for pause in PAUSES:
            if incident.slack_channel_id or incident.is_private:
                break
            await asyncio.sleep(pause)
            with suppress(Unavailable):
                incident = await self._backend.find(incident.id) or incident
        return incident


# What the rules say of an incident besides the usual: where else it is announced, which groups come.

Post = Callable[[DeclareOrder, Incident, Place, bool], Awaitable[Card]]
"""Posts the card in a place, and remembers where it is; told whether it may be there already."""


class Announcing:
    """Each announcement and each user group is a step of the declaration's story.

    What the rules say was decided when it was declared, so that each life of a story does the same.
    """

    def __init__(self, *, workspace: SlackClient, journal: Journal, announce: str | None, post: Post) -> None:
        self._workspace = workspace
        self._journal = journal
        self._announce = announce
        self._post = post

    def steps(self, order: DeclareOrder, incident: Incident) -> list[Awaitable[Any]]:
        """All of them, to be done side by side; none for a private incident."""
        if incident.is_private:
            return []
        announced = [self._announced(order, incident, channel) for channel in order.announcement.channels]
        return announced + self.invitations(order, incident)

    def invitations(self, order: DeclareOrder, incident: Incident) -> list[Awaitable[Any]]:
        """The user groups alone, for a channel that came late; nobody comes before there is one."""
        if incident.is_private:
            return []
        return [self._brought_in(incident, group) for group in order.announcement.invite]

    def _announced(self, order: DeclareOrder, incident: Incident, channel: str) -> Awaitable[Any]:
        return attempt(
            self._journal,
            f"announce it in {channel}",
            f"It could not be announced in <#{channel}>",
            partial(self._announce_in, order, incident, channel),
            Card | None,
            ALL_DAY,
        )

    async def _announce_in(
        self, order: DeclareOrder, incident: Incident, channel: str, again: bool
    ) -> Card | None:
        """The card, unless this channel has it already."""
        declared_here = channel == order.origin and order.thread is None and not order.withheld
        if channel == self._announce or declared_here:
            return None
        return await self._post(order, incident, Place(place="announcement", to=channel), again)

    def _brought_in(self, incident: Incident, group: str) -> Awaitable[Any]:
        return attempt(
            self._journal,
            f"bring {group} in",
            f"{_called(group)} could not be brought into the channel",
            partial(self._bring_in, incident, group),
            attempts=ALL_DAY,
        )

    async def _bring_in(self, incident: Incident, group: str, _again: bool) -> None:
        if not incident.slack_channel_id:
            return
        people = await self._workspace.group_members(group)
        if people is None:
            named = group if group.startswith("@") else "a user group that the rules name"
            raise Refused(f"{named} could not be brought in: Slack knows no such user group")
        left_out = await self._workspace.channels.invite(
            ChannelId(incident.slack_channel_id), people, incident
        )
        if left_out:
            raise Refused(f"{len(left_out)} of {_called(group)} could not be brought into the channel")


def _called(group: str) -> str:
    """A user group in mrkdwn; Slack shows an id as the group's handle (Slack, mentioning groups)."""
    return group if group.startswith("@") else f"<!subteam^{group}>"
