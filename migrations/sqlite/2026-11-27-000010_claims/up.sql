-- Which installation this is (contract R9); the server fills it at its start.
ALTER TABLE installation ADD COLUMN uuid BLOB CHECK (length(uuid) = 16);

-- What this database wrote last into each cluster's claim (contract R9).
CREATE TABLE cluster_claims (
    cluster TEXT NOT NULL PRIMARY KEY,
    -- Which cluster it was: the UID of its namespace kube-system.
    cluster_uid TEXT NOT NULL,
    counter INTEGER NOT NULL CHECK (counter >= 0),
    -- Whether the next sweep notes what is missing, instead of making it anew.
    look_for_missing INTEGER NOT NULL CHECK (look_for_missing IN (0, 1)),
    taken_at INTEGER NOT NULL
) STRICT;

-- Namespaces to which nothing is done until the operator says what (contract R8).
CREATE TABLE held_namespaces (
    cluster TEXT NOT NULL,
    kubernetes_namespace TEXT NOT NULL,
    -- held: it stands without a row; missing: it has a row and does not stand.
    kind TEXT NOT NULL,
    -- Absent where it does not stand.
    uid TEXT,
    -- As its labels say: nothing needs to have these.
    namespace_id BLOB NOT NULL CHECK (length(namespace_id) = 16),
    account_id BLOB CHECK (length(account_id) = 16),
    first_seen_at INTEGER NOT NULL,
    -- delete or restore; absent while nobody has said anything.
    wanted TEXT,
    PRIMARY KEY (cluster, kubernetes_namespace)
) STRICT;
