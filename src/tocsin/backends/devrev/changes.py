"""Updates of a DevRev incident, and its timeline's comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tocsin.backends.devrev import mapping
from tocsin.backends.devrev.account import DevRevAccount, Member, UserDirectory, incident_in
from tocsin.backends.devrev.api_models import (
    EntryResponse,
    Impact,
    IncidentResponse,
    SetIds,
    SetTags,
    StageChange,
    UpdateIncident,
)
from tocsin.backends.devrev.client import DevRevClient, DevRevRefused
from tocsin.backends.devrev.create import key_of, number_of
from tocsin.backends.devrev.fields import IMPACT, PARTS, TAGS, chosen_ids, chosen_tags
from tocsin.backends.devrev.form import block_of, to_devrev
from tocsin.backends.devrev.mapping import StoredExtras, as_typed, inert
from tocsin.incidents.errors import Conflict, OutcomeUnknown, Refused, Unavailable, gone
from tocsin.incidents.model import SOMEBODY, Form, Incident, Person, PersonId, TimelineEntry, display_name
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import TIMELINE_VERBS, UPDATE_VERBS, call_words, timeline_of_field
from tocsin.workflows.ports import KeyValueStore

# The timeline: comments in DevRev, each added once for its key.

OURS = "tocsin"
VERB, BY, AT = "verb:", "by:", "at:"
LABEL_LIMIT = 64
"""Most characters of a label; a comment has at most 16 labels (Timeline Entries, Create)."""

NAME_LIMIT = 40
"""Characters of a custom field's name in a comment, so that the label with its verb is not cut."""

REF_LIMIT = 512
"""Most characters of an `external_ref`, which is unique within an object (Timeline Entries, Create)."""


async def note(client: DevRevClient, incident_id: str, entry: TimelineEntry, key: str) -> None:
    """Add an internal comment, once for its key: by default customers could see it."""
    reference = key_of(key)[:REF_LIMIT]
    try:
        await client.do(
            "timeline-entries.create",
            {
                "type": "timeline_comment",
                "object": incident_id,
                "body": _said(entry),
                "body_type": "text",
                "external_ref": reference,
                "visibility": "internal",
                "labels": _labels(entry),
            },
        )
    except DevRevRefused as refusal:
        # DevRev refuses a used reference, so an earlier attempt may have added the comment.
        if refusal.status == 404 or await _find(client, incident_id, reference) is None:
            raise
    except OutcomeUnknown as error:
        # The reference makes a repeat harmless, so the outcome need not be known.
        raise Unavailable(str(error), error.retry_after) from None


async def unnote(client: DevRevClient, incident_id: str, key: str) -> None:
    """Delete the comment with this key (Timeline Entries, Get by `external_ref`, and Delete)."""
    entry_id = await _find(client, incident_id, key_of(key)[:REF_LIMIT])
    if entry_id is None:
        return
    try:
        await client.do("timeline-entries.delete", {"id": entry_id})
    except DevRevRefused as refusal:
        if not refusal.is_missing:
            raise


async def _find(client: DevRevClient, incident_id: str, reference: str) -> str | None:
    try:
        answer = await client.ask("timeline-entries.get", {"id": incident_id, "external_ref": reference})
    except DevRevRefused as refusal:
        if refusal.is_missing:
            return None
        raise
    entry = answer.get("timeline_entry")
    return str(entry["id"]) if isinstance(entry, dict) and entry.get("id") else None


async def timeline(client: DevRevClient, incident: Incident) -> Sequence[TimelineEntry]:
    """Return the declaration and every comment, oldest first."""
    severity = f" ({incident.severity.name})" if incident.severity else ""
    entries = [
        TimelineEntry(
            at=incident.created_at, by=incident.creator, verb="declared", text=f"{incident.name}{severity}"
        )
    ]
    async for found in client.pages("timeline-entries.list", {"object": incident.id}, "timeline_entries"):
        entry = _read(found)
        if entry is not None:
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry.at)


def _said(entry: TimelineEntry) -> str:
    who = _name(entry.by)
    response = " ".join(part for part in (who, entry.verb) if part)
    return inert(f"{response.removesuffix(':')}: {entry.text}" if entry.text else response)


def _name(by: Person | None) -> str:
    return (by.name or "Somebody in Slack") if by is not None and by != Person() else ""


def _labels(entry: TimelineEntry) -> list[str]:
    """Return labels with verb, time and actor, which the comment's text gives only to people.

    They are cut to the length that DevRev takes.
    """
    by = entry.by.slack_user_id if entry.by else None
    labels = [OURS, f"{VERB}{entry.verb}", f"{AT}{entry.at.astimezone(UTC).isoformat()}"]
    labels += [f"{BY}{by}"] if by else []
    return [label[:LABEL_LIMIT] for label in labels]


