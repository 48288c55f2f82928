-- By which members open clusters (contract T1 to T6). A token that somebody deletes is gone.
CREATE TABLE access_tokens (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- What the token is called on the wire and in clusters (contract T2).
    handle TEXT NOT NULL UNIQUE,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    note TEXT,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix TEXT NOT NULL,
    -- The names of the chosen clusters, in their order, with commas between them.
    clusters TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Whom it stands for. What they may do is said by their membership alone.
    created_by BLOB NOT NULL REFERENCES users (id),
    expires_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX access_tokens_of_account ON access_tokens (account_id, id);
CREATE INDEX access_tokens_of_holder ON access_tokens (created_by, account_id, id);
CREATE INDEX access_tokens_expiring ON access_tokens (expires_at) WHERE expires_at IS NOT NULL;

-- Whoever remembers tokens must forget one that ends or changes (contract K13). Not
-- last_used_at: it decides nothing, and is written all the time. Not INSERT: nobody remembers
-- that a token was unknown.
CREATE TRIGGER access_tokens_update AFTER UPDATE OF id, handle, account_id, name, note, hash, prefix, clusters, created_at, created_by, expires_at ON access_tokens BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('access_token', OLD.id);
END;
CREATE TRIGGER access_tokens_delete AFTER DELETE ON access_tokens BEGIN
    INSERT INTO key_changes (kind, subject) VALUES ('access_token', OLD.id);
END;
