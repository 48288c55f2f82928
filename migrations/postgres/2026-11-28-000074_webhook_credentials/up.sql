-- What the credentials are made with by which clusters ask who a token is (contract T6), the same
-- on every instance.
CREATE TABLE webhook_keys (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    secret bytea NOT NULL CHECK (length(secret) = 32)
);

-- The clusters whose credential is not their first.
CREATE TABLE webhook_credentials (
    cluster text NOT NULL PRIMARY KEY,
    generation bigint NOT NULL,
    -- Until when the one before counts as well.
    previous_until timestamptz NOT NULL
);
