"""What clients declare and change over HTTP, with the official Python SDK, and what people read of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from support.bot import RunningBot
from support.errands import declared, headline
from support.managing import changed
from support.readings import cards, how_many, said, settled, words

from slack_emulator.faults import Fault
from slack_emulator.models import Person
from tocsin.incidents.api_keys import Scope
from tocsin.incidents.model import Incident
from tocsin.storage.keys import SqlKeyStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[custom_fields]]
id = "team"
name = "Team"
field_type = "single_select"
options = [{ id = "pay", name = "Payments" }, { id = "web", name = "Web" }]
"""

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Client:
    """A client with a key."""

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._http.request(method, path, json=body, headers=self._headers)

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Any = None) -> dict[str, str]:
        """The sentences of a 422 by the pointer of their field."""
        answer = await self.ask(method, path, body)
        assert answer.status_code == 422, answer.text
        return {error["source"]["pointer"]: error["message"] for error in answer.json()["errors"]}

    async def declare(self, **more: Any) -> Any:
        body = {
            "idempotency_key": "1",
            "visibility": "public",
            "name": "checkout is slow",
            "severity_id": "major",
        }
        return (await self.ok("POST", "/v2/incidents", {**body, **more}))["incident"]


class Keys:
    """Keys of this bot."""

    def __init__(self, bot: RunningBot, http: httpx.AsyncClient) -> None:
        self._store = SqlKeyStore(bot.app.resources.database)
        self._http = http

    async def __call__(self, name: str, *scopes: Scope) -> Client:
        return Client(self._http, await self._store.create(name, frozenset(scopes), NOW))


@pytest_asyncio.fixture(loop_scope="module")
async def keys(bot: RunningBot) -> AsyncIterator[Keys]:
    async with httpx.AsyncClient(base_url=bot.url, trust_env=False, timeout=30) as http:
        yield Keys(bot, http)


@pytest_asyncio.fixture(loop_scope="module")
async def ci(keys: Keys) -> Client:
    return await keys("ci", "view", "create", "edit")


async def now(bot: RunningBot, incident: Any) -> Incident:
    found = await bot.backend.find(incident["id"])
    assert found is not None
    return found


async def test_a_declaration_is_answered_at_once_and_the_channel_and_cards_follow(
    bot: RunningBot, ci: Client
) -> None:
    incident = await ci.declare(
        custom_field_entries=[{"custom_field_id": "team", "values": [{"value_option_id": "pay"}]}],
        incident_role_assignments=[
            {"incident_role_id": "lead", "assignee": {"slack_user_id": bot.slack.person("ben")}}
        ],
        incident_status_id="monitoring",
        mode="standard",
    )
    assert incident["reference"] == "INC-1"
    assert incident["creator"] == {"api_key": {"id": incident["creator"]["api_key"]["id"], "name": "ci"}}
    assert incident["incident_status"]["id"] == "monitoring"
    await settled(bot)
    shown = (await ci.ok("GET", f"/v2/incidents/{incident['id']}"))["incident"]
    assert shown["slack_channel_name"] == "inc-1-checkout-is-slow"
    assert shown["incident_role_assignments"][0]["assignee"]["slack_user_id"] == bot.slack.person("ben")
    assert len(cards(bot, bot.slack.channel("incidents"))) == 1
    assert "“ci”" in words(headline(bot, await now(bot, incident)))


