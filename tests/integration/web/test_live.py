"""An open incident's page is told that it has changed: at once, and only who may see it now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration
from support.estate import HOME, HOME_ADMIN, Lobby, lobby
from support.site import TOKEN, Site, served

from tocsin.incidents.model import AlertSummary, ChannelId, PersonId, TimelineEntry
from tocsin.incidents.requests import FollowUpRequest, IncidentChange
from tocsin.web.live import HEARTBEAT_SECONDS, MOST_LISTENERS, MOST_OF_A_READER, cached_versions
from tocsin.workflows.ports import Channel

EVENTS = "/incidents/INC-1/events"


@asynccontextmanager
async def listening(site: Site, **headers: str) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[str]]]:
    """The answer, and its events: `version …`, `end`, or the empty comment of a heartbeat."""
    async with site.client.stream("GET", EVENTS, headers=headers, timeout=None) as answer:
        yield answer, events_of(answer)


async def events_of(answer: httpx.Response) -> AsyncIterator[str]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            yield ""
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            yield f"{name} {line.removeprefix('data:').strip()}".strip()


async def opened(site: Site, reader: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from this address that has been told the version."""
    read, write = await asyncio.open_connection("127.0.0.1", site.port, local_addr=(reader, 0))
    write.write(f"GET {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    await read.readuntil(b"event: version")
    return read, write


async def change(site: Site, **what: Any) -> None:
    (incident,) = await site.backend.incidents()
    key = f"change {sorted(what)} {incident.updated_at}"
    await site.backend.change(incident.id, IncidentChange(key=key, by=ANA, at=DAWN, **what))


def polls() -> list[asyncio.Task[Any]]:
    """The tasks that look at incidents."""
    return [task for task in asyncio.all_tasks() if "LiveUpdates._poll" in repr(task.get_coro())]


async def test_a_page_is_told_of_every_change_and_has_the_version_that_it_was_told(site: Site) -> None:
    made = await site.backend.create(full_declaration())
    follow_up = FollowUpRequest(key="f", by=BEN, at=DAWN, kind="action", text="Restart it")
    entry = TimelineEntry(at=DAWN, by=BEN, verb="noted:", text="It is the cache")
    changes: list[Callable[[], Any]] = [
        lambda: change(site, incident_status_id="fixing"),
        lambda: change(site, message="Rolling back."),
        lambda: site.backend.note(made.id, entry, "note"),
        lambda: site.backend.unnote(made.id, "note"),
        lambda: site.backend.add_follow_up(made.id, follow_up),
        lambda: site.backend.set_channel(made.id, Channel(id=ChannelId("C0INC"), name="inc-1")),
        lambda: site.backend.set_alerts(made.id, AlertSummary(firing=1)),
    ]
    async with listening(site) as (answer, events):
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        told = [await anext(events)]
        for make in changes:
            await make()
            told.append(await anext(events))
            _, _, version = told[-1].partition(" ")
            assert f'data-version="{version}"' in (await site.page("/incidents/1")).text
        assert all(one != other for one, other in pairwise(told))
    assert (await site.json("/incidents/1")).status_code == 200


async def test_while_nothing_changes_the_connection_says_that_it_lives(site: Site) -> None:
    await site.backend.create(declaration())
    loop = asyncio.get_running_loop()
    async with listening(site) as (_, events):
        await anext(events)
        began = loop.time()
        assert [await anext(events), await anext(events)] == ["", ""]
        assert round(loop.time() - began) == 2 * HEARTBEAT_SECONDS


async def test_one_look_a_second_serves_all_who_listen_and_ends_with_the_last(site: Site) -> None:
    await site.backend.create(declaration())
    async with listening(site) as (_, first):
        async with listening(site) as (_, second):
            assert await anext(first) == await anext(second)
            await change(site, incident_status_id="fixing")
            assert await anext(first) == await anext(second)
            assert len(polls()) == 1
        assert len(polls()) == 1
    # A browser that is gone is noticed with the end of its connection.
    await asyncio.wait(polls())


async def test_once_it_is_private_nobody_else_is_told_anything(site: Site) -> None:
    await site.backend.create(declaration())
    async with (
        listening(site) as (_, events),
        listening(site, authorization=f"Bearer {TOKEN}") as (_, seeing),
    ):
        await anext(events), await anext(seeing)
        await change(site, visibility="private")
        assert [event async for event in events] == []
        assert (await anext(seeing)).startswith("version ")
    hidden, unknown = await site.page(EVENTS), await site.page("/incidents/INC-99/events")
    assert (hidden.status_code, hidden.content) == (404, unknown.content)
    assert hidden.headers.keys() == unknown.headers.keys()
    assert "data-events" not in (await site.page("/incidents/INC-1")).text


async def test_the_events_end_with_the_incident_and_are_not_asked_for_again(site: Site) -> None:
    await site.backend.create(declaration())
    async with listening(site) as (_, events):
        await anext(events)
        await change(site, incident_status_id="closed")
        assert [event async for event in events] == ["end"]
    assert (await site.page(EVENTS)).status_code == 204
    closed = await site.page("/incidents/1")
    assert "<script" not in closed.text
    assert "script-src" not in closed.headers["content-security-policy"]


async def test_who_may_not_enter_hears_nothing(closed_site: Site) -> None:
    await closed_site.backend.create(declaration())
    assert (await closed_site.page(EVENTS)).status_code == 401
    async with listening(closed_site, authorization=f"Bearer {TOKEN}") as (answer, events):
        assert (answer.status_code, (await anext(events)).partition(" ")[0]) == (200, "version")


async def test_head_gives_the_headers_and_ends(site: Site) -> None:
    await site.backend.create(declaration())
    answer = await site.client.head(EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert not polls()


async def test_a_process_keeps_so_many_pages_up_to_date_and_no_more(site: Site) -> None:
    await site.backend.create(declaration())
    readers = [f"127.0.0.{2 + number // MOST_OF_A_READER}" for number in range(MOST_LISTENERS)]
    browsers = await asyncio.gather(*(opened(site, reader) for reader in readers))
    refused = await site.page(EVENTS)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert "Too many pages are updated live now." in refused.text
    assert 'data-events="' in (await site.page("/incidents/1")).text
    for _, write in browsers:
        write.close()
    await asyncio.wait(polls())
    async with listening(site) as (_, events):
        assert await anext(events)


async def test_a_reader_with_very_many_pages_loses_the_oldest_and_nobody_else_one(site: Site) -> None:
    await site.backend.create(declaration())
    other, other_writes = await opened(site, "127.0.0.2")
    pages = [await opened(site, "127.0.0.3") for _ in range(MOST_LISTENERS + 20)]
    *ended, (last, _) = [(read, write) for read, write in pages]
    for read, _ in ended[: 1 - MOST_OF_A_READER]:
        assert (await read.read()).endswith(b"event: replaced\ndata: \n\n\r\n0\r\n\r\n")
    await change(site, incident_status_id="fixing")
    for read in (other, last, *(read for read, _ in ended[1 - MOST_OF_A_READER :])):
        await read.readuntil(b"event: version")
    for _, write in [*pages, (other, other_writes)]:
        write.close()
    await asyncio.wait(polls())


async def test_stopping_waits_for_no_page(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with served(tmp_path, public=True) as site:
        await site.backend.create(declaration())
        read, write = await opened(site)
        began = loop.time()
    assert loop.time() - began < 1
    assert b"event" not in await read.read()
    write.close()
    assert not polls()


async def test_a_member_hears_of_it_until_they_are_taken_out_or_sign_out_or_have_too_many_pages(
    tmp_path: Path,
) -> None:
    chloe = PersonId("U0CHLOE003")
    async with lobby(tmp_path / "data", tocsin_host="0.0.0.0") as street:
        await street.install(HOME_ADMIN)
        backend = street.bot.backend
        made = await backend.create(declaration("a", visibility="private", slack_team_id=HOME))

        async def invite(key: str, **who: tuple[PersonId, ...]) -> None:
            await backend.change(made.id, IncidentChange(key=key, by=ANA, at=DAWN, **who))  # type: ignore[arg-type]

        browser, _ = await street.sign_in(f"{HOME}/{chloe}")
        assert (await browser.get(EVENTS)).status_code == 404
        await invite("in", invited=(chloe,))
        async with browser.stream("GET", EVENTS, timeout=None) as answer:
            events = events_of(answer)
            assert (await anext(events)).startswith("version ")
            await invite("out", removed=(chloe,))
            assert [event async for event in events] == []
        await invite("in again", invited=(chloe,))
        async with browser.stream("GET", EVENTS, timeout=None) as answer:
            events = events_of(answer)
            await anext(events)
            assert (await browser.post("/sign-out")).status_code == 303
            assert {event async for event in events} <= {""}
        assert (await browser.get(EVENTS)).status_code == 401
        await too_many_pages_of_one_person(street, made.id)


async def too_many_pages_of_one_person(street: Lobby, incident_id: str) -> None:
    """Ben keeps his page, and Chloe, who comes from the same address, loses the first of hers."""
    people = [PersonId("U0BEN00002"), PersonId("U0CHLOE003")]
    again = IncidentChange(key="both", by=ANA, at=DAWN, invited=tuple(people))
    await street.bot.backend.change(incident_id, again)
    (ben, _), (chloe, _) = [await street.sign_in(f"{HOME}/{person}") for person in people]
    async with AsyncExitStack() as stack:
        streams = [
            events_of(await stack.enter_async_context(browser.stream("GET", EVENTS, timeout=None)))
            for browser in [ben, *[chloe] * (MOST_OF_A_READER + 1)]
        ]
        bens, first, *others = streams
        assert [event async for event in first][-1] == "replaced"
        told = [await anext(events) for events in (bens, *others)]
        fixing = IncidentChange(key="fix", by=ANA, at=DAWN, incident_status_id="fixing")
        await street.bot.backend.change(incident_id, fixing)
        told += [await anext(events) for events in (bens, *others)]
        assert [event.partition(" ")[0] for event in told] == ["version"] * 2 * (MOST_OF_A_READER + 1)


async def test_over_a_hosted_backend_the_incidents_at_hand_tell(site: Site) -> None:
    made = await site.backend.create(declaration())
    at_hand = {made.id: made}
    versions = cached_versions(at_hand.get)
    first = await versions.version(made.id)
    at_hand[made.id] = made.model_copy(update={"updated_at": made.updated_at + timedelta(seconds=1)})
    assert await versions.version(made.id) not in (first, None)
    assert await versions.find(made.id) == at_hand.pop(made.id)
    assert (await versions.version(made.id), await versions.find(made.id)) == (None, None)
