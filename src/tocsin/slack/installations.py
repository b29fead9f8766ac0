"""Installations in one workspace or a whole organization, each with its own token; their store and cipher."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field, ValidationError

from tocsin.incidents.model import FrozenModel, PersonId, TeamId

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class Installation(FrozenModel):
    """Installation (Slack, oauth.v2.access); an org-wide one serves all workspaces of its organization."""

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
        """Id that the installation is stored under."""
        return self.enterprise_id if self.is_enterprise_install else self.team_id

    @classmethod
    def of_token(cls, identity: Mapping[str, Any], bot_token: str) -> Installation:
        """Return the only installation, that of a bot token, from the answer of `auth.test`."""
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


class InstallationStore(Protocol):
    """Store of installations. Every method raises Unavailable if the store cannot be used."""

    async def bodies(self, home: str | None = None) -> Mapping[str, str]:
        """Return the stored bodies, or the one of this home, by the id of the workspace or organization."""
        ...

    async def save(self, home: str, body: str) -> None: ...

    async def mark_uninstalled(self, home: str) -> None:
        """Delete a body, but remember that there was one."""
        ...

    async def orgs(self) -> Mapping[str, str]:
        """Return the organization of each workspace that is served through one."""
        ...

    async def save_org(self, team: str, org: str) -> None: ...

    async def encrypt_all(self, encrypt: Callable[[str], str] | None) -> None:
        """Replace each stored body by `encrypt` of it, and note that; None drops the note.

        All or nothing; does nothing if the note is there already.
        """
        ...

    async def is_encrypted(self) -> bool:
        """True if all bodies that were stored in the clear have been encrypted."""
        ...


class DecryptionError(Exception):
    """Raised if a stored body cannot be decrypted with our keys, or was not stored there by us."""


class TokenCipher:
    """Cipher that encrypts with the first Fernet key and decrypts with any; without keys it does neither."""

    def __init__(self, *keys: str) -> None:
        self._fernet = _fernet(keys) if keys else None

    @property
    def has_key(self) -> bool:
        return self._fernet is not None

    def encrypt(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode() if self._fernet else text

    def decrypt(self, text: str) -> str:
        """Return the decrypted text. Raises DecryptionError."""
        if self._fernet is None:
            if is_plain(text):
                return text
            raise DecryptionError
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(text.encode()).decode()
        except InvalidToken:
            raise DecryptionError from None


def _fernet(keys: Sequence[str]) -> MultiFernet:
    # Imported here, because it takes six megabytes that a bot with one token does not need.
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(key) for key in keys])


def is_plain(text: str) -> bool:
    """True if a body was stored in the clear; an encrypted one is not a JSON object."""
    return text.startswith("{")


class Installations:
    """All installations, encrypted in their store."""

    def __init__(self, store: InstallationStore, cipher: TokenCipher) -> None:
        self.store = store
        self._cipher = cipher

    async def encrypt_stored(self) -> None:
        """With a key, encrypt once what was stored without one; plain bodies are not read from then on."""

        def encrypted(body: str) -> str:
            return self._cipher.encrypt(body) if is_plain(body) else body

        await self.store.encrypt_all(encrypted if self._cipher.has_key else None)

    async def find(self, home: str) -> Installation | None:
        """Return the installation of this workspace or organization. Raises Unavailable, DecryptionError."""
        return next(iter(await self._read(home)), None)

    async def all(self) -> list[Installation]:
        """Return every installation. Raises Unavailable, and DecryptionError if one cannot be decrypted."""
        return await self._read()

    async def _read(self, home: str | None = None) -> list[Installation]:
        plain_too = not await self.store.is_encrypted()
        bodies = await self.store.bodies(home)
        return [self._decrypt(home, body, plain_too) for home, body in bodies.items()]

    def _decrypt(self, home: str, body: str, plain_too: bool) -> Installation:
        try:
            text = body if plain_too and is_plain(body) else self._cipher.decrypt(body)
            found = Installation.model_validate(json.loads(text))
        except (DecryptionError, ValidationError, ValueError):
            raise DecryptionError(home) from None
        if found.home != home:
            # A body that was encrypted for one workspace is not valid for another.
            raise DecryptionError(home)
        return found

    async def save(self, installation: Installation) -> None:
        await self.store.save(installation.home, self._cipher.encrypt(installation.model_dump_json()))
