"""People whom incident.io does not know by their Slack id, and what its support needs to find a refusal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.declarations import ANA, DAWN, declaration
from support.first_files import own_tables
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, running_incident_io

from tocsin.backends.incident_io import IncidentIo
from tocsin.backends.incident_io.client import ApiError
from tocsin.backends.incident_io.mapping import to_refused
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.requests import IncidentChange
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore

DATA = Path(__file__).parents[2] / "data" / "incident_io"
Both = tuple[IncidentIo, IncidentIoServer]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    memory = SqlKeyValueStore(Database(own_tables(tmp_path / "journal.db")))
    async with running_incident_io(Account(clock=lambda: DAWN)) as server:
        backend = IncidentIo(server.url, "a-key", store=memory, clock=lambda: DAWN)
        yield backend, server
        await backend.close()
    memory.database.close()


CHLOE = PersonId("U0CHLOE")


async def chloes_email(team: str, person: PersonId) -> Person | None:
    """Slack's directory, which has her address."""
    return Person(slack_user_id=person, email="chloe@example.com") if person == CHLOE else None


@pytest.mark.parametrize("email", ["chloe@example.com", "other@example.com"])
async def test_whom_incident_io_does_not_know_by_slack_id_is_named_by_e_mail_and_else_left_out(
    both: Both, email: str
) -> None:
    backend, server = both
    server.account.knows("U0UNLINKED", "Chloe Petit", email)
    backend.set_directory(chloes_email)
    made = await backend.create(declaration("k", incident_role_assignments={"lead": CHLOE}))
    is_known = email == "chloe@example.com"
    assert (made.lead.email if made.lead else None) == (email if is_known else None)
    assert made.strangers == (() if is_known else (CHLOE,))
    asked = IncidentChange(key="c", by=ANA, at=DAWN, incident_role_assignments={"communications": CHLOE})
    if is_known:
        changed = await backend.change(made.id, asked)
        held = {a.role.id: a.assignee.email for a in changed.incident_role_assignments if a.assignee}
        assert held["communications"] == email
    else:
        with pytest.raises(Refused) as refused:
            await backend.change(made.id, asked)
        assert set(refused.value.fields) == {"incident_role_assignments.communications"}


def test_a_refusal_that_no_field_explains_names_the_request_for_incident_ios_support() -> None:
    refused = to_refused(ApiError.from_body(422, {"request_id": "r-1", "errors": [{"message": "No."}]}), {})
    assert refused.sentence == "No. (incident.io request r-1)"
    underlined = to_refused(
        ApiError.from_body(422, json.loads((DATA / "error-422.json").read_text())), {"severity_id": "1"}
    )
    assert "request" not in underlined.sentence + "".join(underlined.fields.values())


async def test_each_refusal_is_logged_with_the_id_of_the_request(both: Both) -> None:
    backend, _ = both
    with capture_logs() as logged, pytest.raises(Refused):
        await backend.create(declaration("k", severity_id="gone"))
    assert {"status": 422, "request_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}.items() <= logged[0].items()
