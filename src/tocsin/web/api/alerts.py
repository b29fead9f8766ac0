"""Endpoints that read alerts: what came, from which sources, and to which incidents it was attached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

from pydantic import Field

from tocsin.incidents.alert_payloads import AlertSource, AlertSourceKind, path_of
from tocsin.incidents.alert_reader import AlertPage
from tocsin.incidents.alerts import Alert
from tocsin.incidents.model import Incident
from tocsin.web.api.access import is_seen_by
from tocsin.web.api.alert_filters import AlertsQuery, fitting, indexed
from tocsin.web.api.endpoints import Answer, ApiCall, Endpoint
from tocsin.web.api.errors import not_found
from tocsin.web.api.query import MOST_ON_A_PAGE, PageQuery, PaginationMeta

SOURCE_TYPES: Final[dict[AlertSourceKind, str]] = {
    "pagerduty": "pager_duty",
    "template": "http_custom",
}
"""Kinds of sources that incident.io calls otherwise (Alert Sources V2: `source_type`)."""

CATEGORIES: Final = {"live": "active", "learning": "post-incident"}


class AlertAttributeV2(Answer):
    id: str
    name: str
    type: str = "String"
    array: bool = False
    required: bool = False


class AlertAttributeValueV2(Answer):
    label: str
    literal: str


class AlertAttributeEntryV2(Answer):
    attribute: AlertAttributeV2
    value: AlertAttributeValueV2


class AlertAttributesListResultV2(Answer):
    alert_attributes: list[AlertAttributeV2]


class AlertSlimV2(Answer):
    id: str
    alert_source_id: str
    deduplication_key: str
    status: Literal["firing", "resolved"]
    title: str
    description: str | None = None
    source_url: str | None = None
    alert_group_ids: list[str]
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None


class AlertV2(AlertSlimV2):
    attributes: list[AlertAttributeEntryV2]


class AlertsListResultV2(Answer):
    alerts: list[AlertV2]
    pagination_meta: PaginationMeta


class AlertsShowResultV2(Answer):
    alert: AlertV2


class IncidentSlimV2(Answer):
    id: str
    external_id: int
    name: str
    reference: str
    summary: str | None = None
    visibility: str
    status_category: str


class IncidentAlertV2(Answer):
    id: str
    alert: AlertSlimV2
    incident: IncidentSlimV2


class AlertsListIncidentAlertsResultV2(Answer):
    incident_alerts: list[IncidentAlertV2]
    pagination_meta: PaginationMeta


class TemplateTextV2(Answer):
    label: str
    literal: str


class AlertTemplateV2(Answer):
    title: TemplateTextV2
    description: TemplateTextV2
    attributes: tuple[AlertAttributeV2, ...] = ()
    expressions: tuple[AlertAttributeV2, ...] = ()
    is_private: bool = False


class AlertSourceV2(Answer):
    id: str
    name: str
    source_type: str
    alert_events_url: str
    template: AlertTemplateV2


class AlertSourcesListResultV2(Answer):
    alert_sources: list[AlertSourceV2]


class AlertSourcesShowResultV2(Answer):
    alert_source: AlertSourceV2


class IncidentAlertsQuery(PageQuery):
    alert_id: str | None = Field(None, description="Id of the alert.")
    incident_id: str | None = Field(None, description="Id of the incident.")


async def list_alerts(call: ApiCall) -> AlertsListResultV2:
    """List alerts, newest first."""
    query = call.query_as(AlertsQuery)
    page = await _look(call, query, fits=fitting(query), **indexed(query))
    return AlertsListResultV2(
        alerts=[_alert(alert) for alert, _ in page.seen], pagination_meta=_meta(query, page)
    )


async def show_alert(call: ApiCall) -> AlertsShowResultV2:
    """Show an alert."""
    alert = await call.alerts.find(call.id)
    if alert is None or not _is_seen(call, alert, await _incident(call, alert)):
        raise not_found()
    return AlertsShowResultV2(alert=_alert(alert))


async def list_incident_alerts(call: ApiCall) -> AlertsListIncidentAlertsResultV2:
    """List alerts with the incidents that they are attached to, newest first."""
    query = call.query_as(IncidentAlertsQuery)
    if query.alert_id is not None:
        one = await call.alerts.find(query.alert_id)
        incident = await _incident(call, one) if one is not None else None
        fits = incident is not None and query.incident_id in (None, incident.id) and query.after is None
        seen = [(one, incident)] if one is not None and fits and _is_seen(call, one, incident) else []
        page = AlertPage(seen)
    else:
        page = await _look(
            call, query, fits=lambda alert: bool(alert.incident_id), incident_id=query.incident_id
        )
    listed = [_attached(alert, incident) for alert, incident in page.seen if incident is not None]
    return AlertsListIncidentAlertsResultV2(incident_alerts=listed, pagination_meta=_meta(query, page))


async def list_attributes(call: ApiCall) -> AlertAttributesListResultV2:
    """List the attributes that the newest alerts have, which are their labels."""
    page = await _look(call, PageQuery(page_size=MOST_ON_A_PAGE, after=None), fits=lambda alert: True)
    names = sorted({name for alert, _ in page.seen for name in alert.labels})
    return AlertAttributesListResultV2(
        alert_attributes=[AlertAttributeV2(id=name, name=name) for name in names]
    )


async def list_sources(call: ApiCall) -> AlertSourcesListResultV2:
    """List the sources that the configuration names, without their tokens."""
    return AlertSourcesListResultV2(alert_sources=[_source(call, one) for one in call.alerts.sources])


async def show_source(call: ApiCall) -> AlertSourcesShowResultV2:
    """Show a source, without its token."""
    found = next((one for one in call.alerts.sources if one.id == call.id), None)
    if found is None:
        raise not_found()
    return AlertSourcesShowResultV2(alert_source=_source(call, found))


async def _look(call: ApiCall, query: PageQuery, fits: Callable[[Alert], bool], **wanted: Any) -> AlertPage:
    """Return a page of the alerts that the key may see, with their incidents."""
    may_see = partial(_is_seen, call)
    return await call.alerts.look(query.after, query.page_size, call.backend.find, may_see, fits, **wanted)


def _meta(query: PageQuery, page: AlertPage) -> PaginationMeta:
    return PaginationMeta(after=page.after, page_size=query.page_size)


async def _incident(call: ApiCall, alert: Alert) -> Incident | None:
    return await call.backend.find(alert.incident_id) if alert.incident_id else None


def _is_seen(call: ApiCall, alert: Alert, incident: Incident | None) -> bool:
    """True if the key may see the alert: as its incident, or as one that no incident will have."""
    if alert.incident_id:
        return incident is not None and is_seen_by(call.key, incident)
    return alert.is_for_everybody or call.key.may("private")


def _slim(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "alert_source_id": alert.source,
        "deduplication_key": alert.deduplication_key,
        "status": alert.status,
        "title": alert.title,
        "description": alert.description or None,
        "source_url": alert.source_url or None,
        "alert_group_ids": [alert.group_id] if alert.group_id else [],
        "created_at": alert.created_at,
        "updated_at": alert.updated_at,
        "resolved_at": alert.resolved_at,
    }


def _alert(alert: Alert) -> AlertV2:
    attributes = [
        AlertAttributeEntryV2(
            attribute=AlertAttributeV2(id=name, name=name),
            value=AlertAttributeValueV2(label=value, literal=value),
        )
        for name, value in alert.labels.items()
    ]
    return AlertV2(**_slim(alert), attributes=attributes)


def _attached(alert: Alert, incident: Incident) -> IncidentAlertV2:
    category = incident.incident_status.category
    number = "".join(filter(str.isdecimal, incident.reference))
    slim = IncidentSlimV2(
        id=incident.id,
        external_id=int(number or 0),
        name=incident.name,
        reference=incident.reference,
        summary=incident.summary or None,
        visibility=incident.visibility,
        status_category=CATEGORIES.get(category, category),
    )
    return IncidentAlertV2(id=alert.id, alert=AlertSlimV2(**_slim(alert)), incident=slim)


def _source(call: ApiCall, source: AlertSource) -> AlertSourceV2:
    def text(value: str) -> TemplateTextV2:
        return TemplateTextV2(label=value, literal=value)

    return AlertSourceV2(
        id=source.id,
        name=source.name,
        source_type=SOURCE_TYPES.get(source.kind, source.kind),
        alert_events_url=f"{call.services.public_url.rstrip('/')}{path_of(source.id)}",
        template=AlertTemplateV2(title=text("alert.title"), description=text("alert.description")),
    )


ENDPOINTS: Final = (
    Endpoint("GET", "/v2/alerts", list_alerts, AlertsListResultV2, query=AlertsQuery),
    Endpoint("GET", "/v2/alerts/{id}", show_alert, AlertsShowResultV2),
    Endpoint(
        "GET",
        "/v2/incident_alerts",
        list_incident_alerts,
        AlertsListIncidentAlertsResultV2,
        query=IncidentAlertsQuery,
    ),
    Endpoint("GET", "/v2/alert_attributes", list_attributes, AlertAttributesListResultV2),
    Endpoint("GET", "/v2/alert_sources", list_sources, AlertSourcesListResultV2),
    Endpoint("GET", "/v2/alert_sources/{id}", show_source, AlertSourcesShowResultV2),
)
