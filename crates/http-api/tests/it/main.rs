//! What only this crate's own types show of the API: the document, draining, a restored
//! database, HTTP/2. The routes are tried on the real program, in `tests/it/v1` of
//! `bins/remotegpu-api`.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on fails there, and its helpers take what reads best"
)]

mod client;
mod documents;
mod restored;
mod tls;
mod world;
