-- Machines that manage (contract T8). Each is a row in `users` whose address is none that
-- anybody can sign in with, and one in `memberships` that holds its role: so what it makes
-- and what ends with its role is as with people.
CREATE TABLE service_users (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16) REFERENCES users (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id)
) STRICT;
CREATE INDEX service_users_of_account ON service_users (account_id, id);

CREATE TABLE service_user_tokens (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    service_user_id BLOB NOT NULL REFERENCES service_users (id),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    name TEXT NOT NULL,
    -- The shown part of the secret.
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX service_user_tokens_of_user ON service_user_tokens (service_user_id, id);
