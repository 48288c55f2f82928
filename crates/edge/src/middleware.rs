//! What holds for every request, whatever its route.

mod csrf;
mod edge;
mod head_only;
mod host;
mod request_id;

pub(crate) use edge::{Listener, edge};
pub(crate) use request_id::REQUEST_ID;
