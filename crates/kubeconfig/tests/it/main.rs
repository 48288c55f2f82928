//! What a kubeconfig is to those who read it: people, YAML readers, shells and kubectl.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails, and one that is left out says so"
)]

mod canned_server;
mod kubectl;
// By their paths, because the crate that they stand in brings a database, which this one has nothing to do with.
#[path = "../../../test-support/src/left_out.rs"]
mod left_out;
mod plugin_patience;
mod plugin_shell;
mod rendering;
mod round_trip;
#[path = "../../../test-support/src/self_signed.rs"]
mod self_signed;
