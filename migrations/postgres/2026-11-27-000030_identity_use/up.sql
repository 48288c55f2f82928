-- When a token was last minted for it; where absent, created_at counts (contract X12).
-- Of those that are there already nobody knows: they count from today. Such a default is
-- worked out once, and kept beside the table, which is not rewritten.
ALTER TABLE credential_identities ADD COLUMN last_minted_at timestamptz DEFAULT now();
ALTER TABLE credential_identities ALTER COLUMN last_minted_at DROP DEFAULT;

-- How far the slow look at what identities stand on has come; all instances share it.
CREATE TABLE identity_rounds (
    id bigint PRIMARY KEY CHECK (id = 1),
    -- When somebody may take the next slice.
    due_at timestamptz NOT NULL,
    -- The last identity of the slices before; absent at the beginning of a round.
    looked_up_to uuid,
    slice bigint NOT NULL
);
INSERT INTO identity_rounds (id, due_at, slice) VALUES (1, '1970-01-01T00:00:00Z', 0);
