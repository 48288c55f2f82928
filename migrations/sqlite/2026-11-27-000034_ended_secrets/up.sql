-- Finds secrets whose grace is over (contract K16).
CREATE INDEX key_secrets_ended ON key_secrets (ends_at) WHERE ends_at IS NOT NULL;
