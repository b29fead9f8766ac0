"""`tocsin doctor`: checks of everything that the bot needs, each with its fix."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import ClientSession
from slack_sdk.web.async_client import AsyncWebClient

from tocsin import __version__
from tocsin.alert_tables import examine_sources
from tocsin.data_dir import (
    config_problems,
    folder_of,
    journal_url,
    now,
    open_backend,
    open_incident_config,
    secret,
)
from tocsin.incidents.errors import SlackRefused, TocsinError, Unavailable
from tocsin.incidents.model import Form
from tocsin.paging import examine
from tocsin.rule_names import unknown_names
from tocsin.rules import Config, open_config
from tocsin.settings import ConfigurationError, Settings, read_secret, read_settings
from tocsin.slack import diagnostics
from tocsin.slack.diagnostics import TokenAccess, fetch_access
from tocsin.slack.installations import DecryptionError, Installation, Installations, TokenCipher
from tocsin.slack.registry import ANY, channel_in, may_install
from tocsin.slack.socket_mode import CONNECTIONS, MOST_CONNECTIONS
from tocsin.slack.web_api import open_session, web_client
from tocsin.storage.database import Database
from tocsin.storage.diagnostics import examine_database, fetch_state
from tocsin.storage.installations import SqlInstallationStore
from tocsin.storage.postgresql import is_postgresql
from tocsin.storage.sqlite import file_of
from tocsin.storage.workflow_engine import Pending, fetch_pending
from tocsin.webhooks.endpoints import examine as examine_webhooks

STUCK = timedelta(minutes=10)
SKEW = timedelta(seconds=60)
"""Most that the clock may be off. Slack's signatures hold for five minutes (Slack, "Verifying requests")."""


@dataclass(frozen=True)
class Check:
    """Result of one check, and the fix if it failed."""

    name: str
    ok: bool
    said: str
    fix: str = ""

    @property
    def line(self) -> str:
        return f"{'ok ' if self.ok else 'NO '} {self.name}: {self.said}{f' {self.fix}' if self.fix else ''}"


async def checks(clock: Callable[[], datetime] = now) -> AsyncIterator[Check]:
    """Run all checks one after the other; no result contains a secret."""
    python = f"Python {platform.python_version()}, {platform.system()}"
    yield Check("Tocsin", True, f"version {__version__}, {python}.")
    try:
        settings = read_settings()
    except ConfigurationError as error:
        for line in str(error).splitlines():
            yield Check("Settings", False, line)
        return
    yield Check("Settings", True, "they can be read.")
    folder = folder_of(settings)
    url = journal_url(settings, folder)
    look = _database if is_postgresql(url) else _journal
    beside = (*_paging(settings), *_alerts(settings), *await _webhooks(settings))
    for check in (*_configuration(settings), *beside, _data_folder(folder, url)):
        yield check
    journal = await look(settings, folder, url, clock())
    kept, form = await _incidents(settings, folder, is_new=is_postgresql(url) and not journal.has_tables)
    for check in (*journal.checks, *kept, *_tasks(settings, form), *_names(settings, form)):
        yield check
    async for check in _slack(settings, clock, form, journal):
        yield check


def _configuration(settings: Settings) -> list[Check]:
    if settings.tocsin_config is None:
        return [Check("TOCSIN_CONFIG", True, "not set; the default severities, roles and fields are used.")]
    if lines := config_problems(settings):
        return [Check("TOCSIN_CONFIG", False, line, "Correct the file.") for line in lines]
    return [Check("TOCSIN_CONFIG", True, f"{settings.tocsin_config} is valid.")]


def _paging(settings: Settings) -> list[Check]:
    """Check the form of the paging services' keys, without paging."""
    try:
        entries = open_config(settings).paging
    except ConfigurationError:
        # The check of the configuration says so.
        return []
    return [Check(one.name, one.ok, one.said, one.fix) for one in examine(entries, read_secret)]


def _alerts(settings: Settings) -> list[Check]:
    """Check the tokens of the systems that send alerts."""
    try:
        tables = open_config(settings).alert_sources
    except ConfigurationError:
        return []
    found = examine_sources(tables, read_secret)
    return [Check(one.name, one.ok, one.said, one.fix) for one in found]


