"""Test Tocsin for one person: declare a test incident, measure each part, report, and take it all back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVarTuple

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, Unavailable, Withheld
from tocsin.incidents.model import (
    ChannelId,
    CustomField,
    Form,
    FrozenModel,
    Incident,
    Person,
    TeamId,
)
from tocsin.incidents.requests import Declaration, DeclareRequest, IncidentChange
from tocsin.incidents.transitions import Ending, apply_transition
from tocsin.incidents.validation import CardDestination, parse_custom_fields
from tocsin.workflows.channels import CHANNEL_NAMES, await_channel, open_channel
from tocsin.workflows.command import NOT_YOURS_NOW, PendingReplies, PendingReply, act_for
from tocsin.workflows.ports import (
    Channel,
    IncidentBackend,
    KeyValueStore,
    SlackStateStore,
    WorkflowEngine,
    loop_time,
)
from tocsin.workflows.retry import ALL_DAY, OUR_FAULT, StepFailure, Steps
from tocsin.workflows.self_test_report import SKIPPED, Leg, TakenBack, Tried, report, taken_back
from tocsin.workflows.slack_client import SlackClient, WorkspaceOf

Ts = TypeVarTuple("Ts")

VERB = "test"
NAME = "Test of Tocsin"
SUMMARY = "Only a test of whether everything works. Tocsin takes it back by itself."
SAVE_SECONDS = 1.4
LEG_SECONDS = 30.0
"""Seconds after which a part that does not answer is reported; a call that is on its way is not cut short."""

LEAST_PAUSE = 1.0

CHANNEL_SECONDS = 60.0
"""Seconds to wait for the channel of a backend that opens it itself."""

UNOPENED = "It was not opened within a minute where incidents are kept"

RUNNING = "A test of yours is still running, or being taken back. Its outcome comes as a message from Tocsin."
ENDINGS: tuple[Ending, ...] = ("cancel", "decline", "close")
"""Ways to end a test incident, best first; not every backend has all of them."""


class SelfTestCommand(FrozenModel):
    """A person's request for a test."""

    key: str
    by: Person
    team: TeamId
    enterprise: str = ""
    at: datetime


