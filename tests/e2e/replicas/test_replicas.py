"""Several replicas on one PostgreSQL: what people are promised holds whichever of them is asked, or dies."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from support.alerts import TOKEN, VARIABLE, fired
from support.fleet import Fleet, running_fleet
from support.paging import CONFIG, VARIABLES, PagingServices, running_services
from support.patience import LIMIT
from support.postgresql import PostgresqlServer
from support.readings import words
from support.small_disk import SmallDisk
from support.webhooks import SECRET, Receiver, configured, hang, running_receiver, status
from support.webhooks import VARIABLE as WEBHOOKS_VARIABLE

from slack_emulator.faults import Fault
from slack_emulator.models import View
from tocsin.incidents.alert_payloads import path_of
from tocsin.storage.earlier_formats import WORKFLOW_FORMAT
from tocsin.storage.postgresql import barred_engine

ALERTS = f"""
[[alert_sources]]
id = "monitoring"
token_variable = "{VARIABLE}"

[[alert_rules]]
group_by = ["team"]
"""

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

API_TOKEN = "a-token-of-the-operator"


PENDING = "SELECT 1 FROM webhook_deliveries WHERE state = 'pending'"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services() -> AsyncIterator[PagingServices]:
    async with running_services() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def modules_fleet(
    tmp_path_factory: pytest.TempPathFactory,
    modules_postgresql: PostgresqlServer,
    services: PagingServices,
    receiver: Receiver,
) -> AsyncIterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    config = folder / "tocsin.toml"
    config.write_text(CONFIG.format(url=services.url) + ALERTS + configured(receiver.url))
    more = {
        "TOCSIN_CONFIG": str(config),
        "TOCSIN_API_TOKEN": API_TOKEN,
        **VARIABLES,
        VARIABLE: TOKEN,
        WEBHOOKS_VARIABLE: SECRET,
    }
    async with running_fleet(folder, modules_postgresql, **more) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(modules_fleet: Fleet) -> Fleet:
    """The file's replicas, all of which can declare, whatever an earlier test did to them."""
    modules_fleet.slack.workspace.faults.clear()
    await modules_fleet.whole()
    return modules_fleet


async def test_of_two_replicas_one_tells_an_endpoint_of_what_both_do_each_event_once(
    fleet: Fleet, receiver: Receiver
) -> None:
    for number, person in enumerate(("ben", "chloe")):
        fleet.to(number)
        await fleet.declare(f"told of {number}", person)
        await fleet.quiet()
        (room,) = (
            c.id
            for c in fleet.slack.workspace.state.channels.values()
            if c.name.endswith(f"told-of-{number}")
        )
        await fleet.type_in(person, room, "severity critical")
    await fleet.quiet()
    await fleet.until(lambda: not fleet.rows(PENDING))
    for number in (0, 1):
        told = [one for one in receiver.received if one.about.get("name") == f"told of {number}"]
        assert all(one.is_signed() for one in told)
        assert len({one.id for one in told}) == len(told)
        assert [one.type.partition(".")[2] for one in told] == [
            "incident_created_v2",
            *["incident_updated_v2"] * 2,
        ]
        assert [one.about["severity"]["id"] for one in told] == ["major", "major", "critical"]
        assert [bool(one.about["slack_channel_id"]) for one in told] == [False, True, True]


