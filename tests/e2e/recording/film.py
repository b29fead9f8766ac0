"""A film of a page: stills that are held for a while each, with a pointer, put together as a GIF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.async_api import Locator, Page

COLORS = 96
"""Of a still; text on a page has few."""

POINTER = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
"""The outline of a pointer whose tip is at the first point, in pixels."""


@dataclass
class Film:
    """Stills of one page, in the order in which they are shown."""

    page: Page
    stills: list[tuple[Image.Image, int]] = field(default_factory=list)
    """Each picture, and the milliseconds that it is held."""

    @property
    def seconds(self) -> float:
        return sum(held for _, held in self.stills) / 1000

    async def hold(self, seconds: float, at: Locator | None = None) -> None:
        """Take a still, with the pointer in the middle of `at`, if it is given."""
        box = await at.bounding_box() if at is not None else None
        taken = Image.open(BytesIO(await self.page.screenshot(animations="disabled", caret="hide")))
        still = taken.convert("RGB")
        if box is not None:
            _point(still, (box["x"] + min(box["width"] / 2, 120), box["y"] + box["height"] * 0.6))
        self.stills.append((still, round(seconds * 1000)))

    def save(self, path: Path) -> None:
        """Write the film as a GIF that begins again at its end."""
        first, *rest = [still.quantize(COLORS, dither=Image.Dither.NONE) for still, _ in self.stills]
        durations: Sequence[int] = [held for _, held in self.stills]
        first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def _point(still: Image.Image, tip: tuple[float, float]) -> None:
    outline = [(round(tip[0] + x), round(tip[1] + y)) for x, y in POINTER]
    ImageDraw.Draw(still).polygon(outline, fill="black", outline="white")


def length_of(path: Path) -> float:
    """Return the seconds that a GIF takes."""
    with Image.open(path) as film:
        held = 0
        for number in range(getattr(film, "n_frames", 1)):
            film.seek(number)
            held += int(film.info["duration"])
    return held / 1000
