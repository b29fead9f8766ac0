"""Requests of API keys: the same durable workflows as from Slack, with the key as their actor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from pydantic import Field

from tocsin.incidents.announcements import AnnouncementRule, announcement_for
from tocsin.incidents.api_keys import ApiKey
from tocsin.incidents.calls import CallRule, call_for
from tocsin.incidents.errors import Conflict, NotPermitted, Refused, SlackRefused, Unavailable, gone
from tocsin.incidents.model import (
    ChannelId,
    FollowUp,
    Form,
    FrozenModel,
    Incident,
    Person,
    PersonId,
    SourceMessage,
    StartStatus,
    TeamId,
    TimelineEntry,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import (
    Declaration,
    DeclareRequest,
    FollowUpChange,
    FollowUpRequest,
    IncidentChange,
)
from tocsin.incidents.validation import (
    parse_changed_fields,
    parse_custom_fields,
    refuse_times,
    validate_declaration,
)
from tocsin.workflows.change import ChangeCommand
from tocsin.workflows.command import AnyChange, Changed, NotChanged
from tocsin.workflows.declaration import DeclareCommand, NotDeclared
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.followups import AddFollowUpCommand, ChangeFollowUpCommand
from tocsin.workflows.ports import Clock, IncidentBackend
from tocsin.workflows.registry import IncidentWorkflows
from tocsin.workflows.timeline import NoteCommand

KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000027")
"""Namespace of the keys of what API keys ask for."""

PATIENCE = 8.0
"""Seconds that a request waits for its outcome."""

SAVED = "This is saved, and not done yet. Send it again, with the same idempotency_key if it has one."
SAVED_ALONE = "This is saved, and will be done. Look whether it is there before you send it again."
"""Answer to a late request that has no idempotency key, so that a repeat would be another one."""

USED_BEFORE = "This idempotency key was used for another incident."
OVER = "An incident starts open: declare with the mode retrospective what is closed, or close it afterwards."
NO_STATUS = "There is no such status here."
NO_PRIVATE = "This key may not declare private incidents: it needs the scope private."
NO_ROLE = gone("role", "Leave it empty.")
NO_USER = "There is no such user: name them by `slack_user_id`, or by an `email` that Slack knows."
NOBODY = PersonId("")
"""Place of a person in a role until Slack has told whose e-mail address it is."""

ROLE = "incident_role_assignments."

MOST_CONFLICTS = 5
"""Times that a request is tried while others change the status, of which a client has seen none."""


class ApiDeclaration(DeclareRequest):
    """A declaration as a key asks for it, not yet validated."""

    slack_team_id: TeamId = TeamId("")
    """Workspace; empty for the only one in which Tocsin is installed."""
    source: SourceMessage | None = None
    incident_status_id: str | None = None
    assignee_emails: dict[str, str] = Field(default_factory=dict)
    """E-mail addresses, by role, of people whom Slack is to be asked for."""


class ApiChange(FrozenModel):
    """A change as a key asks for it, not yet validated; what is None or left out stays as it is."""

    message: str = ""
    name: str | None = None
    summary: str | None = None
    severity_id: str | None = None
    incident_status_id: str | None = None
    call_url: str | None = None
    incident_role_assignments: dict[str, PersonId | None] = Field(default_factory=dict)
    assignee_emails: dict[str, str] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    incident_timestamp_values: dict[str, datetime | None] = Field(default_factory=dict)


CheckAssignees = Callable[[Mapping[str, PersonId | None], bool], Awaitable[tuple[Person, ...]]]
"""Checks people by the field that names them, for a private incident or not; returns them with their names.

