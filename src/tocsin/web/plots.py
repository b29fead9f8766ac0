"""Drawings of tables of figures: where each bar, line and word of an SVG picture is.

Places from left to right are in percent of the picture's width and places from top to bottom in pixels, so
that a picture fits every window and its words keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tocsin.incidents.details import duration
from tocsin.incidents.insight_tables import Table, TableCell, TableRow

TONES = 6
"""Looks of pieces of bars, each with a colour and a pattern of its own; the last is for all that follow."""

PLAIN = "plain"
"""Look of bars of one piece."""

MOST_BARS = 12
"""Bars beside each other; the table has the others."""


@dataclass(frozen=True)
class Bar:
    """A bar with a look, and the words for a pointer that rests on it."""

    x: float
    y: float
    width: float
    height: float
    look: str
    title: str


@dataclass(frozen=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float
    look: str


@dataclass(frozen=True)
class Word:
    x: float
    y: float
    text: str
    anchor: str = "start"
    look: str = ""


@dataclass(frozen=True)
class Drawing:
    """A picture of a table."""

    title: str
    height: int
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    words: tuple[Word, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    """Looks with their names, where there are several."""


def drawing(table: Table) -> Drawing | None:
    """Return the picture of a table; None if there is nothing to draw."""
    if not any(_number(cell) for row in table.rows for cell in row):
        return None
    drawn = {"columns": _columns, "bars": _bars, "spread": _spread}[table.plot]
    return drawn(table)


def shown(cell: TableCell) -> str:
    """Format a cell for people."""
    if isinstance(cell, timedelta):
        # Durations are approximate: to the nearest minute.
        return duration(cell + timedelta(seconds=30)) if cell >= timedelta(minutes=1) else duration(cell)
    return "–" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


def _number(cell: TableCell) -> float:
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    return cell if isinstance(cell, int) else 0


def _label(row: TableRow) -> str:
    return ", ".join(cell for cell in row if isinstance(cell, str))


# Columns over time, each of several pieces.

_TOP, _TALL, _BELOW = 22, 150, 24


def _columns(table: Table) -> Drawing:
    """Draw a column for each row, of a piece for each of its numbers but the sum at its end."""
    names = table.columns[1:-1] or table.columns[1:]
    looks = [f"tone-{min(place, TONES - 1)}" for place in range(len(names))] if len(names) > 1 else [PLAIN]
    pieces = [row[1 : 1 + len(names)] for row in table.rows]
    most = _round_up(max(sum(map(_number, row)) for row in pieces))
    slot, bottom = 100 / len(pieces), _TOP + _TALL
    bars: list[Bar] = []
    for place, (row, cells) in enumerate(zip(table.rows, pieces, strict=True)):
        x, y = _part(place * slot + slot * 0.15), float(bottom)
        for look, name, cell in zip(looks, names, cells, strict=True):
            height = _TALL * _number(cell) / most
            y -= height
            told = f"{row[0]}: {shown(cell)}" + (f" {name}" if len(names) > 1 else "")
            if height:
                bars.append(Bar(x, _part(y), _part(slot * 0.7), _part(height), look, told))
    lines, words = [], []
    for share in (0, 1, 2):
        y = bottom - _TALL * share / 2
        lines.append(Line(0, y, 100, y, "grid" if share else "axis"))
        if share:
            words.append(Word(0, y - 5, f"{most * share // 2:,}"))
    words += _below(table, slot, bottom)
    legend = tuple(zip(looks, names, strict=True)) if len(names) > 1 else ()
    return Drawing(_told(table, most), bottom + _BELOW, tuple(bars), tuple(lines), tuple(words), legend)


def _told(table: Table, most: int) -> str:
    return f"{table.title}: {len(table.rows)} columns, up to {most:,}. The table has the numbers."


def _below(table: Table, slot: float, bottom: int) -> Iterator[Word]:
    """Yield the names below the columns, so many as have room in a narrow window."""
    names = [_short(table, row) for row in table.rows]
    every = max(1, math.ceil(len(names) / (6 if max(map(len, names)) > 5 else 8)))
    for place in range(0, len(names), every):
        x = place * slot + slot * 0.15
        if x <= (86 if len(names[place]) > 5 else 92):
            yield Word(_part(x), bottom + 16, names[place])


def _short(table: Table, row: TableRow) -> str:
    """Return a row's name without the year, where the rows are weeks."""
    name = str(row[0])
    return name.rpartition(" ")[0] if table.columns[0] == "Week of" else name


