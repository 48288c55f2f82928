//! Routes, wire types, sign-in, status table, `OpenAPI`.
//!
//! `routes.rs` shows the whole API; a path is one file under `v1/`, which says
//! what comes in and what goes out. What holds for every request (host, method,
//! CSRF, request id, log line) stands in `middleware.rs`, and what an error
//! answers in `error.rs`.

#![deny(missing_docs)]

mod api;
mod docs;
mod error;
mod extract;
mod gathered;
mod health;
mod last_readiness;
mod middleware;
mod openapi;
mod problem;
mod public_url;
mod request_metrics;
mod route_table;
mod routes;
mod server;
mod v1;
mod wire;

pub use api::{Api, ApiConfig, ApiPorts, Readiness, Ready, Unready};
pub use openapi::openapi_json;
pub use public_url::{ExtraHost, InvalidExtraHost, InvalidPublicUrl, PublicUrl};
pub use server::{ServerLimits, ServerStopper, internal_server, public_server};
