"""Keep cards, topics and link previews in Slack equal to the backend, which is polled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.comments import count_comments
from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, Unavailable, Withheld
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, TeamId
from tocsin.incidents.requests import IncidentFilter
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.channels import (
    UNFURL,
    UNKNOWN,
    fitting_channel,
    seen_by,
    unfurled,
    withdraw_posts,
)
from tocsin.workflows.ports import Channel, IncidentBackend, SlackStateStore
from tocsin.workflows.queries import OpenIncidentsCache
from tocsin.workflows.retry import ALL_DAY, best_effort, retry
from tocsin.workflows.slack_client import Preview, SlackClient, WorkspaceOf
from tocsin.workflows.used_channel import GIVEN_BACK, USED, earlier_topic

# Link previews (Slack, chat.unfurl), which are updated like cards.

log = structlog.get_logger()

MOST_LINKS = 30
"""Most previews of one incident: each costs an edit whenever the incident changes."""

LATE_SECONDS = 30.0
"""Seconds in which Slack may still carry out a call after the bot gave up waiting for its answer."""


class Unfurl:
    """Poster of previews below links to incidents. One instance serves the whole process."""

    def __init__(self, *, backend: IncidentBackend, state: SlackStateStore, workspace: WorkspaceOf) -> None:
        self._backend = backend
        self._state = state
        self._workspace = workspace

    async def __call__(
        self, team: TeamId, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]
    ) -> None:
        """Show previews of public incidents below the message in which these URLs were posted.

        Each preview is stored before it is shown, so that it can be removed whatever happens in between.
        Raises Unavailable; a repeat shows nothing twice.
        """
        workspace = self._workspace(team)
        wanted = {url: one for url, one in shown.items() if await self._has_room(one)}
        if not wanted:
            return
        for url, incident in wanted.items():
            await self._state.save_fingerprint(incident.id, channel, f"{UNFURL}{ts} {url}", "")
        previews = {url: await preview(self._backend, incident) for url, incident in wanted.items()}
        try:
            await _show(workspace, self._state, channel, ts, previews)
        except Withheld as refusal:
            _not_shown(refusal)
            for url, incident in wanted.items():
                await _take_back(workspace, self._state, incident, channel, f"{UNFURL}{ts} {url}")
            return
        except SlackRefused as refusal:
            _not_shown(refusal)
            for url, incident in wanted.items():
                await self._state.delete_fingerprint(incident.id, channel, f"{UNFURL}{ts} {url}")
            return
        for url, shown_first in previews.items():
            await self._keep_true(workspace, channel, f"{UNFURL}{ts} {url}", shown_first)

    async def _has_room(self, incident: Incident) -> bool:
        fingerprints = await self._state.fingerprints(incident.id)
        return (
            not incident.is_private
            and sum(thing.startswith(UNFURL) for _, thing in fingerprints) < MOST_LINKS
        )

    async def _keep_true(
        self, workspace: SlackClient, channel: ChannelId, thing: str, shown: Preview
    ) -> None:
        """Update or remove the preview if the incident changed while it was being posted."""
        found = await self._backend.find(shown.incident.id)
        if found is None or found.is_private:
            await _take_back(workspace, self._state, shown.incident, channel, thing)
            return
        now = await preview(self._backend, found)
        if _face(workspace, now) != _face(workspace, shown):
            ts, url = unfurled(thing)
            await _show(workspace, self._state, channel, ts, {url: now})
        await self._state.save_fingerprint(found.id, channel, thing, _face(workspace, now))


async def preview(backend: IncidentBackend, incident: Incident) -> Preview:
    """Return what a preview shows: the incident, and the number of its comments if the backend tells it."""
    try:
        return Preview(incident, count_comments(await backend.timeline(incident.id)))
    except Refused:
        return Preview(incident)


def _face(workspace: SlackClient, shown: Preview) -> str:
    """Return the hash of a preview, by which an outdated one is known."""
    card, counted = workspace.messages.fingerprints(shown.incident)["card"], shown.comments
    latest = counted.latest.timestamp() if counted and counted.latest else 0
    return f"{card} {counted.count} {latest:.0f}" if counted else card


def has_previews(known: Iterable[tuple[str, str]]) -> bool:
    """True if one of these stored marks is of a link preview."""
    return any(thing.startswith(UNFURL) for _, thing in known)


def edits(
    workspace: SlackClient, state: SlackStateStore, shown: Preview, known: Mapping[tuple[str, str], str]
) -> list[Awaitable[None]]:
    """Return the edits that bring every outdated preview of the incident up to date."""
    face, incident = _face(workspace, shown), shown.incident

    async def edit(channel: ChannelId, thing: str) -> None:
        ts, url = unfurled(thing)
        try:
            await _show(workspace, state, channel, ts, {url: shown})
        except Withheld as refusal:
            _not_shown(refusal)
            await _take_back(workspace, state, incident, channel, thing)
        except SlackRefused as refusal:
            # The message is gone, or its link is.
            _not_shown(refusal)
            await state.delete_fingerprint(incident.id, channel, thing)
        else:
            await state.save_fingerprint(incident.id, channel, thing, face)

    stale = [place for place, was in known.items() if place[1].startswith(UNFURL) and was != face]
    return [edit(ChannelId(channel), thing) for channel, thing in stale]


async def _show(
    workspace: SlackClient,
    state: SlackStateStore,
    channel: ChannelId,
    ts: MessageTs,
    shown: Mapping[str, Preview],
) -> None:
    """Show the previews; if the answer is lost, mark the incidents so that the next poll syncs them.

    Raises OutcomeUnknown, SlackRefused and Withheld.
    """
    try:
        await workspace.messages.unfurl(channel, ts, shown)
    except OutcomeUnknown:
        await _may_be_shown(state, channel, ts, shown)
        # Another task may have removed the preview before Slack showed it, and deleted the stored mark. The
        # mark is stored again once Slack can no longer show it.
        await asyncio.sleep(LATE_SECONDS)
        await _may_be_shown(state, channel, ts, shown)
        raise


async def _may_be_shown(
    state: SlackStateStore, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Preview]
) -> None:
    for url, one in shown.items():
        await state.save_fingerprint(one.incident.id, channel, f"{UNFURL}{ts} {url}", "")
        await state.remember_watched(one.incident.id, UNKNOWN)


async def _take_back(
    workspace: SlackClient, state: SlackStateStore, incident: Incident, channel: ChannelId, thing: str
) -> None:
    """Remove a preview: retried until it succeeds, and after a restart by the next poll.

    It is also called for a preview that was withheld: one of an earlier attempt may be shown.
    """
    await state.save_fingerprint(incident.id, channel, thing, "")
    await state.remember_watched(incident.id, UNKNOWN)
    ts, url = unfurled(thing)
    await retry(workspace.messages.fold, channel, ts, url, attempts=ALL_DAY)
    await state.delete_fingerprint(incident.id, channel, thing)


def _not_shown(refusal: SlackRefused | Withheld) -> None:
    log.warning("not done", doing="show a link", because=refusal.sentence)


# Sync of everything in Slack that shows an incident: cards, previews, and the channel's topic, purpose,
# bookmark and name. Changes within a moment become one edit; content that would look the same is not edited.

TOGETHER_SECONDS = 0.2
"""Seconds to wait for further changes, which are then shown in one edit."""

LABELS = ("topic", "purpose", "bookmark")
"""Things of the incident's own channel that show it, by the names of their hashes."""

