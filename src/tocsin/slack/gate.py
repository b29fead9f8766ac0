"""Gate that checks each call to Slack as it is sent: its readers may see the incidents in it.

Every call that carries something of an incident states the incident and its readers. The rate limiter may
delay a call, and a call that fails is repeated; meanwhile the incident may have become private, its channel
public, and a reader may have lost their role in it. So the gate is asked when a call's turn has come, and
again at each attempt, and it reads the present state. If that cannot be known, nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tocsin.incidents.errors import Unavailable, Withheld
from tocsin.incidents.model import ChannelId, Incident, PersonId
from tocsin.incidents.permissions import NOT_SEEN, Actor, Membership, PermissionLimits, Verb, permitted
from tocsin.incidents.validation import is_visible_to
from tocsin.slack.authorization import People
from tocsin.slack.channels import Channels
from tocsin.slack.disclosure import Alone, Anybody, Disclosure, InChannel, Joining, NewChannel
from tocsin.slack.shared_channels import SharedChannels

MEMBERSHIP_SECONDS = 1.5
"""Seconds to wait for Slack's answer about a reader, at each attempt."""

GONE = "That incident is not here any more."


class DisclosureGate:
    """Gate of one workspace."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[Incident | None]],
        at_hand: Callable[[str], Incident | None],
        channels: Channels,
        people: People,
        places: SharedChannels,
        exposed: Callable[[Incident, ChannelId, bool], None],
    ) -> None:
        """Create the gate.

        `find` returns an incident in its present state, and raises Unavailable if the backend cannot be
        asked. `at_hand` returns an open incident from the cache. `exposed` is told of a private incident's
        channel, and True if more people read it than the incident is for.
        """
        self._find = find
        self._at_hand = at_hand
        self._channels = channels
        self._people = people
        self._places = places
        self._exposed = exposed

    async def check(self, about: Disclosure) -> None:
        """Raise Withheld if the readers may not see the incidents, Unavailable if that cannot be known."""
        await asyncio.gather(*(self._check(incident, about) for incident in about.incidents))

    async def _now(self, incident: Incident, at_hand: bool) -> Incident:
        if incident.is_undeclared:
            # A declaration that is saved but not yet made is at no backend, so it cannot have changed.
            return incident
        now = (self._at_hand(incident.id) if at_hand else None) or await self._find(incident.id)
        if now is None:
            raise Withheld(GONE)
        return now

    async def _check(self, incident: Incident, about: Disclosure) -> None:
        now, readers = await self._now(incident, about.at_hand), about.readers
        match readers:
            case Alone(person):
                await self._check_person(now, person)
            case InChannel(channel):
                await self._check_channel(now, channel)
            case Joining(channel, people):
                await self._check_joining(now, channel, people)
            case NewChannel(is_private):
                if now.is_private and not is_private:
                    # The next attempt creates a private channel.
                    raise Unavailable(f"{now.reference} has just become private.")
            case Anybody():
                if now.is_private:
                    raise Withheld(NOT_SEEN)

    async def _check_person(self, now: Incident, person: PersonId | None) -> None:
        """Check one person: people with a part in the incident may read it, and members if it is public."""
        if person is not None and person in now.people:
            return
        if not is_visible_to(person, now):
            raise Withheld(NOT_SEEN)
        membership = self._people.last_membership(person) if person else Membership.UNKNOWN
        if person and membership is Membership.UNKNOWN:
            membership = await self._people.membership(person, MEMBERSHIP_SECONDS)
        if membership is Membership.UNKNOWN:
            raise Unavailable("Slack does not say just now who you are.")
        permitted(Actor(person=person, membership=membership), Verb.SHOW, now, PermissionLimits())

    async def _check_channel(self, now: Incident, channel: ChannelId) -> None:
        is_own = channel == now.slack_channel_id
        if not now.is_private:
            # People may invite guests and other organisations to the incident's own channel.
            if not is_own and await self._places.read_by_others(channel):
                raise Withheld(f"Nothing was posted in <#{channel}>: people of another organization read it")
            return
        is_for_members = await self._places.is_for_its_members_alone(channel)
        if not is_own and not (is_for_members and await self._all_have_a_part(now, channel)):
            raise Withheld(
                f"{now.reference} goes on in a private channel now, so nothing was posted elsewhere"
            )
        if is_own:
            self._exposed(now, channel, not is_for_members)
        if not is_for_members:
            raise Withheld(f"The channel of {now.reference} is not private any more: nothing is posted there")

    async def _all_have_a_part(self, now: Incident, channel: ChannelId) -> bool:
        members = await self._channels.members(channel)
        return members is not None and set(members) <= {*now.people, self._channels.bot_user_id}

    async def _check_joining(self, now: Incident, channel: ChannelId, people: frozenset[PersonId]) -> None:
        if not now.is_private:
            return
        if channel == now.slack_channel_id:
            await self._check_channel(now, channel)
        if not people <= frozenset(now.people):
            raise Withheld(f"{now.reference} is private: only people who may see it are brought in")
