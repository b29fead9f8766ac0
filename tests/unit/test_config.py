"""The rules of the configuration file: what is wrong in them is told in one line each, naming the key."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support.slack import running_workspace
from support.terminal import Terminal

from slack_emulator.manifest import Manifest
from slack_emulator.models import Person, UserGroup
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError
from tocsin.slack import routes

WRONG = {
    "[permissions]\nclos = ['S0123']": "permissions.clos: no such key; did you mean close?",
    "[permissions]\nclose = ['oncall']": "permissions.close[1]: give a user group's id, which begins with S",
    "[permissions]\nclose = 'S0123'": "permissions.close: input should be a valid tuple",
    "[permissions]\nguests_may_declare = 'perhaps'": (
        "permissions.guests_may_declare: input should be a valid boolean"
    ),
    "[[digests]]\nchannel = 'C01'\n[[digests]]\nchannel = 'C01'\non = 'friday 17:00'": (
        "digests: two have the channel 'C01'; each needs its own"
    ),
    "[after]\ntemplat = 'x.md'": "after.templat: no such key; did you mean template?",
    "[channels]\nnam = 'x'": "channels.nam: no such key; did you mean name?",
    "[channels]\nname = 'inc-{numbr}'": (
        "channels.name: {numbr} is no placeholder; there are {number}, {reference}, {name}, {date}"
    ),
    "[channels]\nname = 'inc-{number'": "channels.name: a brace has no partner",
    "[channels]\nname = 'inc-{number!r}'": "channels.name: {number} is no placeholder",
    "[channels]\nname = 'INC {number}'": "channels.name: beside placeholders Slack takes lower-case letters",
    "[channels]\nname = 'inc-{date}'": "channels.name: give {number}, {reference} or {name}",
    "[channels]\nname = 'the-channel-of-incident-{number}-{severity}-{type}'": "channels.name: shorten it",
    "[[announcements]]\nchannels = ['#alerts']": (
        "announcements[1].channels[1]: give a channel's id, which begins with C"
    ),
    "[[announcements]]\ninvite = ['oncall']": (
        "announcements[1].invite[1]: give a user group, by its id (it begins with S) or its handle, "
        "such as '@oncall'"
    ),
    "[[announcements]]\nseverity = ['x']\nchannels = ['C0123']": (
        "announcements[1].severity: no such key; did you mean severities?"
    ),
    "[[announcements]]\nseverities = ['x']": (
        "announcements[1]: says nothing to do; give channels, invite, or both"
    ),
    "[[announcements]]\nchannels = ['C0123']\nmodes = ['drill']": (
        "announcements[1].modes[1]: input should be"
    ),
    "[triage]\nincident_type = ['Alert']": "triage.incident_type: no such key; did you mean incident_types?",
}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.mark.parametrize("toml", WRONG)
def test_each_slip_in_the_rules_is_told_in_a_line_with_its_key(toml: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        read_rules(tomllib.loads(toml))
    (line,) = str(told.value).splitlines()
    assert line.startswith(f"TOCSIN_CONFIG: {WRONG[toml]}")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    toml = "[permissions]\nclose = ['x', 'y']\n[[announcements]]\nchannels = ['z']"
    with pytest.raises(ConfigurationError) as told:
        read_rules(tomllib.loads(toml))
    assert len(str(told.value).splitlines()) == 3


def test_what_names_another_workspace_is_not_for_this_one_and_what_names_none_is_for_all() -> None:
    rules = read_rules(
        tomllib.loads(
            "[permissions]\nclose = ['T0ONE/S0ONE', 'T0TWO/S0TWO', 'S0ALL']\nprivate = ['T0ONE/S0ONE']\n"
            "[[announcements]]\nchannels = ['T0ONE/C0ONE', 'C0ALL']\ninvite = ['T0TWO/@night', '@oncall']\n"
        )
    )
    one, two = rules.for_team("T0ONE"), rules.for_team("T0TWO")
    assert (one.limits.close, two.limits.close) == (("S0ONE", "S0ALL"), ("S0TWO", "S0ALL"))
    assert (one.limits.private, two.limits.private) == (("S0ONE",), ())
    assert (one.announced_in, two.announced_in) == (("C0ONE", "C0ALL"), ("C0ALL",))
    assert (one.rules[0].invite, two.rules[0].invite) == (("@oncall",), ("@night", "@oncall"))


@pytest.mark.process
async def test_a_slip_in_the_rules_ends_the_start_with_a_line_and_two(
    terminal: Terminal, tmp_path: Path
) -> None:
    config = tmp_path / "rules.toml"
    config.write_text("[permissions]\nclose = ['oncall']\n")
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        ended = await terminal.run(
            "run",
            SLACK_BOT_TOKEN=slack.bot_token,
            SLACK_APP_TOKEN=slack.app_token,
            SLACK_API_URL=slack.api_url,
            TOCSIN_CONFIG=str(config),
            TOCSIN_PORT="0",
        )
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert ended.lines[0].startswith("TOCSIN_CONFIG: permissions.close[1]: give a user group's id")


@pytest.mark.process
async def test_the_doctor_looks_at_every_channel_and_group_that_the_rules_name(
    terminal: Terminal, tmp_path: Path
) -> None:
    config = tmp_path / "rules.toml"
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        shared = slack.channel("haulpartner")
        slack.workspace.share(shared, "T0HAULPART1", Person("U0X1", "x", "Stranger", ""))
        slack.workspace.state.save(UserGroup("S0EMPTY001", "nobody", "Nobody"))
        config.write_text(
            "[permissions]\nclose = ['S0ONCALL01', 'S0NOSUCH01']\n"
            f"[[announcements]]\nchannels = ['{slack.channel('alerts')}', 'C0NOWHERE', '{shared}']\n"
            "invite = ['@oncall', '@nobody', '@nosuch']\n"
        )
        ended = await terminal.run(
            "doctor",
            "--json",
            SLACK_BOT_TOKEN=slack.bot_token,
            SLACK_APP_TOKEN=slack.app_token,
            SLACK_API_URL=slack.api_url,
            TOCSIN_CONFIG=str(config),
            TOCSIN_ADMIN_CHANNEL=slack.channel("incidents"),
        )
    found = json.loads(ended.out)["checks"]
    wrong = [check["said"] for check in found if not check["ok"]]
    assert wrong == [
        "the bot cannot see C0NOWHERE (channel_not_found).",
        "people of another organization read #haulpartner.",
        "S0NOSUCH01 is no user group of this workspace.",
        "nobody is in @nobody.",
        "@nosuch is no user group of this workspace.",
    ]
    assert all(check["fix"] for check in found if not check["ok"])
    assert ended.code == 1
    well = {check["said"] for check in found if check["ok"]}
    assert {"#alerts can be reached.", "#incidents can be reached.", "@oncall is there."} <= well
