"""JSON schemas whose errors have Slack's wording and JSON pointers."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Complaints = Iterator[str]
Rule = Callable[[Mapping[str, object], str], Complaints]

_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*://[^\s/?#<>|]|mailto:[^\s<>|]|tel:[^\s<>|])", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#<>|]", re.IGNORECASE)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


def complaint(words: str, at: str) -> str:
    """Return one line of `response_metadata.messages` (Slack, block validation errors)."""
    return f"[ERROR] {words} [json-pointer:{at}]"


class Spec(Protocol):
    """Schema of one JSON value."""

    def errors(self, value: object, at: str) -> Complaints: ...


@dataclass(frozen=True)
class Words:
    """A string of `least` to `most` characters, matching the regular expression `form` if there is one."""

    most: int | None = None
    least: int = 1
    form: str | None = None
    wanted: str = "must be of the expected format"

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, str):
            yield complaint("must provide a string", at)
            return
        if len(value) < self.least:
            yield complaint(f"must be more than {self.least - 1} characters", at)
        if self.most is not None and len(value) > self.most:
            yield complaint(f"must be less than {self.most + 1} characters", at)
        elif self.form is not None and value and not re.fullmatch(self.form, value):
            yield complaint(self.wanted, at)


@dataclass(frozen=True)
class Address:
    """A URL of at most `most` characters, http or https if `web`."""

    most: int = 3000
    web: bool = True

    def errors(self, value: object, at: str) -> Complaints:
        worded = list(Words(self.most).errors(value, at))
        yield from worded
        if not worded and not (_WEB if self.web else _SCHEME).match(str(value)):
            yield complaint("invalid url", at)


@dataclass(frozen=True)
class Whole:
    """An integer between `least` and `most`, both included."""

    least: int | None = None
    most: int | None = None

    def errors(self, value: object, at: str) -> Complaints:
        if isinstance(value, bool) or not isinstance(value, int):
            yield complaint("must provide an integer", at)
        elif self.least is not None and value < self.least:
            yield complaint(f"must be greater than or equal to {self.least}", at)
        elif self.most is not None and value > self.most:
            yield complaint(f"must be less than or equal to {self.most}", at)


@dataclass(frozen=True)
class Amount:
    """A number, greater than zero if `positive`."""

    positive: bool = False

    def errors(self, value: object, at: str) -> Complaints:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield complaint("must provide a number", at)
        elif self.positive and value <= 0:
            yield complaint("must be greater than 0", at)


@dataclass(frozen=True)
class Decimal:
    """A number written as a string, as in number inputs."""

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            yield complaint("must provide a number as a string", at)


@dataclass(frozen=True)
class Flag:
    """A JSON boolean."""

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, bool):
            yield complaint("must provide a boolean", at)


class OneOf:
    """One of the given strings."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, str):
            yield complaint("must provide a string", at)
        elif value not in self.values:
            yield complaint(f"value is not one of the allowed values: {', '.join(self.values)}", at)


@dataclass(frozen=True)
class Many:
    """A list of `least` to `most` items of one schema, all different if `distinct`."""

    item: Spec
    most: int | None = None
    least: int = 1
    distinct: bool = False

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, list):
            yield complaint("must provide an array", at)
            return
        if len(value) < self.least:
            yield complaint(f"no fewer than {self.least} items allowed", at)
        if self.most is not None and len(value) > self.most:
            yield complaint(f"no more than {self.most} items allowed", at)
            return
        if self.distinct and any(item in value[:index] for index, item in enumerate(value)):
            yield complaint("items must be unique", at)
        for index, item in enumerate(value):
            yield from self.item.errors(item, f"{at}/{index}")


@dataclass(frozen=True)
class Shape:
    """An object with exactly these fields, and rules across several fields.

    The rules run only if each field is valid by itself.
    """

    required: Mapping[str, Spec] = field(default_factory=dict)
    optional: Mapping[str, Spec] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, dict):
            yield complaint("must provide an object", at)
            return
        found = [*self._fields(value, at)]
        yield from found
        if not found:
            for rule in self.rules:
                yield from rule(value, at)

    def _fields(self, value: Mapping[str, object], at: str) -> Complaints:
        for name in self.required:
            if name not in value:
                yield complaint(f"missing required field: {name}", at)
        for name, item in value.items():
            spec = self.required.get(name) or self.optional.get(name)
            if spec is not None:
                yield from spec.errors(item, f"{at}/{pointer(name)}")
            elif name != "type":
                yield complaint(f"invalid additional property: {name}", at)


@dataclass(frozen=True)
class Kinds:
    """An object whose `type` selects its schema."""

    shapes: Mapping[str, Spec]

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, dict):
            yield complaint("must provide an object", at)
            return
        kind = value.get("type")
        shape = self.shapes.get(kind) if isinstance(kind, str) else None
        if "type" not in value:
            yield complaint("missing required field: type", at)
        elif shape is None:
            yield complaint(f"unsupported type: {kind}", f"{at}/type")
        else:
            yield from shape.errors(value, at)

    def only(self, *names: str) -> "Kinds":
        """Return the same union with fewer types, for a place that accepts only these."""
        return Kinds({name: self.shapes[name] for name in names})


def pointer(name: object) -> str:
    """Escape a name for a JSON pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def exactly_one(*names: str) -> Rule:
    """Return the rule that exactly one of these fields is given."""

    def rule(value: Mapping[str, object], at: str) -> Complaints:
        there = [name for name in names if name in value]
        if not there:
            yield complaint(f"missing required field: {names[0]}", at)
        if len(there) > 1:
            yield complaint(f"only one of {', '.join(names)} may be given", at)

    return rule


def at_least_one(*names: str) -> Rule:
    """Return the rule that at least one of these fields is given and not empty."""

    def rule(value: Mapping[str, object], at: str) -> Complaints:
        if not any(value.get(name) for name in names):
            yield complaint(f"must provide at least one of: {', '.join(names)}", at)

    return rule


def at_most_one(*names: str) -> Rule:
    """Return the rule that at most one of these fields is given."""

    def rule(value: Mapping[str, object], at: str) -> Complaints:
        if len([name for name in names if name in value]) > 1:
            yield complaint(f"only one of {', '.join(names)} may be given", at)

    return rule


def ascending(low: str, high: str) -> Rule:
    """Return the rule that field `low` is at most field `high`; numbers may be strings."""

    def rule(value: Mapping[str, object], at: str) -> Complaints:
        if low in value and high in value and float(str(value[low])) > float(str(value[high])):
            yield complaint(f"{low} must be less than or equal to {high}", at)

    return rule
