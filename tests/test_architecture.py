"""The house's own rules: who may import whom, how long things are, what nobody may write."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import measures
import pytest
from measures import nodes_of, tree_of
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.kwargs_injection.async_args import AsyncArgs
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.slack import commands, routes
from tocsin.slack.app import build_app
from tocsin.slack.context import AckTracker, WorkspaceContext, WorkspaceRegistry
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.verbs import CommandSpec, VerbSpec
from tocsin.slack.payloads import (
    BlockAction,
    BlockSuggestion,
    EventCallback,
    Shortcut,
    SlashCommand,
    ViewSubmission,
)

pytestmark = pytest.mark.house

ROOT = Path(__file__).parent.parent
SOURCES = measures.sources()
TESTS = sorted((ROOT / "tests").rglob("*.py"))

SHORTEST_FILE, LONGEST_FILE, LONGEST_CLASS, LONGEST_FUNCTION = 40, 600, 300, 50
MOST_PROTOCOLS = 15

FRONT = {
    "__main__",
    "alerting",
    "app",
    "cli",
    "data_dir",
    "doctor",
    "health",
    "importing",
    "resources",
    "server",
    "start",
}
"""The front door: it may import everything, and nothing but the front door may import it."""

VERSION = {"USER_AGENT", "__version__"}
"""What the package itself has: it imports nothing, and everything may import it."""

# A room, and what it may import besides itself. The longest name that fits decides.
MAY_IMPORT = {
    "incidents": set[str](),
    "workflows": {"incidents", "logs"},
    "storage": {"incidents", "workflows.ports", "workflows.retry", "logs"},
    "backends": {"incidents", "workflows.ports", "storage.postgresql", "config", "logs"},
    "webhooks": {
        "incidents",
        "workflows.ports",
        "workflows.retry",
        "rules",
        "settings",
        "backends.tls_context",
        "backends.local.deliveries",
    },
    "paging": {
        "incidents",
        "workflows.paging",
        "workflows.ports",
        "rules",
        "settings",
        "backends.tls_context",
        "webhooks.signing",
    },
    "web": {"workflows.ports", "incidents"},
    "web.api": {"workflows", "incidents", "backends.local", "web", "logs"},
    "slack": {"workflows", "incidents", "metrics", "logs"},
    "slack.views": {"incidents"},
    "slack_emulator": set[str](),
    "config": {"incidents", "settings"},
    "rules": {"incidents", "settings", "config", "alert_tables"},
    "alert_tables": {"incidents", "settings", "workflows.ports"},
    "rule_names": {"incidents", "config", "rules"},
    "settings": set[str](),
    "manual": set[str](),
    "logs": set[str](),
    "metrics": {"incidents"},
}
BANNED = {"utils", "util", "helpers", "helper", "common", "misc"}
PACKAGES = ("tocsin.", "slack_emulator.")
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "app_manifest.yml", "src", "tests", "manifests"}


def module_of(path: Path) -> str:
    """`slack.views.card`, without the name of the bot's own package; empty for the package itself."""
    name = measures.module_of(path)
    return "" if name == "tocsin" else name.removeprefix("tocsin.")


def is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def imports_of(path: Path) -> Iterator[str]:
    """Every module of ours that the file imports, also inside functions."""
    for node in nodes_of(path):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.removeprefix("tocsin.") for name in names if name.startswith(PACKAGES))


def is_allowed(importer: str, imported: str) -> bool:
    if importer.partition(".")[0] in FRONT | {""}:
        return bool(importer)
    if imported in VERSION:
        return True
    room = max((room for room in MAY_IMPORT if is_in(importer, room)), key=len)
    return is_in(imported, room) or any(is_in(imported, other) for other in MAY_IMPORT[room])


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in [*SOURCES, *TESTS]:
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)


