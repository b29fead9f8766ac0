"""Channels that are there before any incident: some are used for one, which may become private later."""

from __future__ import annotations

from reliability.secrecy.gestures import MEMBERS, People
from reliability.secrecy.kept import Kept

HALLS = ("drivers", "depots", "billing")


class UsedChannels:
    """Gestures, each a method. Everybody is in each of the channels, which go on without what was there."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._workspace = people.bot.workspace
        self._rng = people.rng
        self.halls: list[str] = []
        people.further += [self.use_channel, self.use_channel, self.hide_what_is_there]

    async def settle_in(self) -> None:
        for name in HALLS:
            made = await self._workspace.create_channel(self._people.id_of(MEMBERS[0]), name)
            self.halls.append(made.channel or "")
            for member in MEMBERS[1:]:
                await self._workspace.join(self._people.id_of(member), self.halls[-1])

    async def use_channel(self, who: str) -> None:
        """Declared in a channel that no incident uses, where there is one."""
        used = {kept.channel for kept in self._there()}
        free = [hall for hall in self.halls if hall not in used] or self.halls
        await self._people.declare_in(who, self._rng.choice(free))

    async def hide_what_is_there(self, who: str) -> None:
        """An incident that uses one of them becomes private, by whoever may do that."""
        if not (there := self._there()):
            return await self.use_channel(who)
        await self._people.type_in(who, f"private {self._rng.choice(there).reference}")
        await self._people.fill_what_is_open(who)

    def _there(self) -> list[Kept]:
        return [kept for kept in self._people.register.kept if kept.channel in self.halls]
