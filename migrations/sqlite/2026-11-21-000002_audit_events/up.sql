-- Who did what to what, from where (contract R5). An event that concerns several
-- accounts is a row in each, under the same id.
CREATE TABLE audit_events (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    id BLOB NOT NULL CHECK (length(id) = 16),
    occurred_at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    -- Who and what may be gone while the event stays: nothing refers to them.
    actor_id BLOB CHECK (length(actor_id) = 16),
    subject_type TEXT NOT NULL,
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    ip TEXT,
    request_id TEXT,
    -- JSON.
    details TEXT NOT NULL,
    -- The order of the list: ids begin with the time.
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_events_of_action ON audit_events (account_id, action, id);
CREATE INDEX audit_events_occurred ON audit_events (occurred_at);
