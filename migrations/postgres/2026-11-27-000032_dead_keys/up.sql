-- Finds keys that were revoked or expired long ago, or lately (contract K16).
CREATE INDEX CONCURRENTLY IF NOT EXISTS api_keys_dead ON api_keys ((coalesce(revoked_at, expires_at)));
