"""The bot in the seeded workspace, with its incidents at incident.io."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slack_emulator.manifest import Manifest
from slack_emulator.models import View
from support.bot import RunningBot, chosen, running_bot
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, running_incident_io
from support.patience import LIMIT
from support.slack import RunningWorkspace, running_workspace
from tocsin.slack import routes


@dataclass
class Stage:
    """The bot, the workspace, and incident.io."""

    bot: RunningBot
    io: IncidentIoServer

    async def filled(self, text: str = "checkout is slow", **fields: Any) -> View:
        view = await self.bot.type_command("ana", "general", f"/incident {text}")
        await self.bot.fill("ana", view, severity_id=chosen("major"), **fields)
        return view

    def open_channel(self, name: str, *people: str, private: bool = False) -> str:
        """What incident.io does some seconds later: a channel in Slack, and its id in its own answers."""
        workspace, incident = self.bot.workspace, self.io.account.incidents[-1]
        owner = self.bot.slack.person("ben")
        channel = workspace.conversations.create(owner, name, private=private)
        for person in people:
            channel.members.append(self.bot.slack.person(person))
        self.io.account.open_channel(incident, channel.id, name)
        return channel.id

    async def until(self, seen: Any) -> None:
        """Once what is looked for can be seen."""
        while not seen():
            ended = [r for r in self.bot.workspace.requests if r.finished]
            await self.bot.workspace.heard(lambda r: True, len(ended) + 1, LIMIT)


def knowing(slack: RunningWorkspace) -> Account:
    account = Account(team=slack.workspace.state.team.id)
    for name in ("ana", "ben", "chloe"):
        person = slack.workspace.person_by_name(name)
        account.knows(person.id, person.real_name)
    return account


@asynccontextmanager
async def staged(folder: Path, **more: Any) -> AsyncIterator[Stage]:
    async with (
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
        running_incident_io(knowing(slack)) as io,
    ):
        settings = {
            "tocsin_backend": "incident_io",
            "incident_io_url": io.url,
            "incident_io_api_key": "a-key",
        }
        async with running_bot(folder, slack, **settings, **more) as bot:
            yield Stage(bot, io)