async def test_one_idempotency_key_is_one_incident_however_many_requests_come_at_once(
    bot: RunningBot, ci: Client, keys: Keys
) -> None:
    told = await asyncio.gather(*(ci.declare(name=f"checkout is slow {n}") for n in range(5)))
    assert len({incident["id"] for incident in told}) == 1
    other = await keys("other", "create")
    assert (await other.declare())["id"] != told[0]["id"]
    await settled(bot)
    assert await how_many(bot) == 2
    assert len(bot.calls("conversations.create")) == 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such severity": ({"severity_id": "x"}, "/severity_id"),
    "no severity": ({"severity_id": None}, "/severity_id"),
    "no name": ({"name": " "}, "/name"),
    "too long a name": ({"name": "x" * 201}, "/name"),
    "no such type": ({"incident_type_id": "x"}, "/incident_type_id"),
    "no such status": ({"incident_status_id": "x"}, "/incident_status_id"),
    "a status of what is over": ({"incident_status_id": "closed"}, "/incident_status_id"),
    "no such workspace": ({"slack_team_id": "T0NOWHERE"}, "/slack_team_id"),
    "no such field": (
        {
            "custom_field_entries": [
                {"custom_field_id": "team", "values": []},
                {"custom_field_id": "x", "values": [{"value_text": "y"}]},
            ]
        },
        "/custom_field_entries/1",
    ),
    "no such option": (
        {"custom_field_entries": [{"custom_field_id": "team", "values": [{"value_option_id": "x"}]}]},
        "/custom_field_entries/0",
    ),
    "no such person": (
        {"incident_role_assignments": [{"incident_role_id": "lead", "assignee": {"id": "U0NOBODY9"}}]},
        "/incident_role_assignments/0/assignee",
    ),
    "no such address": (
        {"incident_role_assignments": [{"incident_role_id": "lead", "assignee": {"email": "a@b.c"}}]},
        "/incident_role_assignments/0/assignee",
    ),
    "no such visibility": ({"visibility": "secret"}, "/visibility"),
    "a time to come": (
        {
            "incident_timestamp_values": [
                {"incident_timestamp_id": "detected", "value": "2999-01-01T00:00:00Z"}
            ]
        },
        "/incident_timestamp_values/0",
    ),
}


async def test_what_is_wrong_is_told_with_its_field_and_nothing_is_declared(
    bot: RunningBot, ci: Client
) -> None:
    body = {
        "idempotency_key": "1",
        "visibility": "public",
        "name": "checkout is slow",
        "severity_id": "major",
    }
    for wrong, (change, pointer) in REFUSED.items():
        said_of = await ci.refused("POST", "/v2/incidents", {**body, **change})
        assert pointer in said_of, (wrong, said_of)
    assert await how_many(bot) == 0
    assert (await ci.declare())["reference"] == "INC-1"


async def test_a_key_does_only_what_it_may_and_a_private_incident_is_as_one_that_is_not_there(
    bot: RunningBot, ci: Client, keys: Keys
) -> None:
    viewer, vault = await keys("viewer", "view"), await keys("vault", "view", "create", "edit", "private")
    body = {"idempotency_key": "1", "visibility": "private", "name": "leak", "severity_id": "major"}
    for client in (viewer, ci):
        assert (await client.ask("POST", "/v2/incidents", body)).status_code == 403
    secret = (await vault.ok("POST", "/v2/incidents", body))["incident"]
    edit = {"incident": {"name": "x"}, "notify_incident_channel": True}
    update = {"idempotency_key": "u", "message": "x"}
    item = {"idempotency_key": "n", "timestamp": "2026-01-01T00:00:00Z", "title": "x"}
    resource = {"resource": {"resource_type": "arbitrary_url", "url": "https://example.com"}}
    for incident_id in (secret["id"], "01H00000000000000000000000", secret["reference"]):
        asked = {"incident_id": incident_id}
        for method, path, sent in (
            ("POST", f"/v2/incidents/{incident_id}/actions/edit", edit),
            ("POST", "/v2/incident_updates", {**update, **asked}),
            ("POST", "/v3/actions", {"description": "x", **asked}),
            ("POST", "/v3/follow_ups", {"title": "x", **asked}),
            ("POST", "/v2/incident_timeline_items", {**item, **asked}),
            ("GET", f"/v2/incident_timeline_items?incident_id={incident_id}", None),
            ("POST", "/v1/incident_attachments", {**resource, **asked}),
            ("GET", f"/v1/incident_attachments?incident_id={incident_id}", None),
        ):
            answer = await ci.ask(method, path, sent)
            assert answer.status_code == 404, (method, path, answer.text)
            assert answer.json()["errors"][0]["code"] == "not_found"
    added = (await vault.ok("POST", "/v3/actions", {"incident_id": secret["id"], "description": "hush"}))[
        "action"
    ]
    assert (await ci.ok("GET", "/v3/actions"))["actions"] == []
    for method in ("GET", "DELETE"):
        assert (await ci.ask(method, f"/v3/actions/{added['id']}")).status_code == 404
    await settled(bot)
    assert await how_many(bot) == 1


