"""Changes at incident.io: edits, updates, timeline items, attachments, actions and follow-ups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC
from functools import partial
from itertools import count
from typing import Any

from tocsin.backends.incident_io import api_models
from tocsin.backends.incident_io.api_models import AttachmentResponse, ToDoResponse, UserResponse
from tocsin.backends.incident_io.client import ApiError, Client
from tocsin.backends.incident_io.create import entry_payload
from tocsin.backends.incident_io.form import UNSUPPORTED, read_all
from tocsin.backends.incident_io.mapping import follow_up_of, to_refused, unknown_user, with_links
from tocsin.backends.incident_io.queries import pages, to_do_query, written
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    FollowUp,
    Form,
    Incident,
    Person,
    PersonId,
    TimelineEntry,
    display_name,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest, IncidentChange
from tocsin.incidents.transitions import is_accepted
from tocsin.incidents.validation import join_names
from tocsin.workflows.ports import KeyValueStore

SENT = "sent"
"""Value stored for an action or follow-up while it is being created; its id replaces it."""

KINDS = {
    "action": ("/v3/actions", "actions", "action"),
    "follow_up": ("/v3/follow_ups", "follow_ups", "follow_up"),
}


FindEmail = Callable[[str, Iterable[Person], PersonId], Awaitable[str]]
"""Finds a person's e-mail address, for an incident's workspace; "" if it is not known."""


async def change(
    client: Client, incident_id: str, asked: IncidentChange, form: Form, find_email: FindEmail
) -> None:
    """Edit the changed fields, then post the update. Both may be repeated (see `IncidentChange.key`).

    Source: incident.io, Incidents V2, Edit; Incident Updates V2, Create, which has an idempotency key of its
    own.
    """
    if asked.visibility == "private":
        raise Refused(UNSUPPORTED["private"], {"visibility": UNSUPPORTED["private"]})
    if asked.merged_into is not None:
        raise Refused(UNSUPPORTED["merge"])
    edited = api_models.EditedIncident(
        name=asked.name,
        summary=asked.summary,
        call_url=asked.call_url,
        incident_role_assignments=_roles(asked, form) or None,
        incident_timestamp_values=api_models.timestamps(asked.incident_timestamp_values),
        custom_field_entries=[entry_payload(*entry) for entry in asked.custom_field_entries.items()] or None,
    )
    if edited != api_models.EditedIncident():
        payload = api_models.EditPayload(incident=edited, notify_incident_channel=True)
        await _edit(client, incident_id, payload, partial(find_email, incident_id, asked.assignees))
        if not _tells(asked):
            done = TimelineEntry(at=asked.at, by=asked.by, verb="changed", text=_changed(asked, form))
            await note(client, incident_id, done, f"{asked.key}:edit")
    if _tells(asked):
        accepted = "Accepted." if _accepts(asked, form) else ""
        by = f"({display_name(asked.by)}, from Slack)"
        said = "\n\n".join(filter(None, [accepted, asked.message, by]))
        update = api_models.UpdatePayload(
            idempotency_key=asked.key,
            incident_id=incident_id,
            message=said,
            to_incident_status_id=asked.incident_status_id,
            to_severity_id=asked.severity_id,
        )
        await _sent(client, "/v2/incident_updates", update)


async def _edit(
    client: Client,
    incident_id: str,
    payload: api_models.EditPayload,
    find_email: Callable[[PersonId], Awaitable[str]],
) -> None:
    """Edit the incident; a person whose Slack id incident.io does not know is named by e-mail address."""
    path = f"/v2/incidents/{incident_id}/actions/edit"
    while True:
        try:
            await client.send("POST", path, payload.written())
            return
        except ApiError as rejected:
            body = payload.incident.model_dump(exclude_none=True)
            place = unknown_user(rejected, body)
            by_id = None if place is None else body["incident_role_assignments"][place]["assignee"]
            person = (by_id or {}).get("slack_user_id")
            email = await find_email(PersonId(person)) if person else ""
            if not email or place is None:
                raise to_refused(rejected, body) from rejected
            body["incident_role_assignments"][place]["assignee"] = {"email": email}
            payload = payload.model_copy(update={"incident": api_models.EditedIncident.model_validate(body)})


def _tells(asked: IncidentChange) -> bool:
    return bool(asked.message or asked.incident_status_id or asked.severity_id)


def _accepts(asked: IncidentChange, form: Form) -> bool:
    before, after = form.status(asked.seen_status_id or ""), form.status(asked.incident_status_id or "")
    return before is not None and after is not None and is_accepted(before.category, after.category)


def _changed(asked: IncidentChange, form: Form) -> str:
    roles = [role.name for role in form.roles if role.id in asked.incident_role_assignments]
    told = {"name": asked.name, "summary": asked.summary, "call link": asked.call_url}
    said = [*(field for field, value in told.items() if value is not None), *roles]
    for field in form.custom_fields:
        if (values := asked.custom_field_entries.get(field.id)) is not None:
            said.append(f"{field.name}: {join_names(value.shown for value in values) or 'emptied'}")
    return ", ".join([*said, *_changed_times(asked, form)])


def _changed_times(asked: IncidentChange, form: Form) -> Iterator[str]:
    for timestamp_id, at in asked.incident_timestamp_values.items():
        if (found := form.incident_timestamp(timestamp_id)) is not None:
            yield f"{found.name}: {f'{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC' if at else 'cleared'}"


def _roles(asked: IncidentChange, form: Form) -> list[api_models.RolePayload]:
    reporters = {role.id for role in form.roles if role.role_type == "reporter"}
    for role in asked.incident_role_assignments.keys() & reporters:
        said = "incident.io sets the reporter when an incident is declared, and never after."
        raise Refused(said, {f"incident_role_assignments.{role}": said})
    return [
        api_models.RolePayload(
            incident_role_id=role,
            assignee=api_models.ReferencePayload(slack_user_id=who) if who is not None else None,
        )
        for role, who in asked.incident_role_assignments.items()
    ]


async def set_call(client: Client, incident_id: str, url: str) -> None:
    """Set the call link that the rules gave the incident, which no create payload takes."""
    edited = api_models.EditedIncident(call_url=url)
    payload = api_models.EditPayload(incident=edited, notify_incident_channel=False)
    await _sent(client, f"/v2/incidents/{incident_id}/actions/edit", payload)


# Memberships of private incidents. incident.io creates and revokes them, and lists none: the bot stores them.

MEMBERSHIPS = "/v1/incident_memberships"


async def change_members(
    client: Client, store: KeyValueStore, before: Incident, asked: IncidentChange
) -> None:
    """Make the invited people members of a private incident, and revoke the membership of removed ones.

    Source: incident.io, Incident Memberships V1, Create and Revoke. A repeat changes nothing. All of them
    are added to the timeline. Raises Refused for a person whom incident.io does not know.
    """
    known = {person.slack_user_id: person for person in asked.assignees}
    for person_id in asked.invited:
        person = known.get(person_id, Person(slack_user_id=person_id))
        if before.is_private and person_id not in before.people:
            await _set_member(client, before.id, person, is_member=True)
            await _store_member(store, before.id, person)
        await _note_member(client, before.id, asked, person, Verb.INVITE)
    for person_id in asked.removed:
        person = known.get(person_id, Person(slack_user_id=person_id))
        # Before incident.io answers, so that the person sees nothing of it here from now on.
        await _forget_member(store, before.id, person_id)
        await _set_member(client, before.id, person, is_member=False)
        await _note_member(client, before.id, asked, person, Verb.REMOVE)


async def _set_member(client: Client, incident_id: str, person: Person, *, is_member: bool) -> None:
    user = await _user_id(client, person)
    if user is None and is_member:
        said = f"incident.io does not know {display_name(person)}, so they cannot see this private incident."
        raise Refused(said, {"invited": said})
    if user is None:
        return
    payload = api_models.MembershipPayload(incident_id=incident_id, user_id=user)
    path = MEMBERSHIPS if is_member else f"{MEMBERSHIPS}/actions/revoke"
    try:
        await client.send("POST", path, payload.written())
    except ApiError as rejected:
        # A membership that is there already, or is gone already, is what was asked for.
        if rejected.status != (409 if is_member else 404):
            raise to_refused(rejected, payload.model_dump()) from rejected


async def _note_member(
    client: Client, incident_id: str, asked: IncidentChange, person: Person, verb: Verb
) -> None:
    entry = TimelineEntry(at=asked.at, by=asked.by, verb=verb.timeline, text=display_name(person))
    await note(client, incident_id, entry, f"{asked.key}:{verb}:{person.slack_user_id}")


async def members_of(store: KeyValueStore | None, incident_id: str) -> tuple[Person, ...]:
    """Return the people whom the bot has made members of this incident."""
    return tuple([person async for _, person in _slots(store, incident_id) if person is not None])


async def _slots(store: KeyValueStore | None, incident_id: str) -> AsyncIterator[tuple[str, Person | None]]:
    """Yield each slot with its member; None for one who was removed. The slots are numbered without gaps."""
    for number in count():
        name = f"incident_io/member/{incident_id}/{number}"
        found = None if store is None else await store.get(name)
        if found is None:
            return
        yield name, Person.model_validate_json(found) if found else None


async def _store_member(store: KeyValueStore, incident_id: str, person: Person) -> None:
    """Store the member in the first free slot, so that two at once, also of two replicas, lose neither."""
    if person.slack_user_id in {one.slack_user_id for one in await members_of(store, incident_id)}:
        return
    written_down = person.model_dump_json()
    for number in count():
        name = f"incident_io/member/{incident_id}/{number}"
        if await store.set_if_absent(name, written_down) == written_down:
            return


async def _forget_member(store: KeyValueStore, incident_id: str, person: PersonId) -> None:
    taken = [
        name async for name, member in _slots(store, incident_id) if member and member.slack_user_id == person
    ]
    for name in taken:
        await store.set(name, "")


async def note(client: Client, incident_id: str, entry: TimelineEntry, key: str) -> None:
    """Add an item to the timeline, once for each key (Incident Timeline Items V2, Create)."""
    title = " ".join(filter(None, [display_name(entry.by), entry.verb]))
    payload = api_models.TimelinePayload(
        idempotency_key=f"{incident_id}:{key}",
        incident_id=incident_id,
        timestamp=written(entry.at),
        title=title,
        description=entry.text or None,
    )
    await _sent(client, "/v2/incident_timeline_items", payload)


async def attach(client: Client, incident_id: str, url: str, title: str) -> None:
    """Attach a link to the incident unless it has it (Incident Attachments V1, List and Create)."""
    answer = await _asked(client, "/v1/incident_attachments", [("incident_id", incident_id)])
    there = read_all(answer.get("incident_attachments"), AttachmentResponse)
    if any(found.resource.permalink == url for found in there):
        return
    resource = api_models.ResourcePayload(url=url, title=title)
    await _sent(
        client,
        "/v1/incident_attachments",
        api_models.AttachmentPayload(incident_id=incident_id, resource=resource),
    )


async def add_to_do(
    client: Client, store: KeyValueStore, incident_id: str, mode: str, request: FollowUpRequest
) -> FollowUp:
    """Create an action or a follow-up, once for each key.

    incident.io takes no idempotency key for these (Actions V3 and Follow-ups V3, Create). So `SENT` is stored
    before the request and the new id after it; a repeat, also after a crash, looks for the stored one first.
    """
    path, _, one = KINDS[request.kind]
    name = f"incident_io/to_do/{request.key}"
    if (became := await store.get(name)) is not None:
        for found in await _to_dos(client, request.kind, incident_id, mode):
            if found.id == became or (became == SENT and found.text == request.text):
                return found
    assignee = await _user_id(client, request.assignee)
    description = with_links("", runbook=request.runbook_url, issue=request.issue_url) or None
    body: api_models.Payload
    if request.kind == "action":
        said = with_links(request.text, runbook=request.runbook_url, issue=request.issue_url)
        body = api_models.ActionPayload(incident_id=incident_id, description=said, assignee_id=assignee)
    else:
        body = api_models.FollowUpPayload(
            incident_id=incident_id, title=request.text, description=description, assignee_id=assignee
        )
    await store.set(name, SENT)
    answer = await _sent(client, path, body)
    made = follow_up_of(ToDoResponse.model_validate(answer.get(one) or {}), request.kind)
    await store.set(name, made.id)
    return made


async def complete_to_do(client: Client, follow_up_id: str, mode: str) -> FollowUp:
    """Mark one as completed (Actions V3 and Follow-ups V3, Update, which require the text again)."""
    kind, found = await _to_do(client, follow_up_id, mode)
    return await _updated(client, kind, found, "completed")


ISSUE_IS_THEIRS = "incident.io linked the issue of this follow-up itself. Change it there."


async def change_to_do(client: Client, follow_up_id: str, mode: str, change: FollowUpChange) -> FollowUp:
    """Give one to a person, or write the link of its issue into its description.

    Raises Refused if incident.io does not know the person, or has linked another issue itself.
    """
    kind, found = await _to_do(client, follow_up_id, mode)
    if change.issue_url is not None and found.external_issue_reference is not None:
        raise Refused(ISSUE_IS_THEIRS, {"issue_url": ISSUE_IS_THEIRS})
    assignee = await _user_id(client, change.assignee)
    if change.assignee is not None and assignee is None:
        raise Refused(f"{display_name(change.assignee) or 'This person'} is not known at incident.io.")
    description = with_links(found.description, issue=change.issue_url)
    status: api_models.Progress = "outstanding"
    if found.status in {"completed", "not_doing"}:
        status = "completed" if found.status == "completed" else "not_doing"
    found = found.model_copy(update={"description": description})
    return await _updated(client, kind, found, status, assignee)


def incident_of_to_do(follow_up_id: str) -> str:
    """Return the id of the incident that an action or follow-up belongs to."""
    return follow_up_id.partition("/")[2].partition("/")[0]


async def _to_do(client: Client, follow_up_id: str, mode: str) -> tuple[str, ToDoResponse]:
    """Return the kind of an action or follow-up, and incident.io's answer about it. Raises Refused."""
    kind, own_id = follow_up_id.partition("/")[0], follow_up_id.rpartition("/")[2]
    if kind not in KINDS:
        raise Refused("There is no such follow-up.")
    listed = await _listed(client, kind, incident_of_to_do(follow_up_id), mode)
    found = next((one for one in listed if one.id == own_id), None)
    if found is None:
        raise Refused("That follow-up is not there any more.")
    return kind, found


