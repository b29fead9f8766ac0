"""Page on-call people, acknowledge a page, and resolve it when its incident ends; each event is sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import NAMESPACE_OID, uuid5

from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import Incident, MessageTs, Person, TimelineEntry, display_name
from tocsin.incidents.paging import (
    ASKED_FOR,
    GIVE_UP,
    KEY_SHOWN,
    Acknowledgement,
    Page,
    PageTarget,
    bare_event,
    check_pageable,
    page_again,
    page_event,
)
from tocsin.incidents.validation import clean_text
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.channels import fitting_channel
from tocsin.workflows.command import AnyChange, AskedCommand, Change, Changed, DurableCommand, NotChanged
from tocsin.workflows.ports import Clock, IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import Steps, best_effort, retry_forever
from tocsin.workflows.slack_client import WorkspaceOf

LOOK_SECONDS = 20.0
BACKEND_SECONDS = 3.0
"""Seconds that a page waits for the backend to say if its incident is private."""

RESOLVED_WITHIN = timedelta(days=1)
FORGOTTEN = timedelta(days=30)
"""Age of a page that is not looked at any more, though it was never resolved."""

GONE = "That incident is not here any more."
Count = Callable[[str, str, str], None]
"""Counts an event by its service, its action and its outcome."""


class PageCommand(AskedCommand):
    """A request to page a target."""

    incident: Incident
    """The incident as its sender saw it: its reference and link go out also while the backend is down."""
    target: str
    why: str = ""
    after: str = ""
    """Beginning of the key of the target's last page that the form showed; empty for none."""


class SignalCommand(AskedCommand):
    """A request to tell the service that a page was acknowledged, or is over."""

    incident: Incident
    page: Page
    action: Literal["acknowledge", "resolve"]
    is_known: bool = False
    """True if the service knows of it already: the acknowledgement was made there."""


@dataclass(frozen=True)
class PageDispatcher:
    """Targets, stores and the sending of events, which both workflows use."""

    targets: Sequence[PageTarget]
    backend: IncidentBackend
    state: SlackStateStore
    workspace: WorkspaceOf
    clock: Clock
    alerts: OperatorAlerts
    count: Count

    def target(self, name: str) -> PageTarget:
        """Return the target of this name. Raises Refused if the configuration names it no more."""
        found = next((target for target in self.targets if target.name == name), None)
        if found is None:
            raise Refused(f"The configuration does not name {name} as a target any more.")
        return found

    async def look(self, incident_id: str) -> Incident | None:
        """Return the incident as it is now; None if the backend does not say. Raises Refused if it is gone.

        A page must go out also while the backend is down.
        """
        async with best_effort("ask the backend before a page") as failed, asyncio.timeout(BACKEND_SECONDS):
            incident = await self.backend.find(incident_id)
        if failed:
            return None
        if incident is None:
            raise Refused(GONE)
        return incident

    async def send(self, page: Page, command: PageCommand | SignalCommand, now: Incident | None) -> None:
        """Send an event, with the incident's name only if the service's readers may know it `now`.

        Raises Refused and Unavailable. A private incident is told by its reference and link alone, as is one
        whose visibility is not known.
        """
        action = command.action if isinstance(command, SignalCommand) else "trigger"
        target, at, about = self.target(page.target), command.at, f"paging {page.target}"
        if now is not None and (target.tells_private or not now.is_private):
            event = page_event(action, page, now, by=command.by, at=at)
        else:
            event = bare_event(action, page, command.incident, at=at)
        try:
            await target.send(event)
        except Refused as refusal:
            self.count(target.service, action, "refused")
            said = (
                f"{page.target} could not be paged. {refusal.sentence} Correct its [[paging]] entry or key."
            )
            self.alerts.raise_alert(about, said)
            raise
        except Unavailable:
            self.count(target.service, action, "unavailable")
            raise
        self.count(target.service, action, "sent")
        self.alerts.resolve(about)

    async def note(self, page: Page, verb: str, text: str, by: Person | None, at: datetime) -> None:
        """Add to the timeline, if the backend has one that takes notes."""
        if "note" not in (await self.backend.form()).lacks:
            key = f"{page.key}:{verb}"
            await self.backend.note(page.incident_id, TimelineEntry(at=at, by=by, verb=verb, text=text), key)

    async def show(self, page: Page, again: bool) -> None:
        """Post the page in the incident's channel, or edit its message to show it as it is now."""
        incident = await self.backend.find(page.incident_id)
        if incident is None:
            return
        slack, thing = self.workspace(page.team), f"page {page.key}"
        channel = await fitting_channel(slack, self.state, incident)
        if channel is None:
            return
        posted = (await self.state.fingerprints(incident.id)).get((channel, thing))
        ts, shown = MessageTs(posted) if posted else None, None
        while shown != (now := await self.page_now(page)):
            # An acknowledgement may come while the message is being posted.
            ts, shown = await slack.messages.show_page(channel, incident, now, ts, again=again), now
            await self.state.save_fingerprint(incident.id, channel, thing, ts)

    async def page_now(self, page: Page) -> Page:
        """Return the page as it is stored."""
        known = await self.state.pages(page.incident_id)
        return next((one for one in known if one.key == page.key), page)


