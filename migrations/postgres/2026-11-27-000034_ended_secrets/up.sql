-- Finds secrets whose grace is over (contract K16).
CREATE INDEX CONCURRENTLY IF NOT EXISTS key_secrets_ended ON key_secrets (ends_at) WHERE ends_at IS NOT NULL;
