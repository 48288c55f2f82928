-- Which instance sweeps a cluster, and until when by this database's clock
-- (contract R10).
CREATE TABLE sweep_leases (
    cluster text NOT NULL PRIMARY KEY,
    holder uuid NOT NULL,
    held_until timestamptz NOT NULL
);
