"""Queries of the API: filters with operators, such as `status[one_of]=…`, and pages by a cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tocsin.web.api.endpoints import Answer
from tocsin.web.api.errors import invalid

T = TypeVar("T")

PAGE = 25
MOST_ON_A_PAGE = 250
"""incident.io, Incidents V2, List: page_size is 25 unless it is given, and at most 250."""

_PARTS = re.compile(r"\[([^\[\]]*)\]")
_INDEX = re.compile(r"\d{1,4}", re.ASCII)
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def _flat(given: object) -> object:
    """Return the values of a filter written in its short form, `severity=…`, as `one_of`."""
    return {"one_of": given} if isinstance(given, list | str) else given


Filter = Annotated[dict[str, list[str]], BeforeValidator(_flat)]
"""Values of a filter by operator: `one_of`, `not_in`, `gte`, `lte`, `date_range`."""

MOST_FILTERS = 50

FilterOf = Annotated[dict[str, dict[str, list[str]]], Field(max_length=MOST_FILTERS)]
"""Values by the id of a custom field or a role, of so many at most, and then by operator."""


def operators(given: Filter | None, name: str, known: Collection[str]) -> Filter:
    """Return the values of a filter by operator. Raises ApiError 422 for an unknown operator."""
    if unknown := sorted((given or {}).keys() - set(known)):
        raise invalid(f"{name}.{unknown[0]}", f"This filter has {', '.join(sorted(known))}.")
    return given or {}


class Query(BaseModel):
    """Query of an endpoint. Unknown parameters are ignored, as incident.io may add some at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _single(cls, given: Any) -> Any:
        """Take the last value of a parameter that has one, as most clients and servers do; empty is none."""
        if not isinstance(given, dict):
            return given
        read = {name: value if _is_many(cls, name) else _last(value) for name, value in given.items()}
        return {name: value for name, value in read.items() if value not in ("", None)}


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, list) and value else value


def _is_many(model: type[BaseModel], name: str) -> bool:
    known = model.model_fields.get(name)
    return known is None or any(origin in (list, dict) for origin in _origins(known.annotation))


def _origins(annotation: Any) -> Iterable[Any]:
    yield get_origin(annotation)
    for argument in get_args(annotation):
        yield from _origins(argument)


class PageQuery(Query):
    """Query of a list that is given in pages."""

    page_size: int = Field(PAGE, ge=1, le=MOST_ON_A_PAGE, description="Items on a page.")
    after: str | None = Field(None, description="Id of the last item of the page before.")


SortBy = Literal["created_at_newest_first", "created_at_oldest_first"]


class PaginationMeta(Answer):
    """Place of a page in its list; without `after` it is the last one."""

    after: str | None = None
    page_size: int


class PaginationMetaWithTotal(PaginationMeta):
    """The same, with the number of all items where counting them costs little."""

    total_record_count: int | None = None


def parse(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the parameters of a query as nested mappings, each with the list of its values.

    `status[one_of]=a&status[one_of]=b` is `{"status": {"one_of": ["a", "b"]}}` (OpenAPI, deepObject). A name
    that is no such path stands for itself.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        path = [match[1], *_PARTS.findall(match[2])] if match else [name]
        # `status[]=a` and `status[one_of][0]=a` are lists in the manner of Ruby and PHP.
        is_listed = (len(path) > 1 and not path[-1]) or (len(path) > 2 and _INDEX.fullmatch(path[-1]))
        path = path[:-1] if is_listed else path
        _put(found, path, value)
    return found


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    for step in path[:-1]:
        inner = found.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        found = inner
    values = found.setdefault(path[-1], [])
    if isinstance(values, list):
        values.append(value)


def page_of(items: Sequence[T], query: PageQuery, key: Callable[[T], str]) -> tuple[list[T], PaginationMeta]:
    """Return a page of items that are all at hand. Raises ApiError 422 for an unknown cursor."""
    keys = [key(item) for item in items]
    if query.after is not None and query.after not in keys:
        raise invalid("after", "There is nothing with this id to go on after.")
    start = 0 if query.after is None else keys.index(query.after) + 1
    return cut(items[start:], query, key)


def cut(items: Sequence[T], query: PageQuery, key: Callable[[T], str]) -> tuple[list[T], PaginationMeta]:
    """Return a page, and its cursor if there are more items than it has room for."""
    page = list(items[: query.page_size])
    after = key(page[-1]) if page and len(items) > len(page) else None
    return page, PaginationMeta(after=after, page_size=query.page_size)
