"""Alerts about a private incident's channel that was made public or shared with another organisation."""

from __future__ import annotations

from tocsin.incidents.model import ChannelId, Incident
from tocsin.slack.context import Tasks
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.channels import PRIVATE
from tocsin.workflows.ports import Alerts, SlackStateStore
from tocsin.workflows.retry import retry


class Exposure:
    """Sender of one alert per exposed channel, to the reporter and the operator, in one workspace."""

    def __init__(
        self, workspace: SlackWorkspace, state: SlackStateStore, operator: Alerts, tasks: Tasks
    ) -> None:
        self._workspace = workspace
        self._state = state
        self._operator = operator
        self._tasks = tasks
        self._told: set[ChannelId] = set()

    def observe(self, incident: Incident, channel: ChannelId, is_exposed: bool) -> None:
        """Record Slack's answer about a private incident's channel; send the alert once if it is exposed."""
        if not is_exposed:
            self._told.discard(channel)
            self._operator.resolve(_about(channel))
        elif channel not in self._told:
            self._told.add(channel)
            self._tasks.begin("tell that a channel is not private", self._tell(incident, channel))

    async def _tell(self, incident: Incident, channel: ChannelId) -> None:
        if (channel, PRIVATE) not in await self._state.fingerprints(incident.id):
            # The channel was always public: the incident is just moving to a private one.
            self._told.discard(channel)
            return
        if channel not in self._told:
            # It became private again meanwhile.
            return
        self._operator.raise_alert(
            _about(channel),
            f"The channel <#{channel}> of a private incident was made public, or is shared with another "
            "organization. Nothing more is posted there; have an owner make it private again.",
        )
        reporter = incident.creator.slack_user_id
        if reporter is None:
            return
        key = f"{incident.id}:exposed:{channel}"
        said = (
            f"<#{channel}> is not private any more, and {incident.reference} is: nothing more of it is "
            "posted there. Have an owner make the channel private again."
        )
        await retry(self._workspace.messages.tell, reporter, said, incident, key, True, attempts=None)


def _about(channel: ChannelId) -> str:
    return f"exposed channel {channel}"