async def test_an_edit_tells_the_channel_by_which_key_and_leaves_out_what_is_not_given(
    bot: RunningBot, ci: Client
) -> None:
    incident = await ci.declare()
    await settled(bot)
    path, channel = (
        f"/v2/incidents/{incident['reference']}/actions/edit",
        (await now(bot, incident)).slack_channel_id,
    )
    body = {
        "incident": {
            "severity_id": "critical",
            "custom_field_entries": [{"custom_field_id": "team", "values": [{"value_option_id": "web"}]}],
            "incident_role_assignments": [],
            "incident_timestamp_values": [],
        },
        "notify_incident_channel": True,
    }
    edited = (await ci.ok("POST", path, body))["incident"]
    await settled(bot)
    assert (edited["name"], edited["severity"]["id"]) == ("checkout is slow", "critical")
    news = cards(bot, channel)
    assert "the API key “ci”" in words(news[-1])
    again = (await ci.ok("POST", path, body))["incident"]
    body = {"incident": {"custom_field_entries": [{"custom_field_id": "team", "values": []}]}}
    emptied = (await ci.ok("POST", path, {**body, "notify_incident_channel": False}))["incident"]
    await settled(bot)
    assert again["updated_at"] == edited["updated_at"]
    assert emptied["custom_field_entries"] == []
    assert len(cards(bot, channel)) == len(news)
    wrong = {"incident": {"severity_id": "x"}, "notify_incident_channel": True}
    assert set(await ci.refused("POST", path, wrong)) == {"/incident/severity_id"}


MISNAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "incident.io's server for MCP": (
        "/incident/incident_role_assignments/0",
        {"incident_role_assignments": [{"incident_role_id": "lead", "user_id": "U0ANA"}]},
    ),
    "an answer as it was read": (
        "/incident/custom_field_entries/0/values/0",
        {"custom_field_entries": [{"custom_field_id": "team", "values": [{"value_option": {"id": "web"}}]}]},
    ),
    "a time by another name": (
        "/incident/incident_timestamp_values/0",
        {"incident_timestamp_values": [{"incident_timestamp_id": "detected", "timestamp": "2026-01-01"}]},
    ),
    "a role that is not there": (
        "/incident/incident_role_assignments/0",
        {"incident_role_assignments": [{"incident_role_id": "x"}]},
    ),
}


def led_by(email: str) -> list[dict[str, Any]]:
    return [{"incident_role_id": "lead", "assignee": {"email": email}}]


ASSIGNEE = "/incident_role_assignments/0/assignee"
LOOKUP = "users.lookupByEmail"


def came_later(bot: RunningBot, name: str) -> Person:
    """Somebody who came to the workspace after Tocsin had started."""
    person = Person(f"U0LATER{name.upper()}", name, name.title(), f"{name}@example.com")
    bot.workspace.state.people[person.id] = person
    return person


def lead_of(incident: Any) -> str:
    roles = incident["incident_role_assignments"]
    return str(next(one for one in roles if one["role"]["id"] == "lead")["assignee"]["slack_user_id"])


async def test_a_person_whom_tocsin_has_not_met_is_named_by_the_e_mail_address_that_slack_knows(
    bot: RunningBot, ci: Client
) -> None:
    uma, vic = came_later(bot, "uma"), came_later(bot, "vic")
    incident = await ci.declare(incident_role_assignments=led_by("Uma@Example.com"))
    assert lead_of(incident) == uma.id
    body = {"incident": {"incident_role_assignments": led_by(vic.email)}, "notify_incident_channel": False}
    edited = await ci.ok("POST", f"/v2/incidents/{incident['id']}/actions/edit", body)
    assert lead_of(edited["incident"]) == vic.id
    assert len(bot.calls(LOOKUP)) == 2
    # For a while Tocsin knows whose address it is.
    await ci.declare(idempotency_key="2", incident_role_assignments=led_by(vic.email))
    assert len(bot.calls(LOOKUP)) == 2


