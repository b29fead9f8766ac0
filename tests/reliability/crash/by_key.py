"""What a client declares and changes with a key, over HTTP; it asks again until it is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from reliability.crash.acting import Case
from reliability.crash.life import API_TOKEN
from reliability.crash.managing import SEVERITY, STATUS, UPDATED, Scenario
from reliability.crash.scenarios import alert
from reliability.crash.stage import LONGEST_ANSWER, MOST_TRIES, Stage
from reliability.history.deeds import Deed, Told, Try
from reliability.history.history import Answered, Press

NOTED, ATTACHED = "noted:", "attached"
SOON = 0.1


async def by_a_key(stage: Stage) -> None:
    """Declared, by two requests at once with one idempotency key, then changed in every way."""
    case = await declared(stage)
    await edited(case)
    await updated(case)
    await to_do(case)
    await noted(case)
    await attached(case)


async def by_a_key_in_private(stage: Stage) -> None:
    """Declared in private, with a person to lead it, and changed."""
    case = await declared(stage, visibility="private", lead=stage.slack.person("chloe"))
    await updated(case)


BY_KEY: dict[str, Scenario] = {scenario.__name__: scenario for scenario in (by_a_key, by_a_key_in_private)}


async def declared(stage: Stage, *, visibility: str = "public", lead: str = "") -> Case:
    """Declared from a message, or from nowhere; a repeat is told of the same incident."""
    token = stage.word()
    key, path = f"key-{token}", "/v2/incidents"
    body: dict[str, Any] = {
        "idempotency_key": key,
        "visibility": visibility,
        "name": f"Checkout is slow {token}",
        "severity_id": "major",
    }
    message = await alert(stage) if visibility == "public" and stage.rng.random() < 0.5 else None
    if message is not None:
        path = "/v1/incidents"
        body |= {"source_message_channel_id": message.channel, "source_message_timestamp": message.ts}
    if lead:
        body["incident_role_assignments"] = [
            {"incident_role_id": "lead", "assignee": {"slack_user_id": lead}}
        ]
    source = (message.channel, message.ts) if message is not None else None
    origin = message.channel if message is not None else None
    stage.presses.append(Press(key, "", token, origin=origin, message=source, another=True))
    state = _as_in_a_form(visibility, lead)
    await asyncio.gather(*(_declared(stage, key, path, body, state) for _ in range(2)))
    await _declared(stage, key, path, {**body, "name": "Something else"}, state)
    await stage.lives.quiet()
    return Case(stage, token)


def _as_in_a_form(visibility: str, lead: str) -> dict[str, Any]:
    state: dict[str, Any] = {"visibility": {"visibility": {"value": visibility}}}
    if lead:
        state["incident_role_assignments.lead"] = {"lead": {"selected_user": lead}}
    return state


async def _declared(stage: Stage, key: str, path: str, body: dict[str, Any], state: dict[str, Any]) -> None:
    """Ask until it is answered; each answer is on the record."""
    for _ in range(MOST_TRIES):
        told, answer = await asked(stage, "POST", path, body)
        reference = answer["incident"]["reference"] if told == "done" else ""
        said = "declared" if told == "done" else told
        stage.answered.append(Answered(key, said, reference, state))
        if told == "done":
            return


async def edited(case: Case) -> None:
    """Its severity and its name."""
    name = f"Payments hang {case.token} {case.stage.word()}"
    body = {"incident": {"severity_id": "critical", "name": name}, "notify_incident_channel": True}
    await done(
        case,
        Deed(
            *("rename", "", case.token, ()),
            entries=(SEVERITY, "renamed it to"),
            sets={"severity_id": "critical", "name": name},
        ),
        *("POST", f"/v2/incidents/{case.row['id']}/actions/edit", body),
    )


async def updated(case: Case) -> None:
    """An update with a new status, under an idempotency key."""
    word = case.stage.word()
    body = {
        "idempotency_key": word,
        "incident_id": case.row["id"],
        "message": f"it is warm again {word}",
        "to_incident_status_id": "monitoring",
    }
    deed = Deed(
        *("update", "", case.token, ()),
        entries=(STATUS,),
        worded=UPDATED,
        sets={"incident_status_id": "monitoring"},
    )
    await done(case, deed, "POST", "/v2/incident_updates", body, word)


async def to_do(case: Case) -> None:
    """An action: added, and done."""
    body = {"incident_id": case.row["id"]}
    added: Any = None
    tries: list[Try] = []
    while len(tries) < MOST_TRIES and added is None:
        # It has no idempotency key, so that each request is another action.
        word = case.stage.word()
        told, answer = await asked(
            case.stage, "POST", "/v3/actions", {**body, "description": f"grow the disk {word}"}
        )
        tries.append(Try(told, word))
        added = answer["action"] if told == "done" else None
    case.stage.deeds.append(Deed("action", "", case.token, tuple(tries), adds="action"))
    await case.stage.lives.quiet()
    if added is not None:
        text = added["description"]
        deed = Deed("done", "", case.token, (), completes=text)
        path = f"/v3/actions/{added['id']}"
        await done(case, deed, "PUT", path, {"description": text, "status": "completed"})


async def noted(case: Case) -> None:
    word = case.stage.word()
    body = {
        "idempotency_key": word,
        "incident_id": case.row["id"],
        "timestamp": "2026-01-02T03:04:05Z",
        "title": f"graphs look odd {word}",
    }
    deed = Deed("note", "", case.token, (), worded=NOTED)
    await done(case, deed, "POST", "/v2/incident_timeline_items", body, word)


async def attached(case: Case) -> None:
    resource = {"resource_type": "arbitrary_url", "url": f"https://example.com/{case.stage.word()}"}
    body = {"incident_id": case.row["id"], "resource": resource}
    await done(
        case,
        Deed("attach", "", case.token, (), entries=(ATTACHED,)),
        "POST",
        "/v1/incident_attachments",
        body,
    )


async def done(case: Case, deed: Deed, method: str, path: str, body: dict[str, Any], word: str = "") -> None:
    """Ask until it is answered, and put it on the record."""
    tries: list[Try] = []
    while len(tries) < MOST_TRIES and not (tries and tries[-1].told in {"done", "refused"}):
        tries.append(Try((await asked(case.stage, method, path, body))[0], word))
    assert tries[-1].told == "done", (deed, tries)
    case.stage.deeds.append(Deed(**{**vars(deed), "tries": tuple(tries)}))
    await case.stage.lives.quiet()


async def asked(stage: Stage, method: str, path: str, body: dict[str, Any]) -> tuple[Told, Any]:
    """One request, and what became of it; `cut off` where the bot died before it had answered."""
    life = await stage.lives.alive()
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{life.port}", trust_env=False, timeout=LONGEST_ANSWER
        ) as http:
            answer = await http.request(method, path, json=body, headers=headers)
    except httpx.TransportError:
        await life.dead.wait()
        return "cut off", None
    if answer.status_code == 503:
        await asyncio.sleep(SOON)
        return "not saved", None
    assert answer.is_success, answer.text
    return "done", answer.json()
