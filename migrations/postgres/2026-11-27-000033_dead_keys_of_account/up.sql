-- Counts an account's revoked and expired keys, and finds the oldest (contract K16).
CREATE INDEX CONCURRENTLY IF NOT EXISTS api_keys_dead_of_account ON api_keys (account_id, (coalesce(revoked_at, expires_at)), id);
