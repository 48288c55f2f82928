-- What the server's cache of keys must forget (contract K13), also when another
-- process wrote it: the server reads what is new here a few times a second.
CREATE TABLE key_changes (
    -- Without gaps, so that a reader knows whether it missed something.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'account', 'maker')),
    subject BLOB NOT NULL CHECK (length(subject) = 16)
) STRICT;
-- The table stays small; who reads too late for it forgets everything.
CREATE TRIGGER key_changes_stay_few AFTER INSERT ON key_changes BEGIN
    DELETE FROM key_changes WHERE id <= NEW.id - 10000;
END;

-- Not last_used_at: it decides nothing, and is written all the time.
CREATE TRIGGER api_keys_update AFTER UPDATE OF id, account_id, name, prefix, scopes, created_at, created_by, expires_at, revoked_at ON api_keys BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('key', OLD.id);
END;
CREATE TRIGGER api_keys_delete AFTER DELETE ON api_keys BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('key', OLD.id);
END;
-- Not INSERT: nobody remembers that a key was unknown.
CREATE TRIGGER key_secrets_update AFTER UPDATE ON key_secrets BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('key', OLD.key_id);
END;
CREATE TRIGGER key_secrets_delete AFTER DELETE ON key_secrets BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('key', OLD.key_id);
END;
CREATE TRIGGER accounts_update AFTER UPDATE OF id, suspended_at ON accounts BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('account', OLD.id);
END;
CREATE TRIGGER accounts_delete AFTER DELETE ON accounts BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('account', OLD.id);
END;
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
