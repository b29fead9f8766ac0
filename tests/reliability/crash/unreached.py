"""What no scenario reaches, by function or module, each with the reason; and how much of the rest must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reliability.crash.points import Point, package_of

READING = "only pages, lists and other readers ask this"
CLOSING = "a killed bot closes nothing"
MINUTES = "only after two minutes of lost answers; tests/integration/workflows has them"
HOSTED = "only where the backend is elsewhere"
OPERATOR = "only when the operator is told of something"
PERMITS = "only where rules limit who may declare; tests/integration/slack/test_permitted.py has them"
RULES = (
    "only where the operator has rules for announcements; tests/integration/slack/test_announcing.py has them"
)
INSTALLED = (
    "only where several workspaces install it; tests/integration/slack/test_several_workspaces.py has them"
)
HTTP = "only over HTTP; tests/e2e/wire has it"
DOCTOR = "only `tocsin doctor` and `tocsin pending` ask this"
UNOPENED = (
    "people here make the gesture again instead; tests/integration/slack/test_unopened.py has the button"
)
VERBS = "people over a hosted backend only declare here; tests/integration has the rest"
NO_TRIAGE = "DevRev has no triage"
SEARCH = "people here search no field; tests/integration has that"
MEANWHILE = (
    "only when it becomes private, or somebody leaves, meanwhile; tests/integration/slack has these moments"
)
SELF_TEST = (
    "only where Slack refuses, or a field is required; tests/integration/slack/test_self_test.py has that"
)
TOO_SOON = "only a sweep does this, ten minutes and a day later; tests/integration/devrev has both"

SHARED = (
    "only where replicas share PostgreSQL; tests/e2e/replicas and tests/reliability/replicas kill them there"
)
CATALOGUE = "only a client that administers the choices; tests/integration/backends has its one transaction"
IMPORTED = "only `tocsin incidents import` does this; tests/e2e/test_importing.py kills it"

ALERTED = (
    "only once an incident is over, or by another rule; tests/integration/slack/test_alerts.py has these"
)
MERGED = "no incident of an alert is merged here; tests/integration/slack/test_merged_alerts.py has these"
NO_ALERTS = "people over a hosted backend only declare here; over the local one alerts come in"

PAGED = "only where the configuration names targets; over the local backend a scenario pages them"

BROWSER = "only a browser that comes back from Slack; tests/integration/web/test_oauth_states.py has it"
USED_CHANNEL = "people over a hosted backend use no channel that is there; over the local one they do"
CHANGE_STEP = "people over a hosted backend only declare here; over the local one workflows change incidents"

USED = {
    "slack.listeners.use_channel": USED_CHANNEL,
    "slack.channels:Channels.join": USED_CHANNEL,
    "slack.channels:Channels.restore_topic": USED_CHANNEL,
    "slack.shared_channels:SharedChannels.look_up": USED_CHANNEL,
    "storage.slack_state:SqlSlackStateStore.claim_channel": USED_CHANNEL,
    "workflows.channels:ChannelOpener._existing": USED_CHANNEL,
    "workflows.queries:FindIncidents.holder": USED_CHANNEL,
    "workflows.used_channel": USED_CHANNEL,
    "slack.listeners.change_step": CHANGE_STEP,
    "workflows.change:ChangeIncident._answer_step": CHANGE_STEP,
    "workflows.change:ChangeIncident.answer_again": CHANGE_STEP,
    "workflows.command:DurableCommand.begin": CHANGE_STEP,
    "workflows.command:DurableCommand.find_command": CHANGE_STEP,
    "workflows.step_answers:answer_step": CHANGE_STEP,
}

TASKS = (
    "only where the operator has rules for tasks, or a tracker; over the local backend scenarios have both"
)

CLIENTS = (
    "clients here list and take away nothing, and read only what they changed;"
    " tests/integration/slack/test_api_writes.py and tests/integration/api have the rest"
)
NOT_SERVED = "the API is served only over the local backend"

BY_KEY = {
    "backends.local.attachments:Attachments.detach": CLIENTS,
    "backends.local.attachments:Attachments.find": CLIENTS,
    "backends.local.attachments:Attachments.listed": CLIENTS,
    "backends.local.attachments:_detach": CLIENTS,
    "backends.local.reading:LocalReader.choices": CLIENTS,
    "backends.local.reading:LocalReader.page": CLIENTS,
    "backends.local.reading:LocalReader.people": CLIENTS,
    "backends.local.reading:LocalReader.person": CLIENTS,
    "backends.local.reading:LocalReader.updates": CLIENTS,
    "workflows.api:KeyRequests._assignee": CLIENTS,
    "workflows.api:KeyRequests.delete_follow_up": CLIENTS,
}
HOSTED_KEYS = {"workflows.api": NOT_SERVED, "slack.api_workspaces": NOT_SERVED}

REPLICAS = {
    "storage.keys": "only the API and the command line ask for keys; tests/e2e/test_keys.py has them",
    "storage.importing": IMPORTED,
    "storage.key_value:SqlKeyValueStore.claim": BROWSER,
    "storage.replicas": SHARED,
    "storage.workflow_engine:DbosEngine.abandon": CLOSING,
    "storage.workflow_engine:DbosEngine.resume_halted": SHARED,
    "storage.workflow_engine:DbosEngine.take_over": SHARED,
    "storage.workflow_engine:keep_workflows_going": SHARED,
    "workflows.command:DurableCommand._done_elsewhere": SHARED,
    "workflows.declare:DeclareIncident._done_elsewhere": SHARED,
    "workflows.queries:CurrentIncidents.hear": SHARED,
}

PAGING = {
    "workflows.paging": PAGED,
    "slack.listeners.page": PAGED,
    "slack.messages:Messages.show_page": PAGED,
    "storage.slack_state:SqlSlackStateStore.claim_page": PAGED,
    "storage.slack_state:SqlSlackStateStore.mark_page": PAGED,
    "storage.slack_state:SqlSlackStateStore.open_pages": PAGED,
    "storage.slack_state:SqlSlackStateStore.pages": PAGED,
}

TASKED = {
    "workflows.tasks:AddTasks._add": TASKS,
    "workflows.tasks:AddTasks._added": TASKS,
    "workflows.tasks:AddTasks._shown": TASKS,
    "workflows.tasks:AddTasks._tell": TASKS,
    "workflows.tasks:AddTasks.workflow": TASKS,
    "workflows.checklists:Checklists.post": TASKS,
    "workflows.checklists:Checklists._show": TASKS,
    "workflows.checklists:Checklists._shown": TASKS,
    "workflows.checklists:Checklists._headline": TASKS,
    "slack.messages:Messages.show_checklist": TASKS,
    "workflows.followups:FollowUps.posted_as": TASKS,
    "slack.listeners.issues:link_from_reply": TASKS,
    "slack.listeners.issues:find_linked": TASKS,
    "slack.listeners.issues:build_issue": TASKS,
    "slack.listeners.issues:link_issue": TASKS,
    "slack.listeners.issues:press_link_issue": TASKS,
    "slack.listeners.issues:submit_issue": TASKS,
    "slack.listeners.issues:_open_issue": TASKS,
    "slack.listeners.issues:_linked": TASKS,
}

ALERTS = {
    "workflows.alert_groups:AttachAlerts._noted": ALERTED,
    "workflows.alert_groups:AlertGroups._close": ALERTED,
    "workflows.alert_groups:AlertGroups._is_over": ALERTED,
    "workflows.alert_groups:goes_on_in": MERGED,
    "storage.alerts:SqlAlertStore.move": MERGED,
    "backends.local.backend:LocalBackend.merged_into": MERGED,
    "storage.alerts:SqlAlertStore.fail": ALERTED,
    "storage.alerts:SqlAlertStore.begin_again": ALERTED,
    "storage.alerts:SqlAlertStore.end": ALERTED,
    "storage.alerts:SqlAlertStore.closed": ALERTED,
    "storage.alerts:SqlAlertStore.find": READING,
    "storage.alerts:SqlAlertStore.alerts": READING,
    "storage.alerts:SqlAlertStore._read": READING,
}
NOT_ALERTED = {
    "workflows.alert_groups": NO_ALERTS,
    "storage.alerts": NO_ALERTS,
    "storage.alert_rows": NO_ALERTS,
}
ENDPOINTS = "only where an endpoint says 410, or after an hour; tests/integration/webhooks has these"

WEBHOOKS = {
    "backends.local.deliveries:Deliveries.of_webhook": READING,
    "backends.local.deliveries:Deliveries.newest": READING,
    "backends.local.deliveries:Deliveries.send_again": READING,
    "backends.local.deliveries:Deliveries.disable": ENDPOINTS,
    "backends.local.deliveries:Deliveries.enable": ENDPOINTS,
    "backends.local.deliveries:Deliveries.tidy": ENDPOINTS,
}

DIGESTED = "only where rules ask for a digest; tests/integration/workflows/test_digest_restart.py stops one"
DIGESTS = {
    "workflows.digest": DIGESTED,
    "slack.messages:Messages.post_digest": DIGESTED,
}

LOCAL = {
    "backends.local.importing": IMPORTED,
    "backends.local.hosted": IMPORTED,
    "backends.local.catalogue": CATALOGUE,
    "backends.local.postgresql": SHARED,
    "backends.local.reading": READING,
    "backends.local.insights": READING,
    "backends.local.backend:LocalBackend.version": READING,
    "workflows.change:ChangeEffects._take_back_the_rest": MINUTES,
    "workflows.alerts:OperatorAlerts._keep": OPERATOR,
    "workflows.alerts:OperatorAlerts._say": OPERATOR,
    "workflows.alerts:OperatorAlerts.keep_saying": OPERATOR,
    "workflows.channels:ChannelOpener._leave_public": MEANWHILE,
    "workflows.channels:ChannelOpener._private_one": MEANWHILE,
    "workflows.channels:seen_by": HOSTED,
    "workflows.channels:await_channel": HOSTED,
    "workflows.channels:_known": HOSTED,
    "workflows.channels:members_seen": HOSTED,
    "workflows.declare:DeclareIncident._note_unchecked": PERMITS,
    "workflows.form_cache": HOSTED,
    "workflows.publish:DeclarationPublisher._before_its_channel": HOSTED,
    "workflows.publish:DeclarationPublisher._publish_without_channel": HOSTED,
    "workflows.publish:DeclarationPublisher._show_channel": HOSTED,
    "workflows.publish:_may_be_named": HOSTED,
    "workflows.publish:_beside": HOSTED,
    "workflows.notify:DeclarationNotifier.tell_backend": HOSTED,
    "workflows.publish:DeclarationPublisher._publish_channel": MINUTES,
    "workflows.notify:DeclarationNotifier.mended": MINUTES,
    "workflows.publish:DeclarationPublisher._announce_in": RULES,
    "workflows.channel_setup:ChannelSetup._bring_group_in": RULES,
    "workflows.announce": RULES,
    **DIGESTS,
    "workflows.publish:DeclarationPublisher._edit_cards": MINUTES,
    "workflows.publish:DeclarationPublisher._open_after_all": MINUTES,
    "workflows.fallback_channel": HOSTED,
    "workflows.self_test:SelfTest._find_channel": SELF_TEST,
    "workflows.self_test:_answer": SELF_TEST,
    "workflows.sync:_may_be_shown": MINUTES,
    "workflows.sync:_take_back": MEANWHILE,
    "backends.local.backend:LocalBackend.close": CLOSING,
    "backends.local.sqlite:IncidentFile.close": CLOSING,
    "storage.workflow_engine:DbosEngine.close": CLOSING,
    "storage.workflow_engine:DbosEngine.settled": READING,
    "storage.workflow_engine:fetch_pending": DOCTOR,
    "storage.workflow_engine:_begun": DOCTOR,
    "storage.diagnostics": DOCTOR,
    "storage.installations": INSTALLED,
    "slack.diagnostics:fetch_access": READING,
    "slack.diagnostics:fetch_socket_address": READING,
    "slack.diagnostics:fetch_channel": READING,
    "slack.diagnostics:examine_channel": HOSTED,
    "slack.diagnostics:examine_groups": HOSTED,
    "slack.app:_apologise": UNOPENED,
    "slack.socket_mode:Connection.finish": CLOSING,
    "slack.socket_mode:Connection.linger": CLOSING,
    "slack.users:Users": READING,
    "slack.registry": INSTALLED,
    "slack.diagnostics:examine_socket": DOCTOR,
    "slack.diagnostics:_hello": DOCTOR,
    "slack.diagnostics:examine_forms": DOCTOR,
    "slack.http": HTTP,
    "slack.installations": INSTALLED,
    "slack.oauth:OAuthFlow": INSTALLED,
    "slack.listeners.choose:ask_if_name": UNOPENED,
    "slack.listeners.choose:submit_choose": UNOPENED,
    "slack.listeners.choose:_go_on": UNOPENED,
    "slack.listeners.choose:_chosen": UNOPENED,
    "slack.listeners.choose:_shown": UNOPENED,
    "slack.listeners.choose:declare_instead": UNOPENED,
    "slack.listeners.choose:declare_named": UNOPENED,
    "slack.listeners.choose:_declare_instead": UNOPENED,
    "slack.listeners.declare:open_form": HOSTED,
    "slack.listeners.events:on_uninstalled": INSTALLED,
    "slack.listeners.declare:suggest_options": HOSTED,
    "slack.workspace:SlackOperator": OPERATOR,
    "slack.authorization:People": READING,
    "slack.authorization:UserGroups": PERMITS,
    "slack.authorization:Authorizer": PERMITS,
    "slack.oauth:TokenRotation": INSTALLED,
}
NUDGED = {
    "workflows.announce": RULES,
    **DIGESTS,
    "workflows.nudges": "only where rules nudge; over the local backend a scenario has them",
}
INCIDENT_IO = {
    "workflows.self_test": VERBS,
    "backends.incident_io.backend:IncidentIo.change": VERBS,
    "backends.incident_io.backend:IncidentIo.set_alerts": NO_ALERTS,
    "backends.incident_io.backend:IncidentIo.merged_into": NO_ALERTS,
    "backends.incident_io.queries:merged_into": NO_ALERTS,
    "backends.incident_io.backend:IncidentIo._email": VERBS,
    "backends.incident_io.backend:IncidentIo._mode": VERBS,
    "backends.incident_io.backend:IncidentIo.close": CLOSING,
    "backends.incident_io.backend:IncidentIo.diagnose": DOCTOR,
    "backends.incident_io.backend:IncidentIo.incidents": READING,
    "backends.incident_io.backend:IncidentIo.options": SEARCH,
    "backends.incident_io.backend:IncidentIo.timeline": READING,
    "backends.incident_io.changes": VERBS,
    "backends.incident_io.client:Client.close": CLOSING,
    "backends.incident_io.diagnostics": DOCTOR,
    "backends.incident_io.form:Account.search": SEARCH,
    "backends.incident_io.queries:happened": READING,
    "backends.incident_io.reader": IMPORTED,
    "slack.listeners.triage": VERBS,
}
DEVREV = {
    "workflows.self_test": VERBS,
    "workflows.channels:seen_by": "DevRev opens no channel",
    "workflows.channels:await_channel": "DevRev opens no channel",
    "workflows.channels:_known": "DevRev opens no channel",
    "workflows.channels:members_seen": "DevRev opens no channel",
    "backends.devrev.backend:DevRevBackend._mark": TOO_SOON,
    "backends.devrev.backend:DevRevBackend._marked_duplicates": TOO_SOON,
    "backends.devrev.backend:DevRevBackend.change": VERBS,
    "backends.devrev.backend:DevRevBackend.set_alerts": NO_ALERTS,
    "backends.devrev.backend:DevRevBackend.close": CLOSING,
    "backends.devrev.backend:DevRevBackend.diagnose": DOCTOR,
    "backends.devrev.backend:DevRevBackend.incidents": READING,
    "backends.devrev.backend:DevRevBackend.options": SEARCH,
    "backends.devrev.backend:DevRevBackend.sweep": TOO_SOON,
    "backends.devrev.backend:DevRevBackend.timeline": READING,
    "backends.devrev.backend:DevRevBackend.unnote": VERBS,
    "backends.devrev.changes:IncidentEditor": VERBS,
    "backends.devrev.client:DevRevClient.close": CLOSING,
    "backends.devrev.diagnostics": DOCTOR,
    "backends.devrev.idempotency:IdempotentCreate.swept": TOO_SOON,
    "backends.devrev.queries:IncidentReader._parts": SEARCH,
    "backends.devrev.queries:IncidentReader._tags": SEARCH,
    "backends.devrev.queries:IncidentReader.options": SEARCH,
    "backends.devrev.changes:timeline": READING,
    "backends.devrev.changes:unnote": VERBS,
    "slack.listeners.triage": NO_TRIAGE,
}
UNREACHED: Mapping[str, Mapping[str, str]] = {
    "local": LOCAL | REPLICAS | BY_KEY | ALERTS | WEBHOOKS,
    "incident_io": INCIDENT_IO | NUDGED | REPLICAS | PAGING | USED | TASKED | HOSTED_KEYS | NOT_ALERTED,
    "devrev": DEVREV | NUDGED | REPLICAS | PAGING | USED | TASKED | HOSTED_KEYS | NOT_ALERTED,
}
"""By backend: what no scenario over it passes, a module or a function with all that is defined in it."""

LEAST_REACHED: Mapping[str, Mapping[str, float]] = {
    "local": {"workflows": 0.83, "backends.local": 0.8, "storage": 0.85, "slack": 0.7},
    "incident_io": {"workflows": 0.2, "backends.incident_io": 0.8, "storage": 0.45, "slack": 0.18},
    "devrev": {"workflows": 0.2, "backends.devrev": 0.7, "storage": 0.45, "slack": 0.18},
}
"""By backend and package: the share of its other points that a sample must reach at least.

Over a hosted backend people only declare, and what all backends pass is looked for over the local one.
"""


def why_unreached(backend: str, name: str) -> str | None:
    """The reason why no scenario over this backend passes the point of this name; None where one may."""
    return next((why for listed, why in UNREACHED[backend].items() if is_in(name, listed)), None)


def is_in(name: str, listed: str) -> bool:
    """Whether the point of this name is in the listed module or function."""
    return name.startswith((f"{listed}:", f"{listed}.")) if ":" in listed else name.startswith(f"{listed}:")


def shares_reached(backend: str, points: Iterable[Point], missed: Iterable[str]) -> dict[str, float]:
    """Of each package, how much was reached of what there is no reason not to reach."""
    unreached = set(missed)
    reached: dict[str, list[bool]] = {}
    for point in points:
        if why_unreached(backend, point.name) is None:
            reached.setdefault(package_of(point.name), []).append(point.name not in unreached)
    return {package: sum(all_of_it) / len(all_of_it) for package, all_of_it in reached.items()}
