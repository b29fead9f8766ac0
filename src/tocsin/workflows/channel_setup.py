"""Set up the channel of a declared incident: its people, topic, purpose and bookmark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import ChannelId, Incident
from tocsin.incidents.validation import join_names
from tocsin.workflows.channels import INVITED
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, Steps
from tocsin.workflows.slack_client import SlackClient


class ChannelSetup:
    """Steps that set up an incident's channel, independent of each other."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        workspace: SlackClient,
        engine: WorkflowEngine,
        state: SlackStateStore,
    ) -> None:
        self._backend = backend
        self._workspace = workspace
        self._steps = Steps(engine)
        self._state = state

    def steps(self, incident: Incident, *, used: bool = False) -> list[Awaitable[Any]]:
        """Return one step for each thing that the channel gets; a `used` one keeps its purpose."""
        once, slack = self._steps.run_once, self._workspace.channels
        channel = ChannelId(incident.slack_channel_id)
        return [
            once(
                "bring people in",
                self._bring_in,
                channel,
                incident,
                on_failure="Nobody could be brought into the channel",
                attempts=ALL_DAY,
            ),
            once(
                "set the topic",
                self._describe,
                slack.set_topic,
                channel,
                incident,
                on_failure="The topic could not be set",
            ),
            once(
                "add the bookmark",
                slack.bookmark,
                channel,
                incident,
                on_failure="The bookmark could not be added",
            ),
            *([] if used else [self._set_purpose(channel, incident)]),
        ]

    def _set_purpose(self, channel: ChannelId, incident: Incident) -> Awaitable[Any]:
        return self._steps.run_once(
            "set the purpose",
            self._describe,
            self._workspace.channels.set_purpose,
            channel,
            incident,
            on_failure="The purpose could not be set",
        )

    async def _describe(
        self,
        set_it: Callable[[ChannelId, Incident], Awaitable[None]],
        channel: ChannelId,
        incident: Incident,
        again: bool,
    ) -> None:
        await set_it(channel, await self._now(incident, again))

    async def _bring_in(self, channel: ChannelId, incident: Incident, again: bool) -> None:
        incident = await self._now(incident, again)
        left_out = await self._workspace.channels.invite(channel, incident.people, incident)
        if left_out:
            names = join_names(f"<@{person}>" for person in left_out)
            raise Refused(f"{names} could not be brought into the channel")

    async def _now(self, incident: Incident, again: bool) -> Incident:
        """Return the incident, as it is now if an earlier process may have shown how it was before."""
        return await as_it_is(self._backend, incident) if again else incident

    def invitations(self, groups: Sequence[str], incident: Incident) -> list[Awaitable[Any]]:
        """Return one step for each user group that the rules name; none for a private incident.

        A step does nothing while there is no channel.
        """
        if incident.is_private:
            return []
        return [
            self._steps.run(
                f"bring {group} in",
                self._bring_group_in,
                incident,
                group,
                on_failure=f"{_called(group)} could not be brought into the channel",
                attempts=ALL_DAY,
            )
            for group in groups
        ]

    async def _bring_group_in(self, incident: Incident, group: str) -> None:
        """Bring a group in once: a rule that comes to hold again does not bring back people who left."""
        known = await self._state.fingerprints(incident.id)
        if not incident.slack_channel_id or (group, INVITED) in known:
            return
        people = await self._workspace.group_members(group)
        if people is None:
            named = group if group.startswith("@") else "a user group that the rules name"
            raise Refused(f"{named} could not be brought in: Slack knows no such user group")
        channel = ChannelId(incident.slack_channel_id)
        left_out = await self._workspace.channels.invite(channel, people, incident)
        await self._state.save_fingerprint(incident.id, group, INVITED, INVITED)
        if left_out:
            raise Refused(f"{len(left_out)} of {_called(group)} could not be brought into the channel")


async def as_it_is(backend: IncidentBackend, incident: Incident) -> Incident:
    """Return the incident as it is now, or as it was if the backend is unavailable."""
    with suppress(Unavailable):
        return await backend.find(incident.id) or incident
    return incident


def _called(group: str) -> str:
    """Return a user group in mrkdwn; Slack shows an id as the group's handle (Slack, mentioning groups)."""
    return group if group.startswith("@") else f"<!subteam^{group}>"