Raises Refused with a sentence for each field, and Unavailable if Slack must answer first.
"""


@dataclass(frozen=True)
class ApiWorkspace:
    """A workspace in which keys declare and change incidents."""

    team: TeamId
    check_assignees: CheckAssignees
    withheld: Callable[[ChannelId], Awaitable[str]]
    """Returns the reason for posting no card in this channel; empty if one may be posted."""
    permalink: Callable[[SourceMessage], str | None]
    find_by_email: Callable[[str], Awaitable[Person | None]]
    """Returns the person whom Slack knows by this e-mail address; None if it knows none.

    Raises Unavailable if Slack does not answer, and SlackRefused.
    """
    enterprise: str = ""
    rules: tuple[AnnouncementRule, ...] = ()
    calls: tuple[CallRule, ...] = ()


@dataclass(frozen=True)
class ApiWorkspaces:
    """The workspaces of all keys."""

    find: Callable[[TeamId], Awaitable[ApiWorkspace]]
    """Returns the workspace with this id, for an empty id the only one. Raises Refused if that is none."""
    of_incident: Callable[[Incident], ApiWorkspace]


class KeyRequests:
    """Requests of API keys. One instance serves the whole process.

    Each returns what came of it. It raises Refused with the fields that are wrong, Conflict if another change
    came first, and Unavailable if it could not be saved, or is saved and not done within PATIENCE.
    """

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        declare: DeclareIncident,
        workflows: IncidentWorkflows,
        form: Callable[[], Awaitable[Form]],
        workspaces: ApiWorkspaces,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._declare = declare
        self._workflows = workflows
        self._form = form
        self._workspaces = workspaces
        self._clock = clock

    # Declare an incident.

    async def declare(self, by: ApiKey, idempotency_key: str, asked: ApiDeclaration) -> Incident:
        """Declare an incident, once for each idempotency key of this API key: a repeat returns the first one.

        Its channel and its cards follow. Nothing is asked of Slack that cannot wait, but for people who are
        given a role.
        """
        key, earlier = await self._earlier(_key(by, "declare", idempotency_key))
        if earlier is None:
            earlier = await self._command(by, key, asked)
        if isinstance(earlier, DeclareCommand):
            earlier = await self._declared(earlier)
        return await self._backend.find(earlier.id) or earlier

    async def _earlier(self, key: str) -> tuple[str, Incident | DeclareCommand | None]:
        """Return what was declared with this key, or is being declared, with the key that is to be used.

        A declaration that was refused created nothing, so that the corrected one has another key.
        """
        while (outcome := await self._declare.outcome(key)) is not None:
            if not isinstance(outcome, NotDeclared):
                return key, outcome.incident
            key = str(uuid5(NAMESPACE_OID, key))
        return key, await self._declare.find_command(key)

    async def _declared(self, command: DeclareCommand) -> Incident:
        outcome = await self._declare(command, _answered(), PATIENCE)
        if outcome is None:
            raise Unavailable(SAVED, 1.0)
        if isinstance(outcome, NotDeclared):
            raise Refused(outcome.sentence, outcome.fields)
        return outcome.incident

    async def _command(self, by: ApiKey, key: str, asked: ApiDeclaration) -> DeclareCommand:
        """Validate a declaration and return the command. Raises Refused, NotPermitted and Unavailable."""
        workspace = await self._workspaces.find(asked.slack_team_id)
        form, now = await self._form(), self._clock()
        start, emails = _start(asked, form), asked.assignee_emails
        if wrong := dict(refuse_times(asked.incident_timestamp_values.items(), _times(form), now)):
            raise Refused("Some fields need another look.", wrong)
        roles = {**dict.fromkeys(emails, NOBODY), **asked.incident_role_assignments}
        given = asked.model_copy(update={"status": start, "incident_role_assignments": roles})
        request = validate_declaration(given, form, now)
        private = request.visibility == "private"
        if private and not by.may("private"):
            raise NotPermitted(NO_PRIVATE)
        # Slack is asked last: what is wrong is told without it.
        roles |= await _found_by_email(workspace, emails)
        request = request.model_copy(update={"incident_role_assignments": roles})
        custom, own = parse_custom_fields(request, form, {})
        declaration = Declaration(
            key=key,
            **request.model_dump(exclude=_NOT_DECLARED),
            incident_status_id=asked.incident_status_id if start == "live" else None,
            custom_field_entries=custom,
            backend_entries=own,
            slack_team_id=workspace.team,
            slack_enterprise_id=workspace.enterprise,
            source=_with_link(asked.source, workspace),
            reporter=Person(),
            automation=by.automation,
            assignees=await workspace.check_assignees(_by_field(request.incident_role_assignments), private),
            at=now,
        )
        return await self._shown_at_its_source(declaration, form, workspace)

    async def _shown_at_its_source(
        self, declaration: Declaration, form: Form, workspace: ApiWorkspace
    ) -> DeclareCommand:
        """Return the command, which posts a card below the source message of a public incident."""
        declaration = declaration.model_copy(
            update={"call_url": call_for(workspace.calls, declaration, form)}
        )
        source = declaration.source if declaration.visibility == "public" else None
        withheld = await workspace.withheld(source.channel) if source is not None else ""
        return DeclareCommand(
            declaration=declaration,
            origin=source.channel if source is not None else None,
            thread=source.timestamp if source is not None else None,
            another=True,
            announcement=announcement_for(workspace.rules, declaration, form),
            withheld=withheld,
        )

    # Change an incident.

    async def edit(
        self, by: ApiKey, incident: Incident, asked: ApiChange, *, in_channel: bool = True
    ) -> Incident:
        """Change an incident; one that is so already stays as it is, and its channel is told nothing."""
        outcome = await self._changed(by, incident, asked, str(uuid4()), in_channel)
        if isinstance(outcome, NotChanged) and outcome.needless:
            return await self._backend.find(incident.id) or incident
        return _done(outcome).incident

    async def update(
        self, by: ApiKey, incident: Incident, idempotency_key: str, asked: ApiChange
    ) -> tuple[Incident, str]:
        """Give an update, once for each idempotency key; return the incident and the key of the change."""
        key = _key(by, "update", idempotency_key)
        done = _done(await self._changed(by, incident, asked, key))
        now = await self._same(done, incident)
        return now, done.change.key if done.change is not None else key

    async def change_member(
        self, by: ApiKey, incident: Incident, person: PersonId, *, is_member: bool
    ) -> Incident:
        """Let a person see a private incident, or end that. Raises Refused, with `user_id`, for no person."""
        own = self._own(by)
        if is_member:
            workspace = self._workspaces.of_incident(incident)
            known = await workspace.check_assignees({"user_id": person}, incident.is_private)
            change = IncidentChange(**own, invited=(person,), assignees=known)
        else:
            change = IncidentChange(**own, removed=(person,))
        team = TeamId(incident.slack_team_id)
        command = ChangeCommand(incident_id=incident.id, team=team, change=change)
        return _done(await self._workflows.change(command, None, PATIENCE)).incident

    async def _changed(
        self, by: ApiKey, incident: Incident, asked: ApiChange, key: str, in_channel: bool = True
    ) -> AnyChange | None:
        form, emails = await self._form(), asked.assignee_emails
        roles = dict(asked.incident_role_assignments)
        assignees: tuple[Person, ...] = ()
        if roles or emails:
            workspace = self._workspaces.of_incident(incident)
            if missing := {f"{ROLE}{role}": NO_ROLE for role in emails if form.role(role) is None}:
                raise Refused(NO_ROLE, missing)
            roles |= await _found_by_email(workspace, emails)
            assignees = await workspace.check_assignees(_by_field(roles), incident.is_private)
        change = IncidentChange(
            key=key,
            by=by.person,
            at=self._clock(),
            **asked.model_dump(
                exclude={"custom_field_entries", "assignee_emails", "incident_role_assignments"}
            ),
            incident_role_assignments=roles,
            custom_field_entries=parse_changed_fields(asked.custom_field_entries, {}, form),
            assignees=assignees,
        )
        command = ChangeCommand(
            incident_id=incident.id,
            team=TeamId(incident.slack_team_id),
            change=change,
            in_channel=in_channel,
        )
        for _ in range(MOST_CONFLICTS):
            # A refused change may be asked for again under its key.
            outcome = await self._workflows.change(command, None, PATIENCE)
            if not (isinstance(outcome, NotChanged) and outcome.overtaken):
                break
        return outcome

    # Actions, follow-ups and the timeline.

    async def add_follow_up(
        self, by: ApiKey, incident: Incident, asked: FollowUpRequest, assignee: PersonId | None = None
    ) -> FollowUp:
        """Add an action or follow-up; `asked` is without its key, its actor and its time."""
        given = await self._assignee(incident, assignee)
        request = asked.model_copy(update={**self._own(by), "assignee": given})
        command = AddFollowUpCommand(
            incident_id=incident.id, team=TeamId(incident.slack_team_id), request=request
        )
        return _follow_up(await self._workflows.follow_ups.add(command, None, PATIENCE), SAVED_ALONE)

    async def change_follow_up(
        self, by: ApiKey, incident: Incident, follow_up_id: str, asked: FollowUpChange, to: PersonId | None
    ) -> FollowUp:
        """Change an action or follow-up, and give it to a person; `asked` gets key, actor and time here."""
        given = await self._assignee(incident, to)
        change = asked.model_copy(update={**self._own(by), "assignee": given})
        command = ChangeFollowUpCommand(
            incident_id=incident.id,
            team=TeamId(incident.slack_team_id),
            follow_up_id=follow_up_id,
            change=change,
        )
        return _follow_up(await self._workflows.follow_ups.change(command, None, PATIENCE))

    async def delete_follow_up(self, by: ApiKey, incident: Incident, follow_up_id: str) -> None:
        """Delete an action or follow-up."""
        asked = FollowUpChange(status="deleted", **self._own(by))
        await self.change_follow_up(by, incident, follow_up_id, asked, None)

    async def note(
        self, by: ApiKey, incident: Incident, idempotency_key: str, at: datetime, text: str
    ) -> TimelineEntry:
        """Add an item to the timeline, once for each idempotency key: a repeat returns the first one."""
        key = _key(by, "note", idempotency_key)
        command = NoteCommand(
            incident_id=incident.id,
            team=TeamId(incident.slack_team_id),
            asked=key,
            entry_key=key,
            entry=TimelineEntry(at=at, by=by.person, verb=Verb.NOTE.timeline, text=text),
        )
        now = await self._same(_done(await self._workflows.notes(command, None, PATIENCE)), incident)
        timeline = await self._backend.timeline(now.id)
        return next((entry for entry in timeline if entry.key == key), command.entry)

    async def _same(self, done: Changed, asked: Incident) -> Incident:
        """Return the incident as it is now. Raises Refused if its idempotency key was used for another."""
        if done.incident.id != asked.id:
            raise Refused(USED_BEFORE, {"idempotency_key": USED_BEFORE})
        return await self._backend.find(asked.id) or done.incident

    async def _assignee(self, incident: Incident, person: PersonId | None) -> Person | None:
        if person is None:
            return None
        workspace = self._workspaces.of_incident(incident)
        known = await workspace.check_assignees({"assignee_id": person}, incident.is_private)
        return known[0]

    def _own(self, by: ApiKey) -> dict[str, Any]:
        """Return the key, the actor and the time of a request that has no idempotency key."""
        return {"key": str(uuid4()), "by": by.person, "at": self._clock()}


_NOT_DECLARED = {
    "assignee_emails",
    "custom_field_entries",
    "backend_entries",
    "labels",
    "slack_team_id",
    "source",
    "incident_status_id",
}


def _key(by: ApiKey, what: str, idempotency_key: str) -> str:
    """Return the key of a workflow: each API key has its own space, and each kind of request."""
    return str(uuid5(KEYS, f"{by.id}/{what}/{idempotency_key}"))


def _answered() -> asyncio.Event:
    """Return an answer that has been written out: a request waits for its outcome and not for Slack."""
    answered = asyncio.Event()
    answered.set()
    return answered


async def _found_by_email(workspace: ApiWorkspace, emails: Mapping[str, str]) -> dict[str, PersonId]:
    """Return the people by role whom Slack knows by these e-mail addresses.

    Raises Refused for an address that Slack does not know, or of which it does not tell whose it is, and
    Unavailable while Slack does not answer.
    """
    addresses = list(dict.fromkeys(emails.values()))
    try:
        people = await asyncio.gather(*map(workspace.find_by_email, addresses))
    except SlackRefused as refusal:
        said = f"Slack does not tell whose e-mail address this is: {refusal.sentence}."
        raise Refused(said, {f"{ROLE}{role}.assignee": said for role in emails}) from refusal
    known = {
        address: person.slack_user_id
        for address, person in zip(addresses, people, strict=True)
        if person is not None and person.slack_user_id is not None
    }
    if unknown := {f"{ROLE}{role}.assignee": NO_USER for role, said in emails.items() if said not in known}:
        raise Refused(NO_USER, unknown)
    return {role: known[address] for role, address in emails.items()}


def _start(asked: ApiDeclaration, form: Form) -> StartStatus | None:
    """Return whether it is to start in triage. Raises Refused for a status in which nothing can start."""
    if asked.incident_status_id is None or asked.mode == "retrospective":
        return asked.status
    status = form.status(asked.incident_status_id)
    if status is None or not status.is_open:
        said = OVER if status is not None else NO_STATUS
        raise Refused(said, {"incident_status_id": said})
    return "triage" if status.is_triage else "live"


def _times(form: Form) -> set[str]:
    return {timestamp.id for timestamp in form.incident_timestamps}


def _by_field(roles: Mapping[str, PersonId | None]) -> dict[str, PersonId | None]:
    """Return the people by the field of a body that names them, with the role's id in place of its index."""
    return {f"{ROLE}{role_id}.assignee": person for role_id, person in roles.items()}


def _with_link(source: SourceMessage | None, workspace: ApiWorkspace) -> SourceMessage | None:
    return source and source.model_copy(update={"permalink": workspace.permalink(source)})


def _done(outcome: AnyChange | None, late: str = SAVED) -> Changed:
    """Return what was changed. Raises Refused, and Unavailable with this sentence if it is not done yet."""
    if outcome is None:
        raise Unavailable(late, 1.0)
    if isinstance(outcome, NotChanged):
        refuse = Conflict if outcome.overtaken else Refused
        raise refuse(outcome.sentence, outcome.fields)
    return outcome


def _follow_up(outcome: AnyChange | None, late: str = SAVED) -> FollowUp:
    done = _done(outcome, late).follow_up
    if done is None:
        raise Refused("That is not here any more.")
    return done
