"""What has to be known before a declaration is committed to: who declares, and who reads the place."""

from __future__ import annotations

import asyncio

from tocsin.actions.orders import DeclareOrder
from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Command, Press, Shortcut, Submission
from tocsin.slack.listeners.assignees import checked_roles
from tocsin.slack.people import FRESH_SECONDS, STALE_SECONDS
from tocsin.slack.permits import CHECK_SECONDS
from tocsin.slack.views.context import FormContext

READ_BY_OTHERS = "people of another organisation read that channel"


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
            "withheld": READ_BY_OTHERS if shared else "",
        }
    )


def is_learnt(desk: Desk, gesture: Command | Shortcut | Press, context: FormContext) -> bool:
    """Whether nothing need be asked for them to send the form."""
    return desk.permits.knows(gesture.by.slack_user_id) and desk.places.knows(context.origin)


async def learn(desk: Desk, gesture: Command | Shortcut | Press, context: FormContext) -> None:
    """Ask, while somebody fills in the form, what will have to be known when they send it."""
    await asyncio.gather(
        desk.permits.learn(gesture.by.slack_user_id), desk.places.is_shared(context.origin, CHECK_SECONDS)
    )
