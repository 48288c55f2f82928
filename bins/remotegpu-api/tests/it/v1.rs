//! The routes: a file for each, in folders that mirror the URLs.

mod account;
mod auth;
mod kubernetes;
mod wrong_fields;
