-- Which installation this is (contract R9); the server fills it at its start.
ALTER TABLE installation ADD COLUMN uuid uuid;

-- What this database wrote last into each cluster's claim (contract R9).
CREATE TABLE cluster_claims (
    cluster text PRIMARY KEY,
    -- Which cluster it was: the UID of its namespace kube-system.
    cluster_uid text NOT NULL,
    counter bigint NOT NULL CHECK (counter >= 0),
    -- Whether the next sweep notes what is missing, instead of making it anew.
    look_for_missing boolean NOT NULL,
    taken_at timestamptz NOT NULL
);

-- Namespaces to which nothing is done until the operator says what (contract R8).
CREATE TABLE held_namespaces (
    cluster text NOT NULL,
    kubernetes_namespace text NOT NULL,
    -- held: it stands without a row; missing: it has a row and does not stand.
    kind text NOT NULL,
    -- Absent where it does not stand.
    uid text,
    -- As its labels say: nothing needs to have these.
    namespace_id uuid NOT NULL,
    account_id uuid,
    first_seen_at timestamptz NOT NULL,
    -- delete or restore; absent while nobody has said anything.
    wanted text,
    PRIMARY KEY (cluster, kubernetes_namespace)
);
