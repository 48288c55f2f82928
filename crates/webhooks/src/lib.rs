//! What clusters ask, in Kubernetes' own shapes: a front on the edge, with a listener of its
//! own. Each cluster is known by its own credential, and answered for itself alone (contract
//! T6).

#![deny(missing_docs)]

mod routes;
mod status;
mod token_review;
mod webhooks;

pub use routes::front;
pub use webhooks::{WebhookPorts, Webhooks};