OWN_PLACES = frozenset({"headline", "reporter"})
"""Places of a private incident's card: its own channel, and a direct message to its reporter."""

CHANNEL_NAMES = 9


_WORKLOAD = tuple(field for field in Incident.model_fields if field.startswith("workload_minutes"))


def snapshot(incident: Incident) -> str:
    """Return the incident as JSON, to compare with an earlier one.

    The time of the last update is left out, and so is the workload, which grows while people work on it.
    """
    grows = {"updated_at": incident.created_at, **dict.fromkeys(_WORKLOAD)}
    return incident.model_copy(update=grows).model_dump_json()


class SlackSync:
    """Debounced sync of what Slack shows of an incident. One instance serves the whole process."""

    def __init__(
        self,
        backend: IncidentBackend,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        shown: Callable[[Incident], None] = lambda incident: None,
        ended: Sequence[Callable[[Incident], Awaitable[None]]] = (),
        leads: Callable[[], bool] | None = None,
        names: ChannelNames | None = None,
    ) -> None:
        """`shown` is called with each incident before its posts are updated, `ended` with each ended one.

        `leads` says if this replica leads the others; None if no other replica may update the same posts.
        """
        self.leads = leads or (lambda: True)
        self._is_shared = leads is not None
        self._names = names or ChannelNames()
        self._told = shown
        self._ended = ended
        self._backend = backend
        self._state = state
        self._workspace = workspace
        self._soon: dict[str, asyncio.Future[None]] = {}
        self._before: dict[str, Incident] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def sync(self, incident_id: str, before: Incident | None = None) -> None:
        """Update everything in Slack that shows the incident; `before` is the last version known to be shown.

        Raises Unavailable if something could not be updated; a repeat does only the rest.
        """
        if before is not None:
            self._before.setdefault(incident_id, before)
        soon = self._soon.get(incident_id)
        if soon is not None:
            await asyncio.shield(soon)
            return
        # The first caller syncs for later callers, in its own task: no task outlives its workflow.
        soon = self._soon[incident_id] = asyncio.get_running_loop().create_future()
        try:
            await self._together(incident_id)
        except BaseException as error:
            cut_short = not isinstance(error, Exception)
            soon.set_exception(Unavailable("Tocsin is stopping.") if cut_short else error)
            # Marks the exception as retrieved, since there may be no other caller.
            soon.exception()
            raise
        else:
            soon.set_result(None)
        finally:
            if self._soon.get(incident_id) is soon:
                self._soon.pop(incident_id)

    async def sync_previews(self, incident_id: str) -> None:
        """Sync the incident if a link to it shows it with the number of its comments. Raises Unavailable."""
        if has_previews(await self._state.fingerprints(incident_id)):
            await self.sync(incident_id)

    async def _together(self, incident_id: str) -> None:
        await asyncio.sleep(TOGETHER_SECONDS)
        # Later callers start a new sync: this one may have read the incident before their change.
        self._soon.pop(incident_id, None)
        before = self._before.get(incident_id)
        turn = self._turns.setdefault(incident_id, asyncio.Lock())
        async with turn:
            incident, shown = await self._backend.find(incident_id), before
            while incident is not None:
                await self._sync(incident, shown)
                if not self._is_shared:
                    break
                # Another replica may have shown a newer version meanwhile, which this one has overwritten.
                shown, incident = incident, await self._backend.find(incident_id)
                if incident is None or snapshot(incident) == snapshot(shown):
                    break
        if self._before.get(incident_id) is before:
            self._before.pop(incident_id, None)
        if incident_id not in self._soon:
            self._turns.pop(incident_id, None)

    async def _sync(self, incident: Incident, before: Incident | None) -> None:
        self._told(incident)
        is_open = incident.incident_status.is_open
        for end in () if is_open else self._ended:
            await end(incident)
        await self._show(incident, before)
        await self._state.remember_watched(incident.id, snapshot(incident) if is_open else None)

    async def _show(self, incident: Incident, before: Incident | None) -> None:
        workspace = self._workspace(TeamId(incident.slack_team_id))
        known = await self._state.fingerprints(incident.id)
        were = workspace.messages.fingerprints(before) if before is not None else {}
        now = workspace.messages.fingerprints(incident)
        own = await fitting_channel(workspace, self._state, incident)
        cards = await self._state.cards(incident.id)
        seen = [(card, await self._as_seen(workspace, incident, card)) for card in cards]
        is_linked = has_previews(known) and not incident.is_private
        below = await preview(self._backend, incident) if is_linked else None
        # From here on nothing is awaited before the gather below, so that no coroutine is left unawaited.
        changes = [] if below is None else edits(workspace, self._state, below, known)
        if incident.is_private:
            changes.append(self._withdraw(workspace, incident))
        for card, shown in seen:
            if incident.is_private and (card.place != "reporter" and card.channel != own):
                continue
            face = now["card"] if shown is incident else workspace.messages.fingerprints(shown)["card"]
            if known.get((card.channel, card.ts), were.get("card")) != face:
                changes.append(self._edit(workspace, shown, card, face))
        if own is not None:
            faces = {thing: (known.get((own, thing), were.get(thing)), now[thing]) for thing in LABELS}
            changes += self._furnishings(workspace, incident, faces, known.get((own, USED)))
            if before is not None and self._names.of(before) != self._names.of(incident):
                changes.append(self._rename(workspace, incident))
        errors = [done for done in await asyncio.gather(*changes, return_exceptions=True) if done]
        _raise_worst(errors)

    async def _as_seen(self, workspace: SlackClient, incident: Incident, card: Card) -> Incident:
        """Return the incident as this card may show it.

        A card for the reporter names a private channel that the backend created only if they are a member.
        """
        hosted = self._backend.makes_channel
        if hosted and incident.is_private and card.place == "reporter":
            return await seen_by(workspace, incident, incident.creator.slack_user_id)
        return incident

    async def _withdraw(self, workspace: SlackClient, incident: Incident) -> None:
        with _logging_refusals("withdraw"):
            await withdraw_posts(workspace, self._state, incident, kept=OWN_PLACES)

    async def _edit(self, workspace: SlackClient, incident: Incident, card: Card, face: str) -> None:
        with _logging_refusals("edit a card"):
            await workspace.messages.update_card(incident, card)
        await self._state.save_fingerprint(incident.id, card.channel, card.ts, face)

    def _furnishings(
        self,
        workspace: SlackClient,
        incident: Incident,
        faces: dict[str, tuple[str | None, str]],
        earlier: str | None,
    ) -> list[Awaitable[None]]:
        """Return the edits of those of the channel's `faces` that differ from how they were shown last.

        `earlier` is the topic of a used channel from before the incident. Such a channel keeps its purpose,
        and has its earlier topic again once the incident is over.
        """
        if earlier is not None:
            del faces["purpose"]
            if not incident.incident_status.is_open:
                faces["topic"] = faces["topic"][0], GIVEN_BACK
        return [
            self._furnish(workspace, incident, thing, now, earlier)
            for thing, (shown, now) in faces.items()
            if shown != now
        ]

    async def _furnish(
        self, workspace: SlackClient, incident: Incident, thing: str, face: str, earlier: str | None
    ) -> None:
        """Edit one thing of the channel; `earlier` is the topic that a used channel had before."""
        channel = ChannelId(incident.slack_channel_id)
        # A backend that makes the channel has bookmarks of its own for the call and the links.
        rebookmark = partial(workspace.channels.rebookmark, adds=not self._backend.makes_channel)
        changes: dict[str, Callable[[ChannelId, Incident], Awaitable[None]]] = {
            "topic": workspace.channels.set_topic,
            "purpose": workspace.channels.set_purpose,
            "bookmark": rebookmark,
        }
        with _logging_refusals(f"set the {thing}"):
            if face == GIVEN_BACK and earlier is not None:
                await workspace.channels.restore_topic(channel, earlier)
            else:
                await changes[thing](channel, incident)
        await self._state.save_fingerprint(incident.id, channel, thing, face)

    async def _rename(self, workspace: SlackClient, incident: Incident) -> None:
        """Rename the channel by the template, unless it is not ours or people renamed it."""
        id_ = ChannelId(incident.slack_channel_id)
        if self._backend.makes_channel or await earlier_topic(self._state, incident, id_) is not None:
            return
        names = self._names.with_endings(incident, range(1, CHANNEL_NAMES + 1))
        try:
            now = await workspace.channels.name_of(id_)
            if now in names:
                # An earlier attempt may have renamed it and died before it could store that.
                if now != incident.slack_channel_name:
                    await self._backend.set_channel(incident.id, Channel(id=id_, name=now))
            elif now == incident.slack_channel_name:
                await self._backend.set_channel(incident.id, await _renamed(workspace, id_, names, incident))
        except (SlackRefused, Withheld) as refusal:
            log.warning("not done", doing="rename the channel", because=refusal.sentence)