async def test_a_declaration_that_names_a_person_by_address_is_repeated_without_asking_slack_again(
    bot: RunningBot, ci: Client
) -> None:
    first = await ci.declare(incident_role_assignments=led_by(came_later(bot, "wim").email))
    assert len(bot.calls(LOOKUP)) == 1
    again = await ci.declare(incident_role_assignments=led_by("nobody@example.com"))
    assert again["id"] == first["id"]
    assert len(bot.calls(LOOKUP)) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, "There is no such user"),
        (Fault(error="users_not_found"), "There is no such user"),
        (Fault(error="missing_scope"), "Slack does not tell whose e-mail address this is"),
    ],
)
async def test_an_address_of_nobody_or_that_slack_may_not_be_asked_for_is_refused_at_its_field(
    bot: RunningBot, ci: Client, fault: Fault | None, said: str
) -> None:
    if fault is not None:
        bot.workspace.faults.plan(LOOKUP, fault)
    body = {"idempotency_key": "2", "visibility": "public", "name": "x", "severity_id": "major"}
    body["incident_role_assignments"] = led_by("nobody@example.com")
    wrong = await ci.refused("POST", "/v2/incidents", body)
    assert set(wrong) == {ASSIGNEE}
    assert said in wrong[ASSIGNEE]


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(body='{"ok": true, "user": {}}')])
async def test_while_slack_does_not_tell_whose_address_it_is_the_client_is_asked_to_come_again(
    bot: RunningBot, ci: Client, fault: Fault
) -> None:
    body = {"idempotency_key": "3", "visibility": "public", "name": "x", "severity_id": "major"}
    body["incident_role_assignments"] = led_by("dan.away@example.com")
    bot.workspace.faults.plan(LOOKUP, fault)
    # What is wrong is told without Slack.
    assert set(await ci.refused("POST", "/v2/incidents", {**body, "name": ""})) == {"/name"}
    assert (await ci.ask("POST", "/v2/incidents", body)).status_code == 503


async def test_a_value_by_a_name_that_is_not_known_is_refused_and_empties_nothing(
    bot: RunningBot, ci: Client
) -> None:
    ben = bot.slack.person("ben")
    incident = await ci.declare(
        custom_field_entries=[{"custom_field_id": "team", "values": [{"value_option_id": "pay"}]}],
        incident_role_assignments=[{"incident_role_id": "lead", "assignee": {"id": ben}}],
        incident_timestamp_values=[{"incident_timestamp_id": "detected", "value": "2026-01-01T00:00:00Z"}],
    )
    path = f"/v2/incidents/{incident['id']}/actions/edit"
    for client, (pointer, change) in MISNAMED.items():
        body = {"incident": change, "notify_incident_channel": True}
        assert set(await ci.refused("POST", path, body)) == {pointer}, client
    shown = (await ci.ok("GET", f"/v2/incidents/{incident['id']}"))["incident"]
    for name in ("incident_role_assignments", "custom_field_entries", "incident_timestamp_values"):
        assert shown[name] == incident[name]
    gone = {"incident": {"incident_role_assignments": [{"incident_role_id": "lead"}]}}
    given_up = (await ci.ok("POST", path, {**gone, "notify_incident_channel": False}))["incident"]
    assert given_up["incident_role_assignments"] == []


async def test_an_update_is_given_once_and_has_the_id_that_lists_have(bot: RunningBot, ci: Client) -> None:
    incident = await ci.declare()
    body = {
        "idempotency_key": "u",
        "incident_id": incident["id"],
        "message": "we rolled back",
        "to_incident_status_id": "monitoring",
    }
    first = (await ci.ok("POST", "/v2/incident_updates", body))["incident_update"]
    again = (await ci.ok("POST", "/v2/incident_updates", {**body, "message": "x"}))["incident_update"]
    assert (first["message"], first["new_incident_status"]["id"]) == ("we rolled back", "monitoring")
    assert again == first
    listed = (await ci.ok("GET", f"/v2/incident_updates?incident_id={incident['id']}"))["incident_updates"]
    assert [update["id"] for update in listed] == [first["id"]]
    assert first["updater"] == {"api_key": {"id": first["updater"]["api_key"]["id"], "name": "ci"}}
    wrong = {"idempotency_key": "v", "incident_id": incident["id"], "to_severity_id": "x"}
    assert set(await ci.refused("POST", "/v2/incident_updates", wrong)) == {"/to_severity_id"}


async def test_a_declaration_of_v1_stands_below_the_message_it_comes_from(
    bot: RunningBot, ci: Client
) -> None:
    message = await said(bot, "ana", "alerts", "p99 is above 4 s")
    body = {
        "idempotency_key": "1",
        "visibility": "public",
        "mode": "real",
        "status": "fixing",
        "name": "checkout is slow",
        "severity_id": "major",
        "source_message_channel_id": message.channel,
    }
    assert set(await ci.refused("POST", "/v1/incidents", body)) == {"/source_message_timestamp"}
    body["source_message_timestamp"] = message.ts
    incident = (await ci.ok("POST", "/v1/incidents", body))["incident"]
    assert (incident["status"], incident["mode"]) == ("fixing", "real")
    await settled(bot)
    (card,) = cards(bot, bot.slack.channel("alerts"))
    assert card.thread_ts == message.ts


