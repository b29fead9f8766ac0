"""The data folder or the database that replaces it: its lock, its secrets, the journal, the backend."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from platformdirs import user_data_path
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tocsin.backends import BACKENDS, BackendOptions, MissingSetting
from tocsin.backends.local.outbox import EventBodies
from tocsin.config import IncidentConfig, IncidentConfigError
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.webhooks import Subscription
from tocsin.rules import CONFIG_KEYS, open_config
from tocsin.settings import SHORTEST_SECRET, ConfigurationError, Settings, read_config
from tocsin.storage.barrier import root_message
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.postgresql import is_postgresql, postgresql_engine
from tocsin.storage.serialization import json_only
from tocsin.workflows.ports import Alerts, IncidentBackend, KeyValueStore


def now() -> datetime:
    return datetime.now(UTC)


def folder_of(settings: Settings, name: str = "tocsin") -> Path:
    """Return the path of the data folder, as set or the platform's own; the folder may not exist yet."""
    return settings.tocsin_data_dir or user_data_path(name)


def data_dir(folder: Path) -> Path:
    """Return the data folder, creating it for its owner alone (0700). Raises ConfigurationError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except PermissionError as error:
        raise ConfigurationError(_not_ours(folder, error)) from None
    except OSError as error:
        raise ConfigurationError(f"TOCSIN_DATA_DIR cannot be used ({folder}): {error.strerror}.") from None
    return folder


def _not_ours(folder: Path, error: PermissionError) -> str:
    """Return the error for a folder of another user: it cannot be closed to others even if it is writable."""
    if os.path.isdir(folder):
        return (
            f"TOCSIN_DATA_DIR belongs to another user ({folder}): give it to the one who runs Tocsin "
            f"(number {os.getuid()}), or set a folder inside it, which Tocsin then makes."
        )
    return f"TOCSIN_DATA_DIR cannot be made ({folder}: {error.strerror}): allow it, or set another."


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Lock the data folder; the lock ends with the process.

    Raises ConfigurationError if another process holds it.
    """
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


def new_secret() -> str:
    """Return a random secret of 256 bits."""
    return secrets.token_urlsafe(32)


def kept_secret(folder: Path, name: str) -> str:
    """Return the secret in this file, creating a random one on first use (0600).

    Raises ConfigurationError if the secret could be guessed or the file cannot be used.
    """
    path = folder / name
    try:
        found = path.read_text().strip() if path.exists() else ""
        if not found:
            found = new_secret()
            _write_whole(path, found + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"TOCSIN_DATA_DIR: {path} cannot be used ({error}): remove it.") from None
    if len(found) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"TOCSIN_DATA_DIR: {path} has fewer than {SHORTEST_SECRET} characters: remove it, and a new one "
            "is made."
        )
    return found


async def lasting_secret(store: SqlKeyValueStore, folder: Path, name: str) -> str:
    """Return a random secret that outlasts restarts, from the data folder, or one for all replicas."""
    if store.database.is_shared:
        return await store.set_if_absent(f"secret:{name}", new_secret())
    return kept_secret(folder, name)


def _write_whole(path: Path, text: str) -> None:
    """Replace a file atomically: a reader sees all of the text or none, even after a crash."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as fresh:
        fresh.write(text)
        fresh.flush()
        os.fsync(fresh.fileno())
    os.replace(fresh.name, path)


async def open_backend(
    settings: Settings,
    folder: Path,
    *,
    store: KeyValueStore | None = None,
    operator: Alerts | None = None,
    subscriptions: Sequence[Subscription] = (),
    bodies: EventBodies | None = None,
) -> IncidentBackend:
    """Open the configured backend. Raises ConfigurationError with a line for each problem.

    Without a store for its values nothing is created or changed, so that it is safe beside the running bot.
    """
    url = journal_url(settings, folder)
    config = read_config(settings.tocsin_config)
    options = BackendOptions(
        data_dir=folder,
        public_url=settings.public_url,
        clock=now,
        config=config,
        other_keys=CONFIG_KEYS,
        store=store,
        secrets=settings.of_backend(settings.tocsin_backend),
        operator=operator,
        connect=partial(_connect, url) if is_postgresql(url) else None,
        subscriptions=subscriptions,
        bodies=bodies,
        read_only=store is None,
    )
    try:
        with _config_problems():
            return await BACKENDS[settings.tocsin_backend](options)
    except MissingSetting as error:
        raise ConfigurationError(str(error)) from None
    except Unavailable as error:
        where = "TOCSIN_DATABASE_URL" if is_postgresql(url) else "TOCSIN_DATA_DIR"
        raise ConfigurationError(f"{where}: {error}") from None


def _connect(url: str, session: Mapping[str, str]) -> Engine:
    return postgresql_engine(url, session=session, autocommit=True)


def open_incident_config(settings: Settings) -> IncidentConfig:
    """Return the choices of the forms from the configuration file.

    Raises ConfigurationError with a line for each problem.
    """
    with _config_problems():
        return IncidentConfig.from_toml(read_config(settings.tocsin_config), other_keys=CONFIG_KEYS)


@contextmanager
def _config_problems() -> Iterator[None]:
    try:
        yield
    except IncidentConfigError as error:
        raise ConfigurationError("\n".join(f"TOCSIN_CONFIG: {said}" for said in error.problems)) from None


def config_problems(settings: Settings) -> list[str]:
    """Return a line for each problem of the configuration file, without the setting's name."""
    wrong: dict[str, None] = {}
    for look in (open_incident_config, open_config):
        try:
            look(settings)
        except ConfigurationError as error:
            wrong |= dict.fromkeys(str(error).splitlines())
    lines = (line.removeprefix("TOCSIN_CONFIG").lstrip(": ") for line in wrong)
    return [line if line.endswith((".", "?")) else f"{line}." for line in lines]


def journal_url(settings: Settings, folder: Path) -> str:
    """Return the URL of the database with workflows, Slack state and installations.

    In PostgreSQL it has the local backend's incidents, too.
    """
    return secret(settings.tocsin_database_url) or f"sqlite:///{folder / 'journal.db'}"


RESTORE = "Restore a backup."


def open_database(url: str) -> Database:
    """Open the database, creating its tables at first. Raises ConfigurationError if it cannot be used."""
    database = Database(url)
    advice = "Check the address, and that its database takes connections." if database.is_shared else RESTORE
    try:
        if not database.is_shared:
            json_only(url)
        database.open()
        return database
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error} {advice}") from None
    except (OSError, ImportError, UnicodeDecodeError, sqlite3.Error, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"TOCSIN_DATABASE_URL: the journal cannot be used ({root_message(error)}). {advice}"
        ) from None


def secret(value: SecretStr | None) -> str | None:
    """Return a secret setting in clear text."""
    return value.get_secret_value() if value is not None else None
