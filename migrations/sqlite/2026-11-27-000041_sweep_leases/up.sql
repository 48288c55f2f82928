-- Which instance sweeps a cluster, and until when by this database's clock
-- (contract R10).
CREATE TABLE sweep_leases (
    cluster TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL CHECK (length(holder) = 16),
    held_until INTEGER NOT NULL
) STRICT;
