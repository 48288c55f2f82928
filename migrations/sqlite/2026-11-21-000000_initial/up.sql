-- Times are microseconds since 1970, UUIDs their 16 bytes.

-- Whoever inserts this one row makes the first user (contract A10).
CREATE TABLE installation (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    -- The installation's limits hold where these are absent.
    key_limit INTEGER CHECK (key_limit BETWEEN 0 AND 4294967295),
    namespace_limit INTEGER CHECK (namespace_limit BETWEEN 0 AND 4294967295),
    suspended_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    -- Until when a one-time password counts; absent when it is the user's own.
    password_change_until INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, user_id)
) STRICT;
CREATE INDEX memberships_of_user ON memberships (user_id);

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id BLOB NOT NULL REFERENCES users (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_of_account ON sessions (account_id);
CREATE INDEX sessions_created ON sessions (created_at);
CREATE INDEX sessions_seen ON sessions (last_seen_at);

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('sign_in', 'sign_up')),
    address BLOB NOT NULL,
    email_hash BLOB NOT NULL CHECK (length(email_hash) = 32),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_of_address ON attempts (address, kind, created_at);
CREATE INDEX attempts_created ON attempts (created_at);

CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    -- The shown part of the newest secret.
    prefix TEXT NOT NULL,
    -- The canonical JSON (contract K1). Identifiers of namespaces stay in it for
    -- ever, and namespaces are never removed as rows.
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id),
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX api_keys_of_account ON api_keys (account_id, id);
CREATE INDEX api_keys_not_revoked ON api_keys (account_id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_of_maker ON api_keys (created_by);

CREATE TABLE key_secrets (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    key_id BLOB NOT NULL REFERENCES api_keys (id),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Absent for the newest secret of a key, and for no other.
    ends_at INTEGER
) STRICT;
CREATE UNIQUE INDEX key_secrets_newest ON key_secrets (key_id) WHERE ends_at IS NULL;
CREATE INDEX key_secrets_of_key ON key_secrets (key_id);

CREATE TABLE namespaces (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    -- Taken for ever, also when the cluster has let go (contract N4).
    kubernetes_namespace TEXT NOT NULL UNIQUE,
    cluster TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('provisioning', 'active', 'failed', 'deleting')),
    message TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- When the cluster had let go; the row stays, so that its names do.
    removed_at INTEGER,
    -- When somebody may take up the work on it; absent when there is none.
    next_attempt_at INTEGER
) STRICT;
CREATE UNIQUE INDEX namespaces_name ON namespaces (account_id, name) WHERE removed_at IS NULL;
CREATE INDEX namespaces_of_account ON namespaces (account_id, id) WHERE removed_at IS NULL;
CREATE INDEX namespaces_due ON namespaces (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE credential_identities (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    secret_id BLOB NOT NULL REFERENCES key_secrets (id),
    key_id BLOB NOT NULL REFERENCES api_keys (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    namespace_id BLOB NOT NULL REFERENCES namespaces (id),
    kubernetes_namespace TEXT NOT NULL,
    cluster TEXT NOT NULL,
    bound INTEGER NOT NULL CHECK (bound IN (0, 1)),
    created_at INTEGER NOT NULL,
    ends_at INTEGER,
    -- Until when an instance works on the end of it.
    claimed_until INTEGER,
    UNIQUE (secret_id, namespace_id)
) STRICT;
CREATE INDEX credential_identities_of_key ON credential_identities (key_id);
CREATE INDEX credential_identities_of_account ON credential_identities (account_id);
CREATE INDEX credential_identities_of_namespace ON credential_identities (namespace_id);
CREATE INDEX credential_identities_ending ON credential_identities (ends_at) WHERE ends_at IS NOT NULL;
