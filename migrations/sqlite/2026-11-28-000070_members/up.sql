-- Invitations into accounts, until they are accepted, deleted or expired (contract T7, T10).
CREATE TABLE invitations (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX invitations_of_account ON invitations (account_id, email);
CREATE INDEX invitations_of_address ON invitations (email);

-- The account that the user last acted for (contract A11).
ALTER TABLE users ADD COLUMN last_account_id BLOB;
