//! What belongs to an account.

pub(crate) mod api_keys;
