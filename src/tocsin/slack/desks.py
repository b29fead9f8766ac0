"""Whose desk it is: each workspace has its own, and who asks from a workspace that is not ours has none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from tocsin.incidents.model import TeamId
from tocsin.slack.desk import Desk
from tocsin.slack.installations import Installation

ANY = "*"
"""Among the workspaces that may install: every one there is."""

Placed = Callable[[TeamId, str], Awaitable[None]]


async def _not_written(team: TeamId, org: str) -> None:
    """Where there is one installation, every workspace is served through it."""


class Desks:
    """The desks of all workspaces that Tocsin is installed in, made when they are first needed."""

    def __init__(
        self, made: Callable[[TeamId], Desk], *, sole: bool = False, placed: Placed = _not_written
    ) -> None:
        """`made` makes the desk of a workspace, closed; it is opened where Tocsin is installed.

        With `sole` there is one installation, for good: that of a bot token in the settings. `placed` writes
        down which organization a workspace is served through, before anything is done there.
        """
        self._made = made
        self._sole = sole
        self._placed = placed
        self._desks: dict[TeamId, Desk] = {}
        # Apart, so that no id of an organization is ever taken for that of a workspace.
        self._in_teams: dict[str, Installation] = {}
        self._in_orgs: dict[str, Installation] = {}
        self._orgs: dict[str, str] = {}

    @property
    def installations(self) -> list[Installation]:
        return [*self._in_teams.values(), *self._in_orgs.values()]

    @property
    def open(self) -> list[Desk]:
        """Those that serve somebody now."""
        return [desk for team, desk in self._desks.items() if self.serving(team) is not None]

    def know(self, orgs: Mapping[str, str]) -> None:
        """The organization of each workspace that is served through one."""
        self._orgs.update(orgs)

    def install(self, installation: Installation) -> None:
        """Serve a workspace or an organization from now on, or go on with its new token."""
        self._of_its_kind(installation)[installation.home] = installation
        if not installation.is_enterprise_install:
            self.desk(installation.team_id)
        for team in list(self._desks):
            self._settle(team)

    def uninstall(self, installation: Installation) -> None:
        """Do nothing more there; what is unfinished waits until Tocsin is installed again."""
        self._of_its_kind(installation).pop(installation.home, None)
        for team in self._desks:
            self._settle(team)

    def _of_its_kind(self, installation: Installation) -> dict[str, Installation]:
        return self._in_orgs if installation.is_enterprise_install else self._in_teams

    def serving(self, team: str, org: str = "") -> Installation | None:
        """The installation that serves this workspace: its own, else that of its organization.

        `org` is the organization of whoever asks, who may be of another than the workspace.
        """
        known = self._orgs.get(team, "")
        own = self._in_teams.get(team) or self._in_orgs.get(known) or self._in_orgs.get(org)
        if own is None and self._sole:
            (sole,) = self.installations
            # Slack names the workspace of all but a few gestures; these come from where the token is good.
            return sole if not team and not org else None
        return own

    def near(self, team: TeamId) -> frozenset[TeamId] | None:
        """The workspaces that see each other's incidents with this one; None where there is one installation.

        Those of one organization do, where it installed the app as a whole. What is of no workspace, since it
        was made at the backend itself, is seen while Tocsin is installed once.
        """
        if self._sole:
            return None
        own = self.serving(team)
        others = [known for known in self._orgs if own is not None and self.serving(known) is own]
        return frozenset(
            [team, *map(TeamId, others), *([TeamId("")] if len(self.installations) == 1 else [])]
        )

    async def find(self, team: TeamId, org: str = "") -> Desk | None:
        """The desk of this workspace, None where it is not ours. Raises Unavailable."""
        installation = self.serving(team, org)
        team = team or (installation.team_id if installation else team)
        if installation is None or not team:
            return None
        if installation.is_enterprise_install and self._orgs.get(team) != installation.home:
            await self._placed(team, installation.home)
            self._orgs[team] = installation.home
        if team not in self._desks:
            desk = self.desk(team)
            desk.tasks.begin("learn names", desk.greet())
        return self.desk(team)

    def desk(self, team: TeamId) -> Desk:
        """The desk of this workspace, also where Tocsin is installed no more: its stories wait there."""
        if self._sole and self.serving(team) is None:
            team = self._only_team(team)
        if team not in self._desks:
            self._desks[team] = self._made(team)
            self._settle(team)
        return self._desks[team]

    def _only_team(self, team: TeamId) -> TeamId:
        (sole,) = self.installations
        if not sole.is_enterprise_install:
            return sole.team_id
        self._orgs[team] = sole.home
        return team

    def _settle(self, team: TeamId) -> None:
        installation = self.serving(team)
        if installation is None:
            self._desks[team].workspace.leave()
        else:
            self._desks[team].workspace.enter(installation)


def allowed(installation: Installation, teams: Collection[str]) -> bool:
    """Whether this workspace, or its organization, is one that we mean to serve; with `*` among them any is.

    Slack's ids say what they are of: those of organizations begin with an E.
    """
    orgs = {home for home in teams if home.startswith("E")}
    own = not installation.is_enterprise_install and installation.team_id in set(teams) - orgs
    return ANY in teams or own or installation.enterprise_id in orgs
