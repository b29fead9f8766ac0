"""The Bolt app: one catch-all listener for each kind of payload, dispatched by the table of routes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import TocsinError, Unavailable
from tocsin.incidents.model import FrozenModel
from tocsin.logs import traced
from tocsin.metrics import Metrics
from tocsin.slack import routes
from tocsin.slack.commands import find_verb
from tocsin.slack.context import AckTracker, WorkspaceContext, WorkspaceContexts
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.form_alerts import FormAlerts
from tocsin.slack.listeners.choose import ask_if_name
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.verbs import VerbSpec, run_from_card, run_verb
from tocsin.slack.payloads import (
    BlockAction,
    BlockSuggestion,
    EventCallback,
    Shortcut,
    SlashCommand,
    ViewSubmission,
)
from tocsin.slack.routes import UNKNOWN, route_of
from tocsin.slack.views.declare import error_modal
from tocsin.workflows.retry import best_effort

# Deduplication of events: Slack sends an event again until it is acknowledged.

log = structlog.get_logger()

KEPT = 20_000
KEPT_SECONDS = 15 * 60.0
"""Seconds to remember an event: Slack retries at once, after one minute, and after five (Events API)."""

PATIENCE = 2.5


class EventDeduplicator:
    """Register of the events of the last 15 minutes by their id, which is the same in a retry."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, tuple[float, asyncio.Task[None]]] = OrderedDict()

    async def run_once(self, event_id: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the work, unless it ran for this id before; concurrent calls await the same run.

        Raises the work's exception and forgets the id then, so that Slack's retry runs it again. Raises
        Unavailable after 2.5 s, while the work continues.
        """
        self._forget()
        if event_id not in self._heard:
            self._heard[event_id] = asyncio.get_running_loop().time(), asyncio.create_task(work())
        task = self._heard[event_id][1]
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            # Slack may not retry before the work ends, so a failure is logged here.
            task.remove_done_callback(_note_failure)
            task.add_done_callback(_note_failure)
            raise Unavailable("It takes longer than Slack waits.")
        if task.cancelled() or task.exception() is not None:
            self._heard.pop(event_id, None)
        task.result()

    def _forget(self) -> None:
        """Forget old events, which Slack does not send again, but none that is still running."""
        oldest = asyncio.get_running_loop().time() - KEPT_SECONDS
        while self._heard:
            at, task = next(iter(self._heard.values()))
            if not task.done() or (at > oldest and len(self._heard) < KEPT):
                return
            self._heard.popitem(last=False)


def _note_failure(task: asyncio.Task[None]) -> None:
    """Log the failure of an event that took longer than Slack waits."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, TocsinError):
        log.warning("not done", doing="what an event asked for", because=str(error))
    elif error is not None:
        log.error("failed", doing="what an event asked for", exc_info=error)


# The Bolt app has one listener for each kind of payload, which looks up ours in a dictionary.
#
# Bolt tries its listeners one after the other, so with one for each kind the time does not depend on the
# number of verbs. Bolt also polls for an acknowledgement every 10 ms unless the listener runs first
# (`process_before_response`); our listeners acknowledge at once and leave the rest to a task.

G = TypeVar("G", SlashCommand, Shortcut, BlockAction, ViewSubmission, BlockSuggestion)
Body = dict[str, Any]

ANY = re.compile(".*", re.DOTALL)
LISTENED_TO = frozenset(
    {"block_actions", "block_suggestion", "event_callback", "message_action", "shortcut", "view_submission"}
)
"""Kinds of payloads with a listener; one of these that Bolt does not recognize is malformed."""
ACK_TRACKER = "delivery"
SORRY = "Something went wrong on our side, and nothing was done. Please try again."
NOT_OURS = "Tocsin does not serve this workspace."
NOT_KNOWN = "This is from another version of Tocsin, which is gone. Type /incident to start again."


def build_app(
    contexts: WorkspaceContexts, client: AsyncWebClient, metrics: Metrics | None = None
) -> AsyncApp:
    """Return the app with all routes; Bolt makes its own clients as copies of `client`."""
    metrics = metrics or Metrics()

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        """Return our bot in that workspace, so that Bolt ignores the bot's own events.

        The bot is None if Tocsin is not installed there.
        """
        ours = contexts.registry.serving(team_id or "", enterprise_id or "")
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_user_id=ours.bot_user_id if ours else None,
            bot_id=ours.bot_id if ours else None,
            bot_token=ours.bot_token if ours else None,
        )

    app = AsyncApp(
        # Without a name, Bolt searches the call stack for one, which takes a tenth of a second.
        name="tocsin",
        client=client,
        # Without a logger, Bolt makes its own, which would ignore the configured level.
        logger=logging.getLogger("slack_bolt"),
        authorize=authorize,
        process_before_response=True,
        # Signatures are checked before Bolt sees a request, and Socket Mode has none.
        request_verification_enabled=False,
        signing_secret="checked before",
        attaching_function_token_enabled=False,
    )
    app.command(ANY)(_listener(SlashCommand, contexts, _run_command, metrics))
    app.shortcut(ANY)(_listener(Shortcut, contexts, _run_shortcut, metrics))
    app.view(ANY)(_listener(ViewSubmission, contexts, _run_submission, metrics))
    app.action(ANY)(_listener(BlockAction, contexts, _run_action, metrics))
    app.options(ANY)(_listener(BlockSuggestion, contexts, _run_options, metrics))
    app.event(ANY)(_event_listener(contexts, metrics))
    app.error(_malformed)
    return app


