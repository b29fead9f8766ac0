"""Links of follow-ups at incident.io: where people there read them, and whose issue counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from support.declarations import ANA, BEN, DAWN, Ticking, declaration
from support.first_files import own_tables
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, running_incident_io

from tocsin.backends.incident_io import IncidentIo
from tocsin.backends.incident_io.reader import AccountReader
from tocsin.incidents.errors import Refused
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore

Both = tuple[IncidentIo, IncidentIoServer]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    memory = SqlKeyValueStore(Database(own_tables(tmp_path / "journal.db")))
    async with running_incident_io(Account()) as server:
        backend = IncidentIo(server.url, "a-key", store=memory, clock=Ticking(), seconds=2.0)
        yield backend, server
        await backend.close()
    memory.database.close()


async def test_links_are_in_the_description_for_people_at_incident_io_unless_it_knows_the_issue(
    both: Both,
) -> None:
    backend, server = both
    made = await backend.create(declaration())
    wiki, link = "https://wiki.example.com/1", "https://github.com/acme/web/issues/12"
    wanted = FollowUpRequest(key="f", by=ANA, at=DAWN, kind="follow_up", text="Write it", runbook_url=wiki)
    added = await backend.add_follow_up(made.id, wanted)
    (kept,) = server.account.follow_ups
    kept["description"] += "\n\nAsk Chloe first."
    await backend.change_follow_up(added.id, FollowUpChange(key="l", by=ANA, at=DAWN, issue_url=link))
    assert kept["description"] == f"Ask Chloe first.\n\nRunbook: {wiki}\nIssue: {link}"
    kept["external_issue_reference"] = {
        "provider": "jira",
        "issue_name": "OPS-1",
        "issue_permalink": "https://acme.atlassian.net/browse/OPS-1",
    }
    (found,) = await backend.follow_ups(made.id)
    assert found.text == "Write it"
    assert found.external_issue_reference is not None
    assert found.external_issue_reference.issue_name == "OPS-1"
    with pytest.raises(Refused, match=r"Change it there\."):
        await backend.change_follow_up(added.id, FollowUpChange(key="m", by=ANA, at=DAWN, issue_url=link))
    stranger = BEN.model_copy(update={"slack_user_id": "U0NOBODY", "name": "Nia Nobody"})
    with pytest.raises(Refused, match="Nia Nobody is not known at incident"):
        await backend.change_follow_up(added.id, FollowUpChange(key="t", by=ANA, at=DAWN, assignee=stranger))


async def test_what_is_completed_or_linked_keeps_its_assignee_its_labels_and_all_that_slack_does_not_show(
    both: Both,
) -> None:
    backend, server = both
    made = await backend.create(declaration())
    wanted = FollowUpRequest(key="f", by=ANA, at=DAWN, kind="follow_up", text="Write it", assignee=BEN)
    added = await backend.add_follow_up(made.id, wanted)
    (kept,) = server.account.follow_ups
    ours = {
        "assignee_team": {"id": "01TEAM", "name": "Web"},
        "category": {"id": "01CATEGORY", "name": "Process", "rank": 1},
        "priority": {"id": "01PRIORITY", "name": "Urgent", "rank": 1},
        "labels": ["postmortem", "web"],
        "description": "Ask Chloe first.",
    }
    kept |= ours
    link = "https://github.com/acme/web/issues/12"
    linked = FollowUpChange(key="l", by=ANA, at=DAWN, issue_url=link)
    assert (await backend.change_follow_up(added.id, linked)).assignee == added.assignee
    done = await backend.complete_follow_up(added.id, ANA, DAWN, "c")
    assert (done.is_done, done.assignee) == (True, added.assignee)
    assert {name: kept[name] for name in ours} == {
        **ours,
        "description": f"Ask Chloe first.\n\nIssue: {link}",
    }
    action = FollowUpRequest(key="a", by=ANA, at=DAWN, kind="action", text="Roll back", assignee=BEN)
    added = await backend.add_follow_up(made.id, action)
    assert (await backend.complete_follow_up(added.id, ANA, DAWN, "d")).assignee == added.assignee is not None


@pytest.mark.parametrize("kind", ["action", "follow_up"])
async def test_what_is_to_do_after_a_test_is_listed_completed_and_made_once(
    both: Both, kind: Literal["action", "follow_up"]
) -> None:
    """Actions V3 and Follow-ups V3, List: without `incident_mode` those of tests are left out."""
    backend, server = both
    made = await backend.create(declaration(mode="test"))
    wanted = FollowUpRequest(key="f", by=ANA, at=DAWN, kind=kind, text="Write it")
    added = await backend.add_follow_up(made.id, wanted)
    assert await backend.add_follow_up(made.id, wanted) == added
    assert [one.id for one in await backend.follow_ups(made.id)] == [added.id]
    assert (await backend.complete_follow_up(added.id, ANA, DAWN, "c")).is_done
    reader = AccountReader(server.url, "a-key", Ticking())
    (brought,) = (await reader.details(made)).to_dos
    await reader.close()
    assert brought.title == "Write it"
