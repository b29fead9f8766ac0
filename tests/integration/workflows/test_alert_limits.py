"""Limits of alerts in either database: more titles than incidents, and what is over gives up its place."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from integration.workflows.test_alert_store import stores, url
from support.declarations import DAWN

from tocsin.incidents.alerts import (
    MOST_OPEN,
    RESOLVED_FOR,
    AlertGroup,
    AlertRule,
    AlertStatus,
    event_of,
    route,
)
from tocsin.storage.alert_rows import groups
from tocsin.storage.alerts import SqlAlertStore
from tocsin.workflows.alert_groups import KEPT, AlertGroups

__all__ = ["stores", "url"]
LATER = timedelta(minutes=10)


async def told(
    store: SqlAlertStore,
    *titles: str,
    status: str = "firing",
    at: datetime = DAWN,
    rule: AlertRule | None = None,
    started_at: datetime | None = None,
) -> None:
    """Alerts of one rule, each a group of its own."""
    said: AlertStatus = "resolved" if status == "resolved" else "firing"
    events = [event_of(title=title, status=said, key=title, started_at=started_at) for title in titles]
    await store.receive("s", [(event, route("s", event, (rule or AlertRule(),))) for event in events], at)


async def batched(store: SqlAlertStore, at: datetime = DAWN, closes: bool = False) -> list[AlertGroup]:
    """The batches of one look, each attached."""
    begun = [await store.begin_batch(*one, at) for one in (await store.due())[0]]
    for group in filter(None, begun):
        await store.set_incident(group.id, f"INC {group.id}")
        await store.finish(group.id, group.batch, at, closes=closes)
    return [group for group in begun if group is not None]


async def test_alerts_beyond_the_limit_are_one_batch_of_the_newest_incident(
    stores: list[SqlAlertStore],
) -> None:
    store = stores[0]
    titles = [f"alert {number}" for number in range(100)]
    await told(store, *titles)
    assert len(await batched(store)) == MOST_OPEN
    waiting, _ = await store.due()
    pauses = {await store.pause(*one, DAWN + timedelta(seconds=1)) for one in waiting}
    assert pauses == {1.0}
    (overflow,) = await batched(store, DAWN + LATER)
    batch = await store.batch(overflow.id, overflow.batch)
    assert batch.fired_count == 100 - MOST_OPEN
    await told(store, *titles[-50:], status="resolved", at=DAWN + LATER)
    assert len((await store.due())[0]) < MOST_OPEN + 2
    assert len(await batched(store, DAWN + 2 * LATER)) <= MOST_OPEN
    assert await store.due() == ([], [])
    assert all(alert.incident_id for alert in await store.alerts(limit=100))


async def test_another_rule_waits_for_no_overflow(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    await told(store, *(f"alert {number}" for number in range(20)))
    await batched(store)
    await told(store, "another", rule=AlertRule(do="declare"))
    (other,) = await batched(store, DAWN)
    assert other.rule.do == "declare"
    assert (await store.batch(other.id, 1)).fired_count == 1


async def test_a_group_that_is_ended_gives_its_place_to_another(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    await told(store, *(f"alert {number}" for number in range(MOST_OPEN)))
    begun = await batched(store)
    await told(store, "another")
    ((key, _),), _ = await store.due()
    assert await store.crowding(key, DAWN) == []
    crowding = await store.crowding(key, DAWN + LATER)
    assert {group.id for group in crowding} == {group.id for group in begun}
    await store.end(crowding[3].id)
    assert await store.crowding(key, DAWN + LATER) == []
    group = await store.begin_batch(key, None, DAWN + LATER)
    assert group is not None
    assert group.batch == 1
    ended = await store.group(crowding[3].id)
    assert ended is not None
    assert ended.ended


async def test_an_event_of_an_earlier_episode_that_comes_late_is_counted_only(
    stores: list[SqlAlertStore],
) -> None:
    store, second = stores[0], DAWN + LATER
    await told(store, "a", started_at=DAWN)
    await told(store, "a", status="resolved", started_at=DAWN)
    await told(store, "a", started_at=second)
    await told(store, "a", status="resolved", started_at=DAWN)
    await told(store, "a", started_at=second)
    assert [(one.status, one.times) for one in await store.alerts()] == [("firing", 3), ("resolved", 2)]
    await told(store, "a", status="resolved", started_at=second)
    await told(store, "a", started_at=DAWN)
    assert [(one.status, one.times) for one in await store.alerts()] == [("resolved", 5), ("resolved", 2)]
    # So is what PagerDuty reopens: what it tells of it afterwards has the time of the first beginning.
    await told(store, "a")
    assert [one.status for one in await store.alerts()] == ["firing", "resolved", "resolved"]
    await told(store, "a", started_at=DAWN)
    await told(store, "a", status="resolved", started_at=DAWN)
    assert [one.status for one in await store.alerts()] == ["resolved", "resolved", "resolved"]


async def test_an_alert_whose_end_was_not_told_is_resolved_only_by_its_next_episode(
    stores: list[SqlAlertStore],
) -> None:
    store = stores[0]
    await told(store, "a", started_at=DAWN)
    await told(store, "a", started_at=DAWN + LATER)
    await told(store, "a", status="resolved", started_at=DAWN)
    assert [(one.status, one.times) for one in await store.alerts()] == [("firing", 3)]
    await told(store, "a", status="resolved", started_at=DAWN + LATER)
    assert [(one.status, one.times) for one in await store.alerts()] == [("resolved", 4)]


async def test_a_group_that_has_ended_is_no_reason_to_look_again(stores: list[SqlAlertStore]) -> None:
    store, rule = stores[0], AlertRule(close_when_resolved=True)
    for title in ("over", "failed"):
        await told(store, title, rule=rule)
        (group,) = await batched(store, closes=True)
        await told(store, title, status="resolved", rule=rule)
        ((key, _),), _ = await store.due()
        assert await store.begin_batch(key, group.id, DAWN + LATER) is not None
        if title == "over":
            await store.begin_again(group.id, 2)
        await store.finish(group.id, 2, DAWN + LATER, closes=True)
        if title == "failed":
            assert await store.next_quiet() == DAWN + LATER + RESOLVED_FOR
            await store.fail(group.id, "No.")
        assert await store.next_quiet() is None


async def test_a_look_that_ends_no_group_writes_nothing(stores: list[SqlAlertStore]) -> None:
    store, rule = stores[0], AlertRule(close_when_resolved=True)
    await told(store, "a", rule=rule)
    await batched(store, closes=True)
    await told(store, "a", status="resolved", rule=rule)
    await batched(store, DAWN + LATER, closes=True)
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement.split()[0])

    sa.event.listen(store._database.open(), "before_cursor_execute", note)
    await store.end_quiet(DAWN + LATER)
    assert "UPDATE" not in asked
    await store.end_quiet(DAWN + LATER + RESOLVED_FOR)
    assert "UPDATE" in asked
    assert [group.is_closing for group in (await store.due())[1]] == [True]


async def test_a_clock_that_is_set_back_has_no_alert_wait(stores: list[SqlAlertStore]) -> None:
    store = stores[0]
    await told(store, "a")
    await batched(store, DAWN + timedelta(days=365))
    await told(store, "a", status="resolved")
    ((key, group_id),), _ = await store.due()
    assert await store.pause(key, group_id, DAWN + LATER) == 0
    assert await store.begin_batch(key, group_id, DAWN + LATER) is not None


async def test_a_clock_that_is_set_back_leaves_no_old_alerts(stores: list[SqlAlertStore]) -> None:
    now, nothing = [DAWN + KEPT + timedelta(days=365)], cast(Any, None)
    watch = AlertGroups(
        store=stores[0],
        backend=nothing,
        engine=nothing,
        change=nothing,
        home_of=nothing,
        names={},
        operator=nothing,
        clock=lambda: now[0],
    )
    await watch.look()
    await told(stores[0], "old", rule=AlertRule(do="nothing"))
    now[0] = DAWN + KEPT + LATER
    await watch.look()
    assert await stores[0].alerts() == []


async def test_a_group_without_an_incident_is_forgotten_with_its_last_alert(
    stores: list[SqlAlertStore],
) -> None:
    store = stores[0]
    await told(store, "kept")
    await batched(store)
    for title, at in (("failed", DAWN), ("busy", DAWN), ("recent", DAWN + LATER)):
        await told(store, title, at=at)
        ((key, _),), _ = await store.due()
        group = await store.begin_batch(key, None, at)
        assert group is not None
        await store.fail(group.id, "No.")
        if title != "busy":
            await store.finish(group.id, 1, at, closes=False)

    async def titles() -> tuple[list[str], int]:
        counted = sa.select(sa.func.count()).select_from(groups)
        found = await store._database.do(lambda connection: connection.scalar(counted))
        return [alert.title for alert in await store.alerts()], found or 0

    await store.forget(DAWN)
    assert await titles() == (["recent", "busy", "failed", "kept"], 4)
    await store.forget(DAWN + timedelta(minutes=1))
    assert await titles() == (["recent", "kept"], 3)
