"""Unfurls of links to incidents: a Work Object, or a card without buttons."""

from __future__ import annotations

from typing import Any

from slack_sdk.models.blocks import Block

from tocsin.incidents.comments import CommentCount, comment_id, writer
from tocsin.incidents.model import Incident, Person, TimelineEntry, display_name
from tocsin.slack.views.blocks import context, paragraph, shorten
from tocsin.slack.views.card import card
from tocsin.slack.views.details import MOST_DETAILS, detail_fields

INCIDENT = "slack#/entities/incident"
TEXT_LIMIT = 3000
NAME_LIMIT = 200
MOST_ACTIONS = 2
"""Buttons of a Work Object that are always shown (Slack, `primary_actions`)."""

HIDDEN = "This incident is not shown here."
FOLDED: tuple[Block, ...] = (context(HIDDEN),)
"""Blocks in place of an incident that has become private or was withdrawn."""


def unfurl_blocks(incident: Incident) -> list[dict[str, Any]]:
    """Return the card without its buttons, since an unfurl has no place to answer a press in."""
    return [block.to_dict() for block in card(incident) if block.type != "actions"] or [
        paragraph(HIDDEN).to_dict()
    ]


def work_object(incident: Incident, url: str, counted: CommentCount | None = None) -> dict[str, Any]:
    """Return the incident as a Work Object below the link with this URL.

    Source: Slack, Work Objects: entity metadata, the incident's fields. Texts in it are plain.
    `counted` are its comments; they cannot be opened without it.
    """
    return {
        **_entity(incident.id, incident.permalink or url, _payload(incident)),
        **_counted(counted),
        "app_unfurl_url": url,
    }


def folded_object(url: str) -> dict[str, Any]:
    """Return the Work Object in place of an incident that may not be shown any more, without a link to it."""
    return {
        **_entity("not-shown", url, {"attributes": {"title": {"text": HIDDEN}}, "fields": {}}),
        "app_unfurl_url": url,
    }


def details(incident: Incident, counted: CommentCount | None = None) -> dict[str, Any]:
    """Return all fields, for a person who opens the Work Object (Slack, entity.presentDetails)."""
    payload = _payload(incident)
    fields, order = payload["fields"], payload["display_order"]
    if incident.summary.strip():
        text = shorten(incident.summary, TEXT_LIMIT)
        fields["description"] = {"value": text, "label": "Summary", "long": True}
        order.append("description")
    payload["custom_fields"] = [
        {"key": f"field_{number}", "label": shorten(label, 255), "type": "string", "value": value}
        for number, (label, value) in enumerate(_further(incident))
    ]
    payload["display_order"] = [*order, *(field["key"] for field in payload["custom_fields"])]
    if buttons := _actions(incident):
        payload["actions"] = {"primary_actions": buttons}
    return {**_entity(incident.id, incident.permalink or "", payload), **_counted(counted)}


def _counted(counted: CommentCount | None) -> dict[str, Any]:
    """Return the way to the comments, with their number (Slack, Work Objects: comments)."""
    if counted is None:
        return {}
    latest = {"latest_timestamp": int(counted.latest.timestamp())} if counted.latest else {}
    return {"entity_comments": {"count": counted.count, **latest}}


def comment(entry: TimelineEntry, permalink: str | None) -> dict[str, Any]:
    """Return a note or an update as a comment, as plain text; it is neither edited nor deleted in Slack.

    Source: Slack, Work Objects: comments, the comment schema.
    """
    by = writer(entry)
    known = by.slack_user_id
    return {
        "id": comment_id(entry),
        "sender": {"user_id": known} if known else {"name": shorten(display_name(by), 255) or "Tocsin"},
        "timestamp": max(int(entry.at.timestamp()), 0),
        "comment": {"value": shorten(entry.text, TEXT_LIMIT)},
        "can_edit": False,
        "can_delete": False,
        "can_reply": False,
        **({"url": permalink} if permalink else {}),
    }


def _actions(incident: Incident) -> list[dict[str, Any]]:
    """Return the buttons for the person who opened the Work Object: the first two of the card's own.

    Source: Slack, Work Objects: actions, two at most in the footer; a press is as one on the card.
    """
    shown = [
        one for block in card(incident) if block.type == "actions" for one in block.to_dict()["elements"]
    ]
    buttons = [one for one in shown if one["type"] == "button" and "url" not in one and "value" in one]
    return [
        {"text": one["text"]["text"], "action_id": one["action_id"], "value": one["value"]}
        for one in buttons[:MOST_ACTIONS]
    ]


def _further(incident: Incident) -> list[tuple[str, str]]:
    """Return the roles that are held and the details that the card leaves out, as labels and values."""
    found = list(detail_fields(incident))[:MOST_DETAILS]
    return [(label, shorten(value, TEXT_LIMIT)) for label, value in found if label and value]


def _entity(external_id: str, url: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "entity_type": INCIDENT,
        "url": url,
        "external_ref": {"id": shorten(external_id, 255)},
        "entity_payload": payload,
    }


def _payload(incident: Incident) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": _text("Status", incident.incident_status.name)}
    if incident.severity is not None:
        fields["priority"] = _text("Severity", incident.severity.name)
    if incident.lead is not None and (lead := _somebody("Lead", incident.lead)):
        fields["assigned_to"] = lead
    creator = _somebody("Declared by", incident.creator)
    if creator is None and incident.automation is not None:
        creator = {"type": "string", "value": shorten(incident.automation.label, 255), "label": "Declared by"}
    if creator is not None:
        fields["created_by"] = creator
    for name, at in (("date_created", incident.created_at), ("date_updated", incident.updated_at)):
        fields[name] = {"value": int(at.timestamp()), "type": "slack#/types/timestamp"}
    marks = f" ({incident.mode})" if incident.mode != "standard" else ""
    return {
        "attributes": {
            "title": {"text": shorten(incident.name, NAME_LIMIT) or "(no name)"},
            "display_type": f"Incident{marks}",
            "display_id": shorten(incident.reference, 100),
            "product_name": "Tocsin",
            "metadata_last_modified": int(incident.updated_at.timestamp()),
        },
        "fields": fields,
        "display_order": list(fields),
    }


def _text(label: str, value: str) -> dict[str, Any]:
    return {"value": shorten(value, 255) or "-", "label": label}


def _somebody(label: str, who: Person) -> dict[str, Any] | None:
    """Return a person as a field: by Slack id, else by name. Returns None if neither is known."""
    if who.slack_user_id:
        return {"type": "slack#/types/user", "user": {"user_id": who.slack_user_id}, "label": label}
    return {"type": "string", "value": who.name, "label": label} if who.name else None
