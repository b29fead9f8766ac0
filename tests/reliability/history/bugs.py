"""Bugs that others have had, or that we nearly had: each must be caught by the invariant it breaks.

Nothing of the bot is imported here before a bug is at work: its modules must be new when it is planted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import unescape
from typing import Any
from uuid import uuid4

from reliability.history.planting import StandIn
from reliability.history.violation import Invariant


@dataclass(frozen=True)
class Bug:
    breaks: Invariant
    scenario: str
    stand_ins: tuple[StandIn, ...]


BUGS: dict[str, Bug] = {}
"""By what is wrong, in words."""

Function = Callable[..., Any]
A_LONG_TIME = 3600.0
"""Seconds; no run of a bot is as long."""


def bug(name: str, *, breaks: Invariant, scenario: str, instead_of: str) -> Callable[[Function], Function]:
    """A bug of this name is what the function does in place of the one that is named.

    A bug that is named twice stands in for several functions.
    """

    def planted(function: Function) -> Function:
        before = BUGS[name].stand_ins if name in BUGS else ()
        BUGS[name] = Bug(breaks, scenario, (*before, StandIn(instead_of, function)))
        return function

    return planted


def random_key() -> str:
    return str(uuid4())


def made_public(incident: Any) -> Any:
    return incident.model_copy(update={"visibility": "public"})


@bug(
    "acknowledged as saved before the commit",
    breaks="I1",
    scenario="killed after the answer",
    instead_of="tocsin.workflows.declare:DeclareIncident.__call__",
)
async def saved_too_late(original: Function, *args: Any) -> None:
    async def later() -> None:
        await asyncio.sleep(A_LONG_TIME)
        await original(*args)

    UNENDING.append(asyncio.create_task(later()))


UNENDING: list[asyncio.Task[None]] = []


@bug(
    "a random key instead of the form's own",
    breaks="I1",
    scenario="pressed twice",
    instead_of="tocsin.slack.listeners.declare:_key",
)
def another_key(original: Function, team: str, view: Any) -> str:
    return random_key()


@bug(
    "the backend does not look at the key",
    breaks="I1",
    scenario="killed before the create is recorded",
    instead_of="tocsin.backends.local.create:declare",
)
def declared_anew(original: Function, db: Any, declaration: Any, *args: Any) -> Any:
    return original(db, declaration.model_copy(update={"key": random_key()}), *args)


@bug(
    "no claim on the source message",
    breaks="I1",
    scenario="two on one message",
    instead_of="tocsin.workflows.declare:DeclareIncident._claim",
)
async def unclaimed(original: Function, *args: Any) -> None:
    return None


@bug(
    "the claim is kept after a refusal",
    breaks="I7",
    scenario="refused",
    instead_of="tocsin.workflows.declare:DeclareIncident._release",
)
async def never_released(original: Function, *args: Any) -> None:
    return None


@bug(
    "the SDK repeats a post whose answer was lost",
    breaks="I3",
    scenario="answers lost",
    instead_of="tocsin.slack.web_api:web_client",
)
def repeating_client(original: Function, *args: Any, **named: Any) -> Any:
    from slack_sdk.http_retry.builtin_async_handlers import AsyncServerErrorRetryHandler

    client = original(*args, **named)
    client.retry_handlers.append(AsyncServerErrorRetryHandler())
    return client


@bug(
    "a post is repeated without looking for the first",
    breaks="I3",
    scenario="answers lost",
    instead_of="tocsin.slack.messages:MessagePoster.find",
)
async def no_post_found(original: Function, *args: Any) -> None:
    return None


@bug(
    "a channel is made again without looking for the first",
    breaks="I3",
    scenario="answers lost",
    instead_of="tocsin.slack.channels:Channels.find_own",
)
async def no_channel_found(original: Function, *args: Any, private: bool) -> None:
    return None


@bug(
    "a bookmark is added again without looking for the first",
    breaks="I3",
    scenario="answers lost",
    instead_of="tocsin.slack.channels:Channels.bookmark",
)
async def bookmarked_anew(original: Function, *args: Any) -> None:
    *given, _ = args
    await original(*given, False)


@bug(
    "a resumed step is not told that it may have been done",
    breaks="I3",
    scenario="killed before the first post is recorded",
    instead_of="tocsin.storage.workflow_engine:DbosEngine.is_resumed",
)
def never_resumed(original: Function, journal: Any) -> bool:
    return False


@bug(
    "a resumed step is not told that it may have been done",
    breaks="I3",
    scenario="killed before the first post is recorded",
    instead_of="tocsin.storage.workflow_engine:DbosEngine.step",
)
def always_the_first_time(
    original: Function, journal: Any, name: str, act: Callable[[bool], Awaitable[Any]]
) -> Any:
    async def the_first_time(again: bool) -> Any:
        return await act(False)

    return original(journal, name, the_first_time)


@bug(
    "a stranger's channel of the same name is adopted",
    breaks="I3",
    scenario="name taken",
    instead_of="tocsin.slack.channels:Channels.create",
)
async def adopted_channel(original: Function, slack: Any, name: str, incident: Any, *, private: bool) -> Any:
    from tocsin.incidents.errors import SlackRefused
    from tocsin.slack.disclosure import NOTHING
    from tocsin.workflows.ports import Channel

    try:
        return await original(slack, name, incident, private=private)
    except SlackRefused:
        listed = await slack._api.call(slack._client.conversations_list, about=NOTHING, limit=1000)
        there = next(channel for channel in listed["channels"] if channel["name"] == name)
        return Channel(id=there["id"], name=name)


@bug(
    "trouble is swallowed",
    breaks="I4",
    scenario="parts refused",
    instead_of="tocsin.workflows.notify:DeclarationNotifier.tell_failures",
)
async def untold_troubles(original: Function, *args: Any) -> None:
    return None


@bug(
    "saved was said, and never how it ended",
    breaks="I4",
    scenario="backend busy",
    instead_of="tocsin.workflows.notify:DeclarationNotifier._shown",
)
async def never_shown(original: Function, *args: Any) -> bool:
    return True


@bug(
    "the pin is lost when the process was killed",
    breaks="I4",
    scenario="killed before the first post is recorded",
    instead_of="tocsin.workflows.publish:DeclarationPublisher._pin_headline",
)
async def nothing_pinned_again(original: Function, publisher: Any, done: list[Any]) -> None:
    if not publisher._steps._engine.is_resumed():
        await original(publisher, done)


@bug(
    "the lead is not brought into the channel",
    breaks="I4",
    scenario="by command",
    instead_of="tocsin.slack.channels:Channels.invite",
)
async def only_the_first_invited(
    original: Function, slack: Any, channel: Any, people: Any, incident: Any
) -> Any:
    return await original(slack, channel, people[:1], incident)


@bug(
    "a name is not escaped in a message",
    breaks="I5",
    scenario="by command",
    instead_of="tocsin.slack.views.card:card_text",
)
def unescaped_card(original: Function, incident: Any) -> str:
    return unescape(original(incident))


@bug(
    "a name is not escaped in a topic",
    breaks="I5",
    scenario="by command",
    instead_of="tocsin.slack.views.card:_fitting",
)
def unescaped_topic(original: Function, text: str) -> str:
    return unescape(original(text))


@bug(
    "the channel is made public when a private one is refused",
    breaks="I5",
    scenario="private channel refused",
    instead_of="tocsin.slack.channels:Channels.create",
)
async def public_channel(original: Function, slack: Any, name: str, incident: Any, *, private: bool) -> Any:
    from tocsin.incidents.errors import SlackRefused

    try:
        return await original(slack, name, incident, private=private)
    except SlackRefused:
        return await original(slack, name, made_public(incident), private=False)


@bug(
    "a private card goes to where it was declared",
    breaks="I5",
    scenario="in private",
    instead_of="tocsin.incidents.validation:card_destinations",
)
def card_at_its_origin(original: Function, incident: Any, **named: Any) -> Any:
    return original(made_public(incident), **{**named, "announce": None})


@bug(
    "a private incident is announced",
    breaks="I5",
    scenario="in private",
    instead_of="tocsin.incidents.validation:card_destinations",
)
def announced_in_any_case(original: Function, incident: Any, **named: Any) -> Any:
    elsewhere = original(made_public(incident), **named)
    announcements = (place for place in elsewhere if place.place == "announcement")
    return tuple(dict.fromkeys((*original(incident, **named), *announcements)))


# The gate would hold back what is sent to the wrong place: these bugs are two at once.
for name, scenario in (
    ("the channel is made public when a private one is refused", "private channel refused"),
    ("a private card goes to where it was declared", "in private"),
    ("a private incident is announced", "in private"),
):

    @bug(name, breaks="I5", scenario=scenario, instead_of="tocsin.slack.gate:DisclosureGate.check")
    async def ungated(original: Function, gate: Any, about: Any) -> None:
        """Lets everything pass."""


@bug(
    "a private incident is on the pages",
    breaks="I5",
    scenario="in private",
    instead_of="tocsin.web.auth:Access.is_trusted",
)
def trusted_without_a_token(original: Function, *args: Any) -> bool:
    return True


@bug(
    "a test is announced",
    breaks="I3",
    scenario="only a test",
    instead_of="tocsin.incidents.validation:card_destinations",
)
def announced_like_any(original: Function, incident: Any, **named: Any) -> Any:
    return original(incident.model_copy(update={"mode": "standard"}), **named)


@bug(
    "a card is not remembered",
    breaks="I7",
    scenario="by command",
    instead_of="tocsin.storage.slack_state:SqlSlackStateStore.save_rendered",
)
async def forgotten_card(original: Function, *args: Any) -> None:
    return None


@bug(
    "who picks the same message reads of a private incident",
    breaks="I5",
    scenario="in private",
    instead_of="tocsin.workflows.declare:_scope",
)
def one_scope_for_all(original: Function, declaration: Any) -> Any:
    return declaration.slack_team_id


@bug(
    "who picks the same message reads of a private incident",
    breaks="I5",
    scenario="in private",
    instead_of="tocsin.workflows.declare:DeclareIncident._claim",
)
async def earlier_one_shown(original: Function, *args: Any) -> Any:
    earlier = await original(*args)
    return None if earlier is None else made_public(earlier)


@bug(
    "a change is not in the timeline",
    breaks="I6",
    scenario="by command",
    instead_of="tocsin.backends.local.backend:LocalBackend.note",
)
async def not_noted(original: Function, *args: Any) -> None:
    return None


@bug(
    "a change is in the timeline twice",
    breaks="I6",
    scenario="killed before the channel's step is recorded",
    instead_of="tocsin.backends.local.backend:LocalBackend.note",
)
async def noted_anew(original: Function, backend: Any, incident_id: str, entry: Any, key: str) -> None:
    await original(backend, incident_id, entry, random_key())


@bug(
    "Slack's refusal of one part ends the whole story",
    breaks="I7",
    scenario="parts refused",
    instead_of="tocsin.workflows.retry:Steps._run",
)
async def without_mercy(
    original: Function,
    steps: Any,
    name: str,
    act: Callable[[bool], Awaitable[Any]],
    on_failure: str,
    returns: Any,
    attempts: int,
) -> Any:
    from tocsin.workflows.retry import retry

    return await steps.record(name, lambda: retry(act, True, attempts=attempts), returns=returns or Any)


@bug(
    "a change is answered before it is made",
    breaks="I1",
    scenario="managed",
    instead_of="tocsin.backends.local.backend:LocalBackend.change",
)
async def unchanged(original: Function, backend: Any, incident_id: str, change: Any) -> Any:
    return await backend.find(incident_id)


@bug(
    "a change does not look at its key",
    breaks="I6",
    scenario="killed before a change is recorded",
    instead_of="tocsin.backends.local.changes:change",
)
def changed_anew(original: Function, db: Any, incident_id: str, change: Any, *rest: Any) -> None:
    original(db, incident_id, change.model_copy(update={"key": random_key()}), *rest)


@bug(
    "a follow-up has a random key",
    breaks="I1",
    scenario="killed before a follow-up is recorded",
    instead_of="tocsin.workflows.followups:_clean",
)
def asked_anew(original: Function, order: Any) -> Any:
    return original(order).model_copy(update={"key": random_key()})


@bug(
    "news has a random key",
    breaks="I3",
    scenario="killed before its news is recorded",
    instead_of="tocsin.slack.messages:Messages.post_news",
)
async def news_anew(original: Function, *args: Any, key: str, **named: Any) -> Any:
    return await original(*args, key=random_key(), **named)


@bug(
    "who was cut off is not told that it is done",
    breaks="I4",
    scenario="killed before a note is answered",
    instead_of="tocsin.workflows.command:DurableCommand._tell_late",
)
async def not_told_late(original: Function, *args: Any) -> None:
    return None


@bug(
    "an export is sent again after a restart",
    breaks="I3",
    scenario="killed before an export is recorded",
    instead_of="tocsin.slack.messages:MessagePoster.find_file",
)
async def no_file_found(original: Function, *args: Any) -> None:
    return None


@bug(
    "a notice is given again after a restart",
    breaks="I3",
    scenario="killed before a notice is recorded",
    instead_of="tocsin.slack.messages:Messages.say_leaving",
)
async def told_anew(original: Function, *args: Any, key: str, again: bool = False) -> Any:
    return await original(*args, key=key, again=False)


@bug(
    "a channel is taken for gone before that is noted",
    breaks="I6",
    scenario="killed before the archiving is noted",
    instead_of="tocsin.workflows.archive:ChannelArchiver._archive",
)
async def ended_first(original: Function, archiving: Any, slack: Any, channel: Any, *args: Any) -> None:
    await archiving._end(args[-1])
    await original(archiving, slack, channel, *args)


@bug(
    "the document of what became private stays",
    breaks="I5",
    scenario="shown, then private",
    instead_of="tocsin.workflows.channels:withdraw_documents",
)
async def documents_left(original: Function, *args: Any) -> None:
    return None


@bug(
    "what became private is still shown below a link",
    breaks="I5",
    scenario="shown, then private",
    instead_of="tocsin.slack.messages:Messages.fold",
)
async def left_unfolded(original: Function, *args: Any) -> None:
    return None


@bug(
    "a workflow is never told that its step is done",
    breaks="I4",
    scenario="by workflow",
    instead_of="tocsin.workflows.notify:DeclarationNotifier.answers",
)
def no_answer(original: Function, *args: Any) -> list[Any]:
    return []


@bug(
    "a workflow is never told that its change is done",
    breaks="I4",
    scenario="changed by workflow",
    instead_of="tocsin.workflows.change:ChangeIncident._answer_step",
)
async def no_answer_to_change(original: Function, *args: Any) -> None:
    return None


@bug(
    "a channel that was there does not get its topic back",
    breaks="I8",
    scenario="in a channel that was there",
    instead_of="tocsin.slack.channels:Channels.restore_topic",
)
async def topic_left(original: Function, *args: Any) -> None:
    return None


@bug(
    "what became private is bookmarked where it was",
    breaks="I5",
    scenario="in a channel that was there, then private",
    instead_of="tocsin.slack.channels:Channels.remove_bookmarks",
)
async def bookmarks_left(original: Function, *args: Any) -> None:
    return None


@bug(
    "a channel that was there is archived with the incident",
    breaks="I3",
    scenario="in a channel that was there, then private",
    instead_of="tocsin.slack.channels:Channels.restore_topic",
)
async def archived_all_the_same(original: Function, channels: Any, channel: Any, *args: Any) -> None:
    await channels.archive(channel)


@bug(
    "a task of a rule has another key at each attempt",
    breaks="I1",
    scenario="killed before a task is recorded",
    instead_of="tocsin.incidents.tasks:Task.key",
)
def another_key_each_time(original: Function, *args: Any) -> str:
    return random_key()


@bug(
    "the window shows another reference",
    breaks="I8",
    scenario="by command",
    instead_of="tocsin.slack.views.declare:declared_modal",
)
def another_reference(original: Function, incident: Any, *args: Any) -> Any:
    number = int(incident.reference.removeprefix("INC-"))
    return original(incident.model_copy(update={"reference": f"INC-{number + 1}"}), *args)
