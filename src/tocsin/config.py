"""Severities, statuses, types, roles and fields in the configuration file (TOCSIN_CONFIG, TOML)."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zlib import crc32

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tocsin.incidents.defaults import (
    CUSTOM_FIELDS,
    DURATION_METRICS,
    INCIDENT_TYPES,
    ROLES,
    SEVERITIES,
    STATUSES,
    TIMESTAMPS,
)
from tocsin.incidents.model import (
    CustomField,
    FieldKind,
    FieldOption,
    Form,
    IncidentTimestamp,
    IncidentType,
    Role,
    Severity,
    Status,
)
from tocsin.incidents.requests import Declaration
from tocsin.incidents.timestamps import DurationRule, TimestampRule
from tocsin.incidents.validation import clean_text, is_visible

# Severities, statuses, types, roles and custom fields from the configuration file.

ID = r"^[a-z0-9][a-z0-9_-]{0,59}$"
CHOICE_LIMIT = 75  # Slack, option object: text is at most 75 characters
LONG_LIMIT = 2000  # Slack, input block: label and hint are at most 2000 characters
MOST_CHOICES = 100  # Slack, static select: at most 100 options

Category = Literal["triage", "declined", "merged", "canceled", "live", "learning", "closed", "paused"]


_WORDS = {
    "missing": "is needed",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}",
    "string_too_long": "shorten it to {max_length} characters",
    "string_too_short": "write something",
}


class IncidentConfigError(Exception):
    """The configuration is not valid; `problems` has one line for each error."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _ChoiceConfig(BaseModel):
    """Entry with an id, which is made from its name if the file gives none."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    id: str = Field(default="", pattern=ID)
    name: str = Field(min_length=1, max_length=CHOICE_LIMIT)
    description: str = Field(default="", max_length=LONG_LIMIT)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"name": given}
        name = given.get("name") if isinstance(given, Mapping) else None
        if not isinstance(name, str):
            return given
        name = clean_text(name) if is_visible(clean_text(name)) else ""
        return {**({"id": slug(name)} if name else {}), **given, "name": name}


class SeverityConfig(_ChoiceConfig):
    """`[[severities]]`, mildest first."""


class StatusConfig(_ChoiceConfig):
    """`[[statuses]]`, in the order in which an incident goes through them."""

    category: Category = "live"


class TypeConfig(_ChoiceConfig):
    """`[[incident_types]]`."""

    is_default: bool = False
    private_incidents_only: bool = False
    create_in_triage: Literal["always", "optional"] = "optional"


class RoleConfig(_ChoiceConfig):
    """`[[roles]]`; one is the lead, one may be the reporter, the others are custom."""

    role_type: Literal["lead", "reporter", "custom"] = "custom"
    instructions: str = Field(default="", max_length=LONG_LIMIT)
    shortform: str = Field(default="", max_length=CHOICE_LIMIT)


class OptionConfig(_ChoiceConfig):
    """One of the `options` of a select field: its text, or a table with `id` and `name`."""


class FieldConfig(_ChoiceConfig):
    """`[[custom_fields]]`."""

    field_type: FieldKind = "text"
    required: bool = False
    required_when: Literal["closing"] | None = None
    """`closing` asks for it when an incident is closed, and does not close it without an answer."""
    options: tuple[OptionConfig, ...] = Field(default=(), max_length=10_000)

    @model_validator(mode="after")
    def _options_where_chosen(self) -> FieldConfig:
        if self.field_type.endswith("_select") and not self.options:
            raise ValueError("a select field needs options, such as options = ['Website', 'API']")
        if self.options and not self.field_type.endswith("_select"):
            raise ValueError(f"a {self.field_type} field has no options; is it a single_select?")
        _refuse_repeats("options", self.options)
        return self


def _several(given: Any) -> Any:
    """Split ids that are written as one text, with spaces between them."""
    return given.split() if isinstance(given, str) else given


Ids = Annotated[tuple[str, ...], BeforeValidator(_several)]
EVENTS = ("declared", "lead")
"""Events besides a status at which a timestamp is set."""


class TimestampConfig(_ChoiceConfig):
    """`[[incident_timestamps]]`; `set_when` has ids of statuses, `declared`, or `lead` for the first lead."""

    set_when: Ids = ()
    keeps: Literal["first", "last"] = "first"


class DurationConfig(_ChoiceConfig):
    """`[[duration_metrics]]`: the time from one timestamp to another; the first counts that is set."""

    start: Ids = Field(min_length=1)
    end: Ids = Field(min_length=1)


class IncidentConfig(BaseModel):
    """Severities, statuses, types, roles and custom fields, each in the order in which forms offer them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severities: tuple[SeverityConfig, ...] = Field(
        default_factory=lambda: _read(SeverityConfig, SEVERITIES), max_length=MOST_CHOICES
    )
    statuses: tuple[StatusConfig, ...] = Field(
        default_factory=lambda: _read(StatusConfig, STATUSES), max_length=MOST_CHOICES
    )
    incident_types: tuple[TypeConfig, ...] = Field(
        default_factory=lambda: _read(TypeConfig, INCIDENT_TYPES),
        min_length=1,
        max_length=MOST_CHOICES,
    )
    roles: tuple[RoleConfig, ...] = Field(default_factory=lambda: _read(RoleConfig, ROLES), max_length=20)
    custom_fields: tuple[FieldConfig, ...] = Field(
        default_factory=lambda: _read(FieldConfig, CUSTOM_FIELDS), max_length=40
    )
    incident_timestamps: tuple[TimestampConfig, ...] = Field(
        default_factory=lambda: _read(TimestampConfig, TIMESTAMPS), max_length=20
    )
    duration_metrics: tuple[DurationConfig, ...] = Field(
        default_factory=lambda: _read(DurationConfig, DURATION_METRICS), max_length=20
    )

    @model_validator(mode="after")
    def _fits_together(self) -> IncidentConfig:
        for key in type(self).model_fields:
            _refuse_repeats(key, getattr(self, key))
        for category in ("live", "closed"):
            if not any(status.category == category for status in self.statuses):
                raise ValueError(f"statuses: one needs category = '{category}'")
        for role_type in ("lead", "reporter"):
            if sum(role.role_type == role_type for role in self.roles) > 1:
                raise ValueError(f"roles: only one can have role_type = '{role_type}'")
        always = [kind.name for kind in self.incident_types if kind.create_in_triage == "always"]
        if always and not any(status.category == "triage" for status in self.statuses):
            raise ValueError(f"statuses: {always[0]} starts in triage, so one needs category = 'triage'")
        if sum(kind.is_default for kind in self.incident_types) > 1:
            raise ValueError("incident_types: only one can have is_default = true")
        self._timestamps_fit()
        return self

    def _timestamps_fit(self) -> None:
        """Raise ValueError for an unknown id; the defaults may name what the file leaves out."""
        events = {*EVENTS, *(status.id for status in self.statuses)}
        known = {timestamp.id for timestamp in self.incident_timestamps}
        named: dict[str, list[tuple[str, set[str]]]] = {
            "incident_timestamps": [(i, events) for e in self.incident_timestamps for i in e.set_when],
            "duration_metrics": [(i, known) for e in self.duration_metrics for i in (*e.start, *e.end)],
        }
        for key in named.keys() & self.model_fields_set:
            for wanted, there in named[key]:
                if wanted not in there:
                    raise ValueError(f"{key}: there is no {wanted!r}; there are {', '.join(sorted(there))}")

    @classmethod
    def from_toml(cls, given: str | Mapping[str, Any], *, other_keys: Collection[str] = ()) -> IncidentConfig:
        """Parse a TOML text, or a table that was parsed before; keys in `elsewhere` are ignored.

        Raises IncidentConfigError with one line for each problem, naming the key.
        """
        try:
            table = tomllib.loads(given) if isinstance(given, str) else given
        except tomllib.TOMLDecodeError as error:
            raise IncidentConfigError([f"not a TOML file: {error}"]) from error
        try:
            return cls.model_validate({key: table[key] for key in table if key not in other_keys})
        except ValidationError as error:
            known = [*cls.model_fields, *other_keys]
            errors = error.errors()
            raise IncidentConfigError(
                [problem(t, known if len(t["loc"]) == 1 else ()) for t in errors]
            ) from None

    @property
    def closed_status(self) -> StatusConfig:
        """Status of an incident that is declared in retrospect: the first of category `closed`."""
        return next(status for status in self.statuses if status.category == "closed")

    @property
    def first_status(self) -> StatusConfig:
        """Status of a new incident: the first of category `live`."""
        return next(status for status in self.statuses if status.category == "live")

    def start_status(self, declaration: Declaration) -> StatusConfig:
        """Status in which this declaration starts: the first of category `triage` or `live`."""
        wanted = declaration.incident_type_id or self.default_type.id
        kinds = [kind for kind in self.incident_types if kind.id == wanted]
        always = any(kind.create_in_triage == "always" for kind in kinds)
        triage = [status for status in self.statuses if status.category == "triage"]
        if triage and (always or declaration.status == "triage"):
            return triage[0]
        asked = (one for one in self.statuses if one.id == declaration.incident_status_id)
        return next(asked, self.first_status)

    @property
    def default_type(self) -> TypeConfig:
        """Type of a declaration that names none."""
        return next((kind for kind in self.incident_types if kind.is_default), self.incident_types[0])

    def form(self) -> Form:
        """Return the choices as a form."""
        default = self.default_type
        return Form(
            severities=tuple(
                Severity(id=e.id, name=e.name, description=e.description, rank=rank)
                for rank, e in enumerate(self.severities)
            ),
            statuses=tuple(
                Status(id=e.id, name=e.name, description=e.description, category=e.category, rank=rank)
                for rank, e in enumerate(self.statuses)
            ),
            incident_types=tuple(
                IncidentType(**{**e.model_dump(), "is_default": e is default}) for e in self.incident_types
            ),
            roles=tuple(Role(**e.model_dump()) for e in self.roles),
            custom_fields=tuple(_custom_field(e) for e in self.custom_fields),
            incident_timestamps=tuple(
                IncidentTimestamp(id=e.id, name=e.name, description=e.description, rank=rank)
                for rank, e in enumerate(self.incident_timestamps)
            ),
        )

    @property
    def timestamp_rules(self) -> tuple[TimestampRule, ...]:
        return tuple(TimestampRule(**e.model_dump()) for e in self.incident_timestamps)

    @property
    def duration_rules(self) -> tuple[DurationRule, ...]:
        return tuple(DurationRule(**e.model_dump()) for e in self.duration_metrics)