class SendPage(DurableCommand[PageCommand]):
    """Workflow that pages a target: once for each command, and not after half an hour."""

    verb = "page"
    command_type = PageCommand

    def __init__(self, engine: WorkflowEngine, dispatcher: PageDispatcher) -> None:
        super().__init__(engine, dispatcher.workspace)
        self._dispatcher = dispatcher

    async def run(self, command: PageCommand) -> AnyChange:
        return await self._steps.record(
            "page", retry_forever, "page on-call people", self._page, command, returns=Change
        )

    async def _page(self, command: PageCommand) -> AnyChange:
        dispatcher = self._dispatcher
        try:
            page = _page_of(command, dispatcher.target(command.target))
            other = await self._claim(page)
            if other.key != page.key:
                return NotChanged(sentence=page_again(other, dispatcher.clock()), overtaken=True)
            now = await dispatcher.look(command.incident_id)
            check_pageable(now or command.incident)
            if dispatcher.clock() - command.at > GIVE_UP:
                raise Refused(_given_up(page))
            await dispatcher.send(page, command, now)
        except Refused as refusal:
            await dispatcher.state.mark_page(command.key, None, dispatcher.clock())
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        said = f"{command.incident.reference}: {page.target} was paged ({page.service})."
        return Changed(incident=now or command.incident, said=said)

    async def _claim(self, page: Page) -> Page:
        """Claim the place after the last page that its sender knew of; return the page that has it.

        A page that the service refused, or that is over, leaves its place to the next one.
        """
        while True:
            found = await self._dispatcher.state.claim_page(page)
            if found.key == page.key or found.ended_at is None:
                return found
            page = page.model_copy(update={"after": found.key[:KEY_SHOWN]})

    async def after(self, command: PageCommand, done: Changed) -> None:
        page = _page_of(command, self._dispatcher.target(command.target))
        why = f": {page.why}" if page.why else ""
        await _tell(
            self._steps, self._dispatcher, page, "paged", f"{page.target} ({page.service}){why}", command
        )


class SignalPage(DurableCommand[SignalCommand]):
    """Workflow that acknowledges or resolves a page, at its service and in Slack."""

    verb = "signal a page"
    command_type = SignalCommand

    def __init__(self, engine: WorkflowEngine, dispatcher: PageDispatcher) -> None:
        super().__init__(engine, dispatcher.workspace)
        self._dispatcher = dispatcher

    async def run(self, command: SignalCommand) -> AnyChange:
        return await self._steps.record(
            "signal", retry_forever, "acknowledge or resolve a page", self._signal, command, returns=Change
        )

    async def _signal(self, command: SignalCommand) -> AnyChange:
        dispatcher, page = self._dispatcher, await self._dispatcher.page_now(command.page)
        is_answer = command.action == "acknowledge"
        if page.ended_at is not None or (is_answer and page.acknowledgement is not None):
            return NotChanged(sentence=_answered_before(page))
        ended, said = None if is_answer else dispatcher.clock(), f"The page of {page.target} is acknowledged."
        try:
            if not command.is_known:
                if dispatcher.clock() - command.at > (GIVE_UP if is_answer else RESOLVED_WITHIN):
                    raise Refused(f"{page.service} could not be reached for so long that it was given up.")
                await dispatcher.send(page, command, await dispatcher.look(command.incident_id))
        except Refused as refusal:
            if is_answer:
                return NotChanged(sentence=refusal.sentence)
            said = refusal.sentence
        by = Acknowledgement(by=command.by, at=command.at) if is_answer else None
        await dispatcher.state.mark_page(page.key, by, ended)
        return Changed(incident=command.incident, said=said)

    async def after(self, command: SignalCommand, done: Changed) -> None:
        page = command.page
        verb = "acknowledged the page of" if command.action == "acknowledge" else "ended the page of"
        await _tell(self._steps, self._dispatcher, page, verb, f"{page.target} ({page.service})", command)


