"""Tables of the local backend, with the field names of incident.io's objects, and migrations of the file.

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


_OPEN = "'triage', 'live', 'learning', 'paused'"

# Every list that people ask for walks along one of these indexes, newest first. The filtered columns come
# first and the number last, so that a page costs the same among a thousand incidents and a million.
LISTS = {
    "incidents_listed": "number",
    "incidents_by_openness": "(closed_at IS NULL), number",
    "incidents_by_openness_and_severity": "(closed_at IS NULL), severity_id, number",
    "incidents_by_severity": "severity_id, number",
    "incidents_by_status": "incident_status_id, number",
    "incidents_by_status_and_severity": "incident_status_id, severity_id, number",
}

_CHANGES = (
    "ALTER TABLE incidents ADD COLUMN closed_at TEXT",
    f"""UPDATE incidents SET closed_at = updated_at WHERE incident_status_id IN
        (SELECT id FROM incident_statuses WHERE category NOT IN ({_OPEN}))""",
    """CREATE TABLE incident_changes (
        idempotency_key TEXT PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        created_at TEXT NOT NULL)""",
    """CREATE TABLE follow_ups (
        id TEXT PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        idempotency_key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, text TEXT NOT NULL,
        assignee_slack_user_id TEXT, assignee_name TEXT, assignee_email TEXT,
        created_at TEXT NOT NULL, done_at TEXT)""",
    "CREATE INDEX follow_ups_in_order ON follow_ups (incident_id, id)",
)

TABLES = (*_FIRST, *_CHANGES)
"""Statements that both databases understand; what SQLite alone understands follows."""

_INDEXES = tuple(
    f"CREATE INDEX {name} ON incidents ((visibility = 'public'), {columns})"
    for name, columns in LISTS.items()
)

# People involved in each incident. Triggers keep the table right even if another program writes to the file.
_PEOPLE = (
    """CREATE TABLE incident_people (
        slack_user_id TEXT NOT NULL, is_public INTEGER NOT NULL, is_open INTEGER NOT NULL,
        number INTEGER NOT NULL, part TEXT NOT NULL,
        PRIMARY KEY (slack_user_id, is_public, is_open, number, part)) WITHOUT ROWID""",
    "CREATE INDEX incident_people_by_number ON incident_people (number)",
    """INSERT INTO incident_people
        SELECT creator_slack_user_id, visibility = 'public', closed_at IS NULL, number, '' FROM incidents
        WHERE creator_slack_user_id IS NOT NULL""",
    """INSERT INTO incident_people
        SELECT a.assignee_slack_user_id, i.visibility = 'public', i.closed_at IS NULL, i.number,
            a.incident_role_id
        FROM incident_role_assignments a JOIN incidents i ON i.id = a.incident_id
        WHERE a.assignee_slack_user_id IS NOT NULL""",
    """CREATE TRIGGER incident_people_creator AFTER INSERT ON incidents
        WHEN new.creator_slack_user_id IS NOT NULL BEGIN
        INSERT OR IGNORE INTO incident_people VALUES (new.creator_slack_user_id, new.visibility = 'public',
            new.closed_at IS NULL, new.number, ''); END""",
    """CREATE TRIGGER incident_people_changed AFTER UPDATE OF closed_at, visibility ON incidents BEGIN
        UPDATE incident_people
        SET is_open = (new.closed_at IS NULL), is_public = (new.visibility = 'public')
        WHERE number = new.number; END""",
    """CREATE TRIGGER incident_people_gone AFTER DELETE ON incidents BEGIN
        DELETE FROM incident_people WHERE number = old.number; END""",
    """CREATE TRIGGER incident_people_given AFTER INSERT ON incident_role_assignments
        WHEN new.assignee_slack_user_id IS NOT NULL BEGIN
        INSERT OR IGNORE INTO incident_people
        SELECT new.assignee_slack_user_id, visibility = 'public', closed_at IS NULL, number,
            new.incident_role_id
        FROM incidents WHERE id = new.incident_id; END""",
    """CREATE TRIGGER incident_people_taken AFTER DELETE ON incident_role_assignments BEGIN
        DELETE FROM incident_people WHERE part = old.incident_role_id
        AND number = (SELECT number FROM incidents WHERE id = old.incident_id); END""",
)

# Keyed by the incident's number, because VACUUM may change rowids.
_WORDS = (
    """CREATE VIRTUAL TABLE incident_words USING fts5 (
        reference, name, summary, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')""",
    # Few segments to search for a word (FTS5, 6.1), so that a search takes no longer among many incidents.
    "INSERT INTO incident_words (incident_words, rank) VALUES ('automerge', 2)",
    """INSERT INTO incident_words (rowid, reference, name, summary)
        SELECT number, reference, name, summary FROM incidents""",
    """CREATE TRIGGER incident_words_added AFTER INSERT ON incidents BEGIN
        INSERT INTO incident_words (rowid, reference, name, summary)
        VALUES (new.number, new.reference, new.name, new.summary); END""",
    """CREATE TRIGGER incident_words_changed AFTER UPDATE OF name, summary ON incidents BEGIN
        UPDATE incident_words SET name = new.name, summary = new.summary WHERE rowid = new.number; END""",
    """CREATE TRIGGER incident_words_gone AFTER DELETE ON incidents BEGIN
        DELETE FROM incident_words WHERE rowid = old.number; END""",
)