class SelfTest:
    """Durable workflow of the verb `test`: a killed process leaves nothing that the next does not take back.

    It is no declaration: it matches no rule, announces nothing, and is counted in no metric. A person has one
    test at a time.
    """

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        store: KeyValueStore,
        workspace: WorkspaceOf,
        form: Callable[[], Awaitable[Form]],
        names: ChannelNames,
        saw: Callable[[Incident], None],
    ) -> None:
        """`saw` is called with the incident once it has ended."""
        self._backend = backend
        self._engine = engine
        self._steps = Steps(engine)
        self._state = state
        self._store = store
        self._workspace = workspace
        self._form = form
        self._names = names
        self._saw = saw
        self._room: PendingReplies[None] = PendingReplies()

    async def __call__(self, command: SelfTestCommand) -> None:
        """Save the request, once for each key; its outcome comes by direct message.

        Raises Refused while another test of this person runs, and Unavailable if it was not saved in time.
        """
        await self._room.saved(command.key, self._save(command), SAVE_SECONDS)

    async def _save(self, command: SelfTestCommand) -> tuple[str, PendingReply[None]]:
        if await self._store.get(_claim(command)) not in {None, command.key}:
            raise Refused(RUNNING)
        waiting = self._room.enter(command.key)
        await self._engine.start(VERB, command.key, command.model_dump(mode="json"))
        self._room.leave(command.key)
        return command.key, waiting

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = SelfTestCommand.model_validate(raw)
        act_for(command.by.slack_user_id, command.at)
        owner = await self._steps.run(
            "claim the person's test",
            self._store.set_if_absent,
            _claim(command),
            command.key,
            on_failure="The test could not begin",
            returns=str,
        )
        if owner == command.key:
            await self._run(command)
        else:
            refused = owner.trouble if isinstance(owner, StepFailure) else RUNNING
            await self._tell(command, "say that none began", refused, None)
        return {"kind": "tested"}

    async def _run(self, command: SelfTestCommand) -> None:
        tried = await self._measure(command)
        back = await self._take_back(command, tried)
        await self._tell(command, "report the test", report(tried, back), tried.incident)
        if any(leg.passing for leg in back.legs):
            again = await self._take_back(command, tried, ALL_DAY)
            await self._tell(command, "say what became of it", taken_back(again, tried), tried.incident)
        await self._steps.run(
            "end the test",
            self._store.delete,
            _claim(command),
            on_failure="The next test cannot begin",
            attempts=ALL_DAY,
        )

    # Measure each part.

    async def _measure(self, command: SelfTestCommand) -> Tried:
        slack = self._workspace(command.team)
        tried = Tried(
            slack=await self._leg("ask Slack", self._ping, slack),
            saved=await self._leg("save something", self._write, command),
            created=await self._leg("create the test incident", self._create, command),
        )
        incident = tried.incident
        if incident is None:
            return tried
        channel = await self._leg("open its channel", self._open, command, slack, incident)
        headline = SKIPPED
        if channel.channel is not None and not self._backend.makes_channel:
            spot = CardDestination(place="headline", to=channel.channel.id)
            headline = await self._leg("post its card", self._post, command, slack, incident, spot)
        spot = CardDestination(place="reporter", to=command.by.slack_user_id or "")
        message = await self._leg("post to the person", self._post, command, slack, incident, spot)
        return tried.model_copy(update={"channel": channel, "headline": headline, "message": message})

    async def _leg(self, name: str, act: Callable[[*Ts, bool], Awaitable[Leg]], *args: *Ts) -> Leg:
        """Run one part as a step, for at most LEG_SECONDS; return its failure in the leg.

        The last argument of `act` is True if an earlier attempt or an earlier process may have done it.
        """

        async def measured(again: bool) -> Leg:
            began, unknown = loop_time(), again
            while True:
                try:
                    done = await act(*args, again or unknown)
                    return done.model_copy(update={"seconds": loop_time() - began})
                except (Refused, SlackRefused) as refusal:
                    return Leg(trouble=refusal.sentence, seconds=loop_time() - began, unknown=unknown)
                except Unavailable as error:
                    unknown |= isinstance(error, OutcomeUnknown)
                    pause = max(LEAST_PAUSE, error.retry_after or 0.0)
                    if loop_time() - began + pause > LEG_SECONDS:
                        passed = loop_time() - began
                        said = str(error).rstrip(".")
                        return Leg(trouble=said, seconds=passed, passing=True, unknown=unknown)
                    await asyncio.sleep(pause)

        done = await self._steps.run_once(name, measured, on_failure=OUR_FAULT, returns=Leg)
        if isinstance(done, StepFailure):
            return Leg(trouble=done.trouble, passing=True, unknown=True)
        return done

    async def _ping(self, slack: SlackClient, again: bool) -> Leg:
        await slack.ping()
        return Leg()

    async def _write(self, command: SelfTestCommand, again: bool) -> Leg:
        await self._store.set(_claim(command), command.key)
        return Leg()

    async def _create(self, command: SelfTestCommand, again: bool) -> Leg:
        declaration = await _declaration(self._backend, await self._form(), command)
        return Leg(incident=await self._backend.create(declaration))

    async def _open(
        self, command: SelfTestCommand, slack: SlackClient, incident: Incident, again: bool
    ) -> Leg:
        """Open a private channel for the person alone, or wait for the one that the backend opens."""
        if self._backend.makes_channel:
            came = await await_channel(self._backend, self._state, incident, CHANNEL_SECONDS)
            return Leg(channel=came) if isinstance(came, Channel) else Leg(trouble=UNOPENED)
        names = self._candidates(command, incident)
        channel = await open_channel(slack, incident, names, private=True, again=again)
        # The gate lets the card into a private channel only if the backend knows it as the incident's.
        await self._backend.set_channel(incident.id, channel)
        person = command.by.slack_user_id
        if person is not None and await slack.channels.invite(channel.id, [person], incident):
            return Leg(channel=channel, trouble="Slack does not let Tocsin bring you into it")
        return Leg(channel=channel)

    def _candidates(self, command: SelfTestCommand, incident: Incident) -> list[str]:
        endings = (*range(1, CHANNEL_NAMES + 1), command.key.replace("-", "")[:12])
        return self._names.with_endings(incident, endings)

    async def _post(
        self,
        command: SelfTestCommand,
        slack: SlackClient,
        incident: Incident,
        spot: CardDestination,
        again: bool,
    ) -> Leg:
        key = f"{command.key}:{spot.place}"
        return Leg(card=await slack.messages.post_card(incident, spot, key=key, again=again))

    # Take everything back, also what may have been made although its answer was lost.

    async def _take_back(
        self, command: SelfTestCommand, tried: Tried, attempts: int | None = None
    ) -> TakenBack:
        """Take back what was made; with `attempts`, for as long as that takes instead of LEG_SECONDS."""
        slack = self._workspace(command.team)
        return TakenBack(
            headline=await self._back(attempts, "withdraw its card", self._withdraw, slack, tried.headline),
            message=await self._back(
                attempts, "withdraw the message", self._withdraw_message, command, slack, tried
            ),
            incident=await self._back(attempts, "end the test incident", self._end, command, tried),
            channel=await self._back(attempts, "archive its channel", self._archive, command, slack, tried),
        )

    async def _back(
        self, attempts: int | None, name: str, act: Callable[[*Ts, bool], Awaitable[Leg]], *args: *Ts
    ) -> Leg:
        if attempts is None:
            return await self._leg(name, act, *args)
        done = await self._steps.run_once(
            f"{name} after all", act, *args, on_failure=f"{name} failed", returns=Leg, attempts=attempts
        )
        return Leg(trouble=done.why or done.trouble) if isinstance(done, StepFailure) else done

    async def _withdraw(self, slack: SlackClient, leg: Leg, again: bool) -> Leg:
        """Delete a card; one of the channel whose answer was lost goes with the channel."""
        if leg.card is not None:
            await slack.messages.withdraw(leg.card)
        return Leg()

    async def _withdraw_message(
        self, command: SelfTestCommand, slack: SlackClient, tried: Tried, again: bool
    ) -> Leg:
        """Delete the person's card; one whose answer was lost is found, or posted again to be deleted."""
        leg, incident, person = tried.message, tried.incident, command.by.slack_user_id
        if leg.card is None and leg.unknown and incident is not None and person:
            spot = CardDestination(place="reporter", to=person)
            leg = await self._post(command, slack, incident, spot, True)
        return await self._withdraw(slack, leg, again)

    async def _end(self, command: SelfTestCommand, tried: Tried, again: bool) -> Leg:
        incident = tried.incident
        if incident is None and tried.created.unknown:
            # The key finds the incident whose answer was lost; no backend can only look for it.
            incident = (await self._create(command, again)).incident
        now = None if incident is None else await self._backend.find(incident.id)
        if now is None or not now.incident_status.is_open:
            return Leg(incident=now)
        change = IncidentChange(key=f"{command.key}:end", by=command.by, at=command.at)
        ended = await self._backend.change(now.id, _ended(change, now, await self._form()))
        self._saw(ended)
        return Leg(incident=ended)

    async def _archive(self, command: SelfTestCommand, slack: SlackClient, tried: Tried, again: bool) -> Leg:
        channel, incident = tried.channel.channel, tried.incident
        if incident is not None and channel is None:
            channel = await self._find_channel(command, slack, incident)
        if channel is None:
            return Leg()
        try:
            await slack.channels.archive(channel.id)
        except SlackRefused:
            # The backend opened it, and archives it by its own rules.
            if not self._backend.makes_channel:
                raise
        return Leg()

    async def _find_channel(
        self, command: SelfTestCommand, slack: SlackClient, incident: Incident
    ) -> Channel | None:
        """Return a channel that was opened although that failed in the end; None if there is none."""
        if self._backend.makes_channel:
            now = await self._backend.find(incident.id)
            if now is None or not now.slack_channel_id:
                return None
            return Channel(id=ChannelId(now.slack_channel_id), name=now.slack_channel_name)
        return await slack.channels.find_own(self._candidates(command, incident), incident, private=True)

    # Tell the person.

    async def _tell(self, command: SelfTestCommand, step: str, said: str, incident: Incident | None) -> None:
        if command.by.slack_user_id is not None:
            await self._steps.run_once(
                step,
                self._told,
                command,
                f"{command.key}:{step}",
                said,
                incident,
                on_failure="Who asked could not be told",
                attempts=ALL_DAY,
            )

    async def _told(
        self, command: SelfTestCommand, key: str, said: str, incident: Incident | None, again: bool
    ) -> None:
        tell, person = self._workspace(command.team).messages.tell_plainly, command.by.slack_user_id
        assert person is not None
        try:
            await tell(person, said, incident, key, again)
        except Withheld:
            await tell(person, NOT_YOURS_NOW, None, key, again)


