"""The rows of each table in README and in the manual that the code knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from support.markdown import ROOT, Row
from tocsin import manual
from tocsin.backends.devrev import changes as devrev
from tocsin.backends.incident_io import form as incident_io
from tocsin.cli import cli
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, Person, PersonId, Role, RoleAssignment, Status
from tocsin.incidents.permissions import Actor, Membership, PermissionLimits, Verb, permitted
from tocsin.metrics import Metrics
from tocsin.settings import Settings
from tocsin.slack import commands, routes
from tocsin.slack.manifest import OPTIONAL_SCOPES, SCOPES
from tocsin.web.api.table import ENDPOINTS

PLACES = {"message": "on a message", "global": "in the shortcuts menu"}
HOSTED = ("incident_io_", "devrev_")
LACKING = {"unnote": "removing a pin or a 📌"}
"""Names for the things that a backend may lack and that are no command."""


def ways_in() -> list[Row]:
    """The commands, shortcuts and workflow steps in Slack."""
    verbs = [(f"`{verb.usage}`", verb.does) for verb in commands.VERBS.values()]
    shortcuts = [(f"*{s.name}* ({PLACES[s.type]})", s.description) for s in routes.SHORTCUTS.values()]
    steps = [(f"*{s['title']}* (in Workflow Builder)", s["description"]) for s in routes.STEPS.values()]
    return [*verbs, *shortcuts, *steps]


def manual_pages() -> list[Row]:
    """The manual's pages, as README links to them."""
    pages = {name: manual.reader_of(manual.read_page(name)) for name in manual.PAGES}
    return [(f"[{name}](src/tocsin/docs/{name}.md)", who.removeprefix("For ")) for name, who in pages.items()]


def scopes() -> list[Row]:
    """Each scope with its purpose; an admin may leave the optional ones out."""
    marks = dict.fromkeys(OPTIONAL_SCOPES, "optional: ")
    return [(f"`{scope}`", f"{marks.get(scope, '')}{reason}") for scope, reason in SCOPES.items()]


def settings(kept: Sequence[Row], *prefixes: str) -> list[Row]:
    """The settings whose names begin so, or no other backend's; purposes are those that the page has."""
    known = {row[0]: row[1:] for row in kept}
    rows = []
    for name, field in Settings.model_fields.items():
        if name.startswith(prefixes) if prefixes else not name.startswith(HOSTED):
            default, purpose = known.get(f"`{name.upper()}`", ("none", ""))
            rows.append(
                (f"`{name.upper()}`", default if field.default is None else f"`{field.default}`", purpose)
            )
    return rows


def packages(kept: Sequence[Row], may_import: Mapping[str, set[str]]) -> list[Row]:
    """The packages and their rule of imports; what is in each is what the page says."""
    known = {row[0]: row[-1] for row in kept}
    rows = []
    for room, others in may_import.items():
        package = ROOT / "src" / ("" if room == "slack_emulator" else "tocsin") / room.replace(".", "/")
        if package.is_dir():
            path = f"`{package.relative_to(ROOT)}/`"
            allowed = ", ".join(f"`{other}`" for other in sorted(others)) or "nothing of ours"
            rows.append((path, allowed, known.get(path, "")))
    return rows


def lacking(lacks: Mapping[str, str]) -> list[Row]:
    return [(LACKING.get(verb, f"`/incident {verb}`"), sentence) for verb, sentence in lacks.items()]


def lacking_in_incident_io() -> list[Row]:
    return lacking(incident_io.UNSUPPORTED)


def lacking_in_devrev() -> list[Row]:
    return lacking(devrev.UNSUPPORTED)


def command_line() -> list[Row]:
    """Every command with its options, as the command line itself describes them."""
    return [
        (f"`{' '.join([name, *map(_parameter, command.params)])}`", str(command.help))
        for name, command in commands_of(typer.main.get_command(cli), "tocsin")
    ]


