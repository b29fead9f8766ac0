"""People, user groups and channels are read by name, also those who never acted: nobody reads an id."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from support.bot import RunningBot, picked
from support.errands import declared, typed_verb
from support.readings import cards, newest, settled, words

from slack_emulator.faults import Fault
from slack_emulator.models import Person as Somebody
from tocsin.incidents import export
from tocsin.incidents.model import Incident, Person, PersonId, TimelineEntry

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = (
    Somebody("U0QUIET001", "nora", "Nora Lind", ""),
    Somebody("U0QUIET002", "omar", "Omar Haddad", ""),
    Somebody("U0QUIET003", "pia", "Pia Sand", ""),
    Somebody("U0QUIET004", "quin", "Quin Doe", ""),
)
_ID = re.compile(r"(?<![A-Za-z0-9])[USCGDW]0[A-Z0-9]{6,}(?![A-Za-z0-9])")
_TOKEN = re.compile(r"<[@#!][^<>]*>|<https?://[^<>|]*")
_FOR_PROGRAMS = re.compile(r'"(?:slack_\w+|id|source_\w+)": "[^"]*"|(?<=,)C0[A-Z0-9]+(?=,)')
"""Ids in an export that are ids: of JSON's fields, and of the CSV's column `slack_channel_id`."""

_READ = ("text", "title", "label", "placeholder", "hint", "description", "alt_text", "initial_value", "name")


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def crowd(bot: RunningBot) -> AsyncIterator[None]:
    """People who never did anything, and of whom the bot has never heard."""
    for person in QUIET:
        bot.workspace.state.save(person)
    yield
    bot.workspace.faults.clear()


def ids_in(text: str) -> list[str]:
    """The ids that are to be read in plain text."""
    return _ID.findall(text)


def ids_shown(shown: object, mrkdwn: bool = True) -> Iterator[str]:
    """The ids to be read in blocks, views and messages, without what Slack itself turns into names."""
    if isinstance(shown, str):
        yield from ids_in(_TOKEN.sub("", shown) if mrkdwn else shown)
    elif isinstance(shown, list):
        for part in shown:
            yield from ids_shown(part, mrkdwn) if isinstance(part, dict | list) else ()
    elif isinstance(shown, dict):
        marked = shown.get("type") not in {"plain_text", "text"}
        for key, part in shown.items():
            if isinstance(part, dict | list):
                yield from ids_shown(part)
            elif key in _READ and isinstance(part, str):
                yield from ids_shown(part, marked)


def everything_said(bot: RunningBot) -> Iterator[str]:
    """Every id that is to be read in what the bot said, showed, answered, and called its channels."""
    for request in bot.workspace.requests:
        yield from ids_shown([request.args, request.response or {}])
    for channel in bot.workspace.state.channels.values():
        yield from ids_in(f"{channel.topic} {channel.purpose} {channel.name}")
    for file in bot.workspace.state.files.values():
        yield from ids_in(_FOR_PROGRAMS.sub("", file.content))


async def pages(bot: RunningBot, incident: Incident) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        read = [await client.get(f"{bot.url}/incidents{path}") for path in ("", f"/{incident.reference}")]
    assert [page.status_code for page in read] == [200, 200]
    # An address that Slack opens a channel by is followed, not read.
    return re.sub(r'href="[^"]*"', "", "\n".join(page.text for page in read))


async def printed(bot: RunningBot, incident: Incident) -> str:
    """What the command line prints of an incident, in a list and alone."""
    whole = export.IncidentReport(
        incident=incident,
        timeline=tuple(await bot.backend.timeline(incident.id)),
        follow_ups=tuple(await bot.app.workflows.follow_ups.of(incident.id)),
    )
    rows = [" ".join(row) for row in export.as_rows([incident], bot.app.resources.clock())]
    return "\n".join([*rows, export.as_document(whole)])


async def lived_through(bot: RunningBot) -> Incident:
    """Declared with a lead, given on, worked on for others, ended, written up and taken away."""
    incident = await declared(bot, "checkout is slow", incident_role_assignments__lead=picked("U0QUIET001"))
    here = incident.slack_channel_id
    for text in (
        "role communications <@U0QUIET002|omar>",
        "lead <@U0QUIET003>",
        "action <@U0QUIET004> grow the disk with <!subteam^S0ONCALL01> in <#C0GENERAL1>",
        "follow-up write it down <@U0QUIET002>",
        "close It was the disk.",
        "export",
        "export json",
        "export csv",
        "document",
        "show",
        "list all",
    ):
        await typed_verb(bot, "ana", here, f"/incident {text}")
    await settled(bot)
    return await newest(bot)


async def test_nobody_reads_an_id_though_nobody_of_those_who_have_a_part_ever_acted(bot: RunningBot) -> None:
    incident = await lived_through(bot)
    assert list(everything_said(bot)) == []
    read = await pages(bot, incident) + await printed(bot, incident)
    assert ids_in(read) == []
    for person in QUIET[1:]:
        assert person.real_name in read
    told = " ".join(words(message) for message in cards(bot, incident.slack_channel_id))
    assert "gave Pia Sand the role Incident Lead (was Nora Lind)" in told
    files = " ".join(file.content for file in bot.workspace.state.files.values())
    assert "gave Pia Sand the role Incident Lead" in files.replace("\\", "")
    assert "grow the disk with @oncall in #general" in files.replace("\\", "")


async def test_while_slack_says_nothing_they_are_somebody_and_named_once_it_is_known(bot: RunningBot) -> None:
    bot.workspace.faults.plan("users.info", *(Fault(status=503) for _ in range(500)))
    late = Somebody("U0LATECOME", "rae", "Rae Moss", "")
    bot.workspace.state.save(late)
    incident = await declared(bot, "checkout is slow")
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident lead <@{late.id}>")
    await settled(bot)
    read = await pages(bot, incident) + await printed(bot, await newest(bot))
    assert ids_in(read) + list(everything_said(bot)) == []
    assert 'data-label="Lead"><span dir="auto">somebody' in read
    bot.workspace.faults.clear()
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident action <@{late.id}> look")
    assert "gave Rae Moss the role Incident Lead" in await printed(bot, await newest(bot))
    assert 'data-label="Lead"><span dir="auto">Rae Moss' in await pages(bot, incident)


async def test_a_page_asks_slack_once_for_people_whom_nobody_named(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    quiet = Somebody("U0OLDTIMER", "sid", "Sid Vane", "")
    bot.workspace.state.save(quiet)
    sat = TimelineEntry(at=bot.app.resources.clock(), by=Person(slack_user_id=PersonId(quiet.id)), verb="sat")
    await bot.backend.note(incident.id, sat, "old")
    bot.workspace.clear()
    assert "Sid Vane" in await pages(bot, incident)
    assert "Sid Vane" in await pages(bot, incident)
    assert len(bot.calls("users.info")) == 1
