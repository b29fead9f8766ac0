"""Where Tocsin is installed: one workspace, or a whole organization, each with a token of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
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


class SealBroken(Exception):
    """What is kept was encrypted with a key that we do not have."""


class Seal:
    """Encrypts with the first of these Fernet keys, and reads with any; without one what is kept is plain."""

    def __init__(self, *keys: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def closed(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode() if self._fernet else text

    def opened(self, text: str) -> str:
        """The text as it was, also where it was kept before there was a key. Raises SealBroken."""
        if text.startswith("{"):
            return text
        if self._fernet is None:
            raise SealBroken
        try:
            return self._fernet.decrypt(text.encode()).decode()
        except InvalidToken:
            raise SealBroken from None


class Installations:
    """All installations, sealed."""

    def __init__(self, vault: Vault, seal: Seal) -> None:
        self.vault = vault
        self._seal = seal

    async def all(self) -> list[Installation]:
        """Every installation. Raises Unavailable, and SealBroken where one cannot be read with our keys."""
        found = []
        for body in (await self.vault.bodies()).values():
            try:
                found.append(Installation.model_validate(json.loads(self._seal.opened(body))))
            except (ValidationError, ValueError):
                raise SealBroken from None
        return found

    async def keep(self, installation: Installation) -> None:
        await self.vault.keep(installation.home, self._seal.closed(installation.model_dump_json()))
