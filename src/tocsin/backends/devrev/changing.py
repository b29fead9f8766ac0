"""A change to an incident in DevRev: the fields that are set, then who did what, as comments."""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.actions.ports import Memory
from tocsin.backends.devrev import mapping
from tocsin.backends.devrev.client import DevRevRefused
from tocsin.backends.devrev.crew import Crew, Member
from tocsin.backends.devrev.declaring import number_of
from tocsin.backends.devrev.kept import Kept
from tocsin.backends.devrev.org import Org, incident_in
from tocsin.backends.devrev.timeline import note
from tocsin.backends.devrev.wire import IncidentTold, SetIds, StageChange, UpdateIncident
from tocsin.incidents.errors import OutcomeUnknown, Overtaken, Refused, Unavailable
from tocsin.incidents.model import Form, Incident, Person, PersonId, TimelineEntry
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import UPDATE_VERBS, VERBS

LACKS = {
    "private": "DevRev cannot hold private incidents.",
    "merge": "DevRev cannot merge incidents. Close this one, and say in it which one it belongs to.",
    "decline": "DevRev has no declined incidents. Close it, and say why it is none.",
    "cancel": "DevRev has no canceled incidents. Close it, and say that it was declared by mistake.",
    "accept": "DevRev has no triage of incidents. Set the status instead.",
    "action": "DevRev keeps no actions with an incident. Open an issue there, or write it into the channel.",
    "follow-up": "DevRev keeps no follow-ups with an incident. Open an issue there for it.",
}
"""What cannot be done here, said before anything is typed."""


