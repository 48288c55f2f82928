-- What pages need of a database (contract H3). Forms that have done what they are for, and for
-- some minutes what was answered, sealed with what the form alone knows.
CREATE TABLE form_claims (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    claimed_at INTEGER NOT NULL,
    answer BLOB,
    answer_until INTEGER
) STRICT;
CREATE INDEX form_claims_claimed ON form_claims (claimed_at);
CREATE INDEX form_claims_answers ON form_claims (answer_until) WHERE answer_until IS NOT NULL;

-- What the identifiers of forms are made with, the same on every instance.
CREATE TABLE form_keys (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- Where a session was opened from, and with what.
ALTER TABLE sessions ADD COLUMN ip TEXT;
ALTER TABLE sessions ADD COLUMN user_agent TEXT;
