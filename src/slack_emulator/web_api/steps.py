"""functions.*: an app reports the result of a workflow step."""

from __future__ import annotations

from typing import Any

from slack_emulator.model import Json, Refused
from slack_emulator.web_api.calls import Arguments, Call, Method, Object


class CompleteSuccess(Arguments):
    function_execution_id: str
    outputs: Object


class CompleteError(Arguments):
    function_execution_id: str
    error: str


def complete_success(call: Call, given: CompleteSuccess) -> Json:
    call.workspace.steps.complete(call.app, given.function_execution_id, given.outputs)
    return {}


def complete_error(call: Call, given: CompleteError) -> Json:
    if not given.error.strip():
        raise Refused("invalid_arguments", "[ERROR] missing required field: error")
    call.workspace.steps.fail(call.app, given.function_execution_id, given.error)
    return {}


METHODS: dict[str, Method[Any]] = {
    "functions.completeSuccess": Method(CompleteSuccess, complete_success),
    "functions.completeError": Method(CompleteError, complete_error),
}
