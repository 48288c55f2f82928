//! The pages: a file for each.

pub(crate) mod access_token;
pub(crate) mod access_tokens;
pub(crate) mod account;
#[cfg(debug_assertions)]
pub(crate) mod all_parts;
pub(crate) mod api_key;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod error;
pub(crate) mod first_password;
pub(crate) mod invitation;
pub(crate) mod kubernetes;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod namespace;
pub(crate) mod service_user;
pub(crate) mod service_user_tokens;
pub(crate) mod service_users;
pub(crate) mod shown_file;
pub(crate) mod shown_key;
pub(crate) mod shown_token;
pub(crate) mod sign_in;
pub(crate) mod sign_up;
pub(crate) mod switch;
pub(crate) mod theme;
