//! What a kubeconfig is to those who read it: people, YAML readers, shells and kubectl.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails, and one that is left out says so"
)]

mod canned_server;
mod kubectl;
mod plugin_shell;
mod rendering;
mod round_trip;
