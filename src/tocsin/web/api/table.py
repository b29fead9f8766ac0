"""The table of all endpoints. A new one is a row here; description, manual and tests follow from it.

A row names the method and the path as incident.io has them, the handler, the model of the answer, and as far
as it has them the scope that a key needs, the models of the query and the body, and the status.
"""

from __future__ import annotations

from typing import Final

from tocsin.web.api import (
    alerts,
    attachments,
    choices,
    configuration,
    history,
    incident_writes,
    incidents,
    memberships,
    models,
    stubs,
    tasks,
    tasks_v3,
    timeline_items,
    users,
)
from tocsin.web.api.endpoints import Endpoint

_KEYS_AND_USERS = (
    Endpoint("GET", "/v1/identity", users.show_identity, users.UtilitiesIdentityResultV1),
    Endpoint("GET", "/v2/users", users.list_users, users.UsersListResultV2, query=users.UsersQuery),
    Endpoint("GET", "/v2/users/{id}", users.show_user, users.UsersShowResultV2),
)

_INCIDENTS = (
    Endpoint(
        "GET",
        "/v2/incidents",
        incidents.list_incidents,
        models.IncidentsListResultV2,
        query=incidents.IncidentsQueryV2,
    ),
    Endpoint("GET", "/v2/incidents/{id}", incidents.show_incident, models.IncidentsShowResultV2),
    Endpoint(
        "GET",
        "/v1/incidents",
        incidents.list_incidents_v1,
        models.IncidentsListResultV1,
        query=incidents.IncidentsQueryV1,
        deprecated=True,
    ),
    Endpoint(
        "GET",
        "/v1/incidents/{id}",
        incidents.show_incident_v1,
        models.IncidentsShowResultV1,
        deprecated=True,
    ),
    Endpoint(
        "GET",
        "/v2/incident_updates",
        history.list_updates,
        models.IncidentUpdatesListResultV2,
        query=history.UpdatesQuery,
    ),
    Endpoint(
        "GET",
        "/v1/postmortem_documents",
        history.list_documents,
        history.PostmortemDocumentsListResultV1,
        query=history.DocumentsQuery,
    ),
    Endpoint(
        "GET",
        "/v1/postmortem_documents/{id}",
        history.show_document,
        history.PostmortemDocumentsShowResultV1,
    ),
    Endpoint(
        "GET",
        "/v1/postmortem_documents/{id}/content",
        history.show_document_content,
        history.PostmortemDocumentsShowContentResultV1,
    ),
)

_TASKS = (
    Endpoint(
        "GET",
        "/v2/actions",
        tasks.list_actions_v2,
        tasks.ActionsListResultV2,
        query=tasks.TasksQuery,
        deprecated=True,
    ),
    Endpoint("GET", "/v2/actions/{id}", tasks.show_action_v2, tasks.ActionsShowResultV2, deprecated=True),
    Endpoint(
        "GET",
        "/v2/follow_ups",
        tasks.list_follow_ups_v2,
        tasks.FollowUpsListResultV2,
        query=tasks.FollowUpsQuery,
        deprecated=True,
    ),
    Endpoint(
        "GET", "/v2/follow_ups/{id}", tasks.show_follow_up_v2, tasks.FollowUpsShowResultV2, deprecated=True
    ),
)

_CHOICES = (
    Endpoint("GET", "/v1/severities", choices.list_severities, choices.SeveritiesListResultV1),
    Endpoint("GET", "/v1/severities/{id}", choices.show_severity, choices.SeveritiesShowResultV1),
    Endpoint("GET", "/v1/incident_statuses", choices.list_statuses, choices.IncidentStatusesListResultV1),
    Endpoint("GET", "/v1/incident_statuses/{id}", choices.show_status, choices.IncidentStatusesShowResultV1),
    Endpoint("GET", "/v1/incident_types", choices.list_types, choices.IncidentTypesListResultV1),
    Endpoint("GET", "/v1/incident_types/{id}", choices.show_type, choices.IncidentTypesShowResultV1),
    Endpoint(
        "GET", "/v1/incident_roles", choices.list_roles_v1, choices.IncidentRolesListResultV1, deprecated=True
    ),
    Endpoint(
        "GET",
        "/v1/incident_roles/{id}",
        choices.show_role_v1,
        choices.IncidentRolesShowResultV1,
        deprecated=True,
    ),
    Endpoint("GET", "/v2/incident_roles", choices.list_roles, choices.IncidentRolesListResultV2),
    Endpoint("GET", "/v2/incident_roles/{id}", choices.show_role, choices.IncidentRolesShowResultV2),
    Endpoint("GET", "/v2/custom_fields", choices.list_fields, choices.CustomFieldsListResultV2),
    Endpoint("GET", "/v2/custom_fields/{id}", choices.show_field, choices.CustomFieldsShowResultV2),
    Endpoint(
        "GET",
        "/v1/custom_field_options",
        choices.list_options,
        choices.CustomFieldOptionsListResultV1,
        query=choices.OptionsQuery,
    ),
    Endpoint(
        "GET", "/v1/custom_field_options/{id}", choices.show_option, choices.CustomFieldOptionsShowResultV1
    ),
    Endpoint(
        "GET", "/v2/incident_timestamps", choices.list_timestamps, choices.IncidentTimestampsListResultV2
    ),
    Endpoint(
        "GET", "/v2/incident_timestamps/{id}", choices.show_timestamp, choices.IncidentTimestampsShowResultV2
    ),
)

_STUBS = (
    Endpoint(
        "GET",
        "/v2/escalations",
        stubs.list_escalations,
        stubs.EscalationsListResultV2,
        query=stubs.EscalationsQuery,
    ),
    Endpoint("GET", "/v3/catalog_types", stubs.list_catalog_types, stubs.CatalogListTypesResultV3),
    Endpoint(
        "GET",
        "/v3/catalog_entries",
        stubs.list_catalog_entries,
        stubs.CatalogListEntriesResultV3,
        query=stubs.EntriesQuery,
    ),
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *_KEYS_AND_USERS,
    *_INCIDENTS,
    *incident_writes.ENDPOINTS,
    *_TASKS,
    *tasks_v3.ENDPOINTS,
    *timeline_items.ENDPOINTS,
    *attachments.ENDPOINTS,
    *memberships.ENDPOINTS,
    *_CHOICES,
    *alerts.ENDPOINTS,
    *configuration.ENDPOINTS,
    *_STUBS,
)
