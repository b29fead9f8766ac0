"""Weekly digests: the leader starts a durable workflow for each that is due, which posts it once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid5

from tocsin.incidents.digest import LATE, MOST_LISTED, DigestRule, WeeklyDigest, digest_of, week_until
from tocsin.incidents.errors import Withheld
from tocsin.incidents.insights import Chosen, CountedDays, InsightSource, Teams
from tocsin.incidents.model import ChannelId, FrozenModel, Incident, TeamId
from tocsin.incidents.requests import NOBODY, IncidentFilter, IncidentQuery
from tocsin.workflows.command import act_for
from tocsin.workflows.ports import Alerts, Clock, IncidentBackend, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps, best_effort, sentences
from tocsin.workflows.slack_client import WorkspaceOf

VERB = "digest"
KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000020")
LOOK_SECONDS = 30.0

MOST_LOOKS = 50
"""Looks at a range whose days are still to be counted, after which a digest says what is known."""

MOST_PAGES = 40
"""Pages of the list, of fifty incidents each, on which a digest looks for those that are open."""

A_YEAR = timedelta(days=365)

DigestRules = Callable[[], Sequence[tuple[TeamId, DigestRule]]]
"""Returns the digests of each workspace, as configured now."""
TeamsSeen = Callable[[TeamId], Teams]
"""Returns the workspaces whose incidents the members of one may see; None for all."""


class DigestCommand(FrozenModel):
    """A digest that is due in a channel."""

    team: TeamId
    channel: ChannelId
    due: datetime
    week: str = ""
    """Week of the digest; empty in a command of an earlier version."""

    @property
    def key(self) -> str:
        """Key of the workflow: there is one for each channel and week, also if its time is changed."""
        return str(uuid5(KEYS, f"{self.team}/{self.channel}/{self.week or self.due.isoformat()}"))


class Digests:
    """Durable workflow of each digest, and the loop that starts it. One instance serves the process."""

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        workspace: WorkspaceOf,
        source: InsightSource,
        rules: DigestRules,
        teams_seen: TeamsSeen,
        alerts: Alerts,
        clock: Clock,
        insights: str,
    ) -> None:
        """`insights` is the address of the page *Insights*, "" if other people cannot reach it."""
        self._backend = backend
        self._engine = engine
        self._steps = Steps(engine)
        self._workspace = workspace
        self._source = source
        self._rules = rules
        self._teams_seen = teams_seen
        self._alerts = alerts
        self._clock = clock
        self._insights = insights
        self._started: dict[tuple[str, str], datetime] = {}
        """When the digest that was started last was due, by workspace and channel."""

    async def keep_watch(self) -> None:
        """Start due digests, forever. A failure is tried again in the next round."""
        while True:
            async with best_effort("start the digests that are due"):
                await self.start_due()
            await asyncio.sleep(LOOK_SECONDS)

    async def start_due(self) -> None:
        """Start each digest that is due, unless it was started before or is too late."""
        now = self._clock()
        for team, rule in self._rules():
            due = rule.last_due(now)
            if now - due > LATE or self._started.get((team, rule.channel)) == due:
                continue
            command = DigestCommand(
                team=team, channel=ChannelId(rule.channel), due=due, week=rule.week_of(due)
            )
            # An earlier version may have started it, under the key of its due time.
            earlier = command.model_copy(update={"week": ""})
            if await self._engine.find_command(earlier.key) is None:
                await self._engine.start(VERB, command.key, command.model_dump(mode="json"))
            self._started[team, rule.channel] = due

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; a recorded step is not repeated after a crash."""
        command = DigestCommand.model_validate(raw)
        # What an earlier process may have posted is searched for from then on.
        act_for(None, command.due)
        posted = await self._steps.run_once(
            "post the digest",
            self._post,
            command,
            on_failure=f"The weekly digest could not be posted in <#{command.channel}>",
            returns=bool,
            attempts=ALL_DAY,
        )
        about = f"digest {command.team}/{command.channel}"
        if isinstance(posted, StepFailure):
            self._alerts.raise_alert(
                about, f"{sentences([posted])[0]}. Look at [[digests]] in TOCSIN_CONFIG."
            )
        elif posted:
            self._alerts.resolve(about)
        return {"kind": "digest"}

    async def _post(self, command: DigestCommand, again: bool) -> bool:
        """Post the digest as things are now; return False if it is too late for that."""
        if self._clock() - command.due > LATE:
            return False
        messages = self._workspace(command.team).messages
        post = partial(messages.post_digest, command.channel, key=command.key, again=again)
        try:
            await post(*await self.compose(command))
        except Withheld:
            # One of its incidents has just become private: then the second has other figures.
            await post(*await self.compose(command))
        return True

    async def compose(self, command: DigestCommand) -> tuple[WeeklyDigest, Sequence[Incident]]:
        """Return the digest, and the incidents by which the gate decides who may read it."""
        teams, chosen = self._teams_seen(command.team), week_until(command.due)
        week = await self._counted(chosen, teams)
        # Only follow-ups are counted by the year, and a hosted backend reads its list for it.
        year = week
        if week.has_follow_ups:
            year = await self._counted(Chosen(chosen.last - A_YEAR, _today(command)), teams)
        seen = IncidentFilter(visible_to=NOBODY, teams=None if teams is None else frozenset(teams))
        open_now = await self._open_now(seen.teams)
        about = open_now or await self._backend.matching(seen, limit=1)
        return digest_of(week, year, chosen, open_now, self._insights), about

    async def _open_now(self, teams: frozenset[TeamId] | None) -> tuple[Incident, ...]:
        """Return the newest public incidents that are open, one more than are listed at most.

        Any number of incidents in triage and of tests may be newer, so it looks on until it has found enough.
        """
        wanted, found = IncidentQuery(group="open", visible_to=NOBODY, teams=teams), list[Incident]()
        for _ in range(MOST_PAGES):
            page = await self._backend.listed(wanted)
            found += [one for one in page.incidents if one.mode == "standard"]
            if page.after is None or len(found) > MOST_LISTED:
                break
            wanted = wanted.model_copy(update={"after": page.after})
        return tuple(found[: MOST_LISTED + 1])

    async def _counted(self, chosen: Chosen, teams: Teams) -> CountedDays:
        for _ in range(MOST_LOOKS):
            counted = await self._source.count(chosen, False, teams)
            if not counted.missing:
                break
        return counted


def _today(command: DigestCommand) -> date:
    return week_until(command.due).last + timedelta(days=1)