@migrations()
def changes_and_lists(db: Database) -> None:
    for statement in (*_CHANGES, *_INDEXES, *_PEOPLE, *_WORDS):
        db.execute(statement)


@migrations()
def longer_beginnings_of_words(db: Database) -> None:
    """Index longer prefixes, so that a search for the beginning of a word needs no scan of all words."""
    for statement in (
        "DROP TABLE incident_words",
        # A prefix of one of these lengths is looked up like a whole word (FTS5, 4.2).
        """CREATE VIRTUAL TABLE incident_words USING fts5 (reference, name, summary,
            tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4 5 6 7 8')""",
        *_WORDS[1:3],
    ):
        db.execute(statement)


CALLS = ("ALTER TABLE incidents ADD COLUMN call_url TEXT",)


@migrations()
def call_links(db: Database) -> None:
    for statement in CALLS:
        db.execute(statement)


MEMBERS = """CREATE TABLE incident_memberships (
    incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
    slack_user_id TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (incident_id, slack_user_id))"""
"""People who were invited to see a private incident."""

MEMBER = "(member)"
"""Part of a member in `incident_people`, where role holders have the id of their role."""


@migrations()
def memberships(db: Database) -> None:
    for statement in (
        MEMBERS,
        f"""CREATE TRIGGER incident_people_joined AFTER INSERT ON incident_memberships BEGIN
            INSERT OR IGNORE INTO incident_people
            SELECT new.slack_user_id, visibility = 'public', closed_at IS NULL, number, '{MEMBER}'
            FROM incidents WHERE id = new.incident_id; END""",
        f"""CREATE TRIGGER incident_people_left AFTER DELETE ON incident_memberships BEGIN
            DELETE FROM incident_people WHERE part = '{MEMBER}' AND slack_user_id = old.slack_user_id
            AND number = (SELECT number FROM incidents WHERE id = old.incident_id); END""",
    ):
        db.execute(statement)


TIMESTAMPS = (
    """CREATE TABLE incident_timestamps (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT)""",
    """CREATE TABLE incident_timestamp_values (
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        incident_timestamp_id TEXT NOT NULL REFERENCES incident_timestamps(id),
        value TEXT NOT NULL,
        PRIMARY KEY (incident_id, incident_timestamp_id))""",
)


@migrations()
def timestamps(db: Database) -> None:
    for statement in TIMESTAMPS:
        db.execute(statement)


TASKS = (
    "ALTER TABLE follow_ups ADD COLUMN runbook_url TEXT",
    "ALTER TABLE follow_ups ADD COLUMN issue_url TEXT",
)


@migrations()
def tasks(db: Database) -> None:
    for statement in TASKS:
        db.execute(statement)


AUTOMATIONS = (
    "ALTER TABLE incidents ADD COLUMN creator_kind TEXT",
    "ALTER TABLE incidents ADD COLUMN creator_id TEXT",
)
"""Alerts, workflows and API keys that declared incidents; their name is the creator's."""


@migrations()
def automations(db: Database) -> None:
    for statement in AUTOMATIONS:
        db.execute(statement)


BY_KEYS = (
    "ALTER TABLE follow_ups ADD COLUMN description TEXT NOT NULL DEFAULT ''",
    *(f"ALTER TABLE follow_ups ADD COLUMN {column} TEXT" for column in ("status", "updated_at")),
    """CREATE TABLE incident_attachments (
        id TEXT PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        resource_type TEXT NOT NULL, external_id TEXT NOT NULL, permalink TEXT NOT NULL,
        title TEXT NOT NULL, created_at TEXT NOT NULL,
        UNIQUE (incident_id, resource_type, external_id))""",
    "CREATE INDEX incident_attachments_by_resource ON incident_attachments (resource_type, external_id)",
)
"""Columns and tables of what API keys bring in: more of each action and follow-up, and attachments."""


@migrations()
def changes_by_keys(db: Database) -> None:
    for statement in BY_KEYS:
        db.execute(statement)


