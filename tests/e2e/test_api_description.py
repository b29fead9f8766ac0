"""The served description holds: asked for what it allows, and for what it does not, by schemathesis."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.api_run import Run, running_api

from tocsin.incidents.api_keys import SCOPES
from tocsin.web.api.table import ENDPOINTS

pytestmark = pytest.mark.process

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""All but whether everything that the description allows is accepted: a cursor has to be one of ours."""


def tried(operation: APIOperation[Any, Any, Any, Any], url: str, key: str) -> None:
    """Ask for what the description allows, and for what it does not; each answer is as described."""

    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Case) -> None:
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {key}"})
        case.validate_response(answer, checks=CHECKS)

    ask()


async def test_every_answer_is_as_the_served_description_says_whatever_is_asked(tmp_path: Path) -> None:
    def try_all(run: Run) -> int:
        schema = schemathesis.openapi.from_url(f"{run.url}/v1/openapiV3.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        for operation in operations:
            tried(operation, run.url, run.sdk.key)
        return len(operations)

    async with running_api(tmp_path, may=",".join(SCOPES)) as run:
        assert await asyncio.to_thread(try_all, run) == len(ENDPOINTS)
