"""The report of a test of Tocsin says in plain words what works, what does not, and what is left."""

from __future__ import annotations

from support.incidents import incident

from tocsin.incidents.model import Status
from tocsin.workflows.self_test_report import Leg, TakenBack, Tried, report, taken_back

CANCELED = incident(incident_status=Status(id="canceled", name="Canceled", category="canceled"))
DONE = Leg(seconds=0.25)
WELL = Tried(slack=DONE, saved=DONE, created=DONE, channel=DONE, headline=DONE, message=DONE)
BACK = TakenBack(incident=Leg(incident=CANCELED))


def test_what_works_has_its_seconds_and_nothing_else() -> None:
    lines = report(WELL, BACK).splitlines()
    assert lines[0] == "Tocsin was tested: everything works."
    assert lines[1] == ":white_check_mark: Slack answers: 0.25 s"
    assert lines[-1] == "All of it is taken back. INC-12 is Canceled: a test, which is in no list."
    assert len(lines) == 8


def test_what_fails_is_said_with_the_reason_and_what_to_do_and_the_rest_was_not_tried() -> None:
    silent = Leg(seconds=30.0, trouble="DevRev did not answer.", passing=True)
    lines = report(Tried(slack=DONE, saved=DONE, created=silent), TakenBack()).splitlines()
    assert lines[0] == "Tocsin was tested: 1 of its parts failed."
    assert lines[3].startswith(":x: no incident can be created (30.00 s): DevRev did not answer. See that")
    assert lines[4:7] == [
        ":heavy_minus_sign: not tried: its channel opens",
        ":heavy_minus_sign: not tried: its card is posted there",
        ":heavy_minus_sign: not tried: a message reaches you",
    ]
    assert "`tocsin doctor`" in lines[7]
    assert lines[8] == "All of it is taken back."


def test_a_channel_that_the_backend_opens_gets_no_card_and_no_line_about_it() -> None:
    assert "card" not in report(WELL.model_copy(update={"headline": Leg(skipped=True)}), BACK)


def test_what_is_left_is_told_apart_from_what_is_still_being_taken_back() -> None:
    waiting = TakenBack(incident=Leg(trouble="It did not answer.", passing=True))
    assert taken_back(waiting, WELL) == (
        "Not taken back yet: the incident itself (It did not answer). Tocsin goes on trying, and tells you."
    )
    stuck = BACK.model_copy(update={"channel": Leg(trouble="it may not (missing_scope)")})
    said = taken_back(stuck, WELL)
    assert said.startswith("Left over, to be taken away by hand: its channel (it may not (missing_scope)).")
    assert "INC-12 is Canceled" in said
