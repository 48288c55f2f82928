-- What the credentials are made with by which clusters ask who a token is (contract T6), the same
-- on every instance.
CREATE TABLE webhook_keys (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- The clusters whose credential is not their first.
CREATE TABLE webhook_credentials (
    cluster TEXT NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    -- Until when the one before counts as well.
    previous_until INTEGER NOT NULL
) STRICT;
