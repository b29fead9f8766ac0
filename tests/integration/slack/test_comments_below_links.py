"""The comments of an incident that is shown below a link: its notes and updates, read and written there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio
from support.beginning import Beginning
from support.bot import RunningBot, running_bot
from support.declarations import BEN, DAWN
from support.errands import declared, typed_verb, until
from support.managing import changed
from support.patience import LIMIT
from support.readings import deliver, last_delivery, said, settled, told
from support.slack import browsing, running_workspace

from slack_emulator.composer import rich_text_of
from slack_emulator.entity_comments import CommentAction, CommentsView
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message
from tocsin.incidents.model import Incident, TimelineEntry
from tocsin.incidents.permissions import NOT_SEEN
from tocsin.incidents.requests import TEXT_LIMIT, IncidentChange
from tocsin.slack import routes
from tocsin.slack.listeners.comments import MOST_COMMENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    """The bot in a workspace that tells it of links to its pages."""
    installed = Manifest.from_dict(routes.manifest(pages="http://127.0.0.1"))
    async with (
        running_workspace(installed) as slack,
        running_bot(tmp_path_factory.mktemp("tocsin"), slack) as running,
    ):
        with closing(Beginning(running)) as beginning:
            yield running, beginning


async def linked(bot: RunningBot, incident: Incident) -> Message:
    message = await said(bot, "ben", "general", f"see {incident.permalink}")
    await until(bot, lambda: message.attachments)
    await settled(bot)
    return message


async def comments(
    bot: RunningBot, person: str, incident: Incident, link: Message, **page: Any
) -> CommentsView:
    """The comments as this person reads them."""
    who, url = bot.slack.person(person), str(incident.permalink)
    look = bot.workspace.entity_comments.open(who, link, url, **page)
    async with asyncio.timeout(LIMIT):
        await look.answered.wait()
    return look


async def posted(bot: RunningBot, look: CommentsView, text: str) -> CommentAction:
    """A comment that was sent, once the bot has acknowledged it."""
    names = {person.name: person.id for person in bot.workspace.people()}
    (blocks,) = rich_text_of(text, names)
    outcome = await bot.workspace.entity_comments.post(look, blocks)
    assert outcome.ok, outcome
    async with asyncio.timeout(LIMIT):
        await look.acted[-1].answered.wait()
    return look.acted[-1]


def counted(link: Message) -> int:
    count: int = link.attachments[0]["entity"]["entity_comments"]["count"]
    return count


async def noted(bot: RunningBot, incident: Incident) -> list[TimelineEntry]:
    return [entry for entry in await bot.backend.timeline(incident.id) if entry.verb == "noted:"]


async def test_who_opens_the_comments_reads_notes_and_updates_with_their_authors(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    await typed_verb(
        bot, "ana", incident.slack_channel_id, "/incident note <!channel> the *index* was dropped"
    )
    await changed(bot, incident, "ben", message="Rolling back.", incident_status_id="fixing")
    link = await linked(bot, incident)
    assert counted(link) == 2
    look = await comments(bot, "chloe", incident, link)
    people = [bot.slack.person("ben"), bot.slack.person("ana")]
    assert [one["sender"] for one in look.comments] == [{"user_id": person} for person in people]
    assert [one["comment"] for one in look.comments] == [
        {"value": "Rolling back."},
        {"value": "<!channel> the *index* was dropped"},
    ]
    assert not any(one["can_edit"] or one["can_delete"] or one["can_reply"] for one in look.comments)
    assert (look.can_post, look.cursor, look.error) == (True, "", {})
    opened = bot.workspace.unfurls.open(bot.slack.person("chloe"), link, str(incident.permalink))
    await opened.answered.wait()
    assert opened.shown["entity_comments"]["count"] == 2


async def test_the_comments_of_a_long_incident_come_by_pages(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    for number in range(MOST_COMMENTS + 1):
        entry = TimelineEntry(at=DAWN, by=BEN, verb="noted:", text=f"Note {number}")
        await bot.backend.note(incident.id, entry, f"key-{number}")
    link = await linked(bot, incident)
    first = await comments(bot, "ana", incident, link)
    second = await comments(bot, "ana", incident, link, cursor=first.cursor)
    assert (len(first.comments), len(second.comments), second.cursor) == (MOST_COMMENTS, 1, "")
    assert len({one["id"] for one in [*first.comments, *second.comments]}) == MOST_COMMENTS + 1


async def test_a_posted_comment_is_a_note_once_and_is_counted_below_the_link(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    link = await linked(bot, incident)
    look = await comments(bot, "ben", incident, link)
    assert (counted(link), look.comments) == (0, [])
    act = await posted(bot, look, "I drained *eu-1* with @chloe\nand wait")
    assert act.error == ""
    (entry,) = await noted(bot, incident)
    assert entry.by is not None
    assert entry.by.slack_user_id == bot.slack.person("ben")
    assert entry.text == "I drained eu-1 with @chloe\nand wait"
    # Slack may deliver it again.
    await deliver(bot, "interactive", last_delivery(bot, "view_submission"))
    await settled(bot)
    assert len(await noted(bot, incident)) == 1
    assert counted(link) == 1
    again = await comments(bot, "ana", incident, link)
    assert again.comments == look.comments
    # Saying the same once more is another comment.
    await posted(bot, look, "I drained *eu-1* with @chloe\nand wait")
    assert len(await noted(bot, incident)) == 2


async def test_a_comment_that_is_refused_says_why_and_notes_nothing(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    link = await linked(bot, incident)
    look = await comments(bot, "ben", incident, link)
    assert f"Shorten this to {TEXT_LIMIT} characters" in (await posted(bot, look, "x" * 3001)).error
    hidden = IncidentChange(
        key="hidden",
        by=BEN.model_copy(update={"slack_user_id": bot.slack.person("ana")}),
        at=DAWN,
        visibility="private",
    )
    await bot.backend.change(incident.id, hidden)
    await bot.app.contexts.open[0].workflows.watching.poll()
    assert (await posted(bot, look, "still here?")).error == NOT_SEEN
    assert await noted(bot, incident) == []


async def test_a_hidden_incident_and_one_that_is_not_there_have_the_same_answer(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident note secret words")
    link = await linked(bot, incident)
    guest = await comments(bot, "gus", incident, link)
    gone = link.attachments[0]["entity"]
    hidden = IncidentChange(key="hidden", by=BEN, at=DAWN, visibility="private")
    await bot.backend.change(incident.id, hidden)
    outsider = await comments(bot, "chloe", incident, link)
    gone["external_ref"] = {"id": "01NOSUCHINCIDENT"}
    unknown = await comments(bot, "chloe", incident, link)
    for look in (guest, outsider, unknown):
        assert (look.comments, look.can_post, look.cursor) == ([], False, "")
        assert look.error == {"status": "not_found"}


async def test_who_posted_is_told_by_direct_message_if_slack_takes_no_acknowledgement(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "checkout is slow")
    look = await comments(bot, "ben", incident, await linked(bot, incident))
    for text, sentence in (
        ("drained eu-1", f"Noted in the timeline of {incident.reference}."),
        ("x" * 3001, f"Shorten this to {TEXT_LIMIT} characters"),
    ):
        bot.workspace.faults.plan("entity.acknowledgeCommentAction", Fault(error="invalid_trigger_id"))
        (blocks,) = rich_text_of(text)
        assert (await bot.workspace.entity_comments.post(look, blocks)).ok
        await until(bot, lambda sentence=sentence: any(sentence in one.text for one in told(bot, "ben")))
    assert len(await noted(bot, incident)) == 1


async def test_a_person_in_the_playground_reads_and_writes_comments_on_its_page(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    await changed(bot, incident, "ben", message="<b>Rolling</b> back.")
    by_another = TimelineEntry(at=DAWN, by=BEN, verb="noted:", text="By somebody of another workspace")
    await bot.backend.note(incident.id, by_another, "another")
    link = await linked(bot, incident)
    tab, chloe = f"/client/{link.channel}/comments/{link.ts}", bot.slack.person("chloe")
    async with browsing(bot.workspace) as http:
        origin = {"origin": str(http.base_url).rstrip("/")}
        await http.post("/act-as", data={"person": chloe}, headers=origin)
        assert f'href="{tab}">2 comments</a>' in (await http.get(f"/client/{link.channel}")).text
        opening = (await http.get(tab)).text
        assert "Asking the app for its comments" in opening or "Rolling" in opening
        await bot.workspace.heard("entity.presentComments")

        async def shown() -> str:
            """What the open page loads when something changes, which asks the app for nothing."""
            return (await http.get(tab, headers={"hx-request": "true"})).text

        page = await shown()
        assert "Ben Okafor" in page
        assert "Someone</b>" in page
        assert "&lt;b&gt;Rolling&lt;/b&gt; back." in page
        assert "Add a comment" in page
        assert (await http.post(tab, data={"text": "Seen by nobody"}, headers=origin)).status_code == 204
        await bot.workspace.heard("entity.acknowledgeCommentAction")
        assert "Chloe Marchetti" in await shown()
        assert len(bot.calls("entity.presentComments")) == 1
        assert (await http.post(tab, data={"text": " "}, headers=origin)).status_code == 422
        assert (await http.get(f"/client/{link.channel}/comments/1.000001")).status_code == 404
    *_, entry = await noted(bot, incident)
    assert (entry.by and entry.by.slack_user_id, entry.text) == (chloe, "Seen by nobody")
