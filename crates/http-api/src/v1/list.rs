//! The shape of every list (contract C4).

use remotegpu_primitives::Page;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// A part of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListResponse<T> {
    items: Vec<T>,
    /// What to send as `cursor` for what comes next; `null` on the last page.
    #[schema(required = true, example = json!(null))]
    next_cursor: Option<String>,
}

impl<T> ListResponse<T> {
    pub(crate) fn new<D>(page: &Page<D>, item: impl Fn(&D) -> T) -> Self {
        Self {
            items: page.items.iter().map(item).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it is read by name: this is its description")]
pub(crate) struct ListParams {
    /// How many items at the most.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: u16,
    /// The `next_cursor` of the answer before.
    #[param(required = false, pattern = "^[0-9A-Fa-f]{32}$")]
    cursor: String,
}
