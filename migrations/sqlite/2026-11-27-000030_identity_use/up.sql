-- When a token was last minted for it; where absent, created_at counts (contract X12).
-- Of those that are there already nobody knows: they count from today.
ALTER TABLE credential_identities ADD COLUMN last_minted_at INTEGER;
UPDATE credential_identities SET last_minted_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000000;

-- How far the slow look at what identities stand on has come.
CREATE TABLE identity_rounds (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- When somebody may take the next slice.
    due_at INTEGER NOT NULL,
    -- The last identity of the slices before; absent at the beginning of a round.
    looked_up_to BLOB CHECK (length(looked_up_to) = 16),
    slice INTEGER NOT NULL
) STRICT;
INSERT INTO identity_rounds (id, due_at, slice) VALUES (1, 0, 0);
