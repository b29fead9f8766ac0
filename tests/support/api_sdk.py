"""incident.io's own SDK for Python, called on every endpoint that reads; it is found by what it asks for."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import incident_io
from incident_io import AuthenticatedClient
from incident_io.models.error_response import ErrorResponse

_ASKS = re.compile(r'"method": "(\w+)",\s+"url": "([^"]+)"')
_PARAMETERS = re.compile(r'params\["(\w+)"\]|flatten_deep_object\(\s*"(\w+)"')
_FILES = Path(incident_io.__file__).parent / "api"


@cache
def modules() -> dict[tuple[str, str], str]:
    """The SDK's module for each method and path."""
    found = {}
    for file in _FILES.rglob("*.py"):
        if asks := _ASKS.search(file.read_text()):
            name = ".".join(("incident_io.api", *file.relative_to(_FILES).with_suffix("").parts))
            found[asks[1].upper(), asks[2]] = name
    return found


@dataclass
class Sdk:
    """The SDK at this address, with a key."""

    url: str
    key: str

    def module(self, method: str, path: str) -> ModuleType:
        return importlib.import_module(modules()[method, path])

    def filters(self, method: str, path: str) -> set[str]:
        """The parameters of the query that the SDK can send."""
        asks = inspect.getsource(self.module(method, path)._get_kwargs)
        return {plain or deep for plain, deep in _PARAMETERS.findall(asks)}

    async def call(self, method: str, path: str, *ids: str, **given: Any) -> Any:
        """The parsed answer. Raises AssertionError for one that is none of the documented ones."""
        client = AuthenticatedClient(
            base_url=self.url,
            token=self.key,
            raise_on_unexpected_status=True,
            httpx_args={"trust_env": False},
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            async with client as open_client:
                answer = await self.module(method, path).asyncio_detailed(*ids, client=open_client, **given)
        assert answer.parsed is not None, (method, path, answer.status_code, answer.content)
        return answer.parsed


def said(answer: Any) -> str:
    """What an error says; empty for an answer that is none."""
    if not isinstance(answer, ErrorResponse):
        return ""
    return "; ".join(error.message for error in answer.errors)


def filters(path: str, **given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Filters as the SDK's own models: `status_category={"one_of": ["active"]}`."""
    stem = modules()["GET", path].rpartition(".")[2]
    for name, value in given.items():
        model = importlib.import_module(f"incident_io.models.{stem}_{name}")
        made = "".join(part.capitalize() for part in f"{stem}_{name}".split("_"))
        yield name, getattr(model, made).from_dict(value)
