"""The rules in `TOCSIN_CONFIG`: who may do what, what is announced where, and who is brought in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tocsin.config import problem
from tocsin.incidents.announcements import AnnouncementRule
from tocsin.incidents.model import Mode
from tocsin.incidents.permissions import Limits
from tocsin.incidents.postmortem import STANDARD, Afterwards, wrong_in
from tocsin.settings import ConfigurationError, Settings, read_config

# Where there are several workspaces, `T…/` before an id says of which it is.
_THERE = r"^(T[A-Z0-9]{2,}/)?"
GroupId = Annotated[str, StringConstraints(pattern=rf"{_THERE}S[A-Z0-9]{{2,}}$")]
ChannelName = Annotated[str, StringConstraints(pattern=rf"{_THERE}[CG][A-Z0-9]{{2,}}$")]
Invited = Annotated[str, StringConstraints(pattern=rf"{_THERE}(S[A-Z0-9]{{2,}}|@[a-z0-9._-]{{1,80}})$")]
Names = tuple[str, ...]

_SHAPES = {
    "permissions": "give a user group's id, which begins with S",
    "channels": "give a channel's id, which begins with C",
    "invite": "give a user group, by its id (it begins with S) or its handle, such as '@oncall'",
}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Permissions(_Table):
    """`[permissions]`: the user groups to which a verb is limited."""

    declare: tuple[GroupId, ...] = ()
    close: tuple[GroupId, ...] = ()
    private: tuple[GroupId, ...] = ()
    guests_may_declare: bool = False


class Announcing(_Table):
    """`[[announcements]]`."""

    severities: Names = ()
    incident_types: Names = ()
    custom_fields: dict[str, Names] = Field(default_factory=dict)
    modes: tuple[Mode, ...] = ("standard",)
    channels: tuple[ChannelName, ...] = ()
    invite: tuple[Invited, ...] = ()

    @model_validator(mode="after")
    def _does_something(self) -> Announcing:
        if not self.channels and not self.invite:
            raise ValueError("says nothing to do; give channels, invite, or both")
        return self


class After(_Table):
    """`[after]`: what is done once an incident has ended."""

    template: str | None = None
    archive_after_days: int | None = Field(default=None, ge=1, le=3650)
    archive_hosted: bool = False


class Rulebook(_Table):
    """Everything in the configuration file that is not about what an incident is made of."""

    permissions: Permissions = Permissions()
    announcements: tuple[Announcing, ...] = Field(default=(), max_length=50)

    after: After = After()
    template: str = Field(default=STANDARD, exclude=True)

    def of(self, team: str) -> Rulebook:
        """The rules of one workspace: what names another is not for it, and what names none is for all."""
        permissions = _of(self.permissions, team, "declare", "close", "private")
        announcements = tuple(_of(rule, team, "channels", "invite") for rule in self.announcements)
        return self.model_copy(update={"permissions": permissions, "announcements": announcements})

    @property
    def afterwards(self) -> Afterwards:
        days, hosted = self.after.archive_after_days, self.after.archive_hosted
        return Afterwards(template=self.template, archive_after_days=days, archive_hosted=hosted)

    @property
    def limits(self) -> Limits:
        return Limits(**self.permissions.model_dump())

    @property
    def rules(self) -> tuple[AnnouncementRule, ...]:
        return tuple(AnnouncementRule(**rule.model_dump()) for rule in self.announcements)

    @property
    def groups(self) -> tuple[str, ...]:
        """Every user group that is named, by id or handle."""
        limited = (*self.permissions.declare, *self.permissions.close, *self.permissions.private)
        return tuple(dict.fromkeys((*limited, *(g for rule in self.announcements for g in rule.invite))))

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(channel for rule in self.announcements for channel in rule.channels))


T = TypeVar("T", bound=_Table)


def _of(table: T, team: str, *named: str) -> T:
    """The table with what it names in this workspace, without the workspace's id."""
    found = {}
    for name in named:
        places = [entry.rpartition("/") for entry in getattr(table, name)]
        found[name] = tuple(entry for home, _, entry in places if home in ("", team))
    return table.model_copy(update=found)


KEYS = frozenset(Rulebook.model_fields) - {"template"}


def open_rulebook(settings: Settings) -> Rulebook:
    """The rules, none where there is no file. Raises ConfigurationError with a line for each problem."""
    rules = read_rules(read_config(settings.tocsin_config))
    if rules.after.template is None or settings.tocsin_config is None:
        return rules
    return rules.model_copy(
        update={"template": _template(settings.tocsin_config.parent / rules.after.template)}
    )


def _template(path: Path) -> str:
    """The document's template, beside the configuration unless its path says otherwise."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"TOCSIN_CONFIG: after.template cannot be read ({path}): {error}.") from None
    if wrong := wrong_in(text):
        raise ConfigurationError(f"TOCSIN_CONFIG: after.template ({path}) {wrong}.")
    return text


def read_rules(config: Mapping[str, Any]) -> Rulebook:
    try:
        return Rulebook.model_validate({key: config[key] for key in KEYS if key in config})
    except ValidationError as error:
        lines = [_line(trouble) for trouble in error.errors()]
        raise ConfigurationError("\n".join(f"TOCSIN_CONFIG: {line}" for line in lines)) from None


def _line(trouble: Any) -> str:
    told: str = problem(trouble, _known(trouble["loc"]))
    shape = next((_SHAPES[part] for part in reversed(trouble["loc"]) if part in _SHAPES), "")
    if trouble["type"] == "string_pattern_mismatch" and shape:
        return f"{told.partition(': ')[0]}: {shape}"
    return told


def _known(place: Sequence[Any]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "permissions": Permissions,
        "announcements": Announcing,
        "after": After,
    }
    return list(tables[str(place[0])].model_fields)
