-- How far this database has come: the server raises the time while it runs, and never
-- sets it back. A server that finds an earlier time than it has seen knows that the
-- database was restored under it (contract R7).
CREATE TABLE pulse (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    pulsed_at INTEGER NOT NULL,
    -- The time that stood there before.
    raised_from INTEGER NOT NULL
) STRICT;
INSERT INTO pulse (id, pulsed_at, raised_from)
    SELECT 1, now, now FROM (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now);
