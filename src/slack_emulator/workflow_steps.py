"""Runs of custom workflow steps: a user starts one, the app that declares the step completes it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slack_emulator.events import Events
from slack_emulator.manifest import Parameters
from slack_emulator.models import Change, InstalledApp, Json, Refused
from slack_emulator.state import State, new_id


@dataclass
class StepRun:
    """One execution of a step; `token` is valid only for it, and only while it runs."""

    id: str
    workflow_id: str
    app_id: str
    callback_id: str
    title: str
    inputs: Json
    token: str
    at: float
    state: Literal["running", "completed", "failed"] = "running"
    outputs: Json = field(default_factory=dict)
    error: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class StepRuns:
    """Runs of steps since the workspace was started."""

    def __init__(self, state: State, events: Events) -> None:
        self._state = state
        self._events = events
        self._runs: dict[str, StepRun] = {}

    @property
    def runs(self) -> list[StepRun]:
        """The runs, newest first."""
        return list(reversed(self._runs.values()))

    def begin(
        self, app: InstalledApp, callback_id: str, inputs: Json, *, variables: Json | None = None
    ) -> StepRun:
        """Run a step with these inputs. Raises Refused for inputs that Workflow Builder would not save.

        `variables` are inputs that come unchecked from what started the workflow, such as a webhook.
        """
        declared = app.manifest.functions.get(callback_id)
        if declared is None:
            raise Refused("function_not_found")
        wrong = value_errors(_parameters(declared, "input_parameters"), inputs, self._state)
        if wrong:
            raise Refused("parameter_validation_failed", *wrong)
        run = StepRun(
            id=new_id("Fx"),
            workflow_id=new_id("Wx"),
            app_id=app.app_id,
            callback_id=callback_id,
            title=str(declared["title"]),
            inputs={n: v for n, v in {**inputs, **(variables or {})}.items() if v not in (None, "")},
            token="xwfp-" + secrets.token_hex(16),
            at=self._state.now(),
        )
        self._runs[run.id] = run
        self.deliver(app, run)
        return run

    def deliver(self, app: InstalledApp, run: StepRun) -> None:
        """Send function_executed to the app of the step alone; a test may send it a second time."""
        declared = app.manifest.functions[run.callback_id]
        event: Json = {
            "type": "function_executed",
            "function": {
                "id": f"Fn{run.id[2:]}",
                "callback_id": run.callback_id,
                "title": run.title,
                "description": declared.get("description", ""),
                "type": "app",
                "input_parameters": _listed(_parameters(declared, "input_parameters")),
                "output_parameters": _listed(_parameters(declared, "output_parameters")),
                "app_id": app.app_id,
                "date_created": int(run.at),
                "date_updated": int(run.at),
                "date_deleted": 0,
            },
            "inputs": run.inputs,
            "function_execution_id": run.id,
            "workflow_execution_id": run.workflow_id,
            "bot_access_token": run.token,
        }
        self._events.emit(event, only=app)
        self._state.feed.announce(Change("step"))

    def complete(self, app: InstalledApp, run_id: str, outputs: Json) -> None:
        """End a run with its outputs (Slack, functions.completeSuccess)."""
        run = self._running(app, run_id)
        declared = _parameters(app.manifest.functions[run.callback_id], "output_parameters")
        wrong = value_errors(declared, outputs, self._state)
        if wrong:
            raise Refused("parameter_validation_failed", *wrong)
        run.outputs = outputs
        self._end(run, "completed")

    def fail(self, app: InstalledApp, run_id: str, error: str) -> None:
        """End a run with an error (Slack, functions.completeError)."""
        run = self._running(app, run_id)
        run.error = error
        self._end(run, "failed")

    def _running(self, app: InstalledApp, run_id: str) -> StepRun:
        run = self._runs.get(run_id)
        if run is None or run.app_id != app.app_id:
            raise Refused("function_execution_not_found")
        if run.state != "running":
            raise Refused("execution_not_in_running_state")
        return run

    def _end(self, run: StepRun, state: Literal["completed", "failed"]) -> None:
        run.state = state
        run.ended.set()
        self._state.feed.announce(Change("step"))


def _parameters(declared: Mapping[str, Any], name: str) -> Parameters:
    found = declared.get(name)
    return found if isinstance(found, dict) else {}


def _listed(declared: Parameters) -> list[Json]:
    return [
        {"name": name, **dict(one), "is_required": one.get("is_required", False)}
        for name, one in declared.items()
    ]


def value_errors(declared: Parameters, given: Mapping[str, Any], state: State) -> list[str]:
    """Return the errors in the values of inputs or outputs, one line each."""
    wrong = [f"{name}: not declared" for name in given.keys() - declared.keys()]
    for name, parameter in declared.items():
        value = given.get(name)
        if value is None or value == "":
            wrong += [f"{name}: required"] if parameter.get("is_required") else []
            continue
        fits = _FITS.get(str(parameter.get("type")), _is_text)
        if not fits(value, state):
            wrong.append(f"{name}: is no {str(parameter.get('type')).removeprefix('slack#/types/')}")
    return sorted(wrong)


def _is_text(value: object, state: State) -> bool:
    return isinstance(value, str)


_FITS: dict[str, Callable[[Any, State], bool]] = {
    "boolean": lambda value, state: isinstance(value, bool),
    "integer": lambda value, state: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value, state: isinstance(value, int | float) and not isinstance(value, bool),
    "slack#/types/user_id": lambda value, state: isinstance(value, str) and value in state.people,
    "slack#/types/channel_id": lambda value, state: isinstance(value, str) and value in state.channels,
    "slack#/types/usergroup_id": lambda value, state: isinstance(value, str) and value in state.groups,
}
