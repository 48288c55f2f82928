//! What belongs to an account.

pub(crate) mod access_tokens;
pub(crate) mod api_keys;
pub(crate) mod audit_events;
pub(crate) mod invitations;
pub(crate) mod kubeconfig_tokens;
pub(crate) mod members;
pub(crate) mod own;
pub(crate) mod service_users;
