-- What a row is: a key, or a token in somebody's kubeconfig, which has its scopes for one
-- namespace and a secret that nobody has (contract T9).
ALTER TABLE api_keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'key';
-- The cluster role that it is bound to; absent for remotegpu:tenant.
ALTER TABLE credential_identities ADD COLUMN cluster_role TEXT;