def test_each_room_imports_only_the_rooms_below_it() -> None:
    wrong = [
        f"{module_of(path)} imports {imported}"
        for path in SOURCES
        for imported in imports_of(path)
        if not is_allowed(module_of(path), imported)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_is_named_in_the_import_rule() -> None:
    rooms = {module_of(path).partition(".")[0] for path in SOURCES} - FRONT - {""}
    assert rooms <= {room.partition(".")[0] for room in MAY_IMPORT}


@pytest.mark.process
def test_ruff_finds_nothing_to_say() -> None:
    checked = ran("ruff", "check", "src", "tests")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.process
def test_every_file_is_formatted() -> None:
    formatted = ran("ruff", "format", "--check", "src", "tests")
    assert formatted.returncode == 0, formatted.stdout + formatted.stderr


@pytest.mark.process
@pytest.mark.types
def test_types_hold_strictly() -> None:
    typed = ran("mypy", "--strict", "src")
    assert typed.returncode == 0, typed.stdout + typed.stderr


GIVEN: dict[type[Any], tuple[type[Any], ...]] = {
    SlashCommand: (AsyncAck, SlashCommand, str, WorkspaceContext),
    Shortcut: (AsyncAck, Shortcut, WorkspaceContext),
    ViewSubmission: (AsyncAck, ViewSubmission, WorkspaceContext, AckTracker),
    BlockAction: (AsyncAck, BlockAction, WorkspaceContext),
    BlockSuggestion: (AsyncAck, BlockSuggestion, WorkspaceContext),
    EventCallback: (EventCallback, WorkspaceContext),
}
"""What the dispatcher in slack/app.py gives the listeners of each table of routes.py, in this order."""

LISTENERS: list[tuple[str, Callable[..., Any], tuple[type[Any], ...]]] = [
    *(
        (f"verb {word!r}", spec.listener, GIVEN[SlashCommand])
        for word, spec in commands.VERBS.items()
        if isinstance(spec, CommandSpec)
    ),
    ("the command with a notice", open_declare, (*GIVEN[SlashCommand], str)),
    *((f"shortcut {name}", route.listener, GIVEN[Shortcut]) for name, route in routes.SHORTCUTS.items()),
    *(
        (f"view {name}", listener, GIVEN[ViewSubmission])
        for name, listener in {**routes.VIEWS, **routes.COMMENT_VIEWS}.items()
    ),
    *(
        (f"press {name}", route, GIVEN[BlockAction])
        for name, route in routes.ACTIONS.items()
        if not isinstance(route, VerbSpec)
    ),
    *((f"suggestion {name}", listener, GIVEN[BlockSuggestion]) for name, listener in routes.OPTIONS.items()),
    *((f"event {name}", listener, GIVEN[EventCallback]) for name, listener in routes.EVENTS.items()),
]


def test_every_listener_takes_what_the_dispatcher_gives() -> None:
    wrong = [name for name, listener, given in LISTENERS if not _takes(listener, given)]
    assert wrong == []


def _takes(listener: Callable[..., Any], given: tuple[type[Any], ...]) -> bool:
    try:
        bound = inspect.signature(listener).bind(*given)
    except TypeError:
        return False
    hints = typing.get_type_hints(listener)
    taken = tuple(hints[argument] for argument in bound.arguments)
    return inspect.iscoroutinefunction(listener) and taken == given


def test_bolt_knows_every_argument_that_our_listeners_name() -> None:
    desks = cast(WorkspaceRegistry, SimpleNamespace())
    app = build_app(desks, AsyncWebClient(token="xoxb-nobody"))
    known = set(typing.get_type_hints(AsyncArgs)) | {"args"}
    registered: list[Any] = list(app._async_listeners)
    assert len(registered) == len(GIVEN)
    for listener in registered:
        assert set(listener.arg_names) <= known, listener.ack_function


def test_the_tests_use_real_parts_and_wait_for_what_happens() -> None:
    found = [f"{path.relative_to(ROOT)}: {unreal}" for path in TESTS for unreal in _unreal(path)]
    assert not found, "\n".join(found)


def _unreal(path: Path) -> Iterator[str]:
    """Mocks, patches of our own code, and sleeps that hope for the best."""
    imported = set[str]()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    yield from (name for name in imported if name.startswith(("unittest.mock", "mock.", "time.sleep")))
    for node in nodes_of(path):
        if isinstance(node, ast.arg) and node.arg == "monkeypatch":
            yield node.arg
        elif "time" in imported and isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep":
            yield "time.sleep"


def test_no_two_test_files_have_one_name() -> None:
    """Outside of a package pytest imports them by their bare names, and cannot collect the second of two."""
    alone = [path for path in TESTS if not path.with_name("__init__.py").exists()]
    names = Counter(path.name for path in alone if path.name.startswith("test_"))
    assert [name for name, times in names.items() if times > 1] == []


def test_names_say_what_things_are() -> None:
    files = [path for path in [*SOURCES, *TESTS] if path.stem in BANNED or path.parent.name in BANNED]
    named = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, node in functions()
        if path in SOURCES and _is_vague(node.name) and not _is_slacks_own(path)
    ]
    assert not files + named


def _is_vague(name: str) -> bool:
    return name.strip("_") in BANNED or name.lstrip("_").startswith("get_")


def _is_slacks_own(path: Path) -> bool:
    """The functions there are named for Slack's methods, such as `conversations.info`."""
    return module_of(path).startswith("slack_emulator.web_api.")


def test_files_classes_and_functions_stay_short_enough_to_read() -> None:
    long = [
        f"{path.relative_to(ROOT)} has {lines} lines"
        for path in [*SOURCES, *TESTS]
        if (lines := measures.lines_of(path)) > LONGEST_FILE
    ]
    long += [
        f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
        for path, node in functions()
        if (lines := measures.length_of(node)) > LONGEST_FUNCTION
    ]
    long += [
        f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
        for path in SOURCES
        for node in measures.classes_of(path)
        if (lines := measures.length_of(node)) > LONGEST_CLASS
    ]
    assert not long, "\n".join(long)


def test_a_module_is_an_idea_and_no_shred_of_one() -> None:
    short = [
        f"{path.relative_to(ROOT)} has {lines} lines"
        for path in SOURCES
        if path.stem not in ("__init__", "__main__") and (lines := measures.lines_of(path)) < SHORTEST_FILE
    ]
    assert not short, "\n".join(short)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert measures.cycles() == []


