"""The Bolt app: one catch-all for each kind of payload, dispatched by the table of routes."""

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
from tocsin.slack.context import AckTracker, WorkspaceContext, WorkspaceRegistry
from tocsin.slack.disclosure import NOTHING
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

# What happens in the workspace, each thing once: Slack sends an event again until it was acknowledged.

log = structlog.get_logger()

KEPT = 20_000
KEPT_SECONDS = 15 * 60.0
"""Slack tries again at once, after a minute, and after five (Slack, Events API: retries)."""

PATIENCE = 2.5


class EventDeduplicator:
    """The events of the last quarter of an hour by their id, which stays the same when one is sent again."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, tuple[float, asyncio.Task[None]]] = OrderedDict()

    async def run_once(self, event_id: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work, unless it was done for this id; who comes meanwhile waits for the same end.

        Raises what the work raises, and forgets the id then, so that Slack's next try is a new one. Raises
        Unavailable after two and a half seconds, while the work goes on.
        """
        self._forget()
        if event_id not in self._heard:
            self._heard[event_id] = asyncio.get_running_loop().time(), asyncio.create_task(work())
        task = self._heard[event_id][1]
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            # Slack may not come again before it ends: then nobody else hears how.
            task.remove_done_callback(_note_failure)
            task.add_done_callback(_note_failure)
            raise Unavailable("It takes longer than Slack waits.")
        if task.cancelled() or task.exception() is not None:
            self._heard.pop(event_id, None)
        task.result()

    def _forget(self) -> None:
        """Forget what Slack does not send again, and never what is still being worked on."""
        oldest = asyncio.get_running_loop().time() - KEPT_SECONDS
        while self._heard:
            at, task = next(iter(self._heard.values()))
            if not task.done() or (at > oldest and len(self._heard) < KEPT):
                return
            self._heard.popitem(last=False)


def _note_failure(task: asyncio.Task[None]) -> None:
    """Write down what became of an event that took longer than Slack waits, where it failed."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, TocsinError):
        log.warning("not done", doing="what an event asked for", because=str(error))
    elif error is not None:
        log.error("failed", doing="what an event asked for", exc_info=error)


# The Bolt app: one listener for each kind of payload, and a dictionary behind it.
#
# Bolt asks its listeners one by one whether a payload is theirs, so with one of each kind the time is the
# same for ten verbs and for two hundred. Bolt also polls for an acknowledgement every 10 ms unless the
# listener runs first (`process_before_response`); ours acknowledge at once and leave the rest to a task.

G = TypeVar("G", SlashCommand, Shortcut, BlockAction, ViewSubmission, BlockSuggestion)
Body = dict[str, Any]

ANY = re.compile(".*", re.DOTALL)
ACK_TRACKER = "delivery"
SORRY = "Something went wrong on our side, and nothing was done. Please try again."
NOT_OURS = "Tocsin does not serve this workspace."
NOT_KNOWN = "This is from another version of Tocsin, which is gone. Type /incident to start again."


def build_app(
    registry: WorkspaceRegistry, client: AsyncWebClient, metrics: Metrics | None = None
) -> AsyncApp:
    """The app, with everything that `routes` lists behind it; `client` is what Bolt makes its own from."""
    metrics = metrics or Metrics()

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        """Name our bot there, so that Bolt leaves out its events; none where Tocsin is not installed."""
        ours = registry.serving(team_id or "", enterprise_id or "")
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_user_id=ours.bot_user_id if ours else None,
            bot_id=ours.bot_id if ours else None,
            bot_token=ours.bot_token if ours else None,
        )

    app = AsyncApp(
        # Without one, Bolt looks through the whole stack for it, a tenth of a second long.
        name="tocsin",
        client=client,
        # Without one, Bolt's own loggers would not heed the level that is set for them all.
        logger=logging.getLogger("slack_bolt"),
        authorize=authorize,
        process_before_response=True,
        # Signatures are checked before Bolt sees a request, and Socket Mode has none.
        request_verification_enabled=False,
        signing_secret="checked before",
        attaching_function_token_enabled=False,
    )
    app.command(ANY)(_listener(SlashCommand, registry, _run_command, metrics))
    app.shortcut(ANY)(_listener(Shortcut, registry, _run_shortcut, metrics))
    app.view(ANY)(_listener(ViewSubmission, registry, _run_submission, metrics))
    app.action(ANY)(_listener(BlockAction, registry, _run_action, metrics))
    app.options(ANY)(_listener(BlockSuggestion, registry, _run_options, metrics))
    app.event(ANY)(_event_listener(registry, metrics))
    app.error(_malformed)
    return app


async def dispatch(app: AsyncApp, trace: str = "", **asked: Any) -> BoltResponse:
    """The app's answer to a request with these parts; 400 where its shape is none that Slack sends.

    Everything that it sets off carries `trace`, or an id of its own. What goes wrong in a listener ends
    there: over these only Bolt trips, before a listener has seen them.
    """
    with traced(trace):
        try:
            return await app.async_dispatch(AsyncBoltRequest(**asked))
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            return await _malformed(error)


async def _malformed(error: Exception) -> BoltResponse:
    log.warning("malformed payload", kind=type(error).__name__)
    return BoltResponse(status=400, body="malformed payload")


def _listener(
    kind: type[G],
    registry: WorkspaceRegistry,
    run: Callable[[AsyncAck, G, WorkspaceContext, AckTracker], Awaitable[None]],
    metrics: Metrics,
) -> Callable[..., Awaitable[BoltResponse | None]]:
    """Wrap a listener: read the payload, turn strangers away, answer always."""

    async def listen(ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse | None:
        try:
            payload = kind.model_validate(body)
        except ValidationError as error:
            return _unread(kind.__name__, error, metrics)
        route, tracker, outcome = route_of(payload), context.get(ACK_TRACKER) or AckTracker(), "answered"
        tracker.timed = partial(metrics.observe_acknowledgement, route)
        async with best_effort(f"answer {route}") as failed:
            ours = await registry.find(payload.team_id, payload.org)
            if ours is None:
                outcome = "stranger"
                await _apologise(ack, payload, NOT_OURS)
            else:
                ours.people.meet(payload.by)
                await run(ack, payload, ours, tracker)
        if failed and ack.response is None:
            await _apologise(ack, payload, SORRY)
        outcome = "failed" if failed else outcome
        metrics.count_request(route, outcome)
        log.info(outcome, route=route)
        return None

    return listen


def _unread(kind: str, error: ValidationError, metrics: Metrics) -> BoltResponse:
    """Our own names of the fields are told, never a word of what was sent."""
    log.warning("malformed payload", kind=kind, fields=sorted({str(e["loc"][0]) for e in error.errors()}))
    metrics.count_request(UNKNOWN, "malformed")
    return BoltResponse(status=400, body="malformed payload")


def _event_listener(registry: WorkspaceRegistry, metrics: Metrics) -> Callable[..., Awaitable[BoltResponse]]:
    """Events come in here, each once; one that could not be done is not acknowledged, and comes again."""
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
            ours = await registry.find(callback.served_team, callback.org)
            if ours is not None:
                await deduplicator.run_once(callback.event_id, lambda: listener(callback, ours))
        metrics.count_request(route, "failed" if failed else "answered")
        return BoltResponse(status=503 if failed else 200)

    return listen


async def _apologise(ack: AsyncAck, payload: FrozenModel, sentence: str) -> None:
    """A sentence where the person is looking; what they typed stays."""
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
    listener = routes.VIEWS.get(submission.view.callback_id)
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