UPDATES = """CREATE TABLE incident_updates (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
    idempotency_key TEXT NOT NULL UNIQUE,
    timestamp TEXT NOT NULL,
    actor_slack_user_id TEXT, actor_name TEXT, actor_email TEXT,
    message TEXT NOT NULL DEFAULT '',
    incident_status_id TEXT NOT NULL REFERENCES incident_statuses(id),
    severity_id TEXT REFERENCES severities(id),
    merged_into_incident_id TEXT REFERENCES incidents(id))"""
"""Changes of a status or a severity, and messages, each with both as they were afterwards."""

# What was changed before has its updates from the timeline, whose words name statuses and severities. An
# incident whose status never changed has had the one that it has. No colon stands before a letter here, since
# that would be a mark.
_BEFORE = """(c.timestamp < l.timestamp OR (c.timestamp = l.timestamp AND (c.id < l.id
        OR substr(c.idempotency_key, 1, length(g.idempotency_key)) = g.idempotency_key)))"""
_EARLIER = """
INSERT INTO incident_updates
SELECT substr('00000000000000000000000000', 1, 26 - length('' || l.id)) || l.id, l.incident_id,
    substr(l.idempotency_key, 1, length(l.idempotency_key) - length('{part}') - 1), l.timestamp,
    l.actor_slack_user_id, l.actor_name, l.actor_email,
    CASE '{part}' WHEN 'message' THEN l.text ELSE '' END,
    COALESCE((SELECT s.id FROM incident_timeline_items c JOIN incident_statuses s ON s.name = c.text
        WHERE c.incident_id = l.incident_id AND {before}
        AND c.idempotency_key LIKE '%:' || 'incident_status_id' ORDER BY c.timestamp DESC, c.id DESC LIMIT 1),
        i.incident_status_id),
    COALESCE((SELECT v.id FROM incident_timeline_items c JOIN severities v ON v.name = c.text
        WHERE c.incident_id = l.incident_id AND {before}
        AND c.idempotency_key LIKE '%:' || 'severity_id' ORDER BY c.timestamp DESC, c.id DESC LIMIT 1),
        (SELECT v.id FROM incident_timeline_items c JOIN severities v ON c.text LIKE '%(' || v.name || ')'
        WHERE c.incident_id = l.incident_id AND c.idempotency_key = 'declared' ORDER BY v.id LIMIT 1),
        i.severity_id),
    NULL
FROM incident_timeline_items l JOIN incidents i ON i.id = l.incident_id
JOIN incident_changes g
    ON g.idempotency_key = substr(l.idempotency_key, 1, length(l.idempotency_key) - length('{part}') - 1)
WHERE l.idempotency_key LIKE '%:' || '{part}'
ON CONFLICT (idempotency_key) DO NOTHING
"""

UPDATED = (
    UPDATES,
    "CREATE INDEX incident_updates_in_order ON incident_updates (incident_id, id)",
    *(
        _EARLIER.format(part=part, before=_BEFORE)
        for part in ("message", "incident_status_id", "severity_id")
    ),
)


@migrations()
def updates(db: Database) -> None:
    for statement in UPDATED:
        db.execute(statement)


ALERTS = ("ALTER TABLE incidents ADD COLUMN alerts TEXT",)
"""Summary of an incident's alerts, as JSON."""


@migrations()
def alerts(db: Database) -> None:
    for statement in ALERTS:
        db.execute(statement)


WEBHOOKS = (
    """CREATE TABLE webhook_events (
        id INTEGER PRIMARY KEY,
        webhook_id TEXT NOT NULL UNIQUE,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        idempotency_key TEXT NOT NULL,
        event TEXT NOT NULL, resource_id TEXT NOT NULL, was_private INTEGER NOT NULL, body TEXT,
        created_at TEXT NOT NULL,
        UNIQUE (incident_id, idempotency_key, event))""",
    "CREATE INDEX webhook_events_by_time ON webhook_events (created_at)",
    """CREATE TABLE webhook_deliveries (
        event_id INTEGER NOT NULL REFERENCES webhook_events(id) ON DELETE CASCADE,
        endpoint TEXT NOT NULL,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        since TEXT NOT NULL, due_at TEXT NOT NULL,
        status INTEGER, answer TEXT NOT NULL DEFAULT '', tried_at TEXT,
        PRIMARY KEY (event_id, endpoint))""",
    """CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint, incident_id, event_id)
        WHERE state = 'pending'""",
    """CREATE TABLE webhook_endpoints (
        name TEXT PRIMARY KEY, address TEXT NOT NULL, disabled_at TEXT NOT NULL)""",
)
"""The outbox: what happened, what is to be sent where, and the endpoints that want nothing any more."""


