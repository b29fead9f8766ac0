"""The bot's settings. No other module reads the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, create_model, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SLACK_API = "https://slack.com/api/"
_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
_TEAM = re.compile(r"[TE][A-Z0-9]{1,30}")
SHORTEST_SECRET = 20
"""Fewest characters of a secret; a shorter one could be guessed."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ConfigurationError(Exception):
    """The settings are not valid: one line for each error, with the variable, the problem and its fix."""


class Settings(BaseSettings):
    """Settings from the environment and from `.env`, if there is one. Fields are named as the variables."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_client_id: str | None = None
    slack_client_secret: SecretStr | None = None
    slack_api_url: str = SLACK_API
    tocsin_backend: Literal["local", "incident_io", "devrev"] = "local"
    tocsin_data_dir: Path | None = None
    tocsin_database_url: SecretStr | None = None
    tocsin_config: Path | None = None
    tocsin_announce_channel: str | None = None
    tocsin_host: str = "127.0.0.1"
    tocsin_port: int = Field(8080, ge=0, le=65535)
    tocsin_public_url: str | None = None
    tocsin_api_token: SecretStr | None = None
    tocsin_admin_channel: str | None = None
    tocsin_teams: str | None = None
    tocsin_installation_key: SecretStr | None = None
    incident_io_api_key: SecretStr | None = None
    incident_io_url: str = "https://api.incident.io"
    incident_io_create: Literal["auto", "v1", "v2"] = "auto"
    devrev_token: SecretStr | None = Field(None, validate_default=True)
    devrev_url: str = "https://api.devrev.ai"
    devrev_part: str | None = None
    devrev_permalink: str | None = None
    devrev_key_field: str | None = None

    @field_validator("slack_api_url", "tocsin_public_url", "incident_io_url", "devrev_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("is no address; write one such as https://tocsin.example.com")
        return value.rstrip("/") + "/"

    @field_validator("slack_bot_token", "slack_app_token")
    @classmethod
    def _token(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        kind = {"slack_bot_token": "xoxb-", "slack_app_token": "xapp-"}[info.field_name]
        if value is not None and not value.get_secret_value().startswith(kind):
            raise ValueError(
                f"does not start with {kind}; copy it again from the app's page at api.slack.com"
            )
        return value

    @field_validator("devrev_token")
    @classmethod
    def _devrev_token(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        if value is None and info.data.get("tocsin_backend") == "devrev":
            raise ValueError("is not set; make a personal access token in DevRev, Settings, Account")
        return value

    @field_validator("devrev_permalink")
    @classmethod
    def _devrev_permalink(cls, value: str | None) -> str | None:
        if value is not None and "{display_id}" not in value:
            raise ValueError("lacks {display_id}; write https://app.devrev.ai/acme/works/{display_id}")
        if value is not None and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("is no address; write https://app.devrev.ai/acme/works/{display_id}")
        return value

    @field_validator("devrev_key_field")
    @classmethod
    def _devrev_key_field(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("tnt__"):
            raise ValueError(
                "is no field of your organization's own; write its name, such as tnt__tocsin_key"
            )
        return value

    @field_validator("tocsin_database_url")
    @classmethod
    def _database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        address = _hosts_apart(value.get_secret_value())
        if problem := _problem_of_database(address):
            raise ValueError(f"{problem}; write one such as {_DATABASES}")
        return SecretStr(address)

    @field_validator("tocsin_installation_key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        for key in _listed(value.get_secret_value() if value else None):
            if not _KEY.fullmatch(key):
                raise ValueError("is no key of 32 bytes in base64; make one with: openssl rand -base64 32")
        return value

    @field_validator("tocsin_api_token")
    @classmethod
    def _api_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().strip()) < SHORTEST_SECRET:
            raise ValueError(
                f"has fewer than {SHORTEST_SECRET} characters; make one with: openssl rand -base64 32"
            )
        return value

    @field_validator("tocsin_teams")
    @classmethod
    def _teams(cls, value: str | None) -> str | None:
        for team in _listed(value):
            if team != "*" and not _TEAM.fullmatch(team):
                raise ValueError(
                    "lists ids of workspaces (T…) and organizations (E…), with commas between; * means any"
                )
        return value

    @property
    def api_token(self) -> str:
        """The operator's token as set; empty if one is to be made."""
        given = self.tocsin_api_token
        return given.get_secret_value().strip() if given is not None else ""

    @property
    def installs(self) -> bool:
        """True if workspaces install the app by OAuth, so that no bot token is set here."""
        return bool(self.slack_bot_token is None and self.slack_client_id and self.slack_client_secret)

    @property
    def teams(self) -> tuple[str, ...]:
        """Workspaces and organizations that may install the app; `*` among them allows any."""
        return _listed(self.tocsin_teams)

    @property
    def installation_keys(self) -> tuple[str, ...]:
        """Encryption keys of installations, in Fernet's alphabet; the first encrypts, all can decrypt."""
        keys = self.tocsin_installation_key
        given = _listed(keys.get_secret_value() if keys else None)
        return tuple(key.replace("+", "-").replace("/", "_") for key in given)

    def of_backend(self, name: str) -> dict[str, str]:
        """Return one hosted backend's settings, secrets included, by the variable's name in lower case."""
        found = {key: value for key, value in self if key.startswith(f"{name}_") and value is not None}
        return {k: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for k, v in found.items()}

    @property
    def is_on_loopback(self) -> bool:
        """True if no other machine can reach the pages: they are on loopback, with no public address."""
        return {self.tocsin_host, urlsplit(self.public_url).hostname} <= LOOPBACK

    @property
    def public_url(self) -> str:
        """Base of the local backend's permalinks, without a final slash."""
        host = f"[{self.tocsin_host}]" if ":" in self.tocsin_host else self.tocsin_host
        return (self.tocsin_public_url or f"http://{host}:{self.tocsin_port}").rstrip("/")