async def _updated(
    client: Client,
    kind: str,
    found: ToDoResponse,
    status: api_models.Progress,
    assignee: str | None = None,
) -> FollowUp:
    """Change one, and send the rest of it as it is.

    `assignee_id` is documented as null to unassign, so what is left out might be taken away.
    """
    path, _, one = KINDS[kind]
    assignee = assignee or _id(found.assignee)
    body: api_models.Payload
    if kind == "action":
        body = api_models.ActionChange(description=found.description, status=status, assignee_id=assignee)
    else:
        body = api_models.FollowUpChange(
            title=found.title,
            status=status,
            description=found.description or None,
            assignee_id=assignee,
            assignee_team_id=_id(found.assignee_team),
            follow_up_category_id=_id(found.category),
            follow_up_priority_option_id=_id(found.priority),
            labels=found.labels or None,
        )
    answer = await _sent(client, f"{path}/{found.id}", body, "PUT")
    return follow_up_of(ToDoResponse.model_validate(answer.get(one) or {}), kind)


def _id(answer: UserResponse | api_models.LabelledResponse | None) -> str | None:
    return (answer.id or None) if answer is not None else None


async def to_dos(client: Client, incident_id: str, mode: str) -> Sequence[FollowUp]:
    found = [one for kind in KINDS for one in await _to_dos(client, kind, incident_id, mode)]
    return sorted(found, key=lambda f: f.created_at)