async def _webhooks(settings: Settings) -> list[Check]:
    """Check the endpoints of webhooks, without sending anything."""
    try:
        entries = open_config(settings).webhooks
    except ConfigurationError:
        return []
    found = await examine_webhooks(entries, read_secret, settings.tocsin_backend)
    return [Check(one.name, one.ok, one.said, one.fix) for one in found]


def _tasks(settings: Settings, form: Form) -> list[Check]:
    """Find tasks in the rules that the backend cannot keep."""
    try:
        lacking = open_config(settings).task_policy.lacking(form)
    except ConfigurationError:
        return []
    fix = "Take these tasks out of the file; runbooks are shown all the same."
    return [Check("TOCSIN_CONFIG tasks", False, said, fix) for said in lacking]


def _names(settings: Settings, form: Form) -> list[Check]:
    """Find names in the rules that mean nothing, as of a severity that was deleted since."""
    try:
        unknown = unknown_names(open_config(settings), open_incident_config(settings), form)
    except ConfigurationError:
        return []
    fix = "Correct the name, or take it out of the file: as it is, the rule never applies to it."
    return [Check("TOCSIN_CONFIG names", False, said, fix) for said in unknown]


def _data_folder(folder: Path, url: str) -> Check:
    name, elsewhere = "Data folder", "Set TOCSIN_DATA_DIR to another."
    if is_postgresql(url):
        return Check(name, True, "not used: everything is kept in the database.")
    try:
        if not folder.exists():
            there = next(parent for parent in folder.parents if parent.exists())
            if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
                return Check(name, True, f"{folder} is made at the first start.")
            return Check(name, False, f"{folder} cannot be made in {there}.", elsewhere)
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Check(name, False, f"{folder} is no folder we may write to.", elsewhere)
        if folder.stat().st_mode & 0o077:
            return Check(name, False, f"others can look into {folder}.", f"Run: chmod 700 '{folder}'")
    except OSError as error:
        return Check(name, False, f"{folder} cannot be looked at ({error.strerror}).", elsewhere)
    return Check(name, True, f"{folder} is ours alone.")


@dataclass(frozen=True)
class _Journal:
    """The checks of the database with unfinished work, and facts that later checks need."""

    checks: list[Check]
    is_running: bool
    """True if a bot uses it now."""
    has_tables: bool
    """False if nothing was ever kept there, so that nothing is to be looked for."""


async def _journal(settings: Settings, folder: Path, url: str, at: datetime) -> _Journal:
    """Look at an SQLite file."""
    file, is_running = file_of(url), _is_running(folder)
    found = await _unfinished("Journal", settings, url, is_running, at)
    if found[0].ok:
        found = [Check("Journal", True, "it can be used."), *found]
    return _Journal(found, is_running, has_tables=file is None or file.exists())


async def _database(settings: Settings, folder: Path, url: str, at: datetime) -> _Journal:
    """Look at PostgreSQL."""
    try:
        state = await fetch_state(url)
    except Unavailable as error:
        fix = "Check TOCSIN_DATABASE_URL, and that its database takes connections."
        return _Journal([Check("Database", False, str(error), fix)], False, has_tables=True)
    most = MOST_CONNECTIONS // CONNECTIONS if settings.slack_app_token is not None else None
    found = [Check(**finding.model_dump()) for finding in examine_database(state, most)]
    is_running = state.replicas > 0
    if state.can_be_used:
        found += await _unfinished("Database", settings, url, is_running, at)
    return _Journal(found, is_running, has_tables=state.has_tables)


async def _unfinished(name: str, settings: Settings, url: str, is_running: bool, at: datetime) -> list[Check]:
    """Return the check of unfinished declarations, or of the database if they cannot be read."""
    try:
        return [_pending(await fetch_pending(url), is_running, at)]
    except Unavailable as error:
        fix = (
            "Check TOCSIN_DATABASE_URL."
            if settings.tocsin_database_url
            else "Restore a backup of journal.db."
        )
        return [Check(name, False, str(error), fix)]


def _pending(begun: list[Pending], running: bool, at: datetime) -> Check:
    name = "Unfinished declarations"
    if not begun:
        return Check(name, True, "none.")
    since = f"{begun[0].begun:%Y-%m-%d %H:%M} UTC"
    said = f"{len(begun)} (see `tocsin incidents pending`), the oldest since {since}."
    if not running:
        return Check(name, False, said, "Start `tocsin run`: they go on from where they were.")
    if at - begun[0].begun > STUCK:
        return Check(name, False, said, "Look into the bot's log for what holds them up.")
    return Check(name, True, said)


