"""The choice *Use this channel for the incident*: where the form offers it, and what is checked then."""

from __future__ import annotations

import asyncio

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import ChannelId
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.validation import is_visible_to
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.views.metadata import DeclareMetadata

FIELD = "slack_channel_id"

NOT_PRIVATE = "A private incident needs a channel of its own: everybody in this one would read it."
HOSTED = "Where incidents are kept, they get a channel of their own, so this one cannot be used."
ANNOUNCED_IN = "Incidents are announced in this channel, so it cannot be one incident's."
NOT_THERE = "Tocsin is not in this channel. Invite it here first, or leave this unticked."
NOT_A_MEMBER = "You are not in that channel, so the incident cannot use it."
NOT_KNOWN = "Slack does not say just now who reads this channel. Try it again, or leave this unticked."


def usable_channel(context: WorkspaceContext, origin: ChannelId | None) -> ChannelId | None:
    """Return the channel of a form if the incident may use it, by all that is known without asking.

    The submission is checked again, and then Slack is asked.
    """
    if origin is None or context.workflows.hosted_channels or origin in context.announced_in:
        return None
    if not origin.startswith(("C", "G")) or context.open_now.of_channel(origin) is not None:
        return None
    if not context.shared_channels.knows(origin):
        return origin
    known = context.shared_channels.last(origin)
    return None if known is None or known.unusable else origin


def proposed(context: WorkspaceContext, filled: DeclareRequest, metadata: DeclareMetadata) -> DeclareRequest:
    """Return the values of a form at first, with its channel if the configuration proposes it."""
    if not context.use_this_channel or filled.mode == "retrospective":
        return filled
    channel = usable_channel(context, metadata.origin)
    return filled.model_copy(update={FIELD: channel}) if channel is not None else filled


async def check_channel(context: WorkspaceContext, declaration: Declaration) -> None:
    """Raise Refused with a sentence under the choice if the incident cannot use the channel."""
    channel, person = declaration.slack_channel_id, declaration.reporter.slack_user_id
    if channel is None or person is None:
        return
    if why := _refusal(context, declaration, channel):
        raise Refused(why, {FIELD: why})
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            why = await _looked_up(context, channel)
            confined = context.people.last_membership(person).is_guest
            sees = why or await context.workspace.channels.is_seen_by(channel, person, confined=confined)
            holder = await context.find.holder(channel)
    except (TocsinError, TimeoutError):
        raise Refused(NOT_KNOWN, {FIELD: NOT_KNOWN}) from None
    if not why and not sees:
        why = NOT_A_MEMBER
    if not why and holder is not None:
        named = holder.reference if is_visible_to(person, holder) else "another incident"
        why = f"This is the channel of {named} already, so it cannot be another's."
    if why:
        raise Refused(why, {FIELD: why})


def _refusal(context: WorkspaceContext, declaration: Declaration, channel: ChannelId) -> str:
    """Return the reason that is known without asking Slack; empty if there is none."""
    if declaration.visibility == "private":
        return NOT_PRIVATE
    if context.workflows.hosted_channels:
        return HOSTED
    return ANNOUNCED_IN if channel in context.announced_in else ""


async def _looked_up(context: WorkspaceContext, channel: ChannelId) -> str:
    """Ask Slack about a channel; return the reason for which it cannot be used, empty if there is none."""
    found = await context.shared_channels.look_up(channel, CHECK_SECONDS)
    return NOT_THERE if found is None else found.unusable
