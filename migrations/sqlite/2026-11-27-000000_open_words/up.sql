-- Which words there are is the program's to say. SQLite takes no CHECK away, so that these
-- tables are rebuilt: made anew, filled, and given the old one's name, indexes and triggers.
-- The numbers that AUTOINCREMENT has given go on where they were.

CREATE TABLE memberships_rebuilt (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, user_id)
) STRICT;
INSERT INTO memberships_rebuilt (account_id, user_id, role, created_at)
    SELECT account_id, user_id, role, created_at FROM memberships;
DROP TABLE memberships;
ALTER TABLE memberships_rebuilt RENAME TO memberships;
CREATE INDEX memberships_of_user ON memberships (user_id);
CREATE TRIGGER memberships_insert AFTER INSERT ON memberships BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('maker', NEW.user_id);
END;
CREATE TRIGGER memberships_update AFTER UPDATE ON memberships BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('maker', OLD.user_id);
    INSERT INTO key_changes (kind, subject) VALUES ('maker', NEW.user_id);
END;
CREATE TRIGGER memberships_delete AFTER DELETE ON memberships BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('maker', OLD.user_id);
END;

CREATE TABLE attempts_rebuilt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    address BLOB NOT NULL,
    email_hash BLOB NOT NULL CHECK (length(email_hash) = 32),
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO attempts_rebuilt (id, kind, address, email_hash, created_at)
    SELECT id, kind, address, email_hash, created_at FROM attempts;
DELETE FROM sqlite_sequence WHERE name = 'attempts_rebuilt';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'attempts_rebuilt', seq FROM sqlite_sequence WHERE name = 'attempts';
DROP TABLE attempts;
ALTER TABLE attempts_rebuilt RENAME TO attempts;
CREATE INDEX attempts_of_address ON attempts (address, kind, created_at);
CREATE INDEX attempts_created ON attempts (created_at);

CREATE TABLE namespaces_rebuilt (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    -- Taken for ever, also when the cluster has let go (contract N4).
    kubernetes_namespace TEXT NOT NULL UNIQUE,
    cluster TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- When the cluster had let go; the row stays, so that its names do.
    removed_at INTEGER,
    -- When somebody may take up the work on it; absent when there is none.
    next_attempt_at INTEGER
) STRICT;
INSERT INTO namespaces_rebuilt (
        id, account_id, name, kubernetes_namespace, cluster, status, message, created_at,
        updated_at, removed_at, next_attempt_at
    )
    SELECT
        id, account_id, name, kubernetes_namespace, cluster, status, message, created_at,
        updated_at, removed_at, next_attempt_at
    FROM namespaces;
DROP TABLE namespaces;
ALTER TABLE namespaces_rebuilt RENAME TO namespaces;
CREATE UNIQUE INDEX namespaces_name ON namespaces (account_id, name) WHERE removed_at IS NULL;
CREATE INDEX namespaces_of_account ON namespaces (account_id, id) WHERE removed_at IS NULL;
CREATE INDEX namespaces_due ON namespaces (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE key_changes_rebuilt (
    -- Without gaps, so that a reader knows whether it missed something.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject BLOB NOT NULL CHECK (length(subject) = 16)
) STRICT;
INSERT INTO key_changes_rebuilt (id, kind, subject)
    SELECT id, kind, subject FROM key_changes;
DELETE FROM sqlite_sequence WHERE name = 'key_changes_rebuilt';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'key_changes_rebuilt', seq FROM sqlite_sequence WHERE name = 'key_changes';
DROP TABLE key_changes;
ALTER TABLE key_changes_rebuilt RENAME TO key_changes;
CREATE TRIGGER key_changes_stay_few AFTER INSERT ON key_changes BEGIN
    DELETE FROM key_changes WHERE id <= NEW.id - 10000;
END;
