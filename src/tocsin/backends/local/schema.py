"""The tables of the incident file, with the field names of incident.io's objects.

Rows that the configuration no longer has are kept and marked `archived_at`, so that an incident goes on
naming the severity it had.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("incidents")

_FIRST = (
    """CREATE TABLE severities (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT)""",
    """CREATE TABLE incident_statuses (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        category TEXT NOT NULL, rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT)""",
    """CREATE TABLE incident_types (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        is_default INTEGER NOT NULL DEFAULT 0, private_incidents_only INTEGER NOT NULL DEFAULT 0,
        create_in_triage TEXT NOT NULL DEFAULT 'optional',
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT)""",
    """CREATE TABLE incident_roles (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        instructions TEXT NOT NULL DEFAULT '', role_type TEXT NOT NULL, shortform TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT)""",
    """CREATE TABLE custom_fields (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        field_type TEXT NOT NULL, required INTEGER NOT NULL DEFAULT 0, rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT)""",
    """CREATE TABLE custom_field_options (
        custom_field_id TEXT NOT NULL REFERENCES custom_fields(id), id TEXT NOT NULL,
        value TEXT NOT NULL, sort_key INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT,
        PRIMARY KEY (custom_field_id, id))""",
    """CREATE TABLE people (
        slack_user_id TEXT PRIMARY KEY, name TEXT, email TEXT, updated_at TEXT NOT NULL)""",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY,
        number INTEGER NOT NULL UNIQUE CHECK (number > 0),
        reference TEXT NOT NULL UNIQUE,
        idempotency_key TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        summary TEXT NOT NULL DEFAULT '',
        severity_id TEXT REFERENCES severities(id),
        incident_status_id TEXT NOT NULL REFERENCES incident_statuses(id),
        incident_type_id TEXT REFERENCES incident_types(id),
        visibility TEXT NOT NULL,
        mode TEXT NOT NULL,
        slack_team_id TEXT NOT NULL DEFAULT '',
        slack_channel_id TEXT NOT NULL DEFAULT '',
        slack_channel_name TEXT NOT NULL DEFAULT '',
        source_message_channel_id TEXT,
        source_message_timestamp TEXT,
        source_message_permalink TEXT,
        creator_slack_user_id TEXT,
        creator_name TEXT,
        creator_email TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL)""",
    """CREATE TABLE incident_role_assignments (
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        incident_role_id TEXT NOT NULL REFERENCES incident_roles(id),
        assignee_slack_user_id TEXT, assignee_name TEXT, assignee_email TEXT,
        PRIMARY KEY (incident_id, incident_role_id))""",
    """CREATE TABLE custom_field_entries (
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        custom_field_id TEXT NOT NULL REFERENCES custom_fields(id),
        position INTEGER NOT NULL,
        value_text TEXT, value_link TEXT, value_numeric TEXT, value_option_id TEXT,
        PRIMARY KEY (incident_id, custom_field_id, position),
        FOREIGN KEY (custom_field_id, value_option_id)
            REFERENCES custom_field_options(custom_field_id, id))""",
    """CREATE TABLE incident_timeline_items (
        id INTEGER PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        idempotency_key TEXT NOT NULL,
        timestamp TEXT NOT NULL,
        actor_slack_user_id TEXT, actor_name TEXT, actor_email TEXT,
        verb TEXT NOT NULL,
        text TEXT NOT NULL DEFAULT '',
        UNIQUE (incident_id, idempotency_key))""",
    "CREATE INDEX incident_timeline_items_in_order ON incident_timeline_items (incident_id, timestamp, id)",
)


@migrations()
def first_tables(db: Database) -> None:
    for statement in _FIRST:
        db.execute(statement)


def later_changes(db: Database) -> set[str]:
    """Migrations that were applied to the file and that this version does not know."""
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    return {done.name for done in migrations.applied(db)} - known
