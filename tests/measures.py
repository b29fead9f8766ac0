"""Figures of the code, counted: `python -m tests.measures` prints them, test_architecture.py limits some."""

from __future__ import annotations

import ast
import io
import itertools
import re
import statistics
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
PACKAGES = ("tocsin", "slack_emulator")
Function = ast.FunctionDef | ast.AsyncFunctionDef

RELATIVE = re.compile(
    r"(what|who|whose|whom|whether|which|how|why|where|whoever|whatever|somebody|nobody|everybody|anybody)\b",
    re.IGNORECASE,
)
"""First words of a sentence without an actor; a docstring begins with a verb or a noun instead."""

NO_ACTOR = re.compile(r"\b(somebody|nobody|whoever|whomever|someone)\b", re.IGNORECASE)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of the file, as `ast.walk` finds them."""
    return nodes_in(tree_of(path))


def nodes_in(tree: ast.AST) -> tuple[ast.AST, ...]:
    """This node and every node below it, in the order of `ast.walk`, which takes twice as long."""
    found = [tree]
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return tuple(found)


@cache
def sources(package: str = "") -> tuple[Path, ...]:
    return tuple(sorted((SRC / package).rglob("*.py")))


def module_of(path: Path) -> str:
    """The dotted name of a source file, as in `tocsin.slack.views.card`."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions_of(path: Path) -> list[Function]:
    return [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def classes_of(path: Path) -> list[ast.ClassDef]:
    return [node for node in nodes_of(path) if isinstance(node, ast.ClassDef)]


def length_of(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def bases_of(node: ast.ClassDef) -> list[str]:
    """Names of the classes it inherits from, without type arguments; those of a package keep its name."""
    return [ast.unparse(base).partition("[")[0] for base in node.bases]


def is_protocol(node: ast.ClassDef) -> bool:
    return any(base.rpartition(".")[2] == "Protocol" for base in bases_of(node))


ROOTS = frozenset({"BaseModel", "BaseSettings", "Exception", "NamedTuple", "ABC", "Protocol"})
"""Classes of libraries whose subclasses are models, errors or abstract bases."""


def is_base(name: str, ours: Mapping[str, ast.ClassDef]) -> bool:
    """True if a class of ours is meant to be inherited from: a model, an error, or an abstract base."""
    bases = bases_of(ours[name])
    return any(base.rpartition(".")[2] in ROOTS or (base in ours and is_base(base, ours)) for base in bases)


def names_of_libraries(path: Path) -> set[str]:
    """Names that the file imports from a library, and the libraries themselves."""
    found = set[str]()
    for node in nodes_of(path):
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom) and not str(node.module).startswith(PACKAGES)
        ):
            found |= {(alias.asname or alias.name) for alias in node.names}
    return found


def docstrings_of(path: Path) -> Iterator[tuple[int, str]]:
    """The line and text of each docstring: of the module, its classes and functions, and below constants."""
    for node in nodes_of(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text
        body = getattr(node, "body", None)
        for before, after in itertools.pairwise(body) if isinstance(body, list) else ():
            if isinstance(before, ast.Assign | ast.AnnAssign) and (text := text_of(after)):
                yield after.lineno, text


def text_of(node: ast.AST) -> str:
    """The string that a statement consists of; empty where it is anything else."""
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def imports_at_start(path: Path) -> set[str]:
    """Modules of ours that are imported when this one is, by their dotted names."""
    known = {module_of(other) for other in sources()}
    found = set[str]()
    for node in tree_of(path).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else str(node.module))
    return found & known


def cycles() -> list[list[str]]:
    """Groups of modules that import each other at start (Tarjan's strongly connected components)."""
    graph = {module_of(path): imports_at_start(path) - {module_of(path)} for path in sources()}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in order:
            visit(module)
    return found


def import_lines(path: Path) -> int:
    """Lines that import statements take."""
    nodes = [node for node in nodes_of(path) if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def comment_lines(path: Path) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def figures(package: str) -> Mapping[str, str]:
    """The figures of one package, each by its name."""
    paths = sources(package)
    lines = [lines_of(path) for path in paths]
    filled = [count for count in lines if count > 1]
    lengths = [length_of(node) for path in paths for node in functions_of(path)]
    texts = [text for path in paths for _, text in docstrings_of(path)]
    total = sum(lines)
    return {
        "lines": str(total),
        "files": str(len(paths)),
        "lines a file: mean (median, most)": (
            f"{statistics.mean(filled):.0f} ({statistics.median(filled):.0f}, {max(filled)})"
        ),
        "files for 1,000 lines": f"{1000 * len(paths) / total:.1f}",
        "import statements, share of lines": f"{sum(map(import_lines, paths)) / total:.1%}",
        "lines a function: mean (most)": f"{statistics.mean(lengths):.1f} ({max(lengths)})",
        "docstrings for 1,000 lines": f"{1000 * len(texts) / total:.0f}",
        "docstrings that name no actor": str(sum(map(names_no_actor, texts))),
        "comments for 1,000 lines": f"{1000 * sum(map(comment_lines, paths)) / total:.0f}",
        "protocols": str(sum(is_protocol(node) for path in paths for node in classes_of(path))),
        "class names": str(len({node.name for path in paths for node in classes_of(path)})),
    }


def names_no_actor(text: str) -> bool:
    """True if a docstring begins with a relative word, or speaks of somebody."""
    return RELATIVE.match(text.lstrip("`*( \n")) is not None or NO_ACTOR.search(text) is not None


def main() -> None:
    bot, emulator = figures("tocsin"), figures("slack_emulator")
    width = max(map(len, bot))
    print(f"{'':{width}}  {'tocsin':>16}  {'slack_emulator':>16}")
    for name, value in bot.items():
        print(f"{name:{width}}  {value:>16}  {emulator[name]:>16}")
    tests = sum(map(lines_of, (ROOT / "tests").rglob("*.py")))
    print(f"{'test lines for a source line':{width}}  {tests / sum(map(lines_of, sources())):>16.2f}")
    print(f"{'import cycles':{width}}  {len(cycles()):>16}")


if __name__ == "__main__":
    main()
