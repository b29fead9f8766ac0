"""Endpoints of the API: their properties, and the call that a handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from tocsin.backends.local import LocalBackend
from tocsin.incidents.alert_reader import NO_ALERTS, AlertReader
from tocsin.incidents.api_keys import ApiKey, Scope
from tocsin.incidents.errors import Unavailable
from tocsin.web.api.errors import not_found
from tocsin.workflows.api import KeyRequests
from tocsin.workflows.ports import Clock

Method = Literal["GET", "POST", "PUT", "DELETE"]
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class Answer(BaseModel):
    """Part of an answer. What is None is left out of the JSON, never null."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Body(BaseModel):
    """Part of a request's body. Unknown properties are ignored, and null is the same as left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise ValueError("This time is outside the years that there are") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""Time in a request, which is in UTC afterwards: 9999-12-31 in one zone is no time in another."""


def _not_started() -> KeyRequests:
    raise Unavailable("Tocsin is starting. Try again in a moment.")


@dataclass(frozen=True)
class ApiServices:
    """Everything that handlers work with, for the whole process."""

    backend: LocalBackend
    clock: Clock
    public_url: str
    requests: Callable[[], KeyRequests] = _not_started
    """Returns what a key may ask for. Raises Unavailable while Tocsin is starting."""
    alerts: AlertReader = NO_ALERTS


@dataclass(frozen=True)
class ApiCall:
    """One request, checked: its key may do what the endpoint does, its query and body are as described."""

    key: ApiKey
    services: ApiServices
    request_id: str
    path: Mapping[str, str] = field(default_factory=dict)
    """Values of the path's parameters, such as `id`."""
    query: BaseModel | None = None
    body: BaseModel | None = None

    @property
    def backend(self) -> LocalBackend:
        return self.services.backend

    @property
    def alerts(self) -> AlertReader:
        return self.services.alerts

    @property
    def id(self) -> str:
        """The path's `{id}`, which is never empty."""
        return self.path["id"]

    def query_as(self, model: type[M]) -> M:
        """Return the query as the model that the endpoint names for it."""
        assert isinstance(self.query, model)
        return self.query

    def body_as(self, model: type[M]) -> M:
        """Return the body as the model that the endpoint names for it."""
        assert isinstance(self.body, model)
        return self.body


def found(thing: T | None) -> T:
    """Return what was found. Raises ApiError 404 for None."""
    if thing is None:
        raise not_found()
    return thing


Handler = Callable[[ApiCall], Awaitable[BaseModel | None]]
"""Answers a call with the endpoint's answer model; with None where the endpoint has none (204).

Raises ApiError, or any TocsinError, which `errors.translate` turns into an answer.
"""


@dataclass(frozen=True)
class Endpoint:
    """One row of the table: what a method on a path does, who may, and the models of what goes in and out.

    The first line of the handler's docstring is the endpoint's summary in the description.
    """

    method: Method
    path: str
    handler: Handler
    answer: type[BaseModel] | None
    """Model of the answer; None for an answer without a body (204, unless `status` is another)."""
    scope: Scope = "view"
    """Scope that a key needs."""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    deprecated: bool = False
    """True if incident.io calls it deprecated; it is served all the same."""
    name: str = ""
    """Name of the operation, for a handler that serves several endpoints."""
    about: str = ""
    """Summary for such a handler."""

    @property
    def status_without_body(self) -> int:
        """Status of an answer without a body."""
        return self.status if self.answer is None and self.status != 200 else 204

    @property
    def summary(self) -> str:
        """Summary in the description: `about`, or else the first line of the handler's docstring."""
        return self.about or (self.handler.__doc__ or "").strip().partition("\n")[0]

    @property
    def operation(self) -> str:
        """Name of the operation: the handler's, unless it has one of its own."""
        return self.name or getattr(self.handler, "__name__", "")

    @property
    def tag(self) -> str:
        """Group in the description, by the path: `Incidents V2`."""
        version, name = self.path.strip("/").split("/")[:2]
        return f"{name.replace('_', ' ').capitalize()} {version.upper()}"
