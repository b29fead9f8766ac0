"""Each verb, over each backend: it does what it says, or the backend says in its form that it cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN, declaration

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, FieldValue, Form, Incident, TimelineEntry
from tocsin.incidents.requests import DeclareRequest, FollowUpChange, FollowUpRequest, IncidentChange
from tocsin.incidents.tracker import issue_at
from tocsin.incidents.transitions import Ending, apply_transition, validate_change
from tocsin.incidents.validation import is_visible_to, validate_declaration
from tocsin.slack import commands
from tocsin.slack.listeners.verbs import VerbSpec
from tocsin.workflows.ports import Channel, IncidentBackend

pytestmark = pytest.mark.asyncio

LATER = DAWN + timedelta(minutes=5)
NOTE = TimelineEntry(at=LATER, by=ANA, verb="noted:", text="The door was open.")


class Desk:
    """One incident, and the verbs as the actions ask a backend for them."""

    def __init__(self, keeps: IncidentBackend, form: Form, incident: Incident) -> None:
        self.keeps, self.form, self.incident = keeps, form, incident
        self._keys = iter(range(100))

    async def change(self, ending: Ending | None = None, **what: Any) -> None:
        by = ANA if what.keys() & {"invited", "removed"} else BEN
        asked = IncidentChange(key=f"change-{next(self._keys)}", by=by, at=LATER, **what)
        now = await self.now()
        asked = apply_transition(asked, ending, now, self.form) if ending else asked
        await self.keeps.change(now.id, validate_change(asked, now, self.form))

    async def now(self) -> Incident:
        found = await self.keeps.find(self.incident.id)
        assert found is not None
        return found

    async def said(self) -> str:
        return " ".join(f"{entry.verb} {entry.text}" for entry in await self.keeps.timeline(self.incident.id))

    def another(self, choices: Any, now: Any) -> Any:
        return next(one for one in choices if one.name != now.name)


async def update(desk: Desk) -> bool:
    await desk.change(message="It is being rolled back.")
    return "It is being rolled back." in await desk.said()


async def status(desk: Desk) -> bool:
    live = [one for one in desk.form.statuses if one.category == "live"]
    wanted = desk.another(live, desk.incident.incident_status)
    await desk.change(incident_status_id=wanted.id)
    return (await desk.now()).incident_status.name == wanted.name


async def severity(desk: Desk) -> bool:
    wanted = desk.another(desk.form.severities, desk.incident.severity)
    await desk.change(severity_id=wanted.id)
    found = (await desk.now()).severity
    return found is not None and found.name == wanted.name


async def role(desk: Desk) -> bool:
    await desk.change(incident_role_assignments={"communications": BEN.slack_user_id})
    held = (await desk.now()).incident_role_assignments
    people = {a.role.id: a.assignee.slack_user_id for a in held if a.assignee}
    return people.get("communications") == BEN.slack_user_id


async def rename(desk: Desk) -> bool:
    await desk.change(name="Payments are slow")
    return (await desk.now()).name == "Payments are slow"


async def summary(desk: Desk) -> bool:
    await desk.change(summary="A lock in the database.")
    return (await desk.now()).summary == "A lock in the database."


async def time(desk: Desk) -> bool:
    timestamps = desk.form.incident_timestamps
    wanted = timestamps[1].id if timestamps else "fixed"
    await desk.change(incident_timestamp_values={wanted: DAWN})
    set_to = (await desk.now()).timestamp(wanted)
    await desk.change(incident_timestamp_values={wanted: None})
    return set_to == DAWN and (await desk.now()).timestamp(wanted) is None


async def retro(desk: Desk) -> bool:
    asked = DeclareRequest(name="It was slow", severity_id=declaration().severity_id, mode="retrospective")
    values = {timestamp.id: DAWN for timestamp in desk.form.incident_timestamps[:1]}
    asked = validate_declaration(asked.model_copy(update={"incident_timestamp_values": values}), desk.form)
    over = declaration("over", mode=asked.mode, incident_timestamp_values=asked.incident_timestamp_values)
    made = await desk.keeps.create(over)
    return (
        made.is_retrospective
        and not made.incident_status.is_open
        and len(made.incident_timestamp_values) == 1
    )


async def call(desk: Desk) -> bool:
    await desk.change(call_url="https://zoom.example.com/1")
    return (await desk.now()).call_link == "https://zoom.example.com/1"


async def fields(desk: Desk) -> bool:
    detected = next(one for one in desk.form.custom_fields if one.id.endswith("detected_by"))
    ticket = next(one for one in desk.form.custom_fields if one.id.endswith("customer_or_ticket"))
    chosen = FieldValue(value_option=detected.options[1])
    written = FieldValue(value_text="TKT-7")
    await desk.change(custom_field_entries={detected.id: (chosen,), ticket.id: (written,)})
    before = await desk.now()
    await desk.change(custom_field_entries={ticket.id: ()})
    after = await desk.now()
    answers = {
        name: [v.shown for v in before.answers(name)] for name in ("detected_by", "customer_or_ticket")
    }
    assert answers == {"detected_by": [detected.options[1].value], "customer_or_ticket": ["TKT-7"]}
    assert before.answers("detected_by") == after.answers("detected_by")
    assert not after.answers("customer_or_ticket")
    said = await desk.said()
    return detected.options[1].value in said and ticket.name in said


async def note(desk: Desk) -> bool:
    for _ in range(2):
        await desk.keeps.note(desk.incident.id, NOTE, "note")
    return (await desk.said()).count("The door was open.") == 1


async def unnote(desk: Desk) -> bool:
    await desk.keeps.note(desk.incident.id, NOTE, "note")
    await desk.keeps.unnote(desk.incident.id, "note")
    return "The door was open." not in await desk.said()


RUNBOOK, ISSUE = "https://wiki.example.com/alerts", "https://github.com/acme/web/issues/12"


def to_do(kind: Any) -> Callable[[Desk], Awaitable[bool]]:
    async def added_and_done(desk: Desk) -> bool:
        asked = FollowUpRequest(
            key="todo", by=ANA, at=LATER, kind=kind, text="Add an alert", runbook_url=RUNBOOK
        )
        added = await desk.keeps.add_follow_up(desk.incident.id, asked)
        change = FollowUpChange(key="taken", by=BEN, at=LATER, assignee=BEN, issue_url=ISSUE)
        for _ in range(2):
            await desk.keeps.change_follow_up(added.id, change)
        await desk.keeps.complete_follow_up(added.id, BEN, LATER, "done")
        (found,) = await desk.keeps.follow_ups(desk.incident.id)
        assert found.assignee is not None
        assert found.assignee.slack_user_id == BEN.slack_user_id
        assert (found.runbook_url, found.external_issue_reference) == (RUNBOOK, issue_at(ISSUE))
        return (found.kind, found.text, found.is_done) == (kind, "Add an alert", True)

    return added_and_done


async def close(desk: Desk) -> bool:
    await desk.change("close", message="A restart helped.")
    return (await desk.now()).incident_status.category == "closed"


async def reopen(desk: Desk) -> bool:
    await desk.change("close")
    await desk.change("reopen")
    return (await desk.now()).incident_status.is_open


def from_triage(ending: Ending, category: str) -> Callable[[Desk], Awaitable[bool]]:
    async def out_of_triage(desk: Desk) -> bool:
        triage = [one for one in desk.form.statuses if one.category == "triage"]
        if triage:
            await desk.change(incident_status_id=triage[0].id)
        await desk.change(ending)
        return (await desk.now()).incident_status.category == category

    return out_of_triage


async def cancel(desk: Desk) -> bool:
    await desk.change("cancel")
    return (await desk.now()).incident_status.category == "canceled"


async def merge(desk: Desk) -> bool:
    other = await desk.keeps.create(declaration("other"))
    await desk.change("merge", merged_into=other.reference)
    return (await desk.now()).incident_status.category == "merged"


async def private(desk: Desk) -> bool:
    await desk.change(visibility="private")
    return (await desk.now()).is_private


async def a_private_one(desk: Desk) -> None:
    """Go on with a private incident where there are any; else with one that has a channel."""
    if desk.form.offers_private:
        desk.incident = await desk.keeps.create(declaration("secret", visibility="private"))
    elif not desk.keeps.makes_channel:
        await desk.keeps.set_channel(desk.incident.id, Channel(id=ChannelId("C0INC1"), name="inc-1"))


async def invite(desk: Desk) -> bool:
    await a_private_one(desk)
    await desk.change(invited=(BEN.slack_user_id,), assignees=(BEN,))
    now, said = await desk.now(), await desk.said()
    return is_visible_to(BEN.slack_user_id, now) and f"invited {BEN.name}" in said


async def remove(desk: Desk) -> bool:
    if "remove" not in desk.form.lacks:
        await a_private_one(desk)
        await desk.change(invited=(BEN.slack_user_id,), assignees=(BEN,))
    await desk.change(removed=(BEN.slack_user_id,), assignees=(BEN,))
    return not is_visible_to(BEN.slack_user_id, await desk.now())


CARRIED: dict[str, Callable[[Desk], Awaitable[bool]]] = {
    "update": update,
    "status": status,
    "severity": severity,
    "role": role,
    "invite": invite,
    "remove": remove,
    "rename": rename,
    "summary": summary,
    "call": call,
    "fields": fields,
    "time": time,
    "retro": retro,
    "note": note,
    "unnote": unnote,
    "action": to_do("action"),
    "follow-up": to_do("follow_up"),
    "close": close,
    "reopen": reopen,
    "accept": from_triage("accept", "live"),
    "decline": from_triage("decline", "declined"),
    "cancel": cancel,
    "merge": merge,
    "private": private,
}
AS_A_ROLE = {"lead", "take"}
"""What gives somebody a role, as `role` does."""
OURS = {"export", "document", "follow", "unfollow", "catchup", "snooze", "page"}
"""What needs no more of a backend than to be read: Tocsin sends it, and keeps who asked for it."""


async def test_every_verb_about_an_incident_is_tried() -> None:
    about_one = {word for word, spec in commands.VERBS.items() if isinstance(spec, VerbSpec)}
    assert about_one - AS_A_ROLE - OURS <= set(CARRIED)
    assert not OURS & set(CARRIED)


@pytest.mark.parametrize("verb", CARRIED)
async def test_a_verb_does_what_it_says_or_the_form_says_before_that_it_cannot(
    backend: IncidentBackend, verb: str
) -> None:
    incident = await backend.create(declaration())
    desk = Desk(backend, await backend.form(), incident)
    if verb not in desk.form.lacks:
        assert await CARRIED[verb](desk)
        return
    before, sentence = await desk.now(), desk.form.lacks[verb]
    with pytest.raises(Refused) as refused:
        await CARRIED[verb](desk)
    assert sentence in {refused.value.sentence, *refused.value.fields.values()}
    assert await desk.now() == before
    assert sentence.endswith(".")


async def test_a_backend_lacks_nothing_but_verbs(backend: IncidentBackend) -> None:
    assert set((await backend.form()).lacks) <= set(CARRIED)
