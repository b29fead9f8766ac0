"""Start of an app: ask Slack where it is installed, resume workflows, take payloads, keep its loops going."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog

from tocsin.alerting import NEWS
from tocsin.app import App
from tocsin.data_dir import (
    secret,
)
from tocsin.health import STARTING
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Person, PersonId, TeamId
from tocsin.settings import ConfigurationError, Settings
from tocsin.slack.http import HttpReceiver
from tocsin.slack.installations import DecryptionError, Installation, Installations
from tocsin.slack.listeners.home import refresh_homes
from tocsin.slack.registry import WorkspaceRegistry, channel_in, may_install
from tocsin.slack.socket_mode import SocketModeReceiver
from tocsin.slack.web_api import request
from tocsin.slack.workspace import SlackOperator
from tocsin.storage.workflow_engine import forget_old_workflows, keep_workflows_going
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.retry import retry

log = structlog.get_logger()

FINISH_SECONDS = 2.5
"""Seconds for running requests to end when the process is to stop; the rest resumes at the next start."""

FORM_SECONDS = 2.0
"""Seconds that a start waits for the backend's choices; else the form opens with those of last time."""


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[None]:
    """Start the app: ask Slack where it is installed, resume unfinished workflows, take payloads.

    Raises ConfigurationError if Slack refuses a token. Waits for as long as Slack cannot be reached.
    """
    parts = app.resources
    async with AsyncExitStack() as stack:
        if app.oauth is None:
            await _enter_sole_workspace(app)
        else:
            await _enter_installed_workspaces(app.registry, app.oauth.installations, parts.settings)
            await stack.enter_async_context(_going_on(parts.replicas.lead(app.oauth.rotation.run)))
        try:
            await _join_replicas(app, stack)
            _resume_workflows(app)
        except Unavailable as error:
            raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error}") from None
        parts.replicas.take_over = partial(_take_over, app)
        stack.push_async_callback(parts.engine.close)
        if not parts.database.is_shared:
            await parts.alerts.load()
        stack.push_async_callback(parts.tasks.finish, FINISH_SECONDS)
        await _keep_forms_fresh(app.forms, stack)
        _keep_going(
            stack,
            parts.replicas.keep_beating(),
            parts.replicas.keep_taking_over(),
            parts.replicas.keep_hearing(),
            keep_workflows_going(parts.engine),
            app.health.watch(),
            app.workflows.watching.keep_watch(),
            parts.replicas.lead(partial(forget_old_workflows, parts.engine, parts.clock)),
            *map(parts.replicas.lead, app.workflows.leaders_loops),
            parts.replicas.lead(app.alerting.groups.keep_watch),
            *([parts.replicas.lead(parts.webhooks.run)] if parts.webhooks is not None else []),
            refresh_homes(app.workflows.open_now, lambda: app.contexts.open),
        )
        await asyncio.gather(*(context.greet() for context in app.contexts.open))
        _keep_going(stack, parts.replicas.lead(partial(_say_alerts, app)))
        await _open_receiver(app.receiver)
        stack.push_async_callback(app.receiver.close)
        app.health.problem = ""
        yield
        app.health.problem = "Tocsin is stopping."


async def _enter_sole_workspace(app: App) -> None:
    """Enter the workspace, or the organization, of the bot token in the settings."""
    token = secret(app.resources.settings.slack_bot_token)
    auth_test, address = app.new_client(token).auth_test, app.resources.settings.slack_api_url

    async def identify() -> Mapping[str, Any]:
        try:
            return await request(auth_test)
        except Unavailable as error:
            # A wrong SLACK_API_URL or a closed network would otherwise look like a start that hangs.
            log.warning(STARTING, why=str(error), address=address)
            raise

    try:
        identity = await retry(identify, attempts=None)
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_BOT_TOKEN was refused by Slack ({refusal.code}); install the app again, copy its token."
        ) from None
    app.registry.install(Installation.of_token(identity, token or ""))


async def _enter_installed_workspaces(
    registry: WorkspaceRegistry, installations: Installations, settings: Settings
) -> None:
    """Enter every workspace that installed the app. Raises ConfigurationError if a key does not fit."""
    try:
        registry.know_orgs(await installations.store.orgs())
        await installations.encrypt_stored()
        kept = await installations.all()
    except DecryptionError as broken:
        raise ConfigurationError(
            f"TOCSIN_INSTALLATION_KEY is not the key that the installation of {broken} was encrypted with: "
            "set that one, or both with the new one first and a comma between. Where they were not changed, "
            "somebody else wrote it: delete its row, and have it installed again."
        ) from None
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error}") from None
    for installation in kept:
        # A workspace that was taken off the list is served no more.
        if may_install(installation, settings.teams):
            registry.install(installation)


