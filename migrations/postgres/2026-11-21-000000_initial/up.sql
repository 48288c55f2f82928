-- Whoever inserts this one row makes the first user (contract A10).
CREATE TABLE installation (
    id bigint PRIMARY KEY CHECK (id = 1),
    created_at timestamptz NOT NULL
);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- The installation's limits hold where these are absent.
    key_limit bigint CHECK (key_limit BETWEEN 0 AND 4294967295),
    namespace_limit bigint CHECK (namespace_limit BETWEEN 0 AND 4294967295),
    suspended_at timestamptz,
    created_at timestamptz NOT NULL
);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    -- Until when a one-time password counts; absent when it is the user's own.
    password_change_until timestamptz,
    created_at timestamptz NOT NULL
);

CREATE TABLE memberships (
    account_id uuid NOT NULL REFERENCES accounts (id),
    user_id uuid NOT NULL REFERENCES users (id),
    role text NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, user_id)
);
CREATE INDEX memberships_of_user ON memberships (user_id);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id uuid NOT NULL REFERENCES users (id),
    account_id uuid NOT NULL REFERENCES accounts (id),
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_of_account ON sessions (account_id);
CREATE INDEX sessions_created ON sessions (created_at);
CREATE INDEX sessions_seen ON sessions (last_seen_at);

CREATE TABLE attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('sign_in', 'sign_up')),
    address bytea NOT NULL,
    email_hash bytea NOT NULL CHECK (length(email_hash) = 32),
    created_at timestamptz NOT NULL
);
CREATE INDEX attempts_of_address ON attempts (address, kind, created_at);
CREATE INDEX attempts_created ON attempts (created_at);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    -- The shown part of the newest secret.
    prefix text NOT NULL,
    -- The canonical JSON (contract K1). Identifiers of namespaces stay in it for
    -- ever, and namespaces are never removed as rows.
    scopes text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_of_account ON api_keys (account_id, id);
CREATE INDEX api_keys_not_revoked ON api_keys (account_id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_of_maker ON api_keys (created_by);

CREATE TABLE key_secrets (
    id uuid PRIMARY KEY,
    key_id uuid NOT NULL REFERENCES api_keys (id),
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix text NOT NULL,
    created_at timestamptz NOT NULL,
    -- Absent for the newest secret of a key, and for no other.
    ends_at timestamptz
);
CREATE UNIQUE INDEX key_secrets_newest ON key_secrets (key_id) WHERE ends_at IS NULL;
CREATE INDEX key_secrets_of_key ON key_secrets (key_id);

CREATE TABLE namespaces (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    -- Taken for ever, also when the cluster has let go (contract N4).
    kubernetes_namespace text NOT NULL UNIQUE,
    cluster text NOT NULL,
    status text NOT NULL CHECK (status IN ('provisioning', 'active', 'failed', 'deleting')),
    message text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- When the cluster had let go; the row stays, so that its names do.
    removed_at timestamptz,
    -- When somebody may take up the work on it; absent when there is none.
    next_attempt_at timestamptz
);
CREATE UNIQUE INDEX namespaces_name ON namespaces (account_id, name) WHERE removed_at IS NULL;
CREATE INDEX namespaces_of_account ON namespaces (account_id, id) WHERE removed_at IS NULL;
CREATE INDEX namespaces_due ON namespaces (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE credential_identities (
    id uuid PRIMARY KEY,
    secret_id uuid NOT NULL REFERENCES key_secrets (id),
    key_id uuid NOT NULL REFERENCES api_keys (id),
    account_id uuid NOT NULL REFERENCES accounts (id),
    namespace_id uuid NOT NULL REFERENCES namespaces (id),
    kubernetes_namespace text NOT NULL,
    cluster text NOT NULL,
    bound boolean NOT NULL,
    created_at timestamptz NOT NULL,
    ends_at timestamptz,
    -- Until when an instance works on the end of it.
    claimed_until timestamptz,
    UNIQUE (secret_id, namespace_id)
);
CREATE INDEX credential_identities_of_key ON credential_identities (key_id);
CREATE INDEX credential_identities_of_account ON credential_identities (account_id);
CREATE INDEX credential_identities_of_namespace ON credential_identities (namespace_id);
CREATE INDEX credential_identities_ending ON credential_identities (ends_at) WHERE ends_at IS NOT NULL;
