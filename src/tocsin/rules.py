"""Rules in the configuration file (TOCSIN_CONFIG, TOML): who may do what, and what happens by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from tocsin.alert_tables import AlertRuleTable, AlertSourceTable, AlertTemplateTable
from tocsin.config import CHOICE_LIMIT, problem, refuse_same
from tocsin.incidents.announcements import AnnouncementRule
from tocsin.incidents.calls import CallRule
from tocsin.incidents.channel_names import TEMPLATE, ChannelNames
from tocsin.incidents.channel_names import template_error as name_error
from tocsin.incidents.digest import DigestRule, parse_when
from tocsin.incidents.model import (
    HUDDLE,
    Mode,
    TeamId,
    TriageDefaults,
)
from tocsin.incidents.nudges import After, Condition, NudgePolicy, NudgeRule
from tocsin.incidents.permissions import PermissionLimits
from tocsin.incidents.postmortem import STANDARD, PostIncidentPolicy, template_error
from tocsin.incidents.tasks import IncidentConditions, Runbook, RunbookRule, Task, TaskPolicy, TaskRule
from tocsin.incidents.tracker import TITLE_LIMIT, Tracker
from tocsin.incidents.tracker import template_error as address_error
from tocsin.incidents.validation import clean_text, is_link, is_visible
from tocsin.incidents.webhooks import EVENTS, PRIVATE_EVENTS, PUBLIC_EVENTS
from tocsin.settings import ConfigurationError, Settings, read_config

# With several workspaces, `T…/` before an id names the workspace it belongs to.
_THERE = r"^(T[A-Z0-9]{2,}/)?"
GroupId = Annotated[str, StringConstraints(pattern=rf"{_THERE}S[A-Z0-9]{{2,}}$")]
ChannelName = Annotated[str, StringConstraints(pattern=rf"{_THERE}[CG][A-Z0-9]{{2,}}$")]
Invited = Annotated[str, StringConstraints(pattern=rf"{_THERE}(S[A-Z0-9]{{2,}}|@[a-z0-9._-]{{1,80}})$")]
Names = tuple[str, ...]
EnvironmentVariable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
ADDRESS = r"^(https://[^\s/?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[^\s?#]*)?$"
"""Addresses to which pages are sent: over TLS, or on this machine."""

ENDPOINT = ADDRESS.replace(r"[^\s?#]*)?$", r"[^\s?#]*)?(\?[^\s#]*)?$")
"""Addresses of webhooks, which may have a query, too."""

RUNBOOK_LIMIT = 500
"""Characters of the link to a runbook, so that a list with many of them fits into a message."""

_SHAPES = {
    "permissions": "give a user group's id, which begins with S",
    "channels": "give a channel's id, which begins with C",
    "key_variable": "give the name of an environment variable, such as 'PAGERDUTY_KEY', never the key itself",
    "token_variable": "give the name of an environment variable, such as 'PAGERDUTY_TOKEN'",
    "url": "give an address that begins with https://, such as 'https://events.eu.pagerduty.com'",
    "secret_variable": "give the name of an environment variable, such as 'DEPLOYS_SECRET', not the secret",
    "rest_url": "give an address that begins with https://, such as 'https://api.eu.pagerduty.com'",
    "team": "give a workspace's id, which begins with T",
    "channel": "give a channel's id, which begins with C",
    "invite": "give a user group, by its id (it begins with S) or its handle, such as '@oncall'",
}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Permissions(_Table):
    """`[permissions]`: the user groups to which a verb is limited."""

    declare: tuple[GroupId, ...] = ()
    close: tuple[GroupId, ...] = ()
    private: tuple[GroupId, ...] = ()
    guests_may_declare: bool = False


class AnnouncementTable(_Table):
    """`[[announcements]]`."""

    severities: Names = ()
    incident_types: Names = ()
    custom_fields: dict[str, Names] = Field(default_factory=dict)
    modes: tuple[Mode, ...] = ("standard",)
    channels: tuple[ChannelName, ...] = ()
    invite: tuple[Invited, ...] = ()

    @model_validator(mode="after")
    def _does_something(self) -> AnnouncementTable:
        if not self.channels and not self.invite:
            raise ValueError("says nothing to do; give channels, invite, or both")
        return self


class CallTable(_Table):
    """`[[calls]]`: the call of an incident by severity or type."""

    severities: Names = ()
    incident_types: Names = ()
    modes: tuple[Mode, ...] = ("standard",)
    url: str

    @field_validator("url")
    @classmethod
    def _is_a_call(cls, given: str) -> str:
        if given == "huddle":
            return HUDDLE
        if not is_link(given):
            raise ValueError("give a link that starts with https:// or http://, or 'huddle'")
        return given


class TaskTable(_Table):
    """One of the things `do` names in `[[tasks]]`."""

    title: str
    kind: Literal["action", "follow_up"] = "action"
    role: str | None = Field(default=None, min_length=1)
    runbook: str | None = None

    @field_validator("title")
    @classmethod
    def _is_a_title(cls, given: str) -> str:
        return _titled(given)

    @field_validator("runbook")
    @classmethod
    def _is_an_address(cls, given: str | None) -> str | None:
        return given if given is None else _linked(given)


class TasksTable(_Table):
    """`[[tasks]]`: the tasks of an incident by severity, type and fields."""

    severities: Names = ()
    severity_at_least: str | None = Field(default=None, min_length=1)
    incident_types: Names = ()
    custom_fields: dict[str, Names] = Field(default_factory=dict)
    modes: tuple[Mode, ...] = ("standard",)
    do: tuple[TaskTable, ...] = Field(min_length=1, max_length=50)


class RunbookTable(_Table):
    """`[[runbooks]]`: a link for responders by severity, type and fields."""

    severities: Names = ()
    severity_at_least: str | None = Field(default=None, min_length=1)
    incident_types: Names = ()
    custom_fields: dict[str, Names] = Field(default_factory=dict)
    modes: tuple[Mode, ...] = ("standard",)
    title: str
    url: str

    @field_validator("title")
    @classmethod
    def _is_a_title(cls, given: str) -> str:
        return _titled(given)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, given: str) -> str:
        return _linked(given)


def _titled(given: str) -> str:
    """Return a title as it is stored. Raises ValueError if it is empty or too long."""
    title = clean_text(given)
    if not is_visible(title) or len(title) > TITLE_LIMIT:
        raise ValueError(f"give a title of at most {TITLE_LIMIT} characters")
    return title


def _linked(given: str) -> str:
    if not is_link(given) or len(given) > RUNBOOK_LIMIT:
        raise ValueError(f"give a link of at most {RUNBOOK_LIMIT} characters that starts with https://")
    return given


class TrackerTable(_Table):
    """`[tracker]`: the form for a new issue in the issue tracker."""

    url: str

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, given: str) -> str:
        if wrong := address_error(given):
            raise ValueError(wrong)
        return given


class TriageTable(_Table):
    """`[triage]`: the declarations that start in triage unless the person says that it is an incident."""

    by_default: bool = False
    incident_types: Names = ()


class DigestTable(_Table):
    """`[[digests]]`: a channel to which figures of the week are posted."""

    channel: ChannelName
    on: str = "monday 09:00"
    zone: str = "UTC"

    @field_validator("on")
    @classmethod
    def _is_a_time(cls, given: str) -> str:
        parse_when(given)
        return given

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ValueError, OSError, LookupError):
            raise ValueError("give a time zone of the IANA database, such as 'Europe/Berlin'") from None
        return given


class PostIncidentTable(_Table):
    """`[after]`: settings for closed incidents."""

    template: str | None = None
    phases_picture: bool = True
    archive_after_days: int | None = Field(default=None, ge=1, le=3650)
    archive_hosted: bool = False
    archive_used: bool = False


class NudgeRuleTable(_Table):
    """`[[nudges.rules]]`."""

    when: Condition
    after: After
    severities: Names = ()
    incident_types: Names = ()


class NudgesTable(_Table):
    """`[nudges]`."""

    most_a_day: int = Field(default=4, ge=0, le=24)
    rules: tuple[NudgeRuleTable, ...] = Field(default=(), max_length=50)


class PagingTable(_Table):
    """`[[paging]]`: a target that `/incident page` may page, and the service that reaches it."""

    name: str = Field(min_length=1, max_length=CHOICE_LIMIT)
    provider: Literal["pagerduty", "opsgenie", "webhook"]
    key_variable: EnvironmentVariable
    """Environment variable with the integration key, the API key or the signing secret."""
    token_variable: EnvironmentVariable | None = None
    """Environment variable with a token of PagerDuty's REST API, to read acknowledgements with."""
    url: str | None = Field(default=None, pattern=ADDRESS)
    rest_url: str | None = Field(default=None, pattern=ADDRESS)
    team: str | None = Field(default=None, min_length=1, max_length=100)
    """Team that Opsgenie notifies, if the key is not a team's own."""
    private: bool = False
    """True if pages for private incidents carry the name and the reason, too."""

    @model_validator(mode="after")
    def _fits_its_provider(self) -> PagingTable:
        if self.provider == "webhook" and self.url is None:
            raise ValueError("a webhook needs a url")
        only = {"token_variable": "pagerduty", "rest_url": "pagerduty", "team": "opsgenie"}
        for key, provider in only.items():
            if getattr(self, key) is not None and self.provider != provider:
                raise ValueError(f"{key} is for provider = '{provider}' alone")
        if not is_visible(clean_text(self.name)):
            raise ValueError("give a name that people can type, such as 'payments'")
        return self


