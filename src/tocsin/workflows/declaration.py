"""The declare command, and its outcomes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from tocsin.incidents.announcements import Announcement
from tocsin.incidents.model import ChannelId, FrozenModel, Incident, MessageTs
from tocsin.incidents.requests import Declaration


class DeclareCommand(FrozenModel):
    """A declaration with where it came from and the modal it was made in."""

    declaration: Declaration
    origin: ChannelId | None = None
    thread: MessageTs | None = None
    view_id: str | None = None
    another: bool = False
    announcement: Announcement = Announcement()
    """All that the rules say of it: a later change of the rules changes no workflow that has begun."""
    withheld: str = ""
    """The reason why no card goes back to where it was declared; empty where one does."""
    unchecked: str = ""
    """The reason why it is not known that the reporter may declare; empty where it is."""
    run: str = ""
    """The run of a workflow's step that declares it (Slack, `function_execution_id`); empty for none."""


class Declared(FrozenModel):
    kind: Literal["declared"] = "declared"
    incident: Incident


class AlreadyDeclared(FrozenModel):
    """Another person declared an incident from the same message first."""

    kind: Literal["already"] = "already"
    incident: Incident


class NotDeclared(FrozenModel):
    kind: Literal["refused"] = "refused"
    sentence: str
    fields: dict[str, str] = Field(default_factory=dict)

    @property
    def in_full(self) -> str:
        """All that is wrong, for where no field can be marked."""
        return " ".join([self.sentence, *self.fields.values()])


Outcome = Annotated[Declared | AlreadyDeclared | NotDeclared, Field(discriminator="kind")]
AnyOutcome = Declared | AlreadyDeclared | NotDeclared
OUTCOME: TypeAdapter[AnyOutcome] = TypeAdapter(Outcome)
