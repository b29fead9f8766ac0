"""One run: a scenario, the kills, the restarts, and what the checker says of it all."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from support.clock import StillClock
from support.paging import CONFIG, PagingServices, running_services
from support.slack import RunningWorkspace
from support.webhooks import Receiver, configured, running_receiver

from reliability.crash import outbox
from reliability.crash.backends import LOCAL, Backend
from reliability.crash.by_alerts import CONFIG as ALERTS
from reliability.crash.by_rules import WITH_RULES
from reliability.crash.clock import Hurry
from reliability.crash.lives import Lives, Zygote
from reliability.crash.scenarios import WITH_NOTHING
from reliability.crash.stage import Stage
from reliability.crash.switch import Kill
from reliability.crash.vendors import Scene
from reliability.history.checker import violations
from reliability.history.evidence import Evidence
from reliability.history.history import History
from reliability.history.violation import Violation
from slack_emulator.manifest import Manifest
from slack_emulator.models import Refused
from slack_emulator.seed import seed
from slack_emulator.server import served
from slack_emulator.workspace import Workspace
from tocsin.slack import routes

RUN_SECONDS = 400.0
TRACKER_HOST = "github.com"


@dataclass(frozen=True)
class Plan:
    """Enough to do a run again."""

    scenario: str
    seed: int
    kills: tuple[Kill, ...] = ()
    backend: str = "local"

    def __str__(self) -> str:
        kills = " ".join(f"--kill '{kill}'" for kill in self.kills)
        over = "" if self.backend == "local" else f"--backend {self.backend} "
        return f"{over}--scenario {self.scenario} --seed {self.seed} {kills}".rstrip()


@dataclass
class Report:
    plan: Plan
    kills: list[str] = field(default_factory=list)
    lives: list[Counter[str]] = field(default_factory=list)
    """How often each life passed each point."""
    stopped: list[bool] = field(default_factory=list)
    """Whether the scenario itself ended that life."""
    intents: int = 0
    deeds: int = 0
    lost: int = 0
    duplicated: int = 0
    violations: list[str] = field(default_factory=list)


def ram_folder() -> Path | None:
    """Where files are kept in memory, if this machine has such a place."""
    found = Path("/dev/shm")
    return found if found.is_dir() else None


class Runner:
    """Runs one plan after another, or several at once, with one warm process."""

    def __init__(self, zygote: Zygote, folder: Path, backend: Backend = LOCAL) -> None:
        self._backend = backend
        self._zygote = zygote
        self._folder = folder
        self._template = folder / "template"
        self._manifest = Manifest.from_dict(routes.manifest(pages="http://127.0.0.1", tracker=TRACKER_HOST))

    async def prepare(self) -> None:
        """One start of the bot on an empty folder: its migrated files are copied for every run."""
        async with self._staged(self._folder / "first", Random(0), []) as stage:
            await stage.lives.quiet()
        shutil.copytree(self._folder / "first" / "data", self._template)

    async def run(self, plan: Plan) -> Report:
        report = Report(plan)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))
        if self._template.exists() and plan.scenario not in WITH_NOTHING:
            shutil.copytree(self._template, folder / "data")
        try:
            async with self._staged(
                folder, Random(plan.seed), list(plan.kills), WITH_RULES.get(plan.scenario, "")
            ) as stage:
                await self._play(stage, report)
        finally:
            if not report.violations:
                shutil.rmtree(folder)
        return report

    async def _play(self, stage: Stage, report: Report) -> None:
        lives = stage.lives
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await self._backend.scenarios[report.plan.scenario](stage)
                await lives.quiet()
                if not self._backend.hosted:
                    await outbox.delivered(stage.folder / "data")
        except (TimeoutError, RuntimeError, AssertionError, Refused) as error:
            lives.dump()
            report.violations.append(f"did not come to rest: {_last_line(error)}; log in {stage.folder}")
        await lives.close()
        report.violations += [f"the bot ended by itself: {life.failed}" for life in lives.past if life.failed]
        report.kills, report.lives = lives.kills, [life.passed for life in lives.past]
        report.stopped = [life.stopped for life in lives.past]
        data = stage.folder / "data"
        history = History.of(
            stage.workspace,
            data,
            stage.presses,
            kills=lives.killed_when,
            kept=stage.vendor.kept(data),
            backend=self._backend.name,
            deeds=stage.deeds,
            answered=stage.answered,
        )
        self._judge(history, stage, report)

    def _judge(self, history: History, stage: Stage, report: Report) -> None:
        found = [*violations(history)]
        found += [Violation("I9", said) for said in stage.vendor.broken(Evidence(history))]
        if stage.receiver is not None and not self._backend.hosted:
            told = outbox.broken(stage.folder / "data", stage.receiver)
            found += [Violation("I10", said) for said in told]
        report.intents = len(stage.presses)
        report.deeds = len(stage.deeds)
        report.lost = sum("and there is no" in violation.sentence for violation in found)
        twice = ("twice", "times", " incidents: ")
        report.duplicated = sum(any(word in violation.sentence for word in twice) for violation in found)
        report.violations += [str(violation) for violation in found]
        if report.violations:
            (stage.folder / "history.json").write_bytes(history.to_json())

    @asynccontextmanager
    async def _staged(
        self, folder: Path, rng: Random, kills: list[Kill], more: str = ""
    ) -> AsyncIterator[Stage]:
        """`more` is what the configuration has besides what all runs have."""
        (folder / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
        # Slack's three seconds pass when the bot is dead.
        clock = StillClock()
        workspace = Workspace(clock=clock)
        seed(workspace)
        app = workspace.install(self._manifest)
        async with (
            served(workspace) as url,
            running_services() as paging,
            running_receiver() as receiver,
        ):
            slack = RunningWorkspace(workspace, app, url, clock)
            hurry = Hurry(folder / "clock")
            async with self._backend.vendor(Scene(slack, hurry, rng)) as vendor:
                settings = {**_settings(slack, folder / "data"), **vendor.settings}
                if not self._backend.hosted:
                    settings["tocsin_config"] = str(_rules(folder, paging, receiver, more))
                hurried = hurry if self._backend.hosted else None
                lives = Lives(self._zygote, folder, settings, kills, clock.now, hurried)
                await lives.open()
                try:
                    yield Stage(slack, lives, folder, rng, vendor, paging, receiver)
                finally:
                    await lives.close()


RULES = """
[after]
archive_after_days = 3

[[nudges.rules]]
when = "no_lead"
after = "20 days"
"""
"""With nothing to be done for days, but for who turns the time in the record."""


def _rules(folder: Path, paging: PagingServices, receiver: Receiver, more: str) -> Path:
    path = folder / "tocsin.toml"
    hooks = configured(receiver.url, private=True)
    path.write_text(RULES + CONFIG.format(url=paging.url) + ALERTS + hooks + more)
    return path


def _settings(slack: RunningWorkspace, folder: Path) -> dict[str, Any]:
    return {
        "tocsin_data_dir": str(folder),
        "slack_bot_token": slack.bot_token,
        "slack_app_token": slack.app_token,
        "slack_api_url": slack.api_url,
        "tocsin_announce_channel": slack.channel("incidents"),
    }


def _last_line(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {error} at {Path(where.filename).name}:{where.lineno}"