class WebhookTable(_Table):
    """`[[webhooks]]`: an endpoint that is told of events."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")
    url: str = Field(pattern=ENDPOINT, max_length=2000)
    secret_variable: EnvironmentVariable
    """Environment variable with the signing secret, or with several, the newest first."""
    events: tuple[str, ...] = Field(default=(), max_length=len(EVENTS))
    """Names of events; empty for all."""
    private: bool = False
    """True if the endpoint is told of private incidents, by their ids alone."""
    allow_private_network: bool = False
    """True if its host may have an address in a private network, or be this machine."""

    @model_validator(mode="after")
    def _names_events(self) -> WebhookTable:
        for event in self.events:
            if event not in EVENTS:
                raise ValueError(f"there is no event {event!r}; the names are in: tocsin docs webhooks")
            if event in PRIVATE_EVENTS and not self.private:
                raise ValueError(f"{event} needs private = true")
        return self

    @property
    def event_types(self) -> frozenset[str]:
        every = EVENTS if self.private else PUBLIC_EVENTS
        return frozenset(self.events or every)


class ChannelsTable(_Table):
    """`[channels]`: settings for incidents' channels."""

    name: str = TEMPLATE
    use_this_channel: bool = False
    """True if the declare form proposes the channel that it was opened in, instead of a new one."""

    @field_validator("name")
    @classmethod
    def _is_a_template(cls, given: str) -> str:
        if wrong := name_error(given):
            raise ValueError(wrong)
        return given