@asynccontextmanager
async def _going_on(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run this in the background, and end it before going on."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _join_replicas(app: App, stack: AsyncExitStack) -> None:
    """Become one of the replicas that share the database; without others, do nothing."""
    replicas, engine, alerts = app.resources.replicas, app.resources.engine, app.resources.alerts
    replicas.on_death = engine.abandon
    alerts.relay = replicas.relay_alert
    if app.resources.database.is_shared:
        alerts.replica, alerts.is_alone = replicas.id, lambda: replicas.is_alone
    replicas.hearers |= {"alert": alerts.hear, "installation": partial(_learn, app)}
    replicas.hearers[NEWS] = app.alerting.groups.hear
    stack.push_async_callback(replicas.leave)
    await replicas.join()


async def _take_over(app: App, alive: Collection[str]) -> None:
    """On the leader, go on with the work of replicas that are gone, and say that their problems are over."""
    await app.resources.engine.take_over(alive)
    app.resources.alerts.resolve_gone(alive)


async def _learn(app: App, home: str) -> None:
    """Learn what another replica changed: an installation in this home, or its organization."""
    if app.oauth is None:
        return
    registry, installations = app.registry, app.oauth.installations
    registry.know_orgs(await installations.store.orgs())
    known = next((one for one in registry.installations if one.home == home), None)
    now = await installations.find(home)
    if now is None and known is not None:
        registry.uninstall(known)
    elif now is not None and now != known and may_install(now, app.resources.settings.teams):
        registry.install(now)


async def _say_alerts(app: App) -> None:
    """Tell the operator; a replica that becomes the leader goes on with what the last one left."""
    if app.resources.database.is_shared:
        await app.resources.alerts.load()
    await app.resources.alerts.keep_saying(partial(_tell_operator, app))


def _resume_workflows(app: App) -> None:
    """Start the workflow engine, with a backend that can ask Slack for the names of people."""

    async def find_person(team: TeamId, person: PersonId) -> Person | None:
        return await app.registry.workspace_of(team).users.person(person)

    engine = app.resources.engine
    app.resources.backend.set_directory(find_person)
    workflows = {**app.declare.workflows(), **app.workflows.workflows(), **app.alerting.workflows()}
    for verb, workflow in workflows.items():
        engine.register(verb, workflow)
    engine.open()


async def _open_receiver(receiver: SocketModeReceiver | HttpReceiver) -> None:
    try:
        await receiver.open()
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_APP_TOKEN was refused by Slack ({refusal.code}); copy it again from the app's settings, "
            "Basic Information, App-Level Tokens, with the scope connections:write."
        ) from None


def _keep_going(stack: AsyncExitStack, *work: Coroutine[Any, Any, None]) -> None:
    """Run these in the background until the stack is closed."""
    for one in work:
        stack.callback(asyncio.create_task(one).cancel)


async def _keep_forms_fresh(forms: FormCache, stack: AsyncExitStack) -> None:
    """Fetch the form's choices now, if the backend answers soon, and refresh them from then on."""
    _keep_going(stack, forms.keep_fresh())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FORM_SECONDS):
            await forms.came.wait()
    if forms.now is None:
        await forms.load()


async def _tell_operator(app: App, sentence: str, key: str, again: bool) -> None:
    await _operator_of(app).say(sentence, key, again)


def _operator_of(app: App) -> SlackOperator:
    """Return the operator: their channel, else the person who installed Tocsin, or owns the workspace.

    Raises Unavailable while Tocsin is installed nowhere.
    """
    installed = app.registry.installed
    if not installed:
        raise Unavailable("Tocsin is installed in no workspace yet.")
    for workspace in installed:
        if channel := channel_in(workspace.team_id, app.resources.settings.tocsin_admin_channel):
            return SlackOperator(workspace, channel)
    first = installed[0]
    serving = app.registry.serving(first.team_id)
    installer = serving.installer if serving else None
    return SlackOperator(first, installer or app.people_of(first).owner)
