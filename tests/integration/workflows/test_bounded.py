"""What a process remembers has a bound, however many people come by."""

from __future__ import annotations

from typing import Any

from tocsin.incidents.model import Person, PersonId
from tocsin.slack.authorization import ASKED_AT_ONCE, KEPT, People
from tocsin.workflows.command import Bounded


def test_what_was_set_longest_ago_is_forgotten() -> None:
    kept: Bounded[str, int] = Bounded(2)
    kept["one"], kept["two"] = 1, 2
    kept["one"] = 3
    kept["three"] = 3
    assert kept == {"one": 3, "three": 3}


class Unknown:
    """A workspace, and a backend, of which nobody is known."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.users = self

    async def account(self, person: str) -> None:
        self.asked.append(person)

    async def remember_people(self, people: Any) -> None:
        list(people)


async def test_of_people_who_come_by_so_many_are_remembered_and_the_rest_are_met_again() -> None:
    here: Any = Unknown()
    everybody = [PersonId(f"U{number}") for number in range(KEPT + 100)]
    met = People(here, here)
    for person in everybody:
        met.meet(Person(slack_user_id=person, name=f"the one of {person}"))
    assert len(met.names) == KEPT
    assert everybody[0] not in met.names
    # Whom Slack does not know is asked for once, and again only when they are forgotten.
    known = People(here, here)
    for start in range(0, len(everybody), ASKED_AT_ONCE):
        await known.introduce(everybody[start : start + ASKED_AT_ONCE])
    await known.introduce([everybody[-1], everybody[0]])
    assert here.asked == [*everybody, everybody[0]]
