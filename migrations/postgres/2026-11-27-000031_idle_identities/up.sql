-- Finds identities for which nothing was minted for long.
CREATE INDEX CONCURRENTLY IF NOT EXISTS credential_identities_idle ON credential_identities ((coalesce(last_minted_at, created_at)));
