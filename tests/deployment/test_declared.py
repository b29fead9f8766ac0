"""What the code asks of Slack is what the manifest asks for: a scope for every method, and none in vain."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from measures import nodes_of
from slack_sdk.web.async_client import AsyncWebClient

from slack_emulator.manifest import manifest_errors
from slack_emulator.scopes import SCOPES_BY_KIND, SCOPES_OF_EVENT, SCOPES_OF_METHOD
from slack_emulator.web_api import METHODS
from tocsin.slack import routes

SOURCES = Path(__file__).parents[2] / "src" / "tocsin"
METHODS_OF_SDK = inspect.getmembers(AsyncWebClient, inspect.isfunction)
CLIENT = {name for name, _ in METHODS_OF_SDK if "_" in name.strip("_")} - {"api_call"}
SLACKS_NAMES = {method.replace(".", "_"): method for method in SCOPES_OF_METHOD}

ELSEWHERE = ("oauth.", "openid.")
"""What is asked for before there is a token, and is no part of the Web API proper."""

# What a scope allows besides a method or an event of its own.
FOR_THEMSELVES = {
    "commands": "Slack, slash commands and shortcuts",
    "chat:write.public": "Slack, chat.postMessage: public channels where the bot is no member",
    "users:read.email": "Slack, users.info: `profile.email` is there only with it",
}


@cache
def asked() -> dict[str, str]:
    """Every method of the Web API that the bot may call, with the file that does."""
    return dict(_calls())


def _calls() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*.py")):
        place = str(path.relative_to(SOURCES))
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and node.attr in CLIENT and _of_a_client(node.value):
                yield node.attr, place
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "method_of":
                yield ast.literal_eval(node.args[1]).replace(".", "_"), place


def _of_a_client(value: ast.expr) -> bool:
    return ast.unparse(value).rpartition(".")[2].strip("_") == "client"


def test_the_walk_finds_what_the_bot_calls() -> None:
    assert {
        "entity_presentComments",
        "chat_postMessage",
        "views_open",
        "conversations_create",
        "users_info",
    } <= set(asked())


def _wrong_with(name: str) -> str:
    """The part that a method which the bot calls still lacks; nothing where it is whole."""
    if name not in SLACKS_NAMES:
        return "give it its line in slack_emulator/scopes.py"
    method = SLACKS_NAMES[name]
    if method not in METHODS and not method.startswith(ELSEWHERE):
        return f"the stand-in does not play {method}"
    if not any(scopes <= set(routes.SCOPES) for scopes in SCOPES_OF_METHOD[method]):
        return f"{method} needs one of {sorted(map(sorted, SCOPES_OF_METHOD[method]))}"
    return ""


def test_a_method_that_the_bot_calls_is_known_with_its_scopes_and_played_by_the_stand_in() -> None:
    wrong = [
        f"{asked()[name]} calls {name}: {lack}" for name in sorted(asked()) if (lack := _wrong_with(name))
    ]
    assert not wrong, "\n".join(wrong)


def test_an_event_that_the_bot_listens_to_is_subscribed_to_with_its_scope() -> None:
    subscribed = routes.manifest()["settings"]["event_subscriptions"]["bot_events"]
    assert [event for event in routes.EVENTS if event not in subscribed] == []
    granted = set(routes.SCOPES)
    without = [
        e for e in routes.EVENTS if not any(scopes <= granted for scopes in SCOPES_OF_EVENT.get(e, ()))
    ]
    assert without == []


def test_nothing_is_subscribed_to_that_nobody_listens_to() -> None:
    subscriptions = routes.manifest()["settings"].get("event_subscriptions", {})
    assert set(subscriptions.get("bot_events", [])) == set(routes.EVENTS)


def _needing(scope: str) -> list[str]:
    """The methods and the events of the bot that need a scope."""
    methods = [SLACKS_NAMES[name] for name in asked() if name in SLACKS_NAMES]
    found = [m for m in methods if any(scope in needed for needed in SCOPES_OF_METHOD[m])]
    return found + [e for e in routes.EVENTS if any(scope in needed for needed in SCOPES_OF_EVENT.get(e, ()))]


def test_no_scope_is_asked_for_in_vain_and_each_has_its_reason() -> None:
    assert [s for s in routes.SCOPES if not _needing(s) and s not in FOR_THEMSELVES] == []
    assert [scope for scope, reason in routes.SCOPES.items() if len(reason) <= 10] == []


def test_channels_are_made_and_looked_at_in_public_and_in_private() -> None:
    """One scope is enough for a method in one kind of channel; incidents are of two kinds."""
    granted = set(routes.SCOPES)
    for name in asked():
        kinds = SCOPES_BY_KIND.get(SLACKS_NAMES.get(name, ""), {})
        for kind in {"public", "private"} & kinds.keys():
            assert any(scopes <= granted for scopes in kinds[kind]), f"{name} in a {kind} channel"


def test_every_way_in_is_in_the_manifest() -> None:
    for http in (None, "https://tocsin.example.com"):
        manifest = routes.manifest(http)
        assert manifest_errors(manifest) == []
        features, settings = manifest["features"], manifest["settings"]
        assert [command["command"] for command in features["slash_commands"]] == [routes.COMMAND]
        assert {s["callback_id"]: s["type"] for s in features["shortcuts"]} == {
            callback: route.type for callback, route in routes.SHORTCUTS.items()
        }
        assert settings["interactivity"]["is_enabled"] is True
        assert settings["socket_mode_enabled"] is (http is None)
        menus = "message_menu_options_url" in settings["interactivity"]
        assert menus is bool(http and routes.OPTIONS)