async def dispatch(app: AsyncApp, trace: str = "", **asked: Any) -> BoltResponse:
    """Return the app's response to a request with these parts; 400 if its shape is not one of Slack's.

    `trace`, or else a new id, is in all log lines that the request causes. Listeners suppress their own
    exceptions, so those caught here come from Bolt's parsing of the request.
    """
    with traced(trace):
        try:
            answered = await app.async_dispatch(AsyncBoltRequest(**asked))
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            return await _malformed(error)
        # Bolt answers 404 to a kind without a listener. Slack would take that for a failure of the app.
        if answered.status == 404 and (kind := _unused_kind(asked.get("body"))):
            # What a request says goes into no log, but for words that are Slack's own.
            log.info("not used", kind=kind if kind in UNUSED else "unknown")
            return BoltResponse(status=200)
        return answered


UNUSED = frozenset(
    {
        *("app_rate_limited", "dialog_cancellation", "dialog_submission", "dialog_suggestion"),
        *("interactive_message", "view_closed"),
    }
)
"""Kinds of payloads that Slack documents and the bot has no use for."""


def _unused_kind(body: object) -> str:
    """Return the kind of a payload that the bot has no use for; empty for the kinds that it listens to.

    Such as `view_closed`, `app_rate_limited` or `interactive_message`, and whatever Slack adds.
    """
    kind = body.get("type") if isinstance(body, dict) else None
    return kind[:40] if isinstance(kind, str) and kind not in LISTENED_TO else ""


async def _malformed(error: Exception) -> BoltResponse:
    log.warning("malformed payload", kind=type(error).__name__)
    return BoltResponse(status=400, body="malformed payload")


