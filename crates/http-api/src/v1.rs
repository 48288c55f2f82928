//! Version 1 of the API: one file for one endpoint, in folders as in the URL.

pub(crate) mod account;
pub(crate) mod auth;
pub(crate) mod expiry;
pub(crate) mod fields;
pub(crate) mod kubernetes;
mod list;
pub(crate) mod time_of_day;