def _claim(command: SelfTestCommand) -> str:
    return f"test/{command.team}/{command.by.slack_user_id}"


def _ended(change: IncidentChange, incident: Incident, form: Form) -> IncidentChange:
    """Return the change with the first ending that the backend has. Raises Refused if it has none."""
    for ending in ENDINGS[:-1]:
        with suppress(Refused):
            return apply_transition(change, ending, incident, form)
    return apply_transition(change, ENDINGS[-1], incident, form)


# The test incident: as mild as can be, with an answer to every field that is required.


async def _declaration(backend: IncidentBackend, form: Form, command: SelfTestCommand) -> Declaration:
    mildest = min(form.severities, key=lambda severity: severity.rank, default=None)
    custom = {field.id: await _answer(backend, field) for field in form.custom_fields if field.required}
    own = {field.id: await _answer(backend, field) for field in form.backend_fields if field.required}
    request = DeclareRequest(custom_field_entries=custom, backend_entries=own)
    # The backend refuses an answer that is missing or wrong, and the report shows its sentence.
    answers, own_answers = parse_custom_fields(request, form, {})
    return Declaration(
        key=command.key,
        name=NAME,
        summary=SUMMARY,
        severity_id=mildest.id if mildest else None,
        visibility="private" if form.offers_private else "public",
        mode="test",
        custom_field_entries=answers,
        backend_entries=own_answers,
        slack_team_id=command.team,
        slack_enterprise_id=command.enterprise,
        reporter=command.by,
        at=command.at,
    )


async def _answer(backend: IncidentBackend, field: CustomField) -> tuple[str, ...]:
    """Return any answer to a required field; none if it has no option."""
    if not field.field_type.endswith("_select"):
        return ({"link": "https://example.com", "numeric": "0"}.get(field.field_type, "Test"),)
    options = await backend.options(field.id, "", {}) if field.searched else field.options
    return tuple(option.id for option in options[:1])
