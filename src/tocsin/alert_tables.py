"""`[[alert_sources]]` and `[[alert_rules]]` in the configuration file, and the tokens of the sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from tocsin.incidents.alert_payloads import AlertSource, AlertSourceKind, AlertTemplate, path_of
from tocsin.incidents.alerts import GROUP, Action, AlertRule
from tocsin.incidents.model import TeamId, Visibility
from tocsin.settings import SHORTEST_SECRET
from tocsin.workflows.ports import CheckResult

SOURCE_ID = r"^[a-z0-9][a-z0-9_-]{0,59}$"
_THERE = r"^(T[A-Z0-9]{2,}/)?"
Channel = Annotated[str, StringConstraints(pattern=rf"{_THERE}[CG][A-Z0-9]{{2,}}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AlertTemplateTable(_Table):
    """`[alert_sources.template]`: where the parts of an alert are in the source's JSON."""

    each: str = ""
    title: str = Field(min_length=1)
    status: str = Field(min_length=1)
    resolved: tuple[str, ...] = AlertTemplate.model_fields["resolved"].default
    deduplication_key: str = Field(min_length=1)
    description: str = ""
    source_url: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class AlertSourceTable(_Table):
    """`[[alert_sources]]`: a system that sends alerts, and the environment variable of its token."""

    id: str = Field(pattern=SOURCE_ID)
    name: str = Field(default="", max_length=100)
    kind: AlertSourceKind = "http"
    token_variable: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
    team: str = Field(default="", pattern=r"^(T[A-Z0-9]{2,30})?$")
    """Workspace in which its incidents are declared; needed only where Tocsin is installed in several."""
    template: AlertTemplateTable | None = None

    @model_validator(mode="after")
    def _has_its_template(self) -> AlertSourceTable:
        if (self.kind == "template") != (self.template is not None):
            raise ValueError("kind = 'template' and the table [alert_sources.template] need each other")
        return self


class AlertRuleTable(_Table):
    """`[[alert_rules]]`: what becomes of the alerts of some sources with some labels."""

    sources: tuple[Name, ...] = ()
    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    group_by: tuple[Name, ...] = (GROUP,)
    do: Action = "triage"
    severity: str | None = Field(default=None, min_length=1)
    incident_type: str | None = Field(default=None, min_length=1)
    visibility: Visibility = "public"
    channel: Channel | None = None
    close_when_resolved: bool = False

    @field_validator("labels", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {name: (value,) if isinstance(value, str) else value for name, value in given.items()}

    @property
    def rule(self) -> AlertRule:
        return AlertRule(**self.model_dump(exclude={"channel"}), channel=self.channel or "")


def open_sources(
    tables: Iterable[AlertSourceTable], read_secret: Callable[[str], str]
) -> tuple[AlertSource, ...]:
    """Return the sources with their tokens, which are empty where the variable is not set."""
    return tuple(
        AlertSource(
            id=table.id,
            name=table.name or table.id,
            kind=table.kind,
            token=read_secret(table.token_variable),
            team=TeamId(table.team),
            template=AlertTemplate(**table.template.model_dump()) if table.template is not None else None,
        )
        for table in tables
    )


def examine_sources(
    tables: Iterable[AlertSourceTable], read_secret: Callable[[str], str]
) -> list[CheckResult]:
    """Check that each source has a token of enough characters."""
    return [_examined(table, read_secret(table.token_variable)) for table in tables]


def _examined(table: AlertSourceTable, token: str) -> CheckResult:
    name, fix = f"Alerts from {table.id}", "Set it to the output of: openssl rand -hex 32"
    if not token:
        said = "its token is not set, so no alert of it is taken."
        return CheckResult(name=name, ok=False, said=said, fix=fix)
    if len(token) < SHORTEST_SECRET or re.search(r"\s", token):
        said = f"its token has fewer than {SHORTEST_SECRET} characters, or a space in it."
        return CheckResult(name=name, ok=False, said=said, fix=fix)
    return CheckResult(name=name, ok=True, said=f"its token is set; it sends to {path_of(table.id)}.")