def _listener(
    kind: type[G],
    contexts: WorkspaceContexts,
    run: Callable[[AsyncAck, G, WorkspaceContext, AckTracker], Awaitable[None]],
    metrics: Metrics,
) -> Callable[..., Awaitable[BoltResponse | None]]:
    """Wrap a listener: parse the payload, refuse workspaces that are not served, and always answer."""

    async def listen(ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse | None:
        try:
            payload = kind.model_validate(body)
        except ValidationError as error:
            return _unread(kind.__name__, error, metrics)
        route, tracker, outcome = route_of(payload), context.get(ACK_TRACKER) or AckTracker(), "answered"
        tracker.timed = partial(metrics.observe_acknowledgement, route)
        alerts = FormAlerts()
        async with best_effort(f"answer {route}") as failed:
            ours = await contexts.find(payload.team_id, payload.org)
            if ours is None:
                outcome = "stranger"
                await _apologise(ack, payload, NOT_OURS)
            else:
                alerts = ours.workspace.form_alerts
                ours.people.meet(payload.by)
                await run(ack, payload, ours, tracker)
        if failed and ack.response is None:
            await _apologise(ack, payload, SORRY)
        if ack.response is not None:
            alerts.in_answer(ack.response)
        outcome = "failed" if failed else outcome
        metrics.count_request(route, outcome)
        log.info(outcome, route=route)
        return None

    return listen


def _unread(kind: str, error: ValidationError, metrics: Metrics) -> BoltResponse:
    """Return 400 and log the names of the invalid fields, but nothing that was sent."""
    log.warning("malformed payload", kind=kind, fields=sorted({str(e["loc"][0]) for e in error.errors()}))
    metrics.count_request(UNKNOWN, "malformed")
    return BoltResponse(status=400, body="malformed payload")


def _event_listener(contexts: WorkspaceContexts, metrics: Metrics) -> Callable[..., Awaitable[BoltResponse]]:
    """Return Bolt's listener of all events; a failed event is not acknowledged, so Slack sends it again."""
    deduplicator = EventDeduplicator()

    async def listen(body: Body, context: AsyncBoltContext) -> BoltResponse:
        try:
            callback = EventCallback.model_validate(body)
        except ValidationError as error:
            return _unread("EventCallback", error, metrics)
        listener = routes.find_event(callback.kind)
        if listener is None:
            return BoltResponse(status=200)
        route = route_of(callback)
        if (tracker := context.get(ACK_TRACKER)) is not None:
            tracker.timed = partial(metrics.observe_acknowledgement, route)
        async with best_effort(f"heed {callback.kind}") as failed:
            ours = await contexts.find(callback.served_team, callback.org)
            if ours is not None:
                await deduplicator.run_once(callback.event_id, lambda: listener(callback, ours))
        metrics.count_request(route, "failed" if failed else "answered")
        return BoltResponse(status=503 if failed else 200)

    return listen


async def _apologise(ack: AsyncAck, payload: FrozenModel, sentence: str) -> None:
    """Show a sentence in place of an answer; a form keeps everything that was typed."""
    if isinstance(payload, SlashCommand):
        await ack(response_type="ephemeral", text=sentence)
    elif isinstance(payload, ViewSubmission):
        if payload.view.values:
            await ack(response_action="errors", errors={next(iter(payload.view.values)): sentence})
        else:
            await ack(response_action="update", view=error_modal("Not sent", sentence))
    else:
        await ack()


async def _run_command(
    ack: AsyncAck, command: SlashCommand, context: WorkspaceContext, tracker: AckTracker
) -> None:
    typed = find_verb(command.text)
    if typed.notice:
        await open_declare(ack, command, typed.rest, context, typed.notice)
    elif typed.first is not None and await ask_if_name(ack, command, typed, typed.first, context):
        return
    elif isinstance(typed.spec, VerbSpec):
        await run_verb(typed.spec, ack, command, typed.rest, context, tracker)
    else:
        await typed.spec.listener(ack, command, typed.rest, context)


async def _run_shortcut(
    ack: AsyncAck, shortcut: Shortcut, context: WorkspaceContext, tracker: AckTracker
) -> None:
    route = routes.SHORTCUTS.get(shortcut.callback_id)
    if route is not None:
        await route.listener(ack, shortcut, context)
        return
    await ack()
    sorry = context.workspace.open_modal(
        shortcut.trigger_id or "", error_modal("Not known", NOT_KNOWN), NOTHING
    )
    context.tasks.begin("say that a shortcut is not known", sorry)


async def _run_submission(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    listener = routes.find_view(submission.view.callback_id)
    await (
        listener(ack, submission, context, tracker) if listener else _apologise(ack, submission, NOT_KNOWN)
    )


async def _run_action(
    ack: AsyncAck, action: BlockAction, context: WorkspaceContext, tracker: AckTracker
) -> None:
    route = routes.ACTIONS.get(action.action_id)
    if isinstance(route, VerbSpec):
        await run_from_card(route, ack, action, context, action.value)
        return
    if route is not None:
        await route(ack, action, context)
        return
    await ack()
    if action.response_url:
        context.tasks.begin(
            "say that a button is not known", context.workspace.answer(action.response_url, NOT_KNOWN)
        )


async def _run_options(
    ack: AsyncAck, suggestion: BlockSuggestion, context: WorkspaceContext, tracker: AckTracker
) -> None:
    listener = routes.OPTIONS.get(suggestion.action_id.partition(".")[0], routes.OPTIONS[""])
    await listener(ack, suggestion, context)
