"""A step of a workflow: tried again while that may help, and answered with its failure where it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest
import structlog.testing

from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, Unavailable
from tocsin.incidents.model import ChannelId
from tocsin.workflows.ports import Channel
from tocsin.workflows.retry import StepFailure, Steps, best_effort

ROOM = Channel(id=ChannelId("C0ROOM00001"), name="inc-1")
FAILED = "The channel could not be made"


class Recorder:
    """An engine that writes down what each step answers, as an earlier process may have begun it."""

    def __init__(self, *, resumes: bool = False) -> None:
        self.resumes = resumes
        self.written: dict[str, str] = {}

    async def start(self, verb: str, key: str, order: Any) -> NoReturn:
        raise AssertionError("Nothing is started here.")

    async def find_command(self, key: str) -> None:
        """Nothing was begun."""

    async def result(self, key: str) -> None:
        """Nothing is finished."""

    async def find_finished(self, key: str) -> None:
        """Nothing has ended."""

    def is_resumed(self) -> bool:
        return self.resumes

    async def step(self, name: str, act: Callable[[bool], Awaitable[Any]]) -> Any:
        if name not in self.written:
            self.written[name] = json.dumps(await act(self.resumes))
        return json.loads(self.written[name])


async def opened(room: Channel) -> Channel:
    return room


async def test_a_step_answers_what_was_written_down_and_is_not_done_again() -> None:
    engine = Recorder()
    first = await Steps(engine).run("open", opened, ROOM, on_failure=FAILED, returns=Channel)
    other = ROOM.model_copy(update={"name": "inc-2"})
    assert first == ROOM
    assert await Steps(engine).run("open", opened, other, on_failure=FAILED, returns=Channel) == ROOM


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Refused("Nobody may."), StepFailure(trouble="Nobody may.")),
        (
            SlackRefused("conversations.create", "restricted_action"),
            StepFailure(trouble=FAILED, why="Slack refused it (restricted_action)"),
        ),
        (
            OutcomeUnknown("Slack's answer was lost."),
            StepFailure(trouble=FAILED, why="Slack's answer was lost", passing=True),
        ),
        (
            KeyError("nobody foresaw it"),
            StepFailure(trouble=FAILED, why="something went wrong on Tocsin's side; its log says what"),
        ),
    ],
)
async def test_a_step_that_fails_answers_why_and_the_workflow_goes_on(
    error: Exception, failure: StepFailure
) -> None:
    async def broken() -> Channel:
        raise error

    assert await Steps(Recorder()).run("open", broken, on_failure=FAILED, returns=Channel) == failure


async def test_what_cannot_be_reached_is_waited_for_and_lost_answers_are_counted() -> None:
    tried: list[bool] = []

    async def comes_back(room: Channel, again: bool) -> Channel:
        tried.append(again)
        if len(tried) <= 100:
            raise Unavailable("Slack cannot be reached.")
        if len(tried) <= 103:
            raise OutcomeUnknown("Slack's answer was lost.")
        return room

    steps = Steps(Recorder())
    done = await steps.run_once("open", comes_back, ROOM, on_failure=FAILED, returns=Channel, attempts=4)
    assert done == ROOM
    assert tried == [False] + [True] * 103


async def test_a_step_that_an_earlier_process_began_is_told_that_it_may_be_done() -> None:
    tried: list[bool] = []

    async def note(again: bool) -> None:
        tried.append(again)

    assert await Steps(Recorder(resumes=True)).run_once("note", note, on_failure=FAILED) is None
    assert tried == [True]


async def test_what_a_recorded_step_raises_ends_the_workflow() -> None:
    async def broken() -> Channel:
        raise Refused("Nobody may.")

    with pytest.raises(Refused, match="Nobody may"):
        await Steps(Recorder()).record("open", broken, returns=Channel)


@pytest.mark.parametrize("resumes", [False, True])
async def test_parts_of_a_step_are_not_recorded_and_told_whether_they_may_be_done(resumes: bool) -> None:
    engine, tried = Recorder(resumes=resumes), list[bool]()
    steps = Steps(engine)

    async def note(again: bool) -> None:
        tried.append(again)

    async def notes(room: Channel) -> Channel:
        await asyncio.gather(*(steps.run_once("note", note, on_failure=FAILED) for _ in range(2)))
        return await steps.record("open", opened, room, returns=Channel)

    assert await steps.together("all", notes, ROOM, returns=Channel) == ROOM
    assert (tried, list(engine.written)) == ([resumes] * 2, ["all"])
    assert await steps.last(notes, ROOM) == ROOM
    assert (tried, list(engine.written)) == ([resumes] * 4, ["all"])


async def test_a_part_that_fails_answers_why_and_the_others_are_done() -> None:
    steps = Steps(Recorder())

    async def broken() -> None:
        raise Refused("Nobody may.")

    async def both() -> list[Any]:
        note = steps.run("note", broken, on_failure=FAILED)
        return list(await asyncio.gather(note, steps.run("open", opened, ROOM, on_failure=FAILED)))

    assert await steps.last(both) == [StepFailure(trouble="Nobody may."), ROOM]


async def test_what_nobody_foresaw_between_the_parts_is_not_recorded_so_that_they_are_done_later() -> None:
    engine = Recorder()

    async def broken() -> None:
        raise KeyError("nobody foresaw it")

    with pytest.raises(asyncio.CancelledError):
        await Steps(engine).together("all", broken, returns=None)
    assert engine.written == {}


async def test_after_its_parts_the_next_step_is_recorded_again() -> None:
    engine = Recorder()
    steps = Steps(engine)
    await steps.last(opened, ROOM)
    await steps.run("open", opened, ROOM, on_failure=FAILED, returns=Channel)
    assert list(engine.written) == ["open"]


async def test_a_look_that_takes_too_long_is_left_out_with_a_line_and_no_traceback() -> None:
    with structlog.testing.capture_logs() as lines:
        async with best_effort("look for what is not done yet") as failed, asyncio.timeout(0.5):
            await asyncio.Event().wait()
    assert [type(error) for error in failed] == [TimeoutError]
    assert lines == [
        {"event": "not done in time", "doing": "look for what is not done yet", "log_level": "warning"}
    ]
