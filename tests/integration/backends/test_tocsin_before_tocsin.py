"""A Tocsin whose incident.io is another Tocsin: both sides are held to the same pages of documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from integration.backends import test_contract
from integration.backends.test_carried import *  # noqa: F403
from integration.backends.test_contract import *  # noqa: F403
from support.beginning import Beginning
from support.bot import RunningBot, running_bot
from support.declarations import ANA, BEN, DAWN, Ticking
from support.first_files import own_tables
from support.readings import settled
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from slack_emulator.models import Person
from tocsin.backends.incident_io import IncidentIo
from tocsin.incidents.api_keys import SCOPES
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import Declaration
from tocsin.slack import routes
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.keys import SqlKeyStore
from tocsin.workflows.ports import IncidentBackend

pytestmark = pytest.mark.asyncio(loop_scope="module")

Reopen = Callable[[], Awaitable[IncidentBackend]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    """The Tocsin that keeps the incidents, in a workspace that has the people of the contract."""
    folder = tmp_path_factory.mktemp("other")
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        state = slack.workspace.state
        state.save(Person("U0ANA", "anat", "Ana Torres", "ana@example.com"))
        state.save(Person("U0BEN", "beno", "Ben Okafor", "ben@example.com"))
        async with running_bot(folder / "data", slack, clock=lambda: DAWN) as running:
            with closing(Beginning(running)) as beginning:
                yield running, beginning


class Settled:
    """The backend over the other Tocsin, whose channel is there once an incident is declared."""

    def __init__(self, behind: IncidentIo, bot: RunningBot) -> None:
        self._behind = behind
        self._bot = bot

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def create(self, declaration: Declaration) -> Incident:
        made = await self._behind.create(declaration)
        await settled(self._bot)
        found = await self._behind.find(made.id)
        assert found is not None
        channel = ("slack_channel_id", "slack_channel_name", "updated_at")
        return made.model_copy(update={name: getattr(found, name) for name in channel})


@pytest_asyncio.fixture(loop_scope="module")
async def reopen(other: tuple[RunningBot, Beginning], tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens the backend as a new process would; the other Tocsin runs on."""
    bot, beginning = other
    await beginning.again()
    await bot.backend.remember_people([ANA, BEN])
    memory = SqlKeyValueStore(Database(own_tables(tmp_path / "journal.db")))
    opened: list[IncidentIo] = []
    # Each test has a key of its own, and so the requests of a minute.
    key = await SqlKeyStore(bot.app.resources.database).create(tmp_path.name[:40], frozenset(SCOPES), DAWN)

    async def reopen() -> IncidentBackend:
        for earlier in opened:
            await earlier.close()
        backend = IncidentIo(bot.url, key, store=memory, clock=Ticking())
        opened.append(backend)
        return cast(IncidentBackend, Settled(backend, bot))

    yield reopen
    for earlier in opened:
        await earlier.close()
    memory.database.close()


@pytest_asyncio.fixture(loop_scope="module")
async def backend(reopen: Reopen) -> IncidentBackend:
    return await reopen()


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=test_contract.HOSTILE, summary=test_contract.HOSTILE, who=test_contract.HOSTILE)
async def test_any_text_that_passed_the_rules_comes_back_as_it_was(
    backend: IncidentBackend, name: str, summary: str, who: str
) -> None:
    held: Any = test_contract.test_any_text_that_passed_the_rules_comes_back_as_it_was
    await held.hypothesis.inner_test(backend, name, summary, who)
