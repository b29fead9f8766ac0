"""Where the bot may be killed: before and after every await and transaction, found from the code itself."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOM = "tocsin"
SWITCH = "_crash_switch"

# What a declaration runs through, from the payload to the stores; () is everything in the file.
WHERE: dict[str, tuple[str, ...]] = {
    "actions/*.py": (),
    "backends/local/*.py": (),
    "backends/incident_io/*.py": (),
    "backends/devrev/*.py": (),
    "journal/durable.py": (),
    "journal/ledger.py": (),
    "journal/tables.py": (),
    "slack/calls.py": (),
    "slack/connection.py": ("Connection.handle", "Connection.send"),
    "slack/listeners/declare.py": (),
    "slack/pace.py": (),
    "slack/posts.py": (),
    "slack/workspace.py": (),
}
# `with` blocks that open no transaction; any other one in these files is taken for one.
NO_TRANSACTION = (
    "asking_now(",
    "told(",
    "SetWorkflowID(",
    "sqlite3.connect(",
    "suppress(",
    "contextlib.suppress(",
)


@dataclass(frozen=True)
class Point:
    """One place in the code; its name survives edits elsewhere in the file."""

    name: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.name} (line {self.line}: {self.code})"


def package_folder() -> Path:
    found = importlib.util.find_spec(ROOM)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


def _places() -> dict[str, tuple[str, ...]]:
    """Each file with points, by its path in the package, and what in it has them."""
    folder = package_folder()
    return {
        path.relative_to(folder).as_posix(): only
        for where, only in WHERE.items()
        for path in sorted(folder.glob(where))
    }


def found_points(backend: str = "local") -> list[Point]:
    """Every crash point of a bot with this backend, in the order of the files."""
    folder = package_folder()
    return [
        point
        for place in PLACES
        if not place.startswith("backends/") or place.startswith(f"backends/{backend}/")
        for point in rewritten((folder / place).read_text(encoding="utf-8"), place)[1]
    ]


PLACES = _places()


def rewritten(source: str, place: str) -> tuple[ast.Module, list[Point]]:
    """The module with a switch at each of its points."""
    rewriter = _Rewriter(place, PLACES[place])
    tree = ast.fix_missing_locations(rewriter.visit(ast.parse(source)))
    return tree, rewriter.points


class _Rewriter(ast.NodeTransformer):
    def __init__(self, place: str, only: tuple[str, ...]) -> None:
        self.points: list[Point] = []
        self._place = place
        self._only = only
        self._inside: list[str] = []
        self._seen: dict[tuple[str, str], int] = {}

    def _scoped(self, node: Any) -> ast.AST:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()
        return node  # type: ignore[no-any-return]

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _scoped

    def _wanted(self) -> bool:
        here = ".".join(self._inside)
        return not self._only or any(here == name or here.startswith(f"{name}.") for name in self._only)

    def _named(self, kind: str, node: ast.AST, edges: tuple[str, ...]) -> str:
        """The name all edges of this place begin with; each edge becomes a point."""
        here = ".".join(self._inside) or "module"
        count = self._seen[(here, kind)] = self._seen.get((here, kind), 0) + 1
        stem = f"{self._place}:{here}:{kind}{count}"
        code = ast.unparse(node).partition("\n")[0]
        line = getattr(node, "lineno", 0)
        self.points += [Point(f"{stem}:{edge}", line, code[:90]) for edge in edges]
        return stem

    def visit_Await(self, node: ast.Await) -> ast.AST:
        if not self._wanted():
            return self.generic_visit(node)
        stem = self._named("await", node, ("before", "after"))
        self.generic_visit(node)
        node.value = _switched("before", stem, node.value)
        return ast.copy_location(_switched("after", stem, node), node)

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            code = ast.unparse(item.context_expr)
            if self._wanted() and not code.startswith(NO_TRANSACTION):
                edges = ("begin", "commit", "committed")
                stem = self._named("transaction", item.context_expr, edges)
                item.context_expr = _switched("transaction", stem, item.context_expr)
        return self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        if self._wanted():
            for item in node.items:
                stem = self._named("entry", item.context_expr, ("before", "inside", "left"))
                item.context_expr = _switched("entry", stem, item.context_expr)
        return self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        if self._wanted():
            stem = self._named("turn", node.iter, ("before", "after"))
            node.iter = _switched("turns", stem, node.iter)
        return self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if node.is_async and self._wanted():
            stem = self._named("turn", node.iter, ("before", "after"))
            node.iter = _switched("turns", stem, node.iter)
        return self.generic_visit(node)


def _switched(kind: str, stem: str, value: ast.expr) -> ast.Call:
    """`value`, seen by the switch on its way: `switch.kind("stem", value)`."""
    switch = ast.Attribute(ast.Name(SWITCH, ast.Load()), kind, ast.Load())
    return ast.copy_location(ast.Call(switch, [ast.Constant(stem), value], []), value)
