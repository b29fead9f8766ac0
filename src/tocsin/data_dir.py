"""Where this machine keeps things: the data folder, its lock and its token, the journal, the incidents."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from platformdirs import user_data_path
from pydantic import SecretStr

from tocsin.backends import BACKENDS, MissingSetting, Opening
from tocsin.config import KEYS, Catalogue, CatalogueError
from tocsin.incidents.errors import Unavailable
from tocsin.settings import SHORTEST_SECRET, ConfigurationError, Settings, read_config
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.workflows.ports import Alerts, IncidentBackend


def now() -> datetime:
    return datetime.now(UTC)


def folder_of(settings: Settings, name: str = "tocsin") -> Path:
    """Where the data folder is, or would be: as set, else the platform's folder of this name."""
    return settings.tocsin_data_dir or user_data_path(name)


def data_dir(settings: Settings, name: str = "tocsin") -> Path:
    """The data folder, made for its owner's eyes only (0700). Raises ConfigurationError."""
    folder = folder_of(settings, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except PermissionError as error:
        raise ConfigurationError(_not_ours(folder, error)) from None
    except OSError as error:
        raise ConfigurationError(f"TOCSIN_DATA_DIR cannot be used ({folder}): {error.strerror}.") from None
    return folder


def _not_ours(folder: Path, error: PermissionError) -> str:
    """A folder of somebody else cannot be closed to others, though we may write there."""
    if os.path.isdir(folder):
        return (
            f"TOCSIN_DATA_DIR belongs to another user ({folder}): give it to the one who runs Tocsin "
            f"(number {os.getuid()}), or set a folder inside it, which Tocsin then makes."
        )
    return f"TOCSIN_DATA_DIR cannot be made ({folder}: {error.strerror}): allow it, or set another."


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process; a second one is refused. The lock dies with the process."""
    with _lock_file(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"TOCSIN_DATA_DIR is in use by another Tocsin process ({folder}): stop it, or use another."
            ) from None
        yield


def _lock_file(folder: Path) -> IO[str]:
    try:
        return open(folder / "lock", "a+", opener=_for_owner)
    except OSError as error:
        raise ConfigurationError(
            f"TOCSIN_DATA_DIR cannot be written to ({error.strerror}: {folder / 'lock'}): allow it."
        ) from None


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def api_token(settings: Settings, folder: Path) -> str:
    """The bearer token of the pages: as set, else kept in the data folder. Raises ConfigurationError."""
    set_here = settings.tocsin_api_token
    return set_here.get_secret_value().strip() if set_here is not None else kept_secret(folder, "api-token")


def kept_secret(folder: Path, name: str) -> str:
    """The secret in this file: made at random where there is none, and kept for good (0600).

    Raises ConfigurationError for one that could be guessed, and where the file cannot be used.
    """
    path = folder / name
    try:
        found = path.read_text().strip() if path.exists() else ""
        if not found:
            found = secrets.token_urlsafe(32)
            _write_whole(path, found + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"TOCSIN_DATA_DIR: {path} cannot be used ({error}): remove it.") from None
    if len(found) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"TOCSIN_DATA_DIR: {path} has fewer than {SHORTEST_SECRET} characters: remove it, and a new one "
            "is made."
        )
    return found


def _write_whole(path: Path, text: str) -> None:
    """Whoever looks at the path finds all of it or nothing, also after a crash."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as fresh:
        fresh.write(text)
        fresh.flush()
        os.fsync(fresh.fileno())
    os.replace(fresh.name, path)


async def open_backend(
    settings: Settings, folder: Path, *, reading: bool = False, operator: Alerts | None = None
) -> IncidentBackend:
    """The configured backend. Raises ConfigurationError with a line for each thing that is wrong.

    With `reading` nothing is made or changed, so that it can be done beside the running bot.
    """
    catalogue = read_config(settings.tocsin_config)
    opening = Opening(
        data_dir=folder,
        public_url=settings.public_url,
        clock=now,
        catalogue=catalogue,
        elsewhere=KEYS,
        memory=None if reading else SqlKeyValueStore(journal_url(settings, folder)),
        secrets=settings.of_backend(settings.tocsin_backend),
        operator=operator,
        reading=reading,
    )
    try:
        with _catalogue_lines():
            return await BACKENDS[settings.tocsin_backend](opening)
    except MissingSetting as error:
        raise ConfigurationError(str(error)) from None
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATA_DIR: {error}") from None


def open_catalogue(settings: Settings) -> Catalogue:
    """What `TOCSIN_CONFIG` makes of incidents. Raises ConfigurationError with a line for each problem."""
    with _catalogue_lines():
        return Catalogue.from_toml(read_config(settings.tocsin_config), elsewhere=KEYS)


@contextmanager
def _catalogue_lines() -> Iterator[None]:
    try:
        yield
    except CatalogueError as error:
        raise ConfigurationError("\n".join(f"TOCSIN_CONFIG: {said}" for said in error.problems)) from None


def journal_url(settings: Settings, folder: Path) -> str:
    """Where stories are kept, as a SQLAlchemy address."""
    return settings.tocsin_database_url or f"sqlite:///{folder / 'journal.db'}"


def secret(value: SecretStr | None) -> str | None:
    """A setting that must not be printed, in the clear."""
    return value.get_secret_value() if value is not None else None
