"""A page of alerts costs a bounded look, however many of them its reader may not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.declarations import DAWN

from tocsin.incidents.alert_reader import AT_ONCE, INCIDENTS_LOOKED_AT, LOOKED_AT, AlertReader
from tocsin.incidents.alerts import Alert
from tocsin.incidents.model import Incident


class Kept:
    """So many alerts, each of an incident of its own if `apart`; counts what is read and looked up."""

    def __init__(self, size: int, *, apart: bool = False) -> None:
        self._size, self._apart = size, apart
        self.read, self.found = 0, list[str]()

    async def page(self, after: str | None, limit: int, **wanted: Any) -> Sequence[Alert]:
        newest = self._size if after is None else int(after, 16) - 1
        numbers = range(newest, max(0, newest - limit), -1)
        self.read += len(numbers)
        return [self._alert(number) for number in numbers]

    def _alert(self, number: int) -> Alert:
        named = {"id": f"{number:032x}", "title": str(number), "deduplication_key": str(number)}
        plain = {"source": "a", "status": "firing", "created_at": DAWN, "updated_at": DAWN}
        return Alert.model_validate(
            named | plain | {"incident_id": f"incident-{number if self._apart else 1}"}
        )

    async def find(self, incident_id: str) -> Incident | None:
        self.found.append(incident_id)
        return None


async def test_a_page_that_is_full_reads_no_more_than_itself() -> None:
    kept = Kept(20_000)
    page = await AlertReader(kept.page).look(None, 25, kept.find, lambda alert, incident: True)
    assert (len(page.seen), page.after, page.is_cut, kept.read) == (25, page.seen[-1][0].id, False, 26)


async def test_hidden_alerts_are_looked_through_to_the_end_by_pages_of_a_bounded_cost() -> None:
    kept, after, pages = Kept(20_000), None, 0
    while True:
        before = kept.read
        page = await AlertReader(kept.page).look(
            after, 25, kept.find, lambda alert, incident: alert.title == "1"
        )
        assert kept.read - before < LOOKED_AT + AT_ONCE
        after, pages = page.after, pages + 1
        if after is None:
            break
        assert (page.seen, page.is_cut) == ([], True)
    assert [alert.title for alert, _ in page.seen] == ["1"]
    assert pages == 4
    assert kept.found == ["incident-1"] * pages


async def test_no_page_looks_up_more_incidents_than_it_may_and_none_is_left_out() -> None:
    kept, after, seen = Kept(1_000, apart=True), None, list[str]()
    while True:
        before = len(kept.found)
        page = await AlertReader(kept.page).look(
            after, 400, kept.find, lambda alert, incident: int(alert.title) % 2 == 0
        )
        assert len(kept.found) - before <= INCIDENTS_LOOKED_AT
        seen += [alert.title for alert, _ in page.seen]
        after = page.after
        if after is None:
            break
    assert seen == [str(number) for number in range(1_000, 0, -2)]