async def _renamed(
    workspace: SlackClient, channel: ChannelId, names: Sequence[str], incident: Incident
) -> Channel:
    """Rename the channel to the first free name and return it. Raises SlackRefused and Withheld."""
    for name in names[:-1]:
        try:
            return await workspace.channels.rename(channel, name, incident)
        except SlackRefused as refusal:
            if refusal.code != "name_taken":
                raise
    return await workspace.channels.rename(channel, names[-1], incident)


@contextmanager
def _logging_refusals(doing: str) -> Iterator[None]:
    """Suppress and log refusals of Slack or of our own gate in this block: a retry would be refused, too."""
    try:
        yield
    except (SlackRefused, Withheld) as refusal:
        log.warning("not done", doing=doing, because=refusal.sentence)


def _raise_worst(errors: Sequence[object]) -> None:
    """Raise the first error that is no Unavailable, else the first Unavailable, which a retry may solve."""
    failed = [error for error in errors if isinstance(error, BaseException)]
    for error in sorted(failed, key=lambda one: isinstance(one, Unavailable)):
        raise error


# Poll the backend for open incidents, so that changes made there show in Slack within a minute.

LOOK_SECONDS = 20.0
"""Seconds between two polls: one in three may fail, and a change still shows within a minute."""

PAGE = 100
AT_ONCE = 20
"""Incidents synced concurrently: each sync waits a moment, so one after the other would take minutes."""
MOST_WATCHED = 2_000
"""Most open incidents to poll, newest first."""

