//! The repository traits over PostgreSQL and SQLite.
