"""The app manifest: an app's declaration of itself to Slack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

import yaml

from slack_emulator.manifest_rules import manifest_errors

__all__ = ["Command", "Manifest", "ManifestError", "Shortcut", "manifest_errors"]


class ManifestError(ValueError):
    """A manifest that Slack would refuse; `errors` are its lines."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True)
class Command:
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
    commands: tuple[Command, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    bot_scopes: frozenset[str] = frozenset()
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

    def command(self, name: str) -> Command | None:
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

    def part(self, name: str) -> "_Part":
        return _Part(self.declared.get(name))

    def parts(self, name: str) -> list["_Part"]:
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


def _command(part: _Part) -> Command:
    return Command(
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