def slug(name: str) -> str:
    """Return a readable id for a name: `affected_area` for `Affected area`.

    A name in another script ends in a checksum instead of the letters that an id cannot have.
    """
    name = clean_text(name)
    folded = unicodedata.normalize("NFKD", name.lower())
    words = re.sub(r"[^a-z0-9]+", "_", folded.encode("ascii", "ignore").decode()).strip("_")[:50].rstrip("_")
    if any(letter.isalnum() and not letter.isascii() for letter in folded):
        return f"{words}_{crc32(name.encode()):08x}".lstrip("_")
    return words


def _custom_field(entry: FieldConfig) -> CustomField:
    options = (
        FieldOption(id=option.id, value=option.name, sort_key=position)
        for position, option in enumerate(entry.options)
    )
    return CustomField(**{**entry.model_dump(), "options": tuple(options)})


def _read(kind: type[Any], entries: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind.model_validate(entry) for entry in entries)


def _refuse_repeats(key: str, entries: Sequence[_ChoiceConfig]) -> None:
    refuse_same(key, "id", [entry.id for entry in entries])
    refuse_same(key, "name", [entry.name.casefold() for entry in entries])


def refuse_same(key: str, what: str, values: Sequence[str]) -> None:
    repeated = [value for value, times in Counter(values).items() if times > 1]
    if repeated:
        raise ValueError(f"{key}: two have the {what} {repeated[0]!r}; each needs its own")


def problem(error: Any, known: Sequence[str]) -> str:
    """Return one of pydantic's errors as a line that names the key.

    An unknown key gets a suggestion from the keys in `known`.
    """
    place = ""
    for part in error["loc"]:
        place += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if place else str(part)
    if error["type"] == "extra_forbidden":
        near = get_close_matches(str(error["loc"][-1]), known, 1)
        return f"{place}: no such key" + (f"; did you mean {near[0]}?" if near else "")
    if error["type"] == "string_pattern_mismatch" and place.endswith(".id"):
        return f"{place}: give an id of lower-case letters, digits, _ and -, such as 'sev_1'"
    words = _WORDS.get(error["type"], "").format(**error.get("ctx", {}))
    words = words or str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {words[:1].lower()}{words[1:]}" if place else words
