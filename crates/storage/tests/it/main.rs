//! One suite for both databases: each case runs on SQLite in a temporary folder
//! and on a throwaway PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes only functions marked as tests for tests"
)]

mod access_tokens;
mod accounts;
mod api_keys;
mod attempts;
mod audit_events;
mod backlog;
mod cluster_claims;
mod concurrency;
mod database_identity;
mod dead_keys;
mod fixtures;
mod forms;
mod held_namespaces;
mod identities;
mod installation_keys;
mod installation_sessions;
mod invitations;
mod key_changes;
mod kubeconfig_tokens;
mod members;
mod namespaces;
mod newer_words;
mod opening;
mod quick_reads;
mod restore_watch;
mod service_users;
mod sessions;
mod standing;
mod sweep_leases;
mod tls;
mod users;
mod webhook_credentials;
mod world;

/// Makes a test of each case for each database.
macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::world::World::sqlite().await).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::world::World::postgres().await).await;
                }
            )*
        }
    };
}

pub(crate) use on_both_databases;