OPEN = IncidentFilter(is_open=True)


class BackendPoller:
    """Poller of the open incidents for the whole process. What it saw last is stored across restarts."""

    def __init__(
        self,
        backend: IncidentBackend,
        state: SlackStateStore,
        following: SlackSync,
        alerts: OperatorAlerts,
        open_now: OpenIncidentsCache,
        announce: Callable[[Incident, Incident], Awaitable[None]],
    ) -> None:
        """`announce` is called with each changed incident, before and after its change."""
        self._announce = announce
        self._backend = backend
        self._state = state
        self._following = following
        self._alerts = alerts
        self._open_now = open_now
        self._one_look = asyncio.Lock()
        self.most = MOST_WATCHED

    async def keep_watch(self) -> None:
        """Poll forever. A failure is tried again at the next poll."""
        while True:
            async with best_effort("look at the open incidents"):
                await self.poll()
            await asyncio.sleep(LOOK_SECONDS)

    async def poll(self) -> None:
        """Sync the incidents that changed since the last poll. Raises Unavailable and Refused."""
        async with self._one_look:
            await self._poll()

    async def _poll(self) -> None:
        self._open_now.begin_refresh()
        seen = await self._state.watched()
        found = await self._alerts.guard("backend", self._open)
        self._open_now.replace_all(found)
        if not self._following.leads():
            # The leader syncs; this replica has refreshed its cache.
            return
        changed = [incident for incident in found if seen.get(incident.id) != snapshot(incident)]
        for first in range(0, len(changed), AT_ONCE):
            await asyncio.gather(*(self._follow(one, seen) for one in changed[first : first + AT_ONCE]))
        for incident_id in seen.keys() - {incident.id for incident in found}:
            await self._gone(incident_id, _was(seen[incident_id]))

    async def _open(self) -> list[Incident]:
        found: list[Incident] = []
        while len(found) < self.most:
            limit = min(PAGE, self.most - len(found))
            page = await self._backend.matching(OPEN, after=found[-1].id if found else None, limit=limit)
            found += page
            if len(page) < limit:
                break
        return found

    async def _follow(self, incident: Incident, seen: Mapping[str, str]) -> None:
        # A new incident's posts are taken to show its present state: only a card whose stored hash differs
        # is edited.
        was = _was(seen.get(incident.id, UNKNOWN)) or incident
        async with best_effort("follow an incident"):
            # The sync stores what it has seen, so a change that is not yet announced is seen again.
            await self._announce(was, incident)
            await self._following.sync(incident.id, was)

    async def _gone(self, incident_id: str, was: Incident | None) -> None:
        """Sync an incident that is no longer in the list of polled incidents.

        It has ended, or there are more newer ones than are polled. In the latter case its posts are updated
        only after changes made through the bot.
        """
        async with best_effort("follow an incident that is looked at no more"):
            await self._following.sync(incident_id, was)
            now = await self._backend.find(incident_id)
            if now is None:
                await self._state.forget_reminder(incident_id)
            if now is None or now.incident_status.is_open:
                await self._state.remember_watched(incident_id, None)


def _was(seen: str) -> Incident | None:
    return Incident.model_validate_json(seen) if seen != UNKNOWN else None
