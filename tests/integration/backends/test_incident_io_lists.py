"""The declare form is made of several lists at incident.io; one that is not told keeps nobody waiting."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.backends.test_incident_io import opened
from support.declarations import declaration
from support.incident_io.server import Fault, failing, problem

from tocsin.backends.incident_io.form import LISTS, OPTIONS, SEVERITIES, TYPES
from tocsin.incidents.errors import Unavailable

GONE = Fault(lambda: problem(404, "not_found", "There is no such list."))


@pytest.mark.parametrize("fault", [GONE, failing(403)], ids=["gone", "not for this key"])
@pytest.mark.parametrize("path", sorted((LISTS | {OPTIONS, "/v1/custom_fields"}) - {TYPES}))
async def test_a_list_that_is_not_told_is_left_out_of_the_form_and_the_doctor_says_so(
    tmp_path: Path, path: str, fault: Fault
) -> None:
    async with opened(tmp_path) as (backend, server, _):
        server.fail("GET", path, *[fault] * 20)
        form = await backend.form()
        lists = [form.severities, form.statuses, form.incident_types, form.roles, form.custom_fields]
        assert [bool(found) for found in lists].count(False) == (path in LISTS)
        assert (await backend.create(declaration())).reference
        (told,) = (f for f in await backend.diagnose() if f.name == "incident.io's configuration")
        if path == "/v1/custom_fields":
            # An older list, which only says what is needed where there is no form that says it.
            assert told.ok
        else:
            assert not told.ok
            assert path in told.said


async def test_a_list_that_is_not_told_any_more_stays_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        before = await backend.form()
        server.fail("GET", SEVERITIES, GONE)
        assert (await backend.form()).severities == before.severities
        assert before.severities


async def test_types_that_the_key_may_not_read_are_waited_for_since_some_are_always_private(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (backend, server, _):
        server.fail("GET", TYPES, *[failing(403)] * 20)
        with pytest.raises(Unavailable, match="does not let our API key"):
            await backend.form()


async def test_an_account_without_types_has_a_form(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        server.fail("GET", TYPES, GONE)
        form = await backend.form()
        assert (form.incident_types, bool(form.severities)) == ((), True)


async def test_where_nothing_at_all_is_told_there_is_no_form_and_the_last_one_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        for path in LISTS:
            server.fail("GET", path, GONE)
        with pytest.raises(Unavailable, match="There is no such list"):
            await backend.form()
