"""Gestures of many people at once, days that go by, and a look at everything that anybody was shown."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from support.alerts import keyed
from support.bot import RunningBot, running_bot
from support.errands import until
from support.managing import verbs
from support.paging import PagingServices, running_services
from support.patience import LIMIT
from support.slack import running_workspace
from support.webhooks import Receiver, configured, running_receiver

from reliability.secrecy.gestures import PEOPLE, People
from reliability.secrecy.kept import Overheard, Register
from reliability.secrecy.looked import ANYBODY, FILTERED, Looked
from reliability.secrecy.programs import CONFIG as SOURCES
from reliability.secrecy.programs import Programs
from reliability.secrecy.steps import Workflows
from reliability.secrecy.tasks import CONFIG as TASKS
from reliability.secrecy.tasks import Tasks
from reliability.secrecy.used_channels import UsedChannels
from slack_emulator.manifest import Manifest
from tocsin.slack import routes

SWEPT = 50
"""So many gestures, and what went over the wire meanwhile is looked at."""

BACKLOG_SECONDS = 3600.0
"""Virtual seconds in which all is followed through: Slack's rate limits let through one message a second."""

A_DAY = 80
"""So many gestures, and a day has gone by."""

CONFIG = f"""{SOURCES}{TASKS}
[[paging]]
name = "payments"
provider = "pagerduty"
key_variable = "TEST_PAGERDUTY_KEY"
url = "URL/events"

[[paging]]
name = "database"
provider = "opsgenie"
key_variable = "TEST_OPSGENIE_KEY"
url = "URL/genie"

[after]
archive_after_days = 2

[[announcements]]
severities = ["Major"]
channels = ["C0ALERTS02"]
invite = ["@oncall"]

[[nudges.rules]]
when = "no_lead"
after = "1 hour"

[[nudges.rules]]
when = "no_update"
after = "1 hour"

[[custom_fields]]
name = "Site"

[[custom_fields]]
name = "Depot"
field_type = "single_select"
required = true
options = {[f"Depot {number:03}" for number in range(150)]}
"""


ON_CALL = "on call"
"""Whoever a paging service calls, who reads the reference of a private incident and nothing else of it."""


class Calendar:
    """The bot's clock, some days ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Found:
    """What a run found."""

    gestures: int
    incidents: int = 0
    private: int = 0
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    looked_at: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [
            f"{self.gestures} gestures: {dict(self.done.most_common())}",
            f"{sum(self.missed.values())} came too late: {dict(self.missed)}",
            f"{self.incidents} incidents, {self.private} of them private in the end",
            f"{sum(self.looked_at.values())} things looked at: {dict(self.looked_at.most_common())}",
            f"{len(self.leaks)} leaks: {Counter(self.leaks).most_common(12)}",
        ]


async def canaries(
    folder: Path,
    gestures: int,
    seed: int,
    behind: Callable[[Any], Any] = lambda backend: backend,
    minutes: float = math.inf,
    patience: float = LIMIT,
) -> Found:
    """A workspace and a bot of their own; `behind` may stand between the bot and its backend.

    No gesture begins after so many minutes. What Home still shows after the patience, in seconds, it shows.
    """
    config = folder / "tocsin.toml"
    calendar, register = Calendar(), Register()
    installed = Manifest.from_dict(routes.manifest(pages="http://127.0.0.1", tracker="github.com"))
    with keyed():
        async with (
            running_workspace(installed) as slack,
            running_services() as services,
            running_receiver() as receiver,
            running_bot(
                folder / "kept",
                slack,
                behind=lambda backend: behind(Overheard(backend, register)),
                clock=calendar,
                tocsin_config=_written(config, services, receiver),
            ) as bot,
            httpx.AsyncClient(base_url=bot.url, trust_env=False, timeout=LIMIT) as http,
        ):
            looked = Looked(bot, register)
            register.now = looked.now
            services.reads = lambda said: looked.shown(said, "paged", ON_CALL)
            receiver.reads = lambda said: looked.shown(said, "webhook", ANYBODY)
            people = People(bot, looked, random.Random(seed), http)
            Workflows(people)
            Tasks(people)
            used_channels = UsedChannels(people)
            await used_channels.settle_in()
            programs = Programs(bot, looked, random.Random(seed + 1), http)
            begun = await _lived(people, programs, calendar, gestures, minutes)
            await _looked_at_the_end(people, http, patience)
    return Found(
        begun,
        incidents=len(register.kept),
        private=sum(kept.private for kept in register.kept),
        done=people.done + programs.done,
        missed=people.missed,
        looked_at=looked.counted,
        leaks=looked.leaks + register.strangers,
    )


def _written(config: Path, services: PagingServices, receiver: Receiver) -> Path:
    hooks = configured(receiver.url, private=True)
    config.write_text(CONFIG.replace("URL", services.url) + hooks)
    return config


async def _lived(
    people: People, programs: Programs, calendar: Calendar, gestures: int, minutes: float
) -> int:
    """Everybody at once, until all is done and has been followed through; how many gestures there were."""
    watching = asyncio.create_task(people.looked.watch())
    await people.settle_in()
    await programs.settle_in()
    left = iter(range(gestures))
    begun, last = 0, time.monotonic() + minutes * 60

    async def lives(act: Callable[[], Awaitable[None]]) -> None:
        nonlocal begun
        for number in left:
            if time.monotonic() >= last:
                return
            begun += 1
            await act()
            if number % SWEPT == 0:
                people.looked.sweep()
            if number % A_DAY == A_DAY - 1:
                await _a_day_goes_by(people.bot, calendar)

    async with asyncio.TaskGroup() as together:
        for name in PEOPLE:
            together.create_task(lives(partial(people.anything, name)))
        together.create_task(lives(programs.anything))
    # What goes wrong is tried again at the next look; here comes the last.
    people.bot.workspace.faults.clear()
    for _ in range(3):
        await _a_day_goes_by(people.bot, calendar)
    async with asyncio.timeout(BACKLOG_SECONDS):
        await people.bot.app.settled()
        await verbs(people.bot).watching.poll()
        await people.bot.app.settled()
    watching.cancel()
    return begun


async def _a_day_goes_by(bot: RunningBot, calendar: Calendar) -> None:
    """Updates become due, nudges and notices are given and channels archived."""
    calendar.ahead += timedelta(days=1)
    await verbs(bot).remind.ask_due()
    await verbs(bot).nudger.nudge_due()
    await verbs(bot).archiving.archive_due()


async def _looked_at_the_end(people: People, http: httpx.AsyncClient, patience: float) -> None:
    bot, looked = people.bot, people.looked
    for page in _pages(looked.register):
        looked.shown((await http.get(page)).text, "page", ANYBODY)
    for name in PEOPLE:
        await bot.workspace.open_home(bot.slack.person(name), bot.slack.app.app_id)
    # Home follows a moment after what it shows.
    with suppress(TimeoutError):
        await until(bot, looked.homes_are_true, patience)
    async with asyncio.timeout(BACKLOG_SECONDS):
        await bot.app.settled()
    looked.sweep()
    looked.look_at_what_is_left()


def _pages(register: Register) -> Iterator[str]:
    yield from ("/incidents", *FILTERED, "/insights", "/alerts")
    yield from (f"/incidents/{kept.reference}" for kept in register.kept if kept.reference)
