//! The API over HTTP, on a real socket: what holds for every route, and each
//! route once. Whole journeys with the real program stand beside the binary.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on fails there, and its helpers take what reads best"
)]

mod account;
mod auth;
mod client;
mod conventions;
mod documents;
mod kubernetes;
mod restored;
mod tls;
mod world;
