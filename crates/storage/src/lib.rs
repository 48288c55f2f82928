//! The repository traits over PostgreSQL and SQLite.
//!
//! [`Database`] implements every repository trait of the domain crates. Each
//! query is written once and type-checked for both databases: the bodies of
//! `with_conn!` and `with_tx!` run their queries on an `EitherConnection`, which takes
//! those that either database takes.
//!
//! What must be exact under concurrency (limits, names, the ends of cluster
//! identities) holds the row of its account: whoever counts, and whoever ends
//! something, first updates that row without changing it, and so waits for
//! whoever did before. SQLite has one writer at a time anyway.

mod access_tokens;
mod accounts;
mod api_keys;
mod attempts;
mod audit_events;
mod backlog;
mod cluster_claims;
mod connection;
mod database;
mod database_identity;
mod due_work;
mod either;
mod error;
mod forms;
mod held_namespaces;
mod identities;
mod identity_census;
mod installation_keys;
mod installation_sessions;
mod invitations;
mod key_changes;
mod kubeconfig_tokens;
mod members;
mod migrations;
mod namespaces;
mod postgres;
mod quick_reads;
mod readable;
mod restore_watch;
mod schema;
mod service_users;
mod sessions;
mod sqlite;
mod standing;
mod sweep_leases;
mod types;
mod users;
mod uses;
mod webhook_credentials;

pub use database::{Database, DatabaseOptions};
pub use database_identity::DatabaseIdentity;
pub use error::OpenError;
pub use migrations::SchemaAge;
pub use restore_watch::{RestoreSign, RestoreWatch, Seen};
