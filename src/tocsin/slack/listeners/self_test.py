"""The verb `test`, and the button *Test Tocsin* on Home."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import TeamId
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.replies import begin, explain, with_typed_text
from tocsin.slack.listeners.verbs import CommandSpec, key_of
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import done_modal
from tocsin.workflows.self_test import SelfTestCommand

BEGUN = "Each part of Tocsin is tried now, and taken back. A message from Tocsin tells you how it went."


async def _begin(context: WorkspaceContext, payload: Payload) -> None:
    """Save the test. Raises Refused if this person may not test, or while a test of theirs runs."""
    await context.check_permission(payload, Verb.TEST)
    command = SelfTestCommand(
        key=key_of(payload),
        by=context.people.meet(payload.by),
        team=TeamId(payload.team_id),
        enterprise=context.workspace.home.enterprise,
        at=context.clock(),
    )
    await context.workflows.self_test(command)


async def begin_test(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """Handle `/incident test`: answer once the test is saved."""
    try:
        await _begin(context, command)
        sentence = BEGUN
    except TocsinError as error:
        sentence = with_typed_text(explain(error), command, context)
    await ack(response_type="ephemeral", text=escape(sentence))


async def press_test(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Test Tocsin* on Home; the outcome is its only message."""
    await ack()
    begin(context, action, "test Tocsin", _begin(context, action))


async def _build_view(context: WorkspaceContext, payload: Payload, text: str) -> View:
    """Begin the test from the form that asked if its text was a name."""
    await _begin(context, payload)
    return done_modal(BEGUN)


TEST = CommandSpec(
    Verb.TEST,
    "/incident test",
    "tries whether everything works, tells you, and takes it back",
    begin_test,
    build_view=_build_view,
)
