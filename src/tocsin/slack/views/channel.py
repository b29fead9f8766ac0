"""What an incident's channel says of itself: topic, purpose and bookmark."""

from __future__ import annotations

from tocsin.incidents.model import Incident
from tocsin.slack.views.card import marks
from tocsin.slack.views.kit import escape, shortened

TOPIC_LIMIT = 250
"""Characters of a topic or a purpose (Slack, conversations.setTopic and setPurpose: `too_long`)."""

BOOKMARK_LIMIT = 256


def topic(incident: Incident) -> str:
    severity = [incident.severity.name] if incident.severity else []
    said = [*marks(incident), *severity, incident.incident_status.name, incident.name]
    return _fitting(" · ".join(said))


def purpose(incident: Incident) -> str:
    return _fitting(f"{incident.reference}: {incident.name}")


def is_purpose_of(incident: Incident, said: str) -> bool:
    """Whether a channel's purpose was written for this incident; Slack may mark up the rest of it."""
    return said.startswith(f"{incident.reference}:")


def bookmark_title(incident: Incident) -> str:
    return shortened(f"{incident.reference} {incident.name}", BOOKMARK_LIMIT)


def _fitting(text: str) -> str:
    """Escaped, and cut so that the escaped text fits."""
    room = TOPIC_LIMIT
    while len(said := escape(shortened(text, room))) > TOPIC_LIMIT:
        room -= 10
    return said