class Changing:
    """The changes to the incidents of one organisation. DevRev has no lock: the last write wins."""

    def __init__(self, org: Org, crew: Crew, memory: Memory) -> None:
        self._org = org
        self._crew = crew
        self._memory = memory

    async def change(self, form: Form, incident_id: str, change: IncidentChange) -> Incident:
        """Change it, once for its key. What was done before an answer was lost is done again with no harm."""
        done = f"devrev/change/{change.key}"
        told = await self._org.fetch_here(incident_id)
        if await self._memory.recall(done) is not None:
            return await self._org.incident(told)
        _refuse_lacking(change)
        self._refuse_unknown(form, change)
        _refuse_overtaken(told, form, change)
        kept = await self._org.keeper.of(told.id)
        members = await self._members(change, kept.team)
        kept = self._kept(kept, change, members)
        request = self._request(told, kept, change, members)
        if request != UpdateIncident(id=told.id):
            told = await self._updated(request)
        await self._org.keeper.keep(told.id, kept)
        for what, verb, text in self._told(form, change, members):
            entry = TimelineEntry(at=change.at, by=change.by, verb=verb, text=text)
            await note(self._org.client, told.id, entry, f"{change.key}:{what}")
        await self._memory.remember(done, told.id)
        return await self._org.incident(told)

    async def _updated(self, request: UpdateIncident) -> IncidentTold:
        try:
            return incident_in(await self._org.client.do("incidents.update", request.wire()), Unavailable)
        except DevRevRefused as refusal:
            block = mapping.BLOCKS.get(refusal.field.partition(".")[0], "")
            block = "incident_status_id" if block == "stage" else block
            raise Refused(refusal.sentence, {block: refusal.sentence} if block else {}) from None
        except OutcomeUnknown as error:
            # The same values are set again: nobody need know whether they arrived.
            raise Unavailable(str(error), error.retry_after) from None

    async def _members(self, change: IncidentChange, team: str) -> dict[PersonId, Member]:
        held = {person for person in change.incident_role_assignments.values() if person}
        known = {person.slack_user_id: person for person in change.assignees}
        return await self._crew.members(
            {person: known.get(person) or Person(slack_user_id=person) for person in held}, team
        )

    def _kept(self, kept: Kept, change: IncidentChange, members: dict[PersonId, Member]) -> Kept:
        roles, owner = dict(kept.roles), kept.owner
        for role_id, person in change.incident_role_assignments.items():
            if person is None:
                roles.pop(role_id, None)
            else:
                roles[role_id] = members[person].person
            if self._is_lead(role_id):
                owner = (members[person].devrev_id or "") if person else ""
        return kept.model_copy(update={"roles": roles, "owner": owner})

    def _is_lead(self, role_id: str) -> bool:
        return self._org.lead is not None and self._org.lead.id == role_id

    def _request(
        self, told: IncidentTold, kept: Kept, change: IncidentChange, members: dict[PersonId, Member]
    ) -> UpdateIncident:
        owner: SetIds | None = None
        for role_id, person in change.incident_role_assignments.items():
            if not self._is_lead(role_id):
                continue
            found = members[person].devrev_id if person else None
            if person and found is None:
                sentence = f"DevRev knows no active person with {members[person].name}'s e-mail address."
                raise Refused(sentence, {f"incident_role_assignments.{role_id}": sentence})
            owner = SetIds(set=[found] if found else [])
        mode = "test" if told.title.startswith(mapping.TEST) else "standard"
        return UpdateIncident(
            id=told.id,
            title=None if change.name is None else mapping.titled(change.name, mode),
            body=self._body(told, kept, change, members),
            severity=number_of(change.severity_id, "severity_id"),
            stage=StageChange(stage=change.incident_status_id) if change.incident_status_id else None,
            owned_by=owner,
        )

    def _body(
        self, told: IncidentTold, kept: Kept, change: IncidentChange, members: dict[PersonId, Member]
    ) -> str | None:
        """The body with its summary and its lines on who does what, where one of them changes."""
        others = [role for role in change.incident_role_assignments if not self._is_lead(role)]
        if change.summary is None and not others:
            return None
        body = told.body or ""
        last = mapping.mark_of(body)
        holders = [
            (role.name, members[who].name if who in members else Member(person=person).name)
            for role in self._org.roles
            if (person := kept.roles.get(role.id)) is not None
            and not self._is_lead(role.id)
            and (who := person.slack_user_id or PersonId(""))
        ]
        return mapping.composed(
            mapping.summary_of(body) if change.summary is None else change.summary,
            mapping.reporter_of(body) or kept.reporter.name or "somebody",
            holders,
            mapping.source_of(body),
            last if last.startswith("tocsin:") else None,
        )

    @staticmethod
    def _refuse_unknown(form: Form, change: IncidentChange) -> None:
        wrong: dict[str, str] = {}
        if change.severity_id is not None and form.severity(change.severity_id) is None:
            wrong["severity_id"] = "That severity no longer exists. Choose another."
        if change.incident_status_id is not None and form.status(change.incident_status_id) is None:
            wrong["incident_status_id"] = "That status no longer exists. Choose another."
        for role_id in change.incident_role_assignments:
            if form.role(role_id) is None:
                wrong[f"incident_role_assignments.{role_id}"] = "That role no longer exists. Leave it empty."
        if wrong:
            raise Refused("Some fields need another look.", wrong)

    def _told(
        self, form: Form, change: IncidentChange, members: dict[PersonId, Member]
    ) -> Iterator[tuple[str, str, str]]:
        """What happened: what sets it apart, the verb, and the new value."""
        if change.name is not None:
            yield "name", VERBS["name"], change.name
        if change.summary is not None:
            yield "summary", VERBS["summary"], change.summary
        if change.severity_id is not None and (severity := form.severity(change.severity_id)):
            yield "severity_id", VERBS["severity_id"], severity.name
        status = form.status(change.incident_status_id) if change.incident_status_id else None
        if status is not None:
            yield "incident_status_id", VERBS["incident_status_id"], status.name
        for role_id, person in change.incident_role_assignments.items():
            role = form.role(role_id)
            name = role.name if role else role_id
            if person is None:
                yield role_id, "gave up the role", name
            elif person == change.by.slack_user_id:
                yield role_id, "took the role", name
            else:
                yield role_id, f"set {name} to", members[person].name
        if change.message:
            closes = status is not None and not status.is_open
            yield "message", UPDATE_VERBS[closes], change.message


def _refuse_lacking(change: IncidentChange) -> None:
    if change.visibility == "private":
        raise Refused(LACKS["private"])
    if change.merged_into is not None:
        raise Refused(LACKS["merge"])


def _refuse_overtaken(told: IncidentTold, form: Form, change: IncidentChange) -> None:
    """Compared with what DevRev says now: between this look and the write somebody may still be quicker."""
    status = mapping.status_of(told.stage)
    if change.seen_status_id is None or status.id in {change.seen_status_id, change.incident_status_id}:
        return
    by = told.modified_by.name if told.modified_by else ""
    reference = mapping.reference_of(told)
    sentence = f"{reference} is {status.name} by now{f', last changed by {by}' if by else ''}."
    raise Overtaken(f"{sentence} Nothing was changed: look again.", {"incident_status_id": sentence})
