"""An app can do what its manifest declares, and a manifest that couldn't work is refused."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from slack_emulator.manifest import Manifest, ManifestError, Shortcut, SlashCommand, manifest_errors
from slack_emulator.scopes import BOT_SCOPES, SCOPES_BY_KIND, SCOPES_OF_EVENT, SCOPES_OF_METHOD, needed_scopes

GOOD = """
_metadata: {major_version: 1, minor_version: 1}
display_information:
  name: Bell
  description: Rings once
  background_color: "#aa0011"
features:
  app_home: {home_tab_enabled: true, messages_tab_enabled: true, messages_tab_read_only_enabled: false}
  bot_user: {display_name: bell, always_online: true}
  slash_commands:
    - {command: /ring, description: Ring the bell, usage_hint: "[name]", should_escape: true}
  shortcuts:
    - {name: Ring, type: global, callback_id: ring, description: Ring the bell}
    - {name: Ring for this, type: message, callback_id: ring, description: Ring for a message}
oauth_config:
  scopes:
    bot: [app_mentions:read, channels:history, chat:write, commands, reactions:read]
settings:
  event_subscriptions: {bot_events: [app_home_opened, app_mention, message.channels, reaction_added]}
  interactivity: {is_enabled: true}
  org_deploy_enabled: false
  socket_mode_enabled: true
  token_rotation_enabled: false