async def _to_dos(client: Client, kind: str, incident_id: str, mode: str) -> list[FollowUp]:
    return [follow_up_of(found, kind) for found in await _listed(client, kind, incident_id, mode)]


async def _listed(client: Client, kind: str, incident_id: str, mode: str) -> list[ToDoResponse]:
    path, name, _ = KINDS[kind]
    try:
        listed = [item async for item in pages(client, path, name, to_do_query(incident_id, mode), most=1000)]
    except ApiError as rejected:
        raise Refused(str(rejected)) from rejected
    return [found for found in read_all(listed, ToDoResponse) if found.status != "deleted"]


async def _user_id(client: Client, person: Person | None) -> str | None:
    """Return incident.io's id of a person, or None if no active user has it (Users V2, List)."""
    if person is None or not person.slack_user_id:
        return None
    answer = await _asked(client, "/v2/users", [("slack_user_id", person.slack_user_id)])
    return next((user.id for user in read_all(answer.get("users"), UserResponse) if user.is_active), None)


async def _asked(client: Client, path: str, query: Sequence[tuple[str, str]]) -> Any:
    try:
        return await client.fetch(path, query)
    except ApiError as rejected:
        raise Refused(str(rejected)) from rejected


async def _sent(client: Client, path: str, payload: api_models.Payload, method: str = "POST") -> Any:
    try:
        return await client.send(method, path, payload.written())
    except ApiError as rejected:
        body = payload.model_dump(exclude_none=True)
        raise to_refused(rejected, body.get("incident") or body) from rejected
