"""The declare command and its possible outcomes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from tocsin.incidents.announcements import Announcement
from tocsin.incidents.model import ChannelId, FrozenModel, Incident, MessageTs
from tocsin.incidents.requests import Declaration


class DeclareCommand(FrozenModel):
    """A declaration, with the channel and thread that it came from and the modal it was submitted in."""

    declaration: Declaration
    origin: ChannelId | None = None
    thread: MessageTs | None = None
    view_id: str | None = None
    another: bool = False
    announcement: Announcement = Announcement()
    """Result of the announcement rules, stored so that a change of the rules changes no running workflow."""
    withheld: str = ""
    """Reason why no card is posted where it was declared; empty if one is."""
    unchecked: str = ""
    """Reason why the reporter's permission could not be checked; empty if it was."""
    run: str = ""
    """Run of the Workflow Builder step that declares it (Slack, `function_execution_id`); empty if none."""


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
        """The sentence and all field errors in one text, for places that cannot mark a field."""
        return " ".join([self.sentence, *self.fields.values()])


Outcome = Annotated[Declared | AlreadyDeclared | NotDeclared, Field(discriminator="kind")]
AnyOutcome = Declared | AlreadyDeclared | NotDeclared
OUTCOME: TypeAdapter[AnyOutcome] = TypeAdapter(Outcome)
