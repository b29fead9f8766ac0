"""Everything that shows an incident follows it: its cards, and its channel's topic, bookmark and name.

Changes that come together are one edit, and what would look the same is not edited at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from tocsin.actions.arriving import seen_by
from tocsin.actions.ports import Backend, Channel, Workspace
from tocsin.actions.unfurl import Shows, edits
from tocsin.actions.withdraw import Faces, Withdrawing, fitting_channel, withdraw_posts
from tocsin.incidents.errors import SlackRefused, Unavailable, Withheld
from tocsin.incidents.model import Card, ChannelId, Incident, TeamId
from tocsin.incidents.validation import channel_name

log = structlog.get_logger()

TOGETHER_SECONDS = 0.2
"""Changes within so many seconds are shown at once."""

OWN_PLACES = frozenset({"headline", "reporter"})
"""Where a private incident's card may be: its own channel, and a message to who declared it."""

CHANNEL_NAMES = 9


class Showing(Workspace, Withdrawing, Shows, Protocol):
    """What Slack lets us change of what we showed before."""

    def faces(self, incident: Incident) -> Mapping[str, str]:
        """What would be shown of it: `card`, `topic`, `purpose` and `bookmark`, each in a few characters."""
        ...

    async def rebookmark(self, channel: ChannelId, incident: Incident) -> None:
        """Give the bookmark with the permalink its new name."""
        ...

    async def name_of_channel(self, channel: ChannelId) -> str:
        """What it is called now, whoever named it."""
        ...

    async def rename_channel(self, channel: ChannelId, name: str, incident: Incident) -> Channel: ...


class Watched(Faces, Protocol):
    """What open incidents were when last looked at."""

    async def watched(self) -> Mapping[str, str]: ...

    async def remember_shown(self, incident: Incident, card: Card, face: str, seen: str) -> None:
        """Both that a card shows this face, and what the incident was then, or neither."""
        ...


def snapshot(incident: Incident) -> str:
    """What an incident is, whenever it became so."""
    return incident.model_copy(update={"updated_at": incident.created_at}).model_dump_json()