async def test_actions_and_follow_ups_are_added_listed_changed_and_deleted(
    bot: RunningBot, ci: Client
) -> None:
    incident = await ci.declare()
    await settled(bot)
    for path, title in (("actions", "description"), ("follow_ups", "title")):
        one, body = path.removesuffix("s"), {"incident_id": incident["id"], title: "ask the DBA"}
        ids = [(await ci.ok("POST", f"/v3/{path}", body))[one]["id"] for _ in range(3)]
        page = await ci.ok("GET", f"/v3/{path}?page_size=2&incident_id={incident['id']}")
        assert [item["id"] for item in page[path]] == ids[:2]
        rest = await ci.ok("GET", f"/v3/{path}?page_size=2&after={page['pagination_meta']['after']}")
        assert ([item["id"] for item in rest[path]], "after" in rest["pagination_meta"]) == (ids[2:], False)
        ben = bot.slack.person("ben")
        done = {title: "ask again", "status": "completed", "assignee_id": ben}
        changed = (await ci.ok("PUT", f"/v3/{path}/{ids[0]}", done))[one]
        assert (changed[title], changed["status"], changed["assignee"]["id"]) == (
            "ask again",
            "completed",
            ben,
        )
        assert changed["completed_at"]
        shown = (await ci.ok("GET", f"/v3/{path}/{ids[0]}"))[one]
        assert shown == changed
        nobodys = {title: "ask again", "status": "not_doing", "assignee_id": None}
        assert "assignee" not in (await ci.ok("PUT", f"/v3/{path}/{ids[0]}", nobodys))[one]
        assert set(await ci.refused("PUT", f"/v3/{path}/{ids[0]}", {title: " ", "status": "completed"})) == {
            f"/{title}"
        }
        await ci.ok("DELETE", f"/v3/{path}/{ids[0]}")
        assert (await ci.ask("DELETE", f"/v3/{path}/{ids[0]}")).status_code == 404
        assert len((await ci.ok("GET", f"/v3/{path}"))[path]) == 2
        other = "follow_ups" if path == "actions" else "actions"
        assert (await ci.ask("GET", f"/v3/{other}/{ids[1]}")).status_code == 404
    await settled(bot)
    channel = (await now(bot, incident)).slack_channel_id
    assert sum("deleted: ~ask again~" in words(post) for post in cards(bot, channel)) == 2


async def test_timeline_items_and_attachments_are_there_once(bot: RunningBot, ci: Client) -> None:
    incident = await declared(bot, "checkout is slow")
    at = incident.created_at - timedelta(hours=1)
    body = {
        "idempotency_key": "n",
        "incident_id": incident.id,
        "timestamp": at.isoformat(),
        "title": "the deploy began",
        "description": "of version 7",
    }
    first = (await ci.ok("POST", "/v2/incident_timeline_items", body))["incident_timeline_item"]
    again = (await ci.ok("POST", "/v2/incident_timeline_items", body))["incident_timeline_item"]
    assert first == again
    listed = await ci.ok("GET", f"/v2/incident_timeline_items?page_size=1&incident_id={incident.id}")
    assert listed["incident_timeline_items"] == [first]
    assert (first["title"], first["description"]) == ("the deploy began", "of version 7")
    body = {
        "incident_id": incident.id,
        "resource": {"resource_type": "arbitrary_url", "url": "https://example.com/1", "title": "Graph"},
    }
    known = [(await ci.ok("POST", "/v1/incident_attachments", body))["incident_attachment"] for _ in range(2)]
    assert known[0] == known[1]
    asked = f"/v1/incident_attachments?incident_id={incident.id}"
    assert (await ci.ok("GET", asked))["incident_attachments"] == known[:1]
    await ci.ok("DELETE", f"/v1/incident_attachments/{known[0]['id']}")
    assert (await ci.ok("GET", asked))["incident_attachments"] == []
    entries = [entry.verb for entry in await bot.backend.timeline(incident.id)]
    assert (entries.count("attached"), entries.count("took away the attachment")) == (1, 1)


