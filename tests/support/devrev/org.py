"""The organisation: its people, parts, tags, stages and schema, its incidents and their timelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from slack_emulator.faults import Faults
from support.devrev.refusals import customization, invalid_enum, invalid_id, not_permitted

DON = "don:core:dvrv-us-1:devo/northwind"
PEOPLE = "don:identity:dvrv-us-1:devo/northwind:devu"
TOKEN = "pat-of-northwind"


@dataclass
class Person:
    number: int
    full_name: str
    email: str
    state: str = "active"

    @property
    def id(self) -> str:
        return f"{PEOPLE}/{self.number}"

    def told(self) -> dict[str, Any]:
        return {
            "type": "dev_user",
            "id": self.id,
            "display_id": f"DEVU-{self.number}",
            "display_name": self.full_name.split()[0].lower(),
            "full_name": self.full_name,
            "email": self.email,
            "state": self.state,
        }


@dataclass
class Field:
    """One of the organisation's own fields of incidents; its name is bare, as in its schema fragment."""

    name: str
    field_type: str = "text"
    base_type: str | None = None
    allowed_values: list[Any] = field(default_factory=list)
    required: bool = False
    display_name: str = ""
    ui: dict[str, Any] = field(default_factory=dict)

    def told(self, prefix: str = "") -> dict[str, Any]:
        told: dict[str, Any] = {"name": f"{prefix}{self.name}", "field_type": self.field_type}
        if self.base_type:
            told["base_type"] = self.base_type
        if self.allowed_values:
            told["allowed_values"] = self.allowed_values
        if self.required:
            told["is_required"] = True
        name = self.display_name or self.name.capitalize()
        return told | {"ui": {"display_name": name, **self.ui}}

    def check(self, value: Any) -> None:
        if self.field_type == "array":
            if not isinstance(value, list):
                raise self._wrong()
            for item in value:
                self._one(self.base_type or "", item)
        else:
            self._one(self.field_type, value)

    def _one(self, kind: str, value: Any) -> None:
        kinds = {"text": str, "rich_text": str, "enum": str, "int": int, "uenum": int, "bool": bool}
        wanted: Any = (int, float) if kind == "double" else kinds.get(kind, str)
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "bool"):
            raise self._wrong()
        allowed = [v["id"] if isinstance(v, dict) else v for v in self.allowed_values]
        if kind in {"enum", "uenum"} and value not in allowed:
            raise customization("enum_out_of_range", f"tnt__{self.name}", f"{value} is not a choice")

    def _wrong(self) -> Exception:
        return customization("wrong_type", f"tnt__{self.name}", f"it must be of type {self.field_type}")


def _values(*labels: str) -> list[dict[str, Any]]:
    """Ids that nobody would guess, worst first."""
    return [{"id": 7 * n + 4, "label": label, "ordinal": n} for n, label in enumerate(labels, 1)]