class Following:
    """Brings what is shown up to date; one instance for the whole process."""

    def __init__(
        self,
        *,
        backend: Backend,
        ledger: Watched,
        workspace: Callable[[TeamId], Showing],
        shown: Callable[[Incident], None] = lambda incident: None,
        ended: Callable[[Incident], Awaitable[None]] | None = None,
    ) -> None:
        """`shown` hears of each incident as it is now, before what shows it is brought up to date.

        `ended` hears of those that have ended.
        """
        self._told = shown
        self._ended = ended
        self._backend = backend
        self._ledger = ledger
        self._workspace = workspace
        self._soon: dict[str, asyncio.Future[None]] = {}
        self._before: dict[str, Incident] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def bring_up_to_date(self, incident_id: str, before: Incident | None = None) -> None:
        """Have everything show what the incident is now; `before` is what it showed when last we knew.

        Raises Unavailable when not everything could be reached; asking again does only what is left.
        """
        if before is not None:
            self._before.setdefault(incident_id, before)
        soon = self._soon.get(incident_id)
        if soon is not None:
            await asyncio.shield(soon)
            return
        # Whoever comes first does it for all who come meanwhile, in their own task: none outlives its story.
        soon = self._soon[incident_id] = asyncio.get_running_loop().create_future()
        try:
            await self._together(incident_id)
        except BaseException as error:
            cut_short = not isinstance(error, Exception)
            soon.set_exception(Unavailable("Tocsin is stopping.") if cut_short else error)
            # Perhaps nobody else waited for it.
            soon.exception()
            raise
        else:
            soon.set_result(None)
        finally:
            if self._soon.get(incident_id) is soon:
                self._soon.pop(incident_id)

    async def _together(self, incident_id: str) -> None:
        await asyncio.sleep(TOGETHER_SECONDS)
        # Whoever comes from now on waits for the next turn: this one may have read the incident already.
        self._soon.pop(incident_id, None)
        before = self._before.get(incident_id)
        turn = self._turns.setdefault(incident_id, asyncio.Lock())
        async with turn:
            incident = await self._backend.find(incident_id)
            if incident is not None:
                self._told(incident)
                is_open = incident.incident_status.is_open
                if self._ended is not None and not is_open:
                    await self._ended(incident)
                await self._show(incident, before)
                await self._ledger.remember_watched(incident.id, snapshot(incident) if is_open else None)
        if self._before.get(incident_id) is before:
            self._before.pop(incident_id, None)
        if incident_id not in self._soon:
            self._turns.pop(incident_id, None)

    async def _show(self, incident: Incident, before: Incident | None) -> None:
        workspace = self._workspace(TeamId(incident.slack_team_id))
        known = await self._ledger.faces(incident.id)
        were = workspace.faces(before) if before is not None else {}
        now = workspace.faces(incident)
        own = await fitting_channel(workspace, self._ledger, incident)
        cards = await self._ledger.cards(incident.id)
        seen = [(card, await self._as_seen(workspace, incident, card)) for card in cards]
        # Nothing is waited for from here on until all of it is done: what is begun here is done, too.
        changes = [] if incident.is_private else edits(workspace, self._ledger, incident, known)
        if incident.is_private:
            changes.append(
                _allowed(withdraw_posts(workspace, self._ledger, incident, kept=OWN_PLACES), "withdraw")
            )
        for card, shown in seen:
            if incident.is_private and (card.place != "reporter" and card.channel != own):
                continue
            face = now["card"] if shown is incident else workspace.faces(shown)["card"]
            if known.get((card.channel, card.ts), were.get("card")) != face:
                changes.append(self._edit(workspace, shown, card, face))
        if own is not None:
            for thing in ("topic", "purpose", "bookmark"):
                if known.get((own, thing), were.get(thing)) != now[thing]:
                    changes.append(self._furnish(workspace, incident, thing, now[thing]))
            if before is not None and before.name != incident.name:
                changes.append(self._rename(workspace, incident))
        troubles = [done for done in await asyncio.gather(*changes, return_exceptions=True) if done]
        _raise_the_worst(troubles)

    async def _as_seen(self, workspace: Showing, incident: Incident, card: Card) -> Incident:
        """The incident as this card may show it.

        A private channel that the backend opened is named to a reporter who is in it, and to no other.
        """
        hosted = getattr(self._backend, "makes_channel", False)
        if hosted and incident.is_private and card.place == "reporter":
            return await seen_by(workspace, incident, incident.creator.slack_user_id)
        return incident

    async def _edit(self, workspace: Showing, incident: Incident, card: Card, face: str) -> None:
        await _allowed(workspace.update_card(incident, card), "edit a card")
        await self._ledger.remember_face(incident.id, card.channel, card.ts, face)

    async def _furnish(self, workspace: Showing, incident: Incident, thing: str, face: str) -> None:
        channel = ChannelId(incident.slack_channel_id)
        change = {
            "topic": workspace.set_topic,
            "purpose": workspace.set_purpose,
            "bookmark": workspace.rebookmark,
        }[thing]
        await _allowed(change(channel, incident), f"set the {thing}")
        await self._ledger.remember_face(incident.id, channel, thing, face)

    async def _rename(self, workspace: Showing, incident: Incident) -> None:
        """The channel's name follows the incident's, unless the backend or people named it."""
        if getattr(self._backend, "makes_channel", False):
            return
        id_ = ChannelId(incident.slack_channel_id)
        names = [channel_name(incident.reference, incident.name, n) for n in range(1, CHANNEL_NAMES + 1)]
        try:
            now = await workspace.name_of_channel(id_)
            if now in names:
                # An earlier attempt may have ended before it was noted.
                if now != incident.slack_channel_name:
                    await self._backend.set_channel(incident.id, Channel(id=id_, name=now))
            elif now == incident.slack_channel_name:
                await self._backend.set_channel(incident.id, await _renamed(workspace, id_, names, incident))
        except (SlackRefused, Withheld) as refusal:
            log.warning("not done", doing="rename the channel", because=refusal.sentence)


async def _renamed(
    workspace: Showing, channel: ChannelId, names: Sequence[str], incident: Incident
) -> Channel:
    """The channel with the first of these names that is free. Raises SlackRefused and Withheld."""
    for name in names[:-1]:
        try:
            return await workspace.rename_channel(channel, name, incident)
        except SlackRefused as refusal:
            if refusal.code != "name_taken":
                raise
    return await workspace.rename_channel(channel, names[-1], incident)


async def _allowed(edit: Awaitable[None], doing: str) -> None:
    """What Slack or the gate will not have stays as it is, and is written down: so it would be every time."""
    try:
        await edit
    except (SlackRefused, Withheld) as refusal:
        log.warning("not done", doing=doing, because=refusal.sentence)


def _raise_the_worst(troubles: Sequence[object]) -> None:
    """A mistake of ours before somebody who could not be reached: waiting helps with that alone."""
    failed = [trouble for trouble in troubles if isinstance(trouble, BaseException)]
    for trouble in sorted(failed, key=lambda one: isinstance(one, Unavailable)):
        raise trouble
