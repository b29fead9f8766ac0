"""Where the bot may be killed: before and after every await and transaction, found from the code itself."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOM = "tocsin"
SWITCH = "_crash_switch"

PACKAGES = (
    "workflows",
    "backends.local",
    "backends.incident_io",
    "backends.devrev",
    "storage",
    "slack",
)
"""What a verb runs through, from the payload to the stores; every module of these packages has points."""

# `with` blocks that open no transaction; any other one in these packages is taken for one.
NO_TRANSACTION = (
    "_logging_refusals(",
    "fail_fast(",
    "translate_errors(",
    "traced(",
    "SetWorkflowID(",
    "sqlite3.connect(",
    "suppress(",
    "contextlib.suppress(",
    "self._mutex",
    "self._one_at_a_time",
)


@dataclass(frozen=True)
class Point:
    """One place in the code; its name survives edits elsewhere in the module."""

    name: str
    line: int
    code: str

    @property
    def function(self) -> str:
        """Its module and its function, as in `workflows.declare:DeclareIncident.story`."""
        return function_of(self.name)

    def __str__(self) -> str:
        return f"{self.name} (line {self.line}: {self.code})"


def function_of(name: str) -> str:
    """The function that a point of this name is in."""
    module, function, *_ = name.split(":")
    return f"{module}:{function}"


def package_of(name: str) -> str:
    """The package that a point of this name is in."""
    return next(package for package in PACKAGES if _is_within(name.partition(":")[0], package))


def _is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def package_folder() -> Path:
    found = importlib.util.find_spec(ROOM)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


def _modules() -> dict[str, Path]:
    """Each module with points, by its name below the room."""
    folder = package_folder()
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted(folder.joinpath(*package.split(".")).rglob("*.py"))
    }


def found_points(backend: str = "local") -> list[Point]:
    """Every crash point of a bot with this backend, module by module."""
    return [
        point
        for module, path in MODULES.items()
        if not _is_within(module, "backends") or _is_within(module, f"backends.{backend}")
        for point in points_in(module, path)
    ]


@cache
def points_in(module: str, path: Path) -> list[Point]:
    """The points of one module."""
    return rewritten(path.read_text(encoding="utf-8"), module)[1]


def around_call(called: str, edge: str, backend: str = "local") -> str:
    """Name the one point at this edge of an await that calls this function, or hands it on to be called."""
    calls = re.compile(rf"(?<!\w){re.escape(called)}(?!\w)")
    found = [point.name for point in found_points(backend) if calls.search(point.code)]
    edges = [name for name in found if name.endswith(f":{edge}")]
    assert len(edges) == 1, f"{called} is awaited at {len(edges)} places: {edges}"
    return edges[0]


MODULES = _modules()


def rewritten(source: str, module: str) -> tuple[ast.Module, list[Point]]:
    """The module with a switch at each of its points."""
    rewriter = _Rewriter(module)
    tree = ast.fix_missing_locations(rewriter.visit(ast.parse(source)))
    return tree, rewriter.points


class _Rewriter(ast.NodeTransformer):
    def __init__(self, module: str) -> None:
        self.points: list[Point] = []
        self._module = module
        self._inside: list[str] = []
        self._seen: dict[tuple[str, str], int] = {}

    def _scoped(self, node: Any) -> ast.AST:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()
        return node  # type: ignore[no-any-return]

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _scoped

    def _named(self, kind: str, node: ast.AST, edges: tuple[str, ...]) -> str:
        """The name all edges of this place begin with; each edge becomes a point."""
        here = ".".join(self._inside) or "module"
        count = self._seen[(here, kind)] = self._seen.get((here, kind), 0) + 1
        stem = f"{self._module}:{here}:{kind}{count}"
        code = ast.unparse(node).partition("\n")[0]
        line = getattr(node, "lineno", 0)
        self.points += [Point(f"{stem}:{edge}", line, code[:90]) for edge in edges]
        return stem

    def visit_Await(self, node: ast.Await) -> ast.AST:
        stem = self._named("await", node, ("before", "after"))
        self.generic_visit(node)
        node.value = _switched("before", stem, node.value)
        return ast.copy_location(_switched("after", stem, node), node)

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            code = ast.unparse(item.context_expr)
            if not code.startswith(NO_TRANSACTION):
                edges = ("begin", "commit", "committed")
                stem = self._named("transaction", item.context_expr, edges)
                item.context_expr = _switched("transaction", stem, item.context_expr)
        return self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        for item in node.items:
            stem = self._named("entry", item.context_expr, ("before", "inside", "left"))
            item.context_expr = _switched("entry", stem, item.context_expr)
        return self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self._turning(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        return self._turning(node) if node.is_async else self.generic_visit(node)

    def _turning(self, node: ast.AsyncFor | ast.comprehension) -> ast.AST:
        stem = self._named("turn", node.iter, ("before", "after"))
        node.iter = _switched("turns", stem, node.iter)
        return self.generic_visit(node)


def _switched(kind: str, stem: str, value: ast.expr) -> ast.Call:
    """`value`, seen by the switch on its way: `switch.kind("stem", value)`."""
    switch = ast.Attribute(ast.Name(SWITCH, ast.Load()), kind, ast.Load())
    return ast.copy_location(ast.Call(switch, [ast.Constant(stem), value], []), value)