def commands_of(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command, or the commands in a group of them, by what is typed."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    else:
        for word, under in inner.items():
            yield from commands_of(under, f"{name} {word}")


def _parameter(parameter: Any) -> str:
    if not parameter.opts[0].startswith("--"):
        return parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"
    if parameter.is_flag:
        return f"[{parameter.secondary_opts[0] if parameter.default else parameter.opts[0]}]"
    return f"[{parameter.opts[0]} {'…' if parameter.default is None else parameter.default}]"


def endpoints() -> list[Row]:
    """Every path of the API with its methods, and those of one thing, with the scopes other than `view`."""
    rows: dict[str, tuple[list[str], list[str]]] = {}
    for one in ENDPOINTS:
        scope = "" if one.scope == "view" else f" ({one.scope})"
        path = one.path.removesuffix("/{id}")
        rows.setdefault(f"`{path}`", ([], []))[path != one.path].append(f"{one.method}{scope}")
    return [
        (path, ", ".join(all_of) or "–", ", ".join(of_one) or "–") for path, (all_of, of_one) in rows.items()
    ]


def metrics() -> list[Row]:
    """The series at `/metrics`, once each figure was counted or measured."""
    metrics = Metrics()
    metrics.count_request("route", "answered")
    metrics.observe_acknowledgement("route", 0)
    metrics.observe_reference(0)
    metrics.count_turned_away(400)
    metrics.count_nudge("no_lead", "sent")
    metrics.count_declaration("declared")
    metrics.count_call("method", "limited")
    metrics.count_page("service", "trigger", "sent")
    metrics.count_alert("prometheus", "firing")
    metrics.count_attached_alerts("prometheus", 1)
    metrics.count_alert_declaration("prometheus")
    metrics.count_webhook("endpoint", "delivered")
    metrics.set_pending_webhooks("endpoint", 0)
    metrics.count_api_request("ci", "GET /v1/identity", 200)
    rows = []
    for metric in metrics.registry.collect():
        labels = [f"`{label}`" for label in metric.samples[0].labels if label != "le"]
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        rows.append((f"`{name}`", ", ".join(labels), metric.documentation))
    return rows


def figures() -> list[Row]:
    """The last whole benchmark run."""
    kept = json.loads((ROOT / "tests/benchmarks/figures.json").read_text(encoding="utf-8"))
    columns = ("metric", "compared_with", "measured", "target")
    return [(*(row[column] for column in columns), "yes" if row["met"] else "no") for row in kept]


LEAD, OTHER = PersonId("U0LEAD"), PersonId("U0OTHER")
WHO: dict[str, tuple[PersonId, tuple[Membership, ...]]] = {
    "members of the workspace": (OTHER, (Membership.MEMBER,)),
    "guests with a role in the incident": (LEAD, (Membership.GUEST, Membership.SINGLE_CHANNEL_GUEST)),
    "other guests": (OTHER, (Membership.GUEST, Membership.SINGLE_CHANNEL_GUEST)),
    "people of another organization (Slack Connect)": (LEAD, (Membership.STRANGER,)),
    "bots and deactivated accounts": (LEAD, (Membership.BOT, Membership.DEACTIVATED)),
}


def permissions() -> list[Row]:
    """The verbs that each kind of person may use on a public incident, as the rules answer."""
    return [(who, _granted(person, memberships)) for who, (person, memberships) in WHO.items()]


def _granted(person: PersonId, memberships: Iterable[Membership]) -> str:
    (usual,) = {_allowed(person, membership, PermissionLimits()) for membership in memberships}
    (opened,) = {
        _allowed(person, membership, PermissionLimits(guests_may_declare=True)) for membership in memberships
    }
    more = " and ".join(f"`{verb}`" for verb in opened if verb not in usual)
    more = f"; {more} if `guests_may_declare` is true" if more else ""
    if set(usual) == set(Verb):
        return "everything"
    return (", ".join(f"`{verb}`" for verb in usual) or "nothing") + more


def _allowed(person: PersonId, membership: Membership, limits: PermissionLimits) -> tuple[Verb, ...]:
    def may(verb: Verb) -> bool:
        actor = Actor(person=person, membership=membership)
        try:
            return not permitted(actor, verb, None if verb in {"declare", "list"} else _incident(), limits)
        except Refused:
            return False

    return tuple(verb for verb in Verb if may(verb))


def _incident() -> Incident:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    lead = RoleAssignment(
        role=Role(id="lead", name="Lead", role_type="lead"), assignee=Person(slack_user_id=LEAD)
    )
    return Incident(
        id="1",
        reference="INC-1",
        name="Checkout is slow",
        incident_status=Status(id="live", name="Live"),
        visibility="public",
        creator=Person(slack_user_id=PersonId("U0REP")),
        incident_role_assignments=(lead,),
        created_at=at,
        updated_at=at,
    )