async def by_a_client(fleet: Fleet, number: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What this replica answers a client."""
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT) as client:
        url = f"{fleet.replicas[number].url}{path}"
        answer = await client.post(url, json=body, headers={"Authorization": f"Bearer {API_TOKEN}"})
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_severity_that_one_replica_adds_is_in_the_forms_of_the_other(fleet: Fleet) -> None:
    new = {"name": "Cosmetic", "description": "Nobody minds", "rank": -1}
    await by_a_client(fleet, 0, "/v1/severities", new)
    fleet.to(1)
    offered = ""
    async with asyncio.timeout(LIMIT):
        while "Cosmetic" not in offered:
            offered = str((await fleet.open_form("the heading is crooked")).payload)
            await fleet.slack.workspace.dismiss(fleet.slack.person("ana"), whole_stack=True)


async def test_what_a_client_sends_to_two_replicas_at_once_is_done_once_and_answered_by_both(
    fleet: Fleet,
) -> None:
    body = {
        "idempotency_key": "1",
        "visibility": "public",
        "name": "declared by a client",
        "severity_id": "major",
    }
    told = await asyncio.gather(*(by_a_client(fleet, one, "/v2/incidents", body) for one in (0, 1, 0, 1)))
    (incident,) = {one["incident"]["id"]: one["incident"] for one in told}.values()
    update = {"idempotency_key": "u", "incident_id": incident["id"], "message": "we rolled back"}
    given = await asyncio.gather(*(by_a_client(fleet, one, "/v2/incident_updates", update) for one in (0, 1)))
    assert given[0] == given[1]
    await fleet.quiet()
    assert [name for _, name in fleet.incidents()].count("declared by a client") == 1
    (channel,) = fleet.channels_named(f"{incident['reference'].lower()}-")
    posts = [words(post) for post in fleet.posts(channel)]
    assert (len(posts), sum("we rolled back" in post for post in posts)) == (2, 1)


async def test_alerts_of_one_group_that_come_to_both_replicas_are_one_incident(fleet: Fleet) -> None:
    bodies = [fired(f"node {number} is down", metadata={"team": "nodes"}) for number in range(6)]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        sent = [
            client.post(f"{replica.url}{path_of('monitoring')}", json=body)
            for body in bodies
            for replica in fleet.replicas
        ]
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {202}
    waiting = (
        "SELECT id FROM tocsin_alerts WHERE is_pending UNION SELECT id FROM tocsin_alert_groups WHERE is_busy"
    )
    await fleet.until(lambda: not fleet.rows(waiting))
    await fleet.quiet()
    ((reference, _),) = [found for found in fleet.incidents() if found[1].startswith("node ")]
    assert fleet.rows("SELECT COUNT(*), MIN(times) FROM tocsin_alerts") == [(6, len(fleet.replicas))]
    (room,) = fleet.channels_named(f"{reference.lower()}-")
    (headline,) = fleet.posts(room)
    assert "6 alerts firing" in words(headline)


async def test_one_message_declared_by_two_people_on_two_replicas_is_one_incident(fleet: Fleet) -> None:
    workspace, slack = fleet.slack.workspace, fleet.slack
    said = await workspace.say(slack.person("chloe"), slack.channel("alerts"), "the disk of db-7 is full")
    assert said.channel is not None
    assert said.ts is not None
    forms = {}
    for number, person in enumerate(("ana", "ben")):
        fleet.to(number)
        opened = len([r for r in workspace.requests if r.method == "views.open"])
        who = slack.person(person)
        picked = await workspace.message_shortcut(who, "declare_from_message", said.channel, said.ts)
        assert picked.ok, picked
        await workspace.heard("views.open", opened + 1)
        forms[person] = workspace.stack(who)[-1]
        fleet.fill(person, forms[person])
    sent = []
    for number, person in enumerate(("ana", "ben")):
        fleet.to(number)
        sent.append(asyncio.create_task(workspace.submit(slack.person(person), forms[person].id)))
    for outcome in await asyncio.gather(*sent):
        assert outcome.ok, outcome
    await fleet.quiet()
    (reference,) = [reference for reference, name in fleet.incidents() if "db-7" in name]
    for form in forms.values():
        await fleet.until(lambda form=form: reference in words(form))


async def test_what_one_replica_declared_and_closed_the_other_lists_within_two_beats(fleet: Fleet) -> None:
    fleet.to(0)
    await fleet.declare("seen by the other")
    await fleet.quiet()
    ((reference, _),) = [found for found in fleet.incidents() if found[1] == "seen by the other"]
    await says(fleet, 1, "list", reference)
    fleet.to(0)
    (room,) = fleet.channels_named(f"{reference.lower()}-")
    await fleet.type_in("ana", room, "close mended")
    await fleet.quiet()
    await says(fleet, 1, f"show {reference}", "· Closed ·")


async def says(fleet: Fleet, replica: int, command: str, words: str) -> None:
    """This replica answers with these words: it may be two seconds behind, and each answer is waited for."""
    fleet.to(replica)
    async with asyncio.timeout(LIMIT):
        while words not in await fleet.answer("ana", command):
            pass


async def test_a_page_that_both_replicas_are_sent_pages_once_and_is_acknowledged_and_ended_at_either(
    fleet: Fleet, services: PagingServices
) -> None:
    workspace, ana = fleet.slack.workspace, fleet.slack.person("ana")
    fleet.to(0)
    await fleet.declare("somebody is paged")
    await fleet.quiet()
    (room,) = (c.id for c in workspace.state.channels.values() if c.name.endswith("-somebody-is-paged"))
    await fleet.type_in("ana", room, "page payments cards fail")
    form = await fleet.until(lambda: next((v for v in workspace.stack(ana) if "now?" in words(v)), None))
    fleet.to(0, 1)
    assert (await workspace.submit(ana, form.id)).ok
    await fleet.quiet()
    (key,) = services.opened
    (post,) = (one for one in fleet.posts(room) if ":pager:" in words(one))
    fleet.to(1)
    place = {"channel": room, "ts": post.ts}
    assert (await workspace.press(ana, "acknowledge_page", "acknowledge_page", **place)).ok
    await fleet.until(lambda: "Acknowledged by" in words(workspace.message(room, post.ts)))
    assert services.alerts[key].status == "acknowledged"
    fleet.to(0)
    await fleet.type_in("ana", room, "close mended")
    await fleet.until(lambda: "Over" in words(workspace.message(room, post.ts)))
    await fleet.quiet()
    told = "SELECT verb FROM incident_timeline_items WHERE verb LIKE %s ORDER BY timestamp"
    assert [verb for (verb,) in fleet.rows(told, "%page%")] == [
        "paged",
        "acknowledged the page of",
        "ended the page of",
    ]
    actions = [event["event_action"] for event in services.sent("/events")]
    assert actions == ["trigger", "acknowledge", "resolve"]


async def test_a_workflow_of_an_earlier_version_that_was_half_taken_over_is_not_forgotten(
    fleet: Fleet,
) -> None:
    fleet.to(0)
    await fleet.declare("half taken over")
    await fleet.quiet()
    # The leader died, or lost the database, after it had cancelled the workflow, which it then begins again.
    ((key,),) = fleet.rows(
        "UPDATE dbos.workflow_status SET status = 'CANCELLED', application_version = 'stories-1',"
        " executor_id = 'gone', attributes = %s WHERE workflow_uuid IN"
        " (SELECT workflow_uuid FROM dbos.workflow_input WHERE inputs LIKE %s) RETURNING workflow_uuid",
        '{"tocsin_being_taken_over": true}',
        "%half taken over%",
    )
    asked = "SELECT status, application_version FROM dbos.workflow_status WHERE workflow_uuid = %s"
    await fleet.until(lambda: fleet.rows(asked, key) == [("SUCCESS", WORKFLOW_FORMAT)])
    ((reference, _),) = [found for found in fleet.incidents() if found[1] == "half taken over"]
    (room,) = fleet.channels_named(f"{reference.lower()}-")
    assert len(fleet.posts(room)) == 1


async def test_the_others_finish_what_a_killed_replica_began(fleet: Fleet, receiver: Receiver) -> None:
    goes_on = asyncio.Event()
    receiver.usually = hang

    def told() -> list[str]:
        created = [one for one in receiver.received if one.type.endswith("incident_created_v2")]
        return [one.id for one in created if one.about.get("name") == "its replica dies"]

    fleet.slack.workspace.faults.plan("conversations.create", Fault(until=goes_on, after_effect=True))
    fleet.to(0)
    await fleet.declare("its replica dies")
    await fleet.until(lambda: fleet.channels_named("inc-") and "its-replica-dies" in fleet.names())
    await fleet.until(told)
    await fleet.kill(0)
    goes_on.set()
    receiver.usually = status(204)
    await fleet.quiet()
    await fleet.until(lambda: not fleet.rows(PENDING))
    assert len(told()) == 2
    assert len(set(told())) == 1
    ((reference, _),) = [found for found in fleet.incidents() if found[1] == "its replica dies"]
    (room,) = fleet.channels_named(f"{reference.lower()}-")
    assert len(fleet.posts(room)) == 1
    fleet.to(1)
    assert reference in await fleet.answer("ana", f"show {reference}")


async def test_a_replica_that_was_only_slow_does_nothing_twice(fleet: Fleet) -> None:
    await fleet.add()
    slow = len(fleet.replicas) - 1
    goes_on = asyncio.Event()
    fleet.slack.workspace.faults.plan("conversations.create", Fault(until=goes_on, after_effect=True))
    fleet.to(slow)
    await fleet.declare("its replica sleeps")
    await fleet.until(lambda: "its-replica-sleeps" in fleet.names())
    await fleet.kill(slow, signal.SIGSTOP)
    goes_on.set()
    await fleet.quiet()
    await fleet.kill(slow, signal.SIGCONT)
    await fleet.until(lambda: "taken for dead" in fleet.replicas[slow].log)
    await fleet.until(fleet.all_joined)
    ((reference, _),) = [found for found in fleet.incidents() if found[1] == "its replica sleeps"]
    (room,) = fleet.channels_named(f"{reference.lower()}-")
    assert len(fleet.posts(room)) == 1
    fleet.to(slow)
    view = await fleet.declare("it is awake again")
    await fleet.quiet()
    assert "INC-" in words(view)


async def test_a_database_that_restarts_delays_a_declaration_and_loses_nothing(
    fleet: Fleet, modules_postgresql: PostgresqlServer
) -> None:
    goes_on = asyncio.Event()
    fleet.slack.workspace.faults.plan("conversations.create", Fault(until=goes_on))
    alive = len(fleet.replicas) - 1
    fleet.to(alive)
    await fleet.declare("the database restarts")
    modules_postgresql.stop()
    goes_on.set()
    modules_postgresql.start()
    await fleet.quiet()
    ((reference, _),) = [found for found in fleet.incidents() if found[1] == "the database restarts"]
    (room,) = fleet.channels_named(f"{reference.lower()}-")
    assert len(fleet.posts(room)) == 1
    view = await fleet.declare("and after it")
    assert "INC-" in words(view)
    await fleet.quiet()


async def test_while_the_database_is_gone_the_form_opens_and_says_that_nothing_is_saved_yet(
    fleet: Fleet, modules_postgresql: PostgresqlServer
) -> None:
    alive = next(n for n, one in enumerate(fleet.replicas) if one.process.returncode is None)
    fleet.to(alive)
    modules_postgresql.stop()
    try:
        view = await fleet.open_form("while the database is gone")
        assert "cannot be" in await fleet.until_not_ready(alive)
        outcome = await fleet.submit(view)
        assert "Press Declare again; it will not be declared twice" in " ".join(outcome.errors.values())
    finally:
        modules_postgresql.start()
    await fleet.until_ready(alive)
    outcome = await fleet.submit(view)
    assert outcome.ok, outcome
    await fleet.quiet()
    named = [reference for reference, name in fleet.incidents() if name == "while the database is gone"]
    assert len(named) == 1
    assert named[0] in words(view)


async def test_after_an_outage_a_workflow_goes_on_at_its_next_attempt_however_long_the_outage_was(
    fleet: Fleet, modules_postgresql: PostgresqlServer
) -> None:
    engine, barrier = barred_engine(fleet.database)
    attempts: list[int] = []

    def work() -> int:
        # DBOS pauses between its attempts, each time twice as long.
        while True:
            attempts.append(len(attempts))
            with suppress(sa.exc.DBAPIError), engine.connect() as connection:
                return int(connection.scalar(sa.text("SELECT 7")) or 0)

    modules_postgresql.stop()
    working = asyncio.create_task(asyncio.to_thread(work))
    await fleet.until(lambda: barrier.problem)
    modules_postgresql.start()
    assert await working == 7
    assert len(attempts) == 2
    barrier.close()
    engine.dispose()
    for number, one in enumerate(fleet.replicas):
        if one.process.returncode is None:
            await fleet.until_ready(number)


async def test_while_the_database_takes_no_changes_nothing_is_lost_and_nothing_needs_a_restart(
    fleet: Fleet, modules_postgresql: PostgresqlServer
) -> None:
    server = modules_postgresql
    goes_on = asyncio.Event()
    fleet.slack.workspace.faults.plan("conversations.create", Fault(until=goes_on))
    alive = next(n for n, one in enumerate(fleet.replicas) if one.process.returncode is None)
    fleet.to(alive)
    await fleet.declare("acknowledged before")
    view = await fleet.open_form("while it is read-only")
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    server.execute("SELECT pg_reload_conf()")
    try:
        goes_on.set()
        assert "read-only" in await fleet.until_not_ready(alive)
        outcome = await fleet.submit(view)
        assert "Press Declare again; it will not be declared twice" in " ".join(outcome.errors.values())
    finally:
        server.execute("ALTER SYSTEM RESET default_transaction_read_only")
        server.execute("SELECT pg_reload_conf()")
    await _all_goes_on(fleet, alive, view, "acknowledged before", "while it is read-only")


async def test_while_the_disk_of_the_database_is_full_nothing_is_lost_and_nothing_needs_a_restart(
    tmp_path: Path, stoppable_postgresql: PostgresqlServer, small_disk: SmallDisk
) -> None:
    database = stoppable_postgresql.create_database()
    small_disk.take(database)
    async with running_fleet(tmp_path, stoppable_postgresql, 1, database=database) as fleet:
        goes_on = asyncio.Event()
        fleet.slack.workspace.faults.plan("conversations.create", Fault(until=goes_on))
        await fleet.declare("acknowledged before")
        view = await fleet.open_form("while it is full")
        fleet.describe("ana", view, random.Random(1).randbytes(1400).hex())
        small_disk.fill()
        outcome = await fleet.submit(view)
        assert "Press Declare again; it will not be declared twice" in " ".join(outcome.errors.values())
        goes_on.set()
        assert "No space left on device" in await fleet.until_not_ready(0)
        small_disk.clear()
        await _all_goes_on(fleet, 0, view, "acknowledged before", "while it is full")


async def _all_goes_on(fleet: Fleet, number: int, form: View, acknowledged: str, refused: str) -> None:
    """What was acknowledged is finished, and what was refused is declared at the next press."""
    await fleet.until_ready(number)
    await fleet.quiet()
    outcome = await fleet.submit(form)
    assert outcome.ok, outcome
    await fleet.quiet()
    named = {name: reference for reference, name in fleet.incidents() if name in {acknowledged, refused}}
    assert sorted(named) == sorted([acknowledged, refused])
    for reference in named.values():
        (room,) = fleet.channels_named(f"{reference.lower()}-")
        assert len(fleet.posts(room)) == 1
    assert fleet.replicas[number].process.returncode is None


async def test_over_socket_mode_slack_spreads_what_people_do_and_a_killed_replica_is_not_missed(
    tmp_path: Path, modules_postgresql: PostgresqlServer
) -> None:
    async with running_fleet(tmp_path, modules_postgresql, over_sockets=True) as fleet:
        for number in range(4):
            await fleet.declare(f"over sockets, {number}")
        await fleet.quiet()
        await fleet.kill(0)
        await fleet.declare("over the sockets that are left")
        await fleet.quiet()
        assert [reference for reference, _ in fleet.incidents()] == [f"INC-{n}" for n in range(1, 6)]
