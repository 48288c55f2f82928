-- The last migration that a program must know that works with this database (contract R6);
-- absent while every version since this one may.
ALTER TABLE installation ADD COLUMN min_version text;
