"""Who writes to the journal when many want to."""

from __future__ import annotations

import threading

from support.patience import LIMIT

from tocsin.storage.sqlite import WriteQueue


def asked_for(turns: WriteQueue, name: str, told: list[str], *, hurried: bool) -> threading.Thread:
    """A thread that waits for its turn, once it is in the row."""

    def wait() -> None:
        turns.take(hurried=hurried)
        told.append(name)
        turns.give_back()

    waiting = turns.waiting
    thread = threading.Thread(target=wait)
    thread.start()
    while turns.waiting == waiting:
        pass
    return thread


def test_who_has_somebody_waiting_goes_first_and_the_others_in_the_order_they_came() -> None:
    turns, told = WriteQueue(), list[str]()
    turns.take(hurried=False)
    row = [
        asked_for(turns, "a step", told, hurried=False),
        asked_for(turns, "another step", told, hurried=False),
        asked_for(turns, "a press", told, hurried=True),
    ]
    turns.give_back()
    for thread in row:
        thread.join(LIMIT)
    assert told == ["a press", "a step", "another step"]


def test_a_thread_that_has_the_turn_may_take_it_again() -> None:
    turns = WriteQueue()
    turns.take(hurried=False)
    turns.take(hurried=False)
    turns.give_back()
    told: list[str] = []
    other = asked_for(turns, "other", told, hurried=True)
    assert told == []
    turns.give_back()
    other.join(LIMIT)
    assert told == ["other"]
