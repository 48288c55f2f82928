//! The console: over plain HTTP, as a browser without scripts sees it (contract section 11), and in a real browser.

mod access;
mod access_tokens;
mod accessible;
mod account;
mod audit;
mod browser;
mod errors;
mod forms;
mod gallery;
mod headers;
mod hostile;
mod keys;
mod members;
mod namespaces;
mod reader;
mod secrets;
mod service_users;
mod signing;
mod token_files;
mod visitor;
