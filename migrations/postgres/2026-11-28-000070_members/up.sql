-- Invitations into accounts, until they are accepted, deleted or expired (contract T7, T10).
CREATE TABLE invitations (
    id uuid NOT NULL PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    email text NOT NULL,
    role text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX invitations_of_account ON invitations (account_id, email);
CREATE INDEX invitations_of_address ON invitations (email);

-- The account that the user last acted for (contract A11).
ALTER TABLE users ADD COLUMN last_account_id uuid;
