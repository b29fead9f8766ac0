"""What has to be known before a declaration is committed to: who declares, and who reads the place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tocsin.incidents.model import ChannelId
from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Command, Press, Shortcut, Submission
from tocsin.slack.listeners.assignees import checked_roles
from tocsin.slack.people import FRESH_SECONDS, STALE_SECONDS
from tocsin.slack.permits import CHECK_SECONDS
from tocsin.slack.views.metadata import FormContext
from tocsin.workflows.declaration import DeclareOrder

READ_BY_OTHERS = "people of another organisation read that channel"
UNKNOWN_READERS = "Slack does not say just now who reads that channel"
WITHHELD = {False: "", True: READ_BY_OTHERS, None: UNKNOWN_READERS}
"""Why there is no card, by what Slack says of a channel's being shared."""


async def checked(order: DeclareOrder, submission: Submission, desk: Desk) -> DeclareOrder:
    """The order, with what could not be checked, and without a card where strangers would read it.

    Raises Refused when they may not declare, or give a role to somebody who cannot take it on. Asks Slack
    nothing that is known, and waits a second at most.
    """
    declaration = order.declaration
    private = declaration.visibility == "private"
    roles, within = declaration.incident_role_assignments, FRESH_SECONDS if private else STALE_SECONDS
    unchecked, shared, assignees = await asyncio.gather(
        desk.may(submission, "declare", private=private),
        desk.places.is_shared(None if private else order.origin, CHECK_SECONDS),
        # An alarm does not wait for word of somebody who was well within the hour.
        checked_roles(desk, roles, private=private, within=within),
    )
    known = {"reporter": desk.people.meet(declaration.reporter), "assignees": assignees}
    return order.model_copy(
        update={
            "declaration": declaration.model_copy(update=known),
            "unchecked": unchecked,
            "withheld": WITHHELD[shared],
        }
    )


def is_learnt(desk: Desk, gesture: Command | Shortcut | Press, context: FormContext) -> bool:
    """Whether nothing need be asked for them to send the form."""
    known = all(desk.places.knows(channel) for channel in _places(desk, context))
    return known and desk.permits.knows(gesture.by.slack_user_id)


async def learn(desk: Desk, gesture: Command | Shortcut | Press, context: FormContext) -> None:
    """Ask, while somebody fills in the form, what will have to be known when they send it."""
    await asyncio.gather(
        desk.permits.learn(gesture.by.slack_user_id),
        *(desk.places.is_shared(channel, CHECK_SECONDS) for channel in _places(desk, context)),
    )


def _places(desk: Desk, context: FormContext) -> Iterable[ChannelId]:
    """Where a card may go: the channel that it is declared in, and where incidents are announced."""
    return filter(None, [context.origin, *desk.announced_in])
