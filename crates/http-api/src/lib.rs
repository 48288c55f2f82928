//! Routes, wire types, `OpenAPI`: the JSON front.
//!
//! `routes.rs` shows the whole API, with the policy of each route; a path is one file
//! under `v1/`, which says what comes in and what goes out. What holds for every
//! request, and what an error is, is the edge's (`remotegpu-edge`).

#![deny(missing_docs)]

mod api;
mod docs;
mod error;
mod gathered;
mod health;
mod json_body;
mod mint_metrics;
mod openapi;
mod problem;
mod routes;
mod v1;
mod wire;

pub use api::{Api, ApiConfig, ApiPorts};
pub use openapi::openapi_json;
pub use routes::{ELSEWHERE, internal_front, public_front};