def _is_running(folder: Path) -> bool:
    """True if a bot holds the data folder's lock."""
    try:
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


async def _incidents(settings: Settings, folder: Path, *, is_new: bool) -> tuple[list[Check], Form]:
    """Return the backend's checks, and its form; an empty form if the backend cannot be asked.

    A database that `is_new` has no incidents to be asked for.
    """
    name, form = f"Backend {settings.tocsin_backend}", Form()
    found: list[Check] = []
    try:
        backend = await open_backend(settings, folder)
        try:
            found = [Check(**finding.model_dump()) for finding in await backend.diagnose()]
            is_empty = is_new and not backend.is_remote
            form = open_incident_config(settings).form() if is_empty else await backend.form()
            newest = [] if is_empty else await backend.incidents(limit=1)
        finally:
            await backend.close()
    except ConfigurationError as error:
        if str(error).startswith("TOCSIN_CONFIG"):
            return [], form
        return [Check(name, False, str(error).partition(": ")[2])], form
    except TocsinError as error:
        return [*found, Check(name, False, str(error), getattr(error, "operator", ""))], form
    said = f"it answers; the newest is {newest[0].reference}." if newest else "it answers; no incidents yet."
    return [*found, Check(name, True, said)], form


async def _slack(
    settings: Settings, clock: Callable[[], datetime], form: Form, journal: _Journal
) -> AsyncIterator[Check]:
    async with open_session() as session:
        client = web_client(session, token=secret(settings.slack_bot_token), base_url=settings.slack_api_url)
        if settings.installs:
            for check in await _installations(settings, session, journal):
                yield check
        elif settings.slack_bot_token is None:
            fix = "Copy the bot token (xoxb-…) from OAuth & Permissions at api.slack.com/apps."
            yield Check("SLACK_BOT_TOKEN", False, "not set.", fix)
        else:
            async for check in _bot(client, settings, clock, form):
                yield check
        yield await _way_in(client, settings, journal.is_running)


async def _installations(settings: Settings, session: ClientSession, journal: _Journal) -> list[Check]:
    """Return the checks of OAuth installations: workspaces allowed, encryption, and each one's token."""
    return [_teams(settings), *_kept_sealed(settings), *await _installed(settings, session, journal)]


def _teams(settings: Settings) -> Check:
    name = "TOCSIN_TEAMS"
    if ANY in settings.teams:
        return Check(name, True, "*: whoever finds the address may install the app, and declare here.")
    if settings.teams:
        return Check(name, True, f"{', '.join(settings.teams)} may install the app.")
    fix = "List the ids of the workspaces (T…) and organizations (E…) that may install the app; * means any."
    return Check(name, False, "not set: the bot does not start without it.", fix)


def _kept_sealed(settings: Settings) -> list[Check]:
    if settings.installation_keys:
        return []
    said = "not set: the tokens of installations are kept in the clear."
    fix = "Set it to the output of: openssl rand -base64 32"
    return [Check("TOCSIN_INSTALLATION_KEY", False, said, fix)]


async def _installed(settings: Settings, session: ClientSession, journal: _Journal) -> list[Check]:
    name = "Installations"
    if not journal.has_tables:
        return [Check(name, True, f"none yet. Install at {settings.public_url}/slack/install.")]
    database = Database(journal_url(settings, folder_of(settings)))
    store = SqlInstallationStore(database)
    try:
        found = await Installations(store, TokenCipher(*settings.installation_keys)).all()
    except DecryptionError:
        fix = "Set the key they were encrypted with, or both, with a comma between and the new one first."
        return [Check("TOCSIN_INSTALLATION_KEY", False, "does not open what is kept.", fix)]
    except Unavailable as error:
        return [Check(name, False, str(error), "Check TOCSIN_DATABASE_URL.")]
    finally:
        database.close()
    if not found:
        return [Check(name, True, f"none yet. Install at {settings.public_url}/slack/install.")]
    return [check for one in found async for check in _installation(one, settings, session)]