def _read(found: dict[str, Any]) -> TimelineEntry | None:
    """Return a comment as a timeline entry; None for other events and deleted comments."""
    try:
        response = EntryResponse.model_validate(found)
    except ValidationError:
        return None
    if response.type != "timeline_comment" or not response.body:
        return None
    at = response.created_date or datetime.fromtimestamp(0, UTC)
    if OURS in response.labels:
        return _ours(response, at)
    by = response.created_by
    person = Person(name=by.name or None, email=by.email) if by else None
    return TimelineEntry(at=at, by=person, verb="commented", text=as_typed(response.body))


def _ours(response: EntryResponse, at: datetime) -> TimelineEntry:
    labels = {label.partition(":")[0]: label.partition(":")[2] for label in response.labels}
    verb, who = labels.get("verb", ""), labels.get("by")
    with suppress(ValueError):
        at = datetime.fromisoformat(labels["at"]) if "at" in labels else at
    name, found, text = (
        as_typed(response.body).partition(verb.removesuffix(":")) if verb else ("", "", response.body)
    )
    by = Person(slack_user_id=PersonId(who) if who else None, name=name.strip() or None)
    return TimelineEntry(
        at=at, by=by if by != Person() else None, verb=verb or found, text=text.removeprefix(": ")
    )


# Changes: one update with the fields that are set, then one comment for each thing that changed.

UNSUPPORTED = {
    "private": "DevRev cannot hold private incidents.",
    "merge": "DevRev cannot merge incidents. Close this one, and say in it which one it belongs to.",
    "decline": "DevRev has no declined incidents. Close it, and say why it is none.",
    "cancel": "DevRev has no canceled incidents. Close it, and say that it was declared by mistake.",
    "accept": "DevRev has no triage of incidents. Set the status instead.",
    "action": "DevRev keeps no actions with an incident. Open an issue there, or write it into the channel.",
    "remove": "DevRev cannot hold private incidents: everybody in this workspace sees all of them.",
    "follow-up": "DevRev keeps no follow-ups with an incident. Open an issue there for it.",
    "time": "DevRev keeps dates of its own with an incident. Set them on its page there.",
    "retro": "DevRev has no retrospective incidents. Declare it as one of now, and close it.",
}
"""Verbs that DevRev does not support, each with a sentence shown before typing."""


DATES = ("acknowledged_date", "mitigated_date")
"""Dates that a change fills in by itself; an organisation of an earlier time may not have them."""


