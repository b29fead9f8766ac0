"""Workspaces as API keys see them: the one to declare in, and the check of people who are given something."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import ChannelId, Incident, Person, PersonId, SourceMessage, TeamId
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import WorkspaceContext, WorkspaceContexts
from tocsin.slack.listeners.declare import WITHHELD
from tocsin.slack.listeners.targets import validate_assignees
from tocsin.workflows.api import ApiWorkspace, ApiWorkspaces

NOWHERE = "Tocsin is installed in no workspace yet. Try again once it is."
NOT_HERE = "Tocsin is not installed in that workspace."
WHICH = "Tocsin is installed in several workspaces: say in which one to declare."
FIELD = "slack_team_id"


def api_workspaces(contexts: WorkspaceContexts) -> ApiWorkspaces:
    """Return the workspaces of these contexts."""
    return ApiWorkspaces(find=partial(_find, contexts), of_incident=partial(_of_incident, contexts))


async def _find(contexts: WorkspaceContexts, team: TeamId) -> ApiWorkspace:
    """Return the workspace with this id; for an empty id the only one.

    Raises Refused on the field of the id, and Unavailable if there is none yet, as in the first moments of a
    process that cannot reach Slack.
    """
    if team:
        found = await contexts.find(team)
        if found is None:
            raise Refused(NOT_HERE, {FIELD: NOT_HERE})
        return _workspace(found)
    installed = contexts.registry.installations
    if not installed:
        raise Unavailable(NOWHERE)
    if len(installed) > 1 or not installed[0].team_id:
        raise Refused(WHICH, {FIELD: WHICH})
    return _workspace(contexts.context_of(installed[0].team_id))


def _of_incident(contexts: WorkspaceContexts, incident: Incident) -> ApiWorkspace:
    return _workspace(contexts.context_of(TeamId(incident.slack_team_id)))


def _workspace(context: WorkspaceContext) -> ApiWorkspace:
    def permalink(source: SourceMessage) -> str | None:
        return context.permalink(source.channel, source.timestamp)

    async def withheld(channel: ChannelId) -> str:
        return WITHHELD[await context.shared_channels.is_shared(channel, CHECK_SECONDS)]

    return ApiWorkspace(
        team=context.workspace.team_id,
        enterprise=context.workspace.home.enterprise,
        rules=context.rules,
        calls=context.calls,
        check_assignees=partial(_check_assignees, context),
        withheld=withheld,
        permalink=permalink,
        find_by_email=context.people.find_by_email,
    )


async def _check_assignees(
    context: WorkspaceContext, chosen: Mapping[str, PersonId | None], private: bool
) -> tuple[Person, ...]:
    """Return the people with their names. Raises Refused for those who cannot take anything on.

    A public incident takes people whom Slack could not be asked about, since an alarm cannot wait. A private
    one is shown to them, so that Slack must answer: until then it raises Unavailable.
    """
    people = {person for person in chosen.values() if person}
    if private:
        known = await asyncio.gather(*(context.people.account(one, CHECK_SECONDS) for one in people))
        if None in known:
            raise Unavailable("Slack could not be asked who is to see the private incident.")
    return await validate_assignees(context, chosen, private=private)
