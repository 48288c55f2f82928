//! The acts over SQLite in a temporary folder, with a clock that stands still.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what does not hold ends the test"
)]

mod api_keys;
mod claims;
mod end_all;
mod held;
mod kubeconfig_tokens;
mod limits;
mod mint;
mod reconcile;
mod restored;
mod review_token;
mod roles;
mod run_reconciler;
mod sign_in;
mod sweep_identities;
mod sweep_namespaces;
mod tidy_store;
mod world;