async def _tell(
    steps: Steps,
    dispatcher: PageDispatcher,
    page: Page,
    verb: str,
    text: str,
    command: PageCommand | SignalCommand,
) -> None:
    """Show the page in the channel, and note what was done with it in the timeline."""
    by = command.by if command.by != Person() else None
    await asyncio.gather(
        steps.run_once(
            "show the page", dispatcher.show, page, on_failure="The channel does not show the page"
        ),
        steps.run(
            "note the page",
            dispatcher.note,
            page,
            verb,
            text,
            by,
            command.at,
            on_failure="The timeline does not show the page",
        ),
    )


class Paging:
    """The two workflows, the watch over acknowledgements, and the end of pages. One for the whole process."""

    def __init__(
        self,
        engine: WorkflowEngine,
        dispatcher: PageDispatcher,
        known: Callable[[str], Incident | None] = lambda incident_id: None,
    ) -> None:
        """`known` returns an incident that is open, without asking the backend."""
        self._engine = engine
        self._dispatcher = dispatcher
        self._known = known
        self._awake = asyncio.Event()
        self.targets = tuple(dispatcher.targets)
        self.send = SendPage(engine, dispatcher)
        self.signal = SignalPage(engine, dispatcher)

    async def last(self, incident_id: str, target: str) -> Page | None:
        """Return the target's last page for this incident; None if there is none. Raises Unavailable."""
        pages = await self._dispatcher.state.pages(incident_id)
        return next((page for page in reversed(pages) if page.target == target), None)

    async def find(self, incident_id: str, key: str) -> Page | None:
        """Return the incident's page with this key; None if there is none. Raises Unavailable."""
        pages = await self._dispatcher.state.pages(incident_id)
        return next((page for page in pages if page.key == key), None)

    async def wake(self, ended: Incident) -> None:
        """Have the watch look now, because an incident has ended."""
        self._awake.set()

    async def keep_watch(self) -> None:
        """Ask services for acknowledgements, and end pages with their incidents, forever.

        Returns at once if there are no targets. A failure is tried again in the next round.
        """
        while self.targets:
            async with best_effort("watch over pages"):
                await self.look()
            self._awake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._awake.wait()

    async def look(self) -> None:
        """Look at every page that is not over: at its incident, and in its first hour at its service."""
        now = self._dispatcher.clock()
        for page in await self._dispatcher.state.open_pages(now - FORGOTTEN):
            async with best_effort("watch over a page"):
                incident = self._known(page.incident_id)
                if incident is None:
                    incident = await self._dispatcher.backend.find(page.incident_id)
                if incident is None:
                    continue
                if not incident.incident_status.is_open:
                    await self._begin(page, incident, "resolve", Acknowledgement(by=Person(), at=now))
                elif page.acknowledgement is None and now - page.at < ASKED_FOR:
                    await self._ask(page, incident)

    async def _ask(self, page: Page, incident: Incident) -> None:
        """Ask the service if the page was acknowledged there, if it can be asked."""
        ask = next((target.ask for target in self.targets if target.name == page.target), None)
        answer = await ask(page.key) if ask is not None else None
        if answer is not None:
            await self._begin(page, incident, "acknowledge", answer)

    async def _begin(
        self, page: Page, incident: Incident, action: Literal["acknowledge", "resolve"], by: Acknowledgement
    ) -> None:
        command = SignalCommand(
            incident_id=incident.id,
            team=page.team,
            asked=str(uuid5(NAMESPACE_OID, f"{page.key}:{action}")),
            asked_by=by.by,
            at=by.at,
            incident=incident,
            page=page,
            action=action,
            is_known=action == "acknowledge",
        )
        await self._engine.start(SignalPage.verb, command.key, command.model_dump(mode="json"))


def _page_of(command: PageCommand, target: PageTarget) -> Page:
    return Page(
        key=command.key,
        incident_id=command.incident_id,
        team=command.team,
        target=target.name,
        service=target.service,
        by=command.by,
        at=command.at,
        why=clean_text(command.why),
        after=command.after,
    )


def _given_up(page: Page) -> str:
    minutes = int(GIVE_UP.total_seconds() // 60)
    return (
        f"{page.service} could not be reached for {minutes} minutes. {page.target} was not paged: call them."
    )


def _answered_before(page: Page) -> str:
    if page.acknowledgement is None or page.ended_at is not None:
        return f"The page of {page.target} is resolved."
    who = display_name(page.acknowledgement.by) or "somebody"
    return f"The page of {page.target} was acknowledged by {who} already."
