-- Machines that manage (contract T8). Each is a row in `users` whose address is none that
-- anybody can sign in with, and one in `memberships` that holds its role: so what it makes
-- and what ends with its role is as with people.
CREATE TABLE service_users (
    id uuid PRIMARY KEY REFERENCES users (id),
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id)
);
CREATE INDEX service_users_of_account ON service_users (account_id, id);

CREATE TABLE service_user_tokens (
    id uuid PRIMARY KEY,
    service_user_id uuid NOT NULL REFERENCES service_users (id),
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    name text NOT NULL,
    -- The shown part of the secret.
    prefix text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX service_user_tokens_of_user ON service_user_tokens (service_user_id, id);
