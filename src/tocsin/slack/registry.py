"""The registry of workspaces that Tocsin is installed in, with the client of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from tocsin.incidents.model import ChannelId, TeamId
from tocsin.slack.installations import Installation
from tocsin.slack.workspace import SlackWorkspace

ANY = "*"
"""Wildcard in the setting of workspaces that may install."""

SaveOrg = Callable[[TeamId, str], Awaitable[None]]


async def _save_nothing(team: TeamId, org: str) -> None:
    """Do nothing: with one installation, every workspace is served through it."""


class WorkspaceRegistry:
    """The workspaces that Tocsin is installed in; the client of each is made when it is first needed."""

    def __init__(
        self,
        new_workspace: Callable[[TeamId], SlackWorkspace],
        *,
        sole: bool = False,
        save_org: SaveOrg = _save_nothing,
    ) -> None:
        """`new_workspace` makes the client of a workspace; it can call Slack once Tocsin is installed there.

        With `sole` there is one installation, for good: that of a bot token in the settings. `save_org`
        stores which organization a workspace is served through, before anything is done there.
        """
        self._new_workspace = new_workspace
        self.sole = sole
        self._save_org = save_org
        self._workspaces: dict[TeamId, SlackWorkspace] = {}
        # Apart, so that no id of an organization is ever taken for that of a workspace.
        self._in_teams: dict[str, Installation] = {}
        self._in_orgs: dict[str, Installation] = {}
        self._orgs: dict[str, str] = {}

    @property
    def installations(self) -> list[Installation]:
        return [*self._in_teams.values(), *self._in_orgs.values()]

    @property
    def installed(self) -> list[SlackWorkspace]:
        """The clients of workspaces in which Tocsin is installed now."""
        return [workspace for team, workspace in self._workspaces.items() if self.serving(team) is not None]

    def know_orgs(self, orgs: Mapping[str, str]) -> None:
        """Learn the organization of each workspace that is served through one."""
        self._orgs.update(orgs)

    def install(self, installation: Installation) -> None:
        """Serve a workspace or an organization from now on, or go on with its new token."""
        self._of_its_kind(installation)[installation.home] = installation
        if not installation.is_enterprise_install:
            self.workspace_of(installation.team_id)
            self._settle(installation.team_id)
            return
        for team in self._workspaces:
            if self.serving(team) is installation:
                self._settle(team)

    def uninstall(self, installation: Installation) -> None:
        """Call Slack there no more; unfinished workflows wait until Tocsin is installed again."""
        self._of_its_kind(installation).pop(installation.home, None)
        for team in self._workspaces if installation.is_enterprise_install else [installation.team_id]:
            if team in self._workspaces:
                self._settle(team)

    def _of_its_kind(self, installation: Installation) -> dict[str, Installation]:
        return self._in_orgs if installation.is_enterprise_install else self._in_teams

    def serving(self, team: str, org: str = "") -> Installation | None:
        """Return the installation of this workspace, else that of its organization, or None.

        `org` is the organization of the person who asks, which may be another than the workspace's.
        """
        known = self._orgs.get(team, "")
        own = self._in_teams.get(team) or self._in_orgs.get(known) or self._in_orgs.get(org)
        if own is None and self.sole and not team and not org:
            # Slack names the workspace of all but a few payloads; these come from where the token is good.
            return next(iter(self.installations), None)
        return own

    def peer_teams(self, team: TeamId) -> frozenset[TeamId] | None:
        """Return the workspaces that see each other's incidents with this one; None for all there are.

        Those of one organization do, where it installed the app as a whole. An incident of no workspace,
        which was made at the backend itself, is seen while Tocsin is installed once.
        """
        if self.sole:
            return None
        own = self.serving(team)
        others = [known for known in self._orgs if own is not None and self.serving(known) is own]
        return frozenset(
            [team, *map(TeamId, others), *([TeamId("")] if len(self.installations) == 1 else [])]
        )

    async def find(self, team: TeamId, org: str = "") -> SlackWorkspace | None:
        """Return the client of this workspace, or None where Tocsin is not installed. Raises Unavailable."""
        installation = self.serving(team, org)
        team = team or (installation.team_id if installation else team)
        if installation is None or not team:
            return None
        if installation.is_enterprise_install and self._orgs.get(team) != installation.home:
            await self._save_org(team, installation.home)
            self._orgs[team] = installation.home
        return self.workspace_of(team)

    def workspace_of(self, team: TeamId) -> SlackWorkspace:
        """Return the client of this workspace, also where Tocsin was uninstalled: its workflows wait."""
        if self.sole and self.serving(team) is None:
            team = self._only_team(team)
        if team not in self._workspaces:
            self._workspaces[team] = self._new_workspace(team)
            self._settle(team)
        return self._workspaces[team]

    def _only_team(self, team: TeamId) -> TeamId:
        (sole,) = self.installations
        if not sole.is_enterprise_install:
            return sole.team_id
        self._orgs[team] = sole.home
        return team

    def _settle(self, team: TeamId) -> None:
        installation = self.serving(team)
        if installation is None:
            self._workspaces[team].leave()
        else:
            self._workspaces[team].enter(installation)


def may_install(installation: Installation, teams: Collection[str]) -> bool:
    """Return True if this workspace, or its organization, is among those to serve; `*` is any.

    Slack's ids say what they are of: those of organizations begin with an E.
    """
    orgs = {home for home in teams if home.startswith("E")}
    own = not installation.is_enterprise_install and installation.team_id in set(teams) - orgs
    return ANY in teams or own or installation.enterprise_id in orgs


def channel_in(team: str, channels: str | None) -> ChannelId | None:
    """Return the channel of this workspace in a setting such as `T1/C1, T2/C2`; one alone is for any."""
    for entry in (channels or "").split(","):
        home, _, channel = entry.strip().rpartition("/")
        if channel and home in ("", team):
            return ChannelId(channel)
    return None
