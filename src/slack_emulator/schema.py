"""JSON schemas whose errors have Slack's wording and JSON pointers."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Errors = Iterator[str]
Rule = Callable[[Mapping[str, object], str], Errors]

_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*://[^\s/?#<>|]|mailto:[^\s<>|]|tel:[^\s<>|])", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#<>|]", re.IGNORECASE)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


def error_line(words: str, at: str) -> str:
    """Return one line of `response_metadata.messages` (Slack, block validation errors)."""
    return f"[ERROR] {words} [json-pointer:{at}]"


class Schema(Protocol):
    """Schema of one JSON value."""

    def errors(self, value: object, at: str) -> Errors: ...


@dataclass(frozen=True)
class String:
    """A string of `least` to `most` characters, matching the regular expression `form` if there is one."""

    max_length: int | None = None
    min_length: int = 1
    pattern: str | None = None
    message: str = "must be of the expected format"

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, str):
            yield error_line("must provide a string", at)
            return
        if len(value) < self.min_length:
            yield error_line(f"must be more than {self.min_length - 1} characters", at)
        if self.max_length is not None and len(value) > self.max_length:
            yield error_line(f"must be less than {self.max_length + 1} characters", at)
        elif self.pattern is not None and value and not re.fullmatch(self.pattern, value):
            yield error_line(self.message, at)


@dataclass(frozen=True)
class Url:
    """A URL of at most `most` characters, http or https if `web`."""

    max_length: int = 3000
    web: bool = True

    def errors(self, value: object, at: str) -> Errors:
        worded = list(String(self.max_length).errors(value, at))
        yield from worded
        if not worded and not (_WEB if self.web else _SCHEME).match(str(value)):
            yield error_line("invalid url", at)


@dataclass(frozen=True)
class Integer:
    """An integer between `least` and `most`, both included."""

    minimum: int | None = None
    maximum: int | None = None

    def errors(self, value: object, at: str) -> Errors:
        if isinstance(value, bool) or not isinstance(value, int):
            yield error_line("must provide an integer", at)
        elif self.minimum is not None and value < self.minimum:
            yield error_line(f"must be greater than or equal to {self.minimum}", at)
        elif self.maximum is not None and value > self.maximum:
            yield error_line(f"must be less than or equal to {self.maximum}", at)


@dataclass(frozen=True)
class Number:
    """A number, greater than zero if `positive`."""

    positive: bool = False

    def errors(self, value: object, at: str) -> Errors:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield error_line("must provide a number", at)
        elif self.positive and value <= 0:
            yield error_line("must be greater than 0", at)


@dataclass(frozen=True)
class DecimalString:
    """A number written as a string, as in number inputs."""

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            yield error_line("must provide a number as a string", at)


@dataclass(frozen=True)
class Boolean:
    """A JSON boolean."""

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, bool):
            yield error_line("must provide a boolean", at)


class Enum:
    """One of the given strings."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, str):
            yield error_line("must provide a string", at)
        elif value not in self.values:
            yield error_line(f"value is not one of the allowed values: {', '.join(self.values)}", at)


@dataclass(frozen=True)
class Array:
    """A list of `least` to `most` items of one schema, all different if `distinct`."""

    item: Schema
    max_items: int | None = None
    min_items: int = 1
    distinct: bool = False

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, list):
            yield error_line("must provide an array", at)
            return
        if len(value) < self.min_items:
            yield error_line(f"no fewer than {self.min_items} items allowed", at)
        if self.max_items is not None and len(value) > self.max_items:
            yield error_line(f"no more than {self.max_items} items allowed", at)
            return
        if self.distinct and any(item in value[:index] for index, item in enumerate(value)):
            yield error_line("items must be unique", at)
        for index, item in enumerate(value):
            yield from self.item.errors(item, f"{at}/{index}")


@dataclass(frozen=True)
class Object:
    """An object with exactly these fields, and rules across several fields.

    The rules run only if each field is valid by itself.
    """

    required: Mapping[str, Schema] = field(default_factory=dict)
    optional: Mapping[str, Schema] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, dict):
            yield error_line("must provide an object", at)
            return
        found = [*self._fields(value, at)]
        yield from found
        if not found:
            for rule in self.rules:
                yield from rule(value, at)

    def _fields(self, value: Mapping[str, object], at: str) -> Errors:
        for name in self.required:
            if name not in value:
                yield error_line(f"missing required field: {name}", at)
        for name, item in value.items():
            spec = self.required.get(name) or self.optional.get(name)
            if spec is not None:
                yield from spec.errors(item, f"{at}/{pointer(name)}")
            elif name != "type":
                yield error_line(f"invalid additional property: {name}", at)


@dataclass(frozen=True)
class Union:
    """An object whose `type` selects its schema."""

    variants: Mapping[str, Schema]

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, dict):
            yield error_line("must provide an object", at)
            return
        kind = value.get("type")
        shape = self.variants.get(kind) if isinstance(kind, str) else None
        if "type" not in value:
            yield error_line("missing required field: type", at)
        elif shape is None:
            yield error_line(f"unsupported type: {kind}", f"{at}/type")
        else:
            yield from shape.errors(value, at)

    def only(self, *names: str) -> "Union":
        """Return the same union with fewer types, for a place that accepts only these."""
        return Union({name: self.variants[name] for name in names})


def pointer(name: object) -> str:
    """Escape a name for a JSON pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def exactly_one(*names: str) -> Rule:
    """Return the rule that exactly one of these fields is given."""

    def rule(value: Mapping[str, object], at: str) -> Errors:
        there = [name for name in names if name in value]
        if not there:
            yield error_line(f"missing required field: {names[0]}", at)
        if len(there) > 1:
            yield error_line(f"only one of {', '.join(names)} may be given", at)

    return rule


def at_least_one(*names: str) -> Rule:
    """Return the rule that at least one of these fields is given and not empty."""

    def rule(value: Mapping[str, object], at: str) -> Errors:
        if not any(value.get(name) for name in names):
            yield error_line(f"must provide at least one of: {', '.join(names)}", at)

    return rule


def at_most_one(*names: str) -> Rule:
    """Return the rule that at most one of these fields is given."""

    def rule(value: Mapping[str, object], at: str) -> Errors:
        if len([name for name in names if name in value]) > 1:
            yield error_line(f"only one of {', '.join(names)} may be given", at)

    return rule


def ascending(low: str, high: str) -> Rule:
    """Return the rule that field `low` is at most field `high`; numbers may be strings."""

    def rule(value: Mapping[str, object], at: str) -> Errors:
        if low in value and high in value and float(str(value[low])) > float(str(value[high])):
            yield error_line(f"{low} must be less than or equal to {high}", at)

    return rule