_DATABASES = "sqlite:////var/lib/tocsin.db or postgresql://user:password@db.example.com/tocsin"


_SEVERAL_HOSTS = re.compile(
    r"(postgres(?:ql)?://(?:[^/?#@]*@)?)([^/?#@]*,[^/?#@]*)(/[^?#]*)?(\?.*)?", re.DOTALL
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]*)(?::([0-9]{0,5}))?")


def _hosts_apart(address: str) -> str:
    """Return the address with several hosts and their ports as parameters, as SQLAlchemy reads them.

    `psql` takes `db1:5432,db2:5433` (PostgreSQL, libpq: Specifying Multiple Hosts).
    """
    found = _SEVERAL_HOSTS.fullmatch(address)
    if found is None:
        return address
    before, hosts, path, query = (part or "" for part in found.groups())
    pairs = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if not all(pairs):
        return address
    names = ",".join(pair[1].strip("[]") for pair in pairs if pair)
    ports = ",".join(pair[2] or "" for pair in pairs if pair)
    several = f"host={names}&port={ports}" if ports.strip(",") else f"host={names}"
    return f"{before}{path}?{several}{'&' + query[1:] if query[1:] else ''}"


def _problem_of_database(address: str) -> str:
    """Return what is wrong with the address, without any part of it; empty if it can be used."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return "is no database address"
    if url.drivername == "sqlite":
        return "" if url.database else "names no file"
    if url.drivername not in {"postgresql", "postgres"}:
        return "is no database address that Tocsin takes"
    if "@" in (url.host or ""):
        # Else a part of the password would be taken for the host, and shown as one.
        return "has an @ too many: write %40 for one in the password"
    return "" if url.database or {"dbname", "service"} & url.query.keys() else "names no database"


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in (value or "").split(","))))


def settle_home() -> None:
    """Set HOME to the root folder for a user without a name or a home, as in a container.

    Slack's SDK asks for a home folder when it is imported, and fails without one.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def read_settings(**given: Any) -> Settings:
    """Read the settings; `given` values from the command line take precedence. Raises ConfigurationError."""
    return _read({name: value for name, value in given.items() if value is not None})


def read_play_settings(port: int, backend: str | None) -> Settings:
    """Read the settings of the playground, which must not reach a real workspace, backend or data folder.

    Its folder and its configuration file come from the environment alone. A `.env` belongs to the real bot,
    so only the settings of the typed backend are read from it. All other settings keep their defaults. Raises
    ConfigurationError.
    """
    here = _read(_only({"tocsin_data_dir", "tocsin_config"}) | {"_env_file": None})
    typed = {name for name in Settings.model_fields if backend and name.startswith(f"{backend}_")}
    return _read(
        _only(typed)
        | {"tocsin_data_dir": here.tocsin_data_dir, "tocsin_config": here.tocsin_config}
        | {"tocsin_host": "127.0.0.1", "tocsin_port": port, "tocsin_backend": backend or "local"}
        | ({} if typed else {"_env_file": None})
    )


class _Named(BaseSettings):
    """One variable that the configuration file names, read as the settings are."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")


def read_secret(variable: str, env_file: str | None = ".env") -> str:
    """Return the secret in an environment variable that the configuration names; empty if it is not set."""
    value = Field(default=None, validation_alias=variable)
    given: dict[str, Any] = {"_env_file": env_file}
    named = create_model("Named", __base__=_Named, secret=(SecretStr | None, value))
    found = dict(named(**given))["secret"]
    return found.get_secret_value().strip() if found is not None else ""


def _only(names: set[str]) -> dict[str, Any]:
    """Return the default of every other setting: a value passed in is not read from the environment."""
    fields = Settings.model_fields.items()
    return {name: field.get_default() for name, field in fields if name not in names}


def _read(given: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_line(dict(e)) for e in error.errors())) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f".env cannot be read: {error}. Mend it, or take it away.") from None


def _line(error: dict[str, Any]) -> str:
    """Return the error as one line that never repeats the value: it may be a secret."""
    name = str(error["loc"][0]).upper()
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "literal_error":
        said = f"must be {error['ctx']['expected']}"
    elif not error["type"].startswith("value_error"):
        said = f"cannot be used: {said[0].lower()}{said[1:]}"
    return f"{name} {said}."


def read_config(path: Path | None) -> dict[str, Any]:
    """Return the content of the configuration file. Raises ConfigurationError if it cannot be read."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigurationError(f"TOCSIN_CONFIG: {path} cannot be read: {why}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"TOCSIN_CONFIG: {path} is not valid TOML: {error}.") from None
