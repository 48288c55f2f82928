//! Both command lines as real processes against a canned server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up fails"
)]

mod completions;
mod exec_credential;
mod key_sources;
mod keys;
mod kubeconfig;
mod many;
mod namespaces;
mod outputs;
mod plugin_patience;
mod reaching;
mod server;
mod session;
mod tls;
mod user;
