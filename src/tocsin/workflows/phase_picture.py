"""Picture of the phases of an incident that was closed, posted in its channel below the closing summary."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from tocsin.incidents.export import file_stamp, file_stem
from tocsin.incidents.model import ChannelId, Incident, TeamId
from tocsin.incidents.phases import phases_of
from tocsin.workflows.ports import IncidentBackend
from tocsin.workflows.retry import StepFailure, Steps
from tocsin.workflows.slack_client import WorkspaceOf

log = structlog.get_logger()

LEAST_PHASES = 2
"""Phases from which on a picture says more than the summary's duration."""

PICTURE_SECONDS = 120.0
"""Seconds after which a workflow goes on without a picture, also where Slack answers 429 all the time."""

WITHOUT = frozenset({"declined", "merged", "canceled"})
"""Categories of statuses that end an incident of which there is nothing to look at."""

ChannelOf = Callable[[Incident], Awaitable[ChannelId]]
"""Returns the channel in which the incident is told of now. Raises Refused and OutcomeUnknown."""


class PhasePictures:
    """Sender of the pictures. A picture that cannot be sent leaves the summary as it is."""

    def __init__(
        self, backend: IncidentBackend, steps: Steps, workspace: WorkspaceOf, *, is_on: bool
    ) -> None:
        self._backend = backend
        self._steps = steps
        self._workspace = workspace
        self._is_on = is_on

    async def below_summary(
        self,
        summary: Awaitable[StepFailure | None],
        before: Incident,
        incident: Incident,
        at: datetime,
        channel_of: ChannelOf,
    ) -> StepFailure | None:
        """Post the summary, and then the picture if the incident was closed; return the summary's failure."""
        failure = await summary
        if failure is None and self._wants(before, incident):
            missing = await self._steps.run_once(
                "send the picture of the phases",
                self._send,
                incident,
                at,
                channel_of,
                on_failure="The picture of its phases could not be sent",
                seconds=PICTURE_SECONDS,
            )
            if missing is not None:
                log.info("no picture of the phases", incident=incident.reference, why=missing.why)
        return failure

    def _wants(self, before: Incident, incident: Incident) -> bool:
        status = incident.incident_status
        is_closing = before.incident_status.is_open and not status.is_open
        return self._is_on and is_closing and status.category not in WITHOUT and incident.mode == "standard"

    async def _send(self, incident: Incident, at: datetime, channel_of: ChannelOf, again: bool) -> None:
        form = await self._backend.form()
        phases = phases_of(incident, await self._backend.timeline(incident.id), at, form.statuses)
        if len(phases) < LEAST_PHASES:
            return
        channel = await channel_of(incident)
        slack = self._workspace(TeamId(incident.slack_team_id))
        name = f"{file_stem(incident)}-phases-{file_stamp(at)}.png"
        await slack.files.send_phases(channel, name, phases, about=incident, again=again)
