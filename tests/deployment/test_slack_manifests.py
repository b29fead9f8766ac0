"""The variants of the Slack app manifest: each is what the command prints, and Slack takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from slack_emulator.manifest import Manifest, manifest_errors
from tocsin.cli import cli
from tocsin.slack import routes

FOLDER = Path(__file__).parents[2] / "manifests" / "slack"

VARIANTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "http.yml": (
        ("--http", "https://tocsin.example.com"),
        routes.manifest("https://tocsin.example.com"),
    ),
    "org-wide.yml": (("--org",), routes.manifest(org=True)),
    "without-steps.yml": (("--no-steps",), routes.manifest(steps=False)),
    "development.yml": (
        ("--name", "Tocsin (development)"),
        routes.manifest(name="Tocsin (development)"),
    ),
}


def test_every_variant_is_exactly_what_the_command_prints() -> None:
    kept = {path.name: path.read_text() for path in FOLDER.iterdir()}
    printed = {
        name: CliRunner().invoke(cli, ["manifest", *options]) for name, (options, _) in VARIANTS.items()
    }
    assert kept == {name: one.stdout for name, one in printed.items()}


@pytest.mark.parametrize("name", VARIANTS)
def test_slack_takes_every_variant(name: str) -> None:
    kept = yaml.safe_load((FOLDER / name).read_text())
    assert manifest_errors(kept) == []
    assert kept == VARIANTS[name][1]
    Manifest.from_dict(kept)


def test_a_variant_differs_from_the_usual_app_only_in_what_its_name_says() -> None:
    usual = routes.manifest()
    org_wide = yaml.safe_load((FOLDER / "org-wide.yml").read_text())
    # An app with a step for Workflow Builder must be ready for an organization (Slack, custom steps).
    assert org_wide["settings"]["org_deploy_enabled"] is True
    assert org_wide == usual
    without = yaml.safe_load((FOLDER / "without-steps.yml").read_text())
    assert without["settings"].pop("org_deploy_enabled") is False
    assert usual["settings"].pop("org_deploy_enabled") is True
    assert usual["settings"].pop("function_runtime") == "remote"
    assert set(usual.pop("functions")) == {"declare_incident", "update_incident", "close_incident"}
    events = usual["settings"]["event_subscriptions"]["bot_events"]
    events.remove("function_executed")
    assert without == usual
    usual = routes.manifest()
    development = yaml.safe_load((FOLDER / "development.yml").read_text())
    names = {
        development["display_information"].pop("name"),
        development["features"].pop("bot_user")["display_name"],
    }
    assert names == {"Tocsin (development)"}
    del usual["display_information"]["name"], usual["features"]["bot_user"]
    assert development == usual


def test_a_name_that_slack_would_not_take_is_refused_before_slack_sees_it() -> None:
    longest = "x" * 35
    taken = CliRunner().invoke(cli, ["manifest", "--name", longest])
    refused = CliRunner().invoke(cli, ["manifest", "--name", longest + "x"])
    assert manifest_errors(yaml.safe_load(taken.stdout)) == []
    assert manifest_errors(routes.manifest(name=longest + "x")) != []
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "35 characters" in refused.stderr
