-- Who did what to what, from where (contract R5). An event that concerns several
-- accounts is a row in each, under the same id.
CREATE TABLE audit_events (
    account_id uuid NOT NULL REFERENCES accounts (id),
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    action text NOT NULL,
    actor_type text NOT NULL,
    -- Who and what may be gone while the event stays: nothing refers to them.
    actor_id uuid,
    subject_type text NOT NULL,
    subject_id uuid NOT NULL,
    ip text,
    request_id text,
    -- JSON.
    details text NOT NULL,
    -- The order of the list: ids begin with the time.
    PRIMARY KEY (account_id, id)
);
CREATE INDEX audit_events_of_action ON audit_events (account_id, action, id);
CREATE INDEX audit_events_occurred ON audit_events (occurred_at);
