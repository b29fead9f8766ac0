"""Alerts in either database: counted once, grouped once, whichever replica takes them in or forms a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.declarations import DAWN

from tocsin.incidents.alerts import RESOLVED_FOR, AlertEvent, AlertRoute, AlertRule, event_of, route
from tocsin.incidents.model import AlertSummary, Person
from tocsin.incidents.paging import Page
from tocsin.storage.alerts import SET_BACK, SqlAlertStore
from tocsin.storage.database import Database
from tocsin.storage.slack_state import SqlSlackStateStore

RULES = (AlertRule(group_by=("team",), close_when_resolved=True),)
SOON = timedelta(seconds=3)


def routed(
    title: str, status: str = "firing", team: str = "blue", **more: Any
) -> tuple[AlertEvent, AlertRoute]:
    event = event_of(
        title=title,
        status="resolved" if status == "resolved" else "firing",
        key=title,
        labels={"team": team},
        **more,
    )
    return event, route("monitoring", event, RULES)


@contextmanager
def opened(url: str, replicas: int) -> Iterator[list[SqlAlertStore]]:
    """The stores of several replicas, each with connections of its own."""
    with ExitStack() as stack:
        databases = [Database(url) for _ in range(replicas)]
        for database in databases:
            stack.callback(database.close)
        yield [SqlAlertStore(database) for database in databases]


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.process)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "SQLite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    return str(request.getfixturevalue("postgresql").create_database())


@pytest.fixture
def stores(url: str) -> Iterator[list[SqlAlertStore]]:
    """Two replicas' stores in PostgreSQL; in a file, which one process has, twice the same."""
    replicas = 1 if url.startswith("sqlite") else 2
    with opened(url, replicas) as found:
        yield found * (2 // replicas)


def test_a_database_of_an_earlier_version_gets_the_indexes_that_came_since(url: str) -> None:
    def begin() -> sa.Engine:
        database = Database(url)
        engine = database.open()
        database.close()
        return engine

    def indexes(engine: sa.Engine) -> set[str | None]:
        look = sa.inspect(engine)
        return {index["name"] for table in look.get_table_names() for index in look.get_indexes(table)}

    engine = begin()
    made = indexes(engine)
    with engine.begin() as earlier:
        for name in ("tocsin_alerts_by_key", "tocsin_alert_groups_by_key"):
            earlier.execute(sa.text(f"DROP INDEX {name}"))
    engine.dispose()
    assert indexes(begin()) == made


async def test_events_that_come_to_two_replicas_at_once_are_one_alert_each_and_one_group(
    stores: list[SqlAlertStore],
) -> None:
    events = [routed(f"host {number} is down") for number in range(40)]
    await asyncio.gather(*(store.receive("monitoring", events, DAWN) for store in stores * 2))
    listed = await stores[0].alerts(limit=100)
    assert sorted(alert.times for alert in listed) == [4] * 40
    waiting, _ = await stores[0].due()
    assert len(waiting) == 1
    begun = await asyncio.gather(*(store.begin_batch(*waiting[0], DAWN) for store in stores * 2))
    (group,) = [one for one in begun if one is not None]
    assert (await stores[1].batch(group.id, 1)).fired_count == 40
    assert await stores[1].due() == ([], [group])


async def test_what_comes_while_a_batch_is_attached_waits_for_the_next_one(
    stores: list[SqlAlertStore],
) -> None:
    store = stores[0]
    await store.receive("monitoring", [routed("one")], DAWN)
    ((key, _),), _ = await store.due()
    group = await store.begin_batch(key, None, DAWN)
    assert group is not None
    await store.receive("monitoring", [routed("one", "resolved"), routed("two")], DAWN + SOON)
    assert await store.begin_batch(key, None, DAWN + SOON) is None
    await store.finish(group.id, 1, DAWN + SOON, closes=True)
    assert await store.begin_batch(key, None, DAWN + timedelta(seconds=1)) is None
    assert 0 < await store.pause(key, None, DAWN + timedelta(seconds=1)) <= 2
    again = await store.begin_batch(key, None, DAWN + SOON)
    assert again is not None
    batch = await store.batch(group.id, 2)
    assert ([one.title for one in batch.fired], [one.title for one in batch.resolved]) == (["two"], ["one"])
    await store.set_incident(group.id, "INC")
    assert await store.summary("INC") == AlertSummary(firing=1, resolved=1, latest=("two", "one"))


async def test_a_late_event_of_an_episode_that_is_over_fires_nothing(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    late = routed("one", started_at=DAWN)
    await store.receive("monitoring", [late], DAWN)
    await store.receive("monitoring", [routed("one", "resolved", started_at=DAWN)], DAWN + SOON)
    await store.receive("monitoring", [late], DAWN + SOON)
    assert [alert.status for alert in await store.alerts()] == ["resolved"]
    await store.receive("monitoring", [routed("one", started_at=DAWN + SOON)], DAWN + SOON)
    assert [alert.status for alert in await store.alerts()] == ["firing", "resolved"]


async def test_an_incident_that_is_over_leaves_what_fires_to_another_group(
    stores: list[SqlAlertStore],
) -> None:
    store = stores[0]
    await store.receive("monitoring", [routed("one")], DAWN)
    ((key, _),), _ = await store.due()
    first = await store.begin_batch(key, None, DAWN)
    assert first is not None
    await store.set_incident(first.id, "over")
    await store.finish(first.id, 1, DAWN, closes=False)
    await store.receive("monitoring", [routed("two"), routed("one", "resolved")], DAWN + SOON)
    assert await store.begin_batch(key, first.id, DAWN + SOON) is not None
    await store.begin_again(first.id, 2)
    await store.finish(first.id, 2, DAWN + SOON, closes=False)
    assert await store.due() == ([(key, None)], [])
    second = await store.begin_batch(key, None, DAWN + SOON)
    assert second is not None
    assert second.id != first.id
    assert [alert.incident_id for alert in await store.alerts()] == ["", "over"]


async def test_a_group_is_closed_once_unless_an_alert_fires_before(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    for team in ("blue", "red"):
        events = [routed(team, team=team), routed(team, "resolved", team=team)]
        await store.receive("monitoring", events, DAWN)
    waiting, _ = await store.due()
    for key, _ in waiting:
        group = await store.begin_batch(key, None, DAWN)
        assert group is not None
        await store.finish(group.id, 1, DAWN, closes=True)
    await store.end_quiet(DAWN + RESOLVED_FOR - SOON)
    assert await store.due() == ([], [])
    await store.receive("monitoring", [routed("blue again")], DAWN + RESOLVED_FOR)
    await asyncio.gather(*(one.end_quiet(DAWN + RESOLVED_FOR) for one in stores))
    _, closing = await store.due()
    assert [(group.is_closing, group.ended) for group in closing] == [(True, True)]
    await store.closed(closing[0].id)
    assert (await store.due())[1] == []


async def test_the_page_that_tocsin_sent_itself_is_no_alert(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    page = Page(key="ours", incident_id="1", target="payments", service="PagerDuty", by=Person(), at=DAWN)
    await SqlSlackStateStore(store._database).claim_page(page)
    await store.receive("monitoring", [routed("ours"), routed("theirs")], DAWN)
    assert [alert.title for alert in await store.alerts()] == ["theirs"]


async def test_alerts_without_an_incident_are_forgotten_after_a_while(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    quiet = routed("quiet")[0]
    nothing = AlertRoute(rule=AlertRule(do="nothing"))
    await store.receive("monitoring", [(quiet, nothing), routed("kept")], DAWN)
    ((key, _),), _ = await store.due()
    group = await store.begin_batch(key, None, DAWN)
    assert group is not None
    await store.set_incident(group.id, "INC")
    await store.forget(DAWN + SOON)
    assert [alert.title for alert in await store.alerts()] == ["kept"]


async def test_alerts_are_found_by_key_group_and_time_also_after_a_clock_was_set_back(
    stores: list[SqlAlertStore],
) -> None:
    store = stores[0]
    for title, at in (("one", DAWN), ("two", DAWN + 10 * SOON), ("three", DAWN + 5 * SOON)):
        await store.receive("monitoring", [routed(title, team=title)], at)
    for key, _ in (await store.due())[0]:
        assert await store.begin_batch(key, None, DAWN) is not None
    by_title = {alert.title: alert for alert in await store.alerts()}

    async def found(**wanted: Any) -> list[str]:
        return [alert.title for alert in await store.alerts(**wanted)]

    assert await found(deduplication_key="two") == ["two"]
    assert await found(group_ids=[by_title["one"].group_id, by_title["three"].group_id]) == ["three", "one"]
    assert await found(since=DAWN + SOON) == ["three", "two"]
    assert await found(until=DAWN + 5 * SOON) == ["three", "two", "one"]
    assert await found(until=DAWN + 5 * SOON - SET_BACK) == ["one"]
    assert await found(until=DAWN - timedelta(hours=2)) == []


async def test_a_look_at_what_waits_goes_through_no_table(tmp_path: Path) -> None:
    """However many alerts there have been, a look and a batch cost the same."""
    with opened(f"sqlite:///{tmp_path / 'journal.db'}", 1) as (store,):
        await store.receive("monitoring", [routed("one")], DAWN)
        asked: list[tuple[str, Any]] = []
        engine = store._database.open()

        def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
            asked.append((statement, parameters))

        sa.event.listen(engine, "before_cursor_execute", note)
        ((key, _),), _ = await store.due()
        group = await store.begin_batch(key, None, DAWN)
        assert group is not None
        await store.batch(group.id, 1)
        await store.finish(group.id, 1, DAWN, closes=True)
        await store.end_quiet(DAWN)
        await store.next_quiet()
        await store.summary("INC")
        await store.alerts(incident_id="INC")
        await store.alerts(deduplication_key="one")
        await store.alerts(group_ids=["a", "b"])
        await store.alerts("f" * 32, since=DAWN, until=DAWN)
        await store.group_before(group)
        await store.receive("monitoring", [routed("one")], DAWN)
        sa.event.remove(engine, "before_cursor_execute", note)
        with engine.connect() as connection:
            plans = {
                statement: [
                    row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
                ]
                for statement, given in asked
                if not statement.startswith("INSERT")
            }
    by_key = [plan for statement, plan in plans.items() if "deduplication_key = ?" in statement]
    assert any("tocsin_alerts_by_key" in plan[0] for plan in by_key)
    scans = {statement: plan for statement, plan in plans.items() if any(map(_goes_through, plan))}
    assert scans == {}


def _goes_through(step: str) -> bool:
    return step.startswith("SCAN tocsin_alert") and "INDEX" not in step
