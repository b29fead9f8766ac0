"""Errors of the API in incident.io's form, and what each exception of Tocsin's becomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from tocsin.incidents.errors import Conflict, NotPermitted, Refused, TocsinError, Unavailable, Withheld

PREFIXES = ("/v1/", "/v2/", "/v3/")
"""Paths of the API; everything below them is answered in its form."""

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "resource_forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    422: "validation_error",
    429: "too_many_requests",
    500: "api_error",
    501: "api_error",
    503: "api_error",
}
"""`type` of an error by its status (incident.io, Errors)."""

PATIENCE = 5.0
"""Seconds after which a client may try again, unless the error says."""

NOT_FOUND = "There is nothing here, or this key may not see it."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request; `field` is its path with dots, such as `incident.name`."""

    code: str
    message: str
    field: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as incident.io has it: with the field's name and its JSON pointer (RFC 6901)."""
        said: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field:
            escaped = self.field.replace("~", "~0").replace("/", "~1")
            said["source"] = {"field": self.field, "pointer": "/" + escaped.replace(".", "/")}
        return said


class ApiError(TocsinError):
    """An answer that is an error."""

    def __init__(self, status: int, *problems: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.status = status
        self.problems = problems
        self.headers = dict(headers or {})


def not_found() -> ApiError:
    """Return the answer for what is not there, which is the same for what the key may not see."""
    return ApiError(404, Problem("not_found", NOT_FOUND))


def invalid(field: str, message: str, code: str = "invalid_value") -> ApiError:
    """Return the refusal of one field."""
    return ApiError(422, Problem(code, message, field))


def answer_to(error: ApiError, request_id: str, more: Mapping[str, Any] | None = None) -> Response:
    """Return the response for an error; `more` are further properties of its body."""
    body = {
        "type": KINDS[error.status],
        "status": error.status,
        "request_id": request_id,
        **(more or {}),
        "errors": [problem.record() for problem in error.problems],
    }
    return JSONResponse(body, error.status, headers=error.headers)


def translate(error: TocsinError, body: BaseModel | None = None) -> ApiError:
    """Return the answer for an expected failure: a refusal with its fields, or *try again later*.

    A field that is refused and that the body lacks has the code `is_required` (incident.io, Errors).
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Unavailable):
        wait = str(max(1, math.ceil(error.retry_after or PATIENCE)))
        return ApiError(503, Problem("unavailable", str(error)), headers={"Retry-After": wait})
    if isinstance(error, NotPermitted | Withheld):
        return ApiError(403, Problem("forbidden", error.sentence))
    if isinstance(error, Refused):
        fields = [
            Problem("is_required" if _lacks(body, field) else "invalid_value", said, field)
            for field, said in error.fields.items()
        ]
        problems = fields or [Problem("refused", error.sentence)]
        return ApiError(409 if isinstance(error, Conflict) else 422, *problems)
    return ApiError(422, Problem("refused", str(error)))


def _lacks(body: BaseModel | None, field: str) -> bool:
    """Tell whether a body has nothing at the path of one of its fields."""
    found: Any = body
    for name in field.split("."):
        if not isinstance(found, BaseModel) or name not in type(found).model_fields:
            return False
        found = getattr(found, name)
    return found is None


def unreadable(error: ValidationError) -> ApiError:
    """Return the answer for a query or a body that is not as described, with each field."""
    return ApiError(422, *_problems(error))


def _problems(error: ValidationError) -> Iterable[Problem]:
    for found in error.errors(include_url=False, include_input=False):
        missing = found["type"] == "missing"
        message = "This is required." if missing else f"{found['msg']}."
        place = ".".join(map(str, found["loc"]))
        yield Problem("is_required" if missing else "invalid_value", message, place)


def nowhere(request_id: str) -> Response:
    """Return the answer for a path that is no endpoint's."""
    return answer_to(ApiError(404, Problem("not_found", "There is no such endpoint.")), request_id)


def broken(request_id: str) -> Response:
    """Return the answer for a fault of ours; the log says more under the same id."""
    return answer_to(
        ApiError(500, Problem("internal_error", "Something went wrong here; the log says what.")), request_id
    )
