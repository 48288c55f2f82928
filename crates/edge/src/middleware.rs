//! What holds for every request, whatever its route.

mod csrf;
mod edge;
mod host;
mod request_id;

pub(crate) use edge::{Listener, edge};