def machine_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class FakeOrg:
    """`lag` is how many seconds after its creation a list shows an incident; `get` shows it at once."""

    clock: Callable[[], datetime] = machine_clock
    lag: float = 0.0
    refused: set[str] = field(default_factory=set)
    """Fields of an incident that this organisation's schema does not have."""
    dropped: set[str] = field(default_factory=set)
    """Fields that are taken and not kept."""
    unlisted: set[str] = field(default_factory=set)
    """Filters that a list does not have."""
    unreadable: set[str] = field(default_factory=set)
    """Methods that the token's person may not use."""
    missing: set[str] = field(default_factory=set)
    """Methods that are not at this address."""
    bare_errors: bool = False
    """Errors without a `type`."""
    sparse: bool = False
    """Pages with fewer entries than there is room for, the first of them empty, each with a cursor."""
    token: str = TOKEN
    url: str = ""
    """Where it answers, once it does."""
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    asked_at: list[tuple[str, datetime]] = field(default_factory=list)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    severities: list[dict[str, Any]] = field(default_factory=lambda: _values("SEV0", "SEV1", "SEV2"))
    impacts: list[dict[str, Any]] = field(default_factory=lambda: _values("Everyone", "Some", "One"))
    reporters: list[dict[str, Any]] = field(default_factory=lambda: _values("Customer", "Monitoring"))
    fields: list[Field] = field(
        default_factory=lambda: [
            Field("affected_area", "array", "enum", ["Website", "API", "Payments"], False, "Affected area"),
            Field("detected_by", "enum", None, ["Monitoring", "Customer", "Colleague"], False, "Detected by"),
            Field("customers_affected", "int", display_name="Customers affected"),
            Field("status_page", "text", display_name="Status page"),
            Field("tocsin_key", "text", display_name="Tocsin's key"),
        ]
    )

    subtypes: dict[str, list[Field]] = field(default_factory=dict)
    """The fields that incidents of each subtype have besides, by its value."""
    titles: dict[str, str] = field(default_factory=dict)
    """What articles, accounts and artifacts are called, by their ids."""

    def __post_init__(self) -> None:
        self.bot = Person(1, "Tocsin Bot", "tocsin@northwind.example")
        self.people = [
            self.bot,
            Person(7, "Ana Torres", "ana@northwind.example"),
            Person(8, "Ben Okafor", "ben@northwind.example"),
            Person(9, "Tom Reyes", "tom@northwind.example", "deactivated"),
        ]
        names = ("Checkout", "Search", "Mobile app", "Checkout")
        kinds = ("product", "capability", "product", "feature")
        self.parts = [
            {
                "type": kind,
                "id": f"{DON}:{kind}/{n}",
                "display_id": f"{kind[:4].upper()}-{n}",
                "name": name,
                "owned_by": [self.bot.told()],
            }
            for n, (name, kind) in enumerate(zip(names, kinds, strict=True), 1)
        ]
        self.tags = [
            {"id": f"{DON}:tag/{n}", "display_id": f"TAG-{n}", "name": name}
            for n, name in enumerate(("network", "database", "deploy"), 1)
        ]
        states = {"open": False, "in_progress": False, "closed": True}
        on = (
            ("Queued", "open"),
            ("Investigating", "in_progress"),
            ("Mitigated", "in_progress"),
            ("Resolved", "closed"),
        )
        self.stages = [
            {
                "id": f"{DON}:custom_stage/{n}",
                "display_id": f"STAGE-{n}",
                "name": name,
                "ordinal": n,
                "state": {"id": f"{DON}:custom_state/{state}", "name": state, "is_final": states[state]},
            }
            for n, (name, state) in enumerate(on, 1)
        ]
        # A stage is not bound to a kind of object (Stages): those of tickets are in the same list.
        self.foreign_stage = {
            "id": f"{DON}:custom_stage/99",
            "display_id": "STAGE-99",
            "name": "Awaiting customer",
            "ordinal": 9,
            "state": {"id": f"{DON}:custom_state/open", "name": "open", "is_final": False},
        }

    def user(self, user_id: str) -> Person | None:
        return next((p for p in self.people if user_id in (p.id, f"DEVU-{p.number}")), None)

    def stage(self, stage_id: str) -> dict[str, Any] | None:
        return next((stage for stage in self.stages if stage["id"] == stage_id), None)

    def part(self, part_id: str) -> dict[str, Any] | None:
        return next((p for p in self.parts if part_id in (p["id"], p["display_id"])), None)

    def tag(self, tag_id: str) -> dict[str, Any] | None:
        return next((t for t in self.tags if tag_id in (t["id"], t["display_id"])), None)

    def enum(self, name: str, value: int, values: list[dict[str, Any]]) -> dict[str, Any]:
        found = next((v for v in values if v["id"] == value), None)
        if found is None:
            raise invalid_enum(name, value, [v["id"] for v in values])
        return found

    def make(self, body: dict[str, Any]) -> dict[str, Any]:
        """The incident that a well-formed `incidents.create` makes."""
        if "source" in body:
            raise not_permitted("source", "only sys users and service accounts may set it")
        number, now = len(self.incidents) + 1, stamp(self.clock())
        start = self.stages[0]
        made: dict[str, Any] = {
            "id": f"{DON}:incident/{number}",
            "display_id": f"INC-{number}",
            "created_by": self.bot.told(),
            "created_date": now,
            "modified_by": self.bot.told(),
            "modified_date": now,
            "stage": {"stage": summary(start), "state": start["state"]},
            "owned_by": [],
        }
        self.set_fields(made, {name: v for name, v in body.items() if name not in self.dropped}, fresh=True)
        self.incidents[made["id"]] = made
        return made

    def set_fields(self, incident: dict[str, Any], body: dict[str, Any], *, fresh: bool = False) -> None:
        plain = ("title", "body", "sync_metadata", "identified_date", "acknowledged_date", "mitigated_date")
        for name in (*plain, "target_close_date"):
            if name in body:
                incident[name] = body[name]
        for name in ("artifacts", "pia", "playbooks", "related_docs", "impacted_customers", "stakeholders"):
            if name in body:
                incident[name] = [self.summarised(name, one) for one in _listed(body[name])]
        if "severity" in body:
            incident["severity"] = self.enum("severity", body["severity"], self.severities)
        if "reported_by" in body:
            incident["reported_by"] = self.enum("reported_by", body["reported_by"], self.reporters)
        self._set_impact(incident, body.get("impact", {}))
        if "stage" in body:
            self._set_stage(incident, body, fresh)
        self._set_lists(incident, body)
        self._set_own(incident, body)

    def _set_impact(self, incident: dict[str, Any], given: dict[str, Any]) -> None:
        told = dict(incident.get("impact", {}))
        if "count" in given:
            told["count"] = self.enum("impact", given["count"], self.impacts)
        if "customer_ids" in given:
            told["customer_ids"] = [
                self.summarised("accounts", one) for one in _listed(given["customer_ids"])
            ]
        if told:
            incident["impact"] = told

    def _set_lists(self, incident: dict[str, Any], body: dict[str, Any]) -> None:
        if "owned_by" in body:
            incident["owned_by"] = [
                self._known("owned_by", self.user, u).told() for u in _listed(body["owned_by"])
            ]
        if "applies_to_parts" in body:
            parts = _listed(body["applies_to_parts"])
            incident["applies_to_parts"] = [self._known("applies_to_parts", self.part, p) for p in parts]
        if "tags" in body:
            incident["tags"] = [
                {"tag": self._known("tags", self.tag, given["tag_id"])}
                | ({"value": given["value"]} if "value" in given else {})
                for given in _listed(body["tags"])
            ]

    def _known(self, name: str, find: Callable[[str], Any], value: str) -> Any:
        found = find(value)
        if found is None:
            raise invalid_id(name, value)
        return found

    def _set_stage(self, incident: dict[str, Any], body: dict[str, Any], fresh: bool) -> None:
        stage = self._known("stage", self.stage, body["stage"]["stage"])
        allowed = "allow_non_start" in body.get("stage_validation_options", ())
        if fresh and stage is not self.stages[0] and not allowed:
            raise not_permitted("stage", "it is no start stage")
        incident["stage"] = {"stage": summary(stage), "state": stage["state"]}
        if stage["state"]["is_final"]:
            incident["actual_close_date"] = stamp(self.clock())

    def summarised(self, name: str, given: str) -> dict[str, Any]:
        """The summary of an article, an account, an artifact or a user (beta reference, `…-summary`)."""
        plain = {"id": given, "display_id": given.rpartition("/")[2]}
        if name == "stakeholders":
            return self._known(name, self.user, given).told()  # type: ignore[no-any-return]
        title = self.titles.get(given, "")
        if name == "artifacts":
            return plain | {"type": "artifact", "file": {"name": title}}
        if name in {"accounts", "impacted_customers"}:
            return plain | {"type": "account", "display_name": title}
        return plain | {"type": "article", "title": title}

    def _set_own(self, incident: dict[str, Any], body: dict[str, Any]) -> None:
        own, spec = body.get("custom_fields", {}), body.get("custom_schema_spec", {})
        subtype = spec.get("subtype")
        if subtype is not None:
            if subtype not in self.subtypes:
                raise not_permitted("custom_schema_spec.subtype", "there is no such subtype")
            incident["subtype"] = subtype
        schemas = {
            "tnt__": self.fields if spec.get("tenant_fragment") else None,
            "ctype__": self.subtypes[subtype] if subtype is not None else None,
        }
        for name, value in own.items():
            prefix, _, bare = name.partition("__")
            fields = schemas.get(f"{prefix}__")
            if fields is None:
                reason = f"the schema of {name} is not specified"
                raise customization("field_not_in_schema", name, reason)
            found = next((f for f in fields if f.name == bare), None)
            if found is None:
                raise customization("field_not_in_schema", name, "there is no such field")
            found.check(value)
        there = incident.get("custom_fields", {}) | own
        for prefix, fields in schemas.items():
            for wanted in fields or ():
                if wanted.required and f"{prefix}{wanted.name}" not in there:
                    raise customization("field_required", f"{prefix}{wanted.name}", "it is required")
        if own:
            incident["custom_fields"] = there

    def listed(self) -> list[dict[str, Any]]:
        """What a list shows by now, oldest first."""
        now = self.clock()
        return [
            i
            for i in self.incidents.values()
            if moment(i["created_date"]) + timedelta(seconds=self.lag) <= now
        ]


def summary(stage: dict[str, Any]) -> dict[str, Any]:
    return {name: stage[name] for name in ("id", "display_id", "name")}


def _listed(value: Any) -> list[Any]:
    return value["set"] if isinstance(value, dict) else value


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
