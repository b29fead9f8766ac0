"""Seed files: a YAML file with the users, channels and messages of a new workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slack_emulator.channels import require_name
from slack_emulator.composer import flatten, rich_text_of
from slack_emulator.messages import names_in
from slack_emulator.models import Channel, Json, Message, Person, Refused, Role, Team
from slack_emulator.state import new_id
from slack_emulator.workspace import Workspace


class SeedFileError(ValueError):
    """A seed file that cannot be used; the message has a line for each mistake."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeedTeam(_Strict):
    name: str = "Workspace"
    domain: str = "workspace"
    emoji: dict[str, str] = {}
    """Custom emoji: the URL of an image, or `alias:` and another emoji's name."""


class SeedUser(_Strict):
    name: str = Field(min_length=1, max_length=80)
    """The handle, without the @."""
    real_name: str = ""
    email: str = ""
    role: Role = "member"
    deleted: bool = False
    title: str = ""
    status_text: str = ""
    status_emoji: str = ""
    presence: Literal["", "auto", "away"] = ""


class SeedMessage(_Strict):
    user: str
    text: str = Field(min_length=1, max_length=12_000)


class SeedChannel(_Strict):
    name: str
    type: Literal["public", "private"] = "public"
    purpose: str = ""
    members: list[str] | None = None
    """Handles of the members; if omitted, all users except guests and deactivated ones."""
    messages: list[SeedMessage] = []


class SeedFile(_Strict):
    """Content of a new workspace. Its first owner, or else its first user, is the creator of the channels."""

    team: SeedTeam = SeedTeam()
    users: list[SeedUser] = Field(min_length=1)
    channels: list[SeedChannel] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a seed file. Raises SeedFileError with every mistake in it, and OSError."""
        try:
            found = cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise SeedFileError(f"{path} is not YAML: {error}") from error
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            raise SeedFileError("\n".join(f"{path}: {line}" for line in lines)) from error
        if mistakes := found._mistakes():
            raise SeedFileError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
        return found

    def fill(self, workspace: Workspace) -> None:
        """Add the content to an empty workspace."""
        state = workspace.state
        state.save(Team(state.team.id, self.team.name, self.team.domain, emoji=self.team.emoji))
        people = {user.name: self._person(user) for user in self.users}
        for person in people.values():
            state.save(person)
        owner = next((p for p in people.values() if p.role == "owner"), next(iter(people.values())))
        for number, declared in enumerate(self.channels):
            room = Channel(
                new_id("C" if declared.type == "public" else "G"),
                declared.name,
                declared.type,
                owner.id,
                int(state.now()),
                [people[name].id for name in self._members(declared)],
                purpose=declared.purpose,
                is_general=number == 0,
            )
            state.save(room)
            for message in declared.messages:
                blocks = rich_text_of(message.text, names_in(state))
                said: Json = {"user": people[message.user].id, "text": flatten(blocks), "blocks": blocks}
                state.save(Message(room.id, state.next_ts(), **said))

    def _person(self, user: SeedUser) -> Person:
        email = user.email or f"{user.name}@{self.team.domain}.example"
        real_name = user.real_name or user.name.capitalize()
        more = user.model_dump(include={"title", "status_text", "status_emoji", "presence"})
        return Person(new_id("U"), user.name, real_name, email, user.role, user.deleted, **more)

    def _members(self, channel: SeedChannel) -> list[str]:
        if channel.members is not None:
            return channel.members
        return [user.name for user in self.users if not user.deleted and "guest" not in user.role]

    def _mistakes(self) -> list[str]:
        known = [user.name for user in self.users]
        mistakes = [f"two users are called {name}" for name in {n for n in known if known.count(n) > 1}]
        names = [channel.name for channel in self.channels]
        mistakes += [f"two channels are called {name}" for name in {n for n in names if names.count(n) > 1}]
        for channel in self.channels:
            try:
                require_name(channel.name)
            except Refused as refused:
                mistakes.append(f"channel {channel.name}: {refused.error}")
            named = [*self._members(channel), *(message.user for message in channel.messages)]
            unknown = [name for name in named if name not in known]
            mistakes += [f"channel {channel.name}: no user is called {name}" for name in unknown]
        return mistakes
