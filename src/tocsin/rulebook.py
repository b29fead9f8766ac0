"""The rules in `TOCSIN_CONFIG`: who may do what, what is announced where, and who is brought in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tocsin.backends.catalogue import problem
from tocsin.incidents.announcing import AnnouncementRule
from tocsin.incidents.model import Mode
from tocsin.incidents.permissions import Limits
from tocsin.settings import ConfigurationError, Settings, read_config

GroupId = Annotated[str, StringConstraints(pattern=r"^S[A-Z0-9]{2,}$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[CG][A-Z0-9]{2,}$")]
Invited = Annotated[str, StringConstraints(pattern=r"^(S[A-Z0-9]{2,}|@[a-z0-9._-]{1,80})$")]
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


class Rulebook(_Table):
    """Everything in the configuration file that is not about what an incident is made of."""

    permissions: Permissions = Permissions()
    announcements: tuple[Announcing, ...] = Field(default=(), max_length=50)

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


KEYS = frozenset(Rulebook.model_fields)


def open_rulebook(settings: Settings) -> Rulebook:
    """The rules, none where there is no file. Raises ConfigurationError with a line for each problem."""
    return read_rules(read_config(settings.tocsin_config))


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
    tables: dict[str, type[BaseModel]] = {"permissions": Permissions, "announcements": Announcing}
    return list(tables[str(place[0])].model_fields)
