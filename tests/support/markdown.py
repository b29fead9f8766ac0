"""The Markdown pages of this repository: their tables, links, headings and code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

Row = tuple[str, ...]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "src" / "tocsin" / "docs"
READMES = [ROOT / "README.md", ROOT / "manifests" / "README.md", ROOT / "tests" / "README.md"]
PAGES = [*READMES, *sorted(DOCS.glob("*.md"))]

_CELL = re.compile(r"(?<!\\)\|")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def table(page: Path, first_column: str) -> list[Row]:
    """The rows of the page's table whose first column has this head."""
    lines = read(page).splitlines()
    start, end = _place(lines, first_column)
    return [_cells(line) for line in lines[start:end]]


def write_table(page: Path, first_column: str, rows: Sequence[Row]) -> None:
    """Put these rows in place of the table's own."""
    lines = read(page).splitlines()
    start, end = _place(lines, first_column)
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines[start:end] = [f"| {' | '.join(row)} |" for row in escaped]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _place(lines: Sequence[str], first_column: str) -> tuple[int, int]:
    head = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = iter(range(head + 2, len(lines)))
    return head + 2, next((n for n in rows if not lines[n].startswith("|")), len(lines))


def _cells(line: str) -> Row:
    return tuple(cell.strip().replace("\\|", "|") for cell in _CELL.split(line)[1:-1])


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Each file that the page shows or links to, and the anchor in it, empty where there is none."""
    for target in re.findall(r"\]\(([^)]+)\)", read(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the page's headings."""
    headings = re.findall(r"^#+ (.+)$", outside_code(read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def outside_code(text: str) -> str:
    """The page's prose and tables: without fenced and indented code, and what is between backticks."""
    fenced = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    return re.sub(r"^(?: {4}|\t).*$|`[^`\n]*`", "", fenced.sub("", text), flags=re.MULTILINE)


def code(page: Path) -> list[str]:
    """Every line of code of the page: what is indented or between backticks."""
    text = read(page)
    indented = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return indented + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*$", "", text, flags=re.MULTILINE))


def paragraphs(page: Path) -> Iterator[Row]:
    """The words of each paragraph and list item of the page, its tables and code left out."""
    prose = "\n".join(line for line in outside_code(read(page)).splitlines() if not line.startswith("|"))
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:-|\d+\.) ", prose):
        yield tuple(re.sub(r"\]\([^)]*\)", "]", paragraph).split())