class Config(_Table):
    """All parts of the configuration file except the choices of the forms."""

    permissions: Permissions = Permissions()
    announcements: tuple[AnnouncementTable, ...] = Field(default=(), max_length=50)
    calls: tuple[CallTable, ...] = Field(default=(), max_length=50)
    tasks: tuple[TasksTable, ...] = Field(default=(), max_length=50)
    runbooks: tuple[RunbookTable, ...] = Field(default=(), max_length=50)
    tracker: TrackerTable | None = None

    triage: TriageTable = TriageTable()
    after: PostIncidentTable = PostIncidentTable()
    nudges: NudgesTable = NudgesTable()
    digests: tuple[DigestTable, ...] = Field(default=(), max_length=20)
    paging: tuple[PagingTable, ...] = Field(default=(), max_length=50)
    webhooks: tuple[WebhookTable, ...] = Field(default=(), max_length=20)
    channels: ChannelsTable = ChannelsTable()
    alert_sources: tuple[AlertSourceTable, ...] = Field(default=(), max_length=100)
    alert_rules: tuple[AlertRuleTable, ...] = Field(default=(), max_length=100)
    template: str = Field(default=STANDARD, exclude=True)

    @model_validator(mode="after")
    def _each_target_has_its_name(self) -> Config:
        refuse_same("paging", "name", [entry.name.casefold() for entry in self.paging])
        refuse_same("alert_sources", "id", [entry.id for entry in self.alert_sources])
        known = {entry.id for entry in self.alert_sources}
        for name in {name for entry in self.alert_rules for name in entry.sources} - known:
            raise ValueError(f"alert_rules: there is no source with the id {name!r} in alert_sources")
        refuse_same("webhooks", "name", [entry.name.casefold() for entry in self.webhooks])
        # A channel gets one digest a week, so a second entry for it would never be posted.
        refuse_same("digests", "channel", [entry.channel for entry in self.digests])
        return self

    def for_team(self, team: str) -> Config:
        """Return the rules of one workspace: entries that name another workspace are left out."""
        permissions = _entries_of(self.permissions, team, "declare", "close", "private")
        announcements = tuple(_entries_of(rule, team, "channels", "invite") for rule in self.announcements)
        return self.model_copy(update={"permissions": permissions, "announcements": announcements})

    @property
    def post_incident(self) -> PostIncidentPolicy:
        policy = self.after.model_dump(exclude={"template"})
        return PostIncidentPolicy(template=self.template, **policy)

    @property
    def triage_defaults(self) -> TriageDefaults:
        return TriageDefaults(**self.triage.model_dump())

    @property
    def nudge_policy(self) -> NudgePolicy:
        rules = tuple(NudgeRule(**rule.model_dump()) for rule in self.nudges.rules)
        return NudgePolicy(rules=rules, most_a_day=self.nudges.most_a_day)

    def digests_in(self, teams: Sequence[TeamId]) -> list[tuple[TeamId, DigestRule]]:
        """Return the digests of these workspaces; one that names no workspace belongs to the first."""
        found = []
        for entry in self.digests:
            home, _, channel = entry.channel.rpartition("/")
            team = TeamId(home) if home else next(iter(teams), None)
            if team in teams and team is not None:
                found.append((team, DigestRule(channel=channel, on=entry.on, zone=entry.zone)))
        return found

    @property
    def task_policy(self) -> TaskPolicy:
        rules = (
            TaskRule(when=_conditions(rule), do=tuple(Task(**task.model_dump()) for task in rule.do))
            for rule in self.tasks
        )
        runbooks = (
            RunbookRule(when=_conditions(rule), runbook=Runbook(title=rule.title, url=rule.url))
            for rule in self.runbooks
        )
        return TaskPolicy(rules=tuple(rules), runbooks=tuple(runbooks))

    @property
    def issue_tracker(self) -> Tracker | None:
        return None if self.tracker is None else Tracker(url=self.tracker.url)

    @property
    def channel_names(self) -> ChannelNames:
        return ChannelNames(self.channels.name)

    @property
    def limits(self) -> PermissionLimits:
        return PermissionLimits(**self.permissions.model_dump())

    @property
    def rules(self) -> tuple[AnnouncementRule, ...]:
        return tuple(AnnouncementRule(**rule.model_dump()) for rule in self.announcements)

    @property
    def call_rules(self) -> tuple[CallRule, ...]:
        return tuple(CallRule(**rule.model_dump()) for rule in self.calls)

    @property
    def groups(self) -> tuple[str, ...]:
        """Every user group in the rules, by id or handle."""
        limited = (*self.permissions.declare, *self.permissions.close, *self.permissions.private)
        return tuple(dict.fromkeys((*limited, *(g for rule in self.announcements for g in rule.invite))))

    @property
    def announced_in(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(channel for rule in self.announcements for channel in rule.channels))


