-- Times are nanoseconds since 1970 in UTC. Texts named `body`, `units`, `revisions` and `action` are JSON (see form.rs).

CREATE TABLE epochs (
    name TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    holder TEXT NOT NULL,
    began_at BIGINT NOT NULL
);
INSERT INTO epochs (name, epoch, holder, began_at) VALUES ('lead', 0, '', 0);

CREATE TABLE scopes (
    scope TEXT NOT NULL PRIMARY KEY,
    last_scan TEXT NOT NULL,
    last_complete_at BIGINT
);

-- A row is the proof of what was read and how far.
CREATE TABLE scans (
    id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL REFERENCES scopes (scope),
    cloud TEXT NOT NULL,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    complete BIGINT NOT NULL,
    resources BIGINT NOT NULL,
    managed BIGINT NOT NULL,
    units TEXT NOT NULL,
    revisions TEXT NOT NULL
);
CREATE INDEX scans_by_time ON scans (finished_at);

CREATE TABLE findings (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    phase TEXT NOT NULL,
    scope TEXT NOT NULL,
    cloud TEXT NOT NULL,
    provider TEXT NOT NULL,
    type TEXT NOT NULL,
    severity TEXT NOT NULL,
    priority BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX findings_by_scope ON findings (scope, phase);

CREATE TABLE history (
    fingerprint TEXT NOT NULL REFERENCES findings (fingerprint),
    generation BIGINT NOT NULL,
    transition TEXT NOT NULL,
    at BIGINT NOT NULL,
    scan TEXT NOT NULL,
    PRIMARY KEY (fingerprint, scan)
);
CREATE INDEX history_by_time ON history (at);
-- A generation ends once.
CREATE UNIQUE INDEX history_ends_once ON history (fingerprint, generation) WHERE transition IN ('resolved', 'vanished');

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    receiver TEXT NOT NULL,
    dedup TEXT NOT NULL,
    state TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    action TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    done_at BIGINT
);
CREATE INDEX outbox_due ON outbox (state, kind, not_before);
CREATE UNIQUE INDEX outbox_waits_once ON outbox (kind, receiver, dedup) WHERE state = 'pending';

CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    generation BIGINT NOT NULL,
    resource TEXT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    at BIGINT NOT NULL,
    concluded_at BIGINT,
    UNIQUE (hook, fingerprint, generation)
);
CREATE INDEX intents_by_resource ON intents (resource, at);

CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
);
-- The chain only grows. Whoever can drop a trigger is found by the chain itself.
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit records stay'); END;
CREATE TRIGGER audit_keeps_texts BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit records stay'); END;
