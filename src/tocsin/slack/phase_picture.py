"""Picture of an incident's phases: a bar, its times, and a line for each phase; and its words.

Pillow's own font has the letters of English alone. A phase with another name has its number in the picture,
which the message beside it explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import BytesIO

from tocsin.incidents.details import duration
from tocsin.incidents.model import Incident
from tocsin.incidents.phases import Phase

MOST_PHASES = 12
"""Phases that have a line; the bar has all of them."""

SCALE = 2
"""Pixels for each unit of length, for screens with small pixels."""

WIDTH, MARGIN, BAR, LINE, GAP, LETTERS = 480, 16, 30, 30, 2, 17
"""Lengths of the picture in units; Slack shows it 360 pixels wide, and letters must be readable then."""

MOST_WITH_GAPS = 100
"""Phases between which the bar has gaps."""

LONGEST_NAME = 18
"""Characters of a phase's name that fit beside its time."""

LEAST = 4
"""Units of a phase in the bar, however short it was."""

LIVE = ("#c8413f", "#c07a12", "#2f7fbf", "#3d8b54")
OTHERS = {"triage": "#8e5bd0", "paused": "#8e5bd0", "learning": "#4d8f8a"}
ENDED, INK, SOFT, PAPER = "#8a837b", "#1d1b1a", "#5d5853", "#ffffff"
"""Colours: those of the incident's page on white."""

ALT_LIMIT = 1000
"""Characters of a file's alternative text (Slack, files.getUploadURLExternal)."""


def phase_words(phases: Sequence[Phase]) -> str:
    """Return the phases in a line of text: `Investigating 12 minutes · Fixing 1 hour`.

    It has as many as the picture has lines, and says how many are left.
    """
    said = [f"{one.name} {duration(one.lasted)}" for one in phases[:MOST_PHASES]]
    if (more := len(phases) - MOST_PHASES) > 0:
        said.append(f"and {more} more")
    return " · ".join(said)


def alt_text(incident: Incident, phases: Sequence[Phase]) -> str:
    """Return the picture in words, for people who do not see it."""
    began, ended = _moment(phases[0].began), _moment(phases[-1].ended)
    said = f"Phases of {incident.reference} from {began} to {ended} UTC: {phase_words(phases)}"
    return said if len(said) <= ALT_LIMIT else f"{said[: ALT_LIMIT - 1]}…"


def draw_phases(phases: Sequence[Phase]) -> bytes:
    """Return the picture of one or more phases as PNG; it takes some hundredths of a second."""
    # Only a closed incident needs it, and reading the library takes a tenth of a second.
    from PIL import Image, ImageDraw, ImageFont

    moment = _moments(phases)
    listed, colours = phases[:MOST_PHASES], _colours(phases)
    more = len(phases) - len(listed)
    height = MARGIN * 2 + BAR + LINE * (len(listed) + bool(more) + 1)
    picture = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTERS * SCALE)
    missing = bytes(font.getmask("\uffff"))

    def write(x: float, y: float, text: str, colour: str, anchor: str = "lm") -> None:
        draw.text((x * SCALE, y * SCALE), text, fill=colour, font=font, anchor=anchor)

    for (left, right), colour in zip(_places(phases), colours, strict=True):
        end = max(right * SCALE - 1, left * SCALE)
        draw.rectangle((left * SCALE, MARGIN * SCALE, end, (MARGIN + BAR) * SCALE - 1), fill=colour)
    y = MARGIN + BAR + LINE / 2
    write(MARGIN, y, moment(phases[0].began), SOFT)
    write(WIDTH - MARGIN, y, f"{moment(phases[-1].ended)} UTC", SOFT, "rm")
    for number, (phase, colour) in enumerate(zip(listed, colours, strict=False), start=1):
        y += LINE
        draw.rectangle((MARGIN * SCALE, (y - 6) * SCALE, (MARGIN + 12) * SCALE, (y + 6) * SCALE), fill=colour)
        is_readable = all(letter == " " or bytes(font.getmask(letter)) != missing for letter in phase.name)
        write(MARGIN + 22, y, _shortened(phase.name) if is_readable else f"Phase {number}", INK)
        write(WIDTH * 0.64, y, moment(phase.began), SOFT, "rm")
        write(WIDTH - MARGIN, y, duration(phase.lasted), INK, "rm")
    if more:
        write(MARGIN + 22, y + LINE, f"and {more} more", SOFT)
    written = BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


def _places(phases: Sequence[Phase]) -> list[tuple[float, float]]:
    """Return the left and the right side of each phase in the bar, in units."""
    # Beside very many phases there is no room for gaps.
    gap = GAP if len(phases) <= MOST_WITH_GAPS else 0
    room = WIDTH - 2 * MARGIN - gap * (len(phases) - 1)
    least = min(LEAST, room / len(phases) / 2)
    total = sum(one.lasted.total_seconds() for one in phases)
    places, left = [], float(MARGIN)
    for phase in phases:
        width = least + (room - least * len(phases)) * phase.lasted.total_seconds() / total
        places.append((left, left + width))
        left += width + gap
    return places


def _colours(phases: Sequence[Phase]) -> list[str]:
    """Return the colour of each phase; live statuses have theirs in the order in which they came."""
    live = list(dict.fromkeys(one.name for one in phases if one.category == "live"))
    return [
        LIVE[min(live.index(one.name), len(LIVE) - 1)]
        if one.category == "live"
        else OTHERS.get(one.category, ENDED)
        for one in phases
    ]


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}."


def _moments(phases: Sequence[Phase]) -> Callable[[datetime], str]:
    """Return the writer of moments in UTC: with the day only if they are not all on one."""
    days = {at.astimezone(UTC).date() for one in phases for at in (one.began, one.ended)}
    form = "%H:%M" if len(days) == 1 else "%d %b %H:%M"
    return lambda at: f"{at.astimezone(UTC):{form}}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
