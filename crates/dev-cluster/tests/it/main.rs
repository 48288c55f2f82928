//! Drives a development cluster over real HTTP, and with the real `kubectl`.

#![allow(clippy::disallowed_methods, reason = "The server has its own clock, and so have those who ask it.")]
#![allow(clippy::unwrap_used, reason = "A test fails by panicking.")]

mod access;
mod actor;
mod admission;
mod kubectl;
mod namespaces;
mod objects;
mod persistence;
mod tokens;
mod watches;
mod workloads;