async def test_nothing_is_promised_while_the_database_is_away(bot: RunningBot, ci: Client) -> None:
    journal = bot.folder / "journal.db"
    moved = journal.rename(journal.with_name("moved.db"))
    try:
        body = {"idempotency_key": "1", "visibility": "public", "name": "slow", "severity_id": "major"}
        answer = await ci.ask("POST", "/v2/incidents", body)
    finally:
        moved.rename(journal)
    assert (answer.status_code, answer.headers["Retry-After"].isdecimal()) == (503, True)
    assert answer.json()["errors"][0]["code"] == "unavailable"
    assert await how_many(bot) == 0
    assert (await ci.declare())["reference"] == "INC-1"


async def test_a_key_that_may_see_private_incidents_lets_people_see_one_and_ends_that(
    bot: RunningBot, keys: Keys
) -> None:
    ci, outsider = (
        await keys("ci", "view", "create", "edit", "private"),
        await keys("outsider", "view", "edit"),
    )
    secret, public = await ci.declare(visibility="private"), await ci.declare(idempotency_key="2")
    chloe = bot.slack.person("chloe")
    asked = {"incident_id": secret["id"], "user_id": chloe}
    revoke = "/v1/incident_memberships/actions/revoke"
    assert (await outsider.ask("POST", "/v1/incident_memberships", asked)).status_code == 404
    assert (await ci.ask("POST", revoke, asked)).status_code == 404
    for _ in range(2):
        made = await ci.ask("POST", "/v1/incident_memberships", asked)
        assert made.status_code == 201
        assert made.json()["incident_membership"]["user"]["slack_user_id"] == chloe
        assert [one.slack_user_id for one in (await now(bot, secret)).members] == [chloe]
    assert (await outsider.ask("POST", revoke, asked)).status_code == 404
    assert (await ci.ask("POST", revoke, asked)).status_code == 204
    assert (await now(bot, secret)).members == ()
    wrong = await ci.refused(
        "POST", "/v1/incident_memberships", {"incident_id": public["id"], "user_id": chloe}
    )
    assert list(wrong) == ["/incident_id"]
    await settled(bot)


async def test_a_key_that_is_used_again_tells_nothing_of_another_incident(
    bot: RunningBot, ci: Client
) -> None:
    incident = await ci.declare()
    other = await ci.declare(idempotency_key="2", name="keys leaked")
    body = {"idempotency_key": "u", "incident_id": other["id"], "message": "we rolled back"}
    await ci.ok("POST", "/v2/incident_updates", body)
    noted = {
        "idempotency_key": "n",
        "incident_id": other["id"],
        "timestamp": "2026-03-01T12:00:00Z",
        "title": "the deploy began",
    }
    await ci.ok("POST", "/v2/incident_timeline_items", noted)
    await changed(bot, await now(bot, other), "ana", visibility="private")
    for path, asked in (("/v2/incident_updates", body), ("/v2/incident_timeline_items", noted)):
        assert (await ci.ask("POST", path, asked)).status_code == 404
        said = await ci.refused("POST", path, {**asked, "incident_id": incident["id"]})
        assert said == {"/idempotency_key": "This idempotency key was used for another incident."}


async def test_a_time_that_no_year_has_is_refused(ci: Client) -> None:
    incident = await ci.declare()
    for moment in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"):
        body = {"idempotency_key": moment, "incident_id": incident["id"], "timestamp": moment, "title": "x"}
        assert set(await ci.refused("POST", "/v2/incident_timeline_items", body)) == {"/timestamp"}


async def test_what_was_merged_into_an_incident_that_is_private_now_does_not_name_it(
    bot: RunningBot, ci: Client
) -> None:
    incident, into = await ci.declare(), await ci.declare(idempotency_key="2", name="keys leaked")
    change = {"merged_into": into["reference"], "incident_status_id": "merged"}
    await changed(bot, await now(bot, incident), "ana", **change)
    path = f"/v2/incident_timeline_items?incident_id={incident['id']}"
    assert into["reference"] in str(await ci.ok("GET", path))
    await changed(bot, await now(bot, into), "ana", visibility="private")
    assert into["reference"] not in str(await ci.ok("GET", path))
    assert "a private incident" in str(await ci.ok("GET", path))
