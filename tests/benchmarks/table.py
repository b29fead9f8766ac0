"""One table of everything that was measured: as text, as JSON, and as a plot for the manual."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from html import escape

LEFT, FULL, LINE = 470, 300, 22

HALO = 'paint-order="stroke" stroke="#ffffff" stroke-width="5"'
"""The line of the target goes behind what is written."""

COUNTED_NOISE = 0.01
"""Instructions vary a little with where things lie in memory."""


@dataclass(frozen=True)
class Row:
    """One measurement; `fills` is how much of the target it takes: 1.0 is just met, less is better."""

    metric: str
    compared_with: str
    measured: str
    target: str
    fills: float
    counted: bool = False
    """Counted rather than timed: the same on every machine."""

    @property
    def is_met(self) -> bool:
        return self.fills <= 1.0


def at_most(
    metric: str, compared_with: str, value: float, target: float, unit: str = "", *, counted: bool = False
) -> Row:
    """A row where less is better."""
    fills = value / target if target else float(value > 0) * 2
    return Row(metric, compared_with, _said(value, unit), f"at most {_said(target, unit)}", fills, counted)


def at_least(metric: str, compared_with: str, value: float, target: float, unit: str = "") -> Row:
    """A timed row where more is better."""
    fills = target / value if value else 2.0
    return Row(metric, compared_with, _said(value, unit), f"at least {_said(target, unit)}", fills)


def _said(value: float, unit: str) -> str:
    digits = 0 if value == int(value) or value >= 100 else 3 if value < 0.1 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def as_text(rows: Iterable[Row]) -> str:
    lines = [("metric", "against", "Tocsin", "target", "")]
    for row in rows:
        met = "met" if row.is_met else "MISSED"
        lines.append((row.metric, row.compared_with, row.measured, row.target, met))
    widths = [max(len(line[n]) for line in lines) for n in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_json(rows: Iterable[Row]) -> str:
    told = [asdict(row) | {"met": row.is_met} for row in rows]
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def agreement(rows: Iterable[Row], before: Mapping[str, float]) -> str:
    """How far the rows are from those of the run before; the metrics' shares of their targets then."""
    apart: dict[bool, list[tuple[float, str]]] = {True: [], False: []}
    for row in rows:
        was = before.get(row.metric)
        if was is not None:
            larger = max(was, row.fills)
            apart[row.counted].append((abs(was - row.fills) / larger if larger else 0.0, row.metric))
    if not apart[False]:
        return "There is no run before this one to compare it with."
    worst, where = max(apart[False])
    middle = statistics.median(share for share, _ in apart[False])
    moved = [metric for share, metric in apart[True] if share > COUNTED_NOISE]
    counted = (
        f"of what is counted, not the same: {', '.join(moved)}" if moved else "what is counted is the same"
    )
    return (
        f"Against the run before: what is timed differs by {middle:.0%} in the middle "
        f"and by {worst:.0%} at most ({where}); {counted}."
    )


def as_plot(rows: Iterable[Row]) -> str:
    """A bar for each row, as long as the share of its target that it takes; the line is the target."""
    drawn = list(rows)
    bottom = 28 + len(drawn) * LINE
    line = f'x1="{LEFT + FULL}" y1="22" x2="{LEFT + FULL}" y2="{bottom}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1060" height="{bottom + 12}" '
        'font-family="sans-serif" font-size="12" role="img" '
        'aria-label="How much of its target each figure takes; shorter is better">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<line {line} stroke="#222222" stroke-dasharray="4 3"/>',
        *(_bar(row, 28 + number * LINE) for number, row in enumerate(drawn)),
        f'<text x="{LEFT + FULL}" y="16" text-anchor="middle" fill="#222222">target</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(row: Row, top: int) -> str:
    wide = max(2.0, min(row.fills, 1.4) * FULL)
    colour = "#2e7d4f" if row.is_met else "#b3261e"
    text = f'y="{top + 12}" fill="#222222"'
    return (
        f'<text x="{LEFT - 8}" text-anchor="end" {text}>{escape(row.metric)}</text>'
        f'<rect x="{LEFT}" y="{top}" width="{wide:.1f}" height="15" fill="{colour}"/>'
        f'<text x="{LEFT + wide + 6:.1f}" {text} {HALO}>{escape(row.measured)}</text>'
    )
