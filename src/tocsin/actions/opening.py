"""Open an incident's channel under the first name that is free, and once, however often it is tried."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from tocsin.actions.ports import Channel
from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Incident
from tocsin.incidents.validation import channel_name


class Opening(Protocol):
    async def create_channel(self, name: str, incident: Incident, *, private: bool) -> Channel: ...

    async def find_own_channel(
        self, names: Collection[str], incident: Incident, *, private: bool
    ) -> Channel | None: ...


def private_names(incident: Incident) -> list[str]:
    """Names for the channel into which an incident moves that becomes private; the last one is free."""
    endings = ("private", f"private-{incident.id[-12:].lower()}")
    return [channel_name(incident.reference, incident.name, ending) for ending in endings]


async def opened_channel(
    slack: Opening, incident: Incident, names: Iterable[str], *, private: bool, again: bool
) -> Channel:
    """A new channel, or with `again` the one that an earlier attempt made whose answer was lost.

    A name is given once (Slack, conversations.create: `name_taken`), so asking for it again is safe, and only
    where it is taken does anybody go through the bot's channels. Raises SlackRefused when all are taken.
    """
    for name in names:
        try:
            return await slack.create_channel(name, incident, private=private)
        except SlackRefused as refusal:
            if refusal.code != "name_taken":
                raise
        if again and (ours := await slack.find_own_channel([name], incident, private=private)) is not None:
            return ours
    raise SlackRefused("conversations.create", "name_taken")