def _conditions(rule: TasksTable | RunbookTable) -> IncidentConditions:
    return IncidentConditions(**rule.model_dump(include=set(IncidentConditions.model_fields)))


T = TypeVar("T", bound=_Table)


def _entries_of(table: T, team: str, *named: str) -> T:
    """Return the table with the entries of this workspace, without the workspace's id."""
    found = {}
    for name in named:
        places = [entry.rpartition("/") for entry in getattr(table, name)]
        found[name] = tuple(entry for home, _, entry in places if home in ("", team))
    return table.model_copy(update=found)


CONFIG_KEYS = frozenset(Config.model_fields) - {"template"}


def open_config(settings: Settings) -> Config:
    """Return the rules, none without a file. Raises ConfigurationError with a line for each problem."""
    rules = read_rules(read_config(settings.tocsin_config))
    if rules.after.template is None or settings.tocsin_config is None:
        return rules
    return rules.model_copy(
        update={"template": _template(settings.tocsin_config.parent / rules.after.template)}
    )


def _template(path: Path) -> str:
    """Read the post-incident template; a relative path starts at the configuration's folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"TOCSIN_CONFIG: after.template cannot be read ({path}): {error}.") from None
    if wrong := template_error(text):
        raise ConfigurationError(f"TOCSIN_CONFIG: after.template ({path}) {wrong}.")
    return text


def read_rules(config: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate({key: config[key] for key in CONFIG_KEYS if key in config})
    except ValidationError as error:
        lines = [_line(one) for one in error.errors()]
        raise ConfigurationError("\n".join(f"TOCSIN_CONFIG: {line}" for line in lines)) from None


def _line(error: Any) -> str:
    told: str = problem(error, _known(error["loc"]))
    shape = next((_SHAPES[part] for part in reversed(error["loc"]) if part in _SHAPES), "")
    if error["type"] == "string_pattern_mismatch" and shape:
        return f"{told.partition(': ')[0]}: {shape}"
    return told


def _known(place: Sequence[Any]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "permissions": Permissions,
        "announcements": AnnouncementTable,
        "calls": CallTable,
        "tasks": TaskTable if len(place) > 2 and place[2] == "do" else TasksTable,
        "runbooks": RunbookTable,
        "tracker": TrackerTable,
        "triage": TriageTable,
        "after": PostIncidentTable,
        "digests": DigestTable,
        "nudges": NudgeRuleTable if len(place) > 2 else NudgesTable,
        "paging": PagingTable,
        "webhooks": WebhookTable,
        "channels": ChannelsTable,
        "alert_sources": AlertTemplateTable if "template" in place else AlertSourceTable,
        "alert_rules": AlertRuleTable,
    }
    # Without a place it is about two tables of the whole file.
    return list(tables[str(place[0])].model_fields) if place else []