@migrations()
def webhooks(db: Database) -> None:
    for statement in WEBHOOKS:
        db.execute(statement)


PEOPLE_BY_NAME = ("CREATE INDEX people_by_name ON people (lower(name))",)
"""Index by which a person is found by the beginning of their name."""


@migrations()
def people_by_name(db: Database) -> None:
    for statement in PEOPLE_BY_NAME:
        db.execute(statement)


ASSIGNED = (
    """CREATE INDEX follow_ups_by_assignee ON follow_ups (assignee_slack_user_id, created_at, id)
        WHERE done_at IS NULL""",
)
"""The open actions and follow-ups of a person, oldest first."""


@migrations()
def assigned(db: Database) -> None:
    for statement in ASSIGNED:
        db.execute(statement)


INSIGHTS = """CREATE TABLE insight_days (
    is_public INTEGER NOT NULL, day TEXT NOT NULL,
    counted_as TEXT NOT NULL, is_cut INTEGER NOT NULL, counts TEXT NOT NULL,
    PRIMARY KEY (is_public, day))"""
"""Sums over the incidents that were declared on a day. A change to one of these deletes the row in its own
transaction, so that the day is counted anew at the next look."""

COUNTED_COLUMNS = """created_at, closed_at, severity_id, incident_status_id, incident_type_id, visibility,
        mode, slack_team_id"""
"""Columns of an incident of which a day's counts are made."""

COUNTED_PARTS = (
    "incident_role_assignments",
    "custom_field_entries",
    "incident_timestamp_values",
    "follow_ups",
)
"""Tables of which they are made besides."""


def _counted_anew() -> tuple[str, ...]:
    """Return the triggers that delete the counts of a day whose incidents change."""

    def forget(row: str) -> str:
        return (
            f"DELETE FROM insight_days WHERE is_public = ({row}.visibility = 'public')"
            f" AND day = substr({row}.created_at, 1, 10);"
        )

    def forget_by(row: str) -> str:
        found = "SELECT visibility = 'public', substr(created_at, 1, 10) FROM incidents"
        return f"DELETE FROM insight_days WHERE (is_public, day) IN ({found} WHERE id = {row}.incident_id);"

    made, gone = forget("new"), forget("old")
    events = {
        "incidents_added": f"INSERT ON incidents BEGIN {made}",
        "incidents_changed": f"UPDATE OF {COUNTED_COLUMNS} ON incidents BEGIN {gone} {made}",
        "incidents_gone": f"DELETE ON incidents BEGIN {gone}",
        "statuses": "UPDATE OF category ON incident_statuses WHEN old.category <> new.category BEGIN"
        " DELETE FROM insight_days;",
    }
    for table in COUNTED_PARTS:
        events[f"{table}_added"] = f"INSERT ON {table} BEGIN {forget_by('new')}"
        events[f"{table}_changed"] = f"UPDATE ON {table} BEGIN {forget_by('old')} {forget_by('new')}"
        events[f"{table}_gone"] = f"DELETE ON {table} BEGIN {forget_by('old')}"
    return tuple(f"CREATE TRIGGER insight_days_{name} AFTER {event} END" for name, event in events.items())


@migrations()
def insight_days(db: Database) -> None:
    for statement in (
        INSIGHTS,
        "CREATE INDEX incidents_by_creation ON incidents ((visibility = 'public'), created_at)",
        *_counted_anew(),
    ):
        db.execute(statement)


NEXT_DELIVERIES = (
    "ALTER TABLE webhook_deliveries ADD COLUMN is_next INTEGER NOT NULL DEFAULT 1",
    """UPDATE webhook_deliveries SET is_next = 0 WHERE state = 'pending' AND EXISTS (
        SELECT 1 FROM webhook_deliveries q
        WHERE q.endpoint = webhook_deliveries.endpoint AND q.state = 'pending'
            AND q.incident_id = webhook_deliveries.incident_id
            AND q.event_id < webhook_deliveries.event_id)""",
    """CREATE INDEX webhook_deliveries_next ON webhook_deliveries (endpoint, due_at, event_id)
        WHERE state = 'pending' AND is_next = 1""",
)
"""A delivery is marked unless it waits behind another one of its incident, so that what is due is found by an
index. Some that wait may be marked as well; one that is next always is."""


@migrations()
def next_deliveries(db: Database) -> None:
    for statement in NEXT_DELIVERIES:
        db.execute(statement)


def later_changes(db: Database) -> set[str]:
    """Return the migrations that were applied to the file and that this version does not know."""
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    return {done.name for done in migrations.applied(db)} - known
