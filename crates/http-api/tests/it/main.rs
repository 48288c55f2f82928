//! The API over HTTP, on a real socket: what holds for every route, and each
//! route once. Whole journeys with the real program stand beside the binary.

mod account;
mod auth;
mod client;
mod conventions;
mod documents;
mod kubernetes;
mod world;
