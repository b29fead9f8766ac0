"""The description of the API (OpenAPI 3.0.3), made from the table of endpoints and their models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from tocsin.web.api.endpoints import Answer, Endpoint

DESCRIPTION = "/v1/openapiV3.json"
"""Path of the description, for which no key is needed (incident.io, Utilities V1)."""

ABOUT = (
    "incident.io's API over the incidents that this Tocsin keeps. Send a key of `tocsin keys create` as "
    "`Authorization: Bearer KEY`."
)


class ErrorSource(Answer):
    """The field that an error is about."""

    field: str
    pointer: str


class ErrorDetail(Answer):
    """One thing that is wrong."""

    code: str
    message: str
    source: ErrorSource | None = None


class RateLimitDetail(Answer):
    """The limit that was reached."""

    name: str
    limit: int
    remaining: int
    retry_after: str
    """Time from which a request is taken again, in UTC."""


class ErrorResponse(Answer):
    """Every answer that is an error."""

    type: str
    status: int
    request_id: str
    errors: list[ErrorDetail]
    rate_limit: RateLimitDetail | None = None


class _Schema(GenerateJsonSchema):
    """JSON schema as OpenAPI 3.0.3 has it: what may be left out is never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
        return {"type": "string", "enum": list(schema["expected"])}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


@cache
def _described(endpoints: tuple[Endpoint, ...]) -> bytes:
    answers = {one.answer for one in endpoints if one.answer} | {ErrorResponse}
    bodies = {one.body for one in endpoints if one.body}
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "serialization") for model in sorted(answers, key=lambda one: one.__name__)),
        *((model, "validation") for model in sorted(bodies, key=lambda one: one.__name__)),
    ]
    names, schemas = models_json_schema(
        asked, ref_template="#/components/schemas/{model}", schema_generator=_Schema
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, names)
    described = {
        "openapi": "3.0.3",
        "info": {"title": "Tocsin", "version": "1.0.0", "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(described).encode()


def describe(endpoints: Sequence[Endpoint]) -> bytes:
    """Return the description as JSON."""
    return _described(tuple(endpoints))


_Names = Mapping[Any, dict[str, Any]]


def _operation(one: Endpoint, names: _Names) -> dict[str, Any]:
    error = {"description": "An error.", "content": _content(ErrorResponse, "serialization", names)}
    done: dict[str, Any] = {"description": "Done."}
    if one.answer is not None:
        done["content"] = _content(one.answer, "serialization", names)
    described: dict[str, Any] = {
        "operationId": f"{one.tag.replace(' ', '')}#{one.operation}",
        "tags": [one.tag],
        "summary": one.summary,
        "description": f"A key needs the scope `{one.scope}`.",
        "parameters": [*_path_parameters(one.path), *(_query_parameters(one.query) if one.query else [])],
        "responses": {str(one.status if one.answer else one.status_without_body): done, "default": error},
    }
    if one.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": _content(one.body, "validation", names),
        }
    return described | ({"deprecated": True} if one.deprecated else {})


def _content(model: type[BaseModel], mode: Literal["serialization", "validation"], names: _Names) -> Any:
    return {"application/json": {"schema": names[model, mode]}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(schema_generator=_Schema)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            **({"style": "deepObject", "explode": True} if one.get("type") == "object" else {}),
            "schema": {key: value for key, value in one.items() if key != "title"},
        }
        for name, one in schema.get("properties", {}).items()
    ]
