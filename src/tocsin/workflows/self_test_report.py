"""The outcome of a test of Tocsin, and its report to the person who asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.incidents.model import Card, FrozenModel, Incident
from tocsin.incidents.validation import join_names
from tocsin.workflows.ports import Channel


class Leg(FrozenModel):
    """One part of a test: the seconds that it took, what came of it, and the trouble if it failed."""

    seconds: float = 0.0
    trouble: str = ""
    passing: bool = False
    """True if the other side did not answer, so that the same may succeed later."""
    unknown: bool = False
    """True if it may have been done although it failed."""
    skipped: bool = False
    """True if it was not tried, because an earlier part failed."""
    incident: Incident | None = None
    channel: Channel | None = None
    card: Card | None = None


SKIPPED = Leg(skipped=True)


class Tried(FrozenModel):
    """Everything that a test has tried."""

    slack: Leg
    saved: Leg
    created: Leg
    channel: Leg = SKIPPED
    headline: Leg = SKIPPED
    message: Leg = SKIPPED

    @property
    def incident(self) -> Incident | None:
        return self.created.incident


class TakenBack(FrozenModel):
    """The parts of taking a test back."""

    headline: Leg = Leg()
    message: Leg = Leg()
    incident: Leg = Leg()
    channel: Leg = Leg()

    @property
    def legs(self) -> tuple[Leg, ...]:
        return self.headline, self.message, self.incident, self.channel


# The report, as lines of plain text.


@dataclass(frozen=True)
class _Part:
    """Words of one part in the report: if it works, if it does not, and what to do then."""

    works: str
    fails: str
    fix: str


_PARTS = {
    "slack": _Part("Slack answers", "Slack does not answer", "Look at status.slack.com."),
    "saved": _Part(
        "what is declared is saved",
        "nothing can be saved",
        "See that the database answers and that its disk has room.",
    ),
    "created": _Part(
        "the incident is created",
        "no incident can be created",
        "See that the place where incidents are kept can be reached, and takes Tocsin's key.",
    ),
    "channel": _Part(
        "its channel opens",
        "its channel cannot be opened",
        "See that the app has all its scopes, and that the workspace lets apps open private channels; where "
        "incident.io opens them, that it is connected to this workspace.",
    ),
    "headline": _Part("its card is posted there", "its card cannot be posted there", "Type it again later."),
    "message": _Part("a message reaches you", "no message reaches you", "Type it again later."),
}
DOCTOR = "On Tocsin's machine, `tocsin doctor` checks every setting and says how to mend it."

_LEFT = {
    "headline": "its card",
    "message": "the message to you",
    "incident": "the incident itself",
    "channel": "its channel",
}


def report(tried: Tried, back: TakenBack) -> str:
    """Return the report: each part with its seconds, what is wrong and what to do, and what is left."""
    legs = {name: getattr(tried, name) for name in _PARTS}
    failed = [name for name, leg in legs.items() if leg.trouble]
    lines = [
        "Tocsin was tested: " + (f"{len(failed)} of its parts failed." if failed else "everything works.")
    ]
    lines += [_line(_PARTS[name], leg) for name, leg in legs.items() if failed or not leg.skipped]
    return "\n".join([*lines, *([DOCTOR] if failed else []), taken_back(back, tried)])


def _line(part: _Part, leg: Leg) -> str:
    if leg.skipped:
        return f":heavy_minus_sign: not tried: {part.works}"
    if leg.trouble:
        return f":x: {part.fails} ({leg.seconds:.2f} s): {leg.trouble.rstrip('.')}. {part.fix}"
    return f":white_check_mark: {part.works}: {leg.seconds:.2f} s"


def taken_back(back: TakenBack, tried: Tried) -> str:
    """Return sentences about what was taken back, and what was not."""
    legs = {what: getattr(back, name) for name, what in _LEFT.items()}
    waiting = [f"{what} ({leg.trouble.rstrip('.')})" for what, leg in legs.items() if leg.passing]
    stuck = [
        f"{what} ({leg.trouble.rstrip('.')})" for what, leg in legs.items() if leg.trouble and not leg.passing
    ]
    said = []
    if waiting:
        said.append(f"Not taken back yet: {join_names(waiting)}. Tocsin goes on trying, and tells you.")
    if stuck:
        said.append(f"Left over, to be taken away by hand: {join_names(stuck)}.")
    if not said:
        said.append("All of it is taken back.")
    ended = back.incident.incident
    if ended is not None:
        said.append(f"{ended.reference} is {ended.incident_status.name}: a test, which is in no list.")
    return " ".join(said)
