//! What pages are made of.

pub(crate) mod button;
pub(crate) mod code;
pub(crate) mod dialog;
pub(crate) mod expiration;
pub(crate) mod field;
pub(crate) mod kubeconfig;
pub(crate) mod list;
pub(crate) mod quota;
pub(crate) mod status;
pub(crate) mod time;
