"""Default severities, statuses, types, roles, custom fields, timestamps and durations of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Entries = tuple[Mapping[str, Any], ...]

SEVERITIES: Final[Entries] = (
    {"name": "Minor", "description": "Small or few people affected; can wait for working hours"},
    {"name": "Major", "description": "Many people affected, or something important is slow or wrong"},
    {"name": "Critical", "description": "Down, losing data or unsafe: everybody needed, now"},
)

STATUSES: Final[Entries] = (
    {"name": "Triage", "category": "triage", "description": "Is this an incident at all?"},
    {"name": "Investigating", "category": "live", "description": "Finding out what is wrong"},
    {"name": "Fixing", "category": "live", "description": "The cause is known; a fix is on its way"},
    {"name": "Monitoring", "category": "live", "description": "Fixed, and being watched"},
    {
        "name": "Closed",
        "category": "closed",
        "description": "Fixed, and nothing is left to do but follow-ups",
    },
    {"name": "Declined", "category": "declined", "description": "It was not an incident"},
    {"name": "Merged", "category": "merged", "description": "It was part of another incident"},
    {"name": "Canceled", "category": "canceled", "description": "It was declared by mistake"},
)

INCIDENT_TYPES: Final[Entries] = (
    {"name": "Incident", "description": "Something is broken, or about to be", "is_default": True},
)

ROLES: Final[Entries] = (
    {
        "id": "lead",
        "name": "Incident Lead",
        "role_type": "lead",
        "shortform": "lead",
        "description": "Decides, and sees that somebody does what has to be done",
        "instructions": "Find out who is here, say who does what, and give an update every half hour.",
    },
    {
        "id": "communications",
        "name": "Communications Lead",
        "role_type": "custom",
        "shortform": "comms",
        "description": "Tells customers and colleagues what is going on",
        "instructions": "Keep the status page true, and answer questions so that the others need not.",
    },
    {
        "id": "reporter",
        "name": "Reporter",
        "role_type": "reporter",
        "description": "Declared the incident",
    },
)

CUSTOM_FIELDS: Final[Entries] = (
    {
        "name": "Affected area",
        "field_type": "multi_select",
        "description": "What is not working",
        "options": ["Website", "Mobile app", "API", "Payments", "Login", "Email", "Data", "Internal tools"],
    },
    {
        "name": "Detected by",
        "field_type": "single_select",
        "description": "How we came to know",
        "options": ["Monitoring", "Customer", "Colleague", "Partner"],
    },
    {
        "name": "Customers affected",
        "field_type": "numeric",
        "description": "A guess is fine",
    },
    {
        "name": "Status page",
        "field_type": "link",
        "description": "Where customers read about it",
    },
    {
        "name": "Customer or ticket",
        "field_type": "text",
        "description": "Who told us, or the ticket's number",
    },
)

TIMESTAMPS: Final[Entries] = (
    {"name": "Impact started", "description": "When people were first affected"},
    {"name": "Detected", "description": "When a person or an alert first noticed"},
    {"name": "Reported", "description": "When it was declared", "set_when": "declared"},
    {"name": "Acknowledged", "description": "When the first lead took it on", "set_when": "lead"},
    {"name": "Identified", "description": "When the cause was known", "set_when": "fixing"},
    {"name": "Fixed", "description": "When nobody was affected any more", "set_when": "monitoring closed"},
    {"name": "Closed", "description": "When it was closed", "set_when": "closed", "keeps": "last"},
)

DURATION_METRICS: Final[Entries] = (
    {"name": "Time to detect", "start": "impact_started", "end": "detected reported"},
    {"name": "Time to acknowledge", "start": "reported", "end": "acknowledged"},
    {"name": "Time to fix", "start": "impact_started reported", "end": "fixed"},
)