async def _installation(
    one: Installation, settings: Settings, session: ClientSession
) -> AsyncIterator[Check]:
    """Yield the checks of one installation: its token, and the channels and user groups that the rules name.

    An installation in a whole organization is not checked for these, since they may be in any of its
    workspaces.
    """
    name = f"Installed in {one.name or one.home}"
    if not may_install(one, settings.teams):
        yield Check(name, False, "it is served no more.", f"Add {one.home} to TOCSIN_TEAMS, or uninstall.")
        return
    client = web_client(session, token=one.bot_token, base_url=settings.slack_api_url)
    try:
        access = await fetch_access(client)
    except SlackRefused as refusal:
        fix = f"Have an admin install it again at {settings.public_url}/slack/install."
        yield Check(name, False, f"Slack refuses its token ({refusal.code}).", fix)
        return
    except Unavailable as error:
        yield Check(name, False, str(error), f"Check the network to {settings.slack_api_url}.")
        return
    yield Check(name, True, f"Slack knows it as {access.bot}.")
    if one.team_id:
        async for check in _addresses(client, settings, one.team_id):
            yield replace(check, name=f"{check.name} ({one.name or one.home})")


async def _bot(
    client: AsyncWebClient, settings: Settings, clock: Callable[[], datetime], form: Form
) -> AsyncIterator[Check]:
    try:
        access = await fetch_access(client)
    except SlackRefused as refusal:
        said = f"Slack refuses it ({refusal.code})."
        yield Check("SLACK_BOT_TOKEN", False, said, "Install the app again and copy its bot token.")
        return
    except Unavailable as error:
        fix = f"Check the network to {settings.slack_api_url} (SLACK_API_URL)."
        yield Check("SLACK_BOT_TOKEN", False, str(error), fix)
        return
    yield Check("SLACK_BOT_TOKEN", True, f"Slack knows it as {access.bot} in {access.team}.")
    for finding in (*diagnostics.scopes(access), diagnostics.commands(access)):
        yield Check(**finding.model_dump())
    yield _clock(access, clock())
    async for check in _addresses(client, settings, access.team_id):
        yield check
    for finding in await diagnostics.examine_forms(client, form):
        yield Check(**finding.model_dump())


def _clock(access: TokenAccess, at: datetime) -> Check:
    if access.at is None:
        return Check("Clock", True, "not compared: Slack did not say the time.")
    off = abs(at - access.at)
    if off <= SKEW:
        return Check("Clock", True, "it agrees with Slack's.")
    said = f"it is {int(off.total_seconds())} s off Slack's."
    return Check("Clock", False, said, "Turn on time synchronisation: timedatectl set-ntp true")


async def _addresses(client: AsyncWebClient, settings: Settings, team: str) -> AsyncIterator[Check]:
    """Yield the checks of the channels and user groups that settings and rules name in this workspace."""
    channel = channel_in(team, settings.tocsin_announce_channel)
    if not channel:
        yield Check("TOCSIN_ANNOUNCE_CHANNEL", True, "not set; only what a rule names is announced.")
    admin = channel_in(team, settings.tocsin_admin_channel)
    named: list[tuple[str, str | None]] = [
        ("TOCSIN_ANNOUNCE_CHANNEL", channel),
        ("TOCSIN_ADMIN_CHANNEL", admin),
    ]
    try:
        rules = open_config(settings).for_team(team)
    except ConfigurationError:
        # The check of the configuration file has reported it already.
        rules = Config()
    named += [("TOCSIN_CONFIG announcements", channel) for channel in rules.announced_in]
    for name, wanted in named:
        if wanted:
            yield Check(**(await diagnostics.examine_channel(client, name, wanted)).model_dump())
    for finding in await diagnostics.examine_groups(client, rules.groups):
        yield Check(**finding.model_dump())


async def _way_in(client: AsyncWebClient, settings: Settings, running: bool) -> Check:
    """Return the check of Socket Mode if there is an app token, else of HTTP mode."""
    token = secret(settings.slack_app_token)
    if token is not None:
        found = await diagnostics.examine_socket(client, token, running=running)
        return Check(**found.model_dump())
    if settings.slack_signing_secret is not None:
        said = f"set: HTTP mode, at {settings.public_url}/slack/events. Slack's first request will try it."
        return Check("SLACK_SIGNING_SECRET", True, said)
    fix = "Set the first (xapp-…, scope connections:write) for Socket Mode, or the second for HTTP."
    return Check("SLACK_APP_TOKEN", False, "not set, nor is SLACK_SIGNING_SECRET.", fix)
