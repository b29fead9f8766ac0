BEGIN TRANSACTION;
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('aa826159-12dd-4849-9416-d99720bb1d39','stories-1',1795301493000,1795301493000,'tocsin');
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
INSERT INTO "operation_outputs" VALUES('abcf9fdb-0942-5826-af49-e521ccad2174',1,'create the incident','gASVFgQAAAAAAAB9lCiMBGtpbmSUjAhkZWNsYXJlZJSMCGluY2lkZW50lH2UKIwCaWSUjBowMU04MDRYS0U2UkpLSkpUWjg2N1Q4M0gxN5SMCXJlZmVyZW5jZZSMBUlOQy0xlIwEbmFtZZSMDndvcmQweCBpcyBzbG93lIwHc3VtbWFyeZSMAJSMCXBlcm1hbGlua5SMJmh0dHA6Ly8xMjcuMC4wLjE6NDE4MzEvaW5jaWRlbnRzL0lOQy0xlIwIc2V2ZXJpdHmUfZQoaAWMBW1ham9ylGgJjAVNYWpvcpSMC2Rlc2NyaXB0aW9ulIw9TWFueSBwZW9wbGUgYWZmZWN0ZWQsIG9yIHNvbWV0aGluZyBpbXBvcnRhbnQgaXMgc2xvdyBvciB3cm9uZ5SMBHJhbmuUSwF1jA9pbmNpZGVudF9zdGF0dXOUfZQoaAWMDWludmVzdGlnYXRpbmeUaAmMDUludmVzdGlnYXRpbmeUaBOMGUZpbmRpbmcgb3V0IHdoYXQgaXMgd3JvbmeUjAhjYXRlZ29yeZSMBGxpdmWUaBVLAXWMDWluY2lkZW50X3R5cGWUfZQoaAWMCGluY2lkZW50lGgJjAhJbmNpZGVudJRoE4wjU29tZXRoaW5nIGlzIGJyb2tlbiwgb3IgYWJvdXQgdG8gYmWUjAppc19kZWZhdWx0lIiMFnByaXZhdGVfaW5jaWRlbnRzX29ubHmUiXWMCnZpc2liaWxpdHmUjAZwdWJsaWOUjARtb2RllIwIc3RhbmRhcmSUjA1zbGFja190ZWFtX2lklIwLVDBMVU1FTjAwMDGUjBBzbGFja19jaGFubmVsX2lklGgMjBJzbGFja19jaGFubmVsX25hbWWUaAyMBnNvdXJjZZROjAdjcmVhdG9ylH2UKIwNc2xhY2tfdXNlcl9pZJSMClUwQU5BMDAwMDGUaAmMDEFuYSBGZXJyZWlyYZSMBWVtYWlslE51jBlpbmNpZGVudF9yb2xlX2Fzc2lnbm1lbnRzlF2UfZQojARyb2xllH2UKGgFjAhyZXBvcnRlcpRoCYwIUmVwb3J0ZXKUaBOMFURlY2xhcmVkIHRoZSBpbmNpZGVudJSMDGluc3RydWN0aW9uc5RoDIwJcm9sZV90eXBllIwIcmVwb3J0ZXKUjAlzaG9ydGZvcm2UaAx1jAhhc3NpZ25lZZR9lChoL4wKVTBBTkEwMDAwMZRoCYwMQW5hIEZlcnJlaXJhlGgyTnV1YYwUY3VzdG9tX2ZpZWxkX2VudHJpZXOUXZSMCmNyZWF0ZWRfYXSUjBsyMDI2LTExLTIxVDIyOjUxOjM0LjE1OTgzNlqUjAp1cGRhdGVkX2F0lIwbMjAyNi0xMS0yMVQyMjo1MTozNC4xNTk4MzZalHV1Lg==',NULL,NULL,1795301494203,1795301494245,'py_pickle','tocsin',1795301494000);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE tocsin_cards (
	channel TEXT NOT NULL, 
	ts TEXT NOT NULL, 
	incident_id TEXT NOT NULL, 
	place TEXT NOT NULL, 
	PRIMARY KEY (channel, ts)
);
CREATE TABLE tocsin_declared (
	"key" TEXT NOT NULL, 
	incident_id TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "tocsin_declared" VALUES('abcf9fdb-0942-5826-af49-e521ccad2174','01M804XKE6RJKJJTZ867T83H17');
CREATE TABLE tocsin_pulse (
	id INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "tocsin_pulse" VALUES(1);
CREATE TABLE tocsin_sources (
	team TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	timestamp TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	PRIMARY KEY (team, channel, timestamp)
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('abcf9fdb-0942-5826-af49-e521ccad2174','gASV6AEAAAAAAAB9lCiMBGFyZ3OUjAdkZWNsYXJllH2UKIwLZGVjbGFyYXRpb26UfZQojANrZXmUjCRhYmNmOWZkYi0wOTQyLTU4MjYtYWY0OS1lNTIxY2NhZDIxNzSUjARuYW1llIwOd29yZDB4IGlzIHNsb3eUjAdzdW1tYXJ5lIwAlIwLc2V2ZXJpdHlfaWSUjAVtYWpvcpSMEGluY2lkZW50X3R5cGVfaWSUTowKdmlzaWJpbGl0eZSMBnB1YmxpY5SMBG1vZGWUjAhzdGFuZGFyZJSMGWluY2lkZW50X3JvbGVfYXNzaWdubWVudHOUfZSMFGN1c3RvbV9maWVsZF9lbnRyaWVzlH2UjA1zbGFja190ZWFtX2lklIwLVDBMVU1FTjAwMDGUjAZzb3VyY2WUTowIcmVwb3J0ZXKUfZQojA1zbGFja191c2VyX2lklIwKVTBBTkEwMDAwMZRoCIwMQW5hIEZlcnJlaXJhlIwFZW1haWyUTnWMAmF0lIwbMjAyNi0xMS0yMVQyMjo1MTozNC4xNTk4MzZalHWMBm9yaWdpbpSMCkMwR0VORVJBTDGUjAZ0aHJlYWSUTowHdmlld19pZJSMC1YwWE5RR0g3UFAylIwHYW5vdGhlcpSJdYaUjAZrd2FyZ3OUfZR1Lg==',1795301494000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('abcf9fdb-0942-5826-af49-e521ccad2174','PENDING','story',NULL,NULL,NULL,NULL,NULL,NULL,'tocsin',1795301494000,1795301494000,'stories-1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'f6d58050-184b-4e8f-adeb-b01ac16eb612',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'tocsin','f6d58050-184b-4e8f-adeb-b01ac16eb612');
CREATE INDEX ix_tocsin_declared_incident_id ON tocsin_declared (incident_id);
CREATE INDEX ix_tocsin_cards_incident_id ON tocsin_cards (incident_id);
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
COMMIT;