def test_no_class_of_ours_inherits_from_a_concrete_one_of_ours() -> None:
    """Composition instead; models and errors share what they are, and abstract bases are there for it."""
    ours = {node.name: node for path in SOURCES for node in measures.classes_of(path)}
    wrong = [
        f"{path.relative_to(ROOT)}: {node.name} inherits from {base}"
        for path in SOURCES
        for node in measures.classes_of(path)
        for base in measures.bases_of(node)
        if base in ours and base not in measures.names_of_libraries(path)
        if not measures.is_base(base, ours)
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_a_protocol_for_each_thing_outside_and_no_more() -> None:
    protocols = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        for node in measures.classes_of(path)
        if measures.is_protocol(node)
    ]
    assert len(protocols) <= MOST_PROTOCOLS, "\n".join(protocols)


def test_a_docstring_begins_with_a_verb_or_a_noun_and_names_who_acts() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in SOURCES
        for line, text in measures.docstrings_of(path)
        if measures.names_no_actor(text)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_says_in_a_sentence_what_it_is_for() -> None:
    silent = [str(path.relative_to(ROOT)) for path in SOURCES if _is_silent(path)]
    assert not silent


def _is_silent(path: Path) -> bool:
    tree = tree_of(path)
    return bool(tree.body) and not ast.get_docstring(tree)


def test_one_place_catches_whatever_goes_wrong() -> None:
    places = [
        module_of(path)
        for path in SOURCES
        for node in nodes_of(path)
        if isinstance(node, ast.ExceptHandler) and _catches_all(node)
    ]
    assert places == ["workflows.retry"]


def _catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether everything stops here; a handler that ends by raising again lets it through."""
    caught = ast.unparse(handler.type) if handler.type else "BaseException"
    passes_on = isinstance(handler.body[-1], ast.Raise)
    return not passes_on and bool(re.search(r"\b(Base)?Exception\b", caught))


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        module_of(path)
        for path in SOURCES
        if module_of(path) != "settings" and re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    assert not readers


def test_every_text_of_mrkdwn_is_made_where_it_is_cut_to_its_limit() -> None:
    makers = [module_of(path) for path in SOURCES if "MarkdownTextObject(" in path.read_text()]
    assert makers == ["slack.views.blocks"]


CLIENTS = {
    "AsyncClient": "trust_env=False",
    "Client": "trust_env=False",
    "ClientSession": "trust_env=False",
    "connect": "proxy=None",
}
"""Parts of httpx, aiohttp and websockets that reach out, and what keeps each from the environment's proxy."""

ELSEWHERE = re.compile(r"\b(urlopen|http\.client|httpx\.(get|post|put|request|stream)|import requests)\b")
SDK_CLIENTS = re.compile(r"\bAsyncWeb(hook)?Client\(")


def test_no_client_goes_through_a_proxy_that_the_environment_names() -> None:
    """Requests carry tokens and private incidents: they go where the settings say, and nowhere else."""
    wrong = [f"{module_of(path)}: {found}" for path in SOURCES for found in _led_astray(path)]
    assert not wrong, "\n".join(wrong)
    sdk = [module_of(path) for path in SOURCES if SDK_CLIENTS.search(path.read_text())]
    assert sdk == ["slack.web_api"]


def _led_astray(path: Path) -> Iterator[str]:
    reaches = re.search(r"^(import|from) (httpx|aiohttp|websockets)", path.read_text(), re.MULTILINE)
    yield from (match[0] for match in ELSEWHERE.finditer(path.read_text()))
    for node in nodes_of(path):
        if not reaches or not isinstance(node, ast.Call):
            continue
        needed = CLIENTS.get(ast.unparse(node.func).rpartition(".")[2])
        if needed and needed not in [f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords]:
            yield f"{ast.unparse(node.func)} without {needed}"


@pytest.mark.process
def test_the_top_level_holds_only_what_belongs_there() -> None:
    listed = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in listed if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.process
def test_nothing_happens_at_import(tmp_path: Path) -> None:
    """Python's own start needs these two; nothing of ours needs more."""
    code = "import tocsin.slack.app, tocsin.app, slack_emulator.workspace, tocsin.web.app"
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT / "src")}
    imported = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (imported.returncode, imported.stdout, imported.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_no_file_names_a_package_registry_or_a_place_on_one_machine() -> None:
    # Written in pieces, so that this file does not name them either.
    registries = "|".join(
        [
            "py" + "pi\\.org",
            "python" + "hosted",
            "registry\\.npm" + "js",
            "index" + "-url",
            "extra" + "-index",
        ]
    )
    places = "|".join(["/ho" + "me/[a-z]", "/Us" + "ers/[a-z]", "/wo" + "rk/", "/tmp/[a-z]", "/ro" + "ot/"])
    wrong = re.compile(f"{registries}|{places}")
    found = []
    for path in tracked():
        if path.suffix in {".gif", ".png", ".svg"} or path.name == "htmx.min.js" or path == Path(__file__):
            continue
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in wrong.finditer(path.read_text("utf-8"))]
    assert not found, "\n".join(found)
