-- When the cluster had removed the service account of an identity whose binding it
-- keeps (contract X9); absent for every other.
ALTER TABLE credential_identities ADD COLUMN powerless_at timestamptz;