class IncidentEditor:
    """Changes to the incidents of one organisation. DevRev has no lock: the last write wins."""

    def __init__(self, account: DevRevAccount, directory: UserDirectory, store: KeyValueStore) -> None:
        self._account = account
        self._directory = directory
        self._store = store

    async def change(self, form: Form, incident_id: str, change: IncidentChange) -> Incident:
        """Apply the change, once for its key. Steps repeated after a lost answer have no further effect."""
        done = f"devrev/change/{change.key}"
        response = await self._account.fetch_here(incident_id)
        if await self._store.get(done) is not None:
            return await self._account.incident(response)
        _refuse_lacking(change)
        self._refuse_unknown(form, change)
        _refuse_conflict(response, form, change)
        kept = await self._account.extras.get(response.id)
        members = await self._members(change, kept.team)
        before, kept = kept, self._kept(kept, change, members)
        request = self._request(response, before, kept, change, members)
        update = {**self._dates(response, form, change), **await self._fields(response, change)}
        request = request.model_copy(update=update)
        if request != UpdateIncident(id=response.id):
            response = await self._updated(request)
        await self._account.extras.set(response.id, kept)
        for what, verb, text in self._timeline_entry(form, change, members):
            entry = TimelineEntry(at=change.at, by=change.by, verb=verb, text=text)
            await note(self._account.client, response.id, entry, f"{change.key}:{what}")
        await self._store.set(done, response.id)
        return await self._account.incident(response)

    async def _updated(self, request: UpdateIncident) -> IncidentResponse:
        try:
            return incident_in(await self._account.client.do("incidents.update", request.wire()), Unavailable)
        except DevRevRefused as refusal:
            if refusal.field in DATES and getattr(request, refusal.field) is not None:
                # An organisation without this date is changed without it.
                return await self._updated(request.model_copy(update={refusal.field: None}))
            block = block_of(refusal.field, self._account.choices)
            block = "incident_status_id" if block == "stage" else block
            raise Refused(refusal.sentence, {block: refusal.sentence} if block else {}) from None
        except OutcomeUnknown as error:
            # A repeat sets the same values, so the outcome need not be known.
            raise Unavailable(str(error), error.retry_after) from None

    async def _members(self, change: IncidentChange, team: str) -> dict[PersonId, Member]:
        held = {person for person in change.incident_role_assignments.values() if person}
        known = {person.slack_user_id: person for person in change.assignees}
        return await self._directory.members(
            {person: known.get(person) or Person(slack_user_id=person) for person in held}, team
        )

    def _kept(
        self, kept: StoredExtras, change: IncidentChange, members: dict[PersonId, Member]
    ) -> StoredExtras:
        roles, owner = dict(kept.roles), kept.owner
        for role_id, person in change.incident_role_assignments.items():
            if person is None:
                roles.pop(role_id, None)
            else:
                roles[role_id] = members[person].person
            if self._is_lead(role_id):
                owner = (members[person].devrev_id or "") if person else ""
        call_url = kept.call_url if change.call_url is None else change.call_url
        return kept.model_copy(update={"roles": roles, "owner": owner, "call_url": call_url})

    def _is_lead(self, role_id: str) -> bool:
        return self._account.lead is not None and self._account.lead.id == role_id

    def _request(
        self,
        response: IncidentResponse,
        before: StoredExtras,
        kept: StoredExtras,
        change: IncidentChange,
        members: dict[PersonId, Member],
    ) -> UpdateIncident:
        owner: SetIds | None = None
        lead = mapping.lead_of(response, before)
        leading = lead.id if lead is not None else ""
        for role_id, person in change.incident_role_assignments.items():
            if not self._is_lead(role_id):
                continue
            found = members[person].devrev_id if person else None
            if person and found is None:
                sentence = f"DevRev knows no active person with {members[person].name}'s e-mail address."
                raise Refused(sentence, {f"incident_role_assignments.{role_id}": sentence})
            others = [one.id for one in response.owned_by if one.id not in {"", found, leading}]
            owner = SetIds(set=[*([found] if found else []), *others])
        mode = "test" if response.title.startswith(mapping.TEST) else "standard"
        return UpdateIncident(
            id=response.id,
            title=None if change.name is None else mapping.title_of(change.name, mode),
            body=self._body(response, kept, change, members),
            severity=number_of(change.severity_id, "severity_id"),
            stage=StageChange(stage=change.incident_status_id) if change.incident_status_id else None,
            owned_by=owner,
        )

    def _dates(self, response: IncidentResponse, form: Form, change: IncidentChange) -> dict[str, datetime]:
        """Return the dates that this change is the first to fill: those of a lead and of a fixed stage."""
        dates: dict[str, datetime] = {}
        given = (self._is_lead(role) for role, person in change.incident_role_assignments.items() if person)
        if response.acknowledged_date is None and any(given):
            dates["acknowledged_date"] = change.at
        stage = form.status(change.incident_status_id or "")
        if response.mitigated_date is None and stage is not None and mapping.is_mitigated(stage):
            dates["mitigated_date"] = change.at
        return dates

    async def _fields(self, response: IncidentResponse, change: IncidentChange) -> dict[str, Any]:
        """Return what an update sends of the fields that the change names, custom ones and DevRev's own."""
        given = change.custom_field_entries
        if not given:
            return {}
        own = {field.id: given[field.id] for field in (PARTS, IMPACT, TAGS) if field.id in given}
        impact = next(iter(own.get(IMPACT.id, ())), None)
        if impact is None and IMPACT.id in own:
            said = "The impact can only be emptied in DevRev. Choose another value."
            raise Refused(said, {IMPACT.id: said})
        custom = {field_id: values for field_id, values in given.items() if field_id not in own}
        fields, schemas = to_devrev(custom, await self._account.known_choices(), response.subtype)
        parts, tags = chosen_ids(own.get(PARTS.id)), chosen_tags(own.get(TAGS.id), response)
        return {
            "applies_to_parts": None if parts is None else SetIds(set=parts),
            "tags": None if tags is None else SetTags(set=tags),
            "impact": Impact(count=number_of(impact.entered, IMPACT.id)) if impact is not None else None,
            "custom_fields": fields or None,
            "custom_schema_spec": schemas,
        }

    def _body(
        self,
        response: IncidentResponse,
        kept: StoredExtras,
        change: IncidentChange,
        members: dict[PersonId, Member],
    ) -> str | None:
        """Return the new body if the summary or a role other than the lead changes, else None."""
        others = [role for role in change.incident_role_assignments if not self._is_lead(role)]
        if change.summary is None and not others:
            return None
        body = response.body or ""
        last = mapping.mark_of(body)
        holders = [
            (role.name, members[who].name if who in members else Member(person=person).name)
            for role in self._account.roles
            if (person := kept.roles.get(role.id)) is not None
            and not self._is_lead(role.id)
            and (who := person.slack_user_id or PersonId(""))
        ]
        return mapping.compose_body(
            mapping.text_of(body) if change.summary is None else inert(change.summary, body),
            mapping.reporter_of(body) or _reporter(kept),
            holders,
            mapping.source_of(body),
            last if last.startswith("tocsin:") else None,
        )

    @staticmethod
    def _refuse_unknown(form: Form, change: IncidentChange) -> None:
        wrong: dict[str, str] = {}
        if change.severity_id is not None and form.severity(change.severity_id) is None:
            wrong["severity_id"] = gone("severity")
        if change.incident_status_id is not None and form.status(change.incident_status_id) is None:
            wrong["incident_status_id"] = gone("status")
        for role_id in change.incident_role_assignments:
            if form.role(role_id) is None:
                wrong[f"incident_role_assignments.{role_id}"] = gone("role", "Leave it empty.")
        if wrong:
            raise Refused("Some fields need another look.", wrong)

    def _timeline_entry(
        self, form: Form, change: IncidentChange, members: dict[PersonId, Member]
    ) -> Iterator[tuple[str, str, str]]:
        """Yield each thing that changed: the suffix of its key, its verb, and its new value."""
        if change.name is not None:
            yield "name", TIMELINE_VERBS["name"], change.name
        if change.summary is not None:
            yield "summary", TIMELINE_VERBS["summary"], change.summary
        if change.severity_id is not None and (severity := form.severity(change.severity_id)):
            yield "severity_id", TIMELINE_VERBS["severity_id"], severity.name
        status = form.status(change.incident_status_id) if change.incident_status_id else None
        if status is not None:
            yield "incident_status_id", TIMELINE_VERBS["incident_status_id"], status.name
        if change.call_url is not None:
            yield "call_url", TIMELINE_VERBS["call_url"], call_words(change.call_url)
        yield from self._people_entries(form, change, members)
        if change.message:
            closes = status is not None and not status.is_open
            yield "message", UPDATE_VERBS[closes], change.message

    def _people_entries(
        self, form: Form, change: IncidentChange, members: dict[PersonId, Member]
    ) -> Iterator[tuple[str, str, str]]:
        """Yield each role that was given and each person who was invited, as `_timeline_entry` does."""
        for role_id, person in change.incident_role_assignments.items():
            role = form.role(role_id)
            name = role.name if role else role_id
            if person is None:
                yield role_id, "gave up the role", name
            elif person == change.by.slack_user_id:
                yield role_id, "took the role", name
            else:
                yield role_id, f"set {name} to", members[person].name
        for person in change.invited:
            invited = next((one for one in change.assignees if one.slack_user_id == person), None)
            yield f"invited:{person}", Verb.INVITE.timeline, display_name(invited) or SOMEBODY
        for field_id, values in change.custom_field_entries.items():
            field = form.custom_field(field_id) or form.backend_field(field_id)
            verb, text = timeline_of_field((field.name if field else field_id)[:NAME_LIMIT], values)
            yield f"custom_field_entries.{field_id}", verb, text


def _reporter(kept: StoredExtras) -> str:
    """Return the name of the person who declared it in Slack; "" for what began in DevRev."""
    return display_name(kept.reporter) if kept.reporter != Person() else ""


def _refuse_lacking(change: IncidentChange) -> None:
    if change.removed:
        raise Refused(UNSUPPORTED["remove"])
    if change.visibility == "private":
        raise Refused(UNSUPPORTED["private"])
    if change.merged_into is not None:
        raise Refused(UNSUPPORTED["merge"])
    if change.incident_timestamp_values:
        raise Refused(UNSUPPORTED["time"])


def _refuse_conflict(response: IncidentResponse, form: Form, change: IncidentChange) -> None:
    """Raise Conflict if the status is no longer the one the person saw.

    Another person may still change it between this look and the update.
    """
    status = mapping.status_of(response.stage)
    if change.seen_status_id is None or status.id in {change.seen_status_id, change.incident_status_id}:
        return
    by = response.modified_by.name if response.modified_by else ""
    reference = mapping.reference_of(response)
    sentence = f"{reference} is {status.name} by now{f', last changed by {by}' if by else ''}."
    raise Conflict(f"{sentence} Nothing was changed: look again.", {"incident_status_id": sentence})
