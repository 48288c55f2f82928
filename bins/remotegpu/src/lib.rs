//! What the command lines `remotegpu` and `kubectl-remotegpu` are made of.
//!
//! Both are plain blocking programs: a request, an answer, a line of output. Neither prints a
//! secret, save a key that it has just made.

pub mod age;
pub mod api_key;
pub mod arguments;
pub mod cli;
pub mod client;
pub mod commands;
pub mod connection;
pub mod exec_credential;
pub mod expiry;
pub mod files;
pub mod given;
pub mod output;
pub mod problem;
pub mod proxy;
pub mod secret;
pub mod service_user_token;
pub mod session_file;
pub mod stdout;
pub mod trust;
