"""Where Tocsin is installed: one workspace, or a whole organization, each with a token of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import Field, ValidationError

from tocsin.incidents.model import Frozen, PersonId, TeamId


class Installation(Frozen):
    """One installation (Slack, oauth.v2.access); an org-wide one serves every workspace of its own."""

    team_id: TeamId = TeamId("")
    enterprise_id: str = ""
    is_enterprise_install: bool = False
    name: str = ""
    url: str = ""
    app_id: str = ""
    bot_token: str = Field(repr=False)
    bot_user_id: PersonId = PersonId("")
    bot_id: str = ""
    installer: PersonId = PersonId("")
    refresh_token: str = Field("", repr=False)
    expires_at: datetime | None = None

    @property
    def home(self) -> str:
        """The id that the installation is kept under."""
        return self.enterprise_id if self.is_enterprise_install else self.team_id

    @classmethod
    def of_token(cls, identity: Mapping[str, Any], bot_token: str) -> Installation:
        """The one installation that a bot token stands for, from the answer of `auth.test`."""
        given = {
            name: str(identity.get(answered) or "")
            for name, answered in {
                "team_id": "team_id",
                "enterprise_id": "enterprise_id",
                "name": "team",
                "url": "url",
                "bot_user_id": "user_id",
                "bot_id": "bot_id",
            }.items()
        }
        wide = identity.get("is_enterprise_install") is True
        if wide:
            # An org-wide token's own team is its organization (Slack, auth.test).
            given |= {"team_id": "", "enterprise_id": given["enterprise_id"] or given["team_id"]}
        return cls.model_validate({**given, "is_enterprise_install": wide, "bot_token": bot_token})


class Vault(Protocol):
    """Where installations are written down. Every method raises Unavailable when that cannot be done."""

    async def bodies(self) -> Mapping[str, str]:
        """What is kept, by the id of the workspace or the organization."""
        ...

    async def keep(self, home: str, body: str) -> None: ...

    async def drop(self, home: str) -> None:
        """Forget what is kept, but not that something was."""
        ...

    async def orgs(self) -> Mapping[str, str]:
        """The organization of each workspace that is served through one."""
        ...

    async def place(self, team: str, org: str) -> None: ...

    async def seal(self, closed: Callable[[str], str] | None) -> None:
        """Have what is kept as `closed` answers of each body, and note that; None drops the note.

        All or nothing, and nothing where it is noted already.
        """
        ...

    async def is_sealed(self) -> bool:
        """Whether all that was kept in the clear was sealed once."""
        ...


class SealBroken(Exception):
    """What is kept for a workspace cannot be opened with our keys, or was not kept by us there."""


class Seal:
    """Encrypts with the first of these Fernet keys, and reads with any; without one what is kept is plain."""

    def __init__(self, *keys: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    @property
    def has_key(self) -> bool:
        return self._fernet is not None

    def closed(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode() if self._fernet else text

    def opened(self, text: str) -> str:
        """The text as it was. Raises SealBroken."""
        if self._fernet is None:
            if is_plain(text):
                return text
            raise SealBroken
        try:
            return self._fernet.decrypt(text.encode()).decode()
        except InvalidToken:
            raise SealBroken from None


def is_plain(text: str) -> bool:
    """Whether a body was kept in the clear; what is encrypted is no JSON object."""
    return text.startswith("{")


class Installations:
    """All installations, sealed."""

    def __init__(self, vault: Vault, seal: Seal) -> None:
        self.vault = vault
        self._seal = seal

    async def seal(self) -> None:
        """With a key, encrypt once what was kept without one; from then on nothing in the clear is read."""

        def closed(body: str) -> str:
            return self._seal.closed(body) if is_plain(body) else body

        await self.vault.seal(closed if self._seal.has_key else None)

    async def all(self) -> list[Installation]:
        """Every installation. Raises Unavailable, and SealBroken where one cannot be read with our keys."""
        plain_too = not await self.vault.is_sealed()
        bodies = await self.vault.bodies()
        return [self._opened(home, body, plain_too) for home, body in bodies.items()]

    def _opened(self, home: str, body: str, plain_too: bool) -> Installation:
        try:
            text = body if plain_too and is_plain(body) else self._seal.opened(body)
            found = Installation.model_validate(json.loads(text))
        except (SealBroken, ValidationError, ValueError):
            raise SealBroken(home) from None
        if found.home != home:
            # What was sealed for one workspace is good for no other.
            raise SealBroken(home)
        return found

    async def keep(self, installation: Installation) -> None:
        await self.vault.keep(installation.home, self._seal.closed(installation.model_dump_json()))
