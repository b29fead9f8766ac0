"""Fallback channel: while the backend is unavailable, people work in a channel that the bot creates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import Context
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from tocsin.incidents.channel_names import channel_name
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import UNDECLARED, Incident, PersonId, Role, RoleAssignment, Status
from tocsin.incidents.model import Person as Somebody
from tocsin.incidents.requests import Declaration
from tocsin.workflows.channels import open_channel
from tocsin.workflows.declaration import DeclareCommand
from tocsin.workflows.ports import (
    Channel,
    Clock,
    IncidentBackend,
    KeyValueStore,
    SlackStateStore,
    WorkflowEngine,
)
from tocsin.workflows.retry import (
    ALL_DAY,
    StepFailure,
    Steps,
    best_effort,
    retry,
)
from tocsin.workflows.slack_client import SlackClient, WorkspaceOf

VERB = "shelter"
AFTER_SECONDS = 40.0
"""Seconds without an answer of the backend before the channel is created; a minute is promised to people."""

LEAST_SECONDS = 5.0
"""Seconds that a declaration from before a restart waits at least, since the backend may be back."""

LOOK_SECONDS = 2.0
OPENING_SECONDS = 30.0
OPENING = "opening"
REFUSED = "refused"
NAMES = 9


class FallbackChannel:
    """Workflow of the fallback channels, at most one for each declaration, also across crashes.

    One instance serves the whole process.
    """

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        workspace: WorkspaceOf,
        state: SlackStateStore,
        engine: WorkflowEngine,
        store: KeyValueStore,
        clock: Clock,
        after: float = AFTER_SECONDS,
    ) -> None:
        self._backend = backend
        self._workspace = workspace
        self._state = state
        self._engine = engine
        self._steps = Steps(engine)
        self._store = store
        self._clock = clock
        self._after = after
        self._watching: set[asyncio.Task[None]] = set()

    def watch(self, command: DeclareCommand, outcome: asyncio.Future[Any]) -> None:
        """Create a fallback channel if the outcome does not come in time.

        Does nothing for the local backend, which cannot be unavailable by itself, for what is over, and where
        the incident will use the channel in which people are.
        """
        declaration = command.declaration
        needs_one = declaration.mode != "retrospective" and declaration.slack_channel_id is None
        if self._backend.is_remote and needs_one:
            # DBOS would count a workflow that is started here as a child of the running one, and so among
            # its steps. A fresh context starts it on its own.
            task = asyncio.get_running_loop().create_task(self._watched(command, outcome), context=Context())
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    async def _watched(self, command: DeclareCommand, outcome: asyncio.Future[Any]) -> None:
        passed = (self._clock() - command.declaration.at).total_seconds()
        least = min(LEAST_SECONDS, self._after)
        done, _ = await asyncio.wait({outcome}, timeout=max(self._after - passed, least))
        if done:
            return
        async with best_effort("open a channel to work in"):
            await retry(self._begin, command, attempts=None)

    async def _begin(self, command: DeclareCommand) -> None:
        key = command.declaration.key
        await self._store.set_if_absent(_name(key), OPENING)
        await self._engine.start(
            VERB, str(uuid5(NAMESPACE_OID, f"{key}:shelter")), command.model_dump(mode="json")
        )

    async def refused(self, key: str) -> None:
        """Record that the declaration was refused, so that no incident will exist."""
        if self._backend.is_remote:
            await self._store.set(f"{_name(key)}:ended", REFUSED)

    async def declared_before(self, key: str, earlier: Incident) -> None:
        """Record that an incident from the same message exists already."""
        if self._backend.is_remote:
            await self._store.set(f"{_name(key)}:ended", earlier.id)

    async def found(self, key: str) -> Channel | None:
        """Return the declaration's fallback channel, if it has one; waits while it is being created."""
        for _ in range(int(OPENING_SECONDS)):
            kept = await self._store.get(_name(key))
            if kept != OPENING:
                return Channel.model_validate_json(kept) if kept else None
            await asyncio.sleep(1.0)
        return None

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = DeclareCommand.model_validate(raw)
        declaration, slack = command.declaration, self._workspace(command.declaration.slack_team_id)
        incident = _not_yet(declaration)
        opened = await self._steps.run_once(
            "open a channel to work in",
            self._open,
            slack,
            incident,
            declaration.key,
            on_failure="No channel could be opened to work in",
            returns=Channel,
            attempts=ALL_DAY,
        )
        if isinstance(opened, StepFailure):
            await self._store.delete(_name(declaration.key))
            return None
        await asyncio.gather(*self._furnish(slack, incident, opened, declaration))
        became = await self._steps.record(
            "wait for the incident", self._become, declaration.key, returns=Incident | None
        )
        await self._say(
            slack,
            PersonId(opened.id),
            "say what it became",
            _became(became, declaration),
            declaration,
            "became",
            became,
        )
        return opened.model_dump(mode="json")

    async def _open(self, slack: SlackClient, incident: Incident, key: str, again: bool) -> Channel:
        endings = (*range(1, NAMES + 1), key.replace("-", "")[:12])
        names = (channel_name("inc", incident.name, ending) for ending in endings)
        private = incident.is_private
        channel = await open_channel(slack, incident, names, private=private, again=again)
        await slack.channels.set_purpose(channel.id, incident)
        await self._store.set(_name(key), channel.model_dump_json())
        return channel

    def _furnish(
        self, slack: SlackClient, incident: Incident, channel: Channel, declaration: Declaration
    ) -> list[Awaitable[Any]]:
        here, reporter = PersonId(channel.id), declaration.reporter.slack_user_id
        known = (
            "Where incidents are kept cannot be reached just now, so this channel is here to work in. What "
            "was declared is saved and is sent as soon as it can be; then it is said here what it became."
        )
        told = (
            "What you declared is saved, and not lost: where incidents are kept cannot be reached just now. "
            f"Until it can, work in <#{channel.id}>."
        )
        furnishing = [
            self._steps.run(
                "bring people in",
                self._bring_in,
                slack,
                channel,
                incident,
                on_failure="Nobody could be brought into the channel",
                returns=list[PersonId],
                attempts=ALL_DAY,
            ),
            self._steps.run(
                "set the topic",
                slack.channels.set_topic,
                channel.id,
                incident,
                on_failure="The topic could not be set",
            ),
            self._say(slack, here, "say why it is here", known, declaration, "sheltered"),
        ]
        if reporter is not None:
            furnishing.append(self._say(slack, reporter, "tell the reporter", told, declaration, "shelter"))
        return furnishing

    async def _bring_in(self, slack: SlackClient, channel: Channel, incident: Incident) -> list[PersonId]:
        return list(await slack.channels.invite(channel.id, incident.people, incident))

    def _say(
        self,
        slack: SlackClient,
        to: PersonId,
        name: str,
        said: str,
        declaration: Declaration,
        about: str,
        became: Incident | None = None,
    ) -> Awaitable[Any]:
        if became is not None and became.is_private and declaration.visibility == "public":
            # The members of the channel may not all know of the private incident: the message is about none.
            became = None
        return self._steps.run_once(
            name,
            slack.messages.tell,
            to,
            said,
            became,
            f"{declaration.key}:{about}",
            on_failure="It could not be said",
            attempts=ALL_DAY,
        )

    async def _become(self, key: str) -> Incident | None:
        """Wait until the incident exists and return it; None if the declaration was refused."""
        while True:
            with suppress(Unavailable):
                ended = await self._store.get(f"{_name(key)}:ended")
                if ended == REFUSED:
                    return None
                incident_id = ended or await self._state.incident_id(key)
                found = None if incident_id is None else await self._backend.find(incident_id)
                if found is not None:
                    return found
            await asyncio.sleep(LOOK_SECONDS)


def _name(key: str) -> str:
    return f"shelter/{key}"


def _became(incident: Incident | None, declaration: Declaration) -> str:
    if incident is not None and incident.is_private and declaration.visibility == "public":
        return "It is declared, and private by now: its people have been told which incident it is."
    if incident is None:
        return "It was refused where incidents are kept, and who declared it has been asked to put it right."
    return f"This is *{incident.reference}*" + (f": {incident.permalink}" if incident.permalink else ".")


def _not_yet(declaration: Declaration) -> Incident:
    """Return the incident as far as the declaration tells: its people, name and visibility."""
    held = [
        RoleAssignment(role=Role(id=role, name=role), assignee=Somebody(slack_user_id=who))
        for role, who in declaration.incident_role_assignments.items()
    ]
    return Incident(
        id=declaration.key,
        reference=f"Saved {declaration.key[:8]}",
        name=declaration.name,
        summary=declaration.summary,
        incident_status=Status(id=UNDECLARED, name="Saved, not yet declared"),
        visibility=declaration.visibility,
        mode=declaration.mode,
        creator=declaration.reporter,
        incident_role_assignments=tuple(held),
        created_at=declaration.at,
        updated_at=declaration.at,
    )
