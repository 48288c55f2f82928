//! Lists: tables that become cards where there is little room.

use maud::{Markup, html};
use remotegpu_primitives::Cursor;
use url::form_urlencoded;

/// A table with these columns, its rows made of [`cell`]s. A column without a name is of
/// what can be done. Roles are said because the style sheet takes them away where there is
/// little room.
pub(crate) fn table(caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        table role="table" {
            caption.hidden { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns {
                        th scope="col" role="columnheader" {
                            @if column.is_empty() { span.hidden { "Action" } } @else { (column) }
                        }
                    }
                }
            }
            tbody role="rowgroup" { (rows) }
        }
    }
}

/// A cell, which knows its column's name.
pub(crate) fn cell(column: &str, content: &Markup) -> Markup {
    html! { td role="cell" data-label=(column) { (content) } }
}

/// How many there are: `1 namespace`, `50 or more keys`.
pub(crate) fn count(shown: usize, has_more: bool, of: &str) -> Markup {
    html! {
        p.count-line {
            (shown) @if has_more { " or more" } " " (of) @if shown != 1 || has_more { "s" }
        }
    }
}

/// What stands where there is nothing yet.
pub(crate) fn empty(what: &str, action: Option<&Markup>) -> Markup {
    html! {
        div.empty {
            p { (what) }
            @if let Some(action) = action { (action) }
        }
    }
}

/// A page's address with what is asked of it, as far as that is something.
pub(crate) fn address(page: &str, asked: &[(&str, &str)]) -> String {
    let given = asked.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .finish();
    if query.is_empty() {
        page.to_owned()
    } else {
        format!("{page}?{query}")
    }
}

/// The way to the rest of the list at this address.
pub(crate) fn more(address: &str, next: Option<Cursor>) -> Markup {
    let glue = if address.contains('?') { '&' } else { '?' };
    html! {
        @if let Some(next) = next {
            p.more { a.button.quiet href=(format!("{address}{glue}cursor={next}")) { "Load more" } }
        }
    }
}
