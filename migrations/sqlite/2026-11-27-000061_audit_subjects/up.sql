-- Finds what happened to one thing: who reached a namespace last, and what the page of events asks.
CREATE INDEX audit_events_of_subject ON audit_events (account_id, subject_id, id);
