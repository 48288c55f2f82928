//! Both command lines as real processes against a canned server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails"
)]

mod choosing;
mod completions;
mod conditions;
mod exec_credential;
mod key_sources;
mod keys;
mod kubeconfig;
// By its path, because the crate that it stands in brings a database.
#[path = "../../../../crates/test-support/src/left_out.rs"]
mod left_out;
mod many;
mod members;
mod namespaces;
mod outputs;
mod plugin_patience;
mod reaching;
// By its path, because the crate that it stands in brings the server's half of the house.
#[path = "../../../../crates/test-support/src/self_signed.rs"]
mod self_signed;
mod server;
mod service_user_token;
mod session;
mod streams;
mod tls;
mod usage;
mod user;
