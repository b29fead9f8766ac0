"""Ports of Slack: everything that workflows do there, implemented in the `slack` room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tocsin.incidents.comments import CommentCount
from tocsin.incidents.digest import WeeklyDigest
from tocsin.incidents.model import (
    Card,
    ChannelId,
    FollowUp,
    Incident,
    MessageTs,
    Person,
    PersonId,
    TeamId,
)
from tocsin.incidents.nudges import Nudge
from tocsin.incidents.paging import Page
from tocsin.incidents.phases import Phase
from tocsin.incidents.tasks import Checklist
from tocsin.incidents.updates import ChangeNotification
from tocsin.incidents.validation import CardDestination
from tocsin.workflows.ports import Channel


@dataclass(frozen=True)
class Preview:
    """The content of a preview below a link: an incident, and the number of its comments."""

    incident: Incident
    comments: CommentCount | None = None
    """None if the backend does not tell them; they cannot be opened then."""


class SlackChannels(Protocol):
    """Channels of a workspace; SlackClient lists the errors that every method raises."""

    async def create(self, name: str, incident: Incident, *, private: bool) -> Channel:
        """Create a channel. Raises Unavailable for a public one if the incident is private by now."""
        ...

    async def join(self, channel: ChannelId) -> tuple[Channel, str | None]:
        """Join a channel that exists, to use it for an incident; return it with its topic.

        The topic is None if the bot wrote it. The name of a private channel is left out, since an incident
        is read by more people. Raises Refused with the reason if the channel cannot be an incident's.
        """
        ...

    async def restore_topic(self, channel: ChannelId, topic: str) -> None:
        """Set the earlier topic of a used channel, unless people have changed the bot's one meanwhile."""

    async def find_own(self, names: Collection[str], incident: Incident, *, private: bool) -> Channel | None:
        """Return the channel with one of these names that this bot created for this incident, or None.

        It is recognized by its purpose, which is this incident's or still empty; no clock is used.
        """

    async def name_of(self, channel: ChannelId) -> str:
        """Return the current name of a channel, which people may have changed."""
        ...

    async def rename(self, channel: ChannelId, name: str, incident: Incident) -> Channel: ...

    async def set_topic(self, channel: ChannelId, incident: Incident) -> None: ...

    async def set_purpose(self, channel: ChannelId, incident: Incident) -> None: ...

    async def bookmark(self, channel: ChannelId, incident: Incident, again: bool) -> None:
        """Add the incident's permalink, its call and its link fields to the channel's bookmarks."""

    async def rebookmark(self, channel: ChannelId, incident: Incident, *, adds: bool) -> None:
        """Bring the bookmarks up to date: titles and, with `adds`, a new call and new link fields."""

    async def remove_bookmarks(self, channel: ChannelId, incident: Incident) -> None:
        """Remove the incident's bookmarks from a channel that goes on without it; a repeat does nothing."""

    async def pin(self, channel: ChannelId, ts: MessageTs) -> None: ...

    async def archive(self, channel: ChannelId) -> None:
        """Archive a channel; does nothing if it is archived already."""

    async def invite(
        self, channel: ChannelId, people: Sequence[PersonId], incident: Incident
    ) -> tuple[PersonId, ...]:
        """Invite people, at most 100 in one call; return those who could not be invited.

        Raises Withheld for people without a part in a private incident.
        """
        ...

    async def remove(self, channel: ChannelId, people: Sequence[PersonId]) -> Sequence[PersonId]:
        """Remove people from a channel; return those who could not be removed."""
        ...

    async def members(self, channel: ChannelId) -> Sequence[PersonId] | None:
        """Return the members of a channel; None if the bot cannot see it."""

    async def is_private(self, channel: ChannelId) -> bool:
        """True if a channel is private; False if the bot cannot see it."""
        ...