def _round_up(most: float) -> int:
    """Return an even number of few digits that is no less."""
    step = 10 ** math.floor(math.log10(max(most, 1)))
    sizes = (step * tenths // 10 for tenths in (10, 12, 14, 16, 20, 24, 30, 40, 50, 60, 80, 100))
    return next((size for size in sizes if size >= most and size % 2 == 0), 2)


def _part(number: float) -> float:
    return round(number, 2)


# Bars below each other, each under its name.

_ROW = 40


def _bars(table: Table) -> Drawing:
    """Draw a bar for each of the first rows, as long as the number at its end."""
    rows = table.rows[:MOST_BARS]
    column = -1 if any(_number(row[-1]) for row in rows) else -2
    most = max(_number(row[column]) for row in rows)
    bars, words = [], []
    for place, row in enumerate(rows):
        y, name, told = place * _ROW, _label(row), shown(row[column])
        words += [Word(0, y + 14, name, look="name"), Word(100, y + 14, told, "end", "number")]
        width = 100 * _number(row[column]) / most
        bars.append(Bar(0, y + 20, _part(width), 12, PLAIN, f"{name}: {told}"))
    of = "all" if len(rows) == len(table.rows) else f"the first {len(rows)} of {len(table.rows)}"
    title = f"{table.title}: {of} rows of the table as bars, the longest {shown(rows[0][column])}."
    if most != _number(rows[0][column]):
        title = f"{table.title}: {of} rows of the table as bars."
    return Drawing(title, len(rows) * _ROW, tuple(bars), (), tuple(words))


# The spread of durations on a scale on which each step is so many times the last.

_TICKS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 10, 60, 300, 900, 3600, 14_400, 86_400, 259_200, 604_800, 2_419_200, 15_552_000)
)
_MOST_TICKS = 5
_MOST_SPREADS = 20


def _spread(table: Table) -> Drawing:
    """Draw a bar over the middle half of each row, a stroke at its median, and a line to its ninth tenth."""
    rows = table.rows[:_MOST_SPREADS]
    ends = [max(1.0, _number(cell)) for row in rows for cell in row[3:]]
    place_of = _scale(min(ends), max(ends))
    bars, lines, words = [], [], []
    for place, row in enumerate(rows):
        y = place * _ROW
        low, middle, high, far = (place_of(max(1.0, _number(cell))) for cell in row[3:7])
        lines.append(Line(low, y + 26, far, y + 26, "range"))
        lines.append(Line(far, y + 21, far, y + 31, "range"))
        told = f"half within {shown(row[4])}"
        bars.append(Bar(low, y + 20, _part(max(high - low, 0.6)), 12, PLAIN, f"{_label(row)}: {told}"))
        lines.append(Line(middle, y + 18, middle, y + 34, "median"))
        words += [
            Word(0, y + 14, _label(row), look="name"),
            Word(100, y + 14, shown(row[4]), "end", "number"),
        ]
    bottom = len(rows) * _ROW + 4
    within = [tick for tick in _TICKS if min(ends) <= tick.total_seconds() <= max(ends)]
    for tick in within[:: max(1, math.ceil(len(within) / _MOST_TICKS))]:
        x = place_of(tick.total_seconds())
        lines.append(Line(x, 18, x, bottom, "grid"))
        words.append(
            Word(x, bottom + 14, shown(tick), "middle" if 8 < x < 92 else "start" if x <= 8 else "end")
        )
    title = (
        f"{table.title}: of each row, a bar over the middle half of the incidents with a stroke at the "
        "median, and a line to where nine in ten are done. The table has the numbers."
    )
    return Drawing(title, bottom + 22, tuple(bars), tuple(lines), tuple(words))


def _scale(least: float, most: float) -> Callable[[float], float]:
    """Return the function from seconds to a place, by their logarithm."""
    low, wide = math.log(least), max(math.log(most) - math.log(least), 0.01)
    return lambda seconds: _part(2 + 96 * (math.log(seconds) - low) / wide)


def numbers(rows: Sequence[TableRow]) -> Sequence[Sequence[str | int]]:
    """Return rows for programs: durations in seconds, nothing for what is not known."""
    return [
        [
            int(cell.total_seconds()) if isinstance(cell, timedelta) else "" if cell is None else cell
            for cell in row
        ]
        for row in rows
    ]
