-- How far this database has come: instances that serve from it raise the time by the
-- database's own clock, and never set it back. One that finds an earlier time than it
-- has seen knows that the database was restored under it (contract R7). No index but
-- the key's, so that a new version of the row fits where the old one was.
CREATE TABLE pulse (
    id bigint PRIMARY KEY CHECK (id = 1),
    pulsed_at timestamptz NOT NULL,
    -- The time that stood there before: whoever looks too late for an earlier time,
    -- because another instance has raised it again, finds it here.
    raised_from timestamptz NOT NULL
);
INSERT INTO pulse (id, pulsed_at, raised_from) VALUES (1, now(), now());