class SlackMessages(Protocol):
    """The bot's messages in a workspace; SlackClient lists the errors that every method raises.

    Each message is posted once for its `key`. With `again` an earlier attempt may have arrived: the message
    with this key in its metadata is searched for before anything is posted.
    """

    def fingerprints(self, incident: Incident) -> Mapping[str, str]:
        """Return hashes of the incident's rendered `card`, `topic`, `purpose` and `bookmark`."""
        ...

    async def post_card(
        self, incident: Incident, spot: CardDestination, *, key: str, again: bool = False
    ) -> Card:
        """Post the incident's card to a channel or a person."""
        ...

    async def update_card(self, incident: Incident, card: Card) -> None:
        """Edit a card so that it shows the incident as it is now; does nothing if the card is gone."""

    async def withdraw(self, card: Card) -> None:
        """Delete a card; does nothing if it is gone."""

    async def withdraw_lost(self, spot: CardDestination, key: str) -> None:
        """Delete the card that an attempt with this key posted, if any: its answer was lost."""

    async def tell(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        """Send a direct message in mrkdwn; `about` is the incident that it shows something of, if any."""

    async def tell_plainly(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        """Send a direct message that is escaped, so that people's words become no mention and no link.

        Raises Withheld if the person may no longer read about the incident.
        """

    async def ask_to_fix(
        self, person: PersonId, name: str, sentence: str, *, key: str, again: bool = False
    ) -> None:
        """Tell a person that their declaration was refused, with a button that opens the filled form."""

    async def say(self, channel: ChannelId, sentence: str, *, key: str, again: bool = False) -> None:
        """Post a plain sentence that shows nothing of an incident."""

    async def post_digest(
        self,
        channel: ChannelId,
        digest: WeeklyDigest,
        about: Sequence[Incident],
        *,
        key: str,
        again: bool = False,
    ) -> None:
        """Post the weekly digest. Raises Withheld unless the channel's readers may read all it is about."""

    async def say_here(
        self, channel: ChannelId, incident: Incident, text: str, *, key: str, again: bool = False
    ) -> None:
        """Post a text about an incident in its own channel; `text` is mrkdwn."""

    async def post_news(
        self,
        to: ChannelId | PersonId,
        news: ChangeNotification,
        incident: Incident,
        *,
        key: str,
        thread: MessageTs | None = None,
        again: bool = False,
    ) -> MessageTs:
        """Post a change of the incident in a channel, or send it to a person."""
        ...

    async def find_news(
        self, channel: ChannelId, key: str, thread: MessageTs | None = None
    ) -> MessageTs | None:
        """Return the `ts` of the update that was posted with this key; None if there is none."""

    async def post_follow_up(
        self,
        channel: ChannelId,
        incident: Incident,
        follow_up: FollowUp,
        new_issue: str | None,
        *,
        key: str,
        again: bool = False,
    ) -> MessageTs:
        """Post an action or follow-up, with its buttons; `new_issue` is where an issue for it is opened."""
        ...

    async def update_follow_up(
        self,
        channel: ChannelId,
        ts: MessageTs,
        incident: Incident,
        follow_up: FollowUp,
        new_issue: str | None,
    ) -> None:
        """Edit that message so that it shows the follow-up as it is now."""

    async def show_checklist(
        self,
        channel: ChannelId,
        incident: Incident,
        checklist: Checklist,
        ts: MessageTs | None,
        *,
        thread: MessageTs | None,
        again: bool = False,
    ) -> MessageTs:
        """Post everything that is to be done, in a thread if there is one; edit the message at `ts`."""
        ...

    async def show_page(
        self, channel: ChannelId, incident: Incident, page: Page, ts: MessageTs | None, *, again: bool = False
    ) -> MessageTs:
        """Post that a target was paged, with a button that acknowledges it; edit the message at `ts`."""
        ...

    async def remind(
        self, channel: ChannelId, incident: Incident, nudge: Nudge, *, key: str, again: bool = False
    ) -> MessageTs:
        """Ask in the incident's channel for what it lacks, such as the next update."""
        ...

    async def say_snoozed(
        self, channel: ChannelId, ts: MessageTs, incident: Incident, by: Person, until: datetime
    ) -> None:
        """Replace that message by the name of the person who snoozed it."""

    async def ask_for_access(
        self,
        decider: PersonId,
        incident: Incident,
        person: Person,
        invited_by: PersonId | None,
        *,
        key: str,
        again: bool = False,
    ) -> None:
        """Ask a person by direct message if another one may see a private incident, with two buttons."""

    async def show_decision(
        self, channel: ChannelId, ts: MessageTs, by: Person, incident: Incident, sentence: str
    ) -> None:
        """Replace the question and its buttons by the decision."""

    async def say_leaving(
        self, channel: ChannelId, incident: Incident, due: datetime, *, key: str, again: bool = False
    ) -> MessageTs:
        """Post the time at which the channel will be archived, with a button that keeps it."""
        ...

    async def say_kept(self, channel: ChannelId, ts: MessageTs, by: Person) -> None:
        """Replace that notice by the name of the person who keeps the channel."""

    async def say_written(
        self, channel: ChannelId, incident: Incident, link: str, by: Person, *, key: str, again: bool = False
    ) -> MessageTs:
        """Post a message with a link to the post-incident document."""
        ...

    async def unfurl(self, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Preview]) -> None:
        """Show a preview of each incident below the message, by the URL that was posted.

        Raises SlackRefused if the message is gone or contains no such link.
        """

    async def fold(self, channel: ChannelId, ts: MessageTs, url: str) -> None:
        """Remove the preview below a link; does nothing if the message is gone."""


class SlackFiles(Protocol):
    """Files and canvases of a workspace; SlackClient lists the errors that every method raises."""

    async def send(
        self, to: str, name: str, text: str, comment: str, *, about: Incident, again: bool = False
    ) -> str:
        """Share a text file with a person or in a channel; return its id.

        With `again` an earlier attempt may have arrived: a file of this name is searched for first.
        """
        ...

    async def send_phases(
        self, channel: ChannelId, name: str, phases: Sequence[Phase], *, about: Incident, again: bool = False
    ) -> str:
        """Share a picture of an incident's phases in a channel, with their words; return its id.

        With `again`, a file of this name is searched for first, as by `send`.
        """
        ...

    async def find_canvas(self, channel: ChannelId) -> str:
        """Return the id of the channel's own canvas; empty if it has none."""
        ...

    async def write_canvas(self, channel: ChannelId, title: str, markdown: str, *, about: Incident) -> str:
        """Create the channel's canvas; return its id. Raises SlackRefused if it has one already."""
        ...

    def canvas_link(self, canvas: str) -> str:
        """Return the URL at which Slack's clients open a canvas."""
        ...

    async def find_document(self, channel: ChannelId, kind: str, name: str) -> str:
        """Return the id of the channel's canvas, or of a file of this name there; empty if there is none."""
        ...

    async def delete_document(self, kind: str, document: str) -> None:
        """Delete a `canvas` or a `file`; does nothing if it is gone."""


class SlackClient(Protocol):
    """Client of one Slack workspace, with the calls that workflows need.

    Every method raises Unavailable (with Slack's Retry-After in seconds), OutcomeUnknown if the answer was
    lost, and SlackRefused with Slack's error code. A method that shows something of an incident raises
    Withheld if its readers may not see the incident at the moment of sending.
    """

    @property
    def channels(self) -> SlackChannels: ...

    @property
    def messages(self) -> SlackMessages: ...

    @property
    def files(self) -> SlackFiles: ...

    async def ping(self) -> None:
        """Ask Slack for nothing but an answer."""

    async def group_members(self, group: str) -> Sequence[PersonId] | None:
        """Return the members of a user group by its id or `@handle`; None if Slack does not know it."""

    async def show_declared(
        self, view_id: str, person: PersonId | None, incident: Incident, problems: Sequence[str]
    ) -> bool:
        """Show the outcome in a person's modal; return False if they have closed it."""
        ...

    async def show_already_declared(
        self, view_id: str, person: PersonId | None, incident: Incident
    ) -> bool: ...

    async def show_not_declared(self, view_id: str, sentence: str) -> bool: ...

    async def complete_step(self, run: str, outputs: Mapping[str, str], *, about: Incident | None) -> None:
        """Complete a Workflow Builder step; does nothing if its workflow no longer waits for it.

        Raises Withheld if the incident that its outputs are `about` is private.
        """

    async def fail_step(self, run: str, sentence: str) -> None:
        """Fail a Workflow Builder step with the reason."""


WorkspaceOf = Callable[[TeamId], SlackClient]
"""Returns the client of a workspace, also after Tocsin was uninstalled there: its calls then wait."""
