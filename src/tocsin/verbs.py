"""What people can make happen, put together from the parts that this process has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from tocsin.incidents.model import Form, Incident, TeamId
from tocsin.metrics import Meters
from tocsin.premises import announced_in
from tocsin.rulebook import Rulebook
from tocsin.slack.workspace import SlackWorkspace
from tocsin.storage.key_value import SqlMemory
from tocsin.storage.slack_state import SqlDepartures, SqlLedger, SqlReminders
from tocsin.storage.workflow_engine import DurableJournal
from tocsin.workflows.alerts import Alarms
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.fallback_channel import Shelter
from tocsin.workflows.ports import Backend, Clock, Introduce
from tocsin.workflows.publish import Gathering
from tocsin.workflows.queries import CurrentIncidents
from tocsin.workflows.registry import Managing, managing

WorkspaceOf = Callable[[TeamId], SlackWorkspace]


class Parts(Protocol):
    """What the verbs need of the bot."""

    backend: Backend
    journal: DurableJournal
    clock: Clock
    meters: Meters
    alarms: Alarms
    memory: SqlMemory
    rulebook: Rulebook

    @property
    def introduce(self) -> Introduce: ...


Saw = Callable[[Incident], None]
"""Hears of each incident as its backend has just answered with it."""


def declaring(
    bot: Parts, workspace: WorkspaceOf, ledger: SqlLedger, announce: str | None, saw: Saw
) -> DeclareIncident:
    gatherings: dict[str, Gathering] = {}
    shelter = Shelter(
        backend=bot.backend,
        workspace=workspace,
        ledger=ledger,
        journal=bot.journal,
        memory=bot.memory,
        clock=bot.clock,
    )

    def gathering(team: TeamId) -> Gathering:
        slack = workspace(team)
        if slack.team_id not in gatherings:
            gatherings[slack.team_id] = Gathering(
                backend=bot.backend,
                workspace=slack,
                ledger=ledger,
                journal=bot.journal,
                clock=bot.clock,
                announce=announced_in(slack.team_id, announce),
                saw=saw,
                shelter=shelter.found if bot.backend.is_remote else None,
            )
        return gatherings[slack.team_id]

    return DeclareIncident(
        backend=bot.backend,
        ledger=ledger,
        journal=bot.journal,
        gathering=gathering,
        ended=bot.meters.ended,
        seen=bot.meters.seen,
        saw=saw,
        alarms=bot.alarms,
        shelter=shelter,
    )


def managed(
    bot: Parts,
    workspace: WorkspaceOf,
    ledger: SqlLedger,
    form: Callable[[], Awaitable[Form]],
    current: CurrentIncidents,
) -> Managing:
    return managing(
        backend=bot.backend,
        journal=bot.journal,
        ledger=ledger,
        reminders=SqlReminders(ledger),
        departures=SqlDepartures(ledger),
        workspace=workspace,
        form=form,
        clock=bot.clock,
        alarms=bot.alarms,
        afterwards=bot.rulebook.afterwards,
        current=current,
        introduce=bot.introduce,
    )
