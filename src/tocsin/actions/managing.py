"""Every verb on an incident that exists, put together once for the whole process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, cast

from tocsin.actions import change, note
from tocsin.actions.aftermath import Aftermath, Speaking
from tocsin.actions.alarming import Alarms
from tocsin.actions.change import ChangeIncident
from tocsin.actions.find import Channels, FindIncidents
from tocsin.actions.follow_up import FollowUps, Listing
from tocsin.actions.following import Following, Watched
from tocsin.actions.note import Notes
from tocsin.actions.open_now import OpenIncidents
from tocsin.actions.ports import Backend, Clock, Journal
from tocsin.actions.promises import KeepsIncidents
from tocsin.actions.remind import Remind, Reminders, Reminding
from tocsin.actions.watching import Watching
from tocsin.incidents.model import Form, TeamId


class Slack(Speaking, Listing, Reminding, Protocol):
    """All that the verbs ask of a workspace."""


class Records(Watched, Channels, Protocol):
    """All that the verbs ask of the ledger."""


@dataclass(frozen=True)
class Managing:
    """The verbs, and what keeps Slack true to what they did."""

    change: ChangeIncident
    follow_ups: FollowUps
    notes: Notes
    find: FindIncidents
    open_now: OpenIncidents
    remind: Remind
    following: Following
    watching: Watching

    def watches(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What goes on for as long as the process does."""
        return self.remind.keep_watch(), self.watching.keep_watch()

    def stories(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """The durable part of each verb, by the name that the journal knows it by."""
        return {change.VERB: self.change.story, note.VERB: self.notes.story, **self.follow_ups.stories()}


def managing(
    *,
    backend: Backend,
    journal: Journal,
    ledger: Records,
    reminders: Reminders,
    workspace: Callable[[TeamId], Slack],
    form: Callable[[], Awaitable[Form]],
    clock: Clock,
    alarms: Alarms,
) -> Managing:
    """`workspace` answers the workspace of a team, `form` what may be chosen."""
    keeps = cast(KeepsIncidents, backend)
    open_now = OpenIncidents()
    following = Following(backend=keeps, ledger=ledger, workspace=workspace, shown=open_now.saw)
    remind = Remind(backend=keeps, reminders=reminders, workspace=workspace, clock=clock)
    aftermath = Aftermath(
        backend=keeps,
        journal=journal,
        ledger=ledger,
        workspace=workspace,
        following=following,
        asking=remind,
    )
    return Managing(
        change=ChangeIncident(
            backend=keeps,
            journal=journal,
            form=form,
            workspace=workspace,
            aftermath=aftermath,
            alarms=alarms,
        ),
        follow_ups=FollowUps(backend=keeps, journal=journal, ledger=ledger, workspace=workspace),
        notes=Notes(backend=keeps, journal=journal, workspace=workspace),
        find=FindIncidents(backend=keeps, channels=ledger),
        open_now=open_now,
        remind=remind,
        following=following,
        watching=Watching(
            backend=keeps, ledger=ledger, following=following, alarms=alarms, found=open_now.looked
        ),
    )
