-- By which members open clusters (contract T1 to T6). A token that somebody deletes is gone.
CREATE TABLE access_tokens (
    id uuid PRIMARY KEY,
    -- What the token is called on the wire and in clusters (contract T2).
    handle text NOT NULL UNIQUE,
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    note text,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix text NOT NULL,
    -- The names of the chosen clusters, in their order, with commas between them.
    clusters text NOT NULL,
    created_at timestamptz NOT NULL,
    -- Whom it stands for. What they may do is said by their membership alone.
    created_by uuid NOT NULL REFERENCES users (id),
    expires_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX access_tokens_of_account ON access_tokens (account_id, id);
CREATE INDEX access_tokens_of_holder ON access_tokens (created_by, account_id, id);
CREATE INDEX access_tokens_expiring ON access_tokens (expires_at) WHERE expires_at IS NOT NULL;

-- Whoever remembers tokens must forget one that ends or changes (contract K13). Not
-- last_used_at: it decides nothing, and is written all the time. Not INSERT: nobody remembers
-- that a token was unknown.
CREATE TRIGGER access_tokens_change
    AFTER DELETE OR UPDATE OF id, handle, account_id, name, note, hash, prefix, clusters, created_at, created_by, expires_at
    ON access_tokens FOR EACH ROW EXECUTE FUNCTION tell_key_change('access_token', 'id');
