"""App manifests: parsed, and validated by Slack's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

import yaml

from slack_emulator.schema import Array, Boolean, Enum, Errors, Integer, Object, Schema, String, error_line
from slack_emulator.scopes import BOT_SCOPES, SCOPES_OF_EVENT

# Validation of custom workflow steps in a manifest.

Parameters = Mapping[str, Mapping[str, Any]]

# Slack, custom steps: the types that a user can fill in in Workflow Builder.
TYPES = (
    "string",
    "boolean",
    "integer",
    "number",
    "slack#/types/user_id",
    "slack#/types/channel_id",
    "slack#/types/usergroup_id",
    "slack#/types/timestamp",
    "slack#/types/date",
    "slack#/types/rich_text",
    "slack#/types/message_ts",
)

PARAMETER = Object(
    {"type": Enum(*TYPES), "title": String(255), "description": String()},
    {"is_required": Boolean(), "hint": String(), "name": String(100)},
)


def fitting_errors(
    functions: Mapping[str, Any], settings: Mapping[str, Any], bot_events: list[str]
) -> Errors:
    """Yield an error for each setting or event that steps require and the app lacks (Slack, custom steps)."""
    if not functions:
        return
    if settings.get("org_deploy_enabled") is not True:
        yield error_line("functions require org_deploy_enabled", "/settings/org_deploy_enabled")
    if settings.get("function_runtime") != "remote":
        yield error_line("functions require the function_runtime remote", "/settings/function_runtime")
    if "function_executed" not in bot_events:
        yield error_line(
            "functions require the event function_executed", "/settings/event_subscriptions/bot_events"
        )


# Validation of app manifests: Slack's schema, and combinations that it accepts but that cannot work.

_HERE = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)")


ENTITIES = tuple(f"slack#/entities/{kind}" for kind in ("task", "file", "item", "incident", "content_item"))
"""All entity types of Work Objects (Slack, Work Objects)."""


class _Endpoint:
    """Schema of a request URL: https, or http on this machine, which Slack itself could not reach."""

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, str):
            yield error_line("must provide a string", at)
        elif not re.match(r"https://[^\s/?#]", value) and not _HERE.match(value):
            yield error_line("must be a valid https url", at)


class _Any:
    """Schema of parts that the emulator accepts unchecked."""

    def errors(self, value: object, at: str) -> Errors:
        return iter(())


class _Named:
    """Schema of an object whose names the app chooses and whose values all have one schema."""

    def __init__(self, item: Schema) -> None:
        self.item = item

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, dict):
            yield error_line("must provide an object", at)
            return
        for name, item in value.items():
            yield from String(100).errors(name, at)
            yield from self.item.errors(item, f"{at}/{name}")


# Slack, app manifest reference: fields, lengths and counts.
_DISPLAY = Object(
    {"name": String(35)},
    {
        "description": String(140),
        "long_description": String(4000, min_length=175),
        "background_color": String(
            pattern=r"#[0-9A-Fa-f]{3}([0-9A-Fa-f]{3})?", message="must be a hex color"
        ),
    },
)
_COMMAND = Object(
    {
        "command": String(
            32, pattern=r"/[^\sA-Z/]+", message="must start with a '/' and be one lower case word after it"
        ),
        "description": String(2000),
    },
    {"url": _Endpoint(), "usage_hint": String(1000), "should_escape": Boolean()},
)
_SHORTCUT = Object(
    {
        "name": String(24),
        "type": Enum("message", "global"),
        "callback_id": String(255),
        "description": String(150),
    }
)
_FEATURES = Object(
    optional={
        "app_home": Object(
            optional=dict.fromkeys(
                ("home_tab_enabled", "messages_tab_enabled", "messages_tab_read_only_enabled"), Boolean()
            )
        ),
        "bot_user": Object({"display_name": String(80, pattern=r"[^<>@#]+")}, {"always_online": Boolean()}),
        "shortcuts": Array(_SHORTCUT, 10),
        "slash_commands": Array(_COMMAND, 50),
        "unfurl_domains": Array(
            String(255, pattern=r"[a-z0-9][-a-z0-9.]*[a-z0-9]", message="invalid domain"), 5, distinct=True
        ),
        # Slack, Work Object Previews: the entity types that an app may show.
        "rich_previews": Object(
            {"is_active": Boolean()}, {"entity_types": Array(Enum(*ENTITIES), 5, distinct=True)}
        ),
        "functions": _Any(),
        "workflow_steps": _Any(),
        "assistant_view": _Any(),
        "agent_view": _Any(),
    }
)
_SETTINGS = Object(
    optional={
        "allowed_ip_address_ranges": Array(String(), 50, distinct=True),
        "event_subscriptions": Object(
            optional={
                "request_url": _Endpoint(),
                "bot_events": Array(String(50), 100, min_items=0, distinct=True),
                "user_events": Array(String(50), 100, min_items=0, distinct=True),
                "metadata_subscriptions": Array(_Any(), 100, min_items=0),
            }
        ),
        "interactivity": Object(
            {"is_enabled": Boolean()}, {"request_url": _Endpoint(), "message_menu_options_url": _Endpoint()}
        ),
        "org_deploy_enabled": Boolean(),
        "socket_mode_enabled": Boolean(),
        "token_rotation_enabled": Boolean(),
        "is_hosted": Boolean(),
        "function_runtime": Enum("remote", "slack"),
        "hermes_app_type": Enum("remote"),
        "is_mcp_enabled": Boolean(),
        "incoming_webhooks": Object(optional={"incoming_webhooks_enabled": Boolean()}),
    }
)
_SCOPES = Array(String(50), 255, min_items=0, distinct=True)
_OAUTH = Object(
    optional={
        "redirect_urls": Array(_Endpoint(), 1000),
        "scopes": Object(optional=dict.fromkeys(("bot", "user", "bot_optional", "user_optional"), _SCOPES)),
        "token_management_enabled": Boolean(),
        "pkce_enabled": Boolean(),
    }
)
_MANIFEST = Object(
    {"display_information": _DISPLAY},
    {
        "$schema": String(),
        "_metadata": Object(
            optional=dict.fromkeys(
                ("schema_version", "min_version", "major_version", "minor_version"), Integer()
            )
        ),
        "features": _FEATURES,
        "settings": _SETTINGS,
        "oauth_config": _OAUTH,
        "functions": _Named(
            Object(
                {"title": String(255), "description": String()},
                {"input_parameters": _Named(PARAMETER), "output_parameters": _Named(PARAMETER)},
            )
        ),
        "workflows": _Any(),
        "types": _Any(),
        "datastores": _Any(),
        "outgoing_domains": Array(String(), 10, min_items=0),
    },
)


def manifest_errors(declared: object) -> list[str]:
    """Return the errors of an app manifest, each with a JSON pointer; [] if it can be installed.

    Besides Slack's schema it checks scopes and events by name, the scopes that commands, shortcuts and events
    need, and request URLs without which Slack could not deliver.
    """
    found = list(_MANIFEST.errors(declared, ""))
    if found or not isinstance(declared, dict):
        return found
    reading = _Reading(declared)
    steps = fitting_errors(reading.functions, reading.settings, reading.bot_events)
    return [*reading.scopes(), *reading.events(), *reading.features(), *reading.delivery(), *steps]


class _Reading:
    """A manifest that fits the schema, for the checks across its parts."""

    def __init__(self, declared: Mapping[str, object]) -> None:
        features, settings = _part(declared, "features"), _part(declared, "settings")
        self.settings, self.functions = settings, _part(declared, "functions")
        self.bot = _strings(_part(_part(declared, "oauth_config"), "scopes"), "bot")
        self.bot_optional = _strings(_part(_part(declared, "oauth_config"), "scopes"), "bot_optional")
        self.bot_user = "bot_user" in features
        self.commands = _parts(features, "slash_commands")
        self.shortcuts = _parts(features, "shortcuts")
        self.unfurls = bool(features.get("unfurl_domains"))
        self.previews = bool(_part(features, "rich_previews").get("is_active"))
        self.subscriptions = _part(settings, "event_subscriptions")
        self.bot_events = _strings(self.subscriptions, "bot_events")
        self.interactivity = _part(settings, "interactivity")
        self.sockets = settings.get("socket_mode_enabled") is True

    def scopes(self) -> Errors:
        at = "/oauth_config/scopes/bot"
        for index, scope in enumerate(self.bot):
            if scope not in BOT_SCOPES:
                yield error_line(f"unknown scope: {scope}", f"{at}/{index}")
        for index, scope in enumerate(self.bot_optional):
            if scope not in self.bot:
                said = f"{scope} is not among the scopes of the bot"
                yield error_line(said, f"/oauth_config/scopes/bot_optional/{index}")
        if "chat:write.public" in self.bot and "chat:write" not in self.bot:
            yield error_line("chat:write.public requires the scope chat:write", at)
        if "chat:write.customize" in self.bot and "chat:write" not in self.bot:
            yield error_line("chat:write.customize requires the scope chat:write", at)
        if "users:read.email" in self.bot and "users:read" not in self.bot:
            yield error_line("users:read.email requires the scope users:read", at)
        if self.bot and not self.bot_user:
            yield error_line("bot scopes require a bot_user", "/features")

    def events(self) -> Errors:
        for index, event in enumerate(self.bot_events):
            at = f"/settings/event_subscriptions/bot_events/{index}"
            alternatives = SCOPES_OF_EVENT.get(event)
            if alternatives is None:
                yield error_line(f"unknown event: {event}", at)
            elif not any(scopes.issubset(self.bot) for scopes in alternatives):
                needed = " or ".join(scope for scopes in alternatives for scope in sorted(scopes))
                yield error_line(f"{event} requires the scope {needed}", at)

    def features(self) -> Errors:
        for name, declared in (("slash_commands", self.commands), ("shortcuts", self.shortcuts)):
            if declared and "commands" not in self.bot:
                yield error_line(f"{name} require the scope commands", f"/features/{name}")
        yield from _repeated([str(part["command"]) for part in self.commands], "/features/slash_commands")
        callbacks = [f"{part['type']} {part['callback_id']}" for part in self.shortcuts]
        yield from _repeated(callbacks, "/features/shortcuts")
        if self.shortcuts and self.interactivity.get("is_enabled") is not True:
            yield error_line("shortcuts require interactivity", "/settings/interactivity")
        if self.unfurls and "links:read" not in self.bot:
            yield error_line("unfurl_domains require the scope links:read", "/features/unfurl_domains")
        if self.previews and "entity_details_requested" not in self.bot_events:
            yield error_line("rich_previews require entity_details_requested", "/features/rich_previews")

    def delivery(self) -> Errors:
        """Yield an error for each missing request URL; Socket Mode needs none."""
        if self.sockets:
            return
        for index, command in enumerate(self.commands):
            if "url" not in command:
                yield error_line("missing required field: url", f"/features/slash_commands/{index}")
        if self.interactivity.get("is_enabled") is True and "request_url" not in self.interactivity:
            yield error_line("missing required field: request_url", "/settings/interactivity")
        if self.bot_events and "request_url" not in self.subscriptions:
            yield error_line("missing required field: request_url", "/settings/event_subscriptions")


def _repeated(names: list[str], at: str) -> Errors:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield error_line(f"declared more than once: {name}", at)


def _part(declared: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = declared.get(name)
    return value if isinstance(value, dict) else {}


def _parts(declared: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    value = declared.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _strings(declared: Mapping[str, object], name: str) -> list[str]:
    value = declared.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


# The app manifest: an app's declaration of itself to Slack.

__all__ = ["Manifest", "ManifestError", "Shortcut", "SlashCommand", "manifest_errors"]


class ManifestError(ValueError):
    """A manifest that Slack would refuse; `errors` are its lines."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True)
