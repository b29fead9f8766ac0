"""Show an incident below a link to its page, and have that follow the incident as its cards do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from tocsin.actions.attempts import ALL_DAY
from tocsin.actions.best_effort import patiently
from tocsin.actions.ports import Backend
from tocsin.actions.withdraw import UNFURL, UNKNOWN, Faces, unfurled
from tocsin.incidents.errors import OutcomeUnknown, SlackRefused, Withheld
from tocsin.incidents.model import ChannelId, Incident, MessageTs, TeamId

log = structlog.get_logger()

MOST_LINKS = 30
"""Messages below which one incident is shown; each is edited when it changes, so there is an end to it."""

LATE_SECONDS = 30.0
"""How long after we gave up waiting for its answer Slack may still do what it was asked."""


class Shows(Protocol):
    """A workspace in which people post links."""

    def faces(self, incident: Incident) -> Mapping[str, str]: ...

    async def unfurl(self, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]) -> None:
        """Show each incident below the message, by the address that was posted."""
        ...

    async def fold(self, channel: ChannelId, ts: MessageTs, url: str) -> None:
        """Show nothing of an incident below the message any more."""
        ...


class Unfurl:
    """One instance serves the whole process."""

    def __init__(self, *, backend: Backend, ledger: Faces, workspace: Callable[[TeamId], Shows]) -> None:
        self._backend = backend
        self._ledger = ledger
        self._workspace = workspace

    async def __call__(
        self, team: TeamId, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]
    ) -> None:
        """Show public incidents below the message in which these addresses were posted.

        Where it is shown is kept before it is shown, so that it can be taken back whatever happens meanwhile.
        Raises Unavailable; asking again shows nothing twice.
        """
        workspace = self._workspace(team)
        wanted = {url: one for url, one in shown.items() if await self._has_room(one)}
        if not wanted:
            return
        for url, incident in wanted.items():
            await self._ledger.remember_face(incident.id, channel, f"{UNFURL}{ts} {url}", "")
        try:
            await _show(workspace, self._ledger, channel, ts, wanted)
        except Withheld as refusal:
            _not_shown(refusal)
            for url, incident in wanted.items():
                await _take_back(workspace, self._ledger, incident, channel, f"{UNFURL}{ts} {url}")
            return
        except SlackRefused as refusal:
            _not_shown(refusal)
            for url, incident in wanted.items():
                await self._ledger.forget_face(incident.id, channel, f"{UNFURL}{ts} {url}")
            return
        for url, incident in wanted.items():
            await self._keep_true(workspace, channel, f"{UNFURL}{ts} {url}", incident)

    async def _has_room(self, incident: Incident) -> bool:
        faces = await self._ledger.faces(incident.id)
        return not incident.is_private and sum(thing.startswith(UNFURL) for _, thing in faces) < MOST_LINKS

    async def _keep_true(self, workspace: Shows, channel: ChannelId, thing: str, incident: Incident) -> None:
        """What became of the incident while its link was being shown is shown, too."""
        now = await self._backend.find(incident.id)
        if now is None or now.is_private:
            await _take_back(workspace, self._ledger, incident, channel, thing)
            return
        if workspace.faces(now)["card"] != workspace.faces(incident)["card"]:
            ts, url = unfurled(thing)
            await _show(workspace, self._ledger, channel, ts, {url: now})
        await self._ledger.remember_face(now.id, channel, thing, workspace.faces(now)["card"])


def edits(
    workspace: Shows, ledger: Faces, incident: Incident, known: Mapping[tuple[str, str], str]
) -> list[Awaitable[None]]:
    """What has to be done so that every link that shows the incident shows it as it is now."""
    face = workspace.faces(incident)["card"]

    async def edit(channel: ChannelId, thing: str) -> None:
        ts, url = unfurled(thing)
        try:
            await _show(workspace, ledger, channel, ts, {url: incident})
        except Withheld as refusal:
            _not_shown(refusal)
            await _take_back(workspace, ledger, incident, channel, thing)
        except SlackRefused as refusal:
            # The message is gone, or its link is.
            _not_shown(refusal)
            await ledger.forget_face(incident.id, channel, thing)
        else:
            await ledger.remember_face(incident.id, channel, thing, face)

    stale = [place for place, shown in known.items() if place[1].startswith(UNFURL) and shown != face]
    return [edit(ChannelId(channel), thing) for channel, thing in stale]


async def _show(
    workspace: Shows, ledger: Faces, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]
) -> None:
    """Show the incidents, and have them followed where nobody knows whether they are shown.

    Raises OutcomeUnknown, SlackRefused and Withheld.
    """
    try:
        await workspace.unfurl(channel, ts, shown)
    except OutcomeUnknown:
        await _may_be_shown(ledger, channel, ts, shown)
        # Whoever took it back meanwhile may have been quicker than Slack, and noted that nothing is shown.
        await asyncio.sleep(LATE_SECONDS)
        await _may_be_shown(ledger, channel, ts, shown)
        raise


async def _may_be_shown(
    ledger: Faces, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]
) -> None:
    for url, incident in shown.items():
        await ledger.remember_face(incident.id, channel, f"{UNFURL}{ts} {url}", "")
        await ledger.remember_watched(incident.id, UNKNOWN)


async def _take_back(
    workspace: Shows, ledger: Faces, incident: Incident, channel: ChannelId, thing: str
) -> None:
    """Show nothing of it any more: tried until it is done, and after a restart by the next look at it.

    Also where it was not let pass now: an earlier attempt, or an earlier state of it, may stand there.
    """
    await ledger.remember_face(incident.id, channel, thing, "")
    await ledger.remember_watched(incident.id, UNKNOWN)
    ts, url = unfurled(thing)
    await patiently(lambda _: workspace.fold(channel, ts, url), again=False, attempts=ALL_DAY)
    await ledger.forget_face(incident.id, channel, thing)


def _not_shown(refusal: SlackRefused | Withheld) -> None:
    log.warning("not done", doing="show a link", because=refusal.sentence)