"""


def good() -> Any:
    return yaml.safe_load(GOOD)


def test_a_manifest_is_read_whole() -> None:
    manifest = Manifest.from_yaml(GOOD)
    assert manifest.name == "Bell"
    assert manifest.bot_name == "bell"
    assert manifest.commands == (SlashCommand("/ring", "Ring the bell", "[name]", should_escape=True),)
    assert manifest.shortcuts == (
        Shortcut("Ring", "global", "ring", "Ring the bell"),
        Shortcut("Ring for this", "message", "ring", "Ring for a message"),
    )
    assert manifest.bot_scopes >= {"commands", "chat:write"}
    assert manifest.bot_events >= {"app_mention", "message.channels"}
    assert manifest.home_tab
    assert manifest.messages_tab
    assert manifest.interactivity
    assert manifest.socket_mode
    assert not manifest.org_deploy


def test_what_is_declared_can_be_looked_up() -> None:
    manifest = Manifest.from_dict(good())
    ring = manifest.command("/ring")
    assert ring is not None
    assert ring.should_escape
    assert manifest.command("/bell") is None
    on_message = manifest.shortcut("ring", "message")
    assert on_message is not None
    assert on_message.name == "Ring for this"
    assert manifest.shortcut("knock", "message") is None


def test_what_is_not_declared_is_off() -> None:
    manifest = Manifest.from_dict({"display_information": {"name": "Bare"}})
    assert manifest.commands == ()
    assert manifest.bot_scopes == frozenset()
    assert not manifest.home_tab
    assert not manifest.interactivity


def test_http_delivery_needs_an_address_for_everything_delivered() -> None:
    declared = good()
    declared["settings"]["socket_mode_enabled"] = False
    places = [line.split("json-pointer:")[1] for line in manifest_errors(declared)]
    assert places == [
        "/features/slash_commands/0]",
        "/settings/interactivity]",
        "/settings/event_subscriptions]",
    ]
    here = "http://127.0.0.1:8080/slack/events"
    declared["features"]["slash_commands"][0]["url"] = here
    declared["settings"]["interactivity"]["request_url"] = here
    declared["settings"]["event_subscriptions"]["request_url"] = "https://bell.example/slack/events"
    assert manifest_errors(declared) == []
    assert Manifest.from_dict(declared).events_url == "https://bell.example/slack/events"


Damage = Callable[[Any], object]
REFUSED: dict[str, tuple[Damage, str]] = {
    "no name": (lambda m: m["display_information"].pop("name"), "missing required field: name"),
    "a long name": (
        lambda m: m["display_information"].update(name="x" * 36),
        "must be less than 36 characters",
    ),
    "an optional scope that is not the bot's": (
        lambda m: m["oauth_config"]["scopes"].update(bot_optional=["team:read"]),
        "team:read is not among the scopes of the bot",
    ),
    "a long description": (
        lambda m: m["display_information"].update(description="x" * 141),
        "must be less than 141 characters",
    ),
    "a short long description": (
        lambda m: m["display_information"].update(long_description="x" * 174),
        "must be more than 174 characters",
    ),
    "a color by name": (
        lambda m: m["display_information"].update(background_color="red"),
        "must be a hex color",
    ),
    "an unknown part": (lambda m: m.update(feature={}), "invalid additional property: feature"),
    "an unknown setting": (
        lambda m: m["settings"].update(socket_mode=True),
        "invalid additional property: socket_mode",
    ),
    "a flag in words": (
        lambda m: m["settings"].update(socket_mode_enabled="yes"),
        "must provide a boolean",
    ),
    "a command without slash": (
        lambda m: m["features"]["slash_commands"][0].update(command="ring"),
        "must start with a '/'",
    ),
    "a command of two words": (
        lambda m: m["features"]["slash_commands"][0].update(command="/ring now"),
        "must start with a '/'",
    ),
    "a long command": (
        lambda m: m["features"]["slash_commands"][0].update(command="/" + "x" * 32),
        "must be less than 33 characters",
    ),
    "a command without description": (
        lambda m: m["features"]["slash_commands"][0].pop("description"),
        "missing required field: description",
    ),
    "51 commands": (
        lambda m: m["features"].update(
            slash_commands=[{"command": f"/c{i}", "description": "d"} for i in range(51)]
        ),
        "no more than 50 items allowed",
    ),
    "the same command twice": (
        lambda m: m["features"]["slash_commands"].append({"command": "/ring", "description": "d"}),
        "declared more than once: /ring",
    ),
    "an unknown kind of shortcut": (
        lambda m: m["features"]["shortcuts"][0].update(type="channel"),
        "value is not one of the allowed values: message, global",
    ),
    "a long shortcut": (
        lambda m: m["features"]["shortcuts"][0].update(name="x" * 25),
        "must be less than 25 characters",
    ),
    "a shortcut without callback": (
        lambda m: m["features"]["shortcuts"][0].pop("callback_id"),
        "missing required field: callback_id",
    ),
    "a long callback": (
        lambda m: m["features"]["shortcuts"][0].update(callback_id="x" * 256),
        "must be less than 256 characters",
    ),
    "the same shortcut twice": (
        lambda m: m["features"]["shortcuts"][0].update(type="message"),
        "declared more than once: message ring",
    ),
    "an unknown scope": (
        lambda m: m["oauth_config"]["scopes"]["bot"].append("chat:shout"),
        "unknown scope: chat:shout",
    ),
    "a user's scope for a bot": (
        lambda m: m["oauth_config"]["scopes"]["bot"].append("channels:write"),
        "unknown scope: channels:write",
    ),
    "a scope twice": (
        lambda m: m["oauth_config"]["scopes"]["bot"].append("commands"),
        "items must be unique",
    ),
    "email without people": (
        lambda m: m["oauth_config"]["scopes"]["bot"].append("users:read.email"),
        "users:read.email requires the scope users:read",
    ),
    "scopes without a bot": (lambda m: m["features"].pop("bot_user"), "bot scopes require a bot_user"),
    "commands without their scope": (
        lambda m: m["oauth_config"]["scopes"]["bot"].remove("commands"),
        "slash_commands require the scope commands",
    ),
    "shortcuts without interactivity": (
        lambda m: m["settings"]["interactivity"].update(is_enabled=False),
        "shortcuts require interactivity",
    ),
    "an unknown event": (
        lambda m: m["settings"]["event_subscriptions"]["bot_events"].append("bell_rung"),
        "unknown event: bell_rung",
    ),
    "mentions without their scope": (
        lambda m: m["oauth_config"]["scopes"]["bot"].remove("app_mentions:read"),
        "app_mention requires the scope app_mentions:read",
    ),
    "a plain http address elsewhere": (
        lambda m: m["settings"]["interactivity"].update(request_url="http://bell.example"),
        "must be a valid https url",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_manifest_that_could_not_work_is_refused_with_the_reason(case: str) -> None:
    damage, reason = REFUSED[case]
    declared = copy.deepcopy(good())
    assert manifest_errors(declared) == []
    damage(declared)
    assert any(reason in line for line in manifest_errors(declared))
    with pytest.raises(ManifestError) as refused:
        Manifest.from_dict(declared)
    assert refused.value.errors == manifest_errors(declared)


@pytest.mark.parametrize("written", ["", "[]", "just words", "a: [", "display_information: 3"])
def test_what_is_no_manifest_is_refused_in_words(written: str) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_yaml(written)


@pytest.mark.parametrize(
    ("event", "scope"),
    [
        ("app_mention", "app_mentions:read"),
        ("channel_archive", "channels:read"),
        ("group_rename", "groups:read"),
        ("link_shared", "links:read"),
        ("member_joined_channel", "groups:read"),
        ("message.channels", "channels:history"),
        ("message.groups", "groups:history"),
        ("message.im", "im:history"),
        ("message.mpim", "mpim:history"),
        ("pin_added", "pins:read"),
        ("reaction_added", "reactions:read"),
        ("subteam_members_changed", "usergroups:read"),
        ("team_join", "users:read"),
    ],
)
def test_an_event_is_sent_only_with_its_scope(event: str, scope: str) -> None:
    assert frozenset([scope]) in SCOPES_OF_EVENT[event]
    assert frozenset() not in SCOPES_OF_EVENT[event]


@pytest.mark.parametrize(
    "event", ["app_home_opened", "app_uninstalled", "function_executed", "tokens_revoked"]
)
def test_some_events_need_no_scope(event: str) -> None:
    assert SCOPES_OF_EVENT[event] == (frozenset(),)


def test_every_scope_that_anything_needs_can_be_granted() -> None:
    everything = [*SCOPES_OF_METHOD.values(), *SCOPES_OF_EVENT.values()]
    assert {scope for alternatives in everything for scopes in alternatives for scope in scopes} <= BOT_SCOPES


def test_a_private_channel_needs_the_scope_of_private_channels() -> None:
    assert needed_scopes("conversations.create", {"channels:manage"}, "public") is None
    assert needed_scopes("conversations.create", {"channels:manage"}, "private") == "groups:write"
    assert needed_scopes("conversations.create", {"groups:write"}, "private") is None
    assert needed_scopes("conversations.create", {"groups:write"}, "public") == "channels:manage"


def test_the_narrow_scopes_open_what_they_are_for_and_nothing_else() -> None:
    assert needed_scopes("conversations.invite", {"channels:write.invites"}, "public") is None
    assert needed_scopes("conversations.setTopic", {"groups:write.topic"}, "private") is None
    assert needed_scopes("conversations.archive", {"channels:write.topic"}, "public") == "channels:manage"


def test_without_a_kind_one_scope_of_any_family_is_enough() -> None:
    assert needed_scopes("conversations.list", {"groups:read"}) is None
    assert (
        needed_scopes("conversations.list", {"chat:write"}) == "channels:read,groups:read,im:read,mpim:read"
    )


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        ("bookmarks.add", "bookmarks:write"),
        ("chat.postEphemeral", "chat:write"),
        ("chat.postMessage", "chat:write"),
        ("chat.unfurl", "links:write"),
        ("chat.update", "chat:write"),
        ("conversations.canvases.create", "canvases:write"),
        ("files.getUploadURLExternal", "files:write"),
        ("pins.add", "pins:write"),
        ("reactions.add", "reactions:write"),
        ("usergroups.list", "usergroups:read"),
        ("usergroups.users.update", "usergroups:write"),
        ("users.info", "users:read"),
        ("users.lookupByEmail", "users:read.email"),
    ],
)
def test_a_method_names_the_scope_it_misses(method: str, scope: str) -> None:
    assert needed_scopes(method, BOT_SCOPES - {scope}) == scope
    assert needed_scopes(method, {scope}) is None


@pytest.mark.parametrize(
    "method", ["auth.test", "views.open", "views.publish", "chat.getPermalink", "blocks.validate"]
)
def test_some_methods_need_no_scope(method: str) -> None:
    assert needed_scopes(method, ()) is None


def test_a_kind_that_a_method_is_not_for_is_left_to_the_method() -> None:
    assert "public" not in SCOPES_BY_KIND["conversations.open"]
    assert needed_scopes("conversations.open", {"im:write"}, "public") is None
