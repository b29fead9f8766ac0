BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'incidents','first_tables','2026-11-21 22:51:32.862970+00:00');
CREATE TABLE custom_field_entries (
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        custom_field_id TEXT NOT NULL REFERENCES custom_fields(id),
        position INTEGER NOT NULL,
        value_text TEXT, value_link TEXT, value_numeric TEXT, value_option_id TEXT,
        PRIMARY KEY (incident_id, custom_field_id, position),
        FOREIGN KEY (custom_field_id, value_option_id)
            REFERENCES custom_field_options(custom_field_id, id));
CREATE TABLE custom_field_options (
        custom_field_id TEXT NOT NULL REFERENCES custom_fields(id), id TEXT NOT NULL,
        value TEXT NOT NULL, sort_key INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT,
        PRIMARY KEY (custom_field_id, id));
INSERT INTO "custom_field_options" VALUES('affected_area','website','Website',0,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','mobile_app','Mobile app',1,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','api','API',2,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','payments','Payments',3,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','login','Login',4,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','email','Email',5,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','data','Data',6,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('affected_area','internal_tools','Internal tools',7,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('detected_by','monitoring','Monitoring',0,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('detected_by','customer','Customer',1,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('detected_by','colleague','Colleague',2,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_field_options" VALUES('detected_by','partner','Partner',3,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
CREATE TABLE custom_fields (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        field_type TEXT NOT NULL, required INTEGER NOT NULL DEFAULT 0, rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT);
INSERT INTO "custom_fields" VALUES('affected_area','Affected area','What is not working','multi_select',0,0,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_fields" VALUES('detected_by','Detected by','How we came to know','single_select',0,1,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_fields" VALUES('customers_affected','Customers affected','A guess is fine','numeric',0,2,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_fields" VALUES('status_page','Status page','Where customers read about it','link',0,3,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "custom_fields" VALUES('customer_or_ticket','Customer or ticket','Who told us, or the ticket''s number','text',0,4,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
CREATE TABLE incident_role_assignments (
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        incident_role_id TEXT NOT NULL REFERENCES incident_roles(id),
        assignee_slack_user_id TEXT, assignee_name TEXT, assignee_email TEXT,
        PRIMARY KEY (incident_id, incident_role_id));
INSERT INTO "incident_role_assignments" VALUES('01M804XKE6RJKJJTZ867T83H17','reporter','U0ANA00001','Ana Ferreira',NULL);
CREATE TABLE incident_roles (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        instructions TEXT NOT NULL DEFAULT '', role_type TEXT NOT NULL, shortform TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT);
INSERT INTO "incident_roles" VALUES('lead','Incident Lead','Decides, and sees that somebody does what has to be done','Find out who is here, say who does what, and give an update every half hour.','lead','lead','2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_roles" VALUES('communications','Communications Lead','Tells customers and colleagues what is going on','Keep the status page true, and answer questions so that the others need not.','custom','comms','2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_roles" VALUES('reporter','Reporter','Declared the incident','','reporter','','2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
CREATE TABLE incident_statuses (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        category TEXT NOT NULL, rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT);
INSERT INTO "incident_statuses" VALUES('triage','Triage','Is this an incident at all?','triage',0,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('investigating','Investigating','Finding out what is wrong','live',1,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('fixing','Fixing','The cause is known; a fix is on its way','live',2,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('monitoring','Monitoring','Fixed, and being watched','live',3,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('closed','Closed','Over','closed',4,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('declined','Declined','It was not an incident','declined',5,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('merged','Merged','It was part of another incident','merged',6,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "incident_statuses" VALUES('canceled','Canceled','It was declared by mistake','canceled',7,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
CREATE TABLE incident_timeline_items (
        id INTEGER PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,
        idempotency_key TEXT NOT NULL,
        timestamp TEXT NOT NULL,
        actor_slack_user_id TEXT, actor_name TEXT, actor_email TEXT,
        verb TEXT NOT NULL,
        text TEXT NOT NULL DEFAULT '',
        UNIQUE (incident_id, idempotency_key));
INSERT INTO "incident_timeline_items" VALUES(1,'01M804XKE6RJKJJTZ867T83H17','declared','2026-11-21T22:51:34.159836Z','U0ANA00001','Ana Ferreira',NULL,'declared','word0x is slow (Major)');
CREATE TABLE incident_types (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        is_default INTEGER NOT NULL DEFAULT 0, private_incidents_only INTEGER NOT NULL DEFAULT 0,
        create_in_triage TEXT NOT NULL DEFAULT 'optional',
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT);
INSERT INTO "incident_types" VALUES('incident','Incident','Something is broken, or about to be',1,0,'optional','2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
CREATE TABLE incidents (
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
        updated_at TEXT NOT NULL);
INSERT INTO "incidents" VALUES('01M804XKE6RJKJJTZ867T83H17',1,'INC-1','abcf9fdb-0942-5826-af49-e521ccad2174','word0x is slow','','major','investigating','incident','public','standard','T0LUMEN0001','','',NULL,NULL,NULL,'U0ANA00001','Ana Ferreira',NULL,'2026-11-21T22:51:34.159836Z','2026-11-21T22:51:34.159836Z');
CREATE TABLE people (
        slack_user_id TEXT PRIMARY KEY, name TEXT, email TEXT, updated_at TEXT NOT NULL);
INSERT INTO "people" VALUES('U0ANA00001','Ana Ferreira',NULL,'2026-11-21T22:51:34.159836Z');
CREATE TABLE severities (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        rank INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived_at TEXT);
INSERT INTO "severities" VALUES('minor','Minor','Small or few people affected; can wait for working hours',0,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "severities" VALUES('major','Major','Many people affected, or something important is slow or wrong',1,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
INSERT INTO "severities" VALUES('critical','Critical','Down, losing data or unsafe: everybody needed, now',2,'2026-11-21T22:51:32.880761Z','2026-11-21T22:51:32.880761Z',NULL);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX incident_timeline_items_in_order ON incident_timeline_items (incident_id, timestamp, id);
COMMIT;