class SlashCommand:
    """A slash command; `name` includes the slash, `url` is its request URL for HTTP."""

    name: str
    description: str
    usage_hint: str = ""
    should_escape: bool = False
    url: str | None = None


@dataclass(frozen=True)
class Shortcut:
    """A message shortcut or a global shortcut."""

    name: str
    type: Literal["message", "global"]
    callback_id: str
    description: str


@dataclass(frozen=True)
class Manifest:
    """An app as declared. The workspace offers nothing of the app that is not declared here."""

    name: str
    description: str = ""
    long_description: str = ""
    background_color: str = ""
    bot_name: str = ""
    always_online: bool = False
    commands: tuple[SlashCommand, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    bot_scopes: frozenset[str] = frozenset()
    bot_optional_scopes: frozenset[str] = frozenset()
    """Those of the bot's scopes that may be withheld at the installation (Slack, `bot_optional`)."""
    user_scopes: frozenset[str] = frozenset()
    bot_events: frozenset[str] = frozenset()
    user_events: frozenset[str] = frozenset()
    assistant_view: bool = False
    home_tab: bool = False
    messages_tab: bool = False
    messages_tab_read_only: bool = False
    interactivity: bool = False
    interactivity_url: str | None = None
    options_url: str | None = None
    events_url: str | None = None
    socket_mode: bool = False
    org_deploy: bool = False
    token_rotation: bool = False
    redirect_urls: tuple[str, ...] = ()
    unfurl_domains: tuple[str, ...] = ()
    rich_previews: frozenset[str] = frozenset()
    """Entity types of the Work Objects that the app may show; empty if rich previews are off."""
    functions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    declared: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Read YAML or JSON. Raises ManifestError with every line that Slack would refuse."""
        try:
            declared = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ManifestError([f"[ERROR] not YAML: {error}"]) from error
        return cls.from_dict(declared)

    @classmethod
    def from_dict(cls, declared: object) -> Self:
        """Read a parsed manifest. Raises ManifestError with every line that Slack would refuse."""
        errors = manifest_errors(declared)
        if errors:
            raise ManifestError(errors)
        return cls(**_read(_Part(declared)), declared=cast(Mapping[str, object], declared))

    def command(self, name: str) -> SlashCommand | None:
        """Return the declared command of that name, slash included. Returns None if there is none."""
        return next((command for command in self.commands if command.name == name), None)

    def shortcut(self, callback_id: str, kind: str) -> Shortcut | None:
        """Return the declared `message` or `global` shortcut. Returns None if there is none."""
        named = (shortcut for shortcut in self.shortcuts if shortcut.callback_id == callback_id)
        return next((shortcut for shortcut in named if shortcut.type == kind), None)


class _Part:
    """A part of the manifest, empty if it is not declared."""

    def __init__(self, declared: object) -> None:
        self.declared: dict[str, object] = declared if isinstance(declared, dict) else {}

    def part(self, name: str) -> _Part:
        return _Part(self.declared.get(name))

    def parts(self, name: str) -> list[_Part]:
        return [_Part(item) for item in self._list(name)]

    def _list(self, name: str) -> list[object]:
        value = self.declared.get(name)
        return value if isinstance(value, list) else []

    def words(self, name: str, default: str = "") -> str:
        return str(self.declared.get(name, default))

    def url(self, name: str) -> str | None:
        return str(self.declared[name]) if name in self.declared else None

    def flag(self, name: str) -> bool:
        return self.declared.get(name) is True

    def several(self, name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in self._list(name))


def _read(top: _Part) -> dict[str, Any]:
    features, settings, oauth = top.part("features"), top.part("settings"), top.part("oauth_config")
    about = top.part("display_information")
    return {
        "name": about.words("name"),
        "description": about.words("description"),
        "long_description": about.words("long_description"),
        "background_color": about.words("background_color"),
        **_features(features, about.words("name")),
        **_settings(settings),
        "bot_scopes": frozenset(oauth.part("scopes").several("bot")),
        "bot_optional_scopes": frozenset(oauth.part("scopes").several("bot_optional")),
        "user_scopes": frozenset(oauth.part("scopes").several("user")),
        "redirect_urls": oauth.several("redirect_urls"),
        "functions": top.part("functions").declared,
    }


def _features(features: _Part, app_name: str) -> dict[str, object]:
    home, bot = features.part("app_home"), features.part("bot_user")
    previews = features.part("rich_previews")
    return {
        "bot_name": bot.words("display_name", app_name),
        "always_online": bot.flag("always_online"),
        "commands": tuple(_command(part) for part in features.parts("slash_commands")),
        "shortcuts": tuple(_shortcut(part) for part in features.parts("shortcuts")),
        "assistant_view": "assistant_view" in features.declared,
        "home_tab": home.flag("home_tab_enabled"),
        "messages_tab": home.flag("messages_tab_enabled"),
        "messages_tab_read_only": home.flag("messages_tab_read_only_enabled"),
        "unfurl_domains": features.several("unfurl_domains"),
        "rich_previews": frozenset(previews.several("entity_types") if previews.flag("is_active") else ()),
    }


def _command(part: _Part) -> SlashCommand:
    return SlashCommand(
        part.words("command"),
        part.words("description"),
        part.words("usage_hint"),
        part.flag("should_escape"),
        part.url("url"),
    )


def _shortcut(part: _Part) -> Shortcut:
    kind: Literal["message", "global"] = "message" if part.words("type") == "message" else "global"
    return Shortcut(part.words("name"), kind, part.words("callback_id"), part.words("description"))


def _settings(settings: _Part) -> dict[str, object]:
    interactivity, events = settings.part("interactivity"), settings.part("event_subscriptions")
    return {
        "bot_events": frozenset(events.several("bot_events")),
        "user_events": frozenset(events.several("user_events")),
        "interactivity": interactivity.flag("is_enabled"),
        "interactivity_url": interactivity.url("request_url"),
        "options_url": interactivity.url("message_menu_options_url"),
        "events_url": events.url("request_url"),
        "socket_mode": settings.flag("socket_mode_enabled"),
        "org_deploy": settings.flag("org_deploy_enabled"),
        "token_rotation": settings.flag("token_rotation_enabled"),
    }
