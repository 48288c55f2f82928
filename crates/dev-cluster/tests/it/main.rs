//! Drives a development cluster over real HTTP, and with the real `kubectl`.

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
